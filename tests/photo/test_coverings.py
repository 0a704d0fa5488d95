"""Glasses, beard and strands in skin's own colour: found where they are drawn, not found on a bare face."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from retouchgpt.core.geometry import LEFT_EYE_CONTOUR, RIGHT_EYE_CONTOUR, Extent
from retouchgpt.photo.coverings import coverings
from retouchgpt.photo.regions import BROW_TAIL, BROWS, OUTER_CORNERS, OVAL, POLYGONS, brow_tails, eye_distance, skin_map

Mask = NDArray[np.bool_]


def covered(image: NDArray[np.uint8], landmarks: Any) -> tuple[Mask, Mask]:
    """What covers the skin, and skin by colour, (512, 512) each."""
    photo = image.astype(np.float32) / 255
    skin = skin_map(photo, landmarks)
    return coverings(photo, landmarks, skin).all, skin > 0.5


def with_glasses(image: NDArray[np.uint8], points: Any, colour: tuple[int, int, int]) -> tuple[Any, Mask]:
    """Round frames drawn around the eyes, and where they are."""
    unit, frame = eye_distance(points), np.zeros(image.shape[:2], np.uint8)
    centres = [points[list(c)].mean(0) + np.array((0, 0.1 * unit)) for c in (RIGHT_EYE_CONTOUR, LEFT_EYE_CONTOUR)]
    for x, y in centres:
        cv2.circle(frame, (round(float(x)), round(float(y))), round(0.38 * unit), 1, round(0.04 * unit))
    ends = [(round(float(c[0] + s * 0.38 * unit)), round(float(c[1]))) for c, s in zip(centres, (1, -1), strict=True)]
    cv2.line(frame, ends[0], ends[1], 1, round(0.04 * unit))
    out = image.copy()
    out[frame > 0] = colour
    return out, frame > 0


@pytest.mark.parametrize("colour", [(20, 20, 22), (190, 150, 60)], ids=["black", "gold"])
def test_frames_of_glasses_are_covered(colour: tuple[int, int, int], face: Any) -> None:
    image, frames = with_glasses(*face, colour)
    found, _ = covered(image, face[1])
    assert found[frames].mean() > 0.97


def test_skin_behind_and_beside_the_lenses_stays_open(face: Any) -> None:
    """With folds under the eyes and beside the nose that are as dark as the frame, but do not run around a lens."""
    image, points = face
    unit, folds = eye_distance(points), image.copy()
    for contour, side in ((RIGHT_EYE_CONTOUR, -1), (LEFT_EYE_CONTOUR, 1)):
        x, y = points[list(contour)].mean(0)
        for down, across in ((0.28, 0.1), (0.34, -0.12), (0.62, -0.1), (0.68, 0.12)):
            start = (round(float(x + side * across * unit)), round(float(y + down * unit)))
            end = (start[0] + round(0.12 * unit), start[1] + round(0.05 * unit))
            cv2.line(folds, start, end, (60, 40, 35), 1, cv2.LINE_AA)
    worn, frames = with_glasses(folds, points, (20, 20, 22))
    found, _ = covered(worn, points)
    assert found[frames].mean() > 0.97
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    for contour in (RIGHT_EYE_CONTOUR, LEFT_EYE_CONTOUR):
        middle = points[list(contour)].mean(0) + np.array((0, 0.1 * unit))
        away = np.hypot(x - middle[0], y - middle[1]) / unit
        behind = (away < 0.28) & (y > middle[1] + 0.1 * unit)
        below = (away > 0.48) & (away < 0.8) & (np.abs(x - middle[0]) < 0.25 * unit) & (y > middle[1])
        assert found[behind].mean() < 0.1
        assert found[below].mean() < 0.1


def grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)


def test_frames_of_glasses_are_covered_in_black_and_white(face: Any) -> None:
    skin = np.median(face[0][face[1][:, 1].astype(int), face[1][:, 0].astype(int)], 0)
    pale = tuple(int(v) for v in skin * 0.8)
    image, frames = with_glasses(*face, pale)
    found, _ = covered(grey(image), face[1])
    assert found[frames].mean() > 0.75, "none at all by the thresholds for colour"
    bare, skin_by_colour = covered(grey(face[0]), face[1])
    assert bare[skin_by_colour].mean() < 0.06


def test_a_beard_in_skin_colour_is_covered(face: Any) -> None:
    image, points = face
    chin = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(chin, [np.rint(points[list(POLYGONS["chin"])]).astype(np.int32)], 1)
    rng, out = np.random.default_rng(0), image.copy()
    for y, x in rng.permutation(np.argwhere(chin > 0))[:2500]:
        shade = float(rng.uniform(0.45, 1.4))
        colour = tuple(float(v) for v in (image[y, x] * shade).clip(0, 255))
        cv2.line(out, (int(x), int(y)), (int(x + rng.integers(-2, 3)), int(y + rng.integers(3, 7))), colour, 1)
    found, skin = covered(out, points)
    inner = (cv2.erode(chin, np.ones((15, 15))) > 0) & skin
    assert found[inner].mean() > 0.9


def test_a_bare_face_keeps_its_skin(face: Any) -> None:
    found, skin = covered(*face)
    assert found[skin].mean() < 0.06
    cheeks = np.zeros(found.shape, np.uint8)
    for name in ("left_cheek", "right_cheek", "nose"):
        cv2.fillPoly(cheeks, [np.rint(face[1][list(POLYGONS[name])]).astype(np.int32)], 1)
    assert found[cv2.erode(cheeks, np.ones((25, 25))) > 0].mean() < 0.02


@pytest.mark.parametrize(("down_to", "is_hair"), [(0.9, True), (0.3, False)], ids=["hair", "crow's feet"])
def test_hair_that_hangs_beside_the_eye_is_covered_and_crows_feet_are_not(
    down_to: float, is_hair: bool, face: Any
) -> None:
    """Strands in skin's colour along the edge of the face, from over the eye down to so many eye distances under it."""
    image, points = face
    unit, oval = eye_distance(points), np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(oval, [np.rint(points[list(OVAL)]).astype(np.int32)], 1)
    corner = points[OUTER_CORNERS[1]]
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    edge = (oval > 0) & (cv2.distanceTransform(oval, cv2.DIST_L2, 5) < 0.3 * unit)
    edge &= (np.sign(corner[0] - points[4][0]) * (x - points[4][0]) > 0) & (y > corner[1] - 0.3 * unit)
    edge &= y < corner[1] + down_to * unit
    rng, out = np.random.default_rng(0), image.copy()
    for row, column in rng.permutation(np.argwhere(edge))[:3000]:
        colour = tuple(float(v) for v in (image[row, column] * float(rng.uniform(0.5, 1.4))).clip(0, 255))
        cv2.line(out, (int(column), int(row)), (int(column + rng.integers(-2, 3)), int(row + 8)), colour, 1)
    found, skin = covered(out, points)
    beside = edge & skin & (np.hypot(x - corner[0], y - corner[1]) < 0.45 * unit)
    share = found[cv2.erode(beside.astype(np.uint8), np.ones((5, 5))) > 0].mean()
    assert share > 0.8 if is_hair else share < 0.2


def test_the_same_at_another_size(face: Any) -> None:
    image, frames = with_glasses(*face, (20, 20, 22))
    small = cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA)
    found, _ = covered(small, face[1] / 2)
    assert found[cv2.resize(frames.astype(np.uint8), (256, 256), interpolation=cv2.INTER_AREA) > 0].mean() > 0.95


def test_brows_go_on_beyond_the_mesh(face: Any) -> None:
    """Outwards from their outer ends, by as much as is said, and nowhere else."""
    image, points = face
    tails = brow_tails(points, Extent(image.shape[1], image.shape[0]))
    unit = eye_distance(points)
    y, x = np.nonzero(tails)
    ends = np.array([points[brow[0]] for brow in BROWS])
    away = np.hypot(x[:, None] - ends[:, 0], y[:, None] - ends[:, 1]).min(1)
    assert away.max() < 1.6 * BROW_TAIL * unit
    for brow in BROWS:
        out = points[brow[0]] - points[brow[1]]
        beyond = points[brow[0]] + out / np.hypot(*out) * 0.9 * BROW_TAIL * unit
        assert tails[round(float(beyond[1])), round(float(beyond[0]))]
