"""Real marks taken away as a healing brush does it, and given back as paint, on their own face and on others, so that
the repair is also taught on marks that no one painted (ours).

Skin from beside the mark is laid over it and its colours are bent to meet those around, as in Poisson image editing
(Perez et al., 2003), in log linear light, where shade is a sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas, Mark
from .native import MARK, native_candidates
from .real_marks import LEAST, REACH, RealMark, disc

FloatImage = NDArray[Any]
DIRECTIONS = 16
AWAY = (2.1, 2.8, 3.6, 4.6)
"""Distances at which skin is sought, in radii of the mark's mask."""
ROOM = 4
"""Px around the mask where the new skin has to fit."""
SKIN = 0.5
"""Least mean of the skin map where skin is taken."""
WIDER = 1.35
"""Radius that is healed over that of the list, which holds a mark's core: its soft rim goes too."""
COPIES = 6
"""Most times that a lent mark is laid."""
FARTHER = 0.15
"""How much worse skin counts for each further radius that it lies away, in its own misfit."""


def heal(canvas: Canvas, real: Iterable[RealMark]) -> list[Mark]:
    """Take real marks out of the canvas' own light; returns the paint that gives them back.

    real: in px of the canvas, see `RealMark.placed`. Left alone is what the list says is not there, what lies off the
    canvas, and a mark with no clean skin beside it.
    """
    here = [m for m in real if m.there and 0 <= m.x < canvas.width and 0 <= m.y < canvas.height]
    there = [m._replace(radius=m.radius * WIDER) for m in here]
    if not there:
        return []
    unclean = ((native_candidates(canvas) & MARK) > 0).astype(np.uint8)
    for mark in there:
        cv2.circle(unclean, (int(mark.x), int(mark.y)), math.ceil(_reach(mark)), 1, -1)
    log, marks = canvas.log.copy(), []
    for mark in sorted(there, key=lambda m: -m.radius):
        box = canvas.window(mark.x, mark.y, _reach(mark) + ROOM)
        alpha = _alpha(mark, box)
        skin = _skin_for(canvas, log, unclean, box, alpha, _reach(mark))
        if skin is None:
            continue
        window = slice(box[1], box[3]), slice(box[0], box[2])
        delta = ((log[window] - skin) * alpha[..., None]).astype(np.float32)
        log[window] -= delta
        marks.append(Mark(mark.kind, canvas.region_of(mark.x, mark.y), box[0], box[1], delta, alpha))
    canvas.log = log
    return marks


class Lent(NamedTuple):
    """Marks of a face for other faces. unit: that face's distance between the eyes, in px of the marks."""

    marks: tuple[Mark, ...]
    unit: float


def lend(image: NDArray[np.uint8], landmarks: NDArray[np.floating], real: Iterable[RealMark]) -> Lent:
    """A face's real marks, to be laid on others; arguments as `Canvas` takes them, marks in px."""
    canvas = Canvas(image, landmarks)
    return Lent(tuple(heal(canvas, real)), canvas.unit)


def borrow(canvas: Canvas, lent: Lent, rng: np.random.Generator) -> list[Mark]:
    """Each mark up to COPIES times somewhere on the skin, at the face's scale: turned, mirrored, a little larger or
    smaller, stronger or weaker."""
    laid = []
    for mark in lent.marks:
        for x, y in canvas.sample_points(rng, int(rng.integers(COPIES + 1))):
            scale = canvas.unit / lent.unit * float(np.exp(rng.normal(0, 0.15)))
            way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            delta, alpha = (
                cv2.resize(part, None, fx=scale, fy=scale, interpolation=way) for part in (mark.delta, mark.alpha)
            )
            turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
            delta, alpha = (np.rot90(part[:, ::-1] if mirrored else part, turns) for part in (delta, alpha))
            height, width = alpha.shape
            x0, y0 = round(float(x) - width / 2), round(float(y) - height / 2)
            if min(x0, y0) < 0 or x0 + width > canvas.width or y0 + height > canvas.height:
                continue
            strength = float(np.exp(rng.normal(0, 0.2)))
            region = canvas.region_of(float(x), float(y))
            laid.append(canvas.mark(mark.kind, region, x0, y0, delta * strength, alpha.clip(0, 1)))
    return laid


def _reach(mark: RealMark) -> float:
    return max(mark.radius * REACH, LEAST)


def _alpha(mark: RealMark, box: Sequence[int]) -> FloatImage:
    """The mark's mask in a box (x0, y0, x1, y1), (h, w)."""
    side = max(box[2] - box[0], box[3] - box[1])
    return disc(mark, (box[0], box[1]), side)[: box[3] - box[1], : box[2] - box[0]]


def _skin_for(
    canvas: Canvas,
    log: FloatImage,
    unclean: NDArray[np.uint8],
    box: tuple[int, int, int, int],
    alpha: FloatImage,
    reach: float,
) -> FloatImage | None:
    """What would lie in the box without the mark under `alpha`, (h, w, 3) log light, or None. reach: its, px."""
    x0, y0, x1, y1 = box
    here = log[y0:y1, x0:x1]
    ring = (alpha == 0) & (canvas.skin[y0:y1, x0:x1] > SKIN)
    if ring.sum() < 12:
        return None
    best, least = None, math.inf
    for away in AWAY:
        for angle in np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS):
            dx, dy = (round(away * reach * float(f(angle))) for f in (np.cos, np.sin))
            if min(x0 + dx, y0 + dy) < 0 or x1 + dx > canvas.width or y1 + dy > canvas.height:
                continue
            there = slice(y0 + dy, y1 + dy), slice(x0 + dx, x1 + dx)
            if canvas.skin[there].mean() < SKIN or unclean[there][alpha > 0].mean() > 0.02:
                continue
            apart = here - log[there]
            misfit = float(apart[ring].std(0).mean()) * (1 + FARTHER * away)
            if misfit < least:
                best, least = there, misfit
    if best is None:
        return None
    return log[best] + _membrane(here - log[best], ring)


def _membrane(values: FloatImage, known: NDArray[np.bool_]) -> FloatImage:
    """(h, w, 3) with what is not known filled in evenly from its border."""
    weight = known.astype(np.float32)[..., None]
    out, fill = values * weight, np.zeros_like(values)
    sigma = 2.0 ** np.arange(6)[::-1]
    for s in sigma:
        total = cv2.GaussianBlur(out, (0, 0), float(s))
        share = cv2.GaussianBlur(weight, (0, 0), float(s))[..., None]
        fill = (total + 1e-3 * fill) / (share + 1e-3)
    return np.where(known[..., None], values, fill)
