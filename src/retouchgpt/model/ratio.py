"""The ratio by which an imperfection changed the skin's light, taken back: pigment and shade without its pores (ours).

A spot, redness or a shadow darkens what lies under it by a factor. Taken back as a factor that varies smoothly, it goes
and the pores stay, on dark skin as on light. As a sum, the repair had to draw each pore anew, brighter.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .imperfection import KINDS
from .layers import zero_conv

BOXES = (1, 3, 5)
"""Sides, in cells of the finest map, of the twofold box blurs of the photo that are compared with the skin around."""
RATIOS = len(BOXES)
BLACK = 0.03
"""Added to pixel values in [0, 1] before a ratio is taken."""
LIMIT = 1.5
"""Bound of the log ratio."""
PLAIN = 0.35
"""Mask value from which a kind counts as present in full."""
QUICK = 8.0
"""Gain of the factors a kind, so that they are learned as fast as what a convolution sums up."""


@torch.no_grad()
def log_ratios(small: Tensor, around: Tensor) -> Tensor:
    """How much brighter the skin around is than the photo, as natural logarithms at each blur.

    small, around: (B, 3, h, w) in [0, 1] at the finest map's size; around: the colours of the skin outside the mask.
    Returns (B, RATIOS, 3, h, w).
    """
    blurred = (small if side == 1 else _box(_box(small, side), side) for side in BOXES)
    return torch.stack([torch.log((around + BLACK) / (x + BLACK)) for x in blurred], 1)


def _box(x: Tensor, side: int) -> Tensor:
    return F.avg_pool2d(x, side, 1, side // 2, count_include_pad=False)


class RatioHead(nn.Module):
    """Features of the finest level, kinds and log ratios -> the log ratio to apply, (B, 3, h, w).

    It is a sum of the given ones, each by a share that depends on the place's features and on the kind, and of a tint
    alike. Starts at zero.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hint = zero_conv(3 * RATIOS, channels)
        self.shares = zero_conv(channels, RATIOS + 3, 3)
        self.kinds = nn.Conv2d(2 * KINDS, RATIOS + 3, 1, bias=False)
        nn.init.zeros_(self.kinds.weight)

    def forward(self, x: Tensor, kinds: Tensor, ratios: Tensor) -> Tensor:
        """x: (B, C, h, w). kinds: (B, 12, h, w) in [0, 1]. ratios: (B, RATIOS, 3, h, w)."""
        plain = torch.cat([kinds, (kinds / PLAIN).clamp_max(1)], 1)
        shares = (self.shares(x) + QUICK * self.kinds(plain)).float()
        total = (shares[:, :RATIOS, None] * ratios).sum(1) + shares[:, RATIOS:]
        return LIMIT * torch.tanh(total / LIMIT)


def applied(image: Tensor, log_ratio: Tensor) -> Tensor:
    """What a log ratio (B, 3, H, W) adds to an image of that size."""
    return (image + BLACK) * torch.expm1(log_ratio)
