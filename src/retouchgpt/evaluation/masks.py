"""How well imperfection masks fit: soft IoU and average precision, from counts that faces can be resampled by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 256
TRUE = 0.5
"""Mask weight from which a place counts as an imperfection."""


def soft_overlap(heat: NDArray[Any], truth: NDArray[Any]) -> tuple[float, float]:
    """Summed minimum and summed maximum of two maps in [0, 1]; their quotient is the soft IoU."""
    return float(np.minimum(heat, truth).sum()), float(np.maximum(heat, truth).sum())


def counts(heat: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.float64]:
    """Places by heat, (2, BINS): those without and those with an imperfection. heat, truth: any equal shape, [0, 1]."""
    place = np.minimum((heat.ravel() * BINS).astype(np.int64), BINS - 1)
    positive = truth.ravel() >= TRUE
    return np.stack([np.bincount(place[positive == side], minlength=BINS) for side in (False, True)]).astype(float)


def average_precision(histogram: NDArray[Any]) -> NDArray[np.float64]:
    """Area under precision over recall by steps, from counts (..., 2, BINS) -> (...); nan without any positive.

    Places in one bin count as tied, so a map that is constant scores the share of positives.
    """
    falling = np.flip(histogram, -1)
    hits = falling[..., 1, :].cumsum(-1)
    total = hits[..., -1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.nan_to_num(hits / falling.sum(-2).cumsum(-1))
        return np.where(total[..., 0] > 0, (precision * falling[..., 1, :] / total).sum(-1), np.nan)
