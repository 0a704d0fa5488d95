"""Writing clips: a coder like the source's own, finished segments on disk, one file at the end with all other streams.

Coders are given pictures numbered one by one and no B-frames; the clip's own times are put back on the packets. So any
coder takes any timing, a segment stands by itself, and segments joined are one stream.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from retouchgpt.core.errors import OutputExists, OutputNotWritable, UnsupportedVideo

from .frames import Frame
from .segments import Packet
from .video import Clip, opened, pyav

CONTAINERS = {
    ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi", ".ts": "mpegts",
    ".mts": "mpegts", ".m2ts": "mpegts", ".mpg": "mpeg", ".nut": "nut", ".mxf": "mxf",
}  # fmt: skip
CODERS = {
    "h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9", "vp8": "libvpx", "av1": "libsvtav1",
    "prores": "prores_ks",
}  # fmt: skip
"""Coders by the codec's name where the two differ."""
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.EFBIG)
QP = 118
"""FFmpeg's unit of a quantiser step."""
FINE = {"flags": "+qscale", "global_quality": str(2 * QP)}
QUALITY: dict[str, dict[str, str]] = {
    "libx264": {"crf": "16", "preset": "medium", "bf": "0"},
    "libx265": {"crf": "17", "preset": "fast", "x265-params": "bframes=0:log-level=none"},
    "libvpx-vp9": {"crf": "18", "b": "0", "lag-in-frames": "0", "auto-alt-ref": "0", "cpu-used": "4", "row-mt": "1"},
    "libvpx": {"crf": "6", "b": "20M", "lag-in-frames": "0", "auto-alt-ref": "0", "cpu-used": "4"},
    "libsvtav1": {"crf": "20", "preset": "8", "svtav1-params": "pred-struct=1"},
    "mpeg4": FINE | {"bf": "0"}, "mpeg2video": FINE | {"bf": "0"}, "mjpeg": FINE, "wmv2": FINE,
    "dnxhd": {"profile": "dnxhr_hqx"}, "ffv1": {"level": "3"},
}  # fmt: skip
AGAIN = "the video was coded again, so pixels outside the edit move with the codec (--lossless keeps them)"
LOSSLESS = ("ffv1", "huffyuv", "utvideo", "rawvideo", "png")
X264_FORMATS = ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "gray", "gray10le")


@dataclass(frozen=True)
class Coding:
    """How the moving picture is coded. lossless: samples come back as they went in. notes: for the user."""

    coder: str
    pix_fmt: str
    options: tuple[tuple[str, str], ...]
    lossless: bool
    notes: tuple[str, ...] = ()


def container_of(out: Path) -> str:
    """FFmpeg's name of an output's container. Raises OutputNotWritable for a suffix that is none."""
    if out.suffix.lower() not in CONTAINERS:
        raise OutputNotWritable(out, f"{out.suffix or 'no suffix'} is no video file; use one of {' '.join(CONTAINERS)}")
    return CONTAINERS[out.suffix.lower()]


def check_clip_output(out: Path, clip: Clip, *, overwrite: bool = False) -> None:
    """Raises OutputNotWritable or OutputExists."""
    container_of(out)
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise OutputNotWritable(out, "the folder does not exist or is read-only")
    if out.exists() and (not overwrite or out.samefile(clip.path)):
        if out.samefile(clip.path):
            raise OutputNotWritable(out, "it is the clip itself, which is read until the end; choose another name")
        raise OutputExists(out)


def choose_coding(clip: Clip, out: Path, *, lossless: bool = False) -> Coding:
    """The source's own codec at high quality, or a lossless one that the container holds.

    Raises UnsupportedVideo where nothing fits.
    """
    kind = container_of(out)
    if lossless:
        return _lossless(clip, out, kind)
    own = CODERS.get(clip.codec, clip.codec)
    for coder in dict.fromkeys((own, "libx264", "libvpx-vp9", "ffv1")):
        for pix_fmt in _formats(coder, clip):
            coding = _coding(clip, coder, pix_fmt)
            if _holds(kind, coding, clip):
                return replace(coding, notes=coding.notes + _about_times(clip, out))
    raise UnsupportedVideo(out, f"a {kind} file holds no video that can be coded here. Choose .mkv or .mp4.")


