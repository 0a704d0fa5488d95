"""Parameters by box, beside the counts of the paper's public code."""

from __future__ import annotations

import torch

from .config import NetworkConfig
from .network import RetouchNetwork

PUBLIC_CODE: dict[str, float] = {"encoder": 6.3, "imperfection": 17.3, "transformer": 36.6, "decoder": 26.3}
"""Millions of parameters of the public code's boxes; the other boxes are not told apart there."""


def parameters_by_box(config: NetworkConfig) -> dict[str, int]:
    """Parameters of each box of a configuration, counted on the meta device: no memory is taken.

    `encoder` is the convolutions alone; the strided convolutions to tokens, which the public code keeps elsewhere, are
    `tokens`.
    """
    with torch.device("meta"):
        network = RetouchNetwork(config)
    counts = {name: sum(p.numel() for p in box.parameters()) for name, box in network.named_children()}
    tokens = sum(p.numel() for p in network.encoder.to_tokens.parameters())
    return {"encoder": counts.pop("encoder") - tokens, "tokens": tokens, **counts}


def table(config: NetworkConfig) -> str:
    """Markdown: box, millions of parameters here, in the public code."""
    lines = ["| box | parameters, M | public code, M |", "|---|---|---|"]
    for box, count in parameters_by_box(config).items():
        public = f"{PUBLIC_CODE[box]:.1f}" if box in PUBLIC_CODE else "-"
        lines.append(f"| {box} | {count / 1e6:.2f} | {public} |")
    return "\n".join(lines)
