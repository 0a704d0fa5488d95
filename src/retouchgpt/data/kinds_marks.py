"""Painters of compact marks: acne, freckles, spots, moles, scars. Ours; sizes in units of the eye distance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.vocabulary import NAMED_REGIONS

from .canvas import Canvas, Mark, tinted
from .dose import Blob, Dose, blob, cloud, count, draw, relief, smoothstep

FloatImage = NDArray[Any]


def darkness(canvas: Canvas, window: tuple[slice, slice]) -> float:
    """How dark the local skin is: 0 for light skin, 1 for very dark."""
    luma = float(np.exp(canvas.base[window].mean()))
    return float(np.clip((0.28 - luma) / 0.22, 0, 1))


def places(canvas: Canvas, rng: np.random.Generator, dose: Dose, number: int, clustered: float = 0.6) -> FloatImage:
    """Points for `number` marks: in one to three regions, gathered by smooth noise."""
    shape = canvas.regions.shape[1:]
    weight = np.exp(cloud(rng, shape, canvas.unit / 4 / 3) * 1.2 * clustered)
    names = dose.regions
    if not names and rng.random() < clustered:
        choices = ("forehead", "nose", "left_cheek", "right_cheek", "mouth", "chin")
        names = tuple(rng.choice(choices, size=int(rng.integers(1, 4)), replace=False))
    if names:
        weight = weight * np.max([canvas.region_map(n) for n in names], axis=0)
    return canvas.sample_points(rng, number, weight.astype(np.float32))


def colour(rng: np.random.Generator, rgb: tuple[float, float, float], spread: float = 0.2) -> FloatImage:
    """A log reflectance change with a person's variation."""
    factors = np.exp(rng.normal(0, spread)) * np.exp(rng.normal(0, spread / 3, 3))
    return (np.array(rgb) * factors).astype(np.float32)


def acne(canvas: Canvas, rng: np.random.Generator, dose: Dose) -> list[Mark]:
    """Papules, pustules, blackheads and the flat marks that they leave."""
    marks = []
    size, strength = draw(rng, dose.size), draw(rng, dose.strength)
    mix = rng.dirichlet((4, 3, 1, 1.2))
    for x, y in places(canvas, rng, dose, count(rng, 10, dose, 45)):
        kind = int(rng.choice(4, p=mix))
        radius = canvas.unit * size * float(np.exp(rng.normal(np.log((0.03, 0.032, 0.012, 0.026)[kind]), 0.35)))
        radius = float(np.clip(radius, 1.3, 0.11 * canvas.unit))
        marks.append(
            _pimple(canvas, rng, float(x), float(y), radius, strength * float(np.exp(rng.normal(0, 0.25))), kind)
        )
    return marks


def _pimple(
    canvas: Canvas, rng: np.random.Generator, x: float, y: float, radius: float, strength: float, kind: int
) -> Mark:
    x0, y0, x1, y1 = canvas.window(x, y, radius * 2.6 + 2)
    window = (slice(y0, y1), slice(x0, x1))
    dark = darkness(canvas, window)
    shape, centre = (y1 - y0, x1 - x0), (x - x0, y - y0)
    halo = blob(rng, shape, centre, radius * 1.5, irregular=0.15, softness=0.65)
    core = blob(rng, shape, centre, radius, irregular=0.1, aspect=float(rng.uniform(1, 1.3)), softness=0.4)
    red = colour(rng, (-0.04 - 0.3 * dark, -0.42 + 0.1 * dark, -0.36 + 0.1 * dark))
    if kind == 2:  # blackhead
        delta = core.alpha[..., None] * colour(rng, (-0.55, -0.65, -0.65)) * strength
        alpha = core.alpha
    elif kind == 3:  # the flat mark left behind
        brown = colour(rng, (-0.06 - 0.3 * dark, -0.36 - 0.1 * dark, -0.30 - 0.1 * dark))
        delta = halo.alpha[..., None] * brown * strength * (1 + 0.2 * cloud(rng, shape, radius)[..., None])
        alpha = halo.alpha
    else:
        bump = relief(core.height, canvas.light, radius) * 0.32 * strength * rng.uniform(0.5, 1.3)
        delta = (0.55 * halo.alpha + 0.45 * core.alpha)[..., None] * red * strength + bump[..., None]
        if kind == 1:
            head = blob(rng, shape, centre, radius * rng.uniform(0.35, 0.6), irregular=0.1, softness=0.5).alpha
            delta = delta * (1 - 0.7 * head[..., None]) + head[..., None] * colour(rng, (0.20, 0.16, -0.05)) * strength
        else:
            glint = blob(rng, shape, (centre[0] - 0.2 * radius, centre[1] - 0.35 * radius), radius * 0.25, softness=0.8)
            delta = delta + (glint.alpha * rng.uniform(0, 0.22) * strength)[..., None]
        alpha = np.maximum(smoothstep(halo.alpha, 0.05, 0.75), core.alpha)
    return canvas.mark("acne", canvas.region_of(x, y), x0, y0, delta, alpha)


