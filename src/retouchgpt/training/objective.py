"""One pass's losses by name, their one weighted sum, and the measures of validation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from retouchgpt.model.imperfection import KINDS, given
from retouchgpt.model.llm_embedding import DialogueTokens
from retouchgpt.model.network import RetouchNetwork

from .batches import Crop
from .losses import dice_loss, kind_loss, mask_l1, mask_loss, pixel_loss, repair_loss, ssim_loss, texture_loss
from .pupil import Lesson, Shown, anywhere, found, sees
from .recipe import LossWeights, Recipe
from .speech import sentences
from .terms import IGNORED, Photos, Terms

SEEN = 1.0 / 255
"""A difference below one 8-bit level counts as none."""


def lesson_of(recipe: Recipe, step: int, slot: int = 0, slots: int = 1) -> Lesson:
    """The lesson of one pass of a step. The step's rows are dealt out to `slots` passes (of all processes) like cards,
    and so is each count, so that together they are the same rows as in one pass."""
    weights, total = recipe.losses, recipe.repair_batch * recipe.accumulate

    def dealt(number: int) -> int:
        return len(range(slot, number, slots))

    predicted = round(recipe.predicted_masks * total) if step >= recipe.teacher_steps else 0
    unnamed = round(recipe.unnamed_masks * total)
    return Lesson(
        repairs=dealt(total),
        predicted=dealt(predicted),
        unnamed=dealt(total) - dealt(total - unnamed),
        shift=recipe.mask_shift,
        seeing=weights.mask > 0,
        located=recipe.located,
        logits=weights.language > 0,
    )


def step_losses(
    shown: Shown, crop: Crop, recipe: Recipe, judges: Terms, labels: Tensor | None = None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Unweighted terms by name, of what a lesson gave, and what else is worth a look. The discriminator learns here.

    labels: (R, L) of the dialogue's last L tokens, or None.
    """
    terms = _map_terms(shown.maps, crop, recipe) if shown.maps else {}
    if shown.image is None or shown.mask is None:
        return terms, {}
    part = Crop(*(x[: len(shown.image)] for x in crop))
    image, judged = shown.image.float(), judged_regions(part, shown.mask.float())
    region = judged[0] + judged[1]
    terms |= _repair_terms(part, image, judged, recipe.losses)
    with torch.autocast(image.device.type, enabled=False):
        photos = _photos(shown, part, image, region, labels, recipe)
        watched = {} if judges.critic is None else {"critic": judges.critic.learn(part.target, image, region)}
        return terms | judges(photos), watched


def _map_terms(maps: tuple[Tensor, ...], crop: Crop, recipe: Recipe) -> dict[str, Tensor]:
    """mask, dice and kind, averaged over the maps of the fused form."""
    plain = [(logits, *_map_target(logits, crop)) for logits in maps]
    quieter = crop._replace(ignore=_silent(crop, recipe.absent_weight))
    pairs = [(logits, *_map_target(logits, quieter)) for logits in maps]
    if recipe.mask_form == "l1":
        losses = [mask_l1(*pair) for pair in pairs]
    else:
        kinds = None if maps[0].shape[1] == KINDS else crop.words
        losses = [mask_loss(*pair, words=kinds, heed=_heed(pair[0], crop, recipe)) for pair in pairs]
    terms = {"mask": torch.stack(losses).mean()}
    if recipe.losses.dice:
        terms["dice"] = torch.stack([dice_loss(*pair) for pair in pairs]).mean()
    if recipe.losses.kind:
        terms["kind"] = torch.stack([kind_loss(*pair) for pair in plain]).mean()
    return terms


def _silent(crop: Crop, absent: float) -> Tensor:
    """Where the maps' losses are silent, (B, 12, s, s): where a native imperfection may lie, and in part all over the
    maps of the kinds that the face has none of, except in a place that an eye has looked at."""
    without = (1 - crop.has)[:, :, None, None] * (1 - absent) * (1 - crop.listed)
    return crop.ignore.maximum(without)


