"""Weights on disk: config.json and model.safetensors in one folder, strict, hashed, never a pickle."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from retouchgpt.core.errors import (
    BadData,
    InvalidPlan,
    WeightsAltered,
    WeightsMismatch,
    WeightsMissing,
    WeightsNotFinite,
)

from .config import NetworkConfig
from .network import RetouchNetwork
from .presets import PRESETS

FORMAT = 1
"""Version of the folder's layout; raised when old weights can no longer be read."""
CONFIG, WEIGHTS, LLM = "config.json", "model.safetensors", "llm"


def shipped(name: str = "compact") -> Path:
    """Folder of the weights inside the package."""
    return Path(str(files("retouchgpt"))) / "weights" / name


def sha256(path: Path) -> str:
    """Hash of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def create(name: str, *, seed: int = 0, **changes: Any) -> RetouchNetwork:
    """An untrained network of a preset, with fields of its configuration replaced. Raises InvalidPlan on a bad name."""
    if name not in PRESETS:
        raise InvalidPlan(f"no size {name!r}; one of {', '.join(PRESETS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return RetouchNetwork(replace(PRESETS[name], **changes))


def save_pretrained(network: RetouchNetwork, folder: str | Path, *, dtype: torch.dtype = torch.float32) -> Path:
    """Write config.json and model.safetensors; each file appears whole or not at all. Returns the folder.

    Raises BadData where a weight is not finite: an infinite variance makes a whole level silent, and nothing fails.
    """
    folder = Path(folder)
    if unfit := not_finite(network):
        raise BadData(f"weights that are not finite are not written: {', '.join(unfit)}")
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: value.detach().to("cpu", _stored(value, dtype)).contiguous()
        for name, value in network.state_dict().items()
    }
    partial = folder / f".{WEIGHTS}.{os.getpid()}"
    save_file(state, partial, metadata={"format": "pt"})
    config = {"format": FORMAT, "sha256": sha256(partial), "network": network.config.to_json()}
    text = folder / f".{CONFIG}.{os.getpid()}"
    text.write_text(json.dumps(config, indent=2) + "\n")
    partial.replace(folder / WEIGHTS)
    text.replace(folder / CONFIG)
    return folder


def not_finite(network: torch.nn.Module) -> list[str]:
    """Names of weights and statistics that hold an infinity or no number."""
    return [name for name, value in network.state_dict().items() if not bool(value.isfinite().all())]


def _stored(value: torch.Tensor, dtype: torch.dtype) -> torch.dtype:
    """The type a tensor is written in: its own where it is a count or where `dtype` cannot hold its range."""
    if not value.is_floating_point() or float(value.detach().abs().max()) > torch.finfo(dtype).max / 2:
        return value.dtype
    return dtype


def from_pretrained(folder: str | Path | None = None, *, finite: bool = True) -> RetouchNetwork:
    """Read a folder (default: the shipped `compact`) into a network in evaluation mode, float32, channels last.

    Raises WeightsMissing, WeightsAltered (hash), WeightsMismatch (version, configuration, names or shapes), and, with
    `finite`, WeightsNotFinite.
    """
    folder = shipped() if folder is None else Path(folder)
    config_path, weights_path = folder / CONFIG, folder / WEIGHTS
    if not config_path.is_file() or not weights_path.is_file():
        raise WeightsMissing(folder)
    config = _read_config(config_path)
    actual = sha256(weights_path)
    if actual != config["sha256"]:
        raise WeightsAltered(weights_path, config["sha256"], actual)
    try:
        network = RetouchNetwork(NetworkConfig.from_json(config["network"]))
        network.load_state_dict(load_file(weights_path), strict=True)  # copies into float32
    except (TypeError, KeyError, RuntimeError, InvalidPlan) as error:
        raise WeightsMismatch(weights_path, str(error).splitlines()[0]) from error
    if finite and (unfit := not_finite(network)):
        raise WeightsNotFinite(weights_path, ", ".join(unfit))
    return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text())
        version, _, _ = config["format"], config["sha256"], config["network"]
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsMismatch(path, f"not a configuration of this package ({error})") from error
    if version != FORMAT:
        raise WeightsMismatch(path, f"format {version}, this version reads {FORMAT}")
    return config


def load_language_model(folder: str | Path) -> tuple[torch.nn.Module, Any]:
    """Any Hugging Face causal LLM and its tokenizer from a folder or hub id; no network unless the id needs one.

    Raises WeightsMissing when the folder has no model.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # a library prints nothing
    try:
        model = AutoModelForCausalLM.from_pretrained(str(folder), use_safetensors=True)
        return model.eval().requires_grad_(False), AutoTokenizer.from_pretrained(str(folder))
    except (OSError, ValueError) as error:
        raise WeightsMissing(folder) from error
