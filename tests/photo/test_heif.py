"""HEIC and AVIF: every depth comes back to the bit, with profile, EXIF and XMP, also as other decoders read it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from retouchgpt.core.errors import CorruptPhoto, MissingExtra, UnsupportedPhoto
from retouchgpt.photo import avif_boxes, profiles
from retouchgpt.photo.files import Photo, open_photo, save_photo
from retouchgpt.photo.heif import narrowed, widened

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
ICC = profiles.made(profiles.DISPLAY_P3)


def exif_block() -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", 1
    exif.get_ifd(0x8825)[1] = "N"
    return exif.tobytes()


def photo_of(bits: int, mode: str, **keywords: Any) -> Photo:
    rng = np.random.default_rng(bits)
    codes = rng.integers(0, 1 << bits, (48, 66, 4)).astype(np.uint16)
    pixels = codes.astype(np.uint8) if bits == 8 else widened(codes, bits)
    if mode == "L":
        pixels[..., 1] = pixels[..., 2] = pixels[..., 0]
    alpha = np.ascontiguousarray(pixels[..., 3]) if mode == "RGBA" else None
    own = mode if bits == 8 or mode != "L" else "I;16"
    bits_kept = None if bits == 8 else bits
    return Photo(None, np.ascontiguousarray(pixels[..., :3]), "HEIF", own, alpha, bits=bits_kept, **keywords)


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_every_depth_comes_back_to_the_bit(suffix: str, mode: str, bits: int, tmp_path: Path) -> None:
    photo = photo_of(bits, mode, icc=ICC, exif=exif_block(), xmp=XMP)
    out = tmp_path / f"a{suffix}"
    save_photo(photo, photo.pixels, out)
    again = open_photo(out)
    assert again.depth == photo.depth
    assert again.bits == photo.bits
    assert np.array_equal(again.pixels, photo.pixels)
    assert (again.alpha is None) == (photo.alpha is None)
    if photo.alpha is not None:
        assert np.array_equal(again.alpha, photo.alpha)
    assert (again.icc, again.xmp) == (ICC, XMP)
    read = Image.Exif()
    read.load(again.exif)
    assert read[0x010F] == "Camera"
    assert read.get_ifd(0x8825)[1] == "N"


def test_numbers_are_spread_and_come_back() -> None:
    for bits in (10, 12):
        codes = np.arange(1 << bits)
        wide = widened(codes, bits)
        assert wide[-1] == 65535
        assert (np.diff(wide.astype(int)) > 0).all()
        assert np.array_equal(narrowed(wide, bits), codes)
        assert np.abs(wide / 65535 - codes / codes[-1]).max() < 1 / 65535


@pytest.mark.parametrize("bits", [8, 12])
def test_an_avif_with_metadata_is_read_by_pillow(bits: int, tmp_path: Path) -> None:
    photo = photo_of(bits, "RGBA", icc=ICC, exif=exif_block(), xmp=XMP)
    save_photo(photo, photo.pixels, tmp_path / "a.avif")
    with Image.open(tmp_path / "a.avif") as image:
        assert image.info["icc_profile"] == ICC
        assert image.info["xmp"] == XMP
        assert image.getexif()[0x010F] == "Camera"
        shown = np.asarray(image).astype(int)
    assert np.abs(shown[..., :3] - photo.pixels / (257 if bits > 8 else 1)).max() <= 1
    assert np.abs(shown[..., 3] - photo.alpha / (257 if bits > 8 else 1)).max() <= 1


def test_boxes_of_another_layout_are_refused() -> None:
    coded = imagecodecs.avif_encode(np.zeros((40, 40, 3), np.uint8), level=100)
    assert avif_boxes.with_metadata(coded, icc=None, exif=None, xmp=None)[28:] == coded[28:]
    for broken in (coded[:60], b"xxxx" + coded, coded.replace(b"meta", b"atem")):
        with pytest.raises((ValueError, KeyError)):
            avif_boxes.with_metadata(broken, icc=ICC, exif=None, xmp=XMP)


@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_a_turned_heic_is_turned_once(orientation: int, tmp_path: Path) -> None:
    pixels = photo_of(8, "RGB").pixels
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = pillow_heif.from_pillow(Image.fromarray(pixels))
    image.save(tmp_path / "a.heic", quality=-1, chroma=444, matrix_coefficients=0, exif=exif.tobytes())
    photo = open_photo(tmp_path / "a.heic")
    turned = {1: pixels, 6: np.rot90(pixels, -1), 8: np.rot90(pixels)}[orientation]
    assert np.array_equal(photo.pixels, turned)
    save_photo(photo, photo.pixels, tmp_path / "b.heic")
    assert np.array_equal(open_photo(tmp_path / "b.heic").pixels, turned)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_avif_is_turned_once(orientation: int, tmp_path: Path) -> None:
    smooth = np.tile(np.linspace(0, 255, 66).astype(np.uint8)[:, None], (48, 1, 3))
    smooth[:20, :20] = 200
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(smooth).save(tmp_path / "a.png", exif=exif)
    Image.fromarray(smooth).save(tmp_path / "a.avif", quality=95, exif=exif)  # takes the orientation out of `exif`
    difference = open_photo(tmp_path / "a.avif").pixels.astype(int) - open_photo(tmp_path / "a.png").pixels
    assert np.abs(difference).mean() < 3
    photo = open_photo(tmp_path / "a.avif")
    save_photo(photo, photo.pixels, tmp_path / "b.avif")
    assert np.array_equal(open_photo(tmp_path / "b.avif").pixels, photo.pixels)


def test_colours_by_number_become_a_profile_and_hdr_is_refused(tmp_path: Path) -> None:
    grey = np.full((48, 48, 3), 100, np.uint8)
    path = tmp_path / "a.avif"
    path.write_bytes(imagecodecs.avif_encode(grey, level=100, primaries=12, transfer=13))
    assert open_photo(path).icc == profiles.made(profiles.DISPLAY_P3)
    path.write_bytes(imagecodecs.avif_encode(grey.astype(np.uint16) * 4, level=100, bitspersample=10, primaries=9,
                                             transfer=16))  # fmt: skip
    with pytest.raises(UnsupportedPhoto, match="high dynamic range"):
        open_photo(path)


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_damaged_or_without_its_decoder(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = photo_of(8, "RGB")
    path = tmp_path / f"a{suffix}"
    save_photo(photo, photo.pixels, path)
    (tmp_path / f"b{suffix}").write_bytes(path.read_bytes()[:300])
    with pytest.raises(CorruptPhoto):
        open_photo(tmp_path / f"b{suffix}")
    found = importlib.util.find_spec
    gone = ("pillow_heif", "imagecodecs")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in gone else found(name, *rest))
    with pytest.raises(MissingExtra, match="heif"):
        open_photo(path)
    with pytest.raises(MissingExtra, match="heif"):
        save_photo(photo, photo.pixels, tmp_path / f"c{suffix}")
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"a{suffix}", f"b{suffix}"]


def test_sixteen_bits_become_twelve_with_a_word(tmp_path: Path) -> None:
    deep = Photo(None, np.random.default_rng(0).integers(0, 65536, (40, 40, 3), dtype=np.uint16), "TIFF", "RGB")
    for suffix in (".heic", ".avif"):
        saved = save_photo(deep, deep.pixels, tmp_path / f"a{suffix}")
        assert "12 bits" in saved.notes[0]
        moved = open_photo(saved.path).pixels.astype(int) - deep.pixels
        assert np.abs(moved).max() <= 9
