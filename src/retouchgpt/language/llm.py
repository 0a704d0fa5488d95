"""Loads the LLM that writes answers: any Hugging Face causal model by folder or hub id, in bf16, with LoRA if any."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch
from torch import nn

from retouchgpt.core.errors import BadData, MissingExtra, WeightsMissing

PRECISIONS: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
ADAPTER = "adapter_model.safetensors"


def load_llm(source: str | Path, *, precision: str = "fp32", lora: str | Path | None = None) -> tuple[nn.Module, Any]:
    """A frozen causal LLM and its tokenizer.

    source: folder or hub id (the network is used only for an id that is not on this machine yet). precision: fp32 or
    bf16. lora: folder of a PEFT adapter for it, safetensors only. Raises WeightsMissing, BadData, and MissingExtra
    when an adapter is asked for without peft.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    if precision not in PRECISIONS:
        raise BadData(f"no precision {precision!r} for the LLM; one of {', '.join(PRECISIONS)}.")
    logging.disable_progress_bar()  # a library prints nothing
    try:
        model: nn.Module = AutoModelForCausalLM.from_pretrained(
            str(source), use_safetensors=True, dtype=PRECISIONS[precision]
        )
        tokenizer = AutoTokenizer.from_pretrained(str(source))
    except (OSError, ValueError) as error:
        raise WeightsMissing(source) from error
    if lora is not None:
        model = with_adapter(model, Path(lora))
    return model.eval().requires_grad_(False), tokenizer


def with_adapter(model: nn.Module, folder: Path) -> nn.Module:
    """The model with the LoRA weights of a folder on top. Raises WeightsMissing, MissingExtra."""
    try:
        from peft import PeftModel
    except ImportError as error:  # pragma: no cover - the tests' environment has it
        raise MissingExtra("peft", "lora") from error
    if not (folder / ADAPTER).is_file():  # peft would fall back to a pickle
        raise WeightsMissing(folder / ADAPTER)
    return PeftModel.from_pretrained(model, str(folder))  # type: ignore[arg-type]


def cache_word(model: nn.Module) -> str:
    """What the model calls the cache of earlier tokens, in and out: it was renamed within transformers 5."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model  # type: ignore[operator]
    return "cache" if "cache" in inspect.signature(inner.forward).parameters else "past_key_values"


def ends(model: nn.Module, tokenizer: Any) -> tuple[int, ...]:
    """Token ids that end a turn: the tokenizer's, then those of the model's generation settings."""
    settings = getattr(model, "generation_config", None)
    more = getattr(settings, "eos_token_id", None)
    listed = more if isinstance(more, list) else [more]
    return tuple(dict.fromkeys(int(i) for i in (tokenizer.eos_token_id, *listed) if i is not None))
