"""The network as it is taught: one forward call a lesson, so that data-parallel wrappers see every gradient."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from retouchgpt.model.image_encoder import ImageFeatures
from retouchgpt.model.imperfection import KINDS, given
from retouchgpt.model.llm_embedding import DialogueTokens
from retouchgpt.model.network import RetouchNetwork

from .batches import Crop


class Lesson(NamedTuple):
    """How one pass is taught. The first `repairs` rows are repaired, the first `predicted` of them under the predicted
    mask. The last `unnamed` of them are told where the mask lies but not of which kind it is: what it takes to tell a
    mole from a red patch then comes from the picture and, through the LLM's prompts, from the words. shift: most that
    the predicted masks' logits are raised, from none in the first predicted row to all in the last. seeing: whether
    the maps are learned. located: False edits wherever the instruction reaches. logits: whether the LLM's are wanted.
    """

    repairs: int
    predicted: int = 0
    unnamed: int = 0
    shift: float = 0.0
    seeing: bool = True
    located: bool = True
    logits: bool = False


class Shown(NamedTuple):
    """What a lesson gave. maps: logits of the imperfection masks, (B, 12, h, w), or of the fused form (B, 1, ...), at
    pixel size and at six scales; empty where they are not learned. image: x_r of the repaired rows (R, 3, H, W), mask:
    where they were edited (R, 1, H, W); None without repairs. logits: the LLM's, (R, N, V), or None."""

    maps: tuple[Tensor, ...] = ()
    image: Tensor | None = None
    mask: Tensor | None = None
    logits: Tensor | None = None


class Pupil(RetouchNetwork):
    """RetouchNetwork, called with a lesson instead of a request; the same weights under the same names."""

    def forward(  # type: ignore[override]
        self, crop: Crop, lesson: Lesson, dialogue: DialogueTokens | None = None, text: Tensor | None = None
    ) -> Shown:
        """text: f_txt of every row, (B, L, D), for the fused IIP only."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and lesson.seeing):
            features = self.encode(crop.image)
            maps = sees(self, features, crop, text) if lesson.located else ()
        shown = Shown(maps if lesson.seeing else ())
        if not lesson.repairs:
            return shown
        rows = slice(0, lesson.repairs)
        part = Crop(*(x[rows] for x in crop))
        some = type(features)(tuple(m[rows] for m in features.maps), features.tokens[rows])
        asked = part.asked.clone() if lesson.located else anywhere(part)
        if lesson.predicted and maps:
            raised = torch.linspace(0, lesson.shift, lesson.predicted, device=asked.device)
            seen = Crop(*(x[: lesson.predicted] for x in part))
            asked[: lesson.predicted] = found(maps[0][: lesson.predicted].detach() + raised[:, None, None, None], seen)
        where = given(asked)
        if lesson.unnamed:
            where.kinds[-lesson.unnamed :] = 0
        out = self.repair(part.image, some, where, dialogue)
        return shown._replace(image=out.image, mask=out.mask, logits=out.logits if lesson.logits else None)


def sees(network: RetouchNetwork, features: ImageFeatures, crop: Crop, text: Tensor | None) -> tuple[Tensor, ...]:
    """Logits of the imperfection masks, finest first; see Shown.maps."""
    if network.config.grounded:
        return (network.imperfection(features, crop.places).float(),)
    coarse, fine = network.imperfection(features, text)
    return (fine.float(), *(c.float() for c in coarse))


def found(logits: Tensor, crop: Crop) -> Tensor:
    """What the finest logits say of what was asked, (B, 12, h, w) in [0, 1]. Fused ones know the words already."""
    return crop.narrowed(logits.sigmoid().expand(-1, KINDS, -1, -1))


def anywhere(crop: Crop) -> Tensor:
    """All that the instruction reaches, (B, 12, h, w)."""
    return crop.narrowed(torch.ones_like(crop.kinds))
