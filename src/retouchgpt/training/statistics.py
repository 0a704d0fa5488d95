"""The batch statistics of weights counted anew, on training crops (precise batch norm, Wu and Johnson, 2021).

    python -m retouchgpt.training.statistics WEIGHTS CACHE OUT [--crops 560] [--real LIST] [--seed 0]

Training goes by each batch's own mean and variance, use by a running mean of theirs. That one is of other weights where
two were averaged, and of none where it ever became infinite. What lies in OUT beside the network stays.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from retouchgpt.core.errors import BadData
from retouchgpt.model.checkpoint import from_pretrained, not_finite, save_pretrained
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.model.precision import autocast

from .batches import Crop, PaintedCrops, collate

BATCH, SIDE = 14, 256
"""Crops whose mean is taken together, and their side in px, as in the recipe of the shipped weights."""


@torch.no_grad()
def count_anew(network: RetouchNetwork, batches: Iterable[Crop]) -> int:
    """Give every batch norm of what sees the mean of the batches' means and variances, in place; how many batches
    there were. Raises BadData where there was none, or a weight or statistic is not finite."""
    norms = [(m, m.momentum) for m in network.modules() if isinstance(m, _BatchNorm)]
    count = 0
    for norm, _ in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches, not of the last ones
        norm.train()
    try:
        for crop in batches:
            with autocast(crop.image.device.type):
                features = network.encode(crop.image.contiguous(memory_format=torch.channels_last))
                network.imperfection(features, crop.places)
            count += 1
    finally:
        for norm, momentum in norms:
            norm.momentum = momentum
            norm.eval()
    if not count:
        raise BadData("batch statistics need at least one batch of crops")
    if unfit := not_finite(network):
        raise BadData(f"the weights give no numbers on these crops: not finite are {', '.join(unfit)}")
    return count


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m retouchgpt.training.statistics", description="Count batch statistics anew."
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("cache", type=Path, help="painted cache, see retouchgpt.data.cache")
    parser.add_argument("out", type=Path)
    parser.add_argument("--crops", type=int, default=40 * BATCH, help=f"a multiple of {BATCH} (default %(default)s)")
    parser.add_argument("--real", default="", help="list of real marks, as in a recipe")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    network = from_pretrained(options.weights, finite=False)
    if not network.config.grounded:
        raise BadData("these weights read the instruction to see, which crops alone do not tell")
    stride = network.config.strides[0]
    crops = PaintedCrops(options.cache, crop=SIDE, stride=stride, seed=options.seed, real_marks=options.real)
    batches = (collate([crops[i + j] for j in range(BATCH)]) for i in range(0, options.crops - BATCH + 1, BATCH))
    count = count_anew(network, batches)
    save_pretrained(network, options.out, dtype=torch.float16)
    print(f"counted on {count} batches of {BATCH} crops; written to {options.out}")


if __name__ == "__main__":
    main()
