"""One training step's losses by name, and the measures of validation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from retouchgpt.model.imperfection import Selection, given
from retouchgpt.model.llm_embedding import DialogueTokens
from retouchgpt.model.network import RetouchNetwork

from .batches import Crop
from .losses import dice_loss, mask_loss, repair_loss, ssim_loss, texture_loss
from .recipe import LossWeights

SEEN = 1.0 / 255
"""A difference below one 8-bit level counts as none."""


def step_losses(
    network: RetouchNetwork,
    crop: Crop,
    weights: LossWeights,
    *,
    repairs: int,
    predicted: int,
    unnamed: int = 0,
    dialogue: DialogueTokens | None = None,
) -> dict[str, Tensor]:
    """Unweighted terms by name. The first `repairs` rows are repaired, `predicted` of them under the predicted mask.

    The last `unnamed` of them are told where the mask lies but not of which kind it is: what it takes to tell a mole
    from a red patch then comes from the picture and, through the LLM's prompts, from the words.
    """
    seeing = weights.mask > 0
    with torch.set_grad_enabled(torch.is_grad_enabled() and seeing):
        features = network.encode(crop.image)
        logits = network.imperfection(features, crop.places).float()
    terms = {"mask": mask_loss(logits, crop.kinds, crop.ignore)} if seeing else {}
    if seeing and weights.dice:
        terms["dice"] = dice_loss(logits, crop.kinds, crop.ignore)
    if not repairs:
        return terms
    rows = slice(0, repairs)
    part = Crop(*(x[rows] for x in crop))
    some = type(features)(tuple(m[rows] for m in features.maps), features.tokens[rows])
    asked = part.asked.clone()
    if predicted:
        asked[:predicted] = part.narrowed(logits[rows].detach().sigmoid())[:predicted]
    where = given(asked)
    if unnamed:
        where.kinds[-unnamed:] = 0
    out = network.repair(part.image, some, where, dialogue)
    return terms | _repair_terms(part, out.image.float(), out.mask.float(), weights)


def _repair_terms(crop: Crop, image: Tensor, mask: Tensor, weights: LossWeights) -> dict[str, Tensor]:
    size = image.shape[-2:]
    changed = (crop.image - crop.target).abs().amax(1, keepdim=True).gt(SEEN).float()
    candidates = (crop.ignore * crop.words[:, :, None, None]).amax(1, keepdim=True)
    native = F.interpolate(candidates, size, mode="nearest") * (1 - changed)
    region = torch.maximum(changed, mask.detach().gt(0).float()) * (1 - native)
    terms = {"reconstruction": repair_loss(image, crop.target, crop.image, region)}
    if weights.texture:
        terms["texture"] = texture_loss(image, crop.target, crop.image, region)
    if weights.ssim:
        terms["ssim"] = ssim_loss(image, crop.target, region)
    return terms


def weighted(terms: dict[str, Tensor], weights: LossWeights) -> Tensor:
    """The one sum that is minimised."""
    return torch.stack([getattr(weights, name) * value for name, value in terms.items()]).sum()


@torch.no_grad()
def removal(network: RetouchNetwork, crop: Crop, *, painted_masks: bool) -> tuple[Tensor, Tensor]:
    """Summed error after and before, (B,), inside what was asked; 1 - after / before is the bench's removal."""
    features = network.encode(crop.image)
    if painted_masks:
        where: Selection = given(crop.asked)
    else:
        logits = network.imperfection(features, crop.places).float()
        where = given(crop.narrowed(logits.sigmoid()))
    out = network.repair(crop.image, features, where).image.float()
    changed = (crop.image - crop.target).abs().amax(1, keepdim=True).gt(2 * SEEN).float()
    after = ((out - crop.target).abs() * changed).sum((1, 2, 3))
    return after, ((crop.image - crop.target).abs() * changed).sum((1, 2, 3))
