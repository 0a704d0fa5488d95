"""R: the latent retouching transformer with prompt-based imperfection feature modification (paper, part 6)."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import SCALES, NetworkConfig
from .control import ControlMaps


class GEGLU(nn.Module):
    """(..., C) -> (..., C): linear, GELU-gated, linear (Shazeer, 2020)."""

    def __init__(self, width: int, ratio: float) -> None:
        super().__init__()
        hidden = int(width * ratio)
        self.inner = nn.Linear(width, 2 * hidden)
        self.outer = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.inner(x).chunk(2, -1)
        return self.outer(value * F.gelu(gate))


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # a cached inference tensor could never be trained with
def shift_mask(height: int, width: int, scales: int, window: int, shift: int) -> Tensor:
    """(windows, 1, N, N) bool, True where two positions of a shifted window really are neighbours in the image."""
    label = torch.zeros(height, width)
    cuts = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
    for i, rows in enumerate(cuts):
        for j, columns in enumerate(cuts):
            label[rows, columns] = 3 * i + j
    label = label.view(height // window, window, width // window, window).transpose(1, 2).reshape(-1, window**2)
    label = label.repeat(1, scales)
    return (label[:, :, None] == label[:, None, :])[:, None]


def partition(x: Tensor, scales: int, window: int) -> Tensor:
    """(B, T, H, W, C) -> (B T/scales windows, scales window window, C)."""
    b, t, h, w, c = x.shape
    x = x.view(b, t // scales, scales, h // window, window, w // window, window, c)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, scales * window * window, c)


def merge(x: Tensor, shape: tuple[int, ...], scales: int, window: int) -> Tensor:
    """Inverse of `partition`; shape is (B, T, H, W)."""
    b, t, h, w = shape
    x = x.view(b, t // scales, h // window, w // window, scales, window, window, -1)
    return x.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(b, t, h, w, -1)


class WindowAttention(nn.Module):
    """Attention in 3-D windows over (scale, height, width), queries and keys from two views of the features.

    Over pairs of scales it is self attention on both beside mutual attention, each scale asking the other; over all
    six, or without `mutual`, it is self attention alone. Places are told apart by a learned embedding of the position
    in the window: a learned bias on the attention scores would shut the fused kernels out of training.
    """

    def __init__(self, width: int, heads: int, scales: int, window: int, mutual: bool = True) -> None:
        super().__init__()
        self.heads, self.scales, self.window, self.mutual = heads, scales, window, mutual and scales == 2
        ways = 2 if self.mutual else 1
        self.query, self.key_value = nn.Linear(width, ways * width), nn.Linear(width, ways * 2 * width)
        self.place = nn.Parameter(torch.randn(1, 1, scales * window * window, width // heads) * 0.02)
        self.project = nn.Linear(ways * width, width)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, query: Tensor, normal: Tensor, gamma: Tensor, shift: int) -> Tensor:
        """query, normal: (B, 6, g, g, C). gamma: (B, 6, g, g, 3 C), what is added to q, k and v."""
        shape, width = query.shape[:4], query.shape[-1]
        q, *mutual_q = self.query(query).split(width, -1)
        kv, *mutual_kv = self.key_value(normal).split(2 * width, -1)
        joined = torch.cat([torch.cat([q, kv], -1) + gamma, *mutual_q, *mutual_kv], -1)
        if shift:
            joined = joined.roll((-(self.scales // 2), -shift, -shift), (1, 2, 3))
        windows = partition(self._exact(joined), self.scales, self.window)
        heads = windows.unflatten(-1, (-1, self.heads, width // self.heads)).permute(2, 0, 3, 1, 4)
        out = self._self(heads, shape, shift)
        if self.mutual:
            out = torch.cat([out, self._mutual(heads)], -1)
        merged = merge(self.project(out), shape, self.scales, self.window)
        return merged.roll((self.scales // 2, shift, shift), (1, 2, 3)) if shift else merged

    def _exact(self, x: Tensor) -> Tensor:
        """The fused CPU kernel's backward pass is twice as fast in float32 as in bfloat16."""
        return x.float() if x.requires_grad and x.device.type == "cpu" else x

    def _self(self, heads: Tensor, shape: tuple[int, ...], shift: int) -> Tensor:
        """(3 or 6, windows, heads, N, C / heads) -> (windows, N, C)."""
        mask = self._mask(shape, shift, heads.shape[1]) if shift else None
        q, k = heads[0] + self.place.to(heads.dtype), heads[1] + self.place.to(heads.dtype)
        return F.scaled_dot_product_attention(q, k, heads[2], attn_mask=mask).transpose(1, 2).flatten(2)

    def _mutual(self, heads: Tensor) -> Tensor:
        """Each scale of a pair asks the other; a shifted window that straddles the border may look across it."""
        q, k, v = (x.unflatten(2, (2, -1)) for x in heads[3:])
        k, v = k.flip(2), v.flip(2)
        q, k, v = (x.transpose(1, 2).flatten(0, 1) for x in (q, k, v))
        out = F.scaled_dot_product_attention(q, k, v)
        return out.unflatten(0, (-1, 2)).permute(0, 1, 3, 2, 4).flatten(3).flatten(1, 2)

    def _mask(self, shape: tuple[int, ...], shift: int, rows: int) -> Tensor:
        near = shift_mask(shape[2], shape[3], self.scales, self.window, shift).to(self.place.device)
        return near.repeat(rows // len(near), 1, 1, 1)


class RetouchBlock(nn.Module):
    """PIFM around window attention: queries lean to the imperfections, keys and values to normal skin."""

    def __init__(self, config: NetworkConfig, scales: int, shifted: bool) -> None:
        super().__init__()
        width = config.width
        self.shift = config.window // 2 if shifted else 0
        self.norm_query, self.norm_normal, self.norm_feed = (nn.LayerNorm(width) for _ in range(3))
        self.gamma = nn.Linear(width, 3 * width, bias=False)
        self.pifm = config.pifm
        self.attention = WindowAttention(width, config.heads, scales, config.window, config.mutual)
        self.feed = GEGLU(width, config.feed_forward_ratio)
        nn.init.zeros_(self.feed.outer.weight)
        nn.init.zeros_(self.feed.outer.bias)

    def forward(self, x: Tensor, mask: Tensor, control: ControlMaps) -> Tensor:
        """x: (B, 6, g, g, C). mask: (B, 1, g, g, 1) in [0, 1]. x <- alpha * block(x) + beta; without PIFM block(x)."""
        if not self.pifm:
            control = control.scaled(0.0, 0.0, 0.0)
            mask = torch.zeros_like(mask)  # what leans neither way: x, and 2 x, which the norm brings to x
        query, normal = self.norm_query(x + x * mask), self.norm_normal(x + x * (1 - mask))
        x = x + self.attention(query, normal, self.gamma(control.gamma), self.shift)
        x = x + self.feed(self.norm_feed(x))
        return control.alpha * x + control.beta


class LatentTransformer(nn.Module):
    """R: f_img (B, C, 6, g, g), M_s at the grid (B, 1, g, g), control maps -> repaired tokens (B, C, 6, g, g)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        every = config.full_attention_every
        self.scale_embedding = nn.Parameter(torch.randn(SCALES, 1, 1, config.width) * 0.02)
        self.blocks = nn.ModuleList(
            RetouchBlock(config, SCALES if (i + 1) % every == 0 else 2, shifted=i % 2 == 1)
            for i in range(config.blocks)
        )

    def forward(self, tokens: Tensor, mask: Tensor, control: ControlMaps) -> Tensor:
        x = tokens.permute(0, 2, 3, 4, 1).contiguous() + self.scale_embedding
        where = mask.permute(0, 2, 3, 1)[:, None]
        for block in self.blocks:
            x = block(x, where, control)
        return x.permute(0, 4, 1, 2, 3)
