"""The bench's cases: painted validation faces, a plan for each, and the picture that the plan asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.errors import BadData
from retouchgpt.core.plan import Edit, EditPlan
from retouchgpt.data.cache import SIDE, Faces
from retouchgpt.data.canvas import Mark
from retouchgpt.data.painter import VALIDATION, PaintedFace, paint

from .metrics import Image, Mask, tone_group, typology_angle, visible

SEED = 4_000_000
"""Training seeds stay below; the validation ranges differ from training's as well."""
PAINTINGS = 3
"""Paintings of each face."""
PORTRAIT = 768
"""Side in px of a face that is judged at native size."""


@dataclass(frozen=True)
class Painted:
    """One painted face. skin: (H, W), where it may be edited. tone: ITA group of the unpainted face. age: in years,
    None where the folder's index does not tell it."""

    face_id: str
    painted: PaintedFace
    skin: Mask
    tone: str
    age: float | None = None


@dataclass(frozen=True)
class Case:
    """One request. target: what it asks for. asked: where the target visibly differs. unasked: (H, W, 3), levels that
    the other marks add; there: where they are visible and nothing is asked. alphas: kind -> (H, W) true soft mask."""

    face: Painted
    plan: EditPlan
    kind: str
    target: Image
    asked: Mask
    unasked: NDArray[np.float32]
    there: Mask
    alphas: dict[str, NDArray[np.float32]]

    @property
    def image(self) -> Image:
        return self.face.painted.image


def painted_faces(
    folder: Path, *, limit: int | None = None, paintings: int = PAINTINGS, offset: int = 0, side: int = SIDE
) -> Iterator[Painted]:
    """Faces of a folder at `side` px, each painted several times; `limit` spreads over the whole folder.

    A face is enlarged to the model's size where it is smaller, but not to more: other sides take the faces that have
    so many px themselves, and BadData says where there is none.
    """
    source = Faces(folder)
    large = [i for i, entry in enumerate(source.index) if side <= SIDE or entry["size"] >= side]
    if not large:
        raise BadData(f"{folder} has no face of {side} px or more; native size needs some.")
    for j in np.linspace(0, len(large) - 1, min(len(large), limit or len(large))).round().astype(int).tolist():
        i = large[j]
        name, image, landmarks = source.read(i)
        way = cv2.INTER_AREA if image.shape[0] > side else cv2.INTER_CUBIC
        landmarks = landmarks * (side / image.shape[0])
        image = cv2.resize(image, (side, side), interpolation=way)
        for k in range(paintings):
            painted = paint(image, landmarks, SEED + offset + i * 100 + k, VALIDATION)
            skin = painted.canvas.skin > 0.5
            age = source.index[i].get("age")
            yield Painted(name, painted, skin, tone_group(typology_angle(image, skin)), age)


def cases(face: Painted) -> Iterator[Case]:
    """One case a painted kind: everywhere, or, for a quarter of them, in one region only."""
    kinds = sorted({m.kind for m in face.painted.marks})
    rng = np.random.default_rng((SEED, len(face.painted.marks), hash_of(face)))
    for kind in kinds:
        own = [m for m in face.painted.marks if m.kind == kind]
        region = "face"
        if rng.random() < 0.25:
            region = str(rng.choice(sorted({m.region for m in own})))
        case = make_case(face, kind, region)
        if case.asked.sum() >= 12:
            yield case


def hash_of(face: Painted) -> int:
    """A small number that is the same in every run."""
    return int(face.painted.image[::37, ::41].astype(np.int64).sum() % 1_000_003)


def make_case(face: Painted, kind: str, region: str) -> Case:
    """The case of one kind in one region (`face`: wherever it is)."""

    def wanted(mark: Mark) -> bool:
        return mark.kind == kind and region in ("face", mark.region)

    painted = face.painted
    target = painted.target(wanted)
    unasked = painted.difference(lambda m: not wanted(m))
    asked = visible(painted.image, target)
    there = (np.abs(unasked).max(2) > 2) & ~cv2.dilate(asked.astype(np.uint8), np.ones((3, 3))).astype(bool)
    alphas = {kind: painted.alpha(wanted)}
    return Case(face, EditPlan("retouch", (Edit(kind, region),)), kind, target, asked, unasked, there, alphas)


Answer = tuple[Image, NDArray[Any]]
"""A picture and the method's own mask, (H, W), 0 where it says that it changed nothing."""
Method = Callable[[Case], Answer]
