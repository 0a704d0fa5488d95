"""The skin around a mark, carried into it: a first guess of what lies under an opaque imperfection (ours)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .layers import upsample as enlarged

LEVELS = 9
"""Most halvings of the pyramid; its coarsest level sees past any mask that leaves some skin."""


@torch.no_grad()
def surround(image: Tensor, mask: Tensor) -> Tensor:
    """Fill the mask smoothly from its border by pull and push (Grossman and Dally, 1998).

    image: (B, 3, H, W) in [0, 1]. mask: (B, 1, h, w), h a divisor of H; it and one px around it is filled.
    Returns (B, 3, H, W): the local colour of the skin outside the mask, also a little smoothed there.
    """
    return enlarged(surround_small(image, mask), image.shape[-1] // mask.shape[-1])


@torch.no_grad()
def surround_small(image: Tensor, mask: Tensor) -> Tensor:
    """`surround` at the mask's size, (B, 3, h, w)."""
    factor = image.shape[-1] // mask.shape[-1]
    hole = F.max_pool2d((mask / 0.15).clamp(0, 1), 3, 1, 1)
    known = [1 - hole]
    sums = [F.avg_pool2d(image, factor) * known[0]]
    while len(sums) < LEVELS and min(sums[-1].shape[-2:]) > 1:
        sums.append(F.avg_pool2d(sums[-1], 2))
        known.append(F.avg_pool2d(known[-1], 2))
    filled = sums[-1] / known[-1].clamp_min(1e-3)
    for total, weight in zip(reversed(sums[:-1]), reversed(known[:-1]), strict=True):
        coarse = F.interpolate(filled, scale_factor=2, mode="bilinear", align_corners=False)
        filled = (total + 0.25 * coarse) / (weight + 0.25)
    return filled
