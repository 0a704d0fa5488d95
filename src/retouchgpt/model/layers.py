"""Convolutions shared by encoder, imperfection prediction, decoder and discriminator.

Norms: what sees (encoder, imperfection prediction) has batch normalisation, since with each position's features merely
brought to unit length every map collapsed to a constant within 300 steps. What repairs (decoder) has that unit length
(PixelNorm, Karras et al., 2018), which knows no batch, so training and use are the same function.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2


class ConvAct(nn.Module):
    """3x3 (or 1x1) convolution and leaky ReLU: (B, in, H, W) -> (B, out, H/stride, W/stride)."""

    def __init__(self, channels_in: int, channels_out: int, *, stride: int = 1, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2)
        nn.init.kaiming_normal_(self.conv.weight, a=SLOPE)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.conv(x), SLOPE, inplace=True)


class ResBlock(nn.Module):
    """x + conv(act(conv(x))), the branch starting at zero: (B, C, H, W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvAct(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x))


class PixelNorm(nn.Module):
    """Each position's channels scaled to a root mean square of 1, then by a learned gain: (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.permute(0, 2, 3, 1)
        return F.rms_norm(flat, flat.shape[-1:], self.gain.to(x.dtype), 1e-4).permute(0, 3, 1, 2)


def stack(channels_in: int, channels_out: int, depth: int, *, stride: int = 1, norm: bool = True) -> nn.Sequential:
    """One convolution to `channels_out`, `depth` residual blocks, then batch norm, or PixelNorm without `norm`."""
    blocks = (ResBlock(channels_out) for _ in range(depth))
    last = nn.BatchNorm2d(channels_out) if norm else PixelNorm(channels_out)
    return nn.Sequential(ConvAct(channels_in, channels_out, stride=stride), *blocks, last)


def zero_conv(channels_in: int, channels_out: int, kernel: int = 1) -> nn.Conv2d:
    """A convolution that starts as zero, for heads whose effect should grow from nothing."""
    conv = nn.Conv2d(channels_in, channels_out, kernel, 1, kernel // 2)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def upsample(x: Tensor, factor: int) -> Tensor:
    """Bilinear enlargement by a whole factor: (B, C, H, W) -> (B, C, H factor, W factor)."""
    return x if factor == 1 else F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
