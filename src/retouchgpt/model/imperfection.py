"""IIP: instruction-driven imperfection prediction (paper, part 3), grounded (ours) or fused (the paper's).

Grounded: heat maps S_k for all twelve kinds, seen without language and supervised on every image; the plan selects
among them, M_s = max over k, r of A_kr S_k G_r. So every mask can be explained, and a keep-list is exact.
Fused: image tokens and text states are joined and a sigmoid gives one mask a scale and one at pixel size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retouchgpt.core.vocabulary import IMPERFECTIONS, NAMED_REGIONS

from .config import SCALES, NetworkConfig
from .image_encoder import ImageFeatures
from .layers import ConvAct, stack, upsample, zero_conv

KINDS = len(IMPERFECTIONS)
PRIOR = 0.03
"""Heat at the start of training."""
COMPACT_MARKS = tuple(IMPERFECTIONS.index(k) for k in ("acne", "freckles", "spots", "moles", "scars"))
"""Kinds that look alike: a mark belongs to the one whose heat is highest."""
FRECKLES = COMPACT_MARKS.index(IMPERFECTIONS.index("freckles"))
RUNS_HIGH = 0.7
"""Weight of freckles' heat where they were not named, for it runs high on every small mark. On painted ones a spot's
request takes a fifth instead of an eighth of the other compact marks' area with it at 0.7 instead of 1, the other
requests hardly more (weights 7613bb2a). Freckles that must stay count in full."""
MARK_REACH = 3
"""Px of the heat maps from a mark's core to its rim."""


class Selection(NamedTuple):
    """Where to edit, at the finest map's resolution (h, w); values in [0, 1].

    kinds: (B, 12, h, w) mask of each asked kind. mask: M_s, (B, 1, h, w), their maximum.
    strength: (B, 1, h, w), how much of the correction is wanted there. found: kinds as they were found, where they have
    been raised since (see `assured`).
    """

    kinds: Tensor
    mask: Tensor
    strength: Tensor
    found: Tensor | None = None

    @property
    def told(self) -> Tensor:
        """What an answer goes by, (B, 12, h, w): how sure each kind is, not how surely it is repaired."""
        return self.kinds if self.found is None else self.found


PLACES = (("face",), ("forehead",), ("nose",), ("left_cheek", "right_cheek"), ("left_eye", "right_eye"), ("mouth",),
          ("chin",))  # fmt: skip
"""Parts of the face that the maps are told about; alike on both sides, so that a mirrored face is the same face."""
PLACES_AT = 2
"""The encoder's map at whose resolution they enter."""


def places(regions: Tensor) -> Tensor:
    """Region maps G (B, 18, h, w) -> what the imperfection maps are told of them, (B, 7, h, w)."""
    return torch.stack([regions[:, [NAMED_REGIONS.index(n) for n in names]].amax(1) for names in PLACES], 1)


