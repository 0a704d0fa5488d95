"""From photo to model crop and back: the repair is added to the photo's own pixels, never painted over them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.geometry import Box, Extent, Similarity

from .colour import SRGB, Space, brought_back
from .detail import GREEN, Surroundings, finer_remains, margin, surroundings
from .tiling import Tile, tiles

FloatImage = NDArray[Any]
Placed: TypeAlias = tuple[FloatImage, FloatImage, Similarity]
"""A correction (size, size, 3) in [-1, 1], its mask (size, size) in [0, 1], and photo -> model frame."""

TILE = 1024
EDGE = 1.0 / 512
"""Mask weight below which a pixel is outside."""
NEAR = 12
"""Model px beside a mask in which skin to compare with is looked for."""
DETAIL_BELOW = 0.7
"""Model px a photo px under which the photo has detail that the model did not see."""


@dataclass(frozen=True)
class Pasted:
    """pixels: the photo with the repair, its own type. mask: (H, W) float32 in [0, 1], the weight of the edit; pixels
    where it is 0 are the photo's own to the bit."""

    pixels: NDArray[Any]
    mask: NDArray[np.float32]


def to_model(pixels: NDArray[Any], alignment: Similarity, size: int) -> NDArray[np.float32]:
    """Photo (H, W, 3), uint8 or uint16 -> model crop (size, size, 3), float32 in [0, 1].

    A large face is first shrunk by area, so that nothing aliases; beyond the photo's edge its border is mirrored.
    """
    extent = Extent(pixels.shape[1], pixels.shape[0])
    box = frame_box(alignment, size, extent, margin=2)
    piece = pixels[box.slices]
    if not piece.size:
        return np.zeros((size, size, 3), np.float32)
    factor = min(1.0, alignment.scale)
    if factor < 1.0:
        target = (max(round(piece.shape[1] * factor), 1), max(round(piece.shape[0] * factor), 1))
        small = cv2.resize(piece, target, interpolation=cv2.INTER_AREA)
    else:
        target, small = (piece.shape[1], piece.shape[0]), piece
    ratio = np.array((piece.shape[1] / target[0], piece.shape[0] / target[1]))
    top = float(np.iinfo(pixels.dtype).max)
    matrix = alignment.matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ np.array((box.x0, box.y0))
    matrix[:, :2] *= ratio
    matrix[:, 2] += matrix[:, :2] @ np.array((0.5, 0.5)) - 0.5
    warped = cv2.warpAffine(
        small.astype(np.float32) / top, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.clip(warped, 0, 1)


def frame_box(alignment: Similarity, size: int, extent: Extent, margin: int = 0) -> Box:
    """The photo's box around the model frame, clipped to the photo."""
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]], np.float64)
    around = alignment.inverse().apply(corners)
    low, high = np.floor(around.min(0)).astype(int), np.ceil(around.max(0)).astype(int)
    return Box(int(low[0]), int(low[1]), int(high[0]), int(high[1])).grown(margin).clipped(extent)


def paste(
    pixels: NDArray[Any], correction: FloatImage, mask: FloatImage, alignment: Similarity, *, detail: bool = True,
    space: Space = SRGB,
) -> Pasted:  # fmt: skip
    """Add a model-frame correction to a photo at its own size. See `paste_all`."""
    return paste_all(pixels, [(correction, mask, alignment)], detail=detail, space=space)


def paste_all(pixels: NDArray[Any], repairs: list[Placed], *, detail: bool = True, space: Space = SRGB) -> Pasted:
    """Add corrections of sRGB numbers, each (size, size, 3) in [-1, 1] with its mask (size, size) in [0, 1], to a photo
    whose numbers are of `space`.

    Where two faces' frames overlap the one with the larger weight is used, so nothing is corrected twice. With
    `detail`, remains of a mark that are finer than the model could see are brought down to the skin around it.
    """
    out = pixels.copy()
    weight = np.zeros(pixels.shape[:2], np.float32)
    extent = Extent(pixels.shape[1], pixels.shape[0])
    for correction, mask, alignment in repairs:
        if not mask.any():
            continue
        box = _mask_box(mask, alignment, extent)
        around: Surroundings | None = None
        if detail and alignment.scale < DETAIL_BELOW:
            box = box.grown(round(NEAR / alignment.scale)).clipped(extent)  # skin beside the mask, to compare with
            around = _around(pixels, box, mask, alignment)
        for tile in _tiles(box, alignment.scale):
            _paste_tile(pixels, out, weight, tile, (correction, mask, alignment), around, space)
    return Pasted(out, weight)


