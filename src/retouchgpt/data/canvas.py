"""The canvas that imperfections are painted on, and the mark, the unit of paint.

Colour is log linear light: a change of reflectance is a sum there, whatever the skin and the light, so marks are
separable (any one can be left out) and the skin's own texture stays under them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.geometry import LEFT_EYE_CONTOUR, RIGHT_EYE_CONTOUR, Extent
from retouchgpt.core.pixels import linear_to_srgb, srgb_to_linear
from retouchgpt.core.vocabulary import NAMED_REGIONS
from retouchgpt.photo.regions import region_maps, skin_map

FloatImage = NDArray[Any]

EPSILON = 0.004
"""Added to linear light before the logarithm, so that black stays finite."""
_LOG_OF_BYTE = np.log(srgb_to_linear(np.arange(256) / 255) + EPSILON).astype(np.float32)
_LOW, _HIGH, _STEPS = float(_LOG_OF_BYTE[0]) - 1.0, 0.7, 8192
_SRGB_OF_STEP = linear_to_srgb(np.exp(np.linspace(_LOW, _HIGH, _STEPS)) - EPSILON)


def to_log(image: NDArray[np.uint8]) -> FloatImage:
    """8-bit sRGB (H, W, 3) -> log linear light."""
    return cv2.LUT(np.ascontiguousarray(image), _LOG_OF_BYTE)


def from_log(log: FloatImage) -> FloatImage:
    """Log linear light -> sRGB, not clipped below 1 at the top (highlights may exceed white), >= 0."""
    steps = log - np.float32(_LOW)
    steps *= np.float32((_STEPS - 1) / (_HIGH - _LOW))
    return _SRGB_OF_STEP.take(steps.astype(np.intp), mode="clip")


def mean_of_channels(image: FloatImage) -> FloatImage:
    """(H, W, 3) -> (H, W); the same as `mean(2)` to the bit, and ten times as fast."""
    return (image[..., 0] + image[..., 1] + image[..., 2]) / np.float32(3)


def tinted(shape: FloatImage, tint: FloatImage) -> FloatImage:
    """A map (h, w) times a colour (3,) -> (h, w, 3)."""
    return cv2.merge([shape * value for value in tint])


@dataclass(frozen=True)
class Mark:
    """One painted imperfection, or one piece of an area or a line.

    kind, region: words of the vocabulary. x, y: left upper corner of its window on the canvas, px (the window lies
    inside the canvas). delta: (h, w, 3), what it adds to log linear light. alpha: (h, w) in [0, 1], where it is seen:
    1 for a fully visible mark, its own soft shape for redness, dark circles and shine.
    """

    kind: str
    region: str
    x: int
    y: int
    delta: FloatImage
    alpha: FloatImage

    @property
    def window(self) -> tuple[slice, slice]:
        h, w = self.alpha.shape
        return slice(self.y, self.y + h), slice(self.x, self.x + w)


class Canvas:
    """A face to paint on. image: uint8 (H, W, 3) RGB; landmarks: (478, 2) face mesh, px."""

    def __init__(self, image: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> None:
        self.image = image
        self.landmarks = np.asarray(landmarks, np.float32)
        self.height, self.width = image.shape[:2]
        self.log = to_log(image)

    @cached_property
    def unit(self) -> float:
        """Distance between the eyes' centres in px: the measure of every size on a face."""
        right, left = (self.landmarks[list(c)].mean(0) for c in (RIGHT_EYE_CONTOUR, LEFT_EYE_CONTOUR))
        return float(max(np.hypot(*(left - right)), 8.0))

    @cached_property
    def base(self) -> FloatImage:
        """The skin's local colour without texture: log linear light, blurred over a tenth of the unit (H, W, 3)."""
        small = cv2.resize(self.log, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        blurred = cv2.GaussianBlur(small, (0, 0), max(self.unit * 0.1 / 4, 0.8))
        return cv2.resize(blurred, (self.width, self.height), interpolation=cv2.INTER_LINEAR)

    @cached_property
    def skin(self) -> FloatImage:
        """Paintable skin, (H, W) in [0, 1]: no eyes, brows, lips, hair, beard or glasses."""
        half = cv2.resize(self.image, (self.width // 2, self.height // 2), interpolation=cv2.INTER_AREA)
        small = skin_map(half.astype(np.float32) / 255, self.landmarks / 2)
        return cv2.resize(small, (self.width, self.height), interpolation=cv2.INTER_LINEAR)

    @cached_property
    def coarse_skin(self) -> FloatImage:
        """The same at a quarter of the canvas' size, (H/4, W/4)."""
        return cv2.resize(self.skin, (self.width // 4, self.height // 4), interpolation=cv2.INTER_AREA)

    @cached_property
    def regions(self) -> FloatImage:
        """Region maps at a quarter of the canvas' size, (18, H/4, W/4)."""
        return region_maps(self.landmarks / 4, Extent(self.width // 4, self.height // 4))

    def region_of(self, x: float, y: float) -> str:
        """The named region at a point (never a grid cell); `face` where none covers it."""
        row = int(min(max(y / 4, 0), self.regions.shape[1] - 1))
        column = int(min(max(x / 4, 0), self.regions.shape[2] - 1))
        values = self.regions[1 : len(NAMED_REGIONS), row, column]
        best = int(values.argmax())
        return NAMED_REGIONS[1 + best] if values[best] > 0.3 else "face"

    def region_map(self, region: str) -> FloatImage:
        """One named region at a quarter of the canvas' size, (H/4, W/4)."""
        return self.regions[NAMED_REGIONS.index(region)]

    @cached_property
    def light(self) -> tuple[float, float]:
        """Direction in the image that the light comes from, a vector (x, y) of length at most 1 (0: frontal).

        Read off the slope of low-frequency luminance over the skin.
        """
        luma = cv2.resize(mean_of_channels(self.base), (32, 32), interpolation=cv2.INTER_AREA)
        weight = cv2.resize(self.skin, (32, 32), interpolation=cv2.INTER_AREA) + 1e-6
        y, x = np.mgrid[:32, :32].astype(np.float32) / 16 - 1
        terms = np.stack([x.ravel(), y.ravel(), np.ones(1024, np.float32)], 1)
        w = np.sqrt(weight.ravel())[:, None]
        slope = np.linalg.lstsq(terms * w, luma.ravel()[:, None] * w, rcond=None)[0][:2, 0]
        length = float(np.hypot(*slope))
        scale = min(length, 1.0) / max(length, 1e-6)
        return float(slope[0]) * scale, float(slope[1]) * scale

    def sample_points(
        self, rng: np.random.Generator, count: int, weight: FloatImage | None = None, least_skin: float = 0.6
    ) -> FloatImage:
        """Up to `count` points (n, 2) px on paintable skin, drawn by `weight` ((H/4, W/4), default even)."""
        skin = self.coarse_skin
        chance = np.where(skin >= least_skin, skin if weight is None else skin * weight, 0).ravel().astype(np.float64)
        total = chance.sum()
        if total <= 0 or count <= 0:
            return np.zeros((0, 2), np.float32)
        cells = np.searchsorted(np.cumsum(chance) / total, rng.random(count))
        rows, columns = np.divmod(cells.clip(0, chance.size - 1), skin.shape[1])
        jitter = rng.random((2, count))
        return np.stack([(columns + jitter[0]) * 4, (rows + jitter[1]) * 4], 1).astype(np.float32)

    def window(self, x: float, y: float, reach: float) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1) of a square window of half-side `reach` px around a point, see `box`."""
        return self.box(np.array([[x, y]], np.float32), reach)

    def box(self, points: FloatImage, margin: float) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1) around points (n, 2), inside the canvas and never smaller than 3 px, also for points that
        lie off the canvas."""
        (left, top), (right, bottom) = np.floor(points.min(0) - margin), np.ceil(points.max(0) + margin) + 1
        x, y = int(min(max(left, 0), self.width - 3)), int(min(max(top, 0), self.height - 3))
        return x, y, int(min(max(right, x + 3), self.width)), int(min(max(bottom, y + 3), self.height))

    def mark(self, kind: str, region: str, x: int, y: int, delta: FloatImage, alpha: FloatImage) -> Mark:
        """A mark whose paint fades out where there is no paintable skin under it."""
        window = slice(y, y + alpha.shape[0]), slice(x, x + alpha.shape[1])
        allowed = self.skin[window]
        faded = np.multiply(delta, cv2.merge((allowed, allowed, allowed)), dtype=np.float32)
        return Mark(kind, region, x, y, faded, (alpha * allowed).astype(np.float32))
