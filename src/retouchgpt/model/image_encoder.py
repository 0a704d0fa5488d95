"""E_img: the convolutional image encoder and its six scale tokens (paper, part 1)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
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
    With `local_contrast` a second copy enters beside it, in which faint marks stand out (ours).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.stem = nn.PixelUnshuffle(config.strides[0])
        self.contrast = config.local_contrast
        inputs = 6 if config.local_contrast else 3
        channels = (inputs * config.strides[0] ** 2, *config.channels)
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
        seen = image * 2 - 1
        if self.contrast:
            seen = torch.cat([seen, local_contrast(image, self.contrast)], 1)
        x = self.stem(seen)
        maps = []
        for level in self.levels:
            x = level(x)
            maps.append(x)
        tokens = torch.stack([project(m) for project, m in zip(self.to_tokens, maps, strict=True)], 2)
        return ImageFeatures(tuple(maps), tokens)


AROUND = 16
"""Side, in px, of the cells whose means stand for the skin around a pixel."""


def local_contrast(image: Tensor, gain: float) -> Tensor:
    """Each pixel against its surroundings, as a share of them, so that a mark counts alike on every skin tone and in
    every light: (B, 3, H, W) in [0, 1] -> (-1, 1). H and W multiples of 16."""
    cells = F.avg_pool2d(image, AROUND)
    cells = F.avg_pool2d(cells, 3, 1, 1, count_include_pad=False)
    around = F.interpolate(cells, image.shape[-2:], mode="bilinear", align_corners=False)
    return torch.tanh((image - around) / (around + 0.05) * gain)
