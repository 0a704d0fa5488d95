"""Before/after pairs as training samples: an index of pairs is read where a painted cache would be (ours)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.errors import BadData
from retouchgpt.core.geometry import face_alignment
from retouchgpt.photo.composite import to_model

from .cache import SIDE, CachedSample, PaintedCache
from .canvas import Canvas
from .differences import DifferenceClassifier, components
from .native import GLOSS, LID, MARK, RED, native_candidates
from .pair_index import Image, Mesh, face_mesh, read_index

RIM = 3.0
"""Px around a component that are its faint rim, at SIDE."""
SUFFIX = ".jsonl"


def samples(data: Path) -> PaintedCache | PairSamples:
    """What a trainer reads: the index of pairs that a file is, or the painted cache that a folder is."""
    return PairSamples(data) if data.suffix == SUFFIX else PaintedCache(data)


class PairSamples:
    """The pairs of an index, aligned at 512 px; picklable, random access. Raises BadData on an index without pairs.

    What the retoucher changed is split by the kind of each component, as the painter's marks are, so that any kind can
    be asked for by itself. What no kind could be given to stays in picture and target alike, and no map is taught
    there, nor where the retouched face still shows what may be an imperfection.
    """

    def __init__(self, index: Path, mesh: Mesh = face_mesh, classifier: DifferenceClassifier | None = None) -> None:
        self.pairs = [entry.pair for entry in read_index(index).entries]
        if not self.pairs:
            raise BadData(f"{index} holds no pair that can be trained on.")
        self.mesh, self.classifier = mesh, classifier or DifferenceClassifier.load()

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, i: int) -> CachedSample:
        """Raises BadData naming a pair that has changed since it was indexed."""
        pair = self.pairs[i]
        before, after = pair.read()
        found = self.mesh(before)
        if found is None:
            raise BadData(f"{pair.before} shows no face.")
        alignment = face_alignment(found, SIDE)
        landmarks = alignment.apply(found).astype(np.float32)
        before, after = (np.rint(to_model(x, alignment, SIDE) * 255).astype(np.uint8) for x in (before, after))
        areas, unnamed = self._areas(before, after, landmarks)
        change = before.astype(np.int16) - after.astype(np.int16)
        ignore = native_candidates(Canvas(after, landmarks)) | np.where(unnamed, MARK | RED | LID | GLOSS, 0)
        return CachedSample(
            image=before,
            deltas={kind: change * area[..., None] for kind, area in areas.items()},
            alphas={kind: np.where(area, np.uint8(255), np.uint8(0)) for kind, area in areas.items()},
            ignore=ignore.astype(np.uint8),
            landmarks=landmarks,
            face_id=pair.name,
            scale=1.0,
        )

    def _areas(
        self, before: Image, after: Image, landmarks: NDArray[np.float32]
    ) -> tuple[dict[str, NDArray[np.bool_]], NDArray[np.bool_]]:
        """Where each kind was retouched, (H, W), and where something was that has no kind; none overlap."""
        found, labels = components(before, after, landmarks)
        none = np.zeros(labels.shape, bool)
        if not found:
            return {}, none
        nearest = _nearest(labels)
        areas: dict[str, NDArray[np.bool_]] = {}
        for component, kind in zip(found, self.classifier.kinds(found), strict=True):
            if kind is not None:
                areas[kind] = areas.get(kind, none) | (nearest == component.label)
        return areas, (nearest > 0) & ~np.logical_or.reduce([none, *areas.values()])


def _nearest(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Every label grown by RIM px, up to halfway to its neighbours; 0 elsewhere."""
    away, owner = cv2.distanceTransformWithLabels(
        (labels == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_owner = np.zeros(int(owner.max()) + 1, np.int32)
    inside = labels > 0
    of_owner[owner[inside]] = labels[inside]
    return np.where(away <= RIM, of_owner[owner], 0)
