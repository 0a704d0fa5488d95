"""Faces made into others: landmarks go where the shape goes, tones stay within skin's, and nothing else is painted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from retouchgpt.data.cache import PaintedCache, main, paint_ahead
from retouchgpt.data.canvas import to_log
from retouchgpt.data.painter import PainterConfig
from retouchgpt.data.real_marks import RealMark
from retouchgpt.data.variety import CHEEKS_AND_NOSE, DARKER, LIGHTER, MELANIN, OTHER, vary

STILL = PainterConfig(nothing=1.0, blur=(0, 0), noise=(0, 0), raw=1.0)


def test_a_landmark_stays_on_what_it_marks(face: Any) -> None:
    image, landmarks = face
    dotted = (image // 3).astype(np.uint8)
    nose = landmarks[1]
    cv2.circle(dotted, (round(float(nose[0])), round(float(nose[1]))), 3, (255, 255, 255), -1)
    moves = []
    for seed in range(8):
        out, moved = vary(dotted, landmarks, np.random.default_rng(seed))
        brightest = np.unravel_index(cv2.GaussianBlur(out, (0, 0), 2).min(2).argmax(), out.shape[:2])
        assert np.hypot(*(moved[1] - np.array(brightest[::-1]))) < 2.5
        moves.append(float(np.hypot(*(moved[1] - nose))))
        assert np.ptp(moved - landmarks, axis=0).max() > 5, "other parts move otherwise"
    assert max(moves) > 3


def test_a_shape_that_must_stay_stays(face: Any) -> None:
    image, landmarks = face
    out, same = vary(image, landmarks, np.random.default_rng(3), shape=False)
    assert np.array_equal(same, landmarks)
    edges = [cv2.Laplacian(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY).astype(np.float32), -1).ravel() for x in (image, out)]
    assert np.corrcoef(edges)[0, 1] > 0.85
    assert np.abs(out.astype(int) - image).mean() > 3


def test_tones_differ_and_stay_skins(face: Any) -> None:
    image, landmarks = face
    skin = landmarks[list(CHEEKS_AND_NOSE)].astype(int)
    changes = []
    for seed in range(30):
        out, _ = vary(image, landmarks, np.random.default_rng(seed), shape=False)
        before, after = (cv2.blur(to_log(x), (9, 9))[skin[:, 1], skin[:, 0]] for x in (image, out))
        changes.append(np.median(after - before, axis=0))
    green = np.array(changes)[:, 1]
    assert green.min() > DARKER - 0.6
    assert green.max() < LIGHTER + 0.6
    assert green.std() > 0.15
    dark = np.array(changes)[green < -0.5].mean(0)
    assert dark[2] < dark[1] < dark[0] < 0, "melanin takes most of the blue"
    assert dark[0] / dark[1] == pytest.approx(MELANIN[0], abs=0.2)


def test_varied_faces_are_others_and_listed_ones_keep_shape_and_name(faces_folder: Path, tmp_path: Path) -> None:
    plain = PaintedCache(paint_ahead(faces_folder, tmp_path / "plain", 3, 5, STILL))
    varied = PaintedCache(paint_ahead(faces_folder, tmp_path / "varied", 3, 5, STILL, varied=1.0))
    again = PaintedCache(paint_ahead(faces_folder, tmp_path / "again", 3, 5, STILL, varied=1.0))
    marks = {"a1": [RealMark("moles", 0.0, -0.35, 0.02, False)]}
    listed = PaintedCache(paint_ahead(faces_folder, tmp_path / "listed", 3, 5, STILL, listed=marks, varied=1.0))
    for i in range(3):
        assert varied[i].face_id == "a1" + OTHER
        assert np.array_equal(varied[i].image, again[i].image)
        assert np.abs(varied[i].landmarks - plain[i].landmarks).max() > 3
        assert listed[i].face_id == plain[i].face_id == "a1"
        assert np.array_equal(listed[i].landmarks, plain[i].landmarks)
        assert np.abs(listed[i].image.astype(int) - plain[i].image).mean() > 1
        assert not varied[i].deltas
    assert len({varied[i].image.tobytes() for i in range(3)}) == 3


def test_a_share_is_a_share(faces_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(faces_folder), str(tmp_path / "cache"), "--varied", "2"])
    assert stop.value.code == 2
    assert "--varied" in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()
