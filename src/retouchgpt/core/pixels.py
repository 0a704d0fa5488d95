"""The one place that converts pixels: RGB, [0, 1] floats, rounds, never truncates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Rec. 709 weights of R, G, B."""
STRIP = 256
"""Rows of a large photo that are taken at a time."""


def to_float(image: NDArray[np.integer]) -> NDArray[np.float32]:
    """8- or 16-bit integers -> float32 in [0, 1]. Any shape. Raises TypeError on other types."""
    if image.dtype == np.uint8 or image.dtype == np.uint16:
        return image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)
    raise TypeError(f"expected uint8 or uint16 pixels, got {image.dtype}")


def from_float(image: NDArray[np.floating], dtype: type[np.unsignedinteger] = np.uint8) -> NDArray[np.unsignedinteger]:
    """Floats in [0, 1] (clipped) -> integers of `dtype`, rounded to nearest."""
    top = np.iinfo(dtype).max
    return np.rint(np.clip(image, 0.0, 1.0) * top).astype(dtype)


def differing(before: NDArray[np.integer], after: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which pixels differ, (H, W), of two photos (H, W, 3) of one type. Equal strips of rows cost one comparison."""
    out = np.zeros(before.shape[:2], bool)
    for y in range(0, len(out), STRIP):
        a, b = before[y : y + STRIP], after[y : y + STRIP]
        if a is not b and not np.array_equal(a, b):
            unlike = a != b
            out[y : y + STRIP] = unlike[..., 0] | unlike[..., 1] | unlike[..., 2]
    return out


def srgb_to_linear(image: NDArray[np.floating]) -> NDArray[np.float32]:
    """sRGB-encoded [0, 1] -> linear light [0, 1] (IEC 61966-2-1)."""
    x = np.asarray(image, np.float32)
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(np.float32)


def linear_to_srgb(image: NDArray[np.floating]) -> NDArray[np.float32]:
    """Linear light [0, 1] -> sRGB-encoded [0, 1]."""
    x = np.maximum(np.asarray(image, np.float32), 0.0)
    return np.where(x <= 0.0031308, x * 12.92, 1.055 * x ** (1 / 2.4) - 0.055).astype(np.float32)


def luminance(image: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rec. 709 luma of an (..., 3) RGB array, same range as the input."""
    return np.asarray(image, np.float32) @ LUMA