class Sprinkle(NamedTuple):
    """Where freckles lie (region -> weight), how much they gather, how many there mostly and at most are; factors of
    their size and strength."""

    where: dict[str, float]
    gathered: float
    typical: int
    most: int
    size: float = 1.0
    strength: float = 1.0


YOUNG = Sprinkle(
    {"nose": 1, "left_cheek": 1, "right_cheek": 1, "left_eye": 0.4, "right_eye": 0.4, "forehead": 0.25}, 1.1, 90, 320
)
GENTLE = YOUNG._replace(size=1.15)
SUN_MADE = Sprinkle(dict.fromkeys(NAMED_REGIONS[1:], 1.0), 0.6, 300, 900, strength=0.75)
SUNNED = 0.35
"""Share of gently dosed faces with freckles that have them everywhere, as the sun makes them on grown-up skin."""


def freckles(canvas: Canvas, rng: np.random.Generator, dose: Dose) -> list[Mark]:
    """Many small soft brown flecks in clusters; one mark a region. Gently dosed, some faces are full of them."""
    shape, kind = canvas.regions.shape[1:], YOUNG
    if dose.gentle:
        kind = SUN_MADE if rng.random() < SUNNED else GENTLE
    names = dose.regions or tuple(kind.where)
    weight = np.max([canvas.region_map(n) * kind.where.get(n, 1.0) for n in names], axis=0)
    weight = weight * np.exp(kind.gathered * cloud(rng, shape, canvas.unit / 4 / 3))
    many = count(rng, kind.typical, dose, kind.most)
    points = canvas.sample_points(rng, many, weight.astype(np.float32), least_skin=0.5)
    size, strength = draw(rng, dose.size) * kind.size, draw(rng, dose.strength) * kind.strength
    groups: dict[str, list[FloatImage]] = {}
    for point in points:
        groups.setdefault(canvas.region_of(*point), []).append(point)
    tint = colour(rng, (-0.24, -0.42, -0.50) if dose.gentle else (-0.22, -0.48, -0.68))
    return [
        _fleck_group(canvas, rng, region, np.array(group), size, strength, tint) for region, group in groups.items()
    ]


