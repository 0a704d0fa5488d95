"""The trainer: Accelerate, progress bar, averaged weights, checkpoints, resume, graceful stop."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from tqdm import tqdm

from retouchgpt.core.errors import BadData
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.model.checkpoint import load_language_model
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.model.precision import computes_bfloat16
from retouchgpt.model.text_encoder import load_text_encoder

from .batches import Crop, PaintedCrops, collate, packed, unpacked
from .begin import begin
from .board import Board, sheet
from .judges import judges
from .muon import Muon, is_matrix
from .objective import lesson_of, removal, retouched, step_losses, weighted
from .pupil import Pupil
from .recipe import Recipe
from .speech import Reader, dialogue_of, spoken_request
from .state import AVERAGED, STATE, resume, save

LOG = "log.jsonl"
SHOWN = 4
"""Crops of the pictures in TensorBoard."""


class FromStep(Sampler[int]):
    """Indices of one process's crops from a step on, so that a resumed run sees what the uninterrupted one would have.

    A step's crops are dealt out like cards, to the passes of all processes in turn: each process draws its passes one
    after the other, and all of them together draw what a single process would have drawn.
    """

    def __init__(self, step: int, recipe: Recipe, process: int = 0, processes: int = 1) -> None:
        self.step, self.last, self.size = step, recipe.steps, recipe.batch * recipe.accumulate
        self.slots = recipe.accumulate * processes
        self.own = range(process, self.slots, processes)

    def __iter__(self) -> Iterator[int]:
        for step in range(self.step, self.last):
            for slot in self.own:
                yield from range(step * self.size + slot, (step + 1) * self.size, self.slots)

    def __len__(self) -> int:
        return (self.last - self.step) * self.size * len(self.own) // self.slots


def rate(step: int, recipe: Recipe) -> float:
    """Learning rate at a step: linear warm-up, then cosine annealing with restarts (Loshchilov and Hutter, 2017)."""
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    phase = (step % recipe.restart) / recipe.restart
    return recipe.final_rate + (recipe.learning_rate - recipe.final_rate) * (1 + math.cos(math.pi * phase)) / 2


class Trainer:
    """One run in one folder: `state` to resume from, `averaged` to use, `log.jsonl`, the effective recipe.

    data: folder of a painted cache, or any crops by number. Raises BadData on unusable data or a recipe that does not
    fit the number of processes, MissingExtra where a recipe asks for what is not installed.
    """

    def __init__(
        self, recipe: Recipe, data: Path | Dataset[Crop], out: Path, *, validation: Path | None = None
    ) -> None:
        from accelerate import Accelerator, DistributedDataParallelKwargs

        torch.set_num_threads(recipe.threads)
        torch.manual_seed(recipe.seed)
        self.recipe, self.out, self.validation = recipe, out, validation
        out.mkdir(parents=True, exist_ok=True)
        # a stage leaves boxes out (no repairs, no LLM), which data-parallel training must be told
        partly = DistributedDataParallelKwargs(find_unused_parameters=True)
        self.accelerator = Accelerator(mixed_precision=_precision(recipe), kwargs_handlers=[partly])
        _fits(recipe, self.accelerator.num_processes)
        if self.accelerator.device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # crops are of one size
        network = begin(recipe)
        if recipe.losses.kind and not network.config.grounded:
            raise BadData("the term kind compares maps a kind, and this network has one mask for all; set it to 0")
        self.averaged = _copy(network).to(self.accelerator.device)
        self.network, self.optimiser = self._prepared(_pupil(network))
        self.judges = judges(recipe, self.accelerator.device, self._share)
        self.tokenizer: Any = None
        if recipe.llm:
            llm, self.tokenizer = load_language_model(recipe.llm)
            self._bare().embedding.attach(llm.to(self.accelerator.device))
        self.reader = _reader(recipe, network)
        self.step = resume(out, self.accelerator, self.averaged, self.judges.critic, self.accelerator.load_state)
        self.crops = data if isinstance(data, Dataset) else self._crops(data, seed=recipe.seed)
        self.board: Board | None = None
        self.stopping = False

    def _prepared(self, pupil: Pupil) -> tuple[Any, Any]:
        for name in self.recipe.rests:
            pupil.get_submodule(name).requires_grad_(False)
        if self._sharded and self.recipe.optimiser == "muon":
            raise BadData("optimiser muon wants whole weights, and this launch shards them; take adam")
        kind = Muon if self.recipe.optimiser == "muon" else torch.optim.Adam
        optimiser = kind(_groups(pupil, self.recipe), lr=self.recipe.learning_rate, betas=self.recipe.betas)
        pupil.train()
        if not self._sharded:  # shards are flat, whatever the layout
            pupil.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for name in _resting(self.recipe):
            pupil.get_submodule(name).eval()
        if self.accelerator.num_processes > 1 and self.accelerator.device.type == "cuda":
            pupil = torch.nn.SyncBatchNorm.convert_sync_batchnorm(pupil)
        return self.accelerator.prepare(pupil, optimiser)

    @property
    def _sharded(self) -> bool:
        return str(self.accelerator.distributed_type).endswith("FSDP")

    def _crops(self, folder: Path, **options: Any) -> PaintedCrops:
        options = {"real_marks": self.recipe.real_marks} | options
        return PaintedCrops(folder, crop=self.recipe.crop, stride=self._bare().config.strides[0], **options)

    def fit(self) -> Path:
        """Train to the recipe's last step or to a signal. Returns the folder of the averaged weights.

        Raises BadData when the loss is not a number or a crop cannot be read; the last good checkpoint stays.
        """
        main = self.accelerator.is_main_process
        if main:
            (self.out / "recipe.json").write_text(json.dumps(self.recipe.to_json(), indent=2) + "\n")
        self.board = Board(self.out) if main and self.recipe.tensorboard else None
        if self.board is not None:
            self.board.writer.add_text("judges", json.dumps(self.judges.names))
        bar = tqdm(
            total=self.recipe.steps, initial=self.step, unit="step", desc=self.recipe.name, disable=not main
        )  # with the time that is left
        with _graceful(self), bar, closing(self._loader()) as crops:  # loader processes end with it, whatever happens
            for crop in crops:
                values = self._train_step(crop)
                self.step += 1
                bar.update()
                bar.set_postfix({k: f"{v:.3f}" for k, v in values.items()})
                self._log({"step": self.step, "rate": rate(self.step - 1, self.recipe), **values})
                if main and self.step % self.recipe.validate_every == 0:
                    self._log({"step": self.step, "validation": self.validate()})
                if self.stopping or self.step % self.recipe.save_every == 0:
                    self.save()
                if self.stopping:
                    break
        self.save()
        if self.board is not None:
            self.board.close()
        return self.out / AVERAGED

    def _loader(self) -> Generator[Crop, None, None]:
        recipe, accelerator = self.recipe, self.accelerator
        far = accelerator.device.type == "cuda"
        loader = DataLoader(
            self.crops,
            batch_size=recipe.batch * recipe.accumulate // accelerator.num_processes,
            sampler=FromStep(self.step, recipe, accelerator.process_index, accelerator.num_processes),
            num_workers=recipe.workers,
            collate_fn=packed if far else collate,
            worker_init_fn=_deaf,
            prefetch_factor=4 if recipe.workers else None,
            pin_memory=far,
        )
        crops = iter(loader)
        try:
            for crop in crops:
                moved = Crop(*(x.to(accelerator.device, non_blocking=far) for x in crop))
                yield unpacked(moved) if far else moved
        except BadData as error:  # a worker's comes with its traceback
            said = str(error).strip().splitlines()[-1].removeprefix(f"{BadData.__module__}.{BadData.__name__}: ")
            raise BadData(said) from error
        finally:
            if recipe.workers:  # they are deaf to signals, so an error that holds the iterator would keep them for ever
                crops._shutdown_workers()  # type: ignore[attr-defined]

    def _train_step(self, crop: Crop) -> dict[str, float]:
        recipe, slots = self.recipe, self.recipe.accumulate * self.accelerator.num_processes
        for group in self.optimiser.param_groups:
            group["lr"] = rate(self.step, recipe) * group["factor"]
        logged: dict[str, float] = {}
        rows = len(crop.image) // recipe.accumulate
        for i in range(recipe.accumulate):
            part = Crop(*(x[i * rows : (i + 1) * rows] for x in crop))
            waits = i + 1 < recipe.accumulate
            with self.accelerator.no_sync(self.network) if waits else nullcontext():
                slot = i * self.accelerator.num_processes + self.accelerator.process_index
                for name, value in self._pass(part, slot, slots).items():
                    logged[name] = logged.get(name, 0.0) + value / recipe.accumulate
        logged = self._agreed(logged)
        norms = [
            float(self.accelerator.clip_grad_norm_(box.parameters(), recipe.clip))
            for _, box in self._bare().named_children()
        ]
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._average()
        return {**logged, "norm": max(norms)}

    def _pass(self, crop: Crop, slot: int, slots: int) -> dict[str, float]:
        """One pass forward and backward; its terms by name, the sum first."""
        recipe, lesson = self.recipe, lesson_of(self.recipe, self.step, slot, slots)
        dialogue, labels = None, None
        if self.tokenizer is not None and lesson.repairs:
            dialogue, labels = dialogue_of(self.tokenizer, crop, lesson.repairs, answered=lesson.logits)
            moved = {name: x.to(crop.image.device) for name, x in dialogue._asdict().items() if x is not None}
            dialogue = dialogue._replace(**moved)
            labels = labels if labels is None else labels.to(crop.image.device)
        with self.accelerator.autocast():
            shown = self.network(crop, lesson, dialogue, self._read(crop))
            terms, watched = step_losses(shown, crop, recipe, self.judges, labels)
            total = weighted(terms, recipe.losses)
        self.accelerator.backward(total / recipe.accumulate if recipe.accumulate > 1 else total)
        return {k: float(v.detach()) for k, v in ({"loss": total} | terms | watched).items()}

    def _read(self, crop: Crop) -> Tensor | None:
        """f_txt of the requests, for the fused IIP."""
        if self.reader is None:
            return None
        return self.reader([spoken_request(words) for words in crop.words]).to(crop.image.device)

    def _agreed(self, logged: dict[str, float]) -> dict[str, float]:
        """Means over all processes, which also agree on stopping. Raises BadData in each where a loss is no number."""
        values = torch.tensor([*logged.values(), float(self.stopping)], dtype=torch.float64)
        if self.accelerator.num_processes > 1:
            values = self.accelerator.reduce(values.to(self.accelerator.device), "mean")
        if not torch.isfinite(values).all():
            raise BadData(
                f"the loss is not a number at step {self.step}; the last good checkpoint is {self.out / STATE}"
            )
        self.stopping = bool(values[-1] > 0)
        return dict(zip(logged, values.tolist(), strict=False))

    def _share(self, gradients: Sequence[Tensor]) -> None:
        """Mean over all processes, in place, in one message."""
        if self.accelerator.num_processes > 1:
            flat = self.accelerator.reduce(torch.cat([g.flatten() for g in gradients]), "mean")
            for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
                gradient.copy_(part.view_as(gradient))

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        ours, theirs = list(self.averaged.parameters()), list(self._bare().parameters())
        for kept, seen in zip(self.averaged.buffers(), self._bare().buffers(), strict=True):
            kept.copy_(_whole(seen))
        torch._foreach_lerp_(ours, [_whole(p.detach()) for p in theirs], 1 - decay)  # type: ignore[arg-type]

    def validate(self, batches: int = 24) -> dict[str, Any]:
        """Removal a kind under painted and predicted masks, of the averaged weights, on fixed validation crops."""
        if self.validation is None:
            return {}
        crops = self._crops(self.validation, seed=7, augment=False)
        if (llm := self._bare().embedding.llm) is not None:
            self.averaged.embedding.attach(llm)
        sums = torch.zeros(2, 2, len(IMPERFECTIONS))
        for i in range(batches):
            crop = Crop(*(x.to(self.accelerator.device) for x in collate([crops[i * 8 + j] for j in range(8)])))
            single = crop.words.sum(1) == 1
            for way, painted in enumerate((True, False)):
                with self.accelerator.autocast():
                    image = retouched(
                        self.averaged, crop, painted_masks=painted, located=self.recipe.located, text=self._read(crop)
                    )
                after, before = removal(crop, image)
                for k in range(len(IMPERFECTIONS)):
                    rows = single & (crop.words[:, k] > 0)
                    sums[way, :, k] += torch.stack([after[rows].sum(), before[rows].sum()]).cpu()
            if self.board is not None and not i:
                few = Crop(*(x[:SHOWN] for x in crop))
                self.board.picture(self.step, sheet(few, image[:SHOWN]))
        shares = 1 - sums[:, 0] / sums[:, 1].clamp_min(1e-6)
        return {
            name: {k: round(float(v), 3) for k, v in zip(IMPERFECTIONS, row, strict=True)}
            for name, row in zip(("painted", "predicted"), shares, strict=True)
        }

    def save(self) -> None:
        """State and averaged weights; each folder is replaced only once the new one is whole. Raises BadData."""
        save(self.out, self.accelerator, self.averaged, self.judges.critic, self.step)

    def _bare(self) -> RetouchNetwork:
        return self.accelerator.unwrap_model(self.network)

    def _log(self, values: dict[str, Any]) -> None:
        if not self.accelerator.is_main_process:
            return
        with (self.out / LOG).open("a") as stream:
            stream.write(json.dumps({"time": round(time.time(), 1), **values}) + "\n")
        if self.board is not None:
            for group in values.get("validation", {}):
                self.board.add(self.step, values["validation"][group], f"removal, {group} masks")
            self.board.add(self.step, {k: v for k, v in values.items() if isinstance(v, float)})


SEEING = ("encoder", "imperfection")


def _fits(recipe: Recipe, processes: int) -> None:
    """Raises BadData where a pass cannot be dealt out evenly."""
    for name in ("batch", "repair_batch"):
        number = getattr(recipe, name)
        if number % processes:
            raise BadData(f"{name} {number} of the recipe {recipe.name} is no multiple of {processes} processes")


def _precision(recipe: Recipe) -> str:
    """What Accelerate is told: the recipe's precision where the device computes in it, else float32."""
    return recipe.precision if computes_bfloat16("cuda" if torch.cuda.is_available() else "cpu") else "no"


