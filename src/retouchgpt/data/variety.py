"""Faces made into faces of nobody before they are painted: more skins than there are photos (ours).

A face's shape is bent, its skin gets another tone, its light another direction and unevenness, its pores another depth:
paint then lies on skin that no photo of the folder shows. All but the shape happens in log linear light, where tone and
light are sums.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import from_log, to_log

FloatImage = NDArray[Any]
OTHER = "~"
"""Ends the id of a face whose shape was changed: no list that places marks on the photo holds for it."""
TURN, STRETCH, SHEAR = 0.10, 0.06, 0.04
"""Standard deviations of a turn in radians, of the log of each axis' scale, and of a shear."""
BENDS, BEND = 5, 0.011
"""Cells a side of the grid that bends the shape, and standard deviation of a bend over the picture's side."""
MELANIN = np.array((0.77, 1.0, 1.18), np.float32)
"""How much melanin darkens red, green and blue, in log linear light, to green: about as dark skin lies from light."""
BLOOD = np.array((0.0, 1.0, 0.5), np.float32)
"""The same of blood."""
FLUSH = 0.05
"""Standard deviation of how much more or less of it there is."""
TONES = (0.05, 0.45)
"""Linear green light of the skin between which a new tone lies."""
TOWARDS = 0.8
"""Most of the way to it."""
DARKER, LIGHTER = -1.2, 0.5
"""Most change of tone: lighter skin would show the noise of darker one."""
SLOPE = 0.15
"""Standard deviation of the light's change over half the picture."""
UNEVEN = ((6, 0.05), (16, 0.02))
"""Cells a side of uneven light, and its standard deviation."""
DEPTH, FINE = 0.25, 2.0
"""Standard deviation of the log of how much deeper pores are; finer than so many px of a 512 px face."""
CHEEKS_AND_NOSE = (50, 280, 4, 101, 330)
"""Landmarks around which the skin's tone is read."""


def vary(
    image: NDArray[np.uint8], landmarks: NDArray[np.floating], rng: np.random.Generator, *, shape: bool = True
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Another face from a face. image: (H, W, 3) RGB; landmarks: (478, 2) px. shape: whether it may be bent, too; where
    marks of the photo are placed by its landmarks, it may not. What is bent in from beyond the edge is mirrored."""
    points = np.asarray(landmarks, np.float32)
    if shape:
        image, points = _bent(image, points, rng)
    log = to_log(image)
    height, width = log.shape[:2]
    log = log + _tone(log, points, rng) + _light(height, width, rng)[..., None]
    deeper = float(np.exp(np.clip(rng.normal(0, DEPTH), -0.5, 0.5)))
    log += (deeper - 1) * (log - cv2.GaussianBlur(log, (0, 0), FINE * max(height / 512, 0.5)))
    return cv2.convertScaleAbs(from_log(log), alpha=255), points


def _bent(
    image: NDArray[np.uint8], points: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    height, width = image.shape[:2]
    turn, shear = rng.normal(0, (TURN, SHEAR))
    stretch = np.diag(np.exp(rng.normal(0, STRETCH, 2)))
    spin = np.array(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))))
    matrix = (spin @ stretch @ np.array(((1, shear), (0, 1)))).astype(np.float32)
    grid = rng.normal(0, BEND * max(height, width), (BENDS, BENDS, 2)).astype(np.float32)
    bend = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    middle = np.array((width, height), np.float32) / 2
    at = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32) - middle
    source = at @ matrix.T + middle + bend
    out = cv2.remap(image, source, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    # where a point comes to lie is found by going against the bend, which changes slowly
    back, moved = np.linalg.inv(matrix).T.astype(np.float32), points
    for _ in range(4):
        columns, rows = (moved[:, i].clip(0, n - 1).astype(np.intp) for i, n in enumerate((width, height)))
        moved = (points - bend[rows, columns] - middle) @ back + middle
    return np.asarray(out, np.uint8), moved.astype(np.float32)


def _tone(log: FloatImage, points: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """What another tone adds, (3,)."""
    columns, rows = (
        points[list(CHEEKS_AND_NOSE), i].clip(0, n - 1).astype(np.intp) for i, n in enumerate(log.shape[1::-1])
    )
    own = float(np.median(cv2.blur(log, (9, 9))[rows, columns, 1]))
    wanted = rng.uniform(*np.log(TONES))
    change = np.clip((wanted - own) * rng.uniform(0, TOWARDS), DARKER, LIGHTER)
    return np.float32(change) * MELANIN - np.float32(rng.normal(0, FLUSH)) * BLOOD


def _light(height: int, width: int, rng: np.random.Generator) -> FloatImage:
    """What another light adds, (H, W): a slope and two sizes of unevenness."""
    slope = rng.normal(0, SLOPE, 2)
    across, down = np.linspace(-1, 1, width), np.linspace(-1, 1, height)
    out = (slope[0] * across[None] + slope[1] * down[:, None]).astype(np.float32)
    for cells, amount in UNEVEN:
        grid = rng.normal(0, amount, (cells, cells)).astype(np.float32)
        out += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return out
