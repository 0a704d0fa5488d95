"""The trainer: Accelerate, progress bar, averaged weights, checkpoints, resume, graceful stop."""

from __future__ import annotations

import json
import math
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from tqdm import tqdm

from retouchgpt.core.errors import BadData
from retouchgpt.core.vocabulary import IMPERFECTIONS, spoken
from retouchgpt.model.checkpoint import create, from_pretrained, load_language_model, save_pretrained
from retouchgpt.model.llm_embedding import DialogueTokens, tokenise
from retouchgpt.model.network import RetouchNetwork

from .batches import Crop, PaintedCrops
from .objective import removal, step_losses, weighted
from .recipe import Recipe

STATE, AVERAGED, LOG = "state", "averaged", "log.jsonl"


class FromStep(Sampler[int]):
    """Indices of the crops from a step on, so that a resumed run sees what the uninterrupted one would have."""

    def __init__(self, step: int, recipe: Recipe) -> None:
        self.first, self.last = step * recipe.batch, recipe.steps * recipe.batch

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.last))

    def __len__(self) -> int:
        return self.last - self.first


def rate(step: int, recipe: Recipe) -> float:
    """Learning rate at a step: linear warm-up, then cosine annealing with restarts (Loshchilov and Hutter, 2017)."""
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    phase = (step % recipe.restart) / recipe.restart
    return recipe.final_rate + (recipe.learning_rate - recipe.final_rate) * (1 + math.cos(math.pi * phase)) / 2


def spoken_request(words: Tensor) -> str:
    """A plain instruction for the asked kinds of one crop (12,), for the LLM to read."""
    names = [spoken(kind) for kind, asked in zip(IMPERFECTIONS, words.tolist(), strict=True) if asked]
    return f"Please remove the {' and the '.join(names)}."


