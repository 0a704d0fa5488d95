"""One face of an open photo: looked at once, then edited by any plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retouchgpt.core.facts import Finding
from retouchgpt.core.geometry import Extent, Similarity, face_alignment
from retouchgpt.core.plan import EditPlan
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.model.image_encoder import ImageFeatures
from retouchgpt.model.imperfection import Selection
from retouchgpt.model.llm_embedding import DialogueTokens
from retouchgpt.model.network import Request, RetouchNetwork
from retouchgpt.model.precision import autocast
from retouchgpt.photo.colour import SRGB, Space, colourless
from retouchgpt.photo.composite import Placed, to_model
from retouchgpt.photo.coverings import coverings
from retouchgpt.photo.faces import Face
from retouchgpt.photo.regions import brow_tails, eye_distance, protected_map, region_maps, skin_map, with_marks

from .findings import find

OF_COLOUR = [IMPERFECTIONS.index("redness")]
"""Kinds that a black-and-white photo cannot show."""
BESIDE_HAIR, BESIDE_FRAME = 0.08, 0.04
"""Eye distances beside hair and a frame over which an edit fades in, so that a wide one has no edge there."""
UNSEEN = (1.5, 3.0)
"""8-bit levels of a full correction under which the largest change nearby is left undone, and from which it is done in
full. On sixteen training faces a seventh of the edited pixels stay as they are so, and 0.0015 less is removed."""
UNSEEN_REACH, UNSEEN_BLUR = 2, 1.0
"""Model px around a pixel among which that change is looked for, and by which it is blurred."""
LEAST_STRENGTH = 0.25
"""Of a weaker wish, by so much less may a change be faint."""


@dataclass(frozen=True)
class LookedAt:
    """A face and all that one look gives. crop: (1, 3, S, S), sRGB. heat: (1, 12, h, w), already 0 off the skin.
    regions: (1, 18, h, w). allowed: (S, S), skin that may be edited."""

    face: Face
    alignment: Similarity
    crop: Tensor
    features: ImageFeatures
    heat: Tensor
    regions: Tensor
    allowed: NDArray[np.float32]
    found: tuple[Finding, ...]

    @property
    def photo_px(self) -> float:
        """Photo pixels a pixel of the heat map, as an area."""
        return (self.crop.shape[-1] / self.heat.shape[-1] / self.alignment.scale) ** 2


class Repair(NamedTuple):
    """In the model frame: correction (S, S, 3) of sRGB numbers and mask (S, S), float32; kinds (12, h, w) as
    they were found; changed (h, w)."""

    correction: NDArray[np.float32]
    mask: NDArray[np.float32]
    kinds: NDArray[np.float32]
    changed: NDArray[np.bool_]


def fast(network: RetouchNetwork) -> torch.autocast:
    """bfloat16 where the processor computes in it, else a context that does nothing."""
    return autocast(next(network.parameters()).device.type)


@torch.inference_mode()
def look(network: RetouchNetwork, pixels: NDArray[Any], face: Face, space: Space = SRGB) -> LookedAt:
    """Align, encode, find. pixels: the photo (H, W, 3), uint8 or uint16, numbers of its own `space`."""
    size = network.config.image_size
    alignment = face_alignment(face.landmarks, size)
    image = space.to_srgb(to_model(pixels, alignment, size))
    landmarks = alignment.apply(face.landmarks).astype(np.float32)
    allowed = _allowed(image, landmarks, size)
    crop = torch.from_numpy(image.transpose(2, 0, 1).copy())[None].contiguous(memory_format=torch.channels_last)
    side = size // network.config.strides[0]
    regions = torch.from_numpy(region_maps(landmarks * (side / size), Extent(side, side)))[None]
    features, heat = _seen(network, crop, regions, allowed, grey=colourless(image))
    px = (size / side / alignment.scale) ** 2
    found = find(heat[0].numpy(), regions[0].numpy(), px)
    return LookedAt(face, alignment, crop, features, heat, regions, allowed, found)


def _seen(
    network: RetouchNetwork, crop: Tensor, regions: Tensor, allowed: NDArray[np.float32], *, grey: bool
) -> tuple[ImageFeatures, Tensor]:
    """Features of a crop, and its heat maps where the skin may be edited; of a grey photo without what takes colour."""
    side = regions.shape[-1]
    with fast(network):
        features, heat = network.look(crop, regions)
    heat = heat.float()
    if grey:
        heat[:, OF_COLOUR] = 0
    return features, heat * torch.from_numpy(cv2.resize(allowed, (side, side), interpolation=cv2.INTER_AREA))


@torch.inference_mode()
def look_again(network: RetouchNetwork, seen: LookedAt, crop: Tensor) -> LookedAt:
    """The same face after a step: another crop (1, 3, S, S), the same landmarks and skin."""
    grey = colourless(seen.crop[0].permute(1, 2, 0).numpy())
    features, heat = _seen(network, crop, seen.regions, seen.allowed, grey=grey)
    return replace(seen, crop=crop, features=features, heat=heat)


def _allowed(image: NDArray[np.float32], landmarks: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Skin that may be edited, (size, size): nothing protected, to the pixel."""
    half = size // 2
    small = skin_map(cv2.resize(image, (half, half), interpolation=cv2.INTER_AREA), landmarks / 2)
    small = with_marks(small, landmarks / 2)
    skin = cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)
    skin = ((skin - 0.15) / 0.35).clip(0, 1)
    covered = coverings(image, landmarks, skin)
    for part, beside in zip(covered, (BESIDE_FRAME, BESIDE_HAIR), strict=True):
        away = cv2.distanceTransform((~part).astype(np.uint8), cv2.DIST_L2, 5)
        skin *= (away / (beside * eye_distance(landmarks))).clip(0, 1)
    extent = Extent(size, size)
    parts = (protected_map(landmarks, extent) > 0.5) | brow_tails(landmarks, extent) | covered.all
    protected = cv2.dilate(parts.astype(np.uint8), np.ones((3, 3), np.uint8))  # enlarging reaches one px
    return np.where(protected > 0, 0, skin).astype(np.float32)


