"""How much of an imperfection to paint, and the random shapes that the painters share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[Any]
Range = tuple[float, float]


@dataclass(frozen=True)
class Dose:
    """Ranges of multipliers, one draw a face; 1 is a typical face. regions: restrict to these, empty for anywhere.
    gentle: spots with softer borders and browner, dots and small moles among them, freckles less saturated; the bench's
    faces stay without it, so that figures of earlier weights can be compared.
    """

    amount: Range = (0.5, 1.8)
    size: Range = (0.7, 1.5)
    strength: Range = (0.5, 1.4)
    regions: tuple[str, ...] = ()
    gentle: bool = False


def draw(rng: np.random.Generator, bounds: Range) -> float:
    """Log-uniform number between two positive bounds."""
    return float(np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]))))


def count(rng: np.random.Generator, typical: float, dose: Dose, most: int) -> int:
    """Number of marks: Poisson around the dose's amount, at least 1."""
    return int(np.clip(rng.poisson(typical * draw(rng, dose.amount)), 1, most))


def cloud(rng: np.random.Generator, shape: tuple[int, ...], grain: float) -> FloatImage:
    """Smooth noise (height, width) of mean about 0, standard deviation about 1 and features of about `grain` px."""
    height, width = shape
    rows, columns = max(int(height / grain), 1) + 3, max(int(width / grain), 1) + 3
    coarse = rng.standard_normal((rows, columns)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(1.3)


@cache
def even(low: float, high: float, points: int) -> FloatImage:
    """`points` evenly spaced values (points,), kept from call to call: do not write to them."""
    values = np.linspace(low, high, points)
    values.flags.writeable = False
    return values


def smoothstep(x: FloatImage, low: float, high: float) -> FloatImage:
    """0 below `low`, 1 above `high` (or reversed when high < low), cubic between."""
    t = ((x - low) / (high - low)).clip(0, 1)
    return t * t * (3 - 2 * t)


@dataclass(frozen=True)
class Blob:
    """A round or irregular shape: distance (1 at its outline), alpha in [0, 1], height of a bump in [0, 1]."""

    distance: FloatImage
    alpha: FloatImage
    height: FloatImage


def blob(
    rng: np.random.Generator,
    shape: tuple[int, int],
    centre: tuple[float, float],
    radius: float,
    *,
    irregular: float = 0.1,
    aspect: float = 1.0,
    softness: float = 0.35,
) -> Blob:
    """A blob in a window of `shape`, `centre` (x, y) and `radius` in px, elongated by `aspect` at a random angle."""
    x = np.arange(shape[1], dtype=np.float32)[None] + 0.5 - centre[0]
    y = np.arange(shape[0], dtype=np.float32)[:, None] + 0.5 - centre[1]
    angle = rng.uniform(0, np.pi)
    c, s = np.cos(angle), np.sin(angle)
    along, across = (x * c + y * s) / (radius * aspect), (y * c - x * s) / radius
    distance = np.hypot(along, across).astype(np.float32)
    distance = distance * (1 + irregular * cloud(rng, shape, max(radius * 1.1, 2.5)))
    alpha = smoothstep(distance, 1 + softness, 1 - softness)
    return Blob(distance, alpha, np.exp(-1.5 * distance * distance))


def slopes(height: FloatImage) -> tuple[FloatImage, FloatImage]:
    """Slope of a map (h, w) a px, downwards and to the right; `numpy.gradient` without what it takes to be general."""
    down, right = np.empty_like(height), np.empty_like(height)
    for out, values in ((down, height), (right.T, height.T)):
        np.subtract(values[2:], values[:-2], out=out[1:-1])
        out[1:-1] /= 2
        out[0], out[-1] = values[1] - values[0], values[-1] - values[-2]
    return down, right


def middle(values: FloatImage) -> float:
    """The median of an array; `numpy.median` without what it takes to be general."""
    flat = values.ravel()
    half = flat.size // 2
    if flat.size % 2:
        return float(np.partition(flat, half)[half])
    part = np.partition(flat, (half - 1, half))
    return float(part[half - 1 : half + 1].mean())


def quantile(values: FloatImage, share: float) -> float:
    """The value (n,) below which `share` of them lie, linear between two; `numpy.quantile`, likewise."""
    at = share * (values.size - 1)
    low = min(int(at), values.size - 2) if values.size > 1 else 0
    if values.size == 1:
        return float(values[0])
    part, t = np.partition(values, (low, low + 1)), at - low
    below, above = float(part[low]), float(part[low + 1])
    step = float(part[low + 1] - part[low])
    return below + step * t if t < 0.5 else above - step * (1 - t)


def relief(height: FloatImage, light: tuple[float, float], size: float) -> FloatImage:
    """Shading of a height map (h, w) lit from `light`: lit slopes positive, about [-1, 1]; `size` its extent in px.

    Portrait light comes from above more often than not, so a frontal estimate is tilted upward.
    """
    lx, ly = light[0], light[1] - 0.35
    norm = max(float(np.hypot(lx, ly)), 0.3)
    gy, gx = slopes(height)
    return (-(gx * lx + gy * ly) / norm * size).astype(np.float32)
