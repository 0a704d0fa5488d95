"""Reading clips: what a file holds, and its pictures one after another, a few at a time in memory (extra `video`)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.errors import (
    CorruptVideo,
    MissingExtra,
    NotAVideo,
    NoVideoStream,
    PhotoNotFound,
    PhotoTooLarge,
    UnsupportedVideo,
)
from retouchgpt.core.geometry import Extent

from .frames import Frame, VideoFrame, frame_of

LIMIT_PIXELS = 40_000_000
"""Largest picture of a clip: 8K has 33 million px."""
WIDE_TRANSFERS = {16: "PQ", 18: "HLG"}
"""Transfer characteristics (ITU-T H.273) of high dynamic range."""


def pyav() -> Any:
    """The PyAV module, with FFmpeg's own log off. Raises MissingExtra."""
    try:
        import av
        import av.logging
    except ImportError as error:
        raise MissingExtra("PyAV", "video") from error
    av.logging.set_level(None)
    return av


@dataclass(frozen=True)
class Clip:
    """A clip's moving picture. extent: as stored, before the rotation that the file asks players for. frames: about how
    many, 0 where unknown. matrix: that rotation's display matrix (nine integers), None without. turn: it in quarter
    turns counter-clockwise. colours: primaries, transfer, matrix, range as numbered in ITU-T H.273. rate: frames a
    second. depth: bits. notes: what the user should know."""

    path: Path
    extent: Extent
    codec: str
    pix_fmt: str
    depth: int
    rate: Fraction
    time_base: Fraction
    frames: int
    seconds: float
    index: int
    matrix: tuple[int, ...] | None = None
    turn: int = 0
    colours: tuple[int, int, int, int] = (2, 2, 2, 0)
    aspect: Fraction | None = None
    profile: str = ""
    notes: tuple[str, ...] = ()

    def pictures(self, skip: int = 0) -> Iterator[Frame]:
        """All pictures in the order of showing, from number `skip` on. Raises CorruptVideo where decoding fails."""
        count, last = 0, None
        with opened(self.path) as container:
            stream = container.streams[self.index]
            stream.thread_type = "AUTO"
            for picture in _decoded(container, stream, self.path):
                pts = picture.pts if picture.pts is not None else _next(last, self)
                if last is not None and pts <= last:
                    pts = last + 1
                last = pts
                count += 1
                if count > skip:
                    yield self._frame(picture, count - 1, pts)

    def _frame(self, picture: VideoFrame, index: int, pts: int) -> Frame:
        if (picture.width, picture.height) != self.extent:
            raise UnsupportedVideo(
                self.path, "the picture changes its size in the middle. Cut it into clips of one size."
            )
        try:
            return frame_of(picture, index, pts, int(picture.duration or 0), self.turn)
        except ValueError as error:
            raise UnsupportedVideo(self.path, f"{error}. Convert it to 8 or 10 bits first.") from error


def open_clip(path: str | Path) -> Clip:
    """What a file holds, from its header and first picture.

    Raises MissingExtra, PhotoNotFound, NotAVideo, NoVideoStream, CorruptVideo, PhotoTooLarge or UnsupportedVideo.
    """
    path = Path(path)
    with opened(path) as container:
        stream = _main(container, path)
        context = stream.codec_context
        if context is None or not context.width:
            raise UnsupportedVideo(path, "its video is of a kind that cannot be decoded. Convert it to H.264 first.")
        if context.width * context.height > LIMIT_PIXELS:
            raise PhotoTooLarge(context.width * context.height, LIMIT_PIXELS)
        first = next(_decoded(container, stream, path), None)
        if first is None:
            raise CorruptVideo(path, 0.0, "no picture in it can be decoded")
        frame = frame_of(first, 0, 0, 0, 0)
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        seconds = float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / 1e6
        matrix = display_matrix(first)
        return Clip(
            path=path,
            extent=Extent(context.width, context.height),
            codec=context.codec.canonical_name if hasattr(context.codec, "canonical_name") else context.name,
            pix_fmt=frame.picture.format.name,
            depth=frame.layout.depth,
            rate=Fraction(rate),
            time_base=Fraction(stream.time_base),
            frames=stream.frames or round(seconds * float(rate)),
            seconds=seconds,
            index=stream.index,
            matrix=matrix,
            turn=quarter_turns(matrix),
            colours=(context.color_primaries, context.color_trc, context.colorspace, context.color_range),
            aspect=stream.sample_aspect_ratio,
            profile=str(context.profile or ""),
            notes=_notes(first, frame, context.color_trc),
        )


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """An open file; only files are read, whatever a playlist in it says. Raises PhotoNotFound or NotAVideo."""
    av = pyav()
    if not path.is_file():
        raise PhotoNotFound(path)
    try:
        container = av.open(str(path.absolute()), options={"protocol_whitelist": "file"})
    except (av.error.FFmpegError, OSError, ValueError) as error:
        detail = "it is empty" if path.stat().st_size == 0 else _words(error)
        raise NotAVideo(path, detail) from error
    with container:
        yield container


