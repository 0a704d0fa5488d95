"""The ratio by which an imperfection changed the skin's light, taken back: pigment and shade without its pores (ours).

A spot, redness or a shadow darkens what lies under it by a factor. Taken back as a factor that varies smoothly, it goes
and the pores stay, on dark skin as on light. As a sum, the repair had to draw each pore anew, brighter.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .imperfection import KINDS
from .layers import zero_conv

BOXES = (1, 3, 5)
"""Sides, in cells of the finest map, of the twofold box blurs of the photo that are compared with the skin around."""
BANDS = len(BOXES)
BLACK = 0.03
"""Added to pixel values in [0, 1] before a ratio is taken."""
LIMIT = 1.5
"""Bound of the log ratio."""
PLAIN = 0.35
"""Mask value from which a kind counts as present in full."""
QUICK = 4.0
"""Gain of the weights a kind, so that they are learned as fast as what a convolution sums up."""


@torch.no_grad()
def log_bands(small: Tensor, around: Tensor) -> Tensor:
    """How much brighter the skin around is than the photo, as natural logarithms in bands from fine to coarse.

    small, around: (B, 3, h, w) in [0, 1] at the finest map's size; around: the colours of the skin outside the mask.
    Returns (B, BANDS, 3, h, w); their sum is log(around / small).
    """
    levels = [x if side == 1 else _box(_box(x, side), side) for x, side in zip([small] * BANDS, BOXES, strict=True)]
    logs = [torch.log(x + BLACK) for x in (*levels, around)]
    return torch.stack([coarse - fine for fine, coarse in pairwise(logs)], 1)


def _box(x: Tensor, side: int) -> Tensor:
    return F.avg_pool2d(x, side, 1, side // 2, count_include_pad=False)


def presence(kinds: Tensor) -> Tensor:
    """(B, 12, h, w) in [0, 1] -> (B, 24, h, w): as they are, and whether they are there at all."""
    return torch.cat([kinds, (kinds / PLAIN).clamp_max(1)], 1)


class RatioHead(nn.Module):
    """Features of the finest level, kinds and bands -> the log ratio to apply (B, 3, h, w), and by how much more or
    less the decoder's sum counts beside it (B, 1, h, w).

    The ratio is a sum of the bands, each by a share, and of a tint; all of them depend on the place's features and on
    the kind. Starts at zero; `training/ratio_start.py` fits what depends on the kind alone.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hint = zero_conv(3 * BANDS, channels)
        self.shares = zero_conv(channels, BANDS + 4, 3)
        self.kinds = nn.Conv2d(2 * KINDS, BANDS + 4, 1, bias=False)
        nn.init.zeros_(self.kinds.weight)

    def forward(self, x: Tensor, kinds: Tensor, bands: Tensor) -> tuple[Tensor, Tensor]:
        """x: (B, C, h, w). kinds: (B, 12, h, w) in [0, 1]. bands: (B, BANDS, 3, h, w)."""
        shares = (self.shares(x) + QUICK * self.kinds(presence(kinds))).float()
        total = (shares[:, :BANDS, None] * bands).sum(1) + shares[:, BANDS : BANDS + 3]
        return LIMIT * torch.tanh(total / LIMIT), shares[:, BANDS + 3 :]


def applied(image: Tensor, log_ratio: Tensor) -> Tensor:
    """What a log ratio (B, 3, H, W) adds to an image of that size."""
    return (image + BLACK) * torch.expm1(log_ratio)
