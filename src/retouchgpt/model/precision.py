"""Whether bfloat16 pays: a processor without instructions for it trains more than ten times slower in it."""

from __future__ import annotations

import torch


def computes_bfloat16(device: str) -> bool:
    """Whether a device ("cpu", "cuda", ...) has instructions for bfloat16."""
    if device == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)


def autocast(device: str, *, bf16: bool = True) -> torch.autocast:
    """bfloat16 where it is wanted and the device computes in it, else a context that does nothing."""
    return torch.autocast(device, torch.bfloat16, enabled=bf16 and computes_bfloat16(device))
