"""Faces from frame to frame, scene cuts, and motion inside the aligned face, against known motion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from retouchgpt.core.geometry import Extent
from retouchgpt.photo import motion
from retouchgpt.photo.faces import Face, number
from retouchgpt.photo.tracking import COAST, Scenes, Tracker
from tests import clips

PAGE = (400, 300)


class Told:
    """A finder that is told where faces are; in a part of a picture, it is told the part's corner by its first px."""

    def __init__(self, mesh: NDArray[np.float32]) -> None:
        self.mesh, self.places = (mesh - mesh.mean(0)).astype(np.float32), []  # type: ignore[var-annotated]

    def page(self) -> NDArray[np.uint8]:
        y, x = np.mgrid[0 : PAGE[1], 0 : PAGE[0]]
        return np.stack([x % 256, y % 256, x // 256 + 2 * (y // 256)], -1).astype(np.uint8)

    def find(self, rgb: NDArray[np.uint8]) -> list[Face]:
        a, b, c = (int(v) for v in rgb[0, 0])
        corner = np.array((a + 256 * (c % 2), b + 256 * (c // 2)), np.float32)
        meshes = [self.mesh + np.array(p, np.float32) - corner for p in self.places]
        inside = [m for m in meshes if (m.mean(0) > 0).all() and (m.mean(0) < rgb.shape[1::-1]).all()]
        return number(inside, Extent(rgb.shape[1], rgb.shape[0]))


@pytest.fixture
def told(portrait_landmarks: Any) -> Told:
    return Told(portrait_landmarks)


def test_faces_keep_their_numbers_while_they_move_and_the_order_of_finding_changes(told: Told) -> None:
    tracker = Tracker(told)
    for i in range(20):
        one, two = (110 + 6 * i, 100), (290 - 6 * i, 200)
        told.places = [one, two] if i % 2 else [two, one]
        tracks = {t.number: t for t in tracker.follow(told.page(), everywhere=i % 10 == 0)}
        assert len(tracks) == 2
        first = next(t for t in tracks.values() if abs(t.face.landmarks.mean(0)[1] - 100) < 1)
        if i == 0:
            number_of_first = first.number
        assert first.number == number_of_first
        assert abs(first.face.landmarks.mean(0)[0] - one[0]) < 1


def test_a_face_that_is_hidden_for_a_while_stays_and_one_that_is_gone_ends(told: Told) -> None:
    tracker = Tracker(told)
    told.places = [(100, 100)]
    assert [t.number for t in tracker.follow(told.page(), everywhere=True)] == [1]
    told.places = []
    for i in range(COAST):
        assert [(t.number, t.missing) for t in tracker.follow(told.page(), everywhere=False)] == [(1, i + 1)]
    told.places = [(102, 100)]
    assert [(t.number, t.missing) for t in tracker.follow(told.page(), everywhere=False)] == [(1, 0)]
    told.places = []
    for _ in range(COAST + 1):
        tracker.follow(told.page(), everywhere=False)
    assert tracker.tracks == []
    told.places = [(100, 100)]
    assert tracker.follow(told.page(), everywhere=False) == (), "nobody comes in between looks at the whole picture"
    assert [t.number for t in tracker.follow(told.page(), everywhere=True)] == [2], "a number is given once"


def test_one_who_enters_gets_the_next_number(told: Told) -> None:
    tracker = Tracker(told)
    told.places = [(100, 100)]
    tracker.follow(told.page(), everywhere=True)
    told.places = [(300, 200), (103, 100)]
    tracks = tracker.follow(told.page(), everywhere=True)
    assert [(t.number, round(float(t.face.landmarks.mean(0)[0]))) for t in tracks] == [(1, 103), (2, 300)]


def test_scenes_begin_at_cuts_and_not_at_motion_or_flashes(portrait: Any, portrait_landmarks: Any) -> None:
    scenes, scene = Scenes(), clips.moving(portrait, portrait_landmarks)
    shots = [scene(i) for i in range(6)] + [(scene(6) * 0.5).astype(np.uint8)] + [scene(i) for i in range(7, 10)]
    shots += [clips.empty(i) for i in range(4)] + [scene(i) for i in range(10, 13)]
    assert [i for i, s in enumerate(shots) if scenes.new(s)] == [10, 14]


def crop(face: Any) -> NDArray[np.float32]:
    return face[0].astype(np.float32) / 255


def test_carried_maps_follow_a_known_bending(face: Any) -> None:
    then = crop(face)
    y, x = np.mgrid[0:512, 0:512].astype(np.float32)
    dx, dy = 3 + 3 * np.sin(y / 90), 2 * np.cos(x / 80)
    now = cv2.remap(then, x + dx, y + dy, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    flow = motion.flow(motion.view(now), motion.view(then))
    marks = np.zeros((512, 512), np.float32)
    for place in (50, 280, 101, 330, 9):  # cheeks, nose, brow
        px, py = face[1][place]
        cv2.circle(marks, (int(px), int(py)), 6, 1.0, -1)
    wanted = cv2.remap(marks, x + dx, y + dy, cv2.INTER_LINEAR)
    left = np.abs(flow.carry(marks) - wanted).sum() / wanted.sum()
    unmoved = np.abs(marks - wanted).sum() / wanted.sum()
    assert left < 0.25
    assert unmoved > 0.5
    assert flow.trusted(512)[200:400, 150:360].mean() > 0.95


def test_what_comes_before_the_face_is_not_trusted(face: Any) -> None:
    then = crop(face)
    now = then.copy()
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0.1, 0.6, (17, 14)).astype(np.float32)
    now[250:420, 120:260] = cv2.resize(coarse, (140, 170), interpolation=cv2.INTER_CUBIC)[..., None]
    flow = motion.flow(motion.view(now.clip(0, 1)), motion.view(then))
    trust = flow.trusted(512)
    assert trust[280:390, 150:230].mean() < 0.3
    assert trust[200:400, 320:380].mean() > 0.9


def test_a_correction_follows_the_light(face: Any) -> None:
    then = crop(face)
    flow = motion.flow(motion.view(then * 0.7), motion.view(then))
    lit = flow.lit(np.full((512, 512, 3), 0.1, np.float32))
    assert np.median(lit[200:400, 150:360]) == pytest.approx(0.07, abs=0.005)


def test_the_same_view_moves_nothing(face: Any) -> None:
    one = motion.view(crop(face))
    flow = motion.flow(one, one)
    values = np.random.default_rng(0).random((512, 512)).astype(np.float32)
    assert np.abs(flow.carry(values) - values).max() < 1e-3
    assert replace(flow).trust.min() == 1
