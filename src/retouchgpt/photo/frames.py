"""One decoded picture of a clip in its own samples: looked at as RGB, edited without touching other samples.

A correction is converted to the clip's own luma and chroma and added there. Converting the whole picture to RGB and
back would move every pixel by rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.geometry import Box, Extent

VideoFrame = Any
"""PyAV's; its annotations differ from version to version."""
WEIGHTS: dict[int, tuple[float, float]] = {
    1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087),
    9: (0.2627, 0.0593), 10: (0.2627, 0.0593),
}  # fmt: skip
"""Luma weights of red and blue by the matrix coefficients' number in ITU-T H.273."""
MATRIX_NAMES = {1: "ITU709", 4: "FCC", 5: "ITU601", 6: "ITU601", 7: "SMPTE240M", 9: "BT2020", 10: "BT2020"}
LEAN = 0.05
"""Levels about half way within which `rounded` looks at the samples around; more would smooth the grain away."""
HIGH_DEFINITION = 720
"""Height from which an unmarked clip is read by BT.709, else by BT.601."""
FULL = 2
"""The number of full range among a frame's colour ranges."""
WORKING: dict[str, str] = {
    "nv12": "yuv420p", "nv21": "yuv420p", "p010le": "yuv420p10le", "p016le": "yuv420p16le", "nv16": "yuv422p",
    "p210le": "yuv422p10le", "yuyv422": "yuv422p", "uyvy422": "yuv422p", "gray16be": "gray16le",
    "bgr24": "gbrp", "rgb24": "gbrp", "bgr0": "gbrp", "rgb0": "gbrp", "0rgb": "gbrp", "0bgr": "gbrp",
    "rgba": "gbrap", "bgra": "gbrap", "argb": "gbrap", "abgr": "gbrap", "rgb48le": "gbrp16le", "rgb48be": "gbrp16le",
    "rgba64be": "gbrap16le", "rgba64le": "gbrap16le", "v210": "yuv422p10le",
}  # fmt: skip
"""Packed formats and the planar one that holds the same samples."""


class Layout(NamedTuple):
    """How a planar format keeps its samples. depth: bits. cell: (width, height) px that share a chroma sample.
    kind: yuv, rgb or grey."""

    depth: int
    cell: tuple[int, int]
    kind: str