def _fleck_group(
    canvas: Canvas, rng: np.random.Generator, region: str, points: FloatImage, size: float, strength: float,
    tint: FloatImage,
) -> Mark:  # fmt: skip
    x0, y0, x1, y1 = canvas.box(points, canvas.unit * 0.08 + 4)
    depth = np.zeros((y1 - y0, x1 - x0), np.float32)
    classes = rng.choice(4, size=len(points), p=(0.4, 0.35, 0.18, 0.07))
    for i, radius in enumerate((0.008, 0.012, 0.017, 0.025)):
        sigma = float(np.clip(canvas.unit * size * radius * 0.75, 0.6, 6))
        impulses = np.zeros_like(depth)
        chosen = np.rint(points[classes == i] - (x0, y0)).astype(int)
        inside = (chosen[:, 1] < depth.shape[0]) & (chosen[:, 0] < depth.shape[1])
        rows, columns = chosen[inside, 1], chosen[inside, 0]
        impulses[rows, columns] = rng.uniform(0.4, 1.2, inside.sum())
        # an oval kernel turned a little for each class, so that no two sizes share one outline
        blurred = cv2.GaussianBlur(impulses, (0, 0), sigma * rng.uniform(0.85, 1.2), sigmaY=sigma)
        depth += blurred * (2 * np.pi * sigma * sigma)
    depth = depth.clip(0, 1.4) * (1 + 0.15 * cloud(rng, depth.shape, 3.0))
    faint = 1 - 0.35 * darkness(canvas, (slice(y0, y1), slice(x0, x1)))
    delta = tinted(depth, tint) * strength * faint
    return canvas.mark("freckles", region, x0, y0, delta, smoothstep(depth, 0.06, 0.5))


def spots(canvas: Canvas, rng: np.random.Generator, dose: Dose) -> list[Mark]:
    """Age, sun and liver spots: flat, brown, of irregular border and uneven tone; gently dosed also small dark dots."""
    marks = []
    size, strength = draw(rng, dose.size), draw(rng, dose.strength)
    for x, y in places(canvas, rng, dose, count(rng, 4, dose, 14), clustered=0.3):
        radius = canvas.unit * size * float(np.clip(np.exp(rng.normal(np.log(0.05), 0.45)), 0.02, 0.14))
        dot = dose.gentle and rng.random() < 0.4
        if dot:
            radius = max(canvas.unit * size * float(np.clip(np.exp(rng.normal(np.log(0.02), 0.4)), 0.01, 0.05)), 1.3)
        x0, y0, x1, y1 = canvas.window(float(x), float(y), radius * 2.4 + 3)
        shape = (y1 - y0, x1 - x0)
        patch = blob(
            rng, shape, (x - x0, y - y0), radius,
            irregular=float(rng.uniform(0.06, 0.2)), aspect=float(rng.uniform(1, 1.6)),
            softness=float(rng.uniform(0.12, 0.5)) * (1.7 if dose.gentle else 1.0),
        )  # fmt: skip
        mottle = (1 + 0.25 * cloud(rng, shape, max(radius / 2.5, 2))).clip(0.4, 1.6)
        dark = darkness(canvas, (slice(y0, y1), slice(x0, x1)))
        brown = (-0.20, -0.29, -0.37) if dose.gentle else (-0.17, -0.31, -0.45)
        if dot:
            brown = (-0.30, -0.42, -0.48)
        tint = colour(rng, (brown[0] - 0.15 * dark, brown[1] - 0.1 * dark, brown[2]))
        delta = (patch.alpha * mottle)[..., None] * tint * strength
        marks.append(canvas.mark("spots", canvas.region_of(x, y), x0, y0, delta, patch.alpha))
    return marks


def moles(canvas: Canvas, rng: np.random.Generator, dose: Dose) -> list[Mark]:
    """Round, dark, flat or raised with a lit rim."""
    marks = []
    size, strength = draw(rng, dose.size), draw(rng, dose.strength)
    for x, y in places(canvas, rng, dose, count(rng, 2.5, dose, 9), clustered=0.1):
        radius = canvas.unit * size * float(np.clip(np.exp(rng.normal(np.log(0.022), 0.4)), 0.01, 0.06))
        if dose.gentle and rng.random() < 0.5:  # most real ones are small
            radius = canvas.unit * size * float(np.clip(np.exp(rng.normal(np.log(0.0125), 0.3)), 0.007, 0.03))
        radius = max(radius, 1.2)
        x0, y0, x1, y1 = canvas.window(float(x), float(y), radius * 2.2 + 3)
        shape = (y1 - y0, x1 - x0)
        body = blob(
            rng, shape, (x - x0, y - y0), radius,
            irregular=0.07, aspect=float(rng.uniform(1, 1.25)), softness=float(rng.uniform(0.15, 0.45)),
        )  # fmt: skip
        tint = colour(rng, (-0.75, -1.0, -1.05)) * strength
        tone = (1 + 0.15 * cloud(rng, shape, max(radius / 2, 1.5))).clip(0.5, 1.4)
        delta = (body.alpha * tone)[..., None] * tint
        if rng.random() < 0.45:
            delta = delta * 0.8 + (relief(body.height, canvas.light, radius) * rng.uniform(0.2, 0.5))[..., None]
        marks.append(canvas.mark("moles", canvas.region_of(x, y), x0, y0, delta, body.alpha))
    return marks


