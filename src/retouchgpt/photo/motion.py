"""Motion inside the aligned face: where each place of a frame was in another, and maps carried along it (ours).

Alignment takes away most of a head's motion. What is left (expression, turning, the landmarks' own jitter) is measured
between two aligned crops by dense flow (DIS: Kroeger et al., 2016), so that what is carried sticks to the skin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[Any]

FLOW_SIDE = 384
"""Side of the pictures between which flow is measured."""
LIGHT_SIDE = 32
"""Side of the maps that hold how light falls."""
SURE, LOST = 0.03, 0.08
"""Difference of carried and real grey (of 1) up to which flow is trusted, and from which it is not at all."""
LIGHT = (0.5, 2.0)
"""Bounds of the gain by which a correction follows the light."""


@dataclass(frozen=True)
class View:
    """An aligned crop as motion needs it. grey: uint8 (F, F). light: float32 (L, L, 3), low-passed colour in [0, 1]."""

    grey: NDArray[np.uint8]
    light: NDArray[np.float32]


@dataclass(frozen=True)
class Flow:
    """From one view back to an earlier one. at: (F, F, 2), px of the flow's frame at which each place was. trust:
    (F, F) in [0, 1]. gain: (L, L, 3), light now over light then."""

    at: NDArray[np.float32]
    trust: NDArray[np.float32]
    gain: NDArray[np.float32]

    def carry(self, values: FloatImage, way: int = cv2.INTER_LINEAR) -> NDArray[np.float32]:
        """A map of the earlier view, (S, S) or (S, S, n) with n <= 4, in the later one; way: OpenCV's interpolation."""
        side = values.shape[0]
        grid = self.at if side == self.at.shape[0] else _scaled(self.at, side)
        return cv2.remap(
            np.asarray(values, np.float32), grid, None, way, borderMode=cv2.BORDER_CONSTANT
        )  # fmt: skip

    def carry_stack(self, values: FloatImage) -> NDArray[np.float32]:
        """As `carry` for maps (n, S, S)."""
        return np.stack([self.carry(v) for v in values])

    def trusted(self, side: int) -> NDArray[np.float32]:
        """How far the flow is trusted, (side, side)."""
        return cv2.resize(self.trust, (side, side), interpolation=cv2.INTER_LINEAR)

    def lit(self, correction: FloatImage) -> NDArray[np.float32]:
        """A carried correction (S, S, 3) under the light of now."""
        side = correction.shape[0]
        return correction * cv2.resize(self.gain, (side, side), interpolation=cv2.INTER_CUBIC)


def view(crop: FloatImage) -> View:
    """A crop (S, S, 3), float RGB in [0, 1], as motion needs it."""
    small = cv2.resize(crop, (FLOW_SIDE, FLOW_SIDE), interpolation=cv2.INTER_AREA)
    grey = np.rint(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) * 255).astype(np.uint8)
    light = cv2.resize(small, (LIGHT_SIDE, LIGHT_SIDE), interpolation=cv2.INTER_AREA)
    return View(grey, cv2.GaussianBlur(light, (0, 0), 1.5))


def flow(now: View, then: View) -> Flow:
    """Motion from `now` back to `then`."""
    even = _evened(now.grey), _evened(then.grey)
    moved = _measure().calc(*even, None)
    moved = cv2.GaussianBlur(moved, (0, 0), FLOW_SIDE / 128)  # skin moves together; single places follow noise
    at = _grid(FLOW_SIDE) + moved
    light = cv2.remap(then.light, _scaled(at, LIGHT_SIDE), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    gain = ((now.light + 0.03) / (light + 0.03)).clip(*LIGHT)
    carried = cv2.remap(even[1], at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT).astype(np.float32)
    apart = cv2.GaussianBlur(np.abs(carried - even[0].astype(np.float32)) / 255, (0, 0), FLOW_SIDE / 64)
    return Flow(at, ((LOST - apart) / (LOST - SURE)).clip(0, 1), gain)


def _evened(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey without slow changes of light, so that neither flow nor trust takes a moving shadow for motion."""
    values = grey.astype(np.float32)
    slow = cv2.GaussianBlur(values, (0, 0), FLOW_SIDE / 16)
    return np.rint((values * (110 / (slow + 8))).clip(0, 255)).astype(np.uint8)


@lru_cache(maxsize=1)
def _measure() -> Any:
    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


@lru_cache(maxsize=4)
def _grid(side: int) -> NDArray[np.float32]:
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    return np.stack([x, y], -1)


def _scaled(at: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """A field of places for maps of another size; pixel centres lie at half-integers."""
    ratio = side / at.shape[0]
    large = cv2.resize(at - _grid(at.shape[0]), (side, side), interpolation=cv2.INTER_LINEAR) * ratio
    return large + _grid(side)