def _about_times(clip: Clip, out: Path) -> tuple[str, ...]:
    if out.suffix.lower() == clip.path.suffix.lower():
        return ()
    return (f"from {clip.path.suffix} to {out.suffix} times are rounded as that container keeps them",)


def _lossless(clip: Clip, out: Path, kind: str) -> Coding:
    plain = clip.pix_fmt.replace("yuvj", "yuv")
    if kind in ("mp4", "mov") and plain in X264_FORMATS:
        options = (("qp", "0"), ("preset", "medium"), ("bf", "0"))
        return Coding("libx264", plain, options, True, ("lossless H.264 is not shown by every player",))
    coding = Coding("ffv1", plain, tuple(QUALITY["ffv1"].items()), True)
    if plain in _known("ffv1") and _holds(kind, coding, clip):
        return coding
    raise UnsupportedVideo(out, f"a {kind} file does not hold {clip.pix_fmt} without loss. Choose .mkv.")


def _coding(clip: Clip, coder: str, pix_fmt: str) -> Coding:
    exact = coder in LOSSLESS and pix_fmt == clip.pix_fmt.replace("yuvj", "yuv")
    notes = (
        []
        if exact
        else ["the video was coded again, so pixels outside the edit move with the codec (--lossless keeps them)"]
    )
    if coder != CODERS.get(clip.codec, clip.codec):
        notes.append(f"{clip.codec} cannot be written here; {coder} was used")
    depth = 10 if "10" in pix_fmt else 12 if "12" in pix_fmt else 16 if "16" in pix_fmt else 8
    if depth < clip.depth:
        notes.append(f"{clip.depth} bits became {depth}, which is what {coder} holds")
    elif pix_fmt != clip.pix_fmt.replace("yuvj", "yuv"):
        notes.append(f"{clip.pix_fmt} became {pix_fmt}, which is what {coder} holds")
    options = dict(QUALITY.get(coder, {}))
    if coder == "prores_ks":
        options["profile"] = PRORES.get(clip.profile, "hq")
    if coder == "dnxhd" and depth == 8:
        options["profile"] = "dnxhr_hq"
    return Coding(coder, pix_fmt, tuple(options.items()), exact, tuple(notes))


PRORES = {"Proxy": "proxy", "LT": "lt", "Standard": "standard", "HQ": "hq", "4444": "4444", "XQ": "4444xq"}


def _known(coder: str) -> list[str]:
    av = pyav()
    try:
        return [f.name for f in (av.codec.Codec(coder, "w").video_formats or [])]
    except (ValueError, av.error.FFmpegError):
        return []


def _formats(coder: str, clip: Clip) -> Iterator[str]:
    """Sample formats that a coder takes, nearest to the clip's first."""
    known, plain = _known(coder), clip.pix_fmt.replace("yuvj", "yuv")
    deep = [f"{f}10le" for f in ("yuv422p", "yuv420p", "yuv444p")] if clip.depth > 8 else []
    without_alpha = plain.replace("yuva", "yuv").replace("gbrap", "gbrp")
    for name in dict.fromkeys(
        (plain, without_alpha, *deep, "yuv420p", "yuv422p", "yuvj420p", "yuv444p", "yuv422p10le")
    ):
        if name in known:
            yield name


def _holds(kind: str, coding: Coding, clip: Clip) -> bool:
    """Whether the coder opens and the container takes it: tried on nothing."""
    av = pyav()
    try:
        with av.open(os.devnull, "w", format=kind) as trial:
            stream = trial.add_stream(coding.coder, rate=clip.rate)
            configure(stream.codec_context, clip, coding)
            stream.codec_context.open()
        return True
    except (ValueError, av.error.FFmpegError, OSError):
        return False


def check_streams(clip: Clip, coding: Coding, out: Path) -> None:
    """Try on nothing whether the container holds all of the clip's streams. Raises UnsupportedVideo."""
    av = pyav()
    try:
        with opened(clip.path) as source, av.open(os.devnull, "w", format=container_of(out)) as trial:
            _streams(clip, coding, source, trial, out)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError) as error:
        raise _refusal(out, error) from error


