"""The painter: a face and a seed in, a painted face with known kinds, places, masks and targets out (ours)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.vocabulary import IMPERFECTIONS

from .canvas import Canvas, FloatImage, Mark, from_log
from .dose import Dose, middle, quantile
from .healing import Lent, borrow, heal
from .kinds_areas import AREAS
from .kinds_hairs import HAIRS
from .kinds_lines import LINES
from .kinds_marks import MARKS
from .native import native_candidates
from .placebos import Placebo, lay
from .real_marks import RealMark

Image = NDArray[np.uint8]
PAINTERS: Mapping[str, Callable[[Canvas, np.random.Generator, Dose], list[Mark]]] = {**MARKS, **LINES, **HAIRS, **AREAS}
BLUR_REACH = 5
"""Px beyond which a blur of 1 px takes nothing from."""
MOST_GAIN = 3.0
"""Most that a faint mark is strengthened."""
ORDER = ("redness", "dark_circles", "freckles", "spots", "moles", "scars", "acne", "fine_lines", "forehead_wrinkles",
         "crows_feet", "shine", "stray_hairs")  # fmt: skip
"""From under the skin to over it."""


@dataclass(frozen=True)
class PainterConfig:
    """What is painted, how much, and the camera that everything passes through.

    kinds: (least, most) kinds a face. chances: relative chance of each kind. nothing: share of faces left unpainted,
    which still pass the camera. blur: sigma in px. noise: standard deviation in 8-bit levels. jpeg: quality; a share
    `raw` of the photos is never compressed. seen: least contrast of a mark, in 8-bit levels and in deviations of the
    skin's own texture there; fainter ones are strengthened, up to MOST_GAIN times, or left out, since what nobody sees
    is no imperfection. placebos: (least, most) laid on a face, see placebos; they do not change what else is drawn.
    """

    kinds: tuple[int, int] = (2, 6)
    chances: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(IMPERFECTIONS, 1.0))
    nothing: float = 0.05
    dose: Dose = field(default_factory=Dose)
    blur: tuple[float, float] = (0.0, 0.7)
    noise: tuple[float, float] = (0.0, 3.0)
    jpeg: tuple[int, int] = (78, 98)
    raw: float = 0.35
    seen: tuple[float, float] = (10.0, 3.0)
    placebos: tuple[int, int] = (0, 0)


TRAIN = PainterConfig(
    kinds=(4, 9),
    dose=Dose(amount=(0.4, 2.2), size=(0.6, 1.7), strength=(0.4, 1.6), gentle=True),
    placebos=(0, 12),
)
VALIDATION = PainterConfig(
    kinds=(3, 5),
    nothing=0.0,
    dose=Dose(amount=(0.6, 1.6), size=(0.75, 1.4), strength=(0.6, 1.3)),
    blur=(0.2, 0.5),
    noise=(0.5, 2.0),
    jpeg=(85, 95),
    raw=0.3,
    seen=(12.0, 3.5),
)
"""Other ranges (and, at the caller's, other seeds and faces) than training: the bench's."""


@dataclass(frozen=True)
class Camera:
    """Blur, noise and compression that clean and painted skin share."""

    blur: float
    noise: FloatImage | None
    quality: int | None

    def soften(self, image: FloatImage) -> FloatImage:
        return cv2.GaussianBlur(image, (0, 0), self.blur) if self.blur > 0.15 else image

    def develop(self, image: FloatImage) -> Image:
        """Softened sRGB (H, W, 3) -> 8 bits, with noise and JPEG artefacts."""
        noisy = image if self.noise is None else image + self.noise
        out = cv2.convertScaleAbs(np.maximum(noisy, 0), alpha=255)  # rounds, and stops at 255
        if self.quality is None:
            return out
        bgr = cv2.cvtColor(out, cv2.COLOR_RGB2BGR)
        coded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1]
        return cv2.cvtColor(cv2.imdecode(coded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


class PaintedFace:
    """A painted face. image: uint8 (H, W, 3), all marks; marks: what was painted; clean: the same photo without any;
    placebos: where the brush was without painting anything, in `clean` as well.

    Differences that marks make are rendered, softened by the camera's blur and subtracted from `image`, so a target
    equals `image` to the bit wherever nothing asked was painted.
    """

    def __init__(
        self, canvas: Canvas, marks: tuple[Mark, ...], camera: Camera, placebos: tuple[Placebo, ...] = ()
    ) -> None:
        self.canvas, self.marks, self.camera, self.placebos = canvas, marks, camera, placebos
        self._rendered = self._lit(marks, np.s_[: canvas.height, : canvas.width]) if marks or placebos else None
        painted = canvas.image.astype(np.float32) / 255 if self._rendered is None else self._rendered
        self.image: Image = camera.develop(camera.soften(painted))

    @property
    def landmarks(self) -> FloatImage:
        return self.canvas.landmarks

    @cached_property
    def clean(self) -> Image:
        return self.target(lambda mark: True)

    @cached_property
    def ignore(self) -> Image:
        """Bits of native candidates, see native.native_candidates; (H, W)."""
        return native_candidates(self.canvas)

    def target(self, asked: Callable[[Mark], bool]) -> Image:
        """The picture minus exactly the asked marks."""
        return np.rint((self.image - self.difference(asked)).clip(0, 255)).astype(np.uint8)

    def difference(self, asked: Callable[[Mark], bool]) -> FloatImage:
        """What the asked marks add to the picture, (H, W, 3) in 8-bit levels."""
        out = np.zeros(self.image.shape, np.float32)
        if self._rendered is None or not any(asked(m) for m in self.marks):
            return out
        window = self._window(m for m in self.marks if asked(m))
        rest = self._lit((m for m in self.marks if not asked(m)), window)
        change = np.minimum(self._rendered[window], 1) - np.minimum(rest, 1)
        out[window] = self.camera.soften(change) * 255
        return out

    def alpha(self, asked: Callable[[Mark], bool]) -> FloatImage:
        """Where the asked marks are seen, (H, W) in [0, 1]."""
        out = np.zeros(self.image.shape[:2], np.float32)
        for mark in self.marks:
            if asked(mark):
                out[mark.window] = np.maximum(out[mark.window], mark.alpha)
        return out

    def kind_maps(self) -> Image:
        """Alpha of each kind, (12, H, W), 255 where it is fully seen."""
        maps = [self.alpha(lambda m, k=kind: m.kind == k) for kind in IMPERFECTIONS]  # type: ignore[misc]
        return np.rint(np.stack(maps) * 255).astype(np.uint8)

    def _lit(self, marks: Iterable[Mark], window: tuple[slice, slice]) -> FloatImage:
        """A window (rows, columns) of the canvas with these marks alone, sRGB."""
        log = self.canvas.log[window]
        total = np.zeros_like(log)
        (height, width), top, left = log.shape[:2], window[0].start or 0, window[1].start or 0
        for mark in marks:
            (h, w), y, x = mark.alpha.shape, mark.y - top, mark.x - left
            rows, columns = slice(max(-y, 0), max(height - y, 0)), slice(max(-x, 0), max(width - x, 0))
            total[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] += mark.delta[rows, columns]
        total += log
        return from_log(total)

    def _window(self, marks: Iterable[Mark]) -> tuple[slice, slice]:
        """The asked marks' bounding box, with room for the camera's blur."""
        boxes = np.array([(m.x, m.y, m.x + m.alpha.shape[1], m.y + m.alpha.shape[0]) for m in marks])
        x0, y0 = np.maximum(boxes[:, :2].min(0) - 4, 0)
        x1, y1 = boxes[:, 2:].max(0) + 4
        return slice(int(y0), int(y1)), slice(int(x0), int(x1))


def paint(
    image: Image,
    landmarks: NDArray[np.floating],
    seed: int,
    config: PainterConfig = TRAIN,
    *,
    real: Sequence[RealMark] = (),
    lent: Lent | None = None,
) -> PaintedFace:
    """Paint imperfections on a face; the same seed gives the same bytes.

    image: uint8 (H, W, 3) RGB, H and W multiples of 4. landmarks: (478, 2) face mesh in px of that image. real: the
    face's own marks in px, to count as paint. lent: another face's, to lay on this one.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image must be uint8 (H, W, 3), got {image.dtype} {image.shape}")
    rng = np.random.default_rng((0x5E7, seed))
    canvas = Canvas(image, landmarks)
    marks = heal(canvas, real)
    placebos: tuple[Placebo, ...] = ()
    if config.placebos[1]:
        own = np.random.default_rng((0x9ACE, seed))  # its own, so that the marks stay what they are without placebos
        placebos = tuple(lay(canvas, own, int(own.integers(config.placebos[0], config.placebos[1] + 1))))
    kinds = _choose(rng, config)
    if lent is not None:
        own = np.random.default_rng((0x1E47, seed))
        laid = (noticed(canvas, mark, config.seen) for mark in borrow(canvas, lent, own))
        marks.extend(mark for mark in laid if mark is not None)
    for kind in sorted(kinds, key=ORDER.index):
        painted = (noticed(canvas, mark, config.seen) for mark in PAINTERS[kind](canvas, rng, config.dose))
        marks.extend(mark for mark in painted if mark is not None)
    return PaintedFace(canvas, tuple(marks), _camera(rng, config, image.shape[:2]), placebos)


def noticed(canvas: Canvas, mark: Mark, least: tuple[float, float]) -> Mark | None:
    """The mark, strong enough to be seen beside the skin's own texture, or None where it cannot be. See `seen`."""
    inside = mark.alpha > 0.3
    if inside.sum() < 3:
        return None
    log = canvas.log[mark.window]
    luma = np.ascontiguousarray(log[..., 1])
    texture = luma - cv2.GaussianBlur(luma, (0, 0), 2.0)
    rough = 1.4826 * middle(np.abs(texture[::2, ::2])) * float(np.exp(luma.mean())) ** (1 / 2.2) * 255 / 2.2
    core = _around(inside, BLUR_REACH)
    log, delta, inside = log[core], mark.delta[core], inside[core]
    need, gain, before = max(least[0], least[1] * rough), 1.0, from_log(log)
    for _ in range(3):  # brightness answers to paint a little less than in proportion
        there = quantile(_contrast(before, log, delta * gain)[inside], 0.85)
        short = need / max(there, 0.1)
        if short <= 1.02:
            break
        gain *= short
        if gain > MOST_GAIN:
            return None
    return mark if gain == 1.0 else replace(mark, delta=(mark.delta * gain).astype(np.float32))


def _contrast(before: FloatImage, log: FloatImage, delta: FloatImage) -> FloatImage:
    """What a change of log light does to the picture, in 8-bit levels of its most changed channel, slightly blurred."""
    change = np.abs(from_log(log + delta) - before)
    most = np.maximum(np.maximum(change[..., 0], change[..., 1]), change[..., 2]) * 255
    return cv2.GaussianBlur(most, (0, 0), 1.0)


def _around(inside: NDArray[np.bool_], margin: int) -> tuple[slice, slice]:
    """The window that holds all of a mask (h, w), with a margin in px."""
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    return slice(max(rows[0] - margin, 0), rows[-1] + margin + 1), slice(
        max(columns[0] - margin, 0), columns[-1] + margin + 1
    )


def paint_kind(
    image: Image, landmarks: NDArray[np.floating], kind: str, seed: int, config: PainterConfig = TRAIN
) -> PaintedFace:
    """A face with this one kind only, for sheets and tests."""
    only = replace(config, kinds=(1, 1), nothing=0.0, chances={k: float(k == kind) for k in IMPERFECTIONS})
    return paint(image, landmarks, seed, only)


def _choose(rng: np.random.Generator, config: PainterConfig) -> list[str]:
    if rng.random() < config.nothing:
        return []
    weights = np.array([config.chances.get(k, 0.0) for k in IMPERFECTIONS])
    most = min(int(rng.integers(config.kinds[0], config.kinds[1] + 1)), int((weights > 0).sum()))
    return [str(k) for k in rng.choice(IMPERFECTIONS, most, replace=False, p=weights / weights.sum())]


def _camera(rng: np.random.Generator, config: PainterConfig, shape: tuple[int, ...]) -> Camera:
    level = rng.uniform(*config.noise) / 255
    fine = rng.standard_normal((shape[0], shape[1], 3), dtype=np.float32)
    grey = rng.standard_normal((shape[0], shape[1]), dtype=np.float32)
    noise = None
    if level > 0.3 / 255:
        fine *= 0.5
        grey *= 0.85
        fine += cv2.merge((grey, grey, grey))
        fine *= np.float32(level)
        noise = fine
    quality = None if rng.random() < config.raw else int(rng.integers(config.jpeg[0], config.jpeg[1] + 1))
    return Camera(float(rng.uniform(*config.blur)), noise, quality)
