"""Shine that goes takes the colour of the skin around, and nothing else changes."""

from __future__ import annotations

import torch

from retouchgpt.model.gloss import LUMA, asked, recoloured
from retouchgpt.model.imperfection import given
from retouchgpt.model.network import SHINE, RetouchNetwork
from retouchgpt.model.presets import TINY

SKIN = torch.tensor([0.7, 0.5, 0.4]).view(1, 3, 1, 1)


def luma(x: torch.Tensor) -> torch.Tensor:
    return (x * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def test_a_blown_out_highlight_becomes_skin_instead_of_grey() -> None:
    image, around = torch.ones(1, 3, 8, 8), SKIN.expand(1, 3, 8, 8)
    grey = torch.full_like(image, -0.3)
    correction = recoloured(image, grey, torch.ones(1, 1, 8, 8), around)
    out = image + correction
    torch.testing.assert_close(luma(out), luma(image + grey))
    torch.testing.assert_close(out[:, 0] / out[:, 2], around[:, 0] / around[:, 2])


def test_what_is_no_shine_and_what_is_not_darkened_stays() -> None:
    image, around = torch.full((1, 3, 8, 8), 0.8), SKIN.expand(1, 3, 8, 8)
    darker, lighter = torch.full_like(image, -0.2), torch.full_like(image, 0.1)
    none, all_ = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
    assert torch.equal(recoloured(image, darker, none, around), darker)
    assert torch.equal(recoloured(image, lighter, all_, around), lighter)


def test_only_shine_above_the_gate_counts() -> None:
    assert not asked(torch.full((1, 1, 4, 4), 0.1), 0.1)
    assert asked(torch.full((1, 1, 4, 4), 0.2), 0.1)


def test_the_network_recolours_shine_and_no_other_kind() -> None:
    torch.manual_seed(0)
    network, image = RetouchNetwork(TINY).eval(), torch.ones(1, 3, 128, 128)
    image[:, :, :32] = SKIN
    decoded = torch.full_like(image, -0.3)
    for kind, same in ((SHINE, False), (0, True)):
        kinds = torch.zeros(1, 12, 64, 64)
        kinds[:, kind, 20:40, 20:40] = 1
        out = network.compose(image, decoded, given(kinds), None, None)  # type: ignore[arg-type]
        assert (out.correction[out.mask.expand(-1, 3, -1, -1) == 0] == 0).all()
        middle = out.correction[0, :, 60, 60]
        assert bool((middle == middle[0]).all()) is same
