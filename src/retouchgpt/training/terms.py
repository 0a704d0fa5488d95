"""The further terms of the objective, each named and each with a gradient: adversarial, perceptual, text, language,
identity (paper, "Training"). Whatever judges is frozen; only the retoucher's own weights learn from it.

    terms = Terms(LossWeights(adversarial=0.1), critic=Critic(PatchDiscriminator()))
    named = terms(photos)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retouchgpt.core.errors import BadData

from .discriminator import Critic
from .perceptual import GradientPyramid, Lpips
from .recipe import LossWeights

IGNORED = -100
"""Label of a token that is not the assistant's."""


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
        weights: LossWeights,
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


def identity_loss(embedder: nn.Module, retouched: Tensor, source: Tensor) -> Tensor:
    """1 - cosine between face embeddings of the retouched photo and the source, mean; any network (B, 3, H, W) ->
    (B, D) that was trained to know people."""
    with torch.no_grad():
        before = F.normalize(embedder(source).flatten(1), dim=1)
    after = F.normalize(embedder(retouched).flatten(1), dim=1)
    return (1 - (after * before).sum(1)).mean()