def _tiles(box: Box, scale: float) -> Iterator[Tile]:
    """Tiles whose cores begin on the detail pass's grid, with the margin that it reads."""
    step = max(1, round(1 / scale))
    return tiles(box, max(TILE // step, 1) * step, margin(min(scale, 1.0)))


def _around(pixels: NDArray[Any], box: Box, mask: FloatImage, alignment: Similarity) -> Surroundings:
    top = np.float32(np.iinfo(pixels.dtype).max)
    return surroundings(
        (
            (t.core, t.padded, pixels[t.padded.slices][..., GREEN] / top, _own_mask(mask, alignment, t.padded))
            for t in _tiles(box, alignment.scale)
        ),
        box,
        alignment.scale,
    )


def _own_mask(mask: FloatImage, alignment: Similarity, box: Box) -> NDArray[np.float32]:
    own = _to_photo(mask, alignment, box, cv2.INTER_LINEAR)
    own[own < EDGE] = 0
    return own


def _paste_tile(
    pixels: NDArray[Any], out: NDArray[Any], weight: NDArray[np.float32], tile: Tile,
    repair: Placed, around: Surroundings | None, space: Space,
) -> None:  # fmt: skip
    correction, mask, alignment = repair
    core, padded = tile
    own = _own_mask(mask, alignment, padded)
    if not own.any():
        return
    change = _smooth_to_photo(correction, alignment, padded)
    source = pixels[padded.slices].astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    if space is not SRGB:
        inside = own > 0
        change[inside] = brought_back(space, source[inside], change[inside])
    if around is not None:
        change = change + finer_remains(source, change, own, alignment.scale, around.at(padded))
    inner = (
        slice(core.y0 - padded.y0, core.y1 - padded.y0),
        slice(core.x0 - padded.x0, core.x1 - padded.x0),
    )
    own, change, source = own[inner], change[inner], source[inner]
    chosen = own > weight[core.slices]
    repaired = np.rint((source + change).clip(0, 1) * np.iinfo(pixels.dtype).max).astype(pixels.dtype)
    out[core.slices][chosen] = repaired[chosen]
    weight[core.slices][chosen] = own[chosen]


def _to_photo(values: FloatImage, alignment: Similarity, box: Box, way: int) -> NDArray[np.float32]:
    """A model-frame map at the photo's px of a box; 0 beyond the model frame."""
    if alignment.scale > 1.2:  # the photo is coarser than the model: average first
        values = cv2.GaussianBlur(values, (0, 0), 0.4 * alignment.scale)
    matrix = alignment.matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ np.array((box.x0 + 0.5, box.y0 + 0.5)) - 0.5
    return cv2.warpAffine(
        np.asarray(values, np.float32), matrix, tuple(box.extent), flags=way | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
    )  # fmt: skip


def to_photo(values: FloatImage, alignment: Similarity, extent: Extent) -> NDArray[np.float32]:
    """A model-frame map (size, size) over the whole photo, (H, W) float32; 0 beyond the model frame."""
    return _to_photo(values, alignment, Box(0, 0, extent.width, extent.height), cv2.INTER_LINEAR)


def _smooth_to_photo(values: FloatImage, alignment: Similarity, box: Box) -> NDArray[np.float32]:
    """As `_to_photo`, by cubic interpolation kept between the values around: no ringing beside a sharp edge."""
    values = np.asarray(values, np.float32)
    near = np.ones((3, 3), np.uint8)
    smooth = _to_photo(values, alignment, box, cv2.INTER_CUBIC)
    np.maximum(smooth, _to_photo(cv2.erode(values, near), alignment, box, cv2.INTER_LINEAR), out=smooth)
    return np.minimum(smooth, _to_photo(cv2.dilate(values, near), alignment, box, cv2.INTER_LINEAR), out=smooth)


def _mask_box(mask: FloatImage, alignment: Similarity, extent: Extent) -> Box:
    """The photo's box around the non-zero part of a model-frame mask."""
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    x0, x1, y0, y1 = columns[0] - 1, columns[-1] + 2, rows[0] - 1, rows[-1] + 2
    around = alignment.inverse().apply(np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]], np.float64))
    low, high = np.floor(around.min(0)).astype(int), np.ceil(around.max(0)).astype(int)
    return Box(int(low[0]), int(low[1]), int(high[0]), int(high[1])).grown(2).clipped(extent)
