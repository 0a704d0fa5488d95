"""Healing: a mark goes, its paint gives the photo back, and it can be laid on another face; nothing else changes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from retouchgpt.data.cache import PaintedCache, paint_ahead
from retouchgpt.data.canvas import Canvas, from_log
from retouchgpt.data.healing import WIDER, borrow, heal, lend
from retouchgpt.data.painter import PainterConfig, paint
from retouchgpt.data.real_marks import REACH, RealMark

MARK = RealMark("moles", 0.0, -0.35, 0.02)
"""On the forehead."""
STILL = PainterConfig(nothing=1.0, blur=(0, 0), noise=(0, 0), raw=1.0)


@pytest.fixture(scope="module")
def marked(face: Any) -> tuple[NDArray[np.uint8], NDArray[np.float32], RealMark]:
    """A face with a dark dot drawn on it, and the dot's place."""
    image, landmarks = face
    mark, out = MARK.placed(landmarks), image.copy()
    dot = np.zeros(image.shape[:2], np.float32)
    cv2.circle(dot, (round(mark.x), round(mark.y)), max(round(mark.radius), 1), 1, -1)
    dot = cv2.GaussianBlur(dot, (0, 0), 0.7)[..., None]
    return (out * (1 - 0.7 * dot)).astype(np.uint8), landmarks, mark


def test_a_mark_goes_and_its_paint_gives_the_photo_back(marked: Any, face: Any) -> None:
    image, landmarks, mark = marked
    canvas = Canvas(image, landmarks)
    before = canvas.log.copy()
    (paint_of_it,) = heal(canvas, [mark])
    assert paint_of_it.kind == "moles"
    assert paint_of_it.region == "forehead"
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    away = np.hypot(x + 0.5 - mark.x, y + 0.5 - mark.y)
    healed = from_log(canvas.log) * 255
    core, clean = away < mark.radius, face[0].astype(float)
    left = np.abs(healed[core] - clean[core]).mean() / np.abs(image[core] - clean[core]).mean()
    assert left < 0.15
    beyond = away > mark.radius * REACH * WIDER + 1
    assert np.array_equal(canvas.log[beyond], before[beyond])
    canvas.log[paint_of_it.window] += paint_of_it.delta
    assert np.allclose(canvas.log, before, atol=1e-5)


def test_what_is_not_there_or_not_here_stays(marked: Any) -> None:
    image, landmarks, mark = marked
    canvas = Canvas(image, landmarks)
    before = canvas.log.copy()
    assert not heal(canvas, [mark._replace(there=False), mark._replace(x=-20.0), mark._replace(x=3.0, y=3.0)])
    assert np.array_equal(canvas.log, before)


def test_a_real_mark_counts_as_paint(marked: Any) -> None:
    image, landmarks, mark = marked
    plain, listed = paint(image, landmarks, 3, STILL), paint(image, landmarks, 3, STILL, real=[mark])
    assert [m.kind for m in listed.marks] == ["moles"]
    assert np.abs(listed.image.astype(int) - plain.image).max() <= 1
    y, x = int(mark.y), int(mark.x)
    assert listed.clean[y, x].mean() > image[y, x].mean() + 40
    assert listed.alpha(lambda m: True)[y, x] == 1


def test_a_lent_mark_lies_on_skin_at_the_faces_scale(marked: Any) -> None:
    image, landmarks, mark = marked
    lent = lend(image, landmarks, [mark])
    size = lent.marks[0].alpha.shape[0]
    small = Canvas(cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA), landmarks / 2)
    laid = [m for seed in range(6) for m in borrow(small, lent, np.random.default_rng(seed))]
    assert len(laid) > 5
    for m in laid:
        assert 0.3 * size < m.alpha.shape[0] < 0.9 * size
        assert m.delta[..., 1].min() < 0.2 * lent.marks[0].delta[..., 1].min(), "as dark as it was, nearly"
        assert small.skin[m.window].mean() > 0.3


def test_listed_faces_are_painted_with_their_own_marks_and_borrow_some(
    faces_folder: Path, marked: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "faces"
    shutil.copytree(faces_folder, folder)
    cv2.imwrite(str(folder / "a1.jpg"), marked[0][..., ::-1])
    cache = PaintedCache(paint_ahead(folder, tmp_path / "cache", 4, 5, STILL, listed={"a1": [MARK]}))
    covered = []
    for sample in (cache[i] for i in range(len(cache))):
        assert set(sample.deltas) == {"moles"}
        mark = MARK.placed(sample.landmarks)
        assert sample.alphas["moles"][int(mark.y), int(mark.x)] == 255
        covered.append(int((sample.alphas["moles"] > 0).sum()))
    own = np.pi * (MARK.placed(marked[1]).radius * REACH * WIDER + 1) ** 2
    assert max(covered) > 1.5 * own, "no mark was borrowed"
