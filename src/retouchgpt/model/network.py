"""RetouchNetwork: every box of the paper in the order the data takes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retouchgpt.core.vocabulary import IMPERFECTIONS

from .config import NetworkConfig
from .control import Control, ControlMaps
from .decoder import Decoder
from .gloss import asked, recoloured
from .image_encoder import ImageEncoder, ImageFeatures
from .imperfection import (
    KINDS,
    FusedImperfection,
    GroundedImperfection,
    Selection,
    assured,
    places,
    present,
    select,
    through,
)
from .latent_transformer import LatentTransformer
from .layers import upsample
from .llm_embedding import DialogueTokens, LanguageEmbedding
from .surround import surround

SHINE = IMPERFECTIONS.index("shine")


class Request(NamedTuple):
    """What is asked of a batch of images.

    edit, keep: (B, 12, 18), from EditPlan. regions: G, (B, 18, H, W), any size. dialogue: the instruction's tokens for
    the LLM, or None. brush: (B, 1, H, W), any size, or None. text: f_txt (B, L, D), for the fused IIP only.
    """

    edit: Tensor
    keep: Tensor
    regions: Tensor
    dialogue: DialogueTokens | None = None
    brush: Tensor | None = None
    text: Tensor | None = None


class Retouched(NamedTuple):
    """image: x_r, (B, 3, H, W) in [0, 1]. correction: x_r - x_s before clipping, exactly 0 outside the mask.
    mask: the edit's weight, (B, 1, H, W) in [0, 1]; 0 where no pixel changes. selection, control: for explanations.
    logits: the LLM's, or None. state: R's tokens (B, W, 6, g, g), what the agent sees of it."""

    image: Tensor
    correction: Tensor
    mask: Tensor
    selection: Selection
    control: ControlMaps
    logits: Tensor | None
    state: Tensor | None = None


class RetouchNetwork(nn.Module):
    """Images are (B, 3, H, W), sRGB in [0, 1], H and W multiples of strides[-1] * window (512 as trained)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = ImageEncoder(config)
        self.imperfection: nn.Module = GroundedImperfection(config) if config.grounded else FusedImperfection(config)
        self.embedding = LanguageEmbedding(config)
        self.control = Control(config)
        self.transformer = LatentTransformer(config)
        self.decoder = Decoder(config)

    @classmethod
    def from_pretrained(cls, folder: str | Path | None = None) -> RetouchNetwork:
        """See checkpoint.from_pretrained."""
        from .checkpoint import from_pretrained

        return from_pretrained(folder)

    def save_pretrained(self, folder: str | Path, *, dtype: torch.dtype = torch.float32) -> Path:
        """See checkpoint.save_pretrained."""
        from .checkpoint import save_pretrained

        return save_pretrained(self, folder, dtype=dtype)

    def encode(self, image: Tensor) -> ImageFeatures:
        """E_img, once a photo."""
        return self.encoder(image)

    def find(self, features: ImageFeatures, regions: Tensor | None = None) -> Tensor:
        """Heat maps S of all kinds, (B, 12, h, w) in [0, 1] at the finest map's resolution (grounded IIP only).

        regions: G, (B, 18, any size), from the face's landmarks.
        """
        if not self.config.grounded:
            raise TypeError("the fused IIP has no heat maps a kind; it needs an instruction")
        return self.imperfection(features, None if regions is None else places(regions)).sigmoid()

    def look(self, image: Tensor, regions: Tensor) -> tuple[ImageFeatures, Tensor]:
        """`encode` and `find` at once, as in use: with `config.mirrored` the mirror image is looked at, too, and the
        maps are the mean of both, by logits. What the two looks disagree on is mostly wrong (ours)."""
        if not self.config.mirrored:
            features = self.encode(image)
            return features, self.find(features, regions)
        both = self.encode(torch.cat([image, image.flip(-1)]).contiguous(memory_format=torch.channels_last))
        where = places(torch.cat([regions, regions.flip(-1)]))  # alike on both sides of the face
        logits, other = self.imperfection(both, where).chunk(2)
        features = ImageFeatures(tuple(m[: len(image)] for m in both.maps), both.tokens[: len(image)])
        return features, ((logits + other.flip(-1)) / 2).sigmoid()

    def forward(
        self, image: Tensor, request: Request, features: ImageFeatures | None = None, heat: Tensor | None = None
    ) -> Retouched:
        """Retouch; `features` and `heat` from an earlier `look` at the same image save their cost."""
        if features is None and heat is None and self.config.grounded:
            features, heat = self.look(image, request.regions)
        elif features is None:
            features = self.encode(image)
        where = self.select(features, request, heat)
        return self.repair(image, features, where, request.dialogue)

    def select(self, features: ImageFeatures, request: Request, heat: Tensor | None = None) -> Selection:
        """IIP: where to edit."""
        if self.config.grounded:
            heat = self.find(features, request.regions) if heat is None else heat
            regions, brush = (_fit(x, heat) for x in (request.regions, request.brush))
            assert regions is not None
            found = select(heat, request.edit, request.keep, regions, brush)
            return assured(present(found, self.config.gate), self.config.assurance, self.config.gate)
        assert request.text is not None, "the fused IIP needs the text encoder's states"
        _, logits = self.imperfection(features, request.text)
        mask = logits.sigmoid()
        return Selection(mask.expand(-1, KINDS, -1, -1), mask, torch.ones_like(mask))

    def repair(
        self,
        image: Tensor,
        features: ImageFeatures,
        where: Selection,
        dialogue: DialogueTokens | None = None,
        scales: Tensor | None = None,
    ) -> Retouched:
        """LBE, G_ctrl, R and D: what stands in the mask's place.

        scales: the agent's action, (B, 3, g, g), how strongly alpha, beta and gamma act; None: all by 1.
        """
        grid = features.tokens.shape[-2:]
        prompts = self.embedding(features.tokens, where.mask, dialogue)
        control = self.control(prompts, where.mask, (grid[0], grid[1]))
        if scales is not None:
            control = control.scaled(*(s[:, None, ..., None] for s in scales.unbind(1)))
        repaired = self.transformer(features.tokens, F.adaptive_max_pool2d(where.mask, grid), control)
        least = None if torch.is_grad_enabled() else self.config.gate[0]
        decoded = self.decoder(image, features, repaired, where, least)
        return self.compose(image, decoded, where, control, prompts.logits)._replace(state=repaired)

    def compose(
        self, image: Tensor, decoded: Tensor, where: Selection, control: ControlMaps, logits: Tensor | None
    ) -> Retouched:
        """x_r = x_s + strength * gate(M_s) * correction, with the gate exactly 0 below its lower edge."""
        stride = self.config.strides[0]
        gate = through(upsample(where.mask, stride), self.config.gate)
        gate = gate * upsample(where.strength, stride)
        raw = decoded if self.config.correction_limit else decoded - image
        correction = gate * raw
        shine = where.kinds[:, SHINE : SHINE + 1]
        if self.config.correction_limit and self.config.grounded and asked(shine, self.config.gate[0]):
            glossy = through(upsample(shine, stride), self.config.gate)
            correction = recoloured(image, correction, glossy, surround(image, where.mask))
        return Retouched((image + correction).clamp(0, 1), correction, gate, where, control, logits)


def _fit(x: Tensor | None, like: Tensor) -> Tensor | None:
    """Resize a map to the size of `like`."""
    if x is None or x.shape[-2:] == like.shape[-2:]:
        return x
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False, antialias=True)
