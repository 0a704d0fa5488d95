"""The fill from a mask's border: exact on flat skin, smooth on a slope, blind to what is under the mask."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.model.checkpoint import create
from retouchgpt.model.imperfection import given
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.model.presets import TINY
from retouchgpt.model.surround import surround


def mask_of(size: int, low: int, high: int) -> torch.Tensor:
    mask = torch.zeros(1, 1, size, size)
    mask[..., low:high, low:high] = 1
    return mask


@pytest.mark.parametrize("factor", [1, 2])
def test_flat_skin_is_filled_with_its_own_colour(factor: int) -> None:
    image = torch.full((1, 3, 128, 128), 0.6)
    image[..., 50:70, 50:70] = 0.1
    filled = surround(image, mask_of(128 // factor, 46 // factor, 74 // factor))
    torch.testing.assert_close(filled, torch.full_like(filled, 0.6), atol=1e-4, rtol=0)


def test_a_slope_goes_on_through_the_mask() -> None:
    slope = torch.linspace(0.2, 0.8, 128).expand(1, 3, 128, 128).clone()
    dark = slope.clone()
    dark[..., 56:72, 56:72] = 0.0
    filled = surround(dark, mask_of(64, 26, 38))
    assert (filled - slope)[..., 56:72, 56:72].abs().max() < 0.02


def test_beside_the_mask_the_photo_stays_as_it_is() -> None:
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    filled = surround(image, mask_of(64, 24, 40))
    beside = torch.ones(64, 64, dtype=torch.bool)
    beside[24:40, 24:40] = False
    assert (filled - image)[..., beside].abs().max() < 0.05


def test_a_large_mask_is_filled_from_its_nearest_edge() -> None:
    image = torch.full((1, 3, 256, 256), 0.7)
    image[..., 128:] = 0.4
    filled = surround(image, mask_of(256, 64, 192))[0, 0, 128]
    assert filled[66] == pytest.approx(0.7, abs=0.01)
    assert filled[189] == pytest.approx(0.4, abs=0.01)
    assert (filled.diff() <= 1e-4).all()


def test_a_faint_mask_is_half_believed() -> None:
    image = torch.full((1, 3, 64, 64), 0.6)
    image[..., 28:36, 28:36] = 0.2
    faint = surround(image, mask_of(64, 28, 36) * 0.1)
    assert (faint[..., 31, 31] < 0.3).all(), "what may be no mark at all is not filled in"


def test_what_lies_under_the_mask_does_not_matter() -> None:
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    other = image.clone()
    other[..., 20:40, 20:40] = 1 - other[..., 20:40, 20:40]
    mask = mask_of(32, 10, 20)
    torch.testing.assert_close(surround(image, mask), surround(other, mask))


def test_a_mask_over_everything_stays_finite() -> None:
    assert torch.isfinite(surround(torch.rand(1, 3, 32, 32), torch.ones(1, 1, 32, 32))).all()


def test_an_opaque_kind_takes_the_surround_and_others_stay_as_they_are() -> None:
    network = create("tiny")
    assert network.decoder.opaque is not None
    moles, hairs = IMPERFECTIONS.index("moles"), IMPERFECTIONS.index("stray_hairs")
    with torch.no_grad():
        network.decoder.opaque.weight[0, moles] = 1.0  # type: ignore[index]
    skin = torch.full((1, 3, 128, 128), 0.6)
    image, kinds = skin.clone(), torch.zeros(1, len(IMPERFECTIONS), 64, 64)
    image[..., 60:68, 60:68], kinds[:, moles, 28:36, 28:36] = 0.35, 1.0
    with torch.inference_mode():
        features = network.encode(image)
        gone, left = (
            network.repair(image, features, given(k)).image for k in (kinds, torch.roll(kinds, hairs - moles, 1))
        )
    assert (gone - skin).abs().max() < 0.03
    assert (left - skin)[..., 61:67, 61:67].abs().min() > 0.2
    assert RetouchNetwork(replace(TINY, opaque=False)).decoder.opaque is None