class Trainer:
    """One run in one folder: `state` to resume from, `averaged` to use, `log.jsonl`, the effective recipe."""

    def __init__(self, recipe: Recipe, data: Path, out: Path, *, validation: Path | None = None) -> None:
        from accelerate import Accelerator

        torch.set_num_threads(recipe.threads)
        torch.manual_seed(recipe.seed)
        self.recipe, self.out, self.validation = recipe, out, validation
        out.mkdir(parents=True, exist_ok=True)
        self.accelerator = Accelerator(mixed_precision=recipe.precision)
        network = begin(recipe)
        self.averaged = _copy(network)
        optimiser = torch.optim.Adam(_groups(network, recipe), lr=recipe.learning_rate, betas=recipe.betas)
        network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if not recipe.seeing_rate:  # what sees rests, its batch statistics too
            network.encoder.eval()
            network.imperfection.eval()
        self.network, self.optimiser = self.accelerator.prepare(network, optimiser)
        self.tokenizer: Any = None
        if recipe.llm:
            llm, self.tokenizer = load_language_model(recipe.llm)
            self._bare().embedding.attach(llm.to(self.accelerator.device))
        self.step = self._resume()
        self.crops = PaintedCrops(
            data,
            crop=recipe.crop,
            stride=self._bare().config.strides[0],
            seed=recipe.seed + self.accelerator.process_index,
        )
        self.stopping = False

    def fit(self) -> Path:
        """Train to the recipe's last step or to a signal. Returns the folder of the averaged weights.

        Raises BadData when the loss is not a number; the last good checkpoint stays.
        """
        (self.out / "recipe.json").write_text(json.dumps(self.recipe.to_json(), indent=2) + "\n")
        loader = DataLoader(
            self.crops,
            batch_size=self.recipe.batch,
            sampler=FromStep(self.step, self.recipe),
            num_workers=self.recipe.workers,
            collate_fn=_collate,
            worker_init_fn=_deaf,
            prefetch_factor=4 if self.recipe.workers else None,
        )
        with (
            _graceful(self),
            tqdm(total=self.recipe.steps, initial=self.step, unit="step", desc=self.recipe.name) as bar,
        ):
            for crop in loader:
                values = self._train_step(Crop(*(x.to(self.accelerator.device) for x in crop)))
                self.step += 1
                bar.update()
                bar.set_postfix({k: f"{v:.3f}" for k, v in values.items()})
                self._log({"step": self.step, "rate": rate(self.step - 1, self.recipe), **values})
                if self.step % self.recipe.validate_every == 0:
                    self._log({"step": self.step, "validation": self.validate()})
                if self.stopping or self.step % self.recipe.save_every == 0:
                    self.save()
                if self.stopping:
                    break
        self.save()
        return self.out / AVERAGED

    def _train_step(self, crop: Crop) -> dict[str, float]:
        recipe = self.recipe
        for group in self.optimiser.param_groups:
            group["lr"] = rate(self.step, recipe) * group["factor"]
        predicted = round(recipe.predicted_masks * recipe.repair_batch) if self.step >= recipe.teacher_steps else 0
        with self.accelerator.autocast():
            terms = step_losses(
                self._bare(),
                crop,
                recipe.losses,
                repairs=recipe.repair_batch,
                predicted=predicted,
                unnamed=round(recipe.unnamed_masks * recipe.repair_batch),
                dialogue=self._dialogue(crop, recipe.repair_batch),
            )
            total = weighted(terms, recipe.losses)
        if not torch.isfinite(total):
            raise BadData(
                f"the loss is not a number at step {self.step}; the last good checkpoint is {self.out / STATE}"
            )
        self.accelerator.backward(total)
        norms = {
            name: float(self.accelerator.clip_grad_norm_(box.parameters(), recipe.clip))
            for name, box in self._bare().named_children()
        }
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._average()
        return {
            "loss": float(total.detach()),
            **{k: float(v.detach()) for k, v in terms.items()},
            "norm": max(norms.values()),
        }

    def _dialogue(self, crop: Crop, rows: int) -> DialogueTokens | None:
        if self.tokenizer is None or not rows:
            return None
        tokens = tokenise(self.tokenizer, [spoken_request(words) for words in crop.words[:rows]])
        return DialogueTokens(*(x.to(self.accelerator.device) for x in tokens))

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        ours, theirs = list(self.averaged.parameters()), list(self._bare().parameters())
        for kept, seen in zip(self.averaged.buffers(), self._bare().buffers(), strict=True):
            kept.copy_(seen)
        torch._foreach_lerp_(ours, [p.detach() for p in theirs], 1 - decay)  # type: ignore[arg-type]

    def validate(self, batches: int = 24) -> dict[str, Any]:
        """Removal a kind under painted and predicted masks, of the averaged weights, on fixed validation crops."""
        if self.validation is None:
            return {}
        crops = PaintedCrops(
            self.validation, crop=self.recipe.crop, stride=self._bare().config.strides[0], seed=7, augment=False
        )
        if (llm := self._bare().embedding.llm) is not None:
            self.averaged.embedding.attach(llm)
        sums = torch.zeros(2, 2, len(IMPERFECTIONS))
        for i in range(batches):
            crop = _collate([crops[i * 8 + j] for j in range(8)])
            single = crop.words.sum(1) == 1
            for way, painted in enumerate((True, False)):
                with self.accelerator.autocast():
                    after, before = removal(self.averaged, crop, painted_masks=painted)
                for k in range(len(IMPERFECTIONS)):
                    rows = single & (crop.words[:, k] > 0)
                    sums[way, :, k] += torch.stack([after[rows].sum(), before[rows].sum()])
        shares = 1 - sums[:, 0] / sums[:, 1].clamp_min(1e-6)
        return {
            name: {k: round(float(v), 3) for k, v in zip(IMPERFECTIONS, row, strict=True)}
            for name, row in zip(("painted", "predicted"), shares, strict=True)
        }

    def save(self) -> None:
        """State and averaged weights; each folder is replaced only once the new one is whole."""
        if not self.accelerator.is_main_process:
            return
        try:
            partial = self.out / f"{STATE}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            self.accelerator.save_state(str(partial))
            (partial / "step.json").write_text(json.dumps({"step": self.step}))
            old = self.out / f"{STATE}.old"
            shutil.rmtree(old, ignore_errors=True)
            if (self.out / STATE).exists():
                (self.out / STATE).replace(old)
            partial.replace(self.out / STATE)
            shutil.rmtree(old, ignore_errors=True)
            save_pretrained(self.averaged, self.out / AVERAGED)
        except OSError as error:
            raise BadData(f"cannot write the checkpoint in {self.out}: {error}. The last good one is kept.") from error

    def _resume(self) -> int:
        state = self.out / STATE
        if not state.is_dir():
            state = self.out / f"{STATE}.old"  # the run died between two renames
        if not (state / "step.json").is_file():
            return 0
        self.accelerator.load_state(str(state))
        saved = from_pretrained(self.out / AVERAGED)
        self.averaged.load_state_dict(saved.state_dict())
        return int(json.loads((state / "step.json").read_text())["step"])

    def _bare(self) -> RetouchNetwork:
        return self.accelerator.unwrap_model(self.network)

    def _log(self, values: dict[str, Any]) -> None:
        if self.accelerator.is_main_process:
            with (self.out / LOG).open("a") as stream:
                stream.write(json.dumps({"time": round(time.time(), 1), **values}) + "\n")


