"""Real marks of training faces, judged by eye: what no one painted, for what sees (ours).

A list is a JSON file of `{"id", "kind", "x", "y", "radius"}`: the face's id, a kind of the vocabulary, and the mark's
place and size in units of the eye distance, from the middle between the eyes. So it holds for a face at any size, and
for a window of it. With `"there": false` an entry says the opposite: in this place, which a model took for the kind, is
none of it (a nostril, a fold, a highlight).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.errors import BadData
from retouchgpt.core.geometry import LEFT_EYE_CONTOUR, RIGHT_EYE_CONTOUR
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.photo.regions import eye_distance

REACH = 2.0
"""Radius of a mark's mask over the mark's own: the mask holds its soft rim too, and fades out over the last third."""
LEAST = 2.4
"""Least radius of a mask in px."""


class RealMark(NamedTuple):
    """One mark, or a place without one: kind of the vocabulary; centre and radius in eye distances from the middle
    between the eyes."""

    kind: str
    x: float
    y: float
    radius: float
    there: bool = True

    def placed(self, landmarks: NDArray[np.floating]) -> RealMark:
        """The same mark in px of the picture whose landmarks (478, 2) these are."""
        middle, unit = frame(landmarks)
        x, y = middle + unit * np.array((self.x, self.y))
        return RealMark(self.kind, float(x), float(y), unit * self.radius, self.there)


def frame(landmarks: NDArray[np.floating]) -> tuple[NDArray[np.floating], float]:
    """Middle between the eyes (2,) and the distance of their centres, in the landmarks' unit."""
    right, left = (np.asarray(landmarks)[list(c)].mean(0) for c in (RIGHT_EYE_CONTOUR, LEFT_EYE_CONTOUR))
    return (right + left) / 2, eye_distance(landmarks)


def read_marks(path: str | Path) -> dict[str, list[RealMark]]:
    """Marks of each face id. Raises BadData naming the file and what is wrong in it."""
    marks: dict[str, list[RealMark]] = {}
    try:
        for entry in json.loads(Path(path).read_text()):
            mark = _mark(entry)
            marks.setdefault(str(entry["id"]), []).append(mark)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(f"{path} is not a list of real marks: {type(error).__name__} {error}") from error
    return marks


def _mark(entry: dict[str, Any]) -> RealMark:
    mark = RealMark(
        str(entry["kind"]), float(entry["x"]), float(entry["y"]), float(entry["radius"]), bool(entry.get("there", True))
    )
    if mark.kind not in IMPERFECTIONS or not mark.radius > 0:
        raise ValueError(f"no kind of the vocabulary, or no radius, in {entry}")
    return mark


def disc(mark: RealMark, corner: tuple[int, int], side: int) -> NDArray[np.float32]:
    """Mask (side, side) in [0, 1] of a mark in px, in the window whose left upper corner (x, y) this is."""
    radius = max(mark.radius * REACH, LEAST)
    out = np.zeros((side, side), np.float32)
    rows, columns = (
        slice(max(math.floor(at - first - radius), 0), max(math.ceil(at - first + radius), 0))
        for at, first in ((mark.y, corner[1]), (mark.x, corner[0]))
    )
    y, x = np.ogrid[:side, :side]
    away = np.hypot(x[:, columns] + 0.5 + corner[0] - mark.x, y[rows] + 0.5 + corner[1] - mark.y) / radius
    out[rows, columns] = np.clip((1 - away) * 3, 0, 1)
    return out
