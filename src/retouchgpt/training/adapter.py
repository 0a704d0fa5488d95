"""LoRA for another LLM: teaches it, on generated dialogues, to write answers from facts, with its own chat template.

    python -m retouchgpt.training.adapter LLM --out FOLDER [--rank 8] [--steps 500] [--batch 8] [--precision bf16]

LLM: folder or hub id of a causal model, which stays frozen. Writes a PEFT adapter (safetensors); use it with
RetouchGPT.from_pretrained(llm=LLM, lora=FOLDER). Needs the extra `lora`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from retouchgpt.core.errors import MissingExtra
from retouchgpt.data.dialogues import dialogue
from retouchgpt.language.answers import AnswerWriter
from retouchgpt.language.llm import load_llm

IGNORED = -100


def with_lora(model: nn.Module, rank: int) -> nn.Module:
    """The frozen model with untrained adapters on all its linear layers. Raises MissingExtra."""
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:  # pragma: no cover - the tests' environment has it
        raise MissingExtra("peft", "lora") from error
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(model, config)  # type: ignore[arg-type]


def example(writer: AnswerWriter, seed: int, index: int) -> tuple[list[int], list[int]]:
    """Token ids of one dialogue and their labels: the answer's, IGNORED before it."""
    turn = dialogue(seed, index)
    before = writer.prompt(turn.facts, turn.instruction)
    said = [*writer.tokenizer(turn.answer, add_special_tokens=False)["input_ids"], writer.ends[0]]
    return before + said, [IGNORED] * len(before) + said


def batch(writer: AnswerWriter, seed: int, start: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """ids, attention and labels, (size, L), padded on the right."""
    rows = [example(writer, seed, start + i) for i in range(size)]
    length = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([r + [writer.ends[0]] * (length - len(r)) for r, _ in rows])
    labels = torch.tensor([r + [IGNORED] * (length - len(r)) for _, r in rows])
    attention = torch.tensor([[1] * len(r) + [0] * (length - len(r)) for r, _ in rows])
    return ids, attention, labels


def train_adapter(
    source: str | Path, folder: Path, *, rank: int = 8, steps: int = 500, size: int = 8, rate: float = 2e-4,
    precision: str = "bf16", seed: int = 1,
) -> Path:  # fmt: skip
    """Train and write the adapter; returns its folder. Raises WeightsMissing, BadData, MissingExtra."""
    torch.manual_seed(seed)
    base, tokenizer = load_llm(source, precision=precision)
    model: Any = with_lora(base, rank).train()
    writer = AnswerWriter(base, tokenizer)
    model.train()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], rate)
    for step in range(steps):
        ids, attention, labels = batch(writer, seed, step * size, size)
        loss = model(input_ids=ids, attention_mask=attention, labels=labels).loss
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    model.save_pretrained(str(folder), safe_serialization=True)
    return folder


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.training.adapter", description=__doc__)
    parser.add_argument("llm")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    options = parser.parse_args(arguments)
    train_adapter(
        options.llm,
        options.out,
        rank=options.rank,
        steps=options.steps,
        size=options.batch,
        precision=options.precision,
    )


if __name__ == "__main__":
    main()