SEEING = ("encoder", "imperfection")
STEM = "encoder.levels.0.0.conv.weight"


def begin(recipe: Recipe) -> RetouchNetwork:
    """A fresh network of the recipe's size, with its start's weights wherever name and shape agree.

    An encoder from before the second input goes on as it was: what the new channels add begins at zero. Raises BadData
    when nothing agrees.
    """
    network = create(recipe.size, seed=recipe.seed)
    if not recipe.start:
        return network
    start = from_pretrained(recipe.start)
    if start.config == network.config:
        return start
    known, state = start.state_dict(), network.state_dict()
    if known[STEM].shape[1] < state[STEM].shape[1] and known[STEM].shape[0] == state[STEM].shape[0]:
        wider = torch.zeros_like(state[STEM])
        wider[:, : known[STEM].shape[1]] = known[STEM]
        known[STEM] = wider
    taken = {k: v for k, v in known.items() if k in state and v.shape == state[k].shape}
    if not taken:
        raise BadData(f"{recipe.start} holds nothing that a network of size {recipe.size} can begin from")
    network.load_state_dict(state | taken)
    return network


def _groups(network: RetouchNetwork, recipe: Recipe) -> list[dict[str, Any]]:
    """Boxes that see and boxes that repair, each with the factor of its learning rate."""
    boxes = dict(network.named_children())
    sees = [p for name in SEEING for p in boxes[name].parameters()]
    repairs = [p for name, box in boxes.items() if name not in SEEING for p in box.parameters()]
    return [{"params": sees, "factor": recipe.seeing_rate}, {"params": repairs, "factor": 1.0}]


def _copy(network: RetouchNetwork) -> RetouchNetwork:
    averaged = RetouchNetwork(network.config)
    averaged.load_state_dict(network.state_dict())
    return averaged.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _collate(crops: list[Crop]) -> Crop:
    return Crop(*(torch.stack(field) for field in zip(*crops, strict=True)))


def _deaf(worker: int) -> None:
    """Loader processes leave signals to the trainer: a signal to the whole group would else end the run unsaved."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


class _graceful:
    """Within it, SIGINT and SIGTERM ask the trainer to save and stop instead of killing it."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer

    def __enter__(self) -> None:
        self.old = {s: signal.signal(s, self._stop) for s in (signal.SIGINT, signal.SIGTERM)}

    def _stop(self, *_: object) -> None:
        self.trainer.stopping = True

    def __exit__(self, *_: object) -> None:
        for number, handler in self.old.items():
            signal.signal(number, handler)