class GroundedImperfection(nn.Module):
    """ImageFeatures -> logits of the heat maps S_k, (B, 12, h, w) at the finest map's resolution.

    With `places` it also sees where on the face each position lies: a crow's foot is a fine line beside an eye.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        widths = [config.imperfection_width, *(min(c, 2 * config.imperfection_width) for c in config.channels[1:])]
        self.factors = [config.strides[i + 1] // config.strides[i] for i in range(SCALES - 1)]
        self.lateral = nn.ModuleList(nn.Conv2d(config.channels[i], widths[i], 1) for i in range(SCALES))
        self.descend = nn.ModuleList(nn.Conv2d(widths[i + 1], widths[i], 1) for i in range(SCALES - 1))
        self.refine = nn.ModuleList(
            stack(widths[i], widths[i], 1 if i else config.imperfection_depth) for i in range(SCALES)
        )
        self.place = zero_conv(len(PLACES), widths[PLACES_AT]) if config.places else None
        self.head = nn.Conv2d(widths[0], KINDS, 1)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.constant_(self.head.bias, math.log(PRIOR / (1 - PRIOR)))  # type: ignore[arg-type]

    def forward(self, features: ImageFeatures, where: Tensor | None = None) -> Tensor:
        """where: `places` of the regions, (B, 7, any size); None for a face whose landmarks are unknown."""
        x = self.refine[-1](self.lateral[-1](features.maps[-1]))
        for i in reversed(range(SCALES - 1)):
            x = self.lateral[i](features.maps[i]) + upsample(self.descend[i](x), self.factors[i])
            if i == PLACES_AT and self.place is not None and where is not None:
                x = x + self.place(F.interpolate(where, x.shape[-2:], mode="bilinear", align_corners=False))
            x = self.refine[i](x)
        return self.head(x)


class FusedImperfection(nn.Module):
    """f_img (B, W, 6, g, g) and f_txt (B, L, D) -> mask logits: six of (B, 1, g, g), and one at pixel size."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.text = nn.Linear(config.text_width, 2 * config.width)
        self.join = nn.ModuleList(ConvAct(config.width, config.width) for _ in range(SCALES))
        self.heads = nn.ModuleList(nn.Conv2d(config.width, 1, 1) for _ in range(SCALES))
        self.pixel = ConvAct(config.channels[0] + SCALES, config.channels[0])
        self.pixel_head = nn.Conv2d(config.channels[0], 1, 1)

    def forward(self, features: ImageFeatures, text: Tensor) -> tuple[list[Tensor], Tensor]:
        scale, shift = self.text(text.mean(1)).chunk(2, -1)
        joined = features.tokens * (1 + scale[:, :, None, None, None]) + shift[:, :, None, None, None]
        logits = [head(join(joined[:, :, i])) for i, (join, head) in enumerate(zip(self.join, self.heads, strict=True))]
        finest = features.maps[0]
        coarse = F.interpolate(torch.cat(logits, 1), finest.shape[-2:], mode="bilinear", align_corners=False)
        return logits, self.pixel_head(self.pixel(torch.cat([finest, coarse], 1)))


def select(heat: Tensor, edit: Tensor, keep: Tensor, regions: Tensor, brush: Tensor | None = None) -> Selection:
    """M_s of a plan: heat maps, narrowed to what was asked and where, without what must stay.

    heat: S, (B, 12, h, w). edit, keep: (B, 12, 18), see EditPlan. regions: G, (B, 18, h, w).
    brush: (B, 1, h, w), a user's own mask; where given, the edit happens inside it whether or not it was found.
    """
    asked = edit.gt(0).to(heat.dtype)
    reach = _reach(asked, regions)
    weight = torch.einsum("bkr,brhw->bkhw", edit, regions) / torch.einsum("bkr,brhw->bkhw", asked, regions).clamp_min(
        1e-4
    )
    kept = _reach(keep, regions)
    kinds = heat * reach * (1 - kept)
    protected = (heat * kept).amax(1, keepdim=True)
    kinds = kinds * _wins(heat, kinds.gt(0), kept) * (1 - protected)
    if brush is not None:
        wanted = asked.amax(2)[:, :, None, None].expand_as(heat)
        first = wanted * (heat + 1e-3) >= (wanted * (heat + 1e-3)).amax(1, keepdim=True)
        kinds = torch.maximum(kinds, first * wanted * (1 - kept)) * brush
        weight = torch.maximum(weight, edit.amax(2)[:, :, None, None].expand_as(weight))
    mask, index = kinds.max(1, keepdim=True)
    return Selection(kinds, mask, weight.gather(1, index).clamp(0, 1))


def present(where: Selection, gate: tuple[float, float]) -> Selection:
    """A selection without kinds that hardly show anywhere (ours): each counts as much less, everywhere, as its hottest
    place comes through the gate (low, high).

    Clear skin glows faintly of some kind, and faint edits of what is not there help nobody. Of compact marks what
    counts is their sum, since a mark that may be either of two that were asked does show.
    """
    either = where.kinds.clone()
    either[:, COMPACT_MARKS] = either[:, COMPACT_MARKS].sum(1, keepdim=True)
    kinds = where.kinds * through(either.amax((2, 3), keepdim=True), gate)
    return where._replace(kinds=kinds, mask=kinds.amax(1, keepdim=True))


