"""What an edit left of an imperfection: its contrast to the skin beside it, before and after (ours)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage.color import rgb2lab
from torch.nn.functional import adaptive_max_pool2d

BESIDE = 5
"""Map px around a mark that are compared with it."""
LEAST_BESIDE = 12
"""Fewest map px beside a mark from which its contrast can be told."""
GRAIN = 1.0
"""Deviation, in map px, of the blur under which both are looked at."""
VISIBLE = 2.3
"""Contrast, in delta E 1976, from which an eye sees a mark (Mahy et al., 1994)."""
NOTICED = 1.0
"""Change, in delta E 1976 and as blurred as `GRAIN`, from which an eye tells a picture from the one before. Of a single
pixel it must be VISIBLE."""
KEPT = 0.5
"""Share of its contrast that a mark, an area or lines must keep, besides being visible, to count as still there."""
AREAS = {"redness": (1, 1), "dark_circles": (0, -1), "shine": (0, 1)}
"""Channel of CIELAB in which an area differs from the skin around it, and which way."""
AROUND = 12
"""Map px around an area that are compared with it."""
LINE = 11
"""Width of a line at most, in map px."""


class Pictures(NamedTuple):
    """A face before and after an edit, (h, w, 3) in CIELAB at the size of the maps; skin: (h, w), where it is skin.

    change: (h, w), what changed, 1 being what an eye just notices.
    """

    before: NDArray[np.float32]
    after: NDArray[np.float32]
    skin: NDArray[np.bool_]
    change: NDArray[np.float32]


def pictures(crop: NDArray[np.float32], correction: NDArray[np.float32], allowed: NDArray[Any], side: int) -> Pictures:
    """crop, correction: (S, S, 3), sRGB in [0, 1] and what is added. allowed: (S, S) in [0, 1]. side: of the maps, px.

    Returns both at that size, slightly blurred.
    """
    photo, edited = (x.astype(np.float32) for x in (crop, (crop + correction).clip(0, 1)))
    small = [cv2.resize(x, (side, side), interpolation=cv2.INTER_AREA) for x in (photo, edited)]
    before, after = (cv2.GaussianBlur(cv2.cvtColor(x, cv2.COLOR_RGB2LAB), (0, 0), GRAIN) for x in small)
    skin = cv2.resize(allowed.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA) > 0.5
    return Pictures(before, after, skin, _change(photo, edited, side))


def _change(before: NDArray[np.float32], after: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """What changed from one (S, S, 3) to the other, (side, side): the larger of what is seen blurred, in NOTICED, and
    of the pixel that changed most, in VISIBLE."""
    where = (before != after).any(2)
    lab = np.zeros(before.shape, np.float32)
    if where.any():  # by skimage: OpenCV's CIELAB is off by too much for changes of a level
        lab[where] = rgb2lab(after[where][None])[0] - rgb2lab(before[where][None])[0]
    wide = cv2.GaussianBlur(cv2.resize(lab, (side, side), interpolation=cv2.INTER_AREA), (0, 0), GRAIN)
    most = adaptive_max_pool2d(torch.from_numpy(np.linalg.norm(lab, axis=2))[None], side)[0].numpy()
    return np.maximum(np.linalg.norm(wide, axis=2) / NOTICED, most / VISIBLE)


def still_there(
    seen: Pictures, labels: NDArray[np.int32], chosen: Sequence[int], marks: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Whether each chosen mark of `labels` (h, w) can still be seen and kept half of its contrast, (len(chosen),).

    marks: (h, w), all that is no skin to compare with. A mark without skin beside it counts as gone.
    """
    out, skin = np.zeros(len(chosen), bool), seen.skin & ~marks
    for i, label in enumerate(chosen):
        own = labels == label
        rows, columns = (np.flatnonzero(own.any(axis)) for axis in (1, 0))
        window = tuple(slice(max(int(ends[0]) - BESIDE, 0), int(ends[-1]) + BESIDE + 1) for ends in (rows, columns))
        near = beside(own[window], skin[window])
        if near.sum() >= LEAST_BESIDE:
            before, after = (contrast(lab[window], own[window], near) for lab in (seen.before, seen.after))
            out[i] = _kept(before, after)
    return out


def area_still_there(seen: Pictures, kind: str, own: NDArray[np.bool_], marks: NDArray[np.bool_]) -> bool:
    """Whether an area or lines can still be seen and kept half of their contrast: redness, dark circles and shine in
    their own channel against the skin around, lines as dark ridges. What stood out nowhere counts as gone.

    own: (h, w), where it was edited. marks: (h, w), all that is no skin to compare with.
    """
    both = seen.before, seen.after
    if kind in AREAS:
        channel, sign = AREAS[kind]
        near = beside(own, seen.skin & ~marks, AROUND)
        if near.sum() < LEAST_BESIDE:
            return False
        before, after = (sign * float(lab[own, channel].mean() - lab[near, channel].mean()) for lab in both)
    else:
        before, after = (_depth(lab[..., 0], own) for lab in both)
    return _kept(before, after)


def _kept(before: float, after: float) -> bool:
    return before > VISIBLE and after > max(VISIBLE, KEPT * before)


def _depth(lightness: NDArray[np.float32], own: NDArray[np.bool_]) -> float:
    """How much darker lines are than what lies on both sides, in L*."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (LINE, LINE))
    return float(cv2.morphologyEx(lightness, cv2.MORPH_BLACKHAT, kernel)[own].mean())


def beside(own: NDArray[np.bool_], skin: NDArray[np.bool_], reach: int = BESIDE) -> NDArray[np.bool_]:
    """Skin (h, w) beside a mark (h, w), a px away from it and at most `reach`."""
    mark = own.astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return (cv2.dilate(mark, kernel) > cv2.dilate(mark, np.ones((3, 3), np.uint8))) & skin


def contrast(lab: NDArray[np.float32], own: NDArray[np.bool_], near: NDArray[np.bool_]) -> float:
    """Root mean square difference (delta E 1976) of a mark's pixels from the skin near it, less that skin's own.
    lab: (h, w, 3). own, near: (h, w)."""
    usual = lab[near].mean(0)
    inside, outside = (np.square(lab[where] - usual).sum(1).mean() for where in (own, near))
    return float(np.sqrt(max(inside - outside, 0)))
