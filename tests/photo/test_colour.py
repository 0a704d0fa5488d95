"""Colour: profiles read as LittleCMS reads them, there and back, and nothing outside an edit is converted."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from retouchgpt.core.geometry import Extent
from retouchgpt.core.pixels import linear_to_srgb, srgb_to_linear
from retouchgpt.photo import profiles
from retouchgpt.photo.colour import SRGB, GridSpace, MatrixSpace, _sampled, brought_back, seen, space_of
from retouchgpt.photo.composite import paste
from retouchgpt.photo.faces import Face, number, shared_finder
from retouchgpt.photo.files import Photo, open_photo, save_photo
from retouchgpt.session import RetouchGPT
from tests.fakes import Planner, Writer, acne_network

SPACES = {
    "adobe": profiles.ADOBE_RGB, "p3": profiles.DISPLAY_P3, "prophoto": profiles.PROPHOTO, "rec2020": profiles.REC_2020,
    "linear": profiles.LINEAR,
}  # fmt: skip
COLOURS = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def by_littlecms(values: np.ndarray, icc: bytes, *, back: bool = False) -> np.ndarray:
    own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
    first, second = (srgb, own) if back else (own, srgb)
    return np.asarray(ImageCms.profileToProfile(Image.fromarray(values), first, second))


@pytest.mark.parametrize("name", SPACES)
def test_numbers_become_srgb_as_littlecms_makes_them(name: str) -> None:
    icc = profiles.made(SPACES[name])
    space, note = space_of(icc)
    assert isinstance(space, MatrixSpace)
    assert not note
    ours = space.to_srgb(COLOURS / 255) * 255
    assert np.abs(ours - by_littlecms(COLOURS, icc)).max() < 2.5, "levels of 255"
    assert np.abs(ours - COLOURS).max() > 10, "the profile matters"


@pytest.mark.parametrize("name", SPACES)
def test_there_and_back(name: str) -> None:
    space = space_of(profiles.made(SPACES[name])).space
    skin = np.random.default_rng(1).uniform(0.15, 0.85, (500, 3)).astype(np.float32)
    if name != "linear":
        assert np.abs(space.from_srgb(skin) * 255 - by_littlecms_floats(skin, name)).max() < 2
    assert np.abs(space.to_srgb(space.from_srgb(skin)) - skin).max() < 2e-3


def by_littlecms_floats(values: np.ndarray, name: str) -> np.ndarray:
    codes = np.rint(values[None] * 255).astype(np.uint8)
    return by_littlecms(codes, profiles.made(SPACES[name]), back=True)[0].astype(float)


def test_srgb_is_left_alone_and_what_cannot_be_used_is_said() -> None:
    assert space_of(profiles.made(profiles.SRGB)) == (SRGB, "")
    assert space_of(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()).space is SRGB
    assert space_of(None) == (SRGB, "")
    whole = profiles.made(profiles.ADOBE_RGB)
    for broken in (
        b"profile" * 40,
        whole[:200],
        whole.replace(b"rTRC", b"xTRC", 1),
        whole.replace(b"RGB ", b"CMYK", 1),
    ):
        space, note = space_of(broken)
        assert space is SRGB
        assert "taken for sRGB" in note
    assert "grey profile" in space_of(profiles.made(profiles.ADOBE_RGB, grey=True)).note


def test_damaged_profiles_never_stop_a_photo() -> None:
    rng, whole = np.random.default_rng(2), profiles.made(profiles.DISPLAY_P3)
    for _ in range(80):
        data = bytearray(whole)
        for at in rng.integers(0, 400, 4):
            data[at] = rng.integers(0, 256)
        space, _ = space_of(bytes(data))
        out = space.to_srgb(COLOURS[:4] / 255)
        assert np.isfinite(out).all()
        assert out.min() >= 0
        assert out.max() <= 1


def test_grey_profiles() -> None:
    icc = profiles.made(profiles.PROPHOTO, grey=True)
    space = space_of(icc, grey=True).space
    codes = np.repeat(np.linspace(0.02, 1, 50, dtype=np.float32)[:, None], 3, 1)
    assert np.abs(space.to_srgb(codes) - linear_to_srgb(codes**1.8)).max() < 1e-3
    assert np.abs(space.from_srgb(space.to_srgb(codes)) - codes).max() < 2e-3


def test_profiles_of_tables_go_through_a_grid() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert "not for RGB" in space_of(lab).note
    icc = profiles.made(profiles.ADOBE_RGB)
    sampled, exact = _sampled(icc), space_of(icc).space
    shades = np.random.default_rng(4).uniform(0.3, 1.2, (200, 1))  # of skin: at the gamut's edge a grid is coarse
    some = (shades * (0.7, 0.55, 0.48)).astype(np.float32)
    assert np.abs(sampled.to_srgb(some) - exact.to_srgb(some)).max() < 2.5 / 255
    assert np.abs(sampled.from_srgb(some) - exact.from_srgb(some)).max() < 2.5 / 255
    table = np.stack(np.meshgrid(*[np.linspace(0, 1, 33)] * 3, indexing="ij"), -1).astype(np.float32)
    space = GridSpace(table, table)
    values = np.random.default_rng(3).uniform(0, 1, (200, 3)).astype(np.float32)
    assert np.abs(space.to_srgb(values) - values).max() < 1e-5
    curved = GridSpace(srgb_to_linear(table), linear_to_srgb(table))
    assert np.abs(curved.to_srgb(values) - srgb_to_linear(values)).max() < 1e-3


def test_a_correction_comes_back_in_the_photos_own_numbers() -> None:
    space = space_of(profiles.made(profiles.PROPHOTO)).space
    skin = np.full((8, 8, 3), (0.7, 0.55, 0.5), np.float32)
    wanted = np.zeros_like(skin)
    wanted[2:5, 2:5] = (0.02, 0.05, 0.04)
    own = brought_back(space, space.from_srgb(skin), wanted)
    assert not own[wanted == 0].any()
    assert np.abs(space.to_srgb(space.from_srgb(skin) + own) - skin - wanted).max() < 2e-3
    assert np.abs(own - wanted).max() > 0.003, "it is another number than in sRGB"
    assert brought_back(SRGB, skin, wanted) is wanted


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("name", ["adobe", "linear"])
def test_previews_are_srgb(name: str, dtype: Any) -> None:
    space = space_of(profiles.made(SPACES[name])).space
    pixels = COLOURS if dtype == np.uint8 else COLOURS.astype(np.uint16) * 257
    expected = space.to_srgb(COLOURS / 255) * 255
    lit = COLOURS.min(2) > 8  # near black a linear number of 8 bits is a coarse step
    assert np.abs(seen(space, pixels) - expected)[lit].max() < 2.5
    assert seen(SRGB, COLOURS) is COLOURS


def test_ink_is_converted_by_its_profile_or_said(tmp_path: Path) -> None:
    ink = np.random.default_rng(0).integers(0, 255, (64, 64, 4), dtype=np.uint8)
    Image.fromarray(ink, "CMYK").save(tmp_path / "a.jpg", icc_profile=b"profile" * 40)
    photo = open_photo(tmp_path / "a.jpg")
    assert photo.icc is None
    assert photo.notes == ("converted from CMYK to RGB, since skin is judged in RGB",)


class Known:
    """Finds her where she is, so that two versions of a photo are compared and not two findings."""

    def __init__(self, landmarks: Any) -> None:
        self.faces = number([landmarks], Extent(512, 512))

    def find(self, rgb: Any) -> list[Face]:
        return self.faces


@pytest.fixture(scope="module")
def engine(portrait_landmarks: Any) -> RetouchGPT:
    return RetouchGPT(acne_network(), Planner(), Writer(), finder=Known(portrait_landmarks))


def test_a_face_is_found_under_a_dark_profile(portrait: Any) -> None:
    space = space_of(profiles.made(profiles.LINEAR)).space
    own = np.rint(space.from_srgb(portrait / np.float32(255)) * 65535).astype(np.uint16)
    assert len(shared_finder().find(seen(space, own))) == 1


@pytest.mark.parametrize("name", ["adobe", "p3", "prophoto", "linear"])
def test_the_same_scene_is_seen_and_repaired_alike_under_every_profile(
    name: str, engine: RetouchGPT, portrait: Any
) -> None:
    plain = engine.open(portrait)
    icc = profiles.made(SPACES[name])
    space = space_of(icc).space
    own = np.rint(space.from_srgb(portrait / np.float32(255)) * 65535).astype(np.uint16)
    session = engine.open(Photo(None, own, "TIFF", "RGB", icc=icc))
    a, b = plain.faces[0].crop, session.faces[0].crop
    assert (a - b).abs().mean() < 0.004
    result = session.instruct("remove the acne")
    outside = result.mask == 0
    assert np.array_equal(result.image[outside], own[outside])
    assert result.changed
    repair = session.render().repairs[0]
    assert repair is not None
    expected = paste(portrait, repair.correction, repair.mask, session.faces[0].alignment).pixels
    naive = paste(own, repair.correction, repair.mask, session.faces[0].alignment).pixels
    inside = result.mask > 0
    error, careless = (
        np.abs(space.to_srgb(image / np.float32(65535)) * 255 - expected)[inside].mean()
        for image in (result.image, naive)
    )
    assert error < 1.5
    assert careless > 2 * error


def test_a_grey_photo_stays_grey(engine: RetouchGPT, portrait: Any, tmp_path: Path) -> None:
    grey = np.asarray(Image.fromarray(portrait).convert("L"))
    icc = profiles.made(profiles.ADOBE_RGB, grey=True)
    photo = Photo(None, np.repeat(grey[..., None], 3, 2), "PNG", "L", icc=icc)
    result = engine.open(photo).instruct("remove the acne")
    assert result.changed
    assert (np.ptp(result.image, 2) == 0).all()
    save_photo(photo, result.image, tmp_path / "g.png")
    again = open_photo(tmp_path / "g.png")
    assert np.array_equal(again.pixels, result.image)
    assert replace(again, path=None).icc == icc