def configure(context: Any, clip: Clip, coding: Coding) -> None:
    """Set up a coder; the same settings every time, so that segments fit together."""
    context.width, context.height = clip.extent
    context.pix_fmt = coding.pix_fmt
    context.time_base, context.framerate = 1 / clip.rate, clip.rate
    context.color_primaries, context.color_trc, context.colorspace, context.color_range = clip.colours
    if clip.aspect:
        context.sample_aspect_ratio = clip.aspect
    context.options = dict(coding.options)
    context.flags |= GLOBAL_HEADER
    context.thread_count = 0


GLOBAL_HEADER = 1 << 22


class Coder:
    """Codes the pictures of one segment; packets come with the clip's own times."""

    def __init__(self, clip: Clip, coding: Coding) -> None:
        av = pyav()
        self._context: Any = av.codec.CodecContext.create(coding.coder, "w")
        configure(self._context, clip, coding)
        self._pix_fmt, self._rate = coding.pix_fmt, clip.rate
        self._times: dict[int, tuple[int, int]] = {}
        self._count = 0

    def code(self, frame: Frame) -> Iterator[Packet]:
        """Take one picture; yields whatever packets are ready."""
        picture = frame.picture
        if picture.format.name != self._pix_fmt and picture.format.name.replace("yuvj", "yuv") != self._pix_fmt:
            picture = picture.reformat(format=self._pix_fmt)
        self._times[self._count] = (frame.pts, frame.duration)
        picture.pts, picture.time_base, picture.pict_type = self._count, 1 / self._rate, 0
        self._count += 1
        yield from self._packets(picture)

    def finish(self) -> Iterator[Packet]:
        """The packets still under way."""
        yield from self._packets(None)

    @property
    def extradata(self) -> bytes:
        return bytes(self._context.extradata or b"")

    def _packets(self, picture: Any) -> Iterator[Packet]:
        for packet in self._context.encode(picture):
            pts, duration = self._times.pop(packet.pts)
            yield Packet(pts, duration, bool(packet.is_keyframe), bytes(packet))


def write_clip(
    clip: Clip, coding: Coding, packets: Iterable[Packet], out: Path, *, overwrite: bool = False
) -> tuple[str, ...]:
    """One file of coded pictures and the source's other streams, metadata and chapters; it appears whole or not at all.

    Returns notes. Raises OutputNotWritable, OutputExists or UnsupportedVideo.
    """
    av = pyav()
    with appearing(out, overwrite=overwrite) as partial, opened(clip.path) as source:
        try:
            with av.open(str(partial), "w", format=container_of(out), options=_muxing(out)) as target:
                stream, others, notes = _streams(clip, coding, source, target, out)
                target.start_encoding()
                merged = heapq.merge(_own(packets, stream, clip), _others(source, others), key=lambda timed: timed[0])
                for _, packet in merged:
                    target.mux(packet)
        except (av.error.FFmpegError, ValueError) as error:
            raise _refusal(out, error) from error
    return notes


def copy_clip(clip: Clip, out: Path, *, overwrite: bool = False) -> tuple[str, ...]:
    """The clip under another name, nothing edited and nothing coded again: the file itself, or its packets where the
    container is another one. Returns notes. Raises OutputNotWritable, OutputExists or UnsupportedVideo."""
    av = pyav()
    with appearing(out, overwrite=overwrite) as partial, opened(clip.path) as source:
        if CONTAINERS.get(clip.path.suffix.lower()) == container_of(out):
            shutil.copyfile(clip.path, partial)
            return ()
        try:
            with av.open(str(partial), "w", format=container_of(out), options=_muxing(out)) as target:
                copies = {s.index: c for s in source.streams if (c := _copy(s, target)) is not None}
                lost = [s.type for s in source.streams if s.index not in copies]
                if {"audio", "video"} & set(lost):
                    raise UnsupportedVideo(out, f"this container does not hold the clip's {lost[0]}. Choose .mkv.")
                for _, packet in _others(source, copies):
                    target.mux(packet)
        except (av.error.FFmpegError, ValueError) as error:
            raise _refusal(out, error) from error
    return tuple(f"a stream of the kind {kind} could not be carried along" for kind in lost) + _about_times(clip, out)


