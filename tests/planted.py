"""A tiny network whose imperfections are planted: every kind lies on every part of the face, at known places.

Only the heat maps are given; encoding, selection, control, repair and compositing are the network's own, so that what
a dialogue changes, and what it leaves alone, does not hang on the luck of untrained weights.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from retouchgpt.core.vocabulary import IMPERFECTIONS, NAMED_REGIONS
from retouchgpt.model.image_encoder import ImageFeatures
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.model.presets import TINY

PITCH = 3
"""Pixels of the heat map from one mark to the next; a mark fills all but one of them."""


class PlantedNetwork(RetouchNetwork):
    """As RetouchNetwork, but `find` sees one square mark of a kind after the other on a lattice over the face."""

    def find(self, features: ImageFeatures, regions: Tensor | None = None) -> Tensor:
        assert regions is not None
        return planted(regions[0])[None]


def planted(regions: Tensor) -> Tensor:
    """Heat maps (12, h, w) for the region maps (18, h, w): each part's marks take the kinds in turn."""
    owner = regions[1 : len(NAMED_REGIONS)].argmax(0)
    covered = regions[1 : len(NAMED_REGIONS)].amax(0) > 0.5
    heat = torch.zeros(len(IMPERFECTIONS), *owner.shape)
    turn = [0] * len(NAMED_REGIONS)
    for y in range(0, owner.shape[0] - PITCH, PITCH):
        for x in range(0, owner.shape[1] - PITCH, PITCH):
            inside = slice(y, y + PITCH - 1), slice(x, x + PITCH - 1)
            part = int(owner[inside][0, 0])
            if bool(covered[inside].all()) and bool((owner[inside] == part).all()):
                heat[(turn[part] + turn[part] // len(IMPERFECTIONS)) % len(IMPERFECTIONS)][inside] = 0.9
                turn[part] += 1
    return heat


def planted_network(size: int = 256) -> RetouchNetwork:
    """Real boxes of the tiny size at a larger picture, with a decoder that darkens whatever is selected."""
    torch.manual_seed(3)
    network = PlantedNetwork(replace(TINY, image_size=size))
    with torch.no_grad():
        for parameter in network.decoder.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.02)
        network.decoder.pixels.bias.sub_(0.3)
    return network.eval()
