"""Whether a face is bearded: fine contrast of its lower half, colour and direction, against those of its cheeks (ours).

A density of fine contrast alone takes the wrinkles of the old, and small children and clean-shaven men in little light,
for bearded, and darker skin more often than light. Hair is told from both by how its lines run together and how it
differs from the cheeks. What the numbers mean was fitted by `python -m retouchgpt.training.beard`.
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
PARTS = ("lip", "chin", "jaw")
LEAST = 40
"""Px of which a part has at least so many, or it counts as the cheeks' like."""


class Bearded(NamedTuple):
    """A logistic model: log odds = (description - mean) / deviation @ weights + bias."""

    mean: FloatImage
    deviation: FloatImage
    weights: FloatImage
    bias: float

    def odds(self, description: FloatImage) -> float:
        """Log odds that a face so described is bearded."""
        return float((description - self.mean) / self.deviation @ self.weights + self.bias)


@cache
def fitted() -> Bearded:
    """The model that ships."""
    told = json.loads((files("retouchgpt") / "photo" / "beard.json").read_text())
    mean, deviation, weights = (np.asarray(told[name], np.float64) for name in ("mean", "deviation", "weights"))
    return Bearded(mean, deviation, weights, float(told["bias"]))


def describe(
    image: FloatImage, points: FloatImage, face: Mask, height: FloatImage, inwards: FloatImage, unit: float
) -> FloatImage | None:
    """What tells a beard, (28,); None where neither cheeks nor forehead are seen.

    image: float RGB (H, W, 3) in [0, 1]. points: landmarks (478, 2) in px. face: (H, W), the open face, without what is
    protected. height: of each pixel over the base of the nose, inwards: how far from the face's edge, both (H, W) in
    eye distances. unit: the eye distance in px.
    """
    parts = _parts(points, face, height, inwards)
    luma = np.log(image.mean(2) + 0.05).astype(np.float32)
    smooth = [cv2.GaussianBlur(luma, (0, 0), max(s * unit, 0.3)) for s in BANDS]
    bands = np.sqrt(np.abs(np.stack([a - b for a, b in pairwise(smooth)], 2)))
    colour = cv2.cvtColor(cv2.GaussianBlur(image.astype(np.float32), (0, 0), 0.03 * unit), cv2.COLOR_RGB2Lab)
    together, upright = _directions(luma, unit)

    def of(part: Mask) -> tuple[FloatImage, FloatImage, float, float]:
        fine = np.log(bands[part].mean(0) ** 2 + 1e-3)
        return fine, np.median(colour[part], 0), float(together[part].mean()), float(upright[part].mean())

    beside = next((parts[name] for name in ("cheeks", "forehead") if parts[name].sum() >= LEAST), None)
    if beside is None:
        return None
    skin = of(beside)
    told: list[float] = []
    for name in PARTS:
        fine, shade, run, up = of(parts[name]) if parts[name].sum() >= LEAST else skin
        told += [*fine, *(shade - skin[1]) / 10, 4 * (run - skin[2]), 4 * up]
    return np.array([*told, 4 * skin[2], *skin[0]], np.float64)


def _parts(points: FloatImage, face: Mask, height: FloatImage, inwards: FloatImage) -> dict[str, Mask]:
    """Upper lip, chin, jaws, cheeks and forehead, (H, W) each."""
    eyes = [points[list(c)].mean(0) for c in (RIGHT_EYE_CONTOUR, LEFT_EYE_CONTOUR)]
    right = (eyes[1] - eyes[0]) / max(float(np.hypot(*(eyes[1] - eyes[0]))), 1e-6)
    y, x = np.mgrid[: face.shape[0], : face.shape[1]]
    middle = points[list(MOUTH_CORNERS)].mean(0)
    unit = max(float(np.hypot(*(eyes[1] - eyes[0]))), 1e-6)
    across = np.abs((x - middle[0]) * right[0] + (y - middle[1]) * right[1]) / unit
    column, row = (int(np.clip(round(float(v)), 0, n - 1)) for v, n in zip(middle, face.shape[::-1], strict=True))
    mouth = float(height[row, column])
    return {
        "lip": face & (height < -0.03) & (height > mouth - 0.05) & (across < 0.5),
        "chin": face & (height < mouth - 0.15) & (across < 0.35),
        "jaw": face & (height < mouth) & (across >= 0.35) & (inwards < 0.35),
        "cheeks": face & (height > 0.1) & (height < 0.7) & (across > 0.25) & (inwards > 0.2),
        "forehead": face & (height > 1.3) & (inwards > 0.2),
    }


def _directions(luma: FloatImage, unit: float) -> tuple[FloatImage, FloatImage]:
    """Of the lines around each pixel, from its structure tensor: how far they run in one direction, [0, 1], and
    whether that is across the picture (1) or up (-1)."""
    down, along = np.gradient(cv2.GaussianBlur(luma, (0, 0), max(0.005 * unit, 0.3)))
    xx, yy, xy = (cv2.GaussianBlur(v, (0, 0), 0.04 * unit) for v in (along * along, down * down, along * down))
    total = xx + yy + 1e-6
    return np.sqrt((xx - yy) ** 2 + 4 * xy**2) / total, (yy - xx) / total
