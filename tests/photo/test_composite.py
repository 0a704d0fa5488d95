"""Geometry there and back, exactness outside the mask, fine remains, tiles."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from retouchgpt.core.geometry import Box, Similarity, face_alignment
from retouchgpt.photo import composite
from retouchgpt.photo.composite import paste, paste_all, to_model
from retouchgpt.photo.detail import GREEN, finer_remains, surroundings
from retouchgpt.photo.tiling import tiles


def disc(size: int, x: float, y: float, radius: float) -> np.ndarray:
    yy, xx = np.mgrid[:size, :size] + 0.5
    return (1 - (np.hypot(xx - x, yy - y) - radius).clip(0, 1)).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("scale", [0.2, 0.5, 1.0, 1.7])
def test_only_pixels_inside_the_mask_change(dtype: type, scale: float) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, np.iinfo(dtype).max, (600, 700, 3), dtype=dtype)
    alignment = Similarity(scale, 0.2, 20.0, -30.0)
    mask = disc(256, 100, 120, 20)
    pasted = paste(pixels, np.full((256, 256, 3), 0.2, np.float32) * mask[..., None], mask, alignment)
    outside = pasted.mask == 0
    assert np.array_equal(pasted.pixels[outside], pixels[outside])
    assert (pasted.pixels != pixels).any()
    assert pasted.pixels.dtype == dtype
    centre = alignment.inverse().apply(np.array([[100, 120]]))[0]
    if 0 <= centre[0] < 700 and 0 <= centre[1] < 600:
        assert pasted.mask[int(centre[1]), int(centre[0])] > 0.9


def test_an_empty_mask_gives_the_photo_back() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    pasted = paste(pixels, np.ones((128, 128, 3)), np.zeros((128, 128)), Similarity(0.4, 0, 0, 0))
    assert np.array_equal(pasted.pixels, pixels)
    assert not pasted.mask.any()


@pytest.mark.parametrize("zoom", [1, 2, 4])
def test_the_crop_is_the_same_face_at_every_size(zoom: int, portrait: Any, portrait_landmarks: Any) -> None:
    base = to_model(portrait, face_alignment(portrait_landmarks, 256), 256)
    large = cv2.resize(portrait, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    crop = to_model(large, face_alignment(portrait_landmarks * zoom, 256), 256)
    assert np.abs(crop - base).mean() < 0.012


def test_correction_lands_where_it_was_computed(portrait: Any, portrait_landmarks: Any) -> None:
    alignment = face_alignment(portrait_landmarks, 256)
    mask = disc(256, 90, 150, 12)
    pasted = paste(portrait, -0.3 * np.repeat(mask[..., None], 3, 2), mask, alignment)
    difference = to_model(pasted.pixels, alignment, 256) - to_model(portrait, alignment, 256)
    ys, xs = np.nonzero(difference.mean(2) < -0.1)
    assert abs(xs.mean() + 0.5 - 90) < 0.7
    assert abs(ys.mean() + 0.5 - 150) < 0.7


def test_overlapping_faces_are_never_corrected_twice() -> None:
    pixels = np.full((200, 200, 3), 100, np.uint8)
    mask, change = np.ones((64, 64), np.float32), np.full((64, 64, 3), 0.1, np.float32)
    repair = (change, mask, Similarity(0.5, 0, 0, 0))
    once, twice = paste_all(pixels, [repair]), paste_all(pixels, [repair, repair])
    assert np.array_equal(once.pixels, twice.pixels)
    assert once.pixels.max() in (125, 126)


def test_where_two_frames_overlap_each_pixel_is_one_faces() -> None:
    pixels = np.random.default_rng(3).integers(40, 200, (160, 260, 3), dtype=np.uint8)
    left = (np.full((64, 64, 3), 0.1, np.float32), disc(64, 32, 32, 25), Similarity(0.4, 0, 0, 0))
    right = (np.full((64, 64, 3), -0.1, np.float32), disc(64, 32, 32, 25), Similarity(0.4, 0, -36.0, 0))
    both = paste_all(pixels, [left, right], detail=False)
    alone = [paste_all(pixels, [r], detail=False) for r in (left, right)]
    overlap = (alone[0].mask > 0) & (alone[1].mask > 0)
    assert overlap.sum() > 200
    for_each = [(both.pixels == a.pixels).all(2) for a in alone]
    assert (for_each[0] | for_each[1]).all()
    assert np.array_equal(both.mask, np.maximum(alone[0].mask, alone[1].mask))


def test_fine_remains_of_a_mark_go_and_pores_stay() -> None:
    rng = np.random.default_rng(1)
    grain = cv2.GaussianBlur(rng.normal(0, 0.03, (400, 400)).astype(np.float32), (0, 0), 1.0)
    skin = np.repeat((0.6 + grain)[..., None], 3, 2)
    mark = cv2.GaussianBlur(disc(400, 200, 200, 30), (0, 0), 0.8)[..., None] * np.float32(-0.35)
    source = skin + mark
    scale = 0.25
    seen = cv2.resize(mark, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    change = -cv2.resize(np.atleast_3d(seen), (400, 400), interpolation=cv2.INTER_CUBIC)[..., None] * np.ones(3)
    mask = cv2.dilate((np.abs(change).max(2) > 0.01).astype(np.float32), np.ones((5, 5)))
    plain = source + change
    area = Box(0, 0, 400, 400)
    around = surroundings([(area, area, source[..., GREEN], mask)], area, scale).at(area)
    better = plain + finer_remains(source, change.astype(np.float32), mask, scale, around)
    rim = (disc(400, 200, 200, 34) > 0.5) & (disc(400, 200, 200, 26) < 0.5)
    error = [np.abs(x - skin)[rim].mean() for x in (plain, better)]
    assert error[1] < 0.75 * error[0]

    def texture(image: np.ndarray, where: np.ndarray) -> float:
        return float((image - cv2.GaussianBlur(image, (0, 0), 2))[where].std())

    middle, outside = disc(400, 200, 200, 20) > 0.5, mask == 0
    assert 0.9 < texture(better, middle) / texture(skin, outside) < 1.1
    assert np.array_equal(better[outside], plain[outside])


def test_the_detail_pass_does_not_depend_on_where_tiles_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    side, size = 1200, 240
    skin = 0.6 + cv2.GaussianBlur(rng.normal(0, 0.12, (side, side)).astype(np.float32), (0, 0), 1.5)
    skin[:, :400] += rng.normal(0, 0.1, (side, 400)).astype(np.float32)  # busy as hair is
    mark = np.zeros((side, side), np.float32)
    for x in range(450, 1200, 90):
        for y in range(90, 1200, 90):
            cv2.circle(mark, (x, y), 18, 1.0, -1, cv2.LINE_AA)
    cv2.circle(mark, (60, 60), 18, 1.0, -1, cv2.LINE_AA)  # so that the busy part belongs to the edit's box
    pixels = np.rint((np.repeat(skin[..., None], 3, 2) - 0.3 * mark[..., None]).clip(0, 1) * 65535).astype(np.uint16)
    seen = cv2.resize(mark, (size, size), interpolation=cv2.INTER_AREA)
    mask = cv2.GaussianBlur((cv2.dilate(seen, np.ones((3, 3))) > 0.05).astype(np.float32), (0, 0), 0.8)
    change = np.repeat((0.3 * seen * mask)[..., None], 3, 2)
    layouts = []
    for tile in (256, 1024, 4096):
        monkeypatch.setattr(composite, "TILE", tile)
        layouts.append(paste(pixels, change, mask, Similarity(size / side, 0, 0, 0)).pixels.astype(int) / 257)
    assert np.abs(layouts[0] - layouts[2]).max() < 3, "levels of 255"
    assert np.abs(layouts[0] - layouts[2]).mean() < 0.01
    assert np.abs(layouts[1] - layouts[2]).max() < 3


def test_tiles_cover_once_and_read_with_a_margin() -> None:
    area = Box(3, 5, 260, 131)
    count = np.zeros((140, 270), int)
    for tile in tiles(area, 64, 8):
        count[tile.core.slices] += 1
        assert tile.padded.x0 == max(tile.core.x0 - 8, area.x0)
        assert tile.padded.y1 == min(tile.core.y1 + 8, area.y1)
    assert (count[area.slices] == 1).all()
    assert count.sum() == area.extent.pixels
    with pytest.raises(ValueError, match="side"):
        list(tiles(area, 0, 0))


def test_tiles_leave_no_seam() -> None:
    pixels = np.full((1500, 1500, 3), 30000, np.uint16)
    y, x = np.mgrid[:128, :128].astype(np.float32) / 128
    change = np.repeat((0.2 * np.sin(6 * x) * np.cos(5 * y))[..., None], 3, 2)
    pasted = paste(pixels, change, np.ones((128, 128), np.float32), Similarity(128 / 1500, 0, 0, 0), detail=False)
    steps = np.abs(np.diff(pasted.pixels[20:-20, 20:-20, 0].astype(int), axis=1))
    assert steps[:, 1000:1008].max() <= steps.max() * 1.01
    assert steps.max() < 100
