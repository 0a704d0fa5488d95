"""The groups that figures are told by: age bands, sizes of imperfections, and single marks gone or kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from retouchgpt.data.canvas import Mark

from .cases import Case
from .metrics import VISIBLE, Image

AGE_BANDS: tuple[tuple[str, float], ...] = (("under 30", 30), ("30 to 44", 45), ("45 to 59", 60), ("60 and over", 999))
"""Name and the age that each ends below."""
SIZES: tuple[tuple[str, float], ...] = (
    ("under 4 px", 4), ("4 to 8 px", 8), ("8 to 16 px", 16), ("16 to 32 px", 32), ("32 px and over", 1e9),
)  # fmt: skip
"""Name and the diameter, in px of the 512 px crop, that each ends below."""
HALF = 0.5
"""A mark whose error fell to this share is gone; one that changed by no more than this share of itself is kept."""


class Verdict(NamedTuple):
    """What became of one painted mark. asked: whether it was to go. right: gone if asked, kept if not."""

    kind: str
    size: str
    asked: bool
    right: bool


def age_band(age: float | None) -> str | None:
    """The band of an age in years; None where it is not known."""
    return None if age is None else next(name for name, below in AGE_BANDS if age < below)


def size_group(area: float) -> str:
    """The group of a mark's area in px: of the diameter of the disc that has it."""
    diameter = 2 * (area / np.pi) ** 0.5
    return next(name for name, below in SIZES if diameter < below)


def marks_of(case: Case) -> Iterator[tuple[Mark, bool]]:
    """The painted marks, and whether each was asked to go."""
    edit = case.plan.edits[0]
    for mark in case.face.painted.marks:
        yield mark, mark.kind == edit.imperfection and edit.region in ("face", mark.region)


def verdicts(case: Case, out: Image) -> list[Verdict]:
    """Every mark that can be seen by itself: asked ones gone or not, the others kept or not."""
    found = []
    near = cv2.dilate(case.asked.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    for mark, asked in marks_of(case):
        window = mark.window
        own = (mark.alpha > 0.3) & (case.asked[window] if asked else ~near[window])
        image, after = (x[window][own].astype(np.float32) for x in (case.image, out))
        if not len(image):
            continue
        if asked:
            target = case.target[window][own].astype(np.float32)
            before, left = np.abs(image - target).sum(), np.abs(after - target).sum()
        else:
            before, left = np.abs(case.unasked[window][own]).sum(), np.abs(after - image).sum()
        if before <= VISIBLE * len(image):
            continue
        area = float((mark.alpha > 0.3).sum())
        found.append(Verdict(mark.kind, size_group(area), asked, bool(left <= HALF * before)))
    return found
