"""Recipes: every number of a training run, as a dataclass that a YAML file fills."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retouchgpt.core.errors import BadData


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms in the sum; a term with weight 0 is not computed.

    mask: kappa, of the imperfection masks (our reading of the paper's kappa = 10, relative to reconstruction).
    dice: overlap of each kind's heat map with its mask. reconstruction: of the repaired pixels, normalised by the
    imperfection's own size. texture: of horizontal and vertical differences there. ssim: structural similarity there.
    """

    mask: float = 1.0
    dice: float = 0.5
    reconstruction: float = 1.0
    texture: float = 0.5
    ssim: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """One run.

    size: preset of the network. start: folder of weights to begin from, empty for a fresh network.
    llm: folder of the frozen LLM, empty to train without it (the prompts then reach G_ctrl directly).
    crop: side of the training crops in px, a multiple of window x last stride. batch: crops a step for the
    imperfection maps; repair_batch: how many of them are also repaired (R and D cost four times the maps).
    steps: length of the run. restart: steps a cosine cycle. learning_rate: at the start of each cycle; final_rate:
    at its end. seeing_rate: multiplies both for encoder and imperfection maps; at 0 these rest, with their batch
    statistics. warmup: steps of linear increase. betas: of Adam. clip: gradient norm of each box by itself, since the
    decoder's is a hundred times the encoder's. ema: decay of the averaged weights. predicted_masks: share of repairs
    done under the predicted mask instead of the painted one, after `teacher_steps`; unnamed_masks: share of them that
    is told where the mask lies but not which kind it is, so that the instruction's words matter. precision: bf16 or no.
    validate_every, save_every: in steps. workers: loader processes. threads: of torch.
    """

    name: str
    size: str = "compact"
    start: str = ""
    llm: str = ""
    seed: int = 0
    crop: int = 256
    batch: int = 12
    repair_batch: int = 4
    steps: int = 6000
    restart: int = 6000
    learning_rate: float = 1e-3
    final_rate: float = 2e-5
    warmup: int = 100
    seeing_rate: float = 1.0
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0
    ema: float = 0.998
    predicted_masks: float = 0.4
    unnamed_masks: float = 0.0
    teacher_steps: int = 500
    precision: str = "bf16"
    validate_every: int = 500
    save_every: int = 250
    workers: int = 1
    threads: int = 2
    losses: LossWeights = field(default_factory=LossWeights)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def read_recipe(path: str | Path, **changes: Any) -> Recipe:
    """A YAML file -> Recipe, with fields replaced. Raises BadData naming the file and the field."""
    import yaml

    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text()) or {}
        data.update({k: v for k, v in changes.items() if v is not None})
        losses = LossWeights(**data.pop("losses", {}))
        if "betas" in data:
            data["betas"] = tuple(data["betas"])
        return Recipe(losses=losses, **data)
    except FileNotFoundError as error:
        raise BadData(f"no such recipe: {path}. See the folder recipes.") from error
    except (TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise BadData(f"{path} is not a recipe: {error}") from error