@dataclass
class Frame:
    """One picture. index: from 0 in order of showing. pts, duration: in the stream's time base. picture: planar.
    matrix: see WEIGHTS. full: samples span the whole range. turn: quarter turns counter-clockwise to upright."""

    index: int
    pts: int
    duration: int
    picture: VideoFrame
    layout: Layout
    matrix: int
    full: bool
    turn: int = 0

    @property
    def extent(self) -> Extent:
        return Extent(self.picture.width, self.picture.height)

    def rgb(self, bits: int = 0) -> NDArray[Any]:
        """(H, W, 3) RGB as stored (not turned): uint8, or uint16 where `bits` (by default the clip's) is above 8."""
        deep = (bits or self.layout.depth) > 8
        name = MATRIX_NAMES[self.matrix] if self.layout.kind == "yuv" else None
        return self.picture.to_ndarray(format="rgb48le" if deep else "rgb24", src_colorspace=name)

    def planes(self) -> list[NDArray[Any]]:
        """Views of the samples, one (h, w) array a plane; write to them after `make_writable` only."""
        kind = np.dtype("<u2") if self.layout.depth > 8 else np.dtype("u1")
        views = []
        for plane in self.picture.planes:
            rows = np.frombuffer(memoryview(plane), kind).reshape(plane.height, plane.line_size // kind.itemsize)
            views.append(rows[:, : plane.width])
        return views

    def add(self, box: Box, change: NDArray[np.float32]) -> Box:
        """Add an RGB change, (h, w, 3) in units of 1 over `box`, to the samples there; returns the box of whole cells.

        A chroma sample takes the mean change of its cell. Samples whose change is 0 keep their bits.
        """
        whole, change = self._cells(box, change)
        if not change.any():
            return whole
        self.picture.make_writable()  # the decoder may still read this picture
        top = (1 << self.layout.depth) - 1
        for plane, values, (cw, ch) in zip(self.planes(), self._samples(change), self._steps(), strict=False):
            rows = slice(whole.y0 // ch, -(-whole.y1 // ch))
            columns = slice(whole.x0 // cw, -(-whole.x1 // cw))
            part = plane[rows, columns]
            part[...] = rounded(part + values[: part.shape[0], : part.shape[1]]).clip(0, top)
        return whole

    def _cells(self, box: Box, change: NDArray[np.float32]) -> tuple[Box, NDArray[np.float32]]:
        """The box grown to whole cells, and the change padded to it."""
        cw, ch = self.layout.cell
        x0, y0 = box.x0 // cw * cw, box.y0 // ch * ch
        x1, y1 = -(-box.x1 // cw) * cw, -(-box.y1 // ch) * ch
        padded = np.pad(change, ((box.y0 - y0, y1 - box.y1), (box.x0 - x0, x1 - box.x1), (0, 0)))
        return Box(x0, y0, min(x1, self.extent.width), min(y1, self.extent.height)), padded

    def _steps(self) -> list[tuple[int, int]]:
        return [(1, 1), self.layout.cell, self.layout.cell] if self.layout.kind == "yuv" else [(1, 1)] * 3

    def _samples(self, change: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The change by plane, in the samples' own levels."""
        top = (1 << self.layout.depth) - 1
        if self.layout.kind == "rgb":  # planes lie in the order G, B, R
            return [change[..., i] * top for i in (1, 2, 0)]
        red, blue = WEIGHTS[self.matrix]
        luma = change @ np.array([red, 1 - red - blue, blue], np.float32)
        step = 1 << (self.layout.depth - 8)
        grey, colour = (top, top) if self.full else (219 * step, 224 * step)
        if self.layout.kind == "grey":
            return [luma * grey]
        cw, ch = self.layout.cell
        size = (change.shape[1] // cw, change.shape[0] // ch)
        small = [cv2.resize(v, size, interpolation=cv2.INTER_AREA) for v in (luma, change[..., 2], change[..., 0])]
        return [
            luma * grey,
            (small[1] - small[0]) / (2 * (1 - blue)) * colour,
            (small[2] - small[0]) / (2 * (1 - red)) * colour,
        ]


def rounded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Samples (h, w) or (h, w, 3) as whole numbers, steadily from frame to frame.

    Rounding an edited sample anew adds noise to the clip's grain, which then flickers more than it did. So what lies
    within LEAN of half way goes to the side of the samples around it, which takes as much from the grain as rounding
    adds. Whole numbers stay.
    """
    values = np.asarray(values, np.float32)
    around = cv2.GaussianBlur(values, (0, 0), 1)
    return np.rint(values + LEAN * np.sign(around - values))


def frame_of(picture: VideoFrame, index: int, pts: int, duration: int, turn: int) -> Frame:
    """A decoded picture as a frame, its samples repacked where they do not lie in planes. Raises ValueError."""
    layout = layout_of(picture)
    if layout is None:
        kept = picture.colorspace, picture.color_range, picture.color_primaries, picture.color_trc
        picture = picture.reformat(format=WORKING.get(picture.format.name, "gbrp"))
        if not picture.format.is_rgb:
            picture.colorspace, picture.color_range, picture.color_primaries, picture.color_trc = kept
        layout = layout_of(picture)
    if layout is None:
        raise ValueError(f"samples of the kind {picture.format.name} are not known")
    matrix = int(picture.colorspace)
    if matrix not in WEIGHTS:
        matrix = 1 if picture.height >= HIGH_DEFINITION else 6
    full = int(picture.color_range) == FULL or picture.format.name.startswith("yuvj")
    return Frame(index, pts, duration, picture, layout, matrix, full, turn)


def layout_of(picture: VideoFrame) -> Layout | None:
    """The layout of a planar picture whose samples can be edited in place; None for any other."""
    form, parts = picture.format, picture.format.components
    colours = [c for c in parts if not c.is_alpha]
    if len({c.plane for c in parts}) != len(parts) or len({c.bits for c in parts}) != 1:
        return None
    floats = "f16" in form.name or "f32" in form.name
    if not 8 <= parts[0].bits <= 16 or floats or form.has_palette or (form.is_big_endian and parts[0].bits > 8):
        return None
    if len(colours) == 1:
        return Layout(parts[0].bits, (1, 1), "grey")
    if form.is_rgb:
        return Layout(parts[0].bits, (1, 1), "rgb")
    cell = (_shared(picture.width, colours[1].width), _shared(picture.height, colours[1].height))
    return Layout(parts[0].bits, cell, "yuv")


def _shared(luma: int, chroma: int) -> int:
    """Luma samples a chroma sample along one side: 1, 2 or 4."""
    ratio = luma / chroma
    return 1 if ratio <= 1 else 2 if ratio <= 2 else 4
