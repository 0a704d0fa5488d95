"""Muon: orthogonal steps for matrices and convolutions, Adam's own for the rest."""

from __future__ import annotations

import pytest
import torch

from retouchgpt.model.checkpoint import create
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.training.muon import LIKE_ADAM, Muon, is_matrix, orthogonal
from retouchgpt.training.recipe import Recipe
from retouchgpt.training.trainer import _groups


@pytest.mark.parametrize("shape", [(3, 32, 288), (2, 288, 32), (1, 64, 64)])
def test_a_step_is_about_orthogonal_and_keeps_the_directions(shape: tuple[int, int, int]) -> None:
    rng = torch.Generator().manual_seed(0)
    left = torch.linalg.qr(torch.randn(shape[0], shape[1], shape[1], generator=rng)).Q[:, :, : min(shape[1:])]
    right = torch.linalg.qr(torch.randn(shape[0], shape[2], shape[2], generator=rng)).Q[:, :, : min(shape[1:])]
    sizes = torch.logspace(0, -1.5, min(shape[1:]))
    out = orthogonal(left * sizes @ right.mT)
    values = torch.linalg.svdvals(out)
    assert values.min() > 0.6
    assert values.max() < 1.3
    along = (left.mT @ out @ right).diagonal(dim1=-2, dim2=-1)
    assert (along / values.mean()).min() > 0.5  # neither turned nor mirrored


def test_convolutions_step_as_matrices_and_biases_as_with_adam() -> None:
    torch.manual_seed(1)
    layer = torch.nn.Conv2d(32, 64, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    twin = torch.nn.Conv2d(32, 64, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    twin.load_state_dict(layer.state_dict())
    begun = layer.weight.detach().clone()
    optimiser = Muon(
        [{"params": [layer.weight], "matrices": True}, {"params": [layer.bias], "matrices": False}], lr=0.01
    )
    adam = torch.optim.Adam(twin.parameters(), lr=0.01)
    for _ in range(3):
        for one in (layer, twin):
            one(torch.linspace(-1, 1, 32 * 49).view(1, 32, 7, 7)).square().mean().backward()
        before = layer.weight.detach().clone()
        optimiser.step()
        step = (layer.weight.detach() - before).flatten(1)
        assert torch.linalg.svdvals(step).max() < 1.3 * 0.01 * LIKE_ADAM * 288**0.5
        adam.step()
        if torch.equal(before, begun):  # the gradients of the first step are the same
            assert torch.equal(layer.bias, twin.bias)
        optimiser.zero_grad()
        adam.zero_grad()
    assert not torch.equal(layer.weight, begun)


def test_every_weight_of_a_network_is_in_one_group() -> None:
    network: RetouchNetwork = create("compact", seed=0)
    for optimiser in ("adam", "muon"):
        groups = _groups(network, Recipe(name="r", optimiser=optimiser))
        members = [id(p) for group in groups for p in group["params"]]
        assert sorted(members) == sorted(id(p) for p in network.parameters())
    matrices = {id(p) for group in groups if group["matrices"] for p in group["params"]}
    names = {name for name, p in network.named_parameters() if id(p) in matrices}
    assert "encoder.levels.3.1.first.conv.weight" in names
    assert "transformer.blocks.0.attention.query.weight" in names
    assert not any("head" in name or "hint" in name or name.endswith("bias") for name in names)
    assert all(is_matrix(p) == (id(p) in matrices) for p in network.parameters())
