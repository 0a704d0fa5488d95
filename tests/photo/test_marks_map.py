"""Marks without skin's colour are still skin; nostrils, large areas and strands are not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from retouchgpt.core.geometry import Extent
from retouchgpt.photo.regions import eye_distance, protected_map, with_marks


@pytest.fixture
def landmarks(portrait_landmarks: np.ndarray) -> np.ndarray:
    points = np.asarray(portrait_landmarks, np.float32)
    points = points - points.min(0)
    return points * (200 / points.max()) + 28


def cheek(landmarks: np.ndarray) -> tuple[int, int]:
    x, y = landmarks[[117, 118, 50, 205]].mean(0)
    return int(x), int(y)


def test_a_small_island_is_filled_and_a_large_one_is_not(landmarks: np.ndarray) -> None:
    unit, centre = eye_distance(landmarks), cheek(landmarks)
    for radius, filled in ((0.04, True), (0.35, False)):
        skin = np.ones((256, 256), np.float32)
        cv2.circle(skin, centre, max(round(radius * unit), 2), 0.0, -1)
        out = with_marks(skin, landmarks)
        assert (out[centre[1], centre[0]] > 0.5) is np.bool_(filled)
        assert (out >= skin).all()


def test_a_strand_across_the_cheek_stays_out(landmarks: np.ndarray) -> None:
    unit, (x, y) = eye_distance(landmarks), cheek(landmarks)
    skin = np.ones((256, 256), np.float32)
    skin[y - 1 : y + 2, round(x - 0.25 * unit) : round(x + 0.25 * unit)] = 0
    assert with_marks(skin, landmarks)[y, x] < 0.5


def test_nothing_protected_is_filled(landmarks: np.ndarray) -> None:
    protected = protected_map(landmarks, Extent(256, 256)) > 0.5
    skin = np.where(protected, 0, 1).astype(np.float32)
    out = with_marks(skin, landmarks)
    assert (out[protected] < 0.5).all()
