"""One face over time: understood on key frames, its correction carried to the frames between along the skin's motion.

All maps are in the face's aligned model frame. At each key frame the fresh look is blended with what was carried there,
in the heat maps (what is seen) and in the correction, so that neither jumps from look to look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from retouchgpt.core.facts import Facts, Finding, Outcome
from retouchgpt.core.geometry import Extent, Similarity, face_alignment
from retouchgpt.core.plan import EditPlan
from retouchgpt.model.imperfection import Selection
from retouchgpt.model.llm_embedding import DialogueTokens
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.photo.composite import to_model
from retouchgpt.photo.faces import Face
from retouchgpt.photo.motion import Flow, View, flow, view
from retouchgpt.photo.regions import protected_map

from .face import LookedAt, Repair, look, repair, select
from .session import facts_of

KEY = 10
"""Frames from one look to the next."""
KEPT = 0.6
"""Weight of what was carried over KEY frames to a key frame against the fresh look there; over fewer it weighs more."""
FADE = 6
"""Frames over which a correction comes or goes with a face that enters or is lost."""
SOFT = 0.6
"""Blur of a fresh correction in model px: what is finer is the frame's own grain, which must not be carried along."""
LEAST = 0.25 / 255
"""A change below this is none: a quarter of an 8-bit level."""

FloatImage = NDArray[Any]
Chooser = Callable[[LookedAt, int], Selection]
"""Where to edit a face in the frame of this number; by a plan, or in the bench by the true mask."""


