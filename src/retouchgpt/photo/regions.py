"""Regions of a face from its landmarks: soft maps of where things are, what is skin, what must never be touched.

Vertex numbers are mediapipe's face mesh. Left and right are the viewer's: the mesh's own "right" is on our left.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.geometry import LEFT_EYE_CONTOUR, RIGHT_EYE_CONTOUR, Extent
from retouchgpt.core.vocabulary import GRID_REGIONS, NAMED_REGIONS, REGIONS

FloatImage = NDArray[Any]

OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149,
        150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip
UPPER_OVAL = (21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251)
"""Temple to temple; raised to reach the hairline, which the mesh stops short of."""
BROWS = ((46, 53, 52, 65, 55, 107, 66, 105, 63, 70), (276, 283, 282, 295, 285, 336, 296, 334, 293, 300))
LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
NOSTRILS = ((98, 97), (327, 326))
OUTER_CORNERS = (RIGHT_EYE_CONTOUR[0], LEFT_EYE_CONTOUR[0])
"""Of the eyes; the lashes there reach further out than the mesh."""
BROW_TAIL = 0.09
"""How far a brow goes on beyond the mesh's, and how thick it is there, in eye distances."""
POLYGONS: dict[str, tuple[int, ...]] = {
    "nose": (168, 193, 245, 188, 174, 217, 126, 142, 129, 98, 97, 2, 326, 327, 358, 371, 355, 437, 399, 412, 465, 417),
    "left_cheek": (227, 117, 118, 119, 100, 142, 203, 206, 216, 214, 135, 172, 58, 132, 93, 234),
    "right_cheek": (447, 346, 347, 348, 329, 371, 423, 426, 436, 434, 364, 397, 288, 361, 323, 454),
    "left_eye": (55, 65, 52, 53, 46, 139, 34, 227, 117, 118, 119, 100, 114, 188, 193),
    "right_eye": (285, 295, 282, 283, 276, 368, 264, 447, 346, 347, 348, 329, 343, 412, 417),
    "mouth": (2, 98, 206, 216, 212, 202, 204, 194, 201, 18, 421, 418, 424, 422, 432, 436, 426, 327),
    "chin": (204, 194, 201, 18, 421, 418, 424, 422, 364, 379, 378, 400, 377, 152, 148, 176, 149, 150, 135, 202),
}
FOREHEAD_BELOW = (300, 293, 334, 296, 336, 9, 107, 66, 105, 63, 70)
"""Lower border of the forehead, viewer's right to left, above the brows."""


def eye_distance(landmarks: NDArray[np.floating]) -> float:
    """Distance between the eyes' centres in px of the landmarks' frame."""
    right, left = (np.asarray(landmarks)[list(c)].mean(0) for c in (RIGHT_EYE_CONTOUR, LEFT_EYE_CONTOUR))
    return float(max(np.hypot(*(left - right)), 1.0))