def _refusal(out: Path, error: Exception) -> OutputNotWritable | UnsupportedVideo:
    """What a failure to write means; PyAV's errors of the disk are not all OSErrors."""
    number = getattr(error, "errno", None)
    if number in DISK:
        return OutputNotWritable(out, os.strerror(int(number)))
    return UnsupportedVideo(out, f"this container cannot hold it ({error}). Choose .mkv.")


@contextlib.contextmanager
def appearing(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """A path to write to that becomes `out` when all is well and is gone otherwise."""
    partial = out.with_name(f".{out.name[-100:]}.{os.getpid()}.partial")
    try:
        yield partial
        if out.exists() and not overwrite:
            raise OutputExists(out)
        with partial.open("rb+") as stream:
            os.fsync(stream.fileno())
        partial.replace(out)
    except OSError as error:
        raise OutputNotWritable(out, error.strerror or str(error)) from error
    finally:
        partial.unlink(missing_ok=True)


def _muxing(out: Path) -> dict[str, str]:
    return {"movflags": "use_metadata_tags"} if container_of(out) in ("mp4", "mov") else {}


def _streams(
    clip: Clip, coding: Coding, source: Any, target: Any, out: Path
) -> tuple[Any, dict[int, Any], tuple[str, ...]]:
    """The target's streams in the source's order: the coded one, and copies of the others by the source's number."""
    notes: list[str] = []
    copies: dict[int, Any] = {}
    coded: Any = None
    for stream in source.streams:
        if stream.index == clip.index:
            coded = target.add_stream(coding.coder, rate=clip.rate)
            configure(coded.codec_context, clip, coding)
            coded.time_base = clip.time_base
            if clip.matrix is not None:
                if not hasattr(coded, "set_display_matrix"):
                    raise UnsupportedVideo(out, "turned clips need PyAV 17 or newer: pip install -U av.")
                coded.set_display_matrix(clip.matrix)
            coded.metadata.update(stream.metadata)
        else:
            copy = _copy(stream, target)
            if copy is None and stream.type in ("audio", "video"):
                raise UnsupportedVideo(out, f"this container does not hold the clip's {stream.type}. Choose .mkv.")
            if copy is None:
                notes.append(f"a stream of the kind {stream.type} could not be carried along")
            else:
                copies[stream.index] = copy
    target.metadata.update(source.metadata)
    chapters = source.chapters() if hasattr(source, "chapters") else []
    if chapters:
        target.set_chapters(chapters)
    return coded, copies, tuple(notes)


def _copy(stream: Any, target: Any) -> Any:
    av = pyav()
    try:
        copy = target.add_stream_from_template(stream, opaque=True)
    except (ValueError, TypeError, av.error.FFmpegError):
        return None
    copy.metadata.update(stream.metadata)
    with contextlib.suppress(AttributeError, TypeError):
        copy.disposition = stream.disposition
    return copy


def _own(packets: Iterable[Packet], stream: Any, clip: Clip) -> Iterator[tuple[Fraction, Any]]:
    av = pyav()
    for coded in packets:
        packet = av.Packet(coded.data)
        packet.stream, packet.time_base = stream, clip.time_base
        packet.pts = packet.dts = coded.pts
        packet.duration, packet.is_keyframe = coded.duration, coded.key
        yield coded.pts * clip.time_base, packet


def _others(source: Any, copies: dict[int, Any]) -> Iterator[tuple[Fraction, Any]]:
    if not copies:
        return
    last = Fraction(0)
    for packet in source.demux([source.streams[i] for i in copies]):
        if packet.dts is None and packet.pts is None:
            continue
        time = packet.dts if packet.dts is not None else packet.pts
        last = max(last, time * packet.time_base)
        packet.stream = copies[packet.stream_index]
        yield last, packet