@dataclass(frozen=True)
class Key:
    """A face at a key frame, number `index`. correction: (S, S, 3), mask: (S, S), heat: (12, h, w), all float32 in the
    model frame."""

    index: int
    view: View
    correction: NDArray[np.float32]
    mask: NDArray[np.float32]
    heat: NDArray[np.float32]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Itself as arrays that a file can hold."""
        return {
            "index": np.array(self.index), "grey": self.view.grey, "light": self.view.light,
            "correction": self.correction, "mask": self.mask, "heat": self.heat,
        }  # fmt: skip

    @classmethod
    def of(cls, arrays: dict[str, NDArray[Any]]) -> Key:
        view_ = View(arrays["grey"], arrays["light"])
        return cls(int(arrays["index"]), view_, arrays["correction"], arrays["mask"], arrays["heat"])


class Placed(NamedTuple):
    """A correction for one frame, as composite.paste_all takes it."""

    correction: NDArray[np.float32]
    mask: NDArray[np.float32]
    alignment: Similarity


@dataclass(frozen=True)
class Looker:
    """Looks at faces on key frames. choose: where to edit. plan: what the answer is about."""

    network: RetouchNetwork
    choose: Chooser
    plan: EditPlan
    tokens: DialogueTokens | None = None
    kept: float = KEPT

    @property
    def size(self) -> int:
        return self.network.config.image_size

    def key(self, pixels: NDArray[Any], face: Face, index: int, before: Key | None) -> tuple[Key, Facts, int]:
        """A key at a frame of this number, blended with the one before; what may be said of it; edited map px.

        pixels: (H, W, 3) RGB as stored.
        """
        seen = look(self.network, pixels, face)
        now = view(seen.crop[0].permute(1, 2, 0).numpy())
        back = None if before is None else flow(now, before.view)
        kept = 0.0 if before is None else self.kept ** ((index - before.index) / KEY)
        seen = _remembering(seen, before, back, kept)
        fixed = repair(self.network, seen, self.choose(seen, index), self.tokens)
        facts = facts_of(seen, fixed, self.plan)
        correction, mask = _blended(fixed, seen, before, back, kept)
        area = 0 if fixed is None else int(fixed.changed.sum())
        return Key(index, now, correction, mask, seen.heat[0].numpy()), facts, area


def _remembering(seen: LookedAt, before: Key | None, back: Flow | None, kept: float) -> LookedAt:
    """What is seen, steadied by what was seen at the key before."""
    if before is None or back is None:
        return seen
    old = back.carry_stack(before.heat)
    weight = kept * back.trusted(old.shape[-1])
    heat = weight * old + (1 - weight) * seen.heat[0].numpy()
    return replace(seen, heat=torch.from_numpy(heat)[None].to(seen.heat.dtype))


def by_plan(network: RetouchNetwork, plan: EditPlan) -> Chooser:
    """Choose where a plan edits."""
    return lambda seen, index: select(network, seen, plan, None)


def _blended(
    fixed: Repair | None, seen: LookedAt, before: Key | None, back: Flow | None, kept: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    size = seen.allowed.shape[0]
    fresh = np.zeros((size, size, 3), np.float32) if fixed is None else _softened(fixed, seen)
    mask = np.zeros((size, size), np.float32) if fixed is None else fixed.mask
    if before is None or back is None:
        return fresh, mask
    weight = kept * back.trusted(size)
    old, there = back.lit(back.carry(before.correction, cv2.INTER_CUBIC)), back.carry(before.mask)
    allowed = (seen.allowed > 0).astype(np.float32)
    correction = weight[..., None] * old + (1 - weight)[..., None] * fresh
    return correction * allowed[..., None], (weight * there + (1 - weight) * mask) * allowed


def _softened(fixed: Repair, seen: LookedAt) -> NDArray[np.float32]:
    soft = cv2.GaussianBlur(fixed.correction, (0, 0), SOFT)
    return soft * (seen.allowed > 0).astype(np.float32)[..., None]


def between(
    pixels: NDArray[Any], face: Face, size: int, left: Key | None, right: Key | None, along: float, presence: float
) -> Placed | None:
    """The correction of a frame that lies `along` (0 to 1) from the left key to the right one; None for no change.

    presence: in [0, 1], multiplies it. Where neither key's motion can be trusted (a hand before the face) nothing is
    corrected; where only one can, that one counts.
    """
    alignment = face_alignment(face.landmarks, size)
    now = view(to_model(pixels, alignment, size))
    total = np.zeros((size, size), np.float32)
    correction, mask = np.zeros((size, size, 3), np.float32), np.zeros((size, size), np.float32)
    for key, share in ((left, 1 - along if right is not None else 1.0), (right, along if left is not None else 1.0)):
        if key is None or share == 0 or not key.mask.any():
            total += 0 if key is None else share
            continue
        back = flow(now, key.view)
        weight = share * back.trusted(size)
        correction += weight[..., None] * back.lit(back.carry(key.correction, cv2.INTER_CUBIC))
        mask += weight * back.carry(key.mask)
        total += weight
    strength = presence * np.minimum(1, 2 * total) / np.maximum(total, 1e-4) * _free(alignment, face, size)
    correction *= strength[..., None]
    mask = np.where(np.abs(correction).max(2) > LEAST, np.clip(mask * strength, 0, 1), 0).astype(np.float32)
    return Placed(correction, mask, alignment) if mask.any() else None


def at_key(face: Face, size: int, key: Key, presence: float) -> Placed | None:
    """The correction of a key frame itself."""
    alignment = face_alignment(face.landmarks, size)
    strength = presence * _free(alignment, face, size)
    correction = key.correction * strength[..., None]
    mask = np.where(np.abs(correction).max(2) > LEAST, key.mask * strength, 0).astype(np.float32)
    return Placed(correction, mask, alignment) if mask.any() else None


def _free(alignment: Similarity, face: Face, size: int) -> NDArray[np.float32]:
    """1 where nothing is protected in this very frame (eyes move and lips open), 0 on what is, soft between."""
    protected = protected_map(alignment.apply(face.landmarks).astype(np.float32), Extent(size, size))
    near = cv2.dilate(protected, np.ones((3, 3), np.uint8))
    return (1 - near / 0.5).clip(0, 1).astype(np.float32)


def facts_from_json(data: dict[str, Any]) -> Facts:
    """Facts as Facts.to_json wrote them."""
    rows: dict[str, Any] = dict(data)
    for name in ("found", "kept"):
        rows[name] = tuple(Finding(**f) for f in data[name])
    rows["edited"] = tuple(Outcome(**o) for o in data["edited"])
    rows["about"] = tuple((str(k), str(r)) for k, r in data["about"])
    return Facts(**rows)
