"""E_img: the convolutional image encoder and its six scale tokens (paper, part 1)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .config import SCALES, NetworkConfig
from .layers import stack


class ImageFeatures(NamedTuple):
    """What one look at the image leaves behind; computed once a photo, used by every instruction.

    maps: six maps, map i of shape (B, channels[i], size / strides[i], size / strides[i]).
    tokens: f_img, (B, width, 6, grid, grid).
    """

    maps: tuple[Tensor, ...]
    tokens: Tensor


class ImageEncoder(nn.Module):
    """Image (B, 3, size, size), sRGB in [0, 1] -> ImageFeatures.

    Where the finest stride is above 1 the image enters through a pixel-unshuffle (ours; full-resolution convolutions
    with few channels cost ten times more on a CPU); the paper's numbers keep a plain first convolution at stride 1.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.stem = nn.PixelUnshuffle(config.strides[0])
        channels = (3 * config.strides[0] ** 2, *config.channels)
        strides = (config.strides[0], *config.strides)
        self.levels = nn.ModuleList(
            stack(channels[i], channels[i + 1], config.encoder_depth, stride=strides[i + 1] // strides[i])
            for i in range(SCALES)
        )
        self.to_tokens = nn.ModuleList(
            self._tokeniser(config.channels[i], config.width, config.strides[-1] // config.strides[i])
            for i in range(SCALES)
        )

    @staticmethod
    def _tokeniser(channels: int, width: int, stride: int) -> nn.Conv2d:
        """Strided convolution over non-overlapping patches, so that each token sees its own position only."""
        return nn.Conv2d(channels, width, stride, stride)

    def forward(self, image: Tensor) -> ImageFeatures:
        if image.ndim != 4 or image.shape[1] != 3 or image.shape[2] % 16 or image.shape[3] % 16:
            raise ValueError(f"image must be (B, 3, H, W) with H and W multiples of 16, got {tuple(image.shape)}")
        x = self.stem(image * 2 - 1)
        maps = []
        for level in self.levels:
            x = level(x)
            maps.append(x)
        tokens = torch.stack([project(m) for project, m in zip(self.to_tokens, maps, strict=True)], 2)
        return ImageFeatures(tuple(maps), tokens)
