"""What judges the further terms, by a recipe: LPIPS, a CLIP, an image model that knows faces; from local folders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retouchgpt.core.errors import BadData

from .discriminator import Critic, PatchDiscriminator
from .perceptual import perceptual
from .recipe import Recipe
from .terms import Terms, frozen

Share = Callable[[Sequence[Tensor]], None]
"""Brings gradients of all processes together, in place."""


def judges(recipe: Recipe, device: torch.device, share: Share | None = None) -> Terms:
    """The judges of the terms that have a weight, on a device. Raises BadData or MissingExtra where one is missing."""
    weights = recipe.losses
    parts: dict[str, Any] = {}
    if weights.adversarial:
        network = PatchDiscriminator(recipe.critic_width).to(device)
        parts["critic"] = Critic(network, recipe.critic_rate, share=share)
    if weights.perceptual:
        parts["perceptual"] = perceptual(recipe.perceptual).to(device)
    if weights.text and recipe.clip_model:
        parts["text"] = ClipJudge.load(recipe.clip_model, device)
    if weights.identity and recipe.identity_model:
        parts["identity"] = FaceEmbedder.load(recipe.identity_model).to(device)
    return Terms(weights, **parts)


class FaceEmbedder(nn.Module):
    """Any image model of Hugging Face from a folder, with its processor's numbers: (B, 3, H, W) in [0, 1] -> (B, D)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, model: nn.Module, mean: Sequence[float], deviation: Sequence[float], side: int) -> None:
        super().__init__()
        self.model, self.side = model, side
        self.register_buffer("mean", torch.tensor(list(mean)).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(list(deviation)).view(1, 3, 1, 1), persistent=False)

    @classmethod
    def load(cls, folder: str | Path) -> FaceEmbedder:
        """Raises BadData where the folder is no image model. Nothing is fetched."""
        from transformers import AutoImageProcessor, AutoModel

        try:
            model = AutoModel.from_pretrained(str(folder), local_files_only=True, use_safetensors=True)
            numbers = AutoImageProcessor.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError) as error:
            raise BadData(f"{folder} is not a folder of an image model: {str(error).splitlines()[0]}") from error
        side = int(getattr(model.config, "image_size", 224))
        return cls(frozen(model), numbers.image_mean, numbers.image_std, side)

    def forward(self, image: Tensor) -> Tensor:
        size = (self.side, self.side)
        small = F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)
        out = self.model(pixel_values=(small - self.mean) / self.deviation)
        return out.pooler_output.flatten(1)


class ClipJudge:
    """Any CLIP of Hugging Face from a folder, with its processor's numbers: the text term's judge.

    With an alpha channel in the vision tower's patch embedding (Alpha-CLIP, Sun et al., 2024; weights named
    `patch_embedding_alpha`) the region goes in there; without one, what lies outside the region is dimmed to the mean.
    """

    def __init__(self, model: nn.Module, tokenizer: Any, mean: Sequence[float], deviation: Sequence[float]) -> None:
        self.model, self.tokenizer = frozen(model), tokenizer
        self.mean, self.deviation = (torch.tensor(list(x)).view(1, 3, 1, 1) for x in (mean, deviation))
        self.side = int(model.config.vision_config.image_size)  # type: ignore[union-attr, arg-type]

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str = "cpu") -> ClipJudge:
        """Raises BadData where the folder is no CLIP. Nothing is fetched."""
        from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

        try:
            model = CLIPModel.from_pretrained(str(folder), local_files_only=True, use_safetensors=True)
            numbers = CLIPImageProcessor.from_pretrained(str(folder), local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError) as error:
            raise BadData(f"{folder} is not a folder of a CLIP model: {str(error).splitlines()[0]}") from error
        return cls(model.to(device), tokenizer, numbers.image_mean, numbers.image_std)  # type: ignore[arg-type]  # the wrapper of transformers loses self

    def image(self, image: Tensor, alpha: Tensor) -> Tensor:
        size = (self.side, self.side)
        small = F.interpolate(image.float(), size, mode="bilinear", align_corners=False, antialias=True)
        where = F.interpolate(alpha.float(), size, mode="bilinear", align_corners=False, antialias=True)
        seen = (small - self.mean.to(small)) / self.deviation.to(small)
        extra = getattr(self.model.vision_model.embeddings, "patch_embedding_alpha", None)  # type: ignore[union-attr]
        if extra is None:
            return self._embedded(seen * (OUTSIDE + (1 - OUTSIDE) * where))
        patches = self.model.vision_model.embeddings.patch_embedding  # type: ignore[union-attr]
        hook = patches.register_forward_hook(lambda module, args, out: out + extra((where - 0.5) / 0.26))  # type: ignore[union-attr, operator]
        try:
            return self._embedded(seen)
        finally:
            hook.remove()

    def text(self, sentences: Sequence[str]) -> Tensor:
        tokens = self.tokenizer(list(sentences), padding=True, truncation=True, return_tensors="pt").to(
            self.model.device
        )
        with torch.no_grad():
            hidden = self.model.text_model(**tokens).pooler_output  # type: ignore[union-attr, operator]
            return F.normalize(self.model.text_projection(hidden), dim=1)  # type: ignore[union-attr, operator]

    def _embedded(self, pixels: Tensor) -> Tensor:
        hidden = self.model.vision_model(pixel_values=pixels).pooler_output  # type: ignore[union-attr, operator]
        return F.normalize(self.model.visual_projection(hidden), dim=1)  # type: ignore[union-attr, operator]


OUTSIDE = 0.3
"""Share of the picture that is left outside the region for a CLIP without an alpha channel."""
