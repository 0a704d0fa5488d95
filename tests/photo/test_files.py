"""Files: a round trip of every format, depth, colour and orientation; every bad input by its own error."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from retouchgpt.core import errors
from retouchgpt.photo import files
from retouchgpt.photo.files import open_photo, save_photo

SIZE = (72, 96)


def picture(channels: int, dtype: type) -> np.ndarray:
    rng = np.random.default_rng(0)
    shape = SIZE if channels == 1 else (*SIZE, channels)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype)


def write(path: Path, pixels: np.ndarray, orientation: int, icc: bytes | None = None) -> None:
    if pixels.dtype == np.uint16:
        if path.suffix == ".tif":
            import tifffile

            tifffile.imwrite(path, pixels)
        else:
            cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)
        return
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Camera"
    keywords: dict[str, Any] = {"exif": exif, "dpi": (300, 300)}
    if icc:
        keywords["icc_profile"] = icc
    if path.suffix == ".webp":
        keywords |= {"lossless": True, "exact": True}
        del keywords["dpi"]
    Image.fromarray(pixels).save(path, **keywords)


CASES = [
    (suffix, channels, np.uint8, orientation)
    for suffix in (".png", ".tif", ".webp")
    for channels in (1, 3, 4)
    for orientation in (1, 3, 6, 8)
    if not (suffix == ".webp" and channels == 1)
] + [(suffix, channels, np.uint16, 1) for suffix in (".png", ".tif") for channels in (1, 3)]


@pytest.mark.parametrize(("suffix", "channels", "dtype", "orientation"), CASES)
def test_round_trip_keeps_every_pixel_outside_the_edit(
    suffix: str, channels: int, dtype: type, orientation: int, tmp_path: Path
) -> None:
    path, out = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    write(path, picture(channels, dtype), orientation)
    photo = open_photo(path)
    assert photo.depth == np.dtype(dtype).itemsize * 8
    assert photo.grey == (channels == 1)
    edited = photo.pixels.copy()
    edited[10:20, 10:20] = np.iinfo(dtype).max // 2
    save_photo(photo, edited, out)
    again = open_photo(out)
    assert again.orientation == 1, "orientation is applied once"
    assert again.pixels.dtype == dtype
    assert np.array_equal(again.pixels, edited)
    if channels == 4:
        assert np.array_equal(again.alpha, photo.alpha)
    if dtype == np.uint8:
        assert again.grey == photo.grey
        assert Image.open(out).getexif()[0x010F] == "Camera"


def test_orientation_turns_as_pillow_does(tmp_path: Path) -> None:
    from PIL import ImageOps

    for orientation in range(1, 9):
        path = tmp_path / f"{orientation}.png"
        write(path, picture(3, np.uint8), orientation)
        with Image.open(path) as image:
            expected = np.asarray(ImageOps.exif_transpose(image))
        assert np.array_equal(open_photo(path).pixels, expected)


def test_jpeg_keeps_tables_sampling_profile_and_density(tmp_path: Path) -> None:
    path, out = tmp_path / "in.jpg", tmp_path / "out.jpg"
    smooth = cv2.GaussianBlur(picture(3, np.uint8), (0, 0), 4)
    Image.fromarray(smooth).save(path, quality=83, subsampling=2, dpi=(240, 240), icc_profile=b"profile" * 30)
    photo = open_photo(path)
    save_photo(photo, photo.pixels, out)
    with Image.open(path) as a, Image.open(out) as b:
        assert a.quantization == b.quantization
        assert b.info["icc_profile"] == b"profile" * 30
        assert b.info["dpi"] == (240, 240)
        difference = np.abs(np.asarray(a).astype(int) - np.asarray(b).astype(int))
    assert difference.mean() < 1.0


def test_jpeg_exif_is_upright_without_thumbnail_and_otherwise_whole(tmp_path: Path) -> None:
    path, out = tmp_path / "in.jpg", tmp_path / "out.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Camera"
    exif.get_ifd(0x8825)[1] = "N"
    Image.fromarray(picture(3, np.uint8)).save(path, exif=exif)
    save_photo(open_photo(path), open_photo(path).pixels, out)
    with Image.open(out) as image:
        read = image.getexif()
        assert read[0x0112] == 1
        assert read[0x010F] == "Camera"
        assert read.get_ifd(0x8825)[1] == "N"
        assert image.size == (SIZE[0], SIZE[1])


def test_palette_stays_a_palette(tmp_path: Path) -> None:
    path, out = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(picture(3, np.uint8)).quantize(64).save(path)
    photo = open_photo(path)
    edited = photo.pixels.copy()
    edited[5:9, 5:9] = 128
    save_photo(photo, edited, out)
    with Image.open(path) as a, Image.open(out) as b:
        assert b.mode == "P"
        left, right = np.asarray(a), np.asarray(b)
    changed = left != right
    assert not changed[20:].any()
    assert np.array_equal(np.asarray(Image.open(out).convert("RGB"))[20:], photo.pixels[20:])


@pytest.mark.parametrize("colours", [64, 256])
def test_a_palette_takes_new_colours_while_it_has_room(colours: int, tmp_path: Path) -> None:
    path, out = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(picture(3, np.uint8)).quantize(colours).save(path)
    photo = open_photo(path)
    edited = photo.pixels.copy()
    edited[5:15, 5:15] = picture(3, np.uint8)[5:15, 5:15]
    saved = save_photo(photo, edited, out)
    again = open_photo(out)
    assert again.mode == "P"
    assert np.array_equal(again.pixels[20:], photo.pixels[20:])
    assert np.array_equal(again.pixels, edited) == (colours == 64)
    assert any("nearest" in n for n in saved.notes) == (colours == 256)


def test_cmyk_is_converted_and_said(tmp_path: Path) -> None:
    path = tmp_path / "in.jpg"
    Image.fromarray(picture(4, np.uint8), "CMYK").save(path)
    photo = open_photo(path)
    assert photo.pixels.shape == (*SIZE, 3)
    assert "CMYK" in photo.notes[0]
    save_photo(photo, photo.pixels, tmp_path / "out.jpg")
    assert Image.open(tmp_path / "out.jpg").mode == "RGB"


def make_bad(name: str, folder: Path) -> Path:
    path = folder / f"{name}.png"
    whole = folder / "whole.png"
    Image.fromarray(picture(3, np.uint8)).save(whole)
    if name == "text":
        path.write_text("not an image")
    elif name == "empty":
        path.write_bytes(b"")
    elif name == "truncated":
        path.write_bytes(whole.read_bytes()[:2000])
    elif name == "one_pixel":
        Image.new("RGB", (1, 1)).save(path)
    elif name == "animated":
        frames = [Image.new("RGB", SIZE[::-1], c) for c in ("red", "blue")]
        frames[0].save(path, save_all=True, append_images=frames[1:])
    elif name == "folder":
        path.mkdir()
    elif name == "fifo":
        os.mkfifo(path)
    elif name == "loop":
        path.symlink_to(path)
    elif name == "gif":
        path = folder / "x.gif"
        Image.new("P", SIZE[::-1]).save(path)
    return path


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("missing", errors.PhotoNotFound),
        ("loop", errors.PhotoNotFound),
        ("text", errors.NotAnImage),
        ("empty", errors.NotAnImage),
        ("folder", errors.NotAnImage),
        ("fifo", errors.NotAnImage),
        ("gif", errors.NotAnImage),
        ("truncated", errors.CorruptPhoto),
        ("one_pixel", errors.PhotoTooSmall),
        ("animated", errors.AnimatedPhoto),
    ],
)
def test_bad_input_has_its_own_error_in_one_line(name: str, error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error) as caught:
        open_photo(make_bad(name, tmp_path))
    assert len(str(caught.value).splitlines()) == 1


def test_too_many_pixels_are_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import struct
    import zlib

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    path = tmp_path / "huge.png"
    head = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    with pytest.raises(errors.PhotoTooLarge, match="400 megapixels"):
        open_photo(path)


@pytest.fixture
def photo(tmp_path: Path) -> files.Photo:
    Image.fromarray(picture(3, np.uint8)).save(tmp_path / "in.png")
    return open_photo(tmp_path / "in.png")


def test_an_existing_file_is_replaced_only_when_told(photo: files.Photo, tmp_path: Path) -> None:
    before = (tmp_path / "in.png").read_bytes()
    with pytest.raises(errors.OutputExists):
        save_photo(photo, photo.pixels, tmp_path / "in.png")
    assert (tmp_path / "in.png").read_bytes() == before
    save_photo(photo, np.zeros_like(photo.pixels), tmp_path / "in.png", overwrite=True)
    assert open_photo(tmp_path / "in.png").pixels.max() == 0


def test_a_full_disk_leaves_nothing_behind(photo: files.Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(errors.OutputNotWritable, match="No space left"):
        save_photo(photo, photo.pixels, tmp_path / "out.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.png"]


def test_bad_outputs_are_named(photo: files.Photo, tmp_path: Path) -> None:
    with pytest.raises(errors.UnsupportedPhoto, match="suffix"):
        save_photo(photo, photo.pixels, tmp_path / "out.xyz")
    with pytest.raises(errors.OutputNotWritable, match="does not exist"):
        save_photo(photo, photo.pixels, tmp_path / "none" / "out.png")


def test_long_unicode_names_are_written(photo: files.Photo, tmp_path: Path) -> None:
    out = tmp_path / ("\N{GRINNING FACE}" * 60 + ".png")
    save_photo(photo, photo.pixels, out)
    assert np.array_equal(open_photo(out).pixels, photo.pixels)
    with pytest.raises(errors.OutputNotWritable):
        save_photo(photo, photo.pixels, tmp_path / ("x" * 300 + ".png"))


def test_a_link_is_written_through(photo: files.Photo, tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(tmp_path / "in.png")
    with pytest.raises(errors.OutputExists):
        save_photo(photo, photo.pixels, tmp_path / "link.png")
    save_photo(photo, np.zeros_like(photo.pixels), tmp_path / "link.png", overwrite=True)
    assert (tmp_path / "link.png").is_symlink()
    assert open_photo(tmp_path / "in.png").pixels.max() == 0


def test_what_a_format_cannot_hold_is_said(photo: files.Photo, tmp_path: Path) -> None:
    wide = files.Photo(None, np.zeros((40, 17_000, 3), np.uint8), "PNG", "RGB")
    with pytest.raises(errors.OutputNotWritable, match="WebP"):
        save_photo(wide, wide.pixels, tmp_path / "wide.webp")
    told = replace(photo, exif=b"Exif\0\0" + bytes(70_000), xmp=b"x" * 70_000)
    notes = [n for n in save_photo(told, told.pixels, tmp_path / "out.jpg").notes if "block above" in n]
    assert [n.split()[3] for n in notes] == ["EXIF", "XMP"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.png", "out.jpg"]


def test_two_readers_leave_pillows_limit_as_it_was() -> None:
    before = Image.MAX_IMAGE_PIXELS
    first, second = files._own_limit(), files._own_limit()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert Image.MAX_IMAGE_PIXELS is None, "the second still reads"
    second.__exit__(None, None, None)
    assert before == Image.MAX_IMAGE_PIXELS