def region_maps(landmarks: NDArray[np.floating], extent: Extent) -> FloatImage:
    """Maps of `vocabulary.REGIONS`, (18, height, width) in [0, 1], soft at their borders.

    landmarks: (478, 2) px of the frame. extent: the frame's size. The grid's cells are thirds of the frame.
    """
    factor = max(extent.width // 128, 1)
    small = Extent(-(-extent.width // factor), -(-extent.height // factor))
    points = np.asarray(landmarks, np.float32) / factor
    unit = eye_distance(points)
    face = _fill([_oval(points)], small)
    maps = {"face": face, "forehead": _fill([_forehead(points)], small) * face}
    for name, polygon in POLYGONS.items():
        maps[name] = _fill([points[list(polygon)]], small)
    soft = [cv2.GaussianBlur(maps[name], (0, 0), max(0.035 * unit, 0.5)) for name in NAMED_REGIONS]
    stacked = np.stack(soft + _grid(small))
    if factor == 1:
        return stacked
    return np.stack([cv2.resize(m, extent, interpolation=cv2.INTER_LINEAR) for m in stacked])


def protected_map(landmarks: NDArray[np.floating], extent: Extent) -> FloatImage:
    """Eyes with lashes, brows, lips with teeth, nostrils: (height, width) in [0, 1], 1 where nothing may be edited."""
    points = np.asarray(landmarks, np.float32)
    unit = eye_distance(points)
    hard = np.zeros((extent.height, extent.width), np.float32)
    for polygon, margin in (
        *((points[list(c)], 0.055) for c in (RIGHT_EYE_CONTOUR, LEFT_EYE_CONTOUR)),
        *((points[list(b)], 0.05) for b in BROWS),
        (points[list(LIPS)], 0.04),
    ):
        cv2.fillPoly(hard, [_fixed(polygon)], 1.0, cv2.LINE_AA, 4)
        cv2.polylines(hard, [_fixed(polygon)], True, 1.0, max(round(2 * margin * unit), 1), cv2.LINE_AA, 4)
    nostrils = [(points[outer] * 0.4 + points[inner] * 0.6, 0.06) for outer, inner in NOSTRILS]
    for (x, y), radius in (*nostrils, *((points[corner], 0.1) for corner in OUTER_CORNERS)):
        cv2.circle(hard, (round(float(x)), round(float(y))), max(round(radius * unit), 1), 1.0, -1)
    return cv2.GaussianBlur(hard, (0, 0), max(0.012 * unit, 0.5))


def brow_tails(landmarks: NDArray[np.floating], extent: Extent) -> NDArray[np.bool_]:
    """Where brows go on beyond the mesh's, (height, width)."""
    points = np.asarray(landmarks, np.float32)
    unit, out = eye_distance(points), np.zeros((extent.height, extent.width), np.uint8)
    for brow in BROWS:
        tail, before = points[brow[0]], points[brow[1]]
        end = tail + (tail - before) / max(float(np.hypot(*(tail - before))), 1e-6) * BROW_TAIL * unit
        cv2.polylines(out, [_fixed(np.stack([tail, end]))], False, 1, max(round(BROW_TAIL * unit), 1), cv2.LINE_8, 4)
    return out > 0


def skin_map(image: FloatImage, landmarks: NDArray[np.floating]) -> FloatImage:
    """Facial skin, (H, W) in [0, 1]: the oval up to the hairline without what is not skin-coloured or protected.

    image: float RGB (H, W, 3) in [0, 1]. landmarks: (478, 2) px of it. Hair, beard and glasses leave by their colour,
    measured against this face's own cheeks, nose and brow, each place against the light that falls there.
    """
    points = np.asarray(landmarks, np.float32)
    extent, unit = Extent(image.shape[1], image.shape[0]), eye_distance(points)
    face = _fill([_oval(points)], extent)
    protected = protected_map(points, extent)
    sure = _fill([points[list(POLYGONS[n])] for n in ("nose", "left_cheek", "right_cheek")], extent)
    sure = cv2.erode(sure, np.ones((3, 3), np.uint8)) * (protected < 0.1)
    likely = _likelihood(cv2.GaussianBlur(image, (0, 0), max(0.02 * unit, 0.5)), sure > 0.5, face > 0.5, unit)
    skin = face * likely * (1 - protected).clip(0, 1)
    return cv2.GaussianBlur(skin, (0, 0), max(0.015 * unit, 0.5))


MARK_AREA, MARK_SIDE = 0.035, 0.32
"""Largest area (eye distances squared) and side (eye distances) of an island that may be a mark on the skin."""
SURROUNDED = 0.85
"""Share of an island's surroundings that must be skin."""


def with_marks(skin: FloatImage, landmarks: NDArray[np.floating]) -> FloatImage:
    """Skin (H, W) in [0, 1] with small islands filled in: a red pimple or a dark mole has no skin's colour, and yet is
    what may be edited. Islands that are large, long or beside anything protected (nostrils, lashes, beard, hair) stay
    out.
    """
    points = np.asarray(landmarks, np.float32)
    extent, unit = Extent(skin.shape[1], skin.shape[0]), eye_distance(points)
    inside = (_fill([_oval(points)], extent) > 0.5) & (protected_map(points, extent) < 0.5)
    count, labels, stats, _ = cv2.connectedComponentsWithStats((inside & (skin < 0.5)).astype(np.uint8), connectivity=8)
    marks = np.zeros(skin.shape, np.float32)
    for i in range(1, count):
        x, y, width, height, area = (int(v) for v in stats[i])
        if area > MARK_AREA * unit**2 or max(width, height) > MARK_SIDE * unit:
            continue
        reach = max(round(0.03 * unit), 2)
        window = np.s_[max(y - reach, 0) : y + height + reach, max(x - reach, 0) : x + width + reach]
        own = (labels[window] == i).astype(np.uint8)
        ring = cv2.dilate(own, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > own
        if float((skin[window] > 0.5)[ring].mean()) >= SURROUNDED:
            marks[window][cv2.dilate(own, np.ones((3, 3), np.uint8)) > 0] = 1
    return np.maximum(skin, cv2.GaussianBlur(marks, (0, 0), max(0.01 * unit, 0.5)) * (inside > 0))


def _likelihood(image: FloatImage, sure: NDArray[np.bool_], face: NDArray[np.bool_], unit: float) -> FloatImage:
    """How far each pixel's colour is from this face's surely-skin pixels, as a soft yes or no."""
    if sure.sum() < 20:
        return np.ones(image.shape[:2], np.float32)
    log = np.log(image + 0.02)
    luma = (log[..., 0] + log[..., 1] + log[..., 2]) / np.float32(3)  # mean(2), ten times as fast
    red, blue = log[..., 0] - log[..., 1], log[..., 1] - log[..., 2]
    distance = np.zeros(luma.shape, np.float32)
    for values, least, most in ((red, 0.10, 0.3), (blue, 0.12, 0.35)):
        centre, spread = _robust(values[sure])
        distance += ((values - centre) / np.clip(2.5 * spread, least, most)) ** 2
    centre, spread = _robust(luma[sure])
    dark = (centre - luma) / np.clip(3.0 * spread, 0.45, 0.9)
    distance += np.where(dark > 0, dark, 0.4 * dark) ** 2
    # hair and rims are dark against the skin beside them even where the whole side is in shade
    near = (face & (distance < 1.5)).astype(np.float32)
    weight = cv2.GaussianBlur(near, (0, 0), 0.2 * unit) + 1e-3
    beside = cv2.GaussianBlur(near * luma, (0, 0), 0.2 * unit) / weight
    fall = np.where(weight > 0.15, (beside - luma) / 0.5, dark)
    distance += np.maximum(fall, 0) ** 2
    return (1 / (1 + np.exp(((distance - 2.2) * 2.2).clip(-30, 30)))).astype(np.float32)


def _robust(values: FloatImage) -> tuple[float, float]:
    median = float(np.median(values))
    return median, 1.4826 * float(np.median(np.abs(values - median)))


def _oval(points: FloatImage) -> FloatImage:
    """The face's outline (n, 2) with its top raised to the hairline."""
    outline = points[list(OVAL)].copy()
    up = (points[10] - points[152]) / max(float(np.hypot(*(points[10] - points[152]))), 1e-6)
    brow_to_top = float(np.hypot(*(points[10] - points[9])))
    middle = points[10]
    half = max(float(np.hypot(*(points[21] - points[251]))) / 2, 1e-6)
    for i, vertex in enumerate(OVAL):
        if vertex in UPPER_OVAL:
            off = float(np.hypot(*(points[vertex] - middle))) / half
            outline[i] += up * brow_to_top * 0.3 * max(1 - off**2 * 0.8, 0.0)
    return outline


def _forehead(points: FloatImage) -> FloatImage:
    oval = dict(zip(OVAL, _oval(points), strict=True))
    return np.concatenate([np.array([oval[v] for v in UPPER_OVAL]), points[list(FOREHEAD_BELOW)]])


def _grid(extent: Extent) -> list[FloatImage]:
    """The nine cells of the paper's 3x3 grid, each soft over a fiftieth of the frame."""
    y = (np.arange(extent.height, dtype=np.float32) + 0.5) / extent.height * 3
    x = (np.arange(extent.width, dtype=np.float32) + 0.5) / extent.width * 3
    rows, columns = _bands(y), _bands(x)
    return [np.outer(rows[i // 3], columns[i % 3]).astype(np.float32) for i in range(len(GRID_REGIONS))]


def _bands(t: FloatImage) -> list[FloatImage]:
    edges = [1 / (1 + np.exp((-(t - e) / 0.02).clip(-30, 30))) for e in (1.0, 2.0)]
    return [1 - edges[0], edges[0] * (1 - edges[1]), edges[1]]


def _fill(polygons: list[FloatImage], extent: Extent) -> FloatImage:
    out = np.zeros((extent.height, extent.width), np.float32)
    for polygon in polygons:
        cv2.fillPoly(out, [_fixed(polygon)], 1.0, cv2.LINE_AA, 4)
    return out


def _fixed(points: FloatImage) -> NDArray[np.int32]:
    """Sixteenths of a px, centres at half-integers, as cv2 draws them."""
    return np.rint((np.asarray(points) - 0.5) * 16).astype(np.int32)


assert len(NAMED_REGIONS) + len(GRID_REGIONS) == len(REGIONS)
