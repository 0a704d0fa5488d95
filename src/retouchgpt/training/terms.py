"""The further terms of the objective, each named and each with a gradient: adversarial, perceptual, text, language,
identity (paper, "Training"). Whatever judges is frozen; only the retoucher's own weights learn from it.

    terms = Terms(TermWeights(adversarial=0.1), critic=Critic(PatchDiscriminator()))
    total = total + terms.weighted(named := terms(photos))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retouchgpt.core.errors import BadData

from .discriminator import Critic
from .perceptual import GradientPyramid, Lpips

IGNORED = -100
"""Label of a token that is not the assistant's."""


@dataclass(frozen=True)
class TermWeights:
    """Weight of each term; a term with weight 0 is not computed.

    adversarial: zeta, hinge loss of the patch discriminator (our reading of the paper's zeta = 0.1). perceptual: LPIPS,
    or the stand-in that says so (public configuration: 1). text: image against instruction (public configuration:
    0.01). language: the LLM's next token on the assistant's turns (1). identity: distance of face embeddings.
    """

    adversarial: float = 0.0
    perceptual: float = 0.0
    text: float = 0.0
    language: float = 0.0
    identity: float = 0.0

    @property
    def named(self) -> dict[str, float]:
        return asdict(self)


class Photos(NamedTuple):
    """What the terms look at. retouched, target, source: (B, 3, H, W) in [0, 1]. region: (B, 1, H, W), where something
    was edited or should have been. wanted, unwanted: a sentence a row, that fits the target and that fits the source.
    logits: the LLM's, (B, N, V), with labels (B, N), IGNORED but on the assistant's turns; None without an LLM."""

    retouched: Tensor
    target: Tensor
    source: Tensor
    region: Tensor
    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    logits: Tensor | None = None
    labels: Tensor | None = None


class TextJudge(Protocol):
    """An image and text encoder with a common space, the image told where to look."""

    def image(self, image: Tensor, alpha: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] and (B, 1, H, W) in [0, 1] -> unit vectors (B, D)."""

    def text(self, sentences: Sequence[str]) -> Tensor:
        """Sentences -> unit vectors (B, D), without gradient."""


class Terms:
    """The terms of some weights, with what they need. Raises BadData at once where a term's judge is missing."""

    def __init__(
        self,
        weights: TermWeights,
        *,
        critic: Critic | None = None,
        perceptual: Lpips | GradientPyramid | None = None,
        text: TextJudge | None = None,
        identity: nn.Module | None = None,
    ) -> None:
        needs = {"adversarial": critic, "perceptual": perceptual, "text": text, "identity": identity}
        for name, judge in needs.items():
            if weights.named[name] and judge is None:
                raise BadData(f"the term {name} has a weight but nothing that judges it was given")
        self.weights, self.critic, self.perceptual, self.text = weights, critic, perceptual, text
        self.identity = None if identity is None else frozen(identity)

    def __call__(self, photos: Photos) -> dict[str, Tensor]:
        """Unweighted terms by name, those with a weight only."""
        found: dict[str, Tensor] = {}
        if self.weights.adversarial and self.critic is not None:
            found["adversarial"] = self.critic.judge(photos.retouched, photos.region)
        if self.weights.perceptual and self.perceptual is not None:
            found["perceptual"] = self.perceptual(photos.retouched, photos.target)
        if self.weights.text and self.text is not None:
            found["text"] = text_loss(self.text, photos)
        if self.weights.language and photos.logits is not None and photos.labels is not None:
            found["language"] = language_term(photos.logits, photos.labels)
        if self.weights.identity and self.identity is not None:
            found["identity"] = identity_loss(self.identity, photos.retouched, photos.source)
        return found

    def weighted(self, found: dict[str, Tensor]) -> Tensor:
        """Their sum by weight; a scalar 0 where there is none."""
        parts = [self.weights.named[name] * value for name, value in found.items()]
        return torch.stack(parts).sum() if parts else torch.zeros(())

    @property
    def names(self) -> dict[str, str]:
        """What judges each term that has a weight, for the log: "perceptual" -> "LPIPS (alex)", for one."""
        said = {"adversarial": "patch discriminator, hinge", "language": "next token", "identity": "face embedding"}
        if self.perceptual is not None:
            said["perceptual"] = str(self.perceptual.name)
        if self.text is not None:
            said["text"] = type(self.text).__name__
        return {k: v for k, v in said.items() if self.weights.named[k]}


