"""Checkpoints: a folder that is replaced only once the new one is whole, beside the averaged weights to use."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from retouchgpt.core.errors import BadData
from retouchgpt.model.checkpoint import from_pretrained, save_pretrained
from retouchgpt.model.network import RetouchNetwork

from .discriminator import Critic

STATE, AVERAGED = "state", "averaged"
STEP, EXACT, CRITIC = "step.json", "averaged.safetensors", "critic.safetensors"


def save(out: Path, accelerator: Any, averaged: RetouchNetwork, critic: Critic | None, step: int) -> None:
    """Everything that a run goes on from, and `averaged`, which is what others use. Every process calls it.

    Raises BadData where it cannot be written; the last good checkpoint is kept.
    """
    partial = out / f"{STATE}.partial"
    try:
        if accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)
        accelerator.wait_for_everyone()
        accelerator.save_state(str(partial))
        if accelerator.is_main_process:
            _write(partial / EXACT, dict(averaged.state_dict()))
            if critic is not None:
                _write(partial / CRITIC, critic.state())
            (partial / STEP).write_text(json.dumps({"step": step}))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            _replace(partial, out / STATE)
            save_pretrained(averaged, out / AVERAGED)
    except (OSError, SafetensorError, RuntimeError) as error:  # a full disk speaks three languages
        shutil.rmtree(partial, ignore_errors=True)
        detail = str(error).splitlines()[0]
        raise BadData(f"cannot write the checkpoint in {out}: {detail}. The last good one is kept.") from error


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, path)


def _replace(new: Path, place: Path) -> None:
    """The folder `new` at `place`; at every moment one of `place` and its `.old` is whole."""
    old = place.with_suffix(".old")
    if place.exists():
        shutil.rmtree(old, ignore_errors=True)
        place.replace(old)
    new.replace(place)
    shutil.rmtree(old, ignore_errors=True)


def resume(
    out: Path, accelerator: Any, averaged: RetouchNetwork, critic: Critic | None, load: Callable[[str], None]
) -> int:
    """Bring everything to where the folder's run stopped; returns its step, 0 for a new run.

    Raises BadData naming a checkpoint that cannot be read or that another recipe wrote.
    """
    state = out / STATE
    if not state.is_dir():
        state = out / f"{STATE}.old"  # the run died between two renames
    if not (state / STEP).is_file():
        return 0
    try:
        load(str(state))
        exact = state / EXACT
        # runs from before these files were written have the averaged weights beside the state only
        averaged.load_state_dict(load_file(exact) if exact.is_file() else from_pretrained(out / AVERAGED).state_dict())
        if critic is not None and (state / CRITIC).is_file():
            critic.load(load_file(state / CRITIC))
        return int(json.loads((state / STEP).read_text())["step"])
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError) as error:
        detail = str(error).splitlines()[0]
        raise BadData(f"{state} cannot be gone on from: {detail}. Use its own recipe, or another --out.") from error
