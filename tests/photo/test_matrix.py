"""The round trip of every format x depth x profile x orientation: outside the edit, pixel for pixel as it was read.

Each file is written by another program's library in its stored orientation, opened, edited in one place, saved and
opened again.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image

from retouchgpt.photo import profiles
from retouchgpt.photo.files import open_photo, save_photo
from retouchgpt.photo.jpeg import KEPT
from retouchgpt.photo.metadata import SOURCE_TYPE

SIZE = (64, 96)
DEPTHS = {"png": (8, 16), "tif": (8, 16), "webp": (8,), "jpg": (8,), "heic": (8, 10, 12), "avif": (8, 10, 12)}
PROFILES = {
    "none": None,
    "srgb": profiles.made(profiles.SRGB),
    "adobe": profiles.made(profiles.ADOBE_RGB),
    "p3": profiles.made(profiles.DISPLAY_P3),
    "prophoto": profiles.made(profiles.PROPHOTO),
    "grey": profiles.made(profiles.ADOBE_RGB, grey=True),
}
CASES = [
    (form, depth, profile, orientation)
    for form, depths in DEPTHS.items()
    for depth, profile, orientation in product(depths, PROFILES, range(1, 9))
    if not (profile == "grey" and form in ("webp", "heic", "avif"))  # which store no grey, or no grey profile
]


def stored(depth: int, grey: bool) -> np.ndarray:
    rng = np.random.default_rng(depth)
    codes = rng.integers(0, 1 << depth, (*SIZE, 3)).astype(np.uint8 if depth == 8 else np.uint16)
    return codes[..., 0].copy() if grey else codes


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Camera"
    exif.get_ifd(0x8825)[1] = "N"
    return exif


def write(path: Path, codes: np.ndarray, depth: int, icc: bytes | None, orientation: int) -> None:
    """A file as other software writes it: tifffile, Pillow, libheif, libavif."""
    form, exif = path.suffix[1:], exif_of(orientation)
    keywords = {"icc_profile": icc} if icc else {}
    if form == "tif":
        tags = [(274, 3, 1, orientation, True), (271, 2, 0, "Camera", True)]
        kind = "minisblack" if codes.ndim == 2 else "rgb"
        tifffile.imwrite(path, codes, photometric=kind, iccprofile=icc, extratags=tags, metadata=None)
    elif form == "png" and depth == 16:
        raw = cv2.imencode(".png", codes if codes.ndim == 2 else codes[..., ::-1])[1].tobytes()
        plain = path.with_suffix(".x.png")  # the chunks of a small PNG by Pillow, put into OpenCV's deep one
        Image.new("L" if codes.ndim == 2 else "RGB", (40, 40)).save(plain, exif=exif, **keywords)
        small = plain.read_bytes()
        path.write_bytes(raw[:33] + small[33 : small.index(b"IDAT") - 4] + raw[33:])
    elif form == "heic":
        mode = "RGB" if depth == 8 else "RGB;16"
        data = codes if depth == 8 else codes << (16 - depth)
        image = pillow_heif.from_bytes(mode, SIZE[::-1], data.tobytes())
        if icc:
            image.info.update(icc_profile=icc, icc_profile_type="prof")
        keywords = {"bit_depth": depth, "exif": exif.tobytes(), "enc_params": {"preset": "ultrafast"}}
        image.save(path, quality=-1, chroma=444, matrix_coefficients=0, **keywords)
    elif form == "avif":
        keywords |= {"quality": 95, "subsampling": "4:4:4", "exif": exif, "speed": 10, "max_threads": 1}
        if depth == 8:
            Image.fromarray(codes).save(path, **keywords)
        else:
            path.write_bytes(imagecodecs.avif_encode(codes, level=100, speed=10, bitspersample=depth, numthreads=1))
    else:
        keywords |= {"webp": {"lossless": True, "exact": True}, "jpg": {"quality": 90}}.get(form, {})
        Image.fromarray(codes).save(path, exif=exif, **keywords)


@pytest.mark.parametrize(("form", "depth", "profile", "orientation"), CASES)
def test_round_trip(form: str, depth: int, profile: str, orientation: int, tmp_path: Path) -> None:
    path, out = tmp_path / f"in.{form}", tmp_path / f"out.{form}"
    icc = PROFILES[profile]
    codes = stored(depth, profile == "grey")
    if form == "jpg":
        codes = cv2.GaussianBlur(codes, (0, 0), 3)
    write(path, codes, depth, icc, orientation)
    photo = open_photo(path)
    by_boxes = form == "avif" and depth > 8  # written without metadata
    turned = orientation if form != "avif" or depth == 8 else 1
    assert photo.extent == (SIZE[::-1] if turned < 5 else SIZE)
    assert photo.depth == (8 if depth == 8 else 16)
    if form not in ("jpg", "avif"):
        assert np.array_equal(photo.pixels, upright(codes, depth, turned))
    edited = photo.pixels.copy()
    edited[16:32, 16:32] = np.iinfo(edited.dtype).max // 2
    saved = save_photo(photo, edited, out, note="remove the acne")
    again = open_photo(out)
    assert again.orientation == 1
    assert again.pixels.dtype == photo.pixels.dtype
    outside = (edited == photo.pixels).all(2)
    if form == "jpg":
        assert_jpeg(photo.pixels, again.pixels, ~outside, saved.notes, orientation)
    else:
        assert np.array_equal(again.pixels[outside], photo.pixels[outside])
        levels = 1 if form in ("heic", "avif") and depth > 8 else 0  # the edit itself is rounded to the file's depth
        assert np.abs(again.pixels.astype(int) - edited).max() <= levels * (1 << (16 - depth))
    assert again.grey == (profile == "grey")
    assert again.icc == (None if by_boxes else icc)
    assert SOURCE_TYPE.encode() in (again.xmp or b"")
    if not by_boxes:
        read = Image.Exif()
        read.load(again.exif)
        assert read[0x010F] == "Camera"
        assert read.get(0x0112, 1) == 1
        if form != "tif":
            assert read.get_ifd(0x8825)[1] == "N"


def upright(codes: np.ndarray, depth: int, orientation: int) -> np.ndarray:
    """What a viewer shows of stored pixels, by Pillow's own turning of an index of places."""
    from PIL import ImageOps

    places = Image.fromarray(np.arange(SIZE[0] * SIZE[1], dtype=np.int32).reshape(SIZE), "I")
    places.getexif()[0x0112] = orientation
    order = np.asarray(ImageOps.exif_transpose(places))
    wide = np.repeat(codes[..., None], 3, 2) if codes.ndim == 2 else codes
    if depth in (10, 12):
        wide = ((wide.astype(np.uint32) << (16 - depth)) | (wide >> (2 * depth - 16))).astype(np.uint16)
    return wide.reshape(-1, 3)[order]


def assert_jpeg(
    before: np.ndarray, after: np.ndarray, changed: np.ndarray, notes: tuple[str, ...], orientation: int
) -> None:
    """Blocks that the edit does not touch keep their coefficients; turned ones are rounded anew by the decoder."""
    assert any(KEPT in note for note in notes)
    far = cv2.dilate(changed.astype(np.uint8), np.ones((35, 35), np.uint8)) == 0
    moved = np.abs(after.astype(int) - before)[far]
    assert moved.max() <= (0 if orientation == 1 else 4)
