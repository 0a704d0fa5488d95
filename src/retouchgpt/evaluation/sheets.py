"""Pictures of what a method did: before, target, after, mask and difference side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from .cases import Case
from .metrics import Image


def strip(case: Case, picture: Image, mask: Any) -> Image:
    """Before, target, after, mask, difference x8, side by side."""
    grey = np.repeat(np.rint(np.asarray(mask) * 255).astype(np.uint8)[..., None], 3, 2)
    change = (128 + 8 * (picture.astype(np.int16) - case.image.astype(np.int16))).clip(0, 255).astype(np.uint8)
    window = slice(60, 460), slice(90, 430)
    return np.hstack([x[window] for x in (case.image, case.target, picture, grey, change)])