def _resting(recipe: Recipe) -> tuple[str, ...]:
    """Boxes whose batch statistics rest: what the recipe says, and what sees where its rate is 0."""
    return recipe.rests if recipe.seeing_rate else (*recipe.rests, *SEEING)


def _reader(recipe: Recipe, network: RetouchNetwork) -> Reader | None:
    """The text encoder, for the fused IIP only. Raises WeightsMissing, or BadData where its width is another."""
    if network.config.grounded or not recipe.located:
        return None
    encoder = load_text_encoder(recipe.text_encoder or None)
    if encoder.width != network.config.text_width:
        raise BadData(f"the text encoder's width is {encoder.width}, the network expects {network.config.text_width}")
    return Reader(encoder)


def _groups(network: RetouchNetwork, recipe: Recipe) -> list[dict[str, Any]]:
    """Boxes that see and boxes that repair, without what rests, each with the factor of its learning rate, and for
    Muon the matrices of each by themselves."""
    boxes = dict(network.named_children())
    sees = [p for name in SEEING for p in boxes[name].parameters() if p.requires_grad]
    repairs = [p for name, box in boxes.items() if name not in SEEING for p in box.parameters() if p.requires_grad]
    both = ((sees, recipe.seeing_rate), (repairs, 1.0))
    if recipe.optimiser == "adam":
        return [{"params": weights, "factor": factor} for weights, factor in both]
    return [
        {"params": [p for p in weights if is_matrix(p) is matrices], "factor": factor, "matrices": matrices}
        for weights, factor in both
        for matrices in (True, False)
    ]


def _copy(network: RetouchNetwork) -> RetouchNetwork:
    averaged = RetouchNetwork(network.config)
    averaged.load_state_dict(network.state_dict())
    return averaged.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _pupil(network: RetouchNetwork) -> Pupil:
    pupil = Pupil(network.config)
    pupil.load_state_dict(network.state_dict())
    return pupil


def _whole(x: Tensor) -> Tensor:
    """A tensor, gathered from all processes where it lies in shards."""
    return x.full_tensor() if hasattr(x, "full_tensor") else x


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
