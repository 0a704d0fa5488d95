"""G_ctrl: from imperfection prompts to the three control maps alpha, beta, gamma (paper, part 5).

How f_r becomes maps is our own reading: each place of a coarse grid, at each scale, asks the prompts by attention.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import SCALES, NetworkConfig
from .llm_embedding import Prompts


class ControlMaps(NamedTuple):
    """Each (B, 6, g, g, width), channels last for the transformer. alpha scales a block's result (1 changes nothing),
    beta shifts it, gamma is added to queries, keys and values after a projection."""

    alpha: Tensor
    beta: Tensor
    gamma: Tensor

    def scaled(self, alpha: Tensor | float, beta: Tensor | float, gamma: Tensor | float) -> ControlMaps:
        """The maps with each head's effect scaled: the action of the reinforcement agent (paper, part 8)."""
        return ControlMaps(1 + (self.alpha - 1) * alpha, self.beta * beta, self.gamma * gamma)


class Control(nn.Module):
    """Prompts (B, N, D) and M_s (B, 1, h, w) -> ControlMaps for a token grid of side g."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.grid, self.heads, width = config.control_grid, config.heads, config.width
        self.position = nn.Parameter(torch.randn(SCALES, self.grid, self.grid, width) * 0.02)
        self.where = nn.Linear(1, width)
        self.prompt_norm = nn.LayerNorm(config.language_model.width)
        self.key_value = nn.Linear(config.language_model.width, 2 * width)
        self.mix = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU())
        self.to_maps = nn.Linear(2 * width, 3 * width)
        nn.init.zeros_(self.to_maps.weight)
        nn.init.zeros_(self.to_maps.bias)

    def forward(self, prompts: Prompts, mask: Tensor, grid: tuple[int, int]) -> ControlMaps:
        rows, width = len(mask), self.position.shape[-1]
        pooled = F.adaptive_max_pool2d(mask, self.grid).permute(0, 2, 3, 1)[:, None]
        query = (self.position + self.where(pooled)).reshape(rows, -1, width)
        key, value = self.key_value(self.prompt_norm(prompts.hidden)).chunk(2, -1)
        visible = prompts.attention.bool()[:, None, None, :]
        attended = F.scaled_dot_product_attention(
            self._split(query), self._split(key), self._split(value), attn_mask=visible
        )
        x = query + attended.transpose(1, 2).reshape(rows, -1, width)
        maps = self.to_maps(self.mix(x)).view(rows * SCALES, self.grid, self.grid, 3 * width).permute(0, 3, 1, 2)
        maps = F.interpolate(maps, grid, mode="bilinear", align_corners=False)
        alpha, beta, gamma = maps.view(rows, SCALES, 3 * width, *grid).permute(0, 1, 3, 4, 2).split(width, -1)
        return ControlMaps(1 + alpha.contiguous(), beta.contiguous(), gamma.contiguous())

    def _split(self, x: Tensor) -> Tensor:
        """(B, N, C) -> (B, heads, N, C / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
