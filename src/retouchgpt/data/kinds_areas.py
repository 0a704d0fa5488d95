"""Painters of areas: redness, dark circles, shine. Ours; alpha is each area's own soft shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import EPSILON, Canvas, Mark, tinted
from .dose import Dose, cloud, draw, relief, smoothstep
from .kinds_lines import INNER_CORNERS, LOWER_LIDS, OUTER_CORNERS, axes
from .kinds_marks import colour, darkness

FloatImage = NDArray[Any]
SHINE_POINTS = {
    "forehead": (151, 9),
    "nose": (6, 197),
    "left_cheek": (50, 117),
    "right_cheek": (280, 346),
    "chin": (199,),
}
"""Landmarks where skin faces the light; the viewer's left first."""


def _spread(canvas: Canvas, shape: FloatImage, floor: float = 0.02) -> tuple[FloatImage, int, int] | None:
    """A quarter-size map -> its bounding window at full size and the window's corner; None when it is empty."""
    rows, columns = np.nonzero(shape > floor)
    if not len(rows):
        return None
    y0, y1, x0, x1 = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    piece = np.where(shape > floor, shape, 0)[y0:y1, x0:x1].astype(np.float32)
    full = cv2.resize(piece, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)
    x0, y0 = int(x0) * 4, int(y0) * 4
    return full[: canvas.height - y0, : canvas.width - x0], x0, y0


def redness(canvas: Canvas, rng: np.random.Generator, dose: Dose) -> list[Mark]:
    """Blotchy vascular patches on cheeks, nose, chin or forehead."""
    choices = dose.regions or ("left_cheek", "right_cheek", "nose", "chin", "forehead")
    chance = np.array([0.9 if "cheek" in c else 0.55 if c == "nose" else 0.3 for c in choices])
    names = [c for c, p in zip(choices, chance, strict=True) if rng.random() < p * draw(rng, dose.amount)]
    strength, size = draw(rng, dose.strength), draw(rng, dose.size)
    marks = []
    for name in names or [str(rng.choice(choices))]:
        area = canvas.region_map(name)
        blotches = smoothstep(cloud(rng, area.shape, canvas.unit / 4 * 0.35 * size), -1.1, 0.9)
        placed = _spread(canvas, cv2.GaussianBlur(area, (0, 0), canvas.unit / 4 * 0.07) * blotches)
        if placed is None:
            continue
        shape, x, y = placed
        fine = (1 + 0.25 * cloud(rng, shape.shape, canvas.unit * 0.03)).clip(0.2, 1.8)
        dark = darkness(canvas, (slice(y, y + shape.shape[0]), slice(x, x + shape.shape[1])))
        tint = colour(rng, (-0.04 - 0.20 * dark, -0.42 + 0.04 * dark, -0.34 + 0.02 * dark))
        marks.append(canvas.mark("redness", name, x, y, tinted(shape * fine, tint) * strength, shape))
    return marks


def dark_circles(canvas: Canvas, rng: np.random.Generator, dose: Dose) -> list[Mark]:
    """Discoloured lower lids that follow the lid's curve, often with the shaded edge of a bag."""
    _, down = axes(canvas)
    strength, size = draw(rng, dose.strength), draw(rng, dose.size)
    brown = rng.uniform(0, 1)
    tint = colour(rng, (-0.44 + 0.05 * brown, -0.46 - 0.06 * brown, -0.32 - 0.24 * brown))
    drop = canvas.unit * float(np.clip(0.24 * size, 0.12, 0.34))
    bag = rng.uniform(0.05, 0.22) if rng.random() < 0.5 else 0.0
    marks = []
    for side, region in ((0, "left_eye"), (1, "right_eye")):
        if dose.regions and region not in dose.regions:
            continue
        marks.append(_lid_shadow(canvas, rng, side, region, down, drop, tint * strength, bag * strength))
    return marks


