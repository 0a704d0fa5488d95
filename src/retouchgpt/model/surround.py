"""The skin around a mark, carried into it: a first guess of what lies under an opaque imperfection (ours)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .layers import upsample as enlarged

LEVELS = 9
"""Most halvings of the pyramid; its coarsest level sees past any mask that leaves some skin."""
UNKNOWN = 0.3
"""Mask value from which nothing of the photo is believed; below it, the less the higher it is."""
BELIEF = 32.0
"""Weight of a known pixel against one neighbour of the membrane."""
SWEEPS = 8
"""Jacobi sweeps a level."""


@torch.no_grad()
def surround(image: Tensor, mask: Tensor) -> Tensor:
    """The photo with a membrane stretched over the mask from its border: the solution of Laplace's equation where
    nothing is known, and nearly the photo itself where all is.

    image: (B, 3, H, W) in [0, 1]. mask: (B, 1, h, w) in [0, 1], h a divisor of H.
    Returns (B, 3, H, W), averaged over the mask's px.
    """
    return enlarged(surround_small(image, mask), image.shape[-1] // mask.shape[-1])


@torch.no_grad()
def surround_small(image: Tensor, mask: Tensor) -> Tensor:
    """`surround` at the mask's size, (B, 3, h, w): relaxed from the coarsest level of a pyramid to the finest."""
    levels = [(F.avg_pool2d(image, image.shape[-1] // mask.shape[-1]), 1 - (mask / UNKNOWN).clamp(0, 1))]
    levels[0] = (levels[0][0] * levels[0][1], levels[0][1])
    while len(levels) < LEVELS and min(levels[-1][0].shape[-2:]) > 1:
        levels.append((F.avg_pool2d(levels[-1][0], 2), F.avg_pool2d(levels[-1][1], 2)))
    total, known = levels.pop()
    filled = total / known.clamp_min(1e-3)
    for total, known in reversed(levels):
        filled = F.interpolate(filled, scale_factor=2, mode="bilinear", align_corners=False)
        share = 1 / (1 + BELIEF * known)
        believed = BELIEF * share * total
        for _ in range(SWEEPS):
            filled = torch.addcmul(believed, share, _neighbours(filled))
    return filled


def _neighbours(x: Tensor) -> Tensor:
    """Mean of each pixel's four neighbours; beyond the edge stand the edge's own."""
    x = F.pad(x, (1, 1, 1, 1), mode="replicate")
    across, down = x[..., 1:-1, :-2] + x[..., 1:-1, 2:], x[..., :-2, 1:-1] + x[..., 2:, 1:-1]
    return (across + down) / 4
