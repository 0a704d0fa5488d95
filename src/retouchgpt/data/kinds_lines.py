"""Painters of lines: forehead wrinkles, crow's feet, fine lines. Ours; curves follow the landmarks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas, Mark, tinted
from .dose import Dose, count, draw, even, relief, smoothstep

FloatImage = NDArray[Any]

OUTER_CORNERS = (33, 263)
INNER_CORNERS = (133, 362)
LOWER_LIDS = ((33, 7, 163, 144, 145, 153, 154, 155, 133), (263, 249, 390, 373, 374, 380, 381, 382, 362))
NOSE_WINGS = (129, 358)
MOUTH_CORNERS = (61, 291)
GLABELLA, HAIRLINE = 9, 10
"""Indices in mediapipe's face mesh; of each pair the first is on the viewer's left."""


def axes(canvas: Canvas) -> tuple[FloatImage, FloatImage]:
    """Unit vectors of the face: to the viewer's right, and down."""
    across = canvas.landmarks[OUTER_CORNERS[1]] - canvas.landmarks[OUTER_CORNERS[0]]
    across = across / max(float(np.hypot(*across)), 1e-6)
    return across.astype(np.float32), np.array([-across[1], across[0]], np.float32)


def curve(control: FloatImage, rng: np.random.Generator, wiggle: float, points: int = 40) -> FloatImage:
    """A smooth curve (n, 2) through a quadratic Bezier's three control points, with low-frequency wiggle in px."""
    t = even(0, 1, points)[:, None]
    line = (1 - t) ** 2 * control[0] + 2 * t * (1 - t) * control[1] + t**2 * control[2]
    knots = rng.normal(0, wiggle, (6, 2))
    sway = np.stack([np.interp(t[:, 0], even(0, 1, 6), k) for k in knots.T], 1)
    return (line + sway).astype(np.float32)


def crease(
    canvas: Canvas, rng: np.random.Generator, kind: str, region: str, line: FloatImage, width: float, depth: float
) -> Mark:
    """A shaded fold along `line` (n, 2) px: a dark valley, a lit ridge beside it, tapering to both ends.

    width: of the valley in px. depth: fall of log luminance at its deepest.
    """
    x0, y0, x1, y1 = canvas.box(line, 4 * width + 3)
    t = even(0, 1, len(line) - 1)
    taper = np.sin(np.pi * t) ** rng.uniform(0.4, 0.9) * np.clip(1 + 0.35 * np.interp(
        t, even(0, 1, 7), rng.standard_normal(7)), 0.15, 1.4)  # fmt: skip
    trace = np.zeros((y1 - y0, x1 - x0), np.float32)
    fixed = np.rint((line - (x0, y0)) * 16).astype(np.int32)
    ends = fixed.tolist()
    for i, value in enumerate(taper.tolist()):
        cv2.line(trace, ends[i], ends[i + 1], value, 1, cv2.LINE_8, 4)
    sigma = max(width / 2, 0.6)
    valley = cv2.GaussianBlur(trace, (0, 0), sigma) * np.float32(sigma * 2.5)
    wide = cv2.GaussianBlur(trace, (0, 0), sigma * 2.2) * np.float32(sigma * 2.2 * 2.5)
    shade = -depth * (valley + 0.25 * wide) + relief(-wide, canvas.light, sigma * 3) * depth * rng.uniform(0.3, 0.7)
    warm = np.array([0.85, 1.05, 1.1], np.float32)  # less light reaches a fold, and what does has been on skin before
    seen = smoothstep(valley + 0.3 * wide, 0.08, 0.55)
    return canvas.mark(kind, region, x0, y0, tinted(shade, warm), seen)


def forehead_wrinkles(canvas: Canvas, rng: np.random.Generator, dose: Dose) -> list[Mark]:
    """Two to seven furrows across the forehead, arched like the brows, some of them broken."""
    across, down = axes(canvas)
    low, high = canvas.landmarks[GLABELLA], canvas.landmarks[HAIRLINE]
    size, strength = draw(rng, dose.size), draw(rng, dose.strength)
    number = count(rng, 3.2, dose, 7)
    marks = []
    arch = rng.uniform(-0.05, 0.12) * canvas.unit
    for i in range(number):
        level = (i + rng.uniform(0.3, 0.7)) / number * 0.85 + 0.12
        middle = low + (high - low) * level + across * rng.normal(0, 0.05) * canvas.unit
        half = canvas.unit * rng.uniform(0.35, 0.8)
        for begin, end in ((-1.0, 1.0),) if rng.random() < 0.6 else ((-1.0, -0.12), (0.1, 1.0)):
            control = np.array([
                middle + across * half * begin + down * arch * begin**2,
                middle + across * half * (begin + end) / 2 - down * arch * rng.uniform(0.2, 1),
                middle + across * half * end + down * arch * end**2,
            ])  # fmt: skip
            line = curve(control, rng, 0.012 * canvas.unit)
            width = canvas.unit * 0.02 * size * rng.uniform(0.7, 1.4)
            depth = 0.42 * strength * rng.uniform(0.6, 1.3)
            marks.append(crease(canvas, rng, "forehead_wrinkles", "forehead", line, width, depth))
    return marks


