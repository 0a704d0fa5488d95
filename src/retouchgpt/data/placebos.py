"""Placebos: the brush's shapes, edges and blending with nothing wrong in them, so no detector learns the brush.

A placebo lays the texture of the skin beside it over the skin, through a mark's own soft shape. It belongs to the
photo: no mask holds it and no target takes it away. Ours.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from .canvas import Canvas
from .dose import blob, middle

SIZES = (0.012, 0.09)
"""Radius in units of the eye distance, least and most, drawn evenly in its logarithm: from a mole's to a spot's."""
FINE = 0.02
"""What counts as texture: finer than this, in units of the eye distance."""
CLEAN = 0.7
"""Least share of paintable skin, both where a placebo lies and where its texture comes from."""


class Placebo(NamedTuple):
    """Where one lies: centre and radius in px of the canvas."""

    x: float
    y: float
    radius: float


def lay(canvas: Canvas, rng: np.random.Generator, number: int) -> list[Placebo]:
    """Lay up to `number` placebos into the canvas' own light, and tell where; crowded places are left out."""
    points = canvas.sample_points(rng, number)
    if not len(points):
        return []
    laid, log = [], canvas.log.copy()
    texture = log - cv2.GaussianBlur(log, (0, 0), max(canvas.unit * FINE, 1.0))
    sampled = np.abs(texture[::4, ::4][canvas.skin[::4, ::4] > CLEAN])
    rough = 1.4826 * middle(sampled) if sampled.size else 0.0
    for x, y in points:
        radius = max(canvas.unit * float(np.exp(rng.uniform(*np.log(SIZES)))), 1.5)
        aspect, softness, irregular = rng.uniform((1.0, 0.15, 0.05), (2.0, 0.6, 0.25))
        angle, away = rng.uniform(0, 2 * np.pi), radius * rng.uniform(1.5, 3.0)
        x0, y0, x1, y1 = canvas.window(float(x), float(y), radius * aspect * 1.6 + 2)
        shape = blob(
            rng, (y1 - y0, x1 - x0), (x - x0, y - y0), radius, irregular=irregular, aspect=aspect, softness=softness
        )
        dx, dy = round(away * np.cos(angle)), round(away * np.sin(angle))
        here = np.s_[y0:y1, x0:x1]
        there = np.s_[y0 + dy : y1 + dy, x0 + dx : x1 + dx]
        if min(y0 + dy, x0 + dx) < 0 or y1 + dy > canvas.height or x1 + dx > canvas.width:
            continue
        if min(canvas.skin[here].mean(), canvas.skin[there].mean()) < CLEAN:
            continue
        change = (texture[there] - texture[here]) * (shape.alpha * canvas.skin[here])[..., None]
        if np.abs(change).max() > 4 * rough:  # a mark or a crease of the face's own, not mere skin
            continue
        log[here] += change
        laid.append(Placebo(float(x), float(y), radius))
    canvas.log = log
    return laid