def assured(where: Selection, assurance: Sequence[float], gate: tuple[float, float]) -> Selection:
    """A selection raised above the gate (low, high) to how sure it is that what was asked is there (ours).

    Heat is a probability, and the repair goes as far as it is sure. For kinds that are seldom seen for certain that
    leaves a mark half there, which nobody asked for, so each counts `assurance` times. And a mark that may be acne or
    a spot, both of them asked, is surely asked: look-alikes count together, in the hottest one's place. Where the edit
    reaches is decided by the gate alone.
    """
    above = through(where.kinds, gate)
    kinds = where.kinds * (1 + (where.kinds.new_tensor(assurance)[:, None, None] - 1) * above)
    marks = where.kinds[:, COMPACT_MARKS]
    together = torch.where(marks == marks.amax(1, keepdim=True), marks.sum(1, keepdim=True), marks)
    kinds[:, COMPACT_MARKS] = kinds[:, COMPACT_MARKS].maximum(marks + (together - marks) * above[:, COMPACT_MARKS])
    kinds = kinds.clamp(max=1)
    return where._replace(kinds=kinds, mask=kinds.amax(1, keepdim=True), found=where.told)


def through(heat: Tensor, gate: tuple[float, float]) -> Tensor:
    """How far heat comes through the gate, [0, 1]."""
    return ((heat - gate[0]) / (gate[1] - gate[0])).clamp(0, 1)


def given(kinds: Tensor) -> Selection:
    """A selection from known masks (B, 12, h, w) at full strength: the painted ones in training."""
    mask = kinds.amax(1, keepdim=True)
    return Selection(kinds, mask, torch.ones_like(mask))


def _reach(matrix: Tensor, regions: Tensor) -> Tensor:
    """max over r of matrix_kr G_r: (B, 12, 18), (B, 18, h, w) -> (B, 12, h, w), skipping what no one asked."""
    out = regions.new_zeros(matrix.shape[0], matrix.shape[1], *regions.shape[-2:])
    for b, k, r in matrix.nonzero().tolist():
        out[b, k] = torch.maximum(out[b, k], matrix[b, k, r] * regions[b, r])
    return out


def _nearby(heat: Tensor) -> Tensor:
    """The largest value within MARK_REACH px of each, (B, K, h, w)."""
    side, edge = 2 * MARK_REACH + 1, MARK_REACH
    return F.max_pool2d(F.max_pool2d(heat, (side, 1), 1, (edge, 0)), (1, side), 1, (0, edge))


def _wins(heat: Tensor, asked: Tensor, kept: Tensor) -> Tensor:
    """[0, 1] of whether an asked mark may be taken for its kind, given how hot its look-alikes are.

    Against kinds that were simply not named a tie counts for the asked one, and it loses all once the other is hotter
    by 0.4 (freckles count less there, see RUNS_HIGH); against kinds that must stay a tie counts half, and it needs to
    be hotter by 0.1 to count in full. What counts is the hottest place nearby, so that a mark goes to one kind as a
    whole: place by place, a mole whose rim glows faintly as acne lost a ring of its skin.
    """
    marks = _nearby(heat[:, COMPACT_MARKS])
    unasked = (~asked[:, COMPACT_MARKS].flatten(2).any(2))[:, :, None, None].to(heat.dtype)
    rivals = marks * unasked
    rivals[:, FRECKLES] *= RUNS_HIGH
    unnamed = rivals.amax(1, keepdim=True)
    staying = (marks * kept[:, COMPACT_MARKS]).amax(1, keepdim=True)
    out = torch.ones_like(heat)
    out[:, COMPACT_MARKS] = torch.minimum((marks - unnamed) / 0.4 + 1, (marks - staying) / 0.2 + 0.5).clamp(0, 1)
    return out
