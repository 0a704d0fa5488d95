"""Numbers that several formats store alike: bits a channel between 8 and 16, pixels an inch, and turns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]


def widened(codes: Pixels, bits: int) -> NDArray[np.uint16]:
    """Numbers of 9 to 16 bits spread over 16: 0 stays 0 and the highest becomes 65535."""
    codes = codes.astype(np.uint32)
    return ((codes << (16 - bits)) | (codes >> (2 * bits - 16))).astype(np.uint16)


def narrowed(wide: Pixels, bits: int) -> NDArray[np.uint16]:
    """Numbers of 16 bits rounded to `bits`; inverse of `widened`."""
    top = (1 << bits) - 1
    return ((wide.astype(np.uint32) * top + 32767) // 65535).astype(np.uint16)


def density(value: Any) -> tuple[float, float] | None:
    """Pixels an inch both ways, from what Pillow read; None where it makes no sense."""
    try:
        x, y = float(value[0]), float(value[1])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    return (x, y) if x > 0 and y > 0 else None


def turned(array: Any, orientation: int) -> Any:
    """Apply an EXIF orientation to (H, W, ...) pixels."""
    if array is None or orientation == 1:
        return array
    if orientation in (5, 6, 7, 8):
        array = np.swapaxes(array, 0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)