def crows_feet(canvas: Canvas, rng: np.random.Generator, dose: Dose) -> list[Mark]:
    """Lines that fan out from the outer corners of the eyes."""
    across, down = axes(canvas)
    size, strength = draw(rng, dose.size), draw(rng, dose.strength)
    marks = []
    for side, region in ((0, "left_eye"), (1, "right_eye")):
        if dose.regions and region not in dose.regions:
            continue
        outward = across * (1 if side else -1)
        corner = canvas.landmarks[OUTER_CORNERS[side]]
        for angle in np.sort(rng.uniform(-0.6, 0.75, count(rng, 3.2, dose, 6))):
            way = outward * np.cos(angle) + down * np.sin(angle)
            begin = corner + way * canvas.unit * rng.uniform(0.09, 0.16)
            length = canvas.unit * rng.uniform(0.14, 0.36) * min(size, 1.2)
            bend = down * length * rng.uniform(-0.05, 0.18) * np.sign(angle + 0.1)
            control = np.array([begin, begin + way * length * 0.5 + bend * 0.4, begin + way * length + bend])
            line = curve(control, rng, 0.004 * canvas.unit)
            width, depth = canvas.unit * 0.016 * size, 0.42 * strength * rng.uniform(0.6, 1.3)
            marks.append(crease(canvas, rng, "crows_feet", region, line, width, depth))
    return marks


def fine_lines(canvas: Canvas, rng: np.random.Generator, dose: Dose) -> list[Mark]:
    """Nasolabial folds, marionette lines and fine lines under the eyes."""
    size, strength = draw(rng, dose.size), draw(rng, dose.strength)
    wanted = [name for name, chance in (("fold", 0.75), ("marionette", 0.35), ("lid", 0.5)) if rng.random() < chance]
    marks = []
    for side in (0, 1):
        if "fold" in wanted or not wanted:
            marks.append(_fold(canvas, rng, side, size, strength))
        if "marionette" in wanted:
            marks.append(_marionette(canvas, rng, side, size, strength))
        if "lid" in wanted:
            marks.extend(_lid_lines(canvas, rng, side, size, strength))
    return [m for m in marks if not dose.regions or m.region in dose.regions]


def _fold(canvas: Canvas, rng: np.random.Generator, side: int, size: float, strength: float) -> Mark:
    across, down = axes(canvas)
    outward = across * (1 if side else -1)
    wing, corner = canvas.landmarks[NOSE_WINGS[side]], canvas.landmarks[MOUTH_CORNERS[side]]
    begin = wing + outward * canvas.unit * rng.uniform(0.04, 0.1) - down * canvas.unit * 0.02
    end = corner + outward * canvas.unit * rng.uniform(0.1, 0.2) + down * canvas.unit * rng.uniform(-0.05, 0.08)
    bow = (begin + end) / 2 + outward * canvas.unit * rng.uniform(0.03, 0.1)
    line = curve(np.array([begin, bow, end]), rng, 0.006 * canvas.unit)
    width, depth = canvas.unit * 0.028 * size * rng.uniform(0.7, 1.5), 0.34 * strength * rng.uniform(0.6, 1.3)
    return crease(canvas, rng, "fine_lines", canvas.region_of(*bow), line, width, depth)


def _marionette(canvas: Canvas, rng: np.random.Generator, side: int, size: float, strength: float) -> Mark:
    across, down = axes(canvas)
    outward = across * (1 if side else -1)
    corner = canvas.landmarks[MOUTH_CORNERS[side]]
    begin = corner + outward * canvas.unit * rng.uniform(0.06, 0.1) + down * canvas.unit * 0.05
    end = begin + down * canvas.unit * rng.uniform(0.15, 0.3) + outward * canvas.unit * rng.uniform(-0.02, 0.06)
    line = curve(np.array([begin, (begin + end) / 2 + outward * canvas.unit * 0.02, end]), rng, 0.004 * canvas.unit)
    middle = (begin + end) / 2
    width, depth = canvas.unit * 0.019 * size, 0.32 * strength * rng.uniform(0.6, 1.3)
    return crease(canvas, rng, "fine_lines", canvas.region_of(*middle), line, width, depth)


def _lid_lines(canvas: Canvas, rng: np.random.Generator, side: int, size: float, strength: float) -> list[Mark]:
    _, down = axes(canvas)
    lid = canvas.landmarks[list(LOWER_LIDS[side])]
    marks = []
    for i in range(int(rng.integers(1, 4))):
        first = int(rng.integers(0, 3))
        drop = down * canvas.unit * (0.09 + 0.045 * i + rng.uniform(0, 0.02))
        control = np.array([lid[first], lid[first + 3], lid[first + 5]]) + drop
        line = curve(control, rng, 0.004 * canvas.unit)
        width, depth = canvas.unit * 0.013 * size, 0.30 * strength * rng.uniform(0.6, 1.3)
        region = ("left_eye", "right_eye")[side]
        marks.append(crease(canvas, rng, "fine_lines", region, line, width, depth))
    return marks


LINES: dict[str, Callable[[Canvas, np.random.Generator, Dose], list[Mark]]] = {
    "forehead_wrinkles": forehead_wrinkles,
    "crows_feet": crows_feet,
    "fine_lines": fine_lines,
}