def _heed(logits: Tensor, crop: Crop, recipe: Recipe) -> Tensor | None:
    """How often each place of a map counts, (B, 1, h, w)."""
    if recipe.real_weight == 1:
        return None
    size = (logits.shape[-2], logits.shape[-1])
    return 1 + (recipe.real_weight - 1) * F.adaptive_max_pool2d(crop.listed, size)


def _map_target(logits: Tensor, crop: Crop) -> tuple[Tensor, Tensor]:
    """Target and where to be silent, each like `logits`: of all kinds, or, fused, of what was asked."""
    if logits.shape[1] == KINDS:
        return crop.kinds, crop.ignore
    size = (logits.shape[-2], logits.shape[-1])
    words = crop.words[:, :, None, None]
    both = crop.kinds * words, crop.ignore * words
    target, silent = (F.adaptive_max_pool2d(x.amax(1, keepdim=True), size) for x in both)
    return target, silent


def judged_regions(crop: Crop, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Where a repair is judged, each (B, 1, H, W), 0 or 1: where the photo differs from the target, and what else was
    edited, without native candidates and without places that only look like a mark, on which the repair would learn to
    doubt every mark of the kind."""
    changed = (crop.image - crop.target).abs().amax(1, keepdim=True).gt(SEEN).float()
    candidates = (crop.ignore * crop.words[:, :, None, None]).amax(1, keepdim=True).maximum(crop.listed)
    native = F.interpolate(candidates, mask.shape[-2:], mode="nearest").gt(0).float()
    return changed, mask.detach().gt(0).float() * (1 - changed) * (1 - native)


def _repair_terms(crop: Crop, image: Tensor, judged: tuple[Tensor, Tensor], weights: LossWeights) -> dict[str, Tensor]:
    terms: dict[str, Tensor] = {}
    if weights.reconstruction:
        terms["reconstruction"] = repair_loss(image, crop.target, crop.image, *judged)
    if weights.pixels:
        terms["pixels"] = pixel_loss(image, crop.target)
    if weights.texture:
        terms["texture"] = texture_loss(image, crop.target, crop.image, *judged)
    if weights.ssim:
        terms["ssim"] = ssim_loss(image, crop.target, judged[0] + judged[1])
    return terms


def _photos(shown: Shown, crop: Crop, image: Tensor, region: Tensor, labels: Tensor | None, recipe: Recipe) -> Photos:
    wanted, unwanted = sentences(crop.words) if recipe.losses.text else ((), ())
    if shown.logits is not None and labels is not None:
        labels = F.pad(labels, (shown.logits.shape[1] - labels.shape[1], 0), value=IGNORED)
    return Photos(image, crop.target, crop.image, region, wanted, unwanted, shown.logits, labels)


def weighted(terms: dict[str, Tensor], weights: LossWeights) -> Tensor:
    """The one sum that is minimised."""
    return torch.stack([getattr(weights, name) * value for name, value in terms.items()]).sum()


@torch.no_grad()
def retouched(
    network: RetouchNetwork,
    crop: Crop,
    *,
    painted_masks: bool,
    located: bool = True,
    text: Tensor | None = None,
    dialogue: DialogueTokens | None = None,
) -> Tensor:
    """x_r of a batch under painted or predicted masks, (B, 3, H, W)."""
    features = network.encode(crop.image)
    if not located:
        asked = anywhere(crop)
    elif painted_masks:
        asked = crop.asked
    else:
        asked = found(sees(network, features, crop, text)[0], crop)
    return network.repair(crop.image, features, given(asked), dialogue).image.float()


def removal(crop: Crop, image: Tensor) -> tuple[Tensor, Tensor]:
    """Summed error after and before, (B,), inside what was asked; 1 - after / before is the bench's removal."""
    changed = (crop.image - crop.target).abs().amax(1, keepdim=True).gt(2 * SEEN).float()
    after = ((image - crop.target).abs() * changed).sum((1, 2, 3))
    return after, ((crop.image - crop.target).abs() * changed).sum((1, 2, 3))
