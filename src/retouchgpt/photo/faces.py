"""Faces and their landmarks, by mediapipe's models that travel in its wheel, behind one small protocol."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.errors import FaceTooSmall, NoFaceFound, NoSuchFace
from retouchgpt.core.geometry import Box, Extent
from retouchgpt.core.people import who_is_meant

from .quiet import quiet

LEAST_FACE_PX = 60.0
"""Width of a face below which skin cannot be judged."""
MESH_SIDE = 384
LOOK_SIDE = 1024
"""Photos are scaled to this for the first look; the mesh is read off the native pixels."""


@dataclass(frozen=True)
class Face:
    """One face. index: from 1, by falling size. landmarks: (478, 2) face mesh, photo px. box: around the mesh.
    width_px: cheek to cheek."""

    index: int
    landmarks: NDArray[np.float32]
    box: Box
    width_px: float


class FaceFinder(Protocol):
    """Anything that finds faces."""

    def find(self, rgb: NDArray[np.uint8]) -> list[Face]:
        """Faces of an upright RGB photo, uint8 (H, W, 3), largest first; empty when there is none."""
        ...


class MediapipeFaces:
    """mediapipe's full-range detector and refined face mesh. One object serves many photos; calls are serialised."""

    def __init__(self, confidence: float = 0.5) -> None:
        self._lock = threading.Lock()
        with quiet():
            import mediapipe

            solutions = mediapipe.solutions
            self._detector = solutions.face_detection.FaceDetection(
                model_selection=1, min_detection_confidence=confidence
            )
            self._mesh = solutions.face_mesh.FaceMesh(
                static_image_mode=True, refine_landmarks=True, max_num_faces=1, min_detection_confidence=0.3
            )

    def find(self, rgb: NDArray[np.uint8]) -> list[Face]:
        with self._lock, quiet():
            seeds = self._look(rgb)
            meshes = [m for m in (self._landmarks(rgb, seed) for seed in seeds) if m is not None]
        return number(meshes, Extent(rgb.shape[1], rgb.shape[0]))

    def _look(self, rgb: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Detections as (6, 2) key points in photo px: right eye, left eye, nose, mouth, right ear, left ear."""
        scale = min(1.0, LOOK_SIDE / max(rgb.shape[:2]))
        whole = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
        found = self._detect(whole)
        widest = max((_spread(f) for f in found), default=0.0)
        if widest < 0.1 * max(whole.shape[:2]):  # small faces, or none: look closer, piece by piece
            fine = min(1.0, 3 * LOOK_SIDE / max(rgb.shape[:2]))
            large = cv2.resize(rgb, None, fx=fine, fy=fine, interpolation=cv2.INTER_AREA) if fine < 1 else rgb
            found = [f * (fine / scale) for f in found]
            for x, y, piece in _pieces(large):
                found += [f + np.array((x, y), np.float32) for f in self._detect(piece)]
            scale = fine
        if not found:
            found = self._tilted(whole)
            scale = whole.shape[1] / rgb.shape[1]
        return _distinct([f / scale for f in found])

    def _tilted(self, rgb: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Detections in the picture turned by 45 and 90 degrees either way, in its own px."""
        height, width = rgb.shape[:2]
        side = int(np.hypot(height, width)) + 1
        for angle in (-40, 40, -90, 90):
            matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
            matrix[:, 2] += (side - width) / 2, (side - height) / 2
            found = self._detect(cv2.warpAffine(rgb, matrix, (side, side)))
            if found:
                back = cv2.invertAffineTransform(matrix)
                return [(f @ back[:, :2].T + back[:, 2]).astype(np.float32) for f in found]
        return []

    def _detect(self, rgb: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        result = self._detector.process(np.ascontiguousarray(rgb)).detections or []
        size = np.array((rgb.shape[1], rgb.shape[0]), np.float32)
        return [np.array([(k.x, k.y) for k in d.location_data.relative_keypoints], np.float32) * size for d in result]

    def _landmarks(self, rgb: NDArray[np.uint8], seed: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """The mesh, read off a crop that is turned upright by the eyes."""
        right, left, _, mouth = seed[:4]
        eyes = (right + left) / 2
        axis = left - right
        side = 4.2 * max(float(np.hypot(*axis)), 1.1 * float(np.hypot(*(mouth - eyes))))
        angle = float(np.arctan2(axis[1], axis[0]))
        scale = MESH_SIDE / max(side, 1.0)
        c, s = scale * np.cos(angle), scale * np.sin(angle)
        centre = eyes * 0.55 + mouth * 0.45
        matrix = np.array([[c, s, 0], [-s, c, 0]], np.float64)
        matrix[:, 2] = MESH_SIDE / 2 - matrix[:, :2] @ centre
        crop = _warp_down(rgb, matrix, scale)
        result: Any = self._mesh.process(crop).multi_face_landmarks
        if not result:
            return None
        points = np.array([(p.x, p.y) for p in result[0].landmark], np.float64) * MESH_SIDE
        back = cv2.invertAffineTransform(matrix)
        return (points @ back[:, :2].T + back[:, 2]).astype(np.float32)


def _warp_down(rgb: NDArray[np.uint8], matrix: NDArray[np.float64], scale: float) -> NDArray[np.uint8]:
    """Warp a photo to MESH_SIDE, shrinking first in whole steps so that a large face does not alias."""
    step = 1
    while scale * step * 2 <= 1.0:
        step *= 2
    if step > 1:
        corners = np.array([[0, 0], [MESH_SIDE, 0], [0, MESH_SIDE], [MESH_SIDE, MESH_SIDE]], np.float64)
        back = cv2.invertAffineTransform(matrix)
        around = corners @ back[:, :2].T + back[:, 2]
        x0, y0 = np.maximum(np.floor(around.min(0)).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(around.max(0)).astype(int), (rgb.shape[1], rgb.shape[0]))
        if x1 - x0 < step or y1 - y0 < step:
            return np.zeros((MESH_SIDE, MESH_SIDE, 3), np.uint8)
        piece = rgb[y0:y1, x0:x1]
        small = cv2.resize(piece, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
        matrix = matrix.copy()
        matrix[:, 2] += matrix[:, :2] @ np.array((x0, y0))
        matrix[:, :2] *= step
        rgb = small
    return cv2.warpAffine(rgb, matrix, (MESH_SIDE, MESH_SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _pieces(rgb: NDArray[np.uint8]) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
    """Overlapping squares of a large picture, cut off where a side of it is shorter, with their corners."""
    height, width = rgb.shape[:2]
    side = LOOK_SIDE // 2
    for y in _starts(height, min(side, height)):
        for x in _starts(width, min(side, width)):
            yield x, y, rgb[y : y + side, x : x + side]


def _starts(length: int, side: int) -> list[int]:
    count = max(int(np.ceil((length - side) / (side * 0.6))), 0) + 1
    return [round(i * (length - side) / max(count - 1, 1)) for i in range(count)]


def _spread(seed: NDArray[np.float32]) -> float:
    """Ear to ear of a detection."""
    return float(np.hypot(*(seed[5] - seed[4])))


def _distinct(seeds: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Detections of one face merged: the first of those whose middles lie within half a face."""
    kept: list[NDArray[np.float32]] = []
    for seed in sorted(seeds, key=_spread, reverse=True):
        reach = 0.5 * max(_spread(seed), 1.0)
        if all(np.hypot(*(seed.mean(0) - k.mean(0))) > reach for k in kept):
            kept.append(seed)
    return kept


def number(meshes: list[NDArray[np.float32]], extent: Extent) -> list[Face]:
    """Meshes -> faces numbered from 1 by falling size; two meshes of one face become one."""
    faces: list[Face] = []
    for mesh in meshes:
        low, high = mesh.min(0), mesh.max(0)
        box = Box(int(low[0]), int(low[1]), int(np.ceil(high[0])), int(np.ceil(high[1]))).clipped(extent)
        faces.append(Face(0, mesh, box, float(np.hypot(*(mesh[454] - mesh[234])))))
    faces.sort(key=lambda f: -f.width_px)
    kept: list[Face] = []
    for face in faces:
        if all(np.hypot(*(face.landmarks[1] - k.landmarks[1])) > 0.4 * k.width_px for k in kept):
            kept.append(replace(face, index=len(kept) + 1))
    return kept


def choose(faces: list[Face], which: str = "largest") -> list[Face]:
    """`largest`, `all` (those large enough), a number from 1, or words: "the woman on the right" (see core.people).

    Raises NoFaceFound, FaceTooSmall (what was chosen is below LEAST_FACE_PX) or NoSuchFace.
    """
    if not faces:
        raise NoFaceFound
    if which == "all":
        chosen = [f for f in faces if f.width_px >= LEAST_FACE_PX] or faces[:1]
    elif which == "largest":
        chosen = faces[:1]
    else:
        chosen = [faces[i] for i in meant(which, faces)]
        if not chosen:
            raise NoSuchFace(which, len(faces))
    if chosen[0].width_px < LEAST_FACE_PX:
        raise FaceTooSmall(chosen[0].width_px, LEAST_FACE_PX)
    return chosen


def meant(words: str, faces: Sequence[Face]) -> tuple[int, ...]:
    """Places in the list of the faces that words name, see core.people.who_is_meant."""
    return who_is_meant(words, [(f.box.x0 + f.box.x1) / 2 for f in faces], [f.width_px for f in faces])


def numbered(pixels: NDArray[Any], faces: Sequence[Face], side: int = 1600) -> NDArray[np.uint8]:
    """The photo, shrunk to `side`, with each face framed and its number beside it: uint8 (h, w, 3)."""
    eight = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    scale = min(1.0, side / max(eight.shape[:2]))
    size = (max(round(eight.shape[1] * scale), 1), max(round(eight.shape[0] * scale), 1))
    out = np.ascontiguousarray(cv2.resize(eight, size, interpolation=cv2.INTER_AREA))
    for face in faces:
        corners = [tuple(round(v * scale) for v in corner) for corner in (face.box[:2], face.box[2:])]
        height = max(round(face.width_px * scale / 4), 12) / 22
        for colour, width in (((0, 0, 0), 4), ((255, 255, 255), 2)):
            cv2.rectangle(out, corners[0], corners[1], colour, width, cv2.LINE_AA)
            at = (corners[0][0] + 4, corners[0][1] + round(22 * height) + 4)
            cv2.putText(out, str(face.index), at, cv2.FONT_HERSHEY_SIMPLEX, height, colour, width, cv2.LINE_AA)
    return out


@lru_cache(maxsize=1)
def shared_finder() -> MediapipeFaces:
    """One finder a process: loading the models costs more than a photo."""
    return MediapipeFaces()