def frozen(judge: nn.Module) -> nn.Module:
    """A judge in evaluation mode, whose weights get no gradient; its input still does."""
    return judge.eval().requires_grad_(False)


def text_loss(judge: TextJudge, photos: Photos) -> Tensor:
    """The retouched region must fit the sentence that fits the target better than the one that fits the source: the
    cross-entropy of choosing between them, (public configuration: an Alpha-CLIP similarity, there without gradient)."""
    if not photos.wanted or len(photos.wanted) != len(photos.unwanted):
        raise BadData("the term text needs a wanted and an unwanted sentence for every photo")
    image = judge.image(photos.retouched, photos.region)
    sentences = torch.stack([judge.text(photos.wanted), judge.text(photos.unwanted)], 1).to(image)
    fit = torch.einsum("bd,bcd->bc", image, sentences) * SHARPNESS
    return F.cross_entropy(fit, torch.zeros(len(fit), dtype=torch.long, device=fit.device))


SHARPNESS = 10.0
"""Of the choice between two sentences."""


def language_term(logits: Tensor, labels: Tensor) -> Tensor:
    """Next-token cross-entropy on the assistant's turns alone; logits (B, N, V), labels (B, N), IGNORED elsewhere.

    Labels stand at their token's own place: the logits of the place before predict it. 0 where no token is labelled.
    """
    guessed, wanted = logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
    known = wanted != IGNORED
    if not known.any():
        return logits.sum() * 0
    return F.cross_entropy(guessed[known].float(), wanted[known])


def assistant_labels(ids: Tensor, turns: Sequence[Sequence[tuple[int, int]]], length: int) -> Tensor:
    """Labels (B, length) for `language_term`, when the last ids.shape[1] of `length` places hold the text.

    turns: for each row the assistant's turns as [start, end) in the row's text ids (B, L); all else is IGNORED, the
    image token and the prompts before the text too.
    """
    labels = ids.new_full((len(ids), length), IGNORED)
    first = length - ids.shape[1]
    for row, spans in enumerate(turns):
        for start, end in spans:
            labels[row, first + start : first + end] = ids[row, start:end]
    return labels


def identity_loss(embedder: nn.Module, retouched: Tensor, source: Tensor) -> Tensor:
    """1 - cosine between face embeddings of the retouched photo and the source, mean; any network (B, 3, H, W) ->
    (B, D) that was trained to know people."""
    with torch.no_grad():
        before = F.normalize(embedder(source).flatten(1), dim=1)
    after = F.normalize(embedder(retouched).flatten(1), dim=1)
    return (1 - (after * before).sum(1)).mean()


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
    def load(cls, folder: str | Path) -> ClipJudge:
        """Raises BadData where the folder is no CLIP. Nothing is fetched."""
        from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

        try:
            model = CLIPModel.from_pretrained(str(folder), local_files_only=True, use_safetensors=True)
            numbers = CLIPImageProcessor.from_pretrained(str(folder), local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError) as error:
            raise BadData(f"{folder} is not a folder of a CLIP model: {str(error).splitlines()[0]}") from error
        return cls(model, tokenizer, numbers.image_mean, numbers.image_std)

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
        tokens = self.tokenizer(list(sentences), padding=True, truncation=True, return_tensors="pt")
        with torch.no_grad():
            hidden = self.model.text_model(**tokens).pooler_output  # type: ignore[union-attr, operator]
            return F.normalize(self.model.text_projection(hidden), dim=1)  # type: ignore[union-attr, operator]

    def _embedded(self, pixels: Tensor) -> Tensor:
        hidden = self.model.vision_model(pixel_values=pixels).pooler_output  # type: ignore[union-attr, operator]
        return F.normalize(self.model.visual_projection(hidden), dim=1)  # type: ignore[union-attr, operator]


OUTSIDE = 0.3
"""Share of the picture that is left outside the region for a CLIP without an alpha channel."""
