"""Native candidates: places where a face may have imperfections of its own that no mask marks (ours).

A detector that is told "negative" there would learn to find paint, not imperfections.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.vocabulary import IMPERFECTIONS, NAMED_REGIONS

from .canvas import Canvas, FloatImage

MARK, RED, LID, GLOSS = 1, 2, 4, 8
"""Bits of the candidate map: small marks and lines, reddish areas, dark lids, glossy areas."""
BIT_OF_KIND = {"redness": RED, "dark_circles": LID, "shine": GLOSS}


def native_candidates(canvas: Canvas) -> NDArray[np.uint8]:
    """Candidate bits of the unpainted face, uint8 (H, W)."""
    half = cv2.resize(canvas.log, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    skin = cv2.resize(canvas.skin, half.shape[1::-1], interpolation=cv2.INTER_AREA) > 0.5
    bits = np.zeros(half.shape[:2], np.uint8)
    if skin.sum() < 50:
        return cv2.resize(bits, (canvas.width, canvas.height))
    luma, red = half.mean(2), half[..., 0] - half[..., 1]
    small = _bands(luma, skin, canvas.unit / 2, 4.0) | _bands(red, skin, canvas.unit / 2, 4.5)
    bits[cv2.dilate(small.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0] |= MARK
    bits[_far(cv2.GaussianBlur(red, (0, 0), canvas.unit * 0.03), skin, 1.2)] |= RED
    bits[_far(cv2.GaussianBlur(luma, (0, 0), canvas.unit * 0.02), skin, 1.3)] |= GLOSS
    lids = canvas.regions[[NAMED_REGIONS.index("left_eye"), NAMED_REGIONS.index("right_eye")]].max(0)
    lids = cv2.resize(lids, half.shape[1::-1]) > 0.3
    bits[lids & _far(-cv2.GaussianBlur(luma, (0, 0), canvas.unit * 0.02), skin, 0.0)] |= LID
    return cv2.resize(bits, (canvas.width, canvas.height), interpolation=cv2.INTER_NEAREST)


def by_kind(bits: NDArray[np.uint8], kind: str) -> NDArray[np.uint8]:
    """The candidate map of one kind, 0 or 1."""
    return ((bits & BIT_OF_KIND.get(kind, MARK)) > 0).astype(np.uint8)


def stack_by_kind(bits: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Candidate bits (H, W) -> (H, W, 12) in channel order, 0 or 1."""
    return np.stack([by_kind(bits, kind) for kind in IMPERFECTIONS], -1).astype(np.float32)


def _bands(values: FloatImage, skin: NDArray[np.bool_], unit: float, threshold: float) -> NDArray[np.bool_]:
    """Where a band-pass at the scale of marks leaves its usual range on this skin."""
    out = np.zeros(skin.shape, bool)
    fine = cv2.GaussianBlur(values, (0, 0), max(unit * 0.012, 0.6))
    for factor in (2.0, 4.0):
        coarse = cv2.GaussianBlur(values, (0, 0), max(unit * 0.012 * factor, 1.2))
        out |= _far(np.abs(fine - coarse), skin, threshold)
        fine = coarse
    return out & skin


def _far(values: FloatImage, skin: NDArray[np.bool_], threshold: float) -> NDArray[np.bool_]:
    """On skin, more than `threshold` robust deviations above the skin's median."""
    inside = values[skin][::7]
    median = float(np.median(inside))
    deviation = 1.4826 * float(np.median(np.abs(inside - median))) + 1e-4
    return (values > median + threshold * deviation) & skin
