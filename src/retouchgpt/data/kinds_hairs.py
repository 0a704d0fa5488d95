"""Painter of stray hairs: thin, tapering, curved, lit, lying over skin. Ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas, Mark
from .dose import Dose, count, draw, even
from .kinds_lines import HAIRLINE, OUTER_CORNERS, axes, curve

FloatImage = NDArray[Any]


def hair_colour(canvas: Canvas, rng: np.random.Generator) -> FloatImage:
    """Log linear colour (3,) of the hair above the forehead, or a usual hair colour where it looks like skin."""
    _, down = axes(canvas)
    x, y = canvas.landmarks[HAIRLINE] - down * 0.4 * canvas.unit
    x0, y0, x1, y1 = canvas.window(float(x), float(max(y, 4)), canvas.unit * 0.15)
    above = canvas.log[y0:y1, x0:x1].reshape(-1, 3)
    skin = canvas.base[canvas.height // 2, canvas.width // 2]
    if len(above) and abs(float(np.median(above, 0).mean() - skin.mean())) > 0.5:
        seen = np.percentile(above, rng.uniform(20, 60), axis=0)
    else:
        seen = np.log(np.array([(0.02, 0.015, 0.012), (0.10, 0.06, 0.03), (0.45, 0.42, 0.38)])[rng.integers(3)])
    return seen.astype(np.float32)


def stray_hairs(canvas: Canvas, rng: np.random.Generator, dose: Dose) -> list[Mark]:
    """Single hairs from the hairline or the temples across forehead and cheeks."""
    across, down = axes(canvas)
    size, strength = draw(rng, dose.size), draw(rng, dose.strength)
    tone = hair_colour(canvas, rng)
    drift = rng.normal(0, 0.3)
    marks = []
    for _ in range(count(rng, 4, dose, 14)):
        if rng.random() < 0.65:
            begin = canvas.landmarks[HAIRLINE] + across * canvas.unit * rng.normal(0, 0.45) - down * 0.12 * canvas.unit
            way = down + across * (drift + rng.normal(0, 0.35))
        else:
            side = int(rng.integers(2))
            outward = across * (1 if side else -1)
            begin = canvas.landmarks[OUTER_CORNERS[side]] + outward * 0.35 * canvas.unit
            begin = begin + down * rng.uniform(-0.2, 0.4) * canvas.unit
            way = down * rng.uniform(0.3, 1.2) - outward * rng.uniform(0, 0.9)
        way = way / max(float(np.hypot(*way)), 1e-6)
        length = canvas.unit * rng.uniform(0.35, 1.2) * min(size, 1.4)
        bend = np.array([-way[1], way[0]]) * length * rng.normal(0, 0.2)
        control = np.array([begin, begin + way * length * 0.5 + bend, begin + way * length])
        line = curve(control, rng, 0.006 * canvas.unit, points=48)
        width = float(np.clip(canvas.unit * 0.0085 * size * rng.uniform(0.7, 1.5), 0.7, 4))
        marks.append(_hair(canvas, rng, line, width, tone + rng.normal(0, 0.12), min(0.75 * strength, 1.0)))
    return marks


def _hair(
    canvas: Canvas, rng: np.random.Generator, line: FloatImage, width: float, tone: FloatImage, opacity: float
) -> Mark:
    line = line.clip(0, (canvas.width - 1, canvas.height - 1))
    x0, y0, x1, y1 = canvas.box(line, 4)
    finer = 3
    trace = np.zeros(((y1 - y0) * finer, (x1 - x0) * finer), np.float32)
    fixed = np.rint((line - (x0, y0)) * finer * 16).astype(np.int32)
    ends, taper = fixed.tolist(), even(1, 0.25, len(line) - 1).tolist()
    for i, thin in enumerate(taper):
        thick = max(round(width * thin * finer), 1)
        value = float(min(width * thin * finer / thick, 1.0))
        cv2.line(trace, ends[i], ends[i + 1], value, thick, cv2.LINE_8, 4)
    cover = cv2.resize(trace, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
    cover = cv2.GaussianBlur(cover, (0, 0), 0.45) * np.float32(opacity)
    lit = rng.uniform(0, 0.5) * np.exp(-(((np.arange(y1 - y0) / max(y1 - y0, 1) - rng.random()) / 0.2) ** 2))
    target = tone[None, None] + lit[:, None, None]
    window = slice(y0, y1), slice(x0, x1)
    under, hair = canvas.log[window], cover[..., None]
    delta = (np.log((1 - hair) * np.exp(under) + hair * np.exp(target)) - under).astype(np.float32)
    middle = line[len(line) // 2]
    alpha = (cover * 1.5).clip(0, 1).astype(np.float32)
    return canvas.mark("stray_hairs", canvas.region_of(*middle), x0, y0, delta, alpha)


HAIRS: dict[str, Callable[[Canvas, np.random.Generator, Dose], list[Mark]]] = {"stray_hairs": stray_hairs}