@torch.inference_mode()
def select(network: RetouchNetwork, seen: LookedAt, plan: EditPlan, brush: NDArray[np.float32] | None) -> Selection:
    """Where a plan edits this face. brush: (S, S) in the model frame, or None."""
    edit, keep = (torch.from_numpy(m)[None] for m in (plan.edit_matrix(), plan.keep_matrix()))
    drawn = None if brush is None else torch.from_numpy(brush * seen.allowed)[None, None]
    return network.select(seen.features, Request(edit, keep, seen.regions, brush=drawn), seen.heat)


def merged(selections: list[Selection]) -> Selection:
    """Several turns' selections as one, so that two turns that name one mark do not repair it twice."""
    kinds = torch.stack([s.kinds for s in selections]).amax(0)
    masks = torch.stack([s.mask for s in selections])
    strengths = torch.stack([s.strength * (s.mask > 0) for s in selections])
    return Selection(kinds, masks.amax(0), strengths.amax(0), torch.stack([s.told for s in selections]).amax(0))


def placed(seen: LookedAt, repair: Repair, *, grey: bool) -> Placed:
    """A repair as `photo.composite.paste_all` takes it; for a grey photo alike in all channels."""
    correction = repair.correction
    if grey:
        correction = np.repeat(correction.mean(2, keepdims=True), 3, 2)
    return correction, repair.mask, seen.alignment


@torch.inference_mode()
def repair(network: RetouchNetwork, seen: LookedAt, where: Selection, dialogue: DialogueTokens | None) -> Repair | None:
    """The correction of a selection, or None where nothing is selected."""
    low = network.config.gate[0]
    if float(where.mask.max()) <= low or float(where.strength.max()) <= 0:
        return None
    with fast(network):
        out = network.repair(seen.crop, seen.features, where, dialogue)
    correction = out.correction.float() * torch.from_numpy(seen.allowed)
    return measured(seen, correction, out.mask.float(), where.told, where.strength)


def measured(seen: LookedAt, correction: Tensor, mask: Tensor, kinds: Tensor, strength: Tensor) -> Repair:
    """A correction of allowed skin (1, 3, S, S) and its mask (1, 1, S, S), both kept to what can be noticed. strength:
    (1, 1, h, w), how much was wanted."""
    side = seen.crop.shape[-1]
    wanted = torch.nn.functional.interpolate(strength.float(), side, mode="bilinear", align_corners=False)
    change = np.ascontiguousarray(correction[0].permute(1, 2, 0).numpy())
    change = change * noticed(change, wanted[0, 0].numpy())[..., None]
    weight = mask[0, 0].numpy() * (seen.allowed > 0)
    visible = np.abs(change).max(2) > 0.6 / 255
    seen_at = torch.from_numpy(visible.astype(np.float32))[None, None]
    changed = torch.nn.functional.adaptive_max_pool2d(seen_at, kinds.shape[-1])[0, 0] > 0
    return Repair(change, np.ascontiguousarray(weight * visible), kinds[0].float().numpy(), changed.numpy())


def noticed(correction: NDArray[np.float32], strength: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much of a correction (S, S, 3) is done, (S, S) in [0, 1]: none where nothing nearby changes enough to be
    seen, so that no skin is touched without need. It rises evenly, since a step would be seen on plain skin.

    strength: (S, S), how much of a full correction it is; a mark that is to fade by a tenth changes a tenth as much."""
    reach = np.ones((2 * UNSEEN_REACH + 1,) * 2, np.uint8)
    largest = cv2.dilate(255 * np.abs(correction).max(2), reach)
    largest = cv2.GaussianBlur(largest, (0, 0), UNSEEN_BLUR) / np.maximum(strength, LEAST_STRENGTH)
    low, high = UNSEEN
    return np.asarray(((largest - low) / (high - low)).clip(0, 1), np.float32)