def _lid_shadow(
    canvas: Canvas, rng: np.random.Generator, side: int, region: str, down: FloatImage, drop: float,
    tint: FloatImage, bag: float,
) -> Mark:  # fmt: skip
    lid = canvas.landmarks[list(LOWER_LIDS[side])]
    outer, inner = canvas.landmarks[OUTER_CORNERS[side]], canvas.landmarks[INNER_CORNERS[side]]
    along = ((lid - outer) @ (inner - outer) / max(float((inner - outer) @ (inner - outer)), 1e-6)).clip(0, 1)
    fall = np.sin(np.pi * (0.12 + 0.86 * along)) ** 0.7 * (0.75 + 0.35 * along) * drop
    outline = np.concatenate([lid + down * 0.02 * canvas.unit, (lid + down * fall[:, None])[::-1]])
    x0, y0, x1, y1 = canvas.box(outline, drop * 0.6 + 4)
    shape = np.zeros((y1 - y0, x1 - x0), np.float32)
    cv2.fillPoly(shape, [np.rint((outline - (x0, y0)) * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
    soft = cv2.GaussianBlur(shape, (0, 0), max(drop * rng.uniform(0.14, 0.26), 1.0))
    tone = (1 + 0.12 * cloud(rng, soft.shape, drop * 0.5)).clip(0.5, 1.4)
    delta = tinted(soft * tone, tint)
    if bag:
        edge = relief(soft, canvas.light, drop * 0.35)
        delta += cv2.merge([edge * bag] * 3)
    return canvas.mark("dark_circles", region, x0, y0, delta, (soft * 1.05).clip(0, 1))


def shine(canvas: Canvas, rng: np.random.Generator, dose: Dose) -> list[Mark]:
    """Specular patches: light added on top of the skin, so that pores stay."""
    strength, size = draw(rng, dose.strength), draw(rng, dose.size)
    names = dose.regions or tuple(n for n in SHINE_POINTS if rng.random() < 0.5 * draw(rng, dose.amount))
    marks = []
    for name in names or ("forehead",):
        if name in SHINE_POINTS:
            marks.append(_patch(canvas, rng, name, size, strength * float(np.exp(rng.normal(0, 0.2)))))
    return marks


def _patch(canvas: Canvas, rng: np.random.Generator, name: str, size: float, strength: float) -> Mark:
    across, down = axes(canvas)
    point = canvas.landmarks[int(rng.choice(SHINE_POINTS[name]))]
    point = point + across * rng.normal(0, 0.06) * canvas.unit + down * rng.normal(0, 0.05) * canvas.unit
    wide = {"forehead": (0.32, 0.16), "nose": (0.07, 0.16), "chin": (0.12, 0.08)}.get(name, (0.14, 0.11))
    rx, ry = (canvas.unit * w * size * rng.uniform(0.7, 1.3) for w in wide)
    x0, y0, x1, y1 = canvas.box(point[None], 2.2 * max(rx, ry))
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    u = ((x - point[0]) * across[0] + (y - point[1]) * across[1]) / rx
    v = ((x - point[0]) * down[0] + (y - point[1]) * down[1]) / ry
    shape = np.exp(-(u * u + v * v)) * (1 + 0.2 * cloud(rng, (y1 - y0, x1 - x0), canvas.unit * 0.15)).clip(0.3, 1.6)
    shape = smoothstep(shape, 0.0, 1.3)
    grain = (1 + 0.14 * cloud(rng, (y1 - y0, x1 - x0), 2.5) + 0.1 * cloud(rng, (y1 - y0, x1 - x0), 5)).clip(0, 2)
    linear = np.exp(canvas.log[y0:y1, x0:x1])
    added = (shape * grain * strength * rng.uniform(0.12, 0.28))[..., None] * np.array([1.0, 0.98, 0.95], np.float32)
    delta = np.log((linear + added) / np.maximum(linear, EPSILON))
    return canvas.mark("shine", name, x0, y0, delta.astype(np.float32), shape)


AREAS: dict[str, Callable[[Canvas, np.random.Generator, Dose], list[Mark]]] = {
    "redness": redness,
    "dark_circles": dark_circles,
    "shine": shine,
}
