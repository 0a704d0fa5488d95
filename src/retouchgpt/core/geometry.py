"""Extents, boxes and the alignment of a face as values.

Frames: *photo* is the upright photo at native size, *model* the square face crop that the network reads. A point (x, y)
is in px, pixel centres at half-integers (x = 0.5 is the centre of the first column).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]

RIGHT_EYE_CONTOUR = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE_CONTOUR = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
MOUTH_CORNERS = (61, 291)
"""Indices in mediapipe's face mesh; right and left here are the subject's, as in that mesh."""


class Extent(NamedTuple):
    """Width and height in px."""

    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def megapixels(self) -> float:
        return self.pixels / 1e6


class Box(NamedTuple):
    """Half-open pixel box [x0, x1) x [y0, y1) in the photo frame."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def extent(self) -> Extent:
        return Extent(max(0, self.x1 - self.x0), max(0, self.y1 - self.y0))

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices, for an array (H, W, ...)."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def clipped(self, to: Extent) -> Box:
        x0, y0 = min(max(self.x0, 0), to.width), min(max(self.y0, 0), to.height)
        return Box(x0, y0, max(x0, min(self.x1, to.width)), max(y0, min(self.y1, to.height)))

    def grown(self, margin: int) -> Box:
        return Box(self.x0 - margin, self.y0 - margin, self.x1 + margin, self.y1 + margin)


class Similarity(NamedTuple):
    """x' = scale * R(angle) x + shift: a map between frames that keeps shapes. `angle` in radians, shift in px."""

    scale: float
    angle: float
    dx: float
    dy: float

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(2, 3) matrix for column points."""
        c, s = self.scale * np.cos(self.angle), self.scale * np.sin(self.angle)
        return np.array([[c, -s, self.dx], [s, c, self.dy]], np.float64)

    @property
    def centre_matrix(self) -> NDArray[np.float64]:
        """(2, 3) matrix for libraries that put pixel centres at integers (OpenCV's warpAffine, mapping forward)."""
        m = self.matrix.copy()
        m[:, 2] += m[:, :2] @ np.array([0.5, 0.5]) - 0.5
        return m

    def apply(self, points: FloatArray) -> NDArray[np.float64]:
        """Map points (N, 2)."""
        m = self.matrix
        return np.asarray(points, np.float64) @ m[:, :2].T + m[:, 2]

    def inverse(self) -> Similarity:
        inverse = Similarity(1.0 / self.scale, -self.angle, 0.0, 0.0)
        x, y = inverse.apply(np.array([[self.dx, self.dy]]))[0]
        return inverse._replace(dx=-float(x), dy=-float(y))


def face_alignment(landmarks: FloatArray, size: int) -> Similarity:
    """Photo -> model frame by the FFHQ template (Karras et al., 2019).

    landmarks: (478, 2) face mesh in photo px. size: side of the square model crop in px.
    """
    points = np.asarray(landmarks, np.float64)
    right, left = points[list(RIGHT_EYE_CONTOUR)].mean(0), points[list(LEFT_EYE_CONTOUR)].mean(0)
    mouth = points[list(MOUTH_CORNERS)].mean(0)
    eyes = (right + left) / 2
    eye_to_eye, eye_to_mouth = left - right, mouth - eyes
    axis = eye_to_eye - np.array([-eye_to_mouth[1], eye_to_mouth[0]])
    axis /= max(float(np.hypot(*axis)), 1e-9)
    half_side = max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8)
    centre = eyes + eye_to_mouth * 0.1
    scale, angle = size / (2 * half_side), -float(np.arctan2(axis[1], axis[0]))
    turn = Similarity(scale, angle, 0.0, 0.0)
    x, y = turn.apply(centre[None])[0]
    return turn._replace(dx=size / 2 - float(x), dy=size / 2 - float(y))