def scars(canvas: Canvas, rng: np.random.Generator, dose: Dose) -> list[Mark]:
    """Pits, short lines and patches, lighter or darker than the skin."""
    size, strength = draw(rng, dose.size), draw(rng, dose.strength)
    marks = []
    style = int(rng.integers(3))
    number = count(rng, (9, 2, 2)[style], dose, (28, 5, 5)[style])
    for x, y in places(canvas, rng, dose, number, clustered=0.8 if style == 0 else 0.2):
        marks.append((_pit, _line_scar, _patch_scar)[style](canvas, rng, float(x), float(y), size, strength))
    return marks


def _pit(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float, strength: float) -> Mark:
    radius = max(canvas.unit * size * float(np.exp(rng.normal(np.log(0.02), 0.35))), 1.4)
    x0, y0, x1, y1 = canvas.window(x, y, radius * 2.6 + 2)
    dent = blob(rng, (y1 - y0, x1 - x0), (x - x0, y - y0), radius, irregular=0.15, aspect=float(rng.uniform(1, 1.6)))
    shade = -relief(dent.height, canvas.light, radius) * 0.45 - dent.height * 0.16
    seen = np.maximum(dent.alpha, smoothstep(np.abs(shade), 0.015, 0.12))
    return canvas.mark("scars", canvas.region_of(x, y), x0, y0, np.repeat((shade * strength)[..., None], 3, 2), seen)


def _line_scar(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float, strength: float) -> Mark:
    radius = max(canvas.unit * size * float(rng.uniform(0.012, 0.022)), 1.0)
    aspect = float(rng.uniform(4, 9))
    x0, y0, x1, y1 = canvas.window(x, y, radius * aspect * 1.6 + 3)
    body = blob(rng, (y1 - y0, x1 - x0), (x - x0, y - y0), radius, irregular=0.12, aspect=aspect, softness=0.45)
    return _scarred(canvas, rng, body, x, y, (x0, y0), radius, strength)


def _patch_scar(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float, strength: float) -> Mark:
    radius = canvas.unit * size * float(rng.uniform(0.03, 0.07))
    x0, y0, x1, y1 = canvas.window(x, y, radius * 3.2 + 3)
    body = blob(rng, (y1 - y0, x1 - x0), (x - x0, y - y0), radius, irregular=0.22, aspect=float(rng.uniform(1, 1.9)))
    return _scarred(canvas, rng, body, x, y, (x0, y0), radius, strength)


def _scarred(
    canvas: Canvas, rng: np.random.Generator, body: Blob, x: float, y: float, corner: tuple[int, int],
    radius: float, strength: float,
) -> Mark:  # fmt: skip
    tint = colour(rng, (0.13, 0.19, 0.21)) if rng.random() < 0.75 else colour(rng, (-0.12, -0.32, -0.30))
    edge = relief(body.height, canvas.light, radius) * rng.uniform(-0.2, 0.25)
    delta = body.alpha[..., None] * tint * strength + (edge * strength)[..., None]
    seen = np.maximum(body.alpha, smoothstep(np.abs(edge), 0.015, 0.12))
    return canvas.mark("scars", canvas.region_of(x, y), *corner, delta, seen)


MARKS: dict[str, Callable[[Canvas, np.random.Generator, Dose], list[Mark]]] = {
    "acne": acne,
    "freckles": freckles,
    "spots": spots,
    "moles": moles,
    "scars": scars,
}
