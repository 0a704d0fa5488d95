"""From heat maps to facts: what was found, where, how many; what an edit really changed."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.facts import Finding, Outcome
from retouchgpt.core.plan import Edit
from retouchgpt.core.vocabulary import ALL, COUNTABLE, IMPERFECTIONS, NAMED_REGIONS, REGIONS, expand

from .fading import Pictures, area_still_there, still_there

FloatImage = NDArray[Any]

FOUND = 0.4
"""Heat from which a place counts as found."""
EDITED = 0.2
"""Mask from which a place may count as edited, where there is such a one; whether it was, its pixels say."""
INSIDE = 0.3
"""Reach from which a place lies in a region."""
LEAST_AREA = 3
"""Smallest mark in px of the map; below it is noise."""
SMALLEST_SHARE = 0.002
"""An area kind must cover this share of its region to be named."""


def components(found: NDArray[np.bool_]) -> tuple[NDArray[np.int32], list[tuple[float, float, int]]]:
    """Separate places of a boolean map: labels (H, W), and (x, y, area) of each from label 1 on."""
    count, labels, stats, centres = cv2.connectedComponentsWithStats(found.astype(np.uint8), connectivity=8)
    places = [(*centres[i], int(stats[i, cv2.CC_STAT_AREA])) for i in range(1, count)]
    return labels, places


def region_at(regions: FloatImage, x: float, y: float) -> str:
    """The named region at a point of the maps; `face` where none covers it."""
    values = regions[1 : len(NAMED_REGIONS), int(y), int(x)]
    best = int(values.argmax())
    return NAMED_REGIONS[1 + best] if values[best] > INSIDE else "face"


def find(heat: FloatImage, regions: FloatImage, px: float) -> tuple[Finding, ...]:
    """What a face shows, by kind and named region.

    heat: (12, H, W) in [0, 1]. regions: (18, H, W). px: photo pixels a map pixel (area).
    """
    out: list[Finding] = []
    for k, kind in enumerate(IMPERFECTIONS):
        found = heat[k] > FOUND
        if not found.any():
            continue
        out.extend(
            _marks(kind, heat[k], found, regions, px)
            if kind in COUNTABLE
            else _areas(kind, heat[k], found, regions, px)
        )
    return tuple(out)


def _marks(kind: str, heat: FloatImage, found: NDArray[np.bool_], regions: FloatImage, px: float) -> list[Finding]:
    labels, places = components(found)
    peaks = _peaks(heat, labels, len(places))
    by_region: dict[str, list[tuple[int, float]]] = {}
    for (x, y, area), peak in zip(places, peaks, strict=True):
        if area >= LEAST_AREA:
            by_region.setdefault(region_at(regions, x, y), []).append((area, peak))
    return [
        Finding(
            kind, region, len(marks), max(round(sum(a for a, _ in marks) * px), 1), round(max(p for _, p in marks), 3)
        )
        for region, marks in by_region.items()
    ]


def _peaks(heat: FloatImage, labels: NDArray[np.int32], count: int) -> list[float]:
    peaks = np.zeros(count + 1, np.float32)
    np.maximum.at(peaks, labels.ravel(), heat.ravel())
    return [float(p) for p in peaks[1:]]


def _areas(kind: str, heat: FloatImage, found: NDArray[np.bool_], regions: FloatImage, px: float) -> list[Finding]:
    owner = regions[1 : len(NAMED_REGIONS)].argmax(0)
    covered = regions[1 : len(NAMED_REGIONS)].max(0) > INSIDE
    out = []
    for r, region in enumerate(NAMED_REGIONS[1:]):
        own = covered & (owner == r)
        area = int((found & own).sum())
        if area > max(SMALLEST_SHARE * own.sum(), LEAST_AREA):
            out.append(Finding(kind, region, 0, max(round(area * px), 1), round(float(heat[found & own].max()), 3)))
    return out


def outcomes(
    edits: tuple[Edit, ...],
    kinds: FloatImage,
    changed: NDArray[np.bool_],
    regions: FloatImage,
    px: float,
    seen: Pictures | None = None,
    heat: FloatImage | None = None,
) -> tuple[Outcome, ...]:
    """What became of each edit. `all` is told kind by kind, as far as something changed; else as one that was not done.
    Of `all`, faint changes are told only where there are no others.

    kinds: (12, H, W) selected mask of each kind. changed: (H, W), where the pixels really differ. px: as in `find`.
    seen: the face before and after; without it nothing counts as still to be seen, nor as faint. heat: as in `find`;
    with it a mark that was found also counts where its mask, for a rival's sake, is less than what was found. Marks are
    counted that changed enough to be noticed, or can still be seen; where there are none, all.
    """
    out: list[Outcome] = []
    for edit in edits:
        region = regions[REGIONS.index(edit.region)]
        told = [_outcome(kind, edit, kinds, changed, region, px, seen, heat) for kind in expand(edit.imperfection)]
        done = [o for o in told if o.done]
        if edit.imperfection == ALL:
            plain = [o for o in done if not o.faint]
            out.extend(plain or done or [Outcome(ALL, edit.region, edit.strength, 0, 0)])
        else:
            out.extend(told)
    return _distinct(out)


def _outcome(
    kind: str,
    edit: Edit,
    kinds: FloatImage,
    changed: NDArray[np.bool_],
    region: FloatImage,
    px: float,
    seen: Pictures | None,
    heat: FloatImage | None,
) -> Outcome:
    k = IMPERFECTIONS.index(kind)
    own = kinds[k]
    strongest = own >= kinds.max(0) - 1e-6  # a pixel that two kinds claim is told once
    touched = (own > 0) & strongest & changed & (region > 0)
    if edit.strength == 0 or not touched.any():
        return Outcome(kind, edit.region, edit.strength, 0, 0)
    done = touched & (own > EDITED) & (region > INSIDE)
    if done.sum() < LEAST_AREA:  # a weak mask, or one at the region's edge, is a change all the same
        done = touched
    area = max(round(int(done.sum()) * px), 1)
    marks = kinds.max(0) > EDITED
    noticed = changed if seen is None else seen.change >= edit.strength  # what is only softened changes less
    faint = not noticed[touched].any()
    if kind not in COUNTABLE:
        area_left = seen is not None and area_still_there(seen, kind, done, marks)
        return Outcome(kind, edit.region, edit.strength, 0, area, int(area_left), faint and not area_left)
    labels, clear = _clear(own if heat is None else np.maximum(own, heat[k]), done)
    left = np.zeros(len(clear), bool) if seen is None else still_there(seen, labels, clear, marks)
    told = left | np.array([noticed[labels == i].any() for i in clear])
    count = int(told.sum()) or len(clear)
    return Outcome(kind, edit.region, edit.strength, count, area, int(left.sum()), faint and not left.any())


def _clear(own: FloatImage, done: NDArray[np.bool_]) -> tuple[NDArray[np.int32], list[int]]:
    """Labels (H, W) of the edited places, and of which of them are marks: those that would also be named as found, or
    the hottest."""
    labels, places = components(done)
    peaks = _peaks(np.where(done, own, 0), labels, len(places))
    marks = [(i, p) for i, ((_, _, area), p) in enumerate(zip(places, peaks, strict=True), 1) if area >= LEAST_AREA]
    clear = [i for i, peak in marks if peak > FOUND]
    return labels, clear or [1 + int(np.argmax(peaks))]


def _distinct(items: list[Outcome]) -> tuple[Outcome, ...]:
    """One outcome a kind and region; the first wins."""
    return tuple({(o.imperfection, o.region): o for o in reversed(items)}.values())[::-1]
