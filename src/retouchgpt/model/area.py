"""A rectangle of a map: work that only matters inside a mask is done there and nowhere else."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class Area(NamedTuple):
    """Half-open rows [y0, y1) and columns [x0, x1) of a map."""

    y0: int
    y1: int
    x0: int
    x1: int

    def grown(self, by: int, height: int, width: int) -> Area:
        """With `by` cells around it, kept to a map of this size."""
        return Area(max(self.y0 - by, 0), min(self.y1 + by, height), max(self.x0 - by, 0), min(self.x1 + by, width))

    def coarser(self, factor: int) -> Area:
        """The cells, `factor` times as large, that it touches."""
        return Area(self.y0 // factor, -(-self.y1 // factor), self.x0 // factor, -(-self.x1 // factor))

    def finer(self, factor: int) -> Area:
        return Area(*(side * factor for side in self))

    def of(self, x: Tensor) -> Tensor:
        """This part of (..., H, W)."""
        return x[..., self.y0 : self.y1, self.x0 : self.x1]

    def inside(self, outer: Area, x: Tensor) -> Tensor:
        """This part of (..., h, w) that covers `outer`."""
        return Area(self.y0 - outer.y0, self.y1 - outer.y0, self.x0 - outer.x0, self.x1 - outer.x0).of(x)


def whole(x: Tensor) -> Area:
    """All of (..., H, W)."""
    return Area(0, x.shape[-2], 0, x.shape[-1])


def around(chosen: Tensor) -> Area | None:
    """The smallest area with all that is True of (B, 1, H, W); None where nothing is."""
    rows, columns = (chosen.any(0)[0].any(axis).nonzero() for axis in (1, 0))
    if not len(rows):
        return None
    return Area(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)


def pooled(x: Tensor, height: int, width: int) -> Tensor:
    """Largest values over cells, (B, C, H, W) -> (B, C, height, width)."""
    if x.shape[-2:] == (height, width):
        return x
    down, over_down = divmod(x.shape[-2], height)
    across, over_across = divmod(x.shape[-1], width)
    if over_down or over_across or not down or not across:
        return F.adaptive_max_pool2d(x, (height, width))
    return F.max_pool2d(x, (down, across))  # the same, several times as fast
