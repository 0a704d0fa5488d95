"""Small clips of the public-domain portrait in motion, and a finder that follows it by its eyes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.geometry import Extent
from retouchgpt.photo.faces import Face, number

SIZE = (192, 176)
BASE = Fraction(1, 600)
Scene = Callable[[int], NDArray[np.uint8]]


class Spotter:
    """Finds the portrait's face by its eyes and nose, to a fraction of a px: a FaceFinder without models."""

    def __init__(self, portrait: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> None:
        low, high = landmarks[[33, 263, 1, 159]].min(0), landmarks[[33, 263, 1, 159]].max(0)
        self._corner = np.floor(low).astype(int) - 6
        x0, y0 = self._corner
        x1, y1 = np.ceil(high).astype(int) + 6
        self._patch = portrait[y0:y1, x0:x1]
        self._landmarks = landmarks
        self.calls: list[tuple[int, ...]] = []

    def find(self, rgb: NDArray[np.uint8]) -> list[Face]:
        self.calls.append(rgb.shape)
        if rgb.shape[0] <= self._patch.shape[0] or rgb.shape[1] <= self._patch.shape[1]:
            return []
        score = cv2.matchTemplate(rgb, self._patch, cv2.TM_CCOEFF_NORMED)
        _, best, _, (x, y) = cv2.minMaxLoc(score)
        if best < 0.7:
            return []
        dx, dy = _peak(score, x, y, 0), _peak(score, x, y, 1)
        moved = self._landmarks - self._corner.astype(np.float32) + np.array((x + dx, y + dy), np.float32)
        return number([moved.astype(np.float32)], Extent(rgb.shape[1], rgb.shape[0]))


def _peak(score: NDArray[np.float32], x: int, y: int, axis: int) -> float:
    """Where between samples the best match lies, by a parabola."""
    line = score[y, :] if axis == 0 else score[:, x]
    i = x if axis == 0 else y
    if not 0 < i < len(line) - 1:
        return 0.0
    a, b, c = (float(v) for v in line[i - 1 : i + 2])
    return (a - c) / (2 * (a - 2 * b + c)) if a - 2 * b + c else 0.0


def moving(portrait: NDArray[np.uint8], landmarks: NDArray[np.float32], *, light: float = 0.0) -> Scene:
    """The portrait's face wandering through the picture by a px or so a frame; light: its swing."""
    centre = landmarks.mean(0)

    def frame(i: int) -> NDArray[np.uint8]:
        dx, dy = SIZE[0] / 2 - centre[0] + 8 * np.sin(i / 6), SIZE[1] / 2 - centre[1] + 5 * np.cos(i / 5)
        matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
        out = cv2.warpAffine(portrait, matrix, SIZE, flags=cv2.INTER_CUBIC)
        return np.rint((out * (1 + light * np.sin(i / 4))).clip(0, 255)).astype(np.uint8)

    return frame


def empty(i: int) -> NDArray[np.uint8]:
    """A picture without a face."""
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    return np.stack([x, y, (x + y + 3 * i) % 256], -1).clip(0, 255).astype(np.uint8)


def write(
    path: Path, scene: Scene, frames: int, *, codec: str = "libx264", pix_fmt: str = "yuv420p", turn: int = 0,
    sound: bool = True, even: bool = True, options: dict[str, str] | None = None,
) -> Path:  # fmt: skip
    """A clip with sound. turn: quarter turns counter-clockwise by which it is stored the other way. even: else frames
    come at uneven times."""
    import av

    def time(i: int) -> int:
        return i * 24 if even else i * 24 + (i % 3) * 5

    with av.open(str(path), "w") as out:
        video = out.add_stream(codec, rate=25, options=options or {})
        first = np.rot90(scene(0), -turn)
        video.height, video.width = first.shape[:2]
        video.pix_fmt = pix_fmt
        video.codec_context.time_base = BASE
        if turn:
            video.set_display_rotation(90 * turn)
        voice = _voice(out) if sound else None
        for i in range(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(scene(i), -turn)), format="rgb24")
            picture = picture.reformat(format=pix_fmt)
            picture.pts, picture.time_base = time(i), BASE
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
        if voice is not None:
            _speak(out, voice, time(frames) / 600)
    return path


def _voice(out: Any) -> Any:
    return out.add_stream("aac" if out.format.name in ("mp4", "mov") else "pcm_s16le", rate=16000)


def _speak(out: Any, voice: Any, seconds: float) -> None:
    import av

    rng, size = np.random.default_rng(0), voice.codec_context.frame_size or 1024
    form = voice.codec_context.format.name
    for start in range(0, int(seconds * 16000), size):
        tone = rng.normal(0, 0.1, (2, size)).astype(np.float32)
        samples = tone if form == "fltp" else (tone * 32767).astype(np.int16).T.reshape(1, -1)
        sound = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format=form, layout="stereo")
        sound.sample_rate, sound.pts, sound.time_base = 16000, start, Fraction(1, 16000)
        out.mux(voice.encode(sound))
    out.mux(voice.encode(None))


def planes(path: Path) -> list[list[NDArray[Any]]]:
    """The samples of every frame of a clip."""
    from retouchgpt.photo.video import open_clip

    return [[p.copy() for p in frame.planes()] for frame in open_clip(path).pictures()]


def times(path: Path) -> list[Fraction]:
    """When each frame is shown, in seconds."""
    from retouchgpt.photo.video import open_clip

    clip = open_clip(path)
    return [frame.pts * clip.time_base for frame in clip.pictures()]


def sound(path: Path) -> list[tuple[Any, ...]]:
    """The sound's packets: times in seconds and bytes."""
    import av

    with av.open(str(path)) as source:
        packets = source.demux(source.streams.audio[0])
        return [(p.pts * p.time_base, p.dts * p.time_base, bytes(p)) for p in packets if p.pts is not None]


def changed(a: Sequence[NDArray[Any]], b: Sequence[NDArray[Any]]) -> bool:
    """Whether any sample of two frames differs."""
    return any((x != y).any() for x, y in zip(a, b, strict=True))
