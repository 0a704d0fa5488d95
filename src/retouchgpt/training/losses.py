"""The terms of the objective. Images are (B, 3, H, W) in [0, 1], maps (B, K, h, w) in [0, 1]; each term is a scalar."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from retouchgpt.model.imperfection import COMPACT_MARKS

PRESENT_PX = 64.0
"""Mask area in a batch, in map px, from which a kind counts as present."""
TYPICAL_SHARE = (0.006, 0.0035, 0.0035, 0.0005, 0.0025, 0.0295, 0.0071, 0.0072, 0.0022, 0.0042, 0.003, 0.0064)
"""Share of a training crop's area that each kind's mask covers on average, in the vocabulary's order; measured over
240 crops, and by how much the masks of lines, hairs and areas have grown since, over 480."""
FLOOR_ERROR = 3.0
"""Least summed input error a repair is normalised by, in px of full difference."""
USUAL_ERROR, USUAL_TEXTURE = 20.0, 5.0
"""Median of that over training crops of 128 px, for the pixels and for their differences; measured over 720 crops."""


def mask_loss(
    logits: Tensor, target: Tensor, ignore: Tensor, words: Tensor | None = None, heed: Tensor | None = None
) -> Tensor:
    """Focal cross-entropy on soft targets, each kind normalised by its usual positives (ours, for small marks).

    The usual ones, not the batch's own: divided by what a batch happens to hold, the clean skin of a batch without
    scars pushed a hundred times harder against scars than one with some, and their heat went to zero.

    The focal weight is the error itself, not its square: squared, a heat of 0.1 on clean skin pulls a hundred times
    less than cross-entropy, and after 20,000 crops clean skin still glowed.

    logits, target: (B, K, h, w). ignore: (B, K, h, w), 1 where an unlabelled native imperfection may lie; it silences
    negatives there, never positives. words: (B, 12) asked kinds, where one map (K = 1) holds all of them. heed:
    (B, 1, h, w), how often a place counts; 1 where it is not given.
    """
    heat = logits.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    weight = (heat.detach() - target).abs() * (1 - ignore * (target < 0.05))
    weight = weight if heed is None else weight * heed
    share = target.new_tensor(TYPICAL_SHARE)
    share = share if words is None else (words * share).sum(1).mean()[None]
    mass = share * (target.numel() / target.shape[1])
    return ((weight * entropy).sum((0, 2, 3)) / mass).mean()


def mask_l1(logits: Tensor, target: Tensor, ignore: Tensor) -> Tensor:
    """The paper's: mean |sigmoid - target|; shapes and silence as in `mask_loss`."""
    return ((logits.sigmoid() - target).abs() * (1 - ignore * (target < 0.05))).mean()


def dice_loss(logits: Tensor, target: Tensor, ignore: Tensor) -> Tensor:
    """1 - soft Dice, averaged over the kinds that are present in the batch; shapes as in `mask_loss`."""
    heat = logits.sigmoid() * (1 - ignore * (target < 0.05))
    overlap = (heat * target).sum((0, 2, 3))
    total = (heat.square() + target.square()).sum((0, 2, 3))
    present = target.sum((0, 2, 3)) > PRESENT_PX
    dice = 1 - (2 * overlap + 1) / (total + 1)
    return (dice * present).sum() / present.sum().clamp_min(1)


def kind_loss(logits: Tensor, target: Tensor, ignore: Tensor) -> Tensor:
    """Cross-entropy between the kinds of compact mark, inside such marks alone (ours, against look-alikes).

    What `mask_loss` teaches of a mark is mostly that it is none of clean skin's; which of its look-alikes it is, is a
    small part of that sum. Here it is all. Each kind counts by its usual positives, and a place with two kinds by
    halves. Silent where any of these kinds may lie without a label. Shapes as in `mask_loss`, with a map a kind.
    """
    marks = list(COMPACT_MARKS)
    truth, silent = target[:, marks], ignore[:, marks].amax(1, keepdim=True)
    there = truth.amax(1, keepdim=True) * (silent < 0.5)
    share = truth / truth.sum(1, keepdim=True).clamp_min(1e-6) * there
    mass = target.new_tensor(TYPICAL_SHARE)[marks] * (target.numel() / target.shape[1])
    return -((share * logits[:, marks].log_softmax(1)).sum((0, 2, 3)) / mass).mean()


def repair_loss(
    out: Tensor, target: Tensor, image: Tensor, painted: Tensor, beside: Tensor, usual: float = USUAL_ERROR
) -> Tensor:
    """Error left over the error there was, where something had to go: 1 for an untouched photo, 0 for the target.

    Normalising by each photo's own error lets faint redness weigh as much as a black mole. Beside it any change is an
    error, normalised by no less than a usual photo's: divided by the little that a crop with one small mole holds, a
    faint false edit outweighed ten true ones, and the repair grew timid.

    painted, beside: (B, 1, H, W), disjoint, 0 or 1.
    """
    left = (out - target).abs().mean(1, keepdim=True)
    before = ((image - target).abs().mean(1, keepdim=True) * painted).sum((1, 2, 3))
    missed = (left * painted).sum((1, 2, 3)) / (before + FLOOR_ERROR)
    false = (left * beside).sum((1, 2, 3)) / (before.clamp_min(usual) + FLOOR_ERROR)
    return (missed + false).mean()


def pixel_loss(out: Tensor, target: Tensor) -> Tensor:
    """Smooth L1 of the whole picture (public configuration)."""
    return F.smooth_l1_loss(out, target)


def texture_loss(out: Tensor, target: Tensor, image: Tensor, painted: Tensor, beside: Tensor) -> Tensor:
    """`repair_loss` of horizontal and vertical pixel differences, which smears and flat patches fail."""
    terms = []
    for axis in (2, 3):
        result, wanted, given = (x.diff(dim=axis) for x in (out, target, image))
        inside, outside = (_shrink(x, axis) for x in (painted, beside))
        terms.append(repair_loss(result, wanted, given, inside, outside, USUAL_TEXTURE))
    return torch.stack(terms).mean()


def ssim_loss(out: Tensor, target: Tensor, region: Tensor, window: int = 7) -> Tensor:
    """1 - SSIM (Wang et al., 2004; uniform window), averaged over `region` (B, 1, H, W)."""
    similarity = ssim_map(out, target, window)
    return 1 - (similarity * region).sum() / (region.sum() * out.shape[1]).clamp_min(1)


def ssim_map(a: Tensor, b: Tensor, window: int = 7) -> Tensor:
    """SSIM at each pixel, (B, C, H, W), range [-1, 1]; borders are averaged over what lies inside."""

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, window, 1, window // 2, count_include_pad=False)

    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    return ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))


def _shrink(region: Tensor, axis: int) -> Tensor:
    """The region between neighbours along an axis."""
    size = region.shape[axis]
    return torch.minimum(region.narrow(axis, 0, size - 1), region.narrow(axis, 1, size - 1))