def _main(container: Any, path: Path) -> Any:
    """The moving picture; covers and thumbnails are none."""
    av = pyav()
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            if container.format.name.endswith("_pipe") or container.format.name == "image2":
                raise UnsupportedVideo(path, "a still picture. Use `retouchgpt retouch`.")
            return stream
    raise NoVideoStream(path)


def _decoded(container: Any, stream: Any, path: Path) -> Iterator[VideoFrame]:
    av = pyav()
    at = 0.0
    try:
        for packet in container.demux(stream):
            for picture in packet.decode():
                at = picture.time or at
                yield picture
    except (av.error.FFmpegError, OSError) as error:
        raise CorruptVideo(path, at, _words(error)) from error


def _next(last: int | None, clip: Clip) -> int:
    """A time for a picture that has none."""
    return 0 if last is None else last + max(round(1 / (clip.rate * clip.time_base)), 1)


def display_matrix(picture: VideoFrame) -> tuple[int, ...] | None:
    """The nine integers that tell players how to turn the picture; None without."""
    for data in picture.side_data:
        if "DISPLAYMATRIX" in str(data.type):
            raw = bytes(data)
            return tuple(int(v) for v in struct.unpack("=9i", raw[:36]))
    return None


def quarter_turns(matrix: tuple[int, ...] | None) -> int:
    """Quarter turns counter-clockwise that bring the stored picture upright."""
    if matrix is None:
        return 0
    a, b = matrix[0] / 65536, matrix[1] / 65536
    return round(-np.degrees(np.arctan2(b, a)) / 90) % 4


def upright(pixels: NDArray[Any], turn: int) -> NDArray[Any]:
    """A stored picture (H, W, 3) as players show it."""
    return np.ascontiguousarray(np.rot90(pixels, turn)) if turn else pixels


def as_stored(points: NDArray[np.float32], turn: int, extent: Extent) -> NDArray[np.float32]:
    """Points (N, 2) of the upright picture in px of the stored one, whose extent is given."""
    x, y = points[:, 0], points[:, 1]
    if turn == 1:
        x, y = extent.width - y, x
    elif turn == 2:
        x, y = extent.width - x, extent.height - y
    elif turn == 3:
        x, y = y, extent.height - x
    return np.stack([x, y], 1).astype(np.float32)


def _notes(first: VideoFrame, frame: Frame, transfer: int) -> tuple[str, ...]:
    notes = []
    if first.format.name != frame.picture.format.name and frame.picture.format.is_rgb and not first.format.is_rgb:
        notes.append(f"its {first.format.name} pictures are edited as RGB")
    if transfer in WIDE_TRANSFERS:
        notes.append(f"it is high dynamic range ({WIDE_TRANSFERS[transfer]}), which the model reads as plain video")
    if first.interlaced_frame:
        notes.append("it is interlaced; both fields are edited as one picture")
    return tuple(notes)


def _words(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return str(text).strip().rstrip(".") or type(error).__name__
