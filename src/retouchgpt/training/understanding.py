"""Trains the heads that judge what the grammar cannot read.

    python -m retouchgpt.training.understanding --out FOLDER [--texts 4000] [--seed 1]

Generated requests, their intents and reasons for declining; the encoder stays frozen. Writes language.safetensors and
language.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from retouchgpt.data.dialogues import dialogue
from retouchgpt.data.requests import REQUESTS, out_of_scope
from retouchgpt.language.heads import Heads, features
from retouchgpt.model.text_encoder import TextEncoder, load_text_encoder

INTENTS = ("retouch", "inspect", "adjust", "undo", "redo", "reset")
LABELS: tuple[str, ...] = (*INTENTS, *REQUESTS, "gibberish", "language")
BATCH = 64
STEPS = 1500
SHARPNESS = 20.0
"""Unit vectors times this are what the linear layer reads while training; folded into its weight when saved."""


def examples(count: int, seed: int) -> Iterator[tuple[str, int]]:
    """Text and label: half requests that are the job, half that are not, every reason alike."""
    rng = np.random.default_rng(seed)
    reasons = LABELS[len(INTENTS) :]
    made = 0
    index = 0
    while made < count // 2:
        turn = dialogue(seed, index)
        index += 1
        if turn.facts.intent in INTENTS:
            made += 1
            yield turn.instruction, LABELS.index(turn.facts.intent)
    for n in range(count - made):
        reason = reasons[n % len(reasons)]
        yield out_of_scope(reason, rng), LABELS.index(reason)


@torch.inference_mode()
def encoded(encoder: TextEncoder, texts: list[str]) -> Tensor:
    """(N, 384) features, in batches of like length."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    out = torch.empty(len(texts), encoder.width)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        out[rows] = features(encoder, [texts[i] for i in rows])
    return out


def fit(inputs: Tensor, labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Softmax regression: weight (labels, 384) and bias."""
    torch.manual_seed(seed)
    layer = torch.nn.Linear(inputs.shape[1], len(LABELS))
    optimiser = torch.optim.AdamW(layer.parameters(), 3e-3, weight_decay=0.02)
    for step in range(STEPS):
        rows = torch.randint(len(inputs), (256,))
        noisy = inputs[rows] * SHARPNESS + 0.15 * torch.randn(len(rows), inputs.shape[1])
        loss = F.cross_entropy(layer(noisy), labels[rows], label_smoothing=0.02)
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * (1 - step / STEPS)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return layer.weight.detach() * SHARPNESS, layer.bias.detach()


def train(count: int, seed: int, folder: Path) -> float:
    """Train, save, and return the accuracy on a tenth of the texts that was held back."""
    encoder = load_text_encoder()
    rows = list(examples(count, seed))
    inputs = encoded(encoder, [text for text, _ in rows])
    labels = torch.tensor([label for _, label in rows])
    held = torch.arange(len(rows)) % 10 == 0
    weight, bias = fit(inputs[~held], labels[~held], seed)
    Heads(LABELS, weight, bias, encoder).save(folder)
    return float(((inputs[held] @ weight.T + bias).argmax(-1) == labels[held]).float().mean())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.training.understanding", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    accuracy = train(options.texts, options.seed, options.out)
    print(f"accuracy on held-back texts: {accuracy:.3f}")


if __name__ == "__main__":
    main()
