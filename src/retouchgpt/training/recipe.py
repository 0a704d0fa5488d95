"""Recipes: every number of a training run, as a dataclass that a YAML file fills."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retouchgpt.core.errors import BadData

GREEK = {"kappa": "mask", "zeta": "adversarial"}
"""The paper's letters, by our reading of what each weighs; a recipe may use either name."""
MASK_FORMS = ("focal", "l1")
OPTIMISERS = ("adam", "muon")
PRECISIONS = ("bf16", "no")
"""Mixed with bfloat16 where the device computes in it, or float32."""


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms in the one sum; a term with weight 0 is not computed.

    mask: kappa, of the imperfection masks (our reading of the paper's kappa = 10, relative to reconstruction).
    dice: overlap of each kind's heat map with its mask. kind: which compact mark it is, inside such marks (ours; needs
    a map a kind). reconstruction: of the repaired pixels, normalised by the imperfection's own size (ours). pixels:
    smooth L1 of the whole picture (public configuration: 1000). texture: of horizontal and vertical differences where
    it was repaired. ssim: structural similarity there (10). adversarial: zeta, hinge loss of the patch discriminator
    (our reading of the paper's zeta = 0.1). perceptual: LPIPS, or the stand-in that says so (1). text: image against
    instruction (0.01). language: the LLM's next token on the assistant's turns (1). identity: distance of face
    embeddings.
    """

    mask: float = 1.0
    dice: float = 0.5
    kind: float = 0.0
    reconstruction: float = 1.0
    pixels: float = 0.0
    texture: float = 0.5
    ssim: float = 0.0
    adversarial: float = 0.0
    perceptual: float = 0.0
    text: float = 0.0
    language: float = 0.0
    identity: float = 0.0

    @property
    def named(self) -> dict[str, float]:
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Recipe:
    """One run.

    size: preset of the network; network: fields of it that are replaced. start: folder of weights to begin from, empty
    for a fresh network. takes: boxes that begin from it, empty for all. rests: boxes that stay as they begin, their
    batch statistics too.
    llm: folder of the frozen LLM, empty to train without it (the prompts then reach G_ctrl directly). text_encoder: of
    the fused IIP, empty for the packaged one.
    real_marks: a list of real marks (`data/real_marks.py`), empty for none; real_weight: how often the places in it
    count for the imperfection maps. absent_weight: how much a map of a kind counts on a face that has none of it, from
    0 to 1. An instruction names what is there, so that to find it beside its look-alikes matters more than to know that
    it is not there at all.
    crop: side of the training crops in px, a multiple of window x last stride. batch: crops of one pass, over all
    processes together, for the imperfection maps; repair_batch: how many of them are also repaired (R and D cost four
    times the maps). accumulate: passes a step.
    steps: length of the run. restart: steps a cosine cycle. learning_rate: at the start of each cycle; final_rate: at
    its end. optimiser: adam, or muon for matrices and convolutions (`training/muon.py`). seeing_rate: multiplies both
    for encoder and imperfection maps; at 0 these rest, with their batch statistics. warmup: steps of linear increase.
    betas: of Adam. clip: gradient norm of each box by itself, since the decoder's is a hundred times the encoder's.
    ema: decay of the averaged weights. predicted_masks: share of repairs done under the predicted mask instead of the
    painted one, after `teacher_steps`; unnamed_masks: share of them that is told where the mask lies but not which
    kind it is, so that the instruction's words matter. mask_shift: most that a predicted mask's logits are raised for
    a repair, evenly over its crops, since a release raises some kinds' (`evaluation/calibrate.py`) and the repair
    must know such masks too. precision: bf16 (float32 on a processor without instructions for it, where it takes ten
    times as long) or no.
    located: False lets the edit go anywhere that the instruction reaches (the ablation without IIP).
    validate_every, save_every: in steps. workers: loader processes. threads: of torch. tensorboard: also log there.
    mask_form: focal (ours) or l1 (the paper's). perceptual: auto, alex, vgg or stand-in. clip_model, identity_model:
    folders of a CLIP and of an image model that knows faces, for the terms text and identity. critic_width,
    critic_rate: channels of the discriminator's first level, and its learning rate.
    """

    name: str
    size: str = "compact"
    network: dict[str, Any] = field(default_factory=dict)
    real_marks: str = ""
    real_weight: float = 1.0
    absent_weight: float = 1.0
    start: str = ""
    takes: tuple[str, ...] = ()
    rests: tuple[str, ...] = ()
    llm: str = ""
    text_encoder: str = ""
    seed: int = 0
    crop: int = 256
    batch: int = 12
    repair_batch: int = 4
    accumulate: int = 1
    steps: int = 6000
    restart: int = 6000
    learning_rate: float = 1e-3
    final_rate: float = 2e-5
    warmup: int = 100
    optimiser: str = "adam"
    seeing_rate: float = 1.0
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0
    ema: float = 0.998
    predicted_masks: float = 0.4
    unnamed_masks: float = 0.0
    mask_shift: float = 0.0
    teacher_steps: int = 500
    located: bool = True
    precision: str = "bf16"
    validate_every: int = 500
    save_every: int = 250
    workers: int = 1
    threads: int = 2
    tensorboard: bool = False
    mask_form: str = "focal"
    perceptual: str = "auto"
    clip_model: str = ""
    identity_model: str = ""
    critic_width: int = 32
    critic_rate: float = 2e-4
    losses: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        if self.mask_form not in MASK_FORMS:
            raise ValueError(f"mask_form is {' or '.join(MASK_FORMS)}, not {self.mask_form!r}")
        if self.optimiser not in OPTIMISERS:
            raise ValueError(f"optimiser is {' or '.join(OPTIMISERS)}, not {self.optimiser!r}")
        checked_precision(self.precision)
        if self.real_weight < 1:
            raise ValueError("real_weight is at least 1")
        if not 0 <= self.absent_weight <= 1:
            raise ValueError("absent_weight is from 0 to 1")
        if self.accumulate < 1 or self.repair_batch > self.batch:
            raise ValueError("accumulate begins at 1, and repair_batch is at most batch")
        if not self.losses.mask and not self.repair_batch:
            raise ValueError("without mask and without repairs nothing is taught")

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def checked_precision(precision: str) -> None:
    """Raises ValueError unless it is one of PRECISIONS."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {' or '.join(PRECISIONS)}, not {precision!r}")


def read_recipe(path: str | Path, **changes: Any) -> Recipe:
    """A YAML file -> Recipe, with fields replaced. Raises BadData naming the file and the field."""
    import yaml

    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text()) or {}
        data.update({k: v for k, v in changes.items() if v is not None})
        return recipe_from(data)
    except FileNotFoundError as error:
        raise BadData(f"no such recipe: {path}. See the folder recipes.") from error
    except (TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise BadData(f"{path} is not a recipe: {error}") from error


def recipe_from(data: dict[str, Any]) -> Recipe:
    """Fields as a YAML file holds them -> Recipe. Raises TypeError or ValueError on an unknown or bad one."""
    values = dict(data)
    losses = LossWeights(**{GREEK.get(k, k): v for k, v in values.pop("losses", {}).items()})
    for name in ("betas", "takes", "rests"):
        if name in values:
            values[name] = tuple(values[name])
    if isinstance(values.get("network"), dict):
        values["network"] = {k: tuple(v) if isinstance(v, list) else v for k, v in values["network"].items()}
    return Recipe(losses=losses, **values)
