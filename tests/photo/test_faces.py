"""Faces on the public-domain portrait: at several sizes, turned, two at once, none."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import cv2
import numpy as np
import pytest

from retouchgpt.core.errors import FaceTooSmall, NoFaceFound, NoSuchFace
from retouchgpt.photo.faces import LEAST_FACE_PX, MediapipeFaces, choose, shared_finder


@pytest.fixture(scope="module")
def finder() -> MediapipeFaces:
    return shared_finder()


def test_found_where_she_is(finder: MediapipeFaces, portrait: Any, portrait_landmarks: Any, capfd: Any) -> None:
    faces = finder.find(portrait)
    assert len(faces) == 1
    assert faces[0].landmarks.shape == (478, 2)
    assert np.abs(faces[0].landmarks - portrait_landmarks).mean() < 3
    assert capfd.readouterr().err == "", "native logging must not reach the terminal"


@pytest.mark.parametrize("zoom", [0.8, 3.0])
def test_found_at_other_sizes(zoom: float, finder: MediapipeFaces, portrait: Any, portrait_landmarks: Any) -> None:
    picture = cv2.resize(portrait, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
    faces = finder.find(picture)
    assert len(faces) == 1
    assert np.abs(faces[0].landmarks / zoom - portrait_landmarks).mean() < 4


@pytest.mark.parametrize("angle", [-40, 30])
def test_found_when_turned(angle: float, finder: MediapipeFaces, portrait: Any, portrait_landmarks: Any) -> None:
    matrix = cv2.getRotationMatrix2D((225, 125), angle, 1.0)
    matrix[:, 2] += 100
    faces = finder.find(cv2.warpAffine(portrait, matrix, (700, 700)))
    assert len(faces) == 1
    expected = portrait_landmarks @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(faces[0].landmarks - expected).mean() < 6


def test_small_face_in_a_large_photo_and_two_sizes(finder: MediapipeFaces, portrait: Any) -> None:
    canvas = np.full((2400, 3600, 3), 90, np.uint8)
    canvas[100:612, 200:712] = portrait
    canvas[900:1924, 2000:3024] = cv2.resize(portrait, (1024, 1024))
    faces = finder.find(canvas)
    assert [f.index for f in faces] == [1, 2]
    assert faces[0].width_px > 1.7 * faces[1].width_px
    assert [f.index for f in choose(faces, "all")] == [1, 2]
    assert choose(faces, "2")[0].index == 2
    with pytest.raises(NoSuchFace, match="2 found"):
        choose(faces, "3")


def test_a_group_down_to_the_least_size(finder: MediapipeFaces, portrait: Any, portrait_landmarks: Any) -> None:
    width = float(np.hypot(*(portrait_landmarks[454] - portrait_landmarks[234])))
    canvas = np.full((1200, 1600, 3), 110, np.uint8)
    for px, x in ((64, 60), (90, 460), (130, 960)):
        zoom = px / width
        small = cv2.resize(portrait[:400, :440], None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
        canvas[300 : 300 + small.shape[0], x : x + small.shape[1]] = small
    faces = choose(finder.find(canvas), "all")
    assert [f.width_px for f in faces] == pytest.approx([130, 90, 64], rel=0.08)
    assert [f.index for f in choose(faces, "the one on the left")] == [3]
    assert [f.index for f in choose(faces, "second from the left")] == [2]


def test_none_and_too_small(finder: MediapipeFaces, portrait: Any) -> None:
    with pytest.raises(NoFaceFound):
        choose(finder.find(np.full((300, 300, 3), 120, np.uint8)), "largest")
    tiny = cv2.resize(portrait, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    faces = finder.find(tiny)
    assert faces
    assert faces[0].width_px < LEAST_FACE_PX
    with pytest.raises(FaceTooSmall, match="60 px"):
        choose(faces, "largest")


def test_what_mediapipe_only_draws_with_is_not_imported() -> None:
    code = (
        "import sys; from retouchgpt.photo.faces import shared_finder; shared_finder(); "
        "print([n for n in sys.modules if n.split('.')[0] == 'matplotlib']); "
        "from mediapipe.python.solutions.drawing_utils import plt; print(callable(plt.figure))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "True"]
