"""Tiles: a pure function from extents to boxes, without pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from retouchgpt.core.geometry import Box


class Tile(NamedTuple):
    """core: the part of the picture that this tile writes; the cores of a layout cover the area once.
    padded: core with its margin, clipped to the area, what the tile reads."""

    core: Box
    padded: Box


def tiles(area: Box, side: int, margin: int) -> Iterator[Tile]:
    """Cut `area` into cores of at most side x side px, row by row, each read with `margin` px around it.

    Raises ValueError for a side below 1 or a negative margin.
    """
    if side < 1 or margin < 0:
        raise ValueError(f"side must be positive and margin not negative, got {side} and {margin}")
    for y in range(area.y0, area.y1, side):
        for x in range(area.x0, area.x1, side):
            core = Box(x, y, min(x + side, area.x1), min(y + side, area.y1))
            grown = core.grown(margin)
            padded = Box(max(grown.x0, area.x0), max(grown.y0, area.y0), min(grown.x1, area.x1), min(grown.y1, area.y1))
            yield Tile(core, padded)
