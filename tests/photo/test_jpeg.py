"""JPEG: blocks that an edit does not touch, in every sampling and orientation, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from retouchgpt.photo import jpeg
from retouchgpt.photo.files import open_photo, save_photo


def picture(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 1.5), None, 0, 255, cv2.NORM_MINMAX)


def edited(pixels: np.ndarray) -> np.ndarray:
    out = pixels.copy()
    out[50:58, 40:47] = 255 - out[50:58, 40:47]
    return out


def write(path: Path, pixels: np.ndarray, orientation: int = 1, **keywords: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, quality=91, exif=exif, icc_profile=b"profile" * 9, **keywords)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("subsampling", [0, 2, "grey"])
def test_untouched_blocks_are_the_originals(subsampling: Any, orientation: int, tmp_path: Path) -> None:
    pytest.importorskip("jpeglib")
    path, out = tmp_path / "in.jpg", tmp_path / "out.jpg"
    pixels = picture(160, 128)
    if subsampling == "grey":
        write(path, pixels[..., 0], orientation)
    else:
        write(path, pixels, orientation, subsampling=subsampling)
    photo = open_photo(path)
    after = edited(photo.pixels)
    if subsampling == "grey":
        after = np.repeat(after[..., :1], 3, 2)
    notes = save_photo(photo, after, out).notes
    assert jpeg.KEPT in notes[-1]
    again = open_photo(out)
    near = cv2.dilate((photo.pixels != after).any(2).astype(np.uint8), np.ones((35, 35))) > 0
    moved = np.abs(again.pixels[~near].astype(int) - photo.pixels[~near])
    assert moved.max() <= (0 if orientation == 1 else jpeg.TURNED)
    assert moved.mean() < 0.3
    assert np.abs(again.pixels.astype(int) - after)[52:56, 42:45].mean() < 40, "the edit is in the file"
    assert again.icc == photo.icc
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.jpg", "out.jpg"]


@pytest.mark.parametrize("size", [(150, 125), (160, 128)])
def test_an_unchanged_photo_keeps_every_pixel(size: tuple[int, int], tmp_path: Path) -> None:
    pytest.importorskip("jpeglib")
    write(tmp_path / "in.jpg", picture(*size), subsampling=2)
    photo = open_photo(tmp_path / "in.jpg")
    save_photo(photo, photo.pixels, tmp_path / "out.jpg")
    assert np.array_equal(open_photo(tmp_path / "out.jpg").pixels, photo.pixels)


def test_a_file_that_changed_since_is_not_mixed_in(tmp_path: Path) -> None:
    write(tmp_path / "in.jpg", picture(160, 128), subsampling=2)
    photo = open_photo(tmp_path / "in.jpg")
    write(tmp_path / "in.jpg", picture(160, 128)[::-1], subsampling=2)
    saved = save_photo(photo, edited(photo.pixels), tmp_path / "out.jpg")
    again = open_photo(tmp_path / "out.jpg")
    assert np.abs(again.pixels.astype(int) - edited(photo.pixels)).mean() < 6
    assert "coded anew" in saved.notes[-1]
    assert again.icc == photo.icc


def test_what_is_said_of_a_coding_anew_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg, "_keep_blocks", lambda *_: False)
    write(tmp_path / "in.jpg", picture(160, 128), subsampling=2)
    photo = open_photo(tmp_path / "in.jpg")
    after = edited(photo.pixels)
    note = save_photo(photo, after, tmp_path / "out.jpg").notes[-1]
    moved = np.abs(open_photo(tmp_path / "out.jpg").pixels.astype(int) - photo.pixels).max(2)
    outside = moved[(photo.pixels == after).all(2)]
    assert f"{(outside == 0).mean():.2%} of the pixels" in note
    assert f"at most {outside.max()} of 255" in note


def test_sideways_photos_have_their_tables_turned(tmp_path: Path) -> None:
    write(tmp_path / "in.jpg", picture(160, 128), orientation=6, subsampling=2)
    photo = open_photo(tmp_path / "in.jpg")
    save_photo(photo, photo.pixels, tmp_path / "out.jpg")
    with Image.open(tmp_path / "in.jpg") as a, Image.open(tmp_path / "out.jpg") as b:
        for k, table in a.quantization.items():
            assert np.array_equal(np.reshape(table, (8, 8)).T, np.reshape(b.quantization[k], (8, 8)))
