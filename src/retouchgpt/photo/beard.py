"""Where a beard grows: the lower face's fine contrast, colour and direction, place by place, against its cheeks (ours).

A density of fine contrast alone takes the wrinkles of the old, and small children and clean-shaven men in little light,
for bearded, darker skin more often than light, and of a bearded face the skin beside the beard. Hair is told from all
of these by how its lines run together and how it differs from the cheeks; `python -m retouchgpt.training.beard` fits
by how much.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.geometry import LEFT_EYE_CONTOUR, MOUTH_CORNERS, RIGHT_EYE_CONTOUR

FloatImage = NDArray[Any]
Mask = NDArray[np.bool_]

BANDS = (0.004, 0.009, 0.02, 0.045)
"""Edges of three bands of fine contrast, in eye distances."""
AROUND = 0.05
"""How far around a place is looked, in eye distances."""
CELL = 1 / 32
"""Distance of the places that are looked at, in eye distances."""
LOWER = 0.15
"""How far over the base of the nose the lower face reaches, in eye distances."""
FARTHEST = 4.0
"""Deviations from the mean beyond which a number counts as no farther."""
LEAST = 12
"""Places that the cheeks have at least, or the forehead stands for them."""


class Growth(NamedTuple):
    """A logistic model of a place: log odds of hair from its numbers, standardised, and their products."""

    mean: FloatImage
    deviation: FloatImage
    weights: FloatImage
    bias: float

    def odds(self, numbers: FloatImage) -> FloatImage:
        """Log odds (...) that hair grows in places with these numbers (..., 14)."""
        return np.asarray(expanded(numbers, self.mean, self.deviation) @ self.weights + self.bias)


def expanded(numbers: FloatImage, mean: FloatImage, deviation: FloatImage) -> FloatImage:
    """Numbers (..., N), standardised, and the products of each two, (..., N + N (N + 1) / 2)."""
    x = ((numbers - mean) / deviation).clip(-FARTHEST, FARTHEST)
    first, second = np.triu_indices(x.shape[-1])
    return np.concatenate([x, x[..., first] * x[..., second]], -1)


@cache
def fitted() -> Growth:
    """The model that ships."""
    told = json.loads((files("retouchgpt") / "photo" / "beard.json").read_text())
    mean, deviation, weights = (np.asarray(told[name], np.float64) for name in ("mean", "deviation", "weights"))
    return Growth(mean, deviation, weights, float(told["bias"]))


class Places(NamedTuple):
    """A face's places, every `step` px. numbers: (h, w, 14), what tells hair. lower: (h, w), of the open lower face.
    likely: (h, w), of it where beards grow: upper lip, chin and jaws."""

    step: int
    numbers: FloatImage
    lower: Mask
    likely: Mask


def places(
    image: FloatImage, points: FloatImage, face: Mask, height: FloatImage, inwards: FloatImage, unit: float
) -> Places | None:
    """None where neither cheeks nor forehead are seen.

    image: float RGB (H, W, 3) in [0, 1]. points: landmarks (478, 2) in px. face: (H, W), the open face, without what is
    protected. height: of each pixel over the base of the nose, inwards: how far from the face's edge, both (H, W) in
    eye distances. unit: the eye distance in px.
    """
    step = max(round(CELL * unit), 1)
    across, mouth = _across(points, height)
    parts = _parts(face, height, inwards, across, mouth)
    beside = next((m for m in (parts[n][::step, ::step] for n in ("cheeks", "forehead")) if m.sum() >= LEAST), None)
    if beside is None:
        return None
    weight = face.astype(np.float32)
    grid = (beside.shape[1] * step, beside.shape[0] * step)

    def gathered(values: FloatImage) -> FloatImage:
        edge = (0, grid[1] - values.shape[0], 0, grid[0] - values.shape[1])
        cells = cv2.resize(
            cv2.copyMakeBorder(values, *edge, cv2.BORDER_REPLICATE), beside.shape[::-1], interpolation=cv2.INTER_AREA
        )
        return np.asarray(cv2.GaussianBlur(cells, (0, 0), max(AROUND * unit / step, 0.3)))

    mass = gathered(weight) + 1e-3

    def around(values: FloatImage) -> FloatImage:
        """Means of the open face around each place."""
        return gathered(np.asarray(values * weight, np.float32)) / mass

    def to_skin(values: FloatImage) -> FloatImage:
        return np.asarray(values - np.median(values[beside]))

    luma = np.log(image.mean(2) + 0.05).astype(np.float32)
    smooth = [cv2.GaussianBlur(luma, (0, 0), max(s * unit, 0.3)) for s in BANDS]
    roots = [np.sign(a - b) * np.sqrt(np.abs(a - b)) for a, b in pairwise(smooth)]
    fine = [np.log(around(np.abs(root)) ** 2 + 1e-3) for root in roots]
    colour = cv2.cvtColor(cv2.GaussianBlur(image.astype(np.float32), (0, 0), 0.01 * unit), cv2.COLOR_RGB2Lab)
    down, along = np.gradient(cv2.GaussianBlur(luma, (0, 0), max(0.005 * unit, 0.3)))
    xx, yy, xy = (around(v) for v in (along * along, down * down, along * down))  # the structure tensor
    total = xx + yy + 1e-6
    numbers = [to_skin(x) for x in fine]
    numbers += [to_skin(around(colour[..., i])) / 10 for i in range(3)]
    numbers += [4 * to_skin(np.sqrt((xx - yy) ** 2 + 4 * xy**2) / total), 4 * (yy - xx) / total]
    numbers += [20 * around(root) for root in roots[:2]]
    numbers += [fine[1] + 3.5]
    numbers += [3 * x[::step, ::step] for x in (height - mouth, across, np.minimum(inwards, 0.5))]
    lower = (face & (height < LOWER))[::step, ::step]
    likely = (parts["lip"] | parts["chin"] | parts["jaws"])[::step, ::step] & lower
    return Places(step, np.stack(numbers, -1).astype(np.float64), lower, likely)


def _across(points: FloatImage, height: FloatImage) -> tuple[FloatImage, float]:
    """Of each pixel how far beside the mouth's middle it lies, (H, W), and the mouth's height; in eye distances."""
    eyes = [points[list(c)].mean(0) for c in (RIGHT_EYE_CONTOUR, LEFT_EYE_CONTOUR)]
    unit = max(float(np.hypot(*(eyes[1] - eyes[0]))), 1e-6)
    right = (eyes[1] - eyes[0]) / unit
    y, x = np.mgrid[: height.shape[0], : height.shape[1]]
    middle = points[list(MOUTH_CORNERS)].mean(0)
    across = np.abs((x - middle[0]) * right[0] + (y - middle[1]) * right[1]) / unit
    column, row = (int(np.clip(round(float(v)), 0, n - 1)) for v, n in zip(middle, height.shape[::-1], strict=True))
    return across, float(height[row, column])


def _parts(face: Mask, height: FloatImage, inwards: FloatImage, across: FloatImage, mouth: float) -> dict[str, Mask]:
    """Upper lip, chin, jaws, cheeks and forehead, (H, W) each."""
    return {
        "lip": face & (height < -0.03) & (height > mouth - 0.05) & (across < 0.5),
        "chin": face & (height < mouth - 0.15) & (across < 0.35),
        "jaws": face & (height < mouth) & (across >= 0.35) & (inwards < 0.35),
        "cheeks": face & (height > 0.1) & (height < 0.7) & (across > 0.25) & (inwards > 0.2),
        "forehead": face & (height > 1.3) & (inwards > 0.2),
    }
