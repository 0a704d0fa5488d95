"""How alike two pictures are, as the field measures it. Pictures are uint8 (H, W, 3) RGB; masks boolean (H, W)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .metrics import Image, Mask

WINDOW, SIGMA = 11, 1.5
"""Gaussian window of SSIM (Wang et al., 2004)."""
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of MS-SSIM, finest first (Wang et al., 2003)."""
LEAST_SIDE = (WINDOW - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1


def ssim(a: Image, b: Image) -> float:
    """Structural similarity, mean over channels and over the places whose window lies inside; 1 for equal pictures."""
    similarity, _ = _ssim_maps(a.astype(np.float64), b.astype(np.float64))
    return float(similarity.mean())


def ms_ssim(a: Image, b: Image) -> float:
    """Multi-scale structural similarity in [0, 1], five scales. Raises ValueError for sides below 161 px."""
    if min(a.shape[:2]) < LEAST_SIDE:
        raise ValueError(f"MS-SSIM needs pictures of at least {LEAST_SIDE} px a side, got {a.shape[1]}x{a.shape[0]}")
    x, y, out = a.astype(np.float64), b.astype(np.float64), 1.0
    for i, weight in enumerate(SCALE_WEIGHTS):
        similarity, contrast = _ssim_maps(x, y)
        last = i == len(SCALE_WEIGHTS) - 1
        out *= max(float((similarity if last else contrast).mean()), 0.0) ** weight
        x, y = _halved(x), _halved(y)
    return out


def _ssim_maps(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """SSIM and its contrast-structure part at each place with a whole window, (H - 10, W - 10, 3)."""
    kernel = cv2.getGaussianKernel(WINDOW, SIGMA, cv2.CV_64F)
    inside = slice(WINDOW // 2, -(WINDOW // 2))

    def mean(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return cv2.sepFilter2D(x, cv2.CV_64F, kernel, kernel)[inside, inside]

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_a, mean_b = mean(a), mean(b)
    spread_a, spread_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    contrast = (2 * (mean(a * b) - mean_a * mean_b) + c2) / (spread_a + spread_b + c2)
    return (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1) * contrast, contrast


def _halved(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of 2x2 px; an odd last row or column is left out."""
    h, w = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    return x[:h, :w].reshape(h // 2, 2, w // 2, 2, -1).mean((1, 3))


def delta_e(a: Image, b: Image, where: Mask) -> float:
    """Summed colour difference CIEDE2000 over the pixels of a mask; 0 without any."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    if not where.any():
        return 0.0
    return float(deltaE_ciede2000(*(rgb2lab(x[where][None] / 255.0)[0] for x in (a, b))).sum())


Distance = Callable[[Image, Image], float]


def lpips(net: str) -> Distance:
    """LPIPS (Zhang et al., 2018) over the backbone `alex` or `vgg`, by the package lpips.

    Raises MissingExtra where that is not installed, BadData where its backbone's weights cannot be had.
    """
    import torch

    from retouchgpt.training.perceptual import load_lpips

    distance = load_lpips(net)

    def measure(a: Image, b: Image) -> float:
        x, y = (torch.from_numpy(p.transpose(2, 0, 1).copy()).float()[None] / 255 for p in (a, b))
        with torch.inference_mode():
            return float(distance(x, y))

    return measure
