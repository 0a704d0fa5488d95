"""Perceptual distances: LPIPS where its weights can be had, else a stand-in that says that it is one.

Nothing here is trained. Images are (B, 3, H, W) in [0, 1]; a distance is a scalar that is 0 for equal images.
"""

from __future__ import annotations

import importlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retouchgpt.core.errors import BadData, MissingExtra

BACKBONES = ("alex", "vgg")
STAND_IN = "gradient-pyramid stand-in"
OPPONENT = ((0.299, 0.587, 0.114), (0.5, -0.5, 0.0), (0.25, 0.25, -0.5))
"""Lightness, red-green and yellow-blue of an RGB pixel."""


class Lpips(nn.Module):
    """LPIPS (Zhang et al., 2018) of the package lpips, frozen."""

    def __init__(self, net: str, model: nn.Module) -> None:
        super().__init__()
        self.name = f"LPIPS ({net})"
        self.model = model.eval().requires_grad_(False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.model(a * 2 - 1, b * 2 - 1).mean()


class GradientPyramid(nn.Module):
    """The stand-in: differences of oriented gradients of lightness and opponent colours at four scales, each channel
    scaled to the local energy of both images, as LPIPS scales its features. It has no weights and no training."""

    name = STAND_IN
    opponent: Tensor
    slopes: Tensor

    def __init__(self, scales: int = 4) -> None:
        super().__init__()
        self.scales = scales
        self.register_buffer("opponent", torch.tensor(OPPONENT)[:, :, None, None], persistent=False)
        slope = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
        kernels = torch.stack([slope, slope.T])[:, None].repeat(3, 1, 1, 1)
        self.register_buffer("slopes", kernels, persistent=False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        total = a.new_zeros(())
        for scale in range(self.scales):
            if min(a.shape[-2:]) < 4:
                break
            x, y = self._features(a), self._features(b)
            energy = F.avg_pool2d((x.square() + y.square()).mean(1, keepdim=True), 3, 1, 1) + 1e-4
            total = total + ((x - y).square() / energy).mean() / self.scales
            if scale + 1 < self.scales:
                a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        return total

    def _features(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 6, H, W): both slopes of each opponent channel."""
        colours = F.conv2d(image, self.opponent.to(image.dtype))
        padded = F.pad(colours, (1, 1, 1, 1), mode="replicate")
        return F.conv2d(padded, self.slopes.to(image.dtype), groups=3)


def load_lpips(net: str = "alex") -> Lpips:
    """LPIPS over `alex` or `vgg`.

    Raises MissingExtra where the package lpips is not installed, BadData for another backbone or where the weights of
    this one are neither cached nor to be downloaded.
    """
    if net not in BACKBONES:
        raise BadData(f"no LPIPS backbone {net!r}; one of {', '.join(BACKBONES)}.")
    try:
        package = importlib.import_module("lpips")
    except ImportError as error:
        raise MissingExtra("lpips", "lpips") from error
    try:
        return Lpips(net, package.LPIPS(net=net, verbose=False))
    except (OSError, RuntimeError) as error:
        detail = str(error).splitlines()[0]
        raise BadData(f"the weights of LPIPS over {net} cannot be had ({detail}); fetch them once online.") from error


def perceptual(net: str) -> Lpips | GradientPyramid:
    """`alex` or `vgg`: LPIPS, or the errors of `load_lpips`. `stand-in`: the pyramid. `auto`: LPIPS over alex where it
    can be had, else the stand-in; read `.name` to know which."""
    if net == "stand-in":
        return GradientPyramid()
    if net != "auto":
        return load_lpips(net)
    try:
        return load_lpips()
    except (MissingExtra, BadData):
        return GradientPyramid()
