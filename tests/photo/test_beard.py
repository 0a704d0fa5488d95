"""Who is bearded: hair on chin and lip, and neither wrinkles nor darkness."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from retouchgpt.photo.beard import fitted
from retouchgpt.photo.coverings import BEARDED, beard_description, coverings
from retouchgpt.photo.regions import OVAL, POLYGONS, eye_distance, skin_map

Picture = NDArray[np.uint8]


def odds(image: Picture, points: Any) -> float:
    told = beard_description(image.astype(np.float32) / 255, points)
    assert told is not None
    return fitted().odds(told)


def oval(shape: tuple[int, ...], points: Any) -> NDArray[np.uint8]:
    out = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(out, [np.rint(points[list(OVAL)]).astype(np.int32)], 1)
    return out


def bearded(image: Picture, points: Any, seed: int = 0) -> Picture:
    """Short dark and light hairs, up and down, over chin and mouth."""
    where = np.zeros(image.shape[:2], np.uint8)
    for name in ("chin", "mouth"):
        cv2.fillPoly(where, [np.rint(points[list(POLYGONS[name])]).astype(np.int32)], 1)
    rng, out = np.random.default_rng(seed), image.copy()
    for y, x in rng.permutation(np.argwhere(where > 0))[:4000]:
        colour = tuple(float(v) for v in (image[y, x] * float(rng.uniform(0.25, 0.9))).clip(0, 255))
        cv2.line(out, (int(x), int(y)), (int(x + rng.integers(-2, 3)), int(y + rng.integers(4, 9))), colour, 1)
    return out


def wrinkled(image: Picture, points: Any) -> Picture:
    """Long soft folds all over the face, deeper below the nose."""
    rng, layer = np.random.default_rng(1), np.zeros(image.shape[:2], np.float32)
    unit = eye_distance(points)
    for y, x in rng.permutation(np.argwhere(oval(image.shape, points) > 0))[:300]:
        along, depth = rng.normal(0, 0.25), float(rng.uniform(0.3, 0.7)) * (2 if y > points[2][1] else 1)
        end = (int(x + np.cos(along) * 0.35 * unit), int(y + np.sin(along) * 0.35 * unit))
        cv2.line(layer, (int(x), int(y)), end, depth, 2, cv2.LINE_AA)
    return np.rint(image * (1 - 0.8 * cv2.GaussianBlur(layer, (0, 0), 1.0)[..., None]).clip(0, 1)).astype(np.uint8)


def test_a_drawn_beard_raises_the_odds_over_the_threshold(face: Any) -> None:
    image, points = face
    assert odds(image, points) < BEARDED < odds(bearded(image, points), points)


def test_a_wrinkled_face_is_as_dense_but_not_bearded(face: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    image, points = face
    old = wrinkled(image, points)
    assert odds(old, points) < BEARDED
    photo = old.astype(np.float32) / 255
    skin = skin_map(photo, points)
    lower = np.zeros(skin.shape, np.uint8)
    cv2.fillPoly(lower, [np.rint(points[list(POLYGONS["chin"])]).astype(np.int32)], 1)
    inner = (cv2.erode(lower, np.ones((9, 9))) > 0) & (skin > 0.5)
    assert coverings(photo, points, skin).hair[inner].mean() < 0.05
    monkeypatch.setattr("retouchgpt.photo.coverings.BEARDED", -np.inf)
    assert coverings(photo, points, skin).hair[inner].mean() > 0.5, "by its density alone it would be"


@pytest.mark.parametrize("light", [0.3, 0.12])
def test_a_bare_face_in_little_light_is_not_bearded(light: float, face: Any) -> None:
    image, points = face
    noise = np.random.default_rng(0).normal(0, 1.0, image.shape)
    dim = np.rint((image * light + noise).clip(0, 255)).astype(np.uint8)
    assert odds(dim, points) < BEARDED


def test_a_beard_shows_in_grey_too(face: Any) -> None:
    image, points = face
    grey = cv2.cvtColor(cv2.cvtColor(bearded(image, points), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    assert odds(np.asarray(grey, np.uint8), points) > BEARDED


def test_a_face_of_which_nothing_is_open_cannot_be_described(face: Any) -> None:
    image, points = face
    assert beard_description(image[:8, :8].astype(np.float32) / 255, points) is None
