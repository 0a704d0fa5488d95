"""Who is bearded: hair on chin and lip, and neither wrinkles nor darkness."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from retouchgpt.photo.beard import fitted
from retouchgpt.photo.coverings import BEARDED, SURE_HAIR, coverings, hair_places
from retouchgpt.photo.regions import OVAL, POLYGONS, eye_distance, skin_map

Picture = NDArray[np.uint8]


def hair(image: Picture, points: Any, least: float = SURE_HAIR) -> float:
    """Share of the lower face that is hair."""
    found = hair_places(image.astype(np.float32) / 255, points)
    assert found is not None
    return float((fitted().odds(found.numbers[found.lower]) > least).mean())


def covered(image: Picture, points: Any) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What is covered by hair, and skin of the middle of the chin, (512, 512) each."""
    photo = image.astype(np.float32) / 255
    skin, chin = skin_map(photo, points), np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(chin, [np.rint(points[list(POLYGONS["chin"])]).astype(np.int32)], 1)
    return coverings(photo, points, skin).hair, (cv2.erode(chin, np.ones((9, 9))) > 0) & (skin > 0.5)


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
    """Long soft folds all over the face."""
    rng, layer = np.random.default_rng(1), np.zeros(image.shape[:2], np.float32)
    unit = eye_distance(points)
    for y, x in rng.permutation(np.argwhere(oval(image.shape, points) > 0))[:500]:
        along, depth = rng.normal(0, 0.25), float(rng.uniform(0.3, 0.7))
        end = (int(x + np.cos(along) * 0.35 * unit), int(y + np.sin(along) * 0.35 * unit))
        cv2.line(layer, (int(x), int(y)), end, depth, 1, cv2.LINE_AA)
    return np.rint(image * (1 - 0.9 * cv2.GaussianBlur(layer, (0, 0), 0.8)[..., None]).clip(0, 1)).astype(np.uint8)


def test_a_drawn_beard_is_covered_and_a_bare_face_is_not(face: Any) -> None:
    image, points = face
    assert hair(image, points) < BEARDED / 2
    assert hair(bearded(image, points), points) > 0.3
    found, chin = covered(bearded(image, points), points)
    assert found[chin].mean() > 0.95
    found, chin = covered(image, points)
    assert found[chin].mean() < 0.02


def test_skin_beside_a_beard_stays_open(face: Any) -> None:
    """Of a beard on chin and lip alone, cheeks and the upper jaw are none."""
    image, points = face
    found, _ = covered(bearded(image, points), points)
    cheeks = np.zeros(image.shape[:2], np.uint8)
    for name in ("left_cheek", "right_cheek"):
        cv2.fillPoly(cheeks, [np.rint(points[list(POLYGONS[name])]).astype(np.int32)], 1)
    assert found[cv2.erode(cheeks, np.ones((25, 25))) > 0].mean() < 0.1


def test_wrinkles_are_no_beard(face: Any) -> None:
    image, points = face
    old = wrinkled(image, points)
    found, chin = covered(old, points)
    fine = [np.abs(cv2.Laplacian(x.mean(2), cv2.CV_64F))[chin].mean() for x in (image, old, bearded(image, points))]
    assert fine[1] > 2 * fine[0], "they are fine contrast, too"
    assert found[chin].mean() < 0.05


@pytest.mark.parametrize("light", [0.3, 0.12])
def test_a_bare_face_in_little_light_is_not_bearded(light: float, face: Any) -> None:
    image, points = face
    noise = np.random.default_rng(0).normal(0, 1.0, image.shape)
    dim = np.rint((image * light + noise).clip(0, 255)).astype(np.uint8)
    assert hair(dim, points) <= BEARDED


def test_a_beard_shows_in_grey_too(face: Any) -> None:
    image, points = face
    grey = cv2.cvtColor(cv2.cvtColor(bearded(image, points), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    found, chin = covered(np.asarray(grey, np.uint8), points)
    assert found[chin].mean() > 0.9


def test_a_face_of_which_nothing_is_seen_has_no_places(face: Any) -> None:
    image, points = face
    assert hair_places(image[:8, :8].astype(np.float32) / 255, points) is None
