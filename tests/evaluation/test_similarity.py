"""Similarities and masks against scikit-image, plain loops and hand-computed cases."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from retouchgpt.core.errors import BadData, MissingExtra
from retouchgpt.evaluation import metrics
from retouchgpt.evaluation.masks import average_precision, counts, soft_overlap
from retouchgpt.evaluation.similarity import SCALE_WEIGHTS, delta_e, lpips, ms_ssim, ssim
from retouchgpt.training.perceptual import STAND_IN, GradientPyramid, perceptual


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    import skimage.data

    a = skimage.data.astronaut()[:180, 150:332]
    noise = np.random.default_rng(0).normal(0, 12, a.shape)
    return a, np.clip(a + noise, 0, 255).astype(np.uint8)


def test_ssim_agrees_with_scikit_image(pair: Any) -> None:
    from skimage.metrics import structural_similarity

    reference = structural_similarity(
        *pair, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim(*pair) == pytest.approx(reference, abs=1e-6)
    assert ssim(pair[0], pair[0]) == pytest.approx(1)


def plain_scale(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """SSIM and contrast-structure of one channel by loops over windows."""
    g = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    w = np.outer(g, g) / g.sum() ** 2
    similar, contrast = [], []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            p, q = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            m, n = (w * p).sum(), (w * q).sum()
            vp, vq, c = (w * (p - m) ** 2).sum(), (w * (q - n) ** 2).sum(), (w * (p - m) * (q - n)).sum()
            cs = (2 * c + 58.5225) / (vp + vq + 58.5225)
            contrast.append(cs)
            similar.append(cs * (2 * m * n + 6.5025) / (m * m + n * n + 6.5025))
    return float(np.mean(similar)), float(np.mean(contrast))


def test_ms_ssim_agrees_with_plain_loops(pair: Any) -> None:
    grey = [p[:176, :176, :1].repeat(3, 2) for p in pair]
    x, y = (p[..., 0].astype(float) for p in grey)
    expected = 1.0
    for i, weight in enumerate(SCALE_WEIGHTS):
        similar, contrast = plain_scale(x, y)
        expected *= (similar if i == len(SCALE_WEIGHTS) - 1 else contrast) ** weight
        side = len(x) // 2 * 2
        x, y = (p[:side, :side].reshape(side // 2, 2, side // 2, 2).mean((1, 3)) for p in (x, y))
    assert ms_ssim(*grey) == pytest.approx(expected, abs=1e-9)
    assert ms_ssim(grey[0], grey[0]) == pytest.approx(1)
    with pytest.raises(ValueError, match="161"):
        ms_ssim(grey[0][:100], grey[1][:100])


def test_delta_e_agrees_with_a_published_pair() -> None:
    """Two colours of Sharma, Wu and Dalal's table, through sRGB as far as eight bits reach; and scikit-image's own."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    a, b = np.zeros((2, 2, 3), np.uint8) + 100, np.zeros((2, 2, 3), np.uint8) + 110
    where = np.array([[True, False], [True, True]])
    one = float(deltaE_ciede2000(rgb2lab(a / 255.0)[0, 0], rgb2lab(b / 255.0)[0, 0]))
    assert delta_e(a, b, where) == pytest.approx(3 * one)
    assert delta_e(a, b, np.zeros_like(where)) == 0
    assert float(deltaE_ciede2000([50, 2.6772, -79.7751], [50, 0, -82.7485])) == pytest.approx(2.0425, abs=1e-4)


def test_fixed_damage_and_locality_by_hand() -> None:
    image, target = np.full((20, 20, 3), 100, np.uint8), np.full((20, 20, 3), 100, np.uint8)
    target[5:7, 5:7] = 140
    asked = metrics.visible(image, target)
    out = image.copy()
    out[5, 5], out[5, 6], out[6, 5] = 140, 120, 119
    assert metrics.fixed_pixels(image, out, target, asked) == 2
    assert metrics.fixed_pixels(image, image, target, asked) == 0
    assert metrics.damage(image, out, asked) == 0
    assert metrics.locality(image, out, asked) == 1
    out[19, 19] = 179
    assert metrics.damage(image, out, asked) == pytest.approx(79 / 396)
    assert metrics.locality(image, out, asked) == pytest.approx(79 / 158)
    assert metrics.locality(image, image, asked) is None


def test_soft_overlap_by_hand() -> None:
    low, high = soft_overlap(np.array([0.5, 1.0, 0.0]), np.array([1.0, 0.5, 0.25]))
    assert (low, high) == (1.0, 2.25)


def plain_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Average precision by its definition, ties taken together."""
    out, found = 0.0, 0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        taken = scores >= threshold
        hits = int(truth[taken].sum())
        out += hits / taken.sum() * (hits - found) / truth.sum()
        found = hits
    return out


def test_average_precision_agrees_with_plain_code() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random(400) < 0.2
    scores = np.round((rng.random(400) + truth * 0.4).clip(0, 1.39) / 1.4 * 256) / 256
    ours = average_precision(counts(scores, truth.astype(float)))
    assert float(ours) == pytest.approx(plain_precision(scores, truth))
    assert float(average_precision(counts(truth.astype(float), truth))) == 1
    assert float(average_precision(counts(np.zeros(400), truth))) == pytest.approx(truth.mean())
    assert np.isnan(average_precision(counts(scores, np.zeros(400))))


class FakeLpips(torch.nn.Module):
    def __init__(self, net: str, verbose: bool = True) -> None:
        super().__init__()
        if net == "vgg":
            raise OSError("offline")
        self.scale = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        assert a.min() >= -1
        assert a.max() <= 1
        return self.scale * (a - b).abs().mean((1, 2, 3), keepdim=True)


def test_lpips_is_optional_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(MissingExtra, match=r"retouchgpt\[lpips\]"):
        lpips("alex")
    assert perceptual("auto").name == STAND_IN
    package = ModuleType("lpips")
    package.LPIPS = FakeLpips  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lpips", package)
    a, b = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    assert lpips("alex")(a, b) == pytest.approx(2)
    assert perceptual("auto").name == "LPIPS (alex)"
    assert not any(p.requires_grad for p in perceptual("alex").parameters())
    with pytest.raises(BadData, match="vgg cannot be had"):
        lpips("vgg")
    with pytest.raises(BadData, match="no LPIPS backbone"):
        lpips("squeeze")


def test_the_stand_in_sees_structure() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 48, 48, generator=generator)
    blurred = torch.nn.functional.avg_pool2d(image, 5, 1, 2)
    distance = GradientPyramid()
    assert distance(image, image) == 0
    assert distance(image, image * 0.98) < 0.1 * distance(image, blurred)
    image.requires_grad_()
    distance(image, blurred).backward()
    assert image.grad is not None
    assert image.grad.abs().max() > 0
