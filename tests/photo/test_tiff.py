"""TIFF and metadata: what Photoshop and cameras write is read as meant, and comes back with its blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, IptcImagePlugin

from retouchgpt.core.errors import AnimatedPhoto, UnsupportedPhoto
from retouchgpt.photo.files import Photo, open_photo, save_photo

RNG = np.random.default_rng(0)
DEEP = RNG.integers(0, 65535, (64, 80, 4), dtype=np.uint16)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
IPTC = b"\x1c\x02\x50\x00\x08Jane Doe"


def exif_block() -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", 1
    exif.get_ifd(0x8769)[0x829A] = 0.005
    exif.get_ifd(0x8769)[0xA434] = "A lens of some length 85 mm"
    exif.get_ifd(0x8825)[1] = "N"
    return exif.tobytes()


def test_lzw_as_photoshop_writes_it(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.tif"), DEEP[..., 2::-1])
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.pages.first.compression.name == "LZW"
    assert np.array_equal(open_photo(tmp_path / "a.tif").pixels, DEEP[..., :3])


def test_white_is_zero_and_ink_are_not_taken_for_light_and_alpha(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "w.tif", DEEP[..., 0], photometric="miniswhite")
    assert np.array_equal(open_photo(tmp_path / "w.tif").pixels[..., 1], 65535 - DEEP[..., 0])
    tifffile.imwrite(tmp_path / "c.tif", DEEP, photometric="separated")
    photo = open_photo(tmp_path / "c.tif")
    assert photo.alpha is None
    assert "CMYK" in photo.notes[0]
    expected = (1 - DEEP[..., :3] / 65535) * (1 - DEEP[..., 3:] / 65535) * 65535
    assert np.abs(photo.pixels - expected).max() <= 1


def test_grey_with_alpha_and_planes_apart(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "ga.tif", DEEP[..., :2], photometric="minisblack", extrasamples=["unassalpha"], planarconfig="contig"
    )
    photo = open_photo(tmp_path / "ga.tif")
    assert photo.grey
    save_photo(photo, photo.pixels, tmp_path / "out.tif")
    again = open_photo(tmp_path / "out.tif")
    assert again.grey
    assert np.array_equal(again.pixels, photo.pixels)
    assert np.array_equal(again.alpha, DEEP[..., 1])
    tifffile.imwrite(tmp_path / "p.tif", np.moveaxis(DEEP[..., :3], 2, 0), photometric="rgb", planarconfig="separate")
    assert np.array_equal(open_photo(tmp_path / "p.tif").pixels, DEEP[..., :3])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sixteen_bits_are_turned_once(orientation: int, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", DEEP[..., :3], photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    Image.fromarray((DEEP[..., :3] >> 8).astype(np.uint8)).save(
        tmp_path / "a.png", exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0" + bytes([orientation]) + bytes(7)
    )
    photo = open_photo(tmp_path / "a.tif")
    assert np.array_equal(photo.pixels >> 8, open_photo(tmp_path / "a.png").pixels)
    save_photo(photo, photo.pixels, tmp_path / "out.tif")
    assert np.array_equal(open_photo(tmp_path / "out.tif").pixels, photo.pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_every_block_comes_back(suffix: str, dtype: Any, tmp_path: Path) -> None:
    pixels = DEEP[..., :3].astype(dtype)
    photo = Photo(
        None, pixels, "TIFF", "RGB", icc=b"profile" * 30, exif=exif_block(), xmp=XMP, iptc=IPTC, dpi=(300.0, 300.0)
    )
    notes = save_photo(photo, pixels, tmp_path / f"a{suffix}").notes
    again = open_photo(tmp_path / f"a{suffix}")
    assert again.depth == photo.depth
    assert np.array_equal(again.pixels, pixels)
    assert again.xmp == XMP
    assert again.iptc == (IPTC if suffix == ".tif" else None)
    assert any("IPTC" in n for n in notes) == (suffix == ".png")
    if not (suffix == ".png" and dtype == np.uint8):
        assert again.icc == photo.icc
    assert again.dpi == pytest.approx((300, 300), abs=0.01)
    read = Image.Exif()
    read.load(again.exif)
    assert read[0x010F] == "Camera"
    assert float(read.get_ifd(0x8769)[0x829A]) == pytest.approx(0.005)
    assert read.get_ifd(0x8769)[0xA434] == "A lens of some length 85 mm"
    assert read.get_ifd(0x8825)[1] == "N"


def test_iptc_of_a_jpeg_comes_back(tmp_path: Path) -> None:
    photo = Photo(None, (DEEP[..., :3] >> 8).astype(np.uint8), "JPEG", "RGB", iptc=IPTC)
    save_photo(photo, photo.pixels, tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        assert IptcImagePlugin.getiptcinfo(image) == {(2, 80): b"Jane Doe"}
    assert open_photo(tmp_path / "a.jpg").iptc == IPTC


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "f.tif", DEEP[..., :3].astype(np.float32), photometric="rgb")
    with pytest.raises(UnsupportedPhoto, match="float32"):
        open_photo(tmp_path / "f.tif")
    tifffile.imwrite(tmp_path / "m.tif", np.stack([DEEP[..., 0]] * 3), photometric="minisblack")
    with pytest.raises(AnimatedPhoto, match="3 frames"):
        open_photo(tmp_path / "m.tif")
