"""The ratio head: a mark that multiplies the light is undone by a factor, pores and all, on dark skin as on light."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from retouchgpt.core.errors import InvalidPlan
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.model.presets import TINY
from retouchgpt.model.ratio import BANDS, BLACK, QUICK, RatioHead, applied, log_bands
from retouchgpt.model.surround import surround_small

SPOTS = IMPERFECTIONS.index("spots")


def spotted(tone: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Skin with pores, the same with a spot that takes a third of the light, and the spot's mask at half size."""
    pores = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.1
    skin = tone * (1 + pores)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    spot = ((x - 32).square() + (y - 32).square() < 100).float()[None, None]
    return skin, (skin + BLACK) * (1 - spot / 3) - BLACK, F.max_pool2d(spot, 2)


@pytest.mark.parametrize("tone", [0.8, 0.15])
def test_a_share_of_the_ratio_brings_the_skin_back_with_its_pores(tone: float) -> None:
    skin, image, mask = spotted(tone)
    bands = log_bands(F.avg_pool2d(image, 2), surround_small(image, mask))
    head = RatioHead(8)
    kinds = torch.zeros(1, len(IMPERFECTIONS), 32, 32)
    kinds[:, SPOTS] = mask[:, 0]
    features = torch.zeros(1, 8, 32, 32)
    assert all(not y.any() for y in head(features, kinds, bands))  # it starts at nothing
    with torch.no_grad():
        head.kinds.weight[BANDS - 1, SPOTS] = 1 / QUICK
    whole = F.interpolate(head(features, kinds, bands)[0], scale_factor=2, mode="bilinear").detach()
    back = image + applied(image, whole)
    inside = (slice(None), slice(None), slice(28, 36), slice(28, 36))
    assert (back - skin)[inside].abs().mean() < 0.3 * (image - skin)[inside].abs().mean()
    assert back[inside].diff(dim=3).std() == pytest.approx(skin[inside].diff(dim=3).std().item(), rel=0.1)


def test_bands_sum_to_the_ratio_of_surroundings_to_photo() -> None:
    small = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    bands = log_bands(small, torch.full((1, 3, 16, 16), 0.4))
    assert bands.shape == (1, BANDS, 3, 16, 16)
    assert torch.allclose(bands.sum(1), torch.log((0.4 + BLACK) / (small + BLACK)), atol=1e-5)


def test_a_network_without_it_has_none_and_re_synthesis_refuses_it() -> None:
    assert RetouchNetwork(replace(TINY, ratio=False)).decoder.ratio is None
    with pytest.raises(InvalidPlan, match="correction_limit"):
        replace(TINY, correction_limit=0.0)
