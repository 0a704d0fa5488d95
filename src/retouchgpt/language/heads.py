"""Learned heads on the frozen text encoder: what a text is about when the grammar finds nothing to hold on to.

A label is an intent or a key of reasons.DECLINE. Trained by retouchgpt.training.understanding.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from retouchgpt.core.errors import WeightsAltered, WeightsMismatch, WeightsMissing
from retouchgpt.model.checkpoint import sha256
from retouchgpt.model.text_encoder import TextEncoder, load_text_encoder

WEIGHTS, CONFIG = "language.safetensors", "language.json"
FORMAT = 1


class Heads:
    """One linear layer over the encoder's mean state. weight: (labels, 384). bias: (labels,)."""

    def __init__(
        self, labels: tuple[str, ...], weight: Tensor, bias: Tensor, encoder: TextEncoder | None = None
    ) -> None:
        self.labels, self.weight, self.bias = labels, weight.float(), bias.float()
        self._encoder = encoder

    @property
    def encoder(self) -> TextEncoder:
        """The frozen encoder, loaded when a text first needs it."""
        if self._encoder is None:
            self._encoder = _shared_encoder()
        return self._encoder

    @torch.inference_mode()
    def judge(self, text: str) -> tuple[str, float]:
        """The likeliest label of a text and its probability."""
        scores = features(self.encoder, [text]) @ self.weight.T + self.bias
        probability, index = scores.softmax(-1)[0].max(0)
        return self.labels[int(index)], float(probability)

    def save(self, folder: str | Path) -> Path:
        """Write language.safetensors (fp16) and language.json with its hash."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"weight": self.weight.half(), "bias": self.bias.half()}, folder / WEIGHTS)
        config = {"format": FORMAT, "sha256": sha256(folder / WEIGHTS), "labels": list(self.labels)}
        (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Heads:
        """Raises WeightsMissing, WeightsAltered (hash) or WeightsMismatch (version)."""
        folder = Path(folder)
        if not (folder / WEIGHTS).is_file() or not (folder / CONFIG).is_file():
            raise WeightsMissing(folder)
        config = json.loads((folder / CONFIG).read_text())
        if config.get("format") != FORMAT:
            raise WeightsMismatch(folder / CONFIG, f"format {config.get('format')}, expected {FORMAT}")
        actual = sha256(folder / WEIGHTS)
        if actual != config["sha256"]:
            raise WeightsAltered(folder / WEIGHTS, config["sha256"], actual)
        state = load_file(folder / WEIGHTS)
        return cls(tuple(config["labels"]), state["weight"], state["bias"])


def features(encoder: TextEncoder, texts: list[str]) -> Tensor:
    """What the heads read: mean token states of unit length, (B, 384)."""
    return torch.nn.functional.normalize(encoder.encode([t.lower() for t in texts]).pooled(), dim=-1)


@lru_cache(maxsize=1)
def _shared_encoder() -> TextEncoder:
    return load_text_encoder(verify=False)
