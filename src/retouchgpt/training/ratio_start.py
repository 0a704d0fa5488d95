"""Where the ratio head begins: a robust linear fit a kind, in closed form, before anything is trained (ours).

`python -m retouchgpt.training.ratio_start WEIGHTS CACHE OUT`. Which share of each band, and which tint, takes a kind
away depends mostly on the kind, and a least absolute fit of a few numbers a kind finds it in minutes; a decoder that
already repairs with sums takes thousands of steps to hand over to factors. As it starts, the sum counts by the factor
at which both together leave the least.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from retouchgpt.core.errors import BadData
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.model.checkpoint import save_pretrained
from retouchgpt.model.decoder import Decoder
from retouchgpt.model.imperfection import KINDS, given
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.model.ratio import BANDS, BLACK, LIMIT, QUICK, log_bands, presence
from retouchgpt.model.surround import surround_small

from .batches import Crop, PaintedCrops
from .losses import FLOOR_ERROR, USUAL_ERROR
from .objective import judged_regions
from .pupil import found

CROP = 128
"""Side of the crops in px."""
MOST = 4000
"""Pixels of a crop that are looked at."""
CLEAR = 0.1
"""Gate from which a pixel says something of the correction under it."""
SUMS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
"""Factors of the decoder's sum that are tried."""
ROUNDS, SOFT, RIDGE = 12, 0.01, 1e-4
"""Of the fit by reweighted least squares: rounds, residual below which it is squared, and what keeps it bounded."""


class Pixels(NamedTuple):
    """What is judged of one crop, N values of pixels and channels. design: (N, 2 (BANDS + 3)). image, wanted, by_sum:
    pixel values, how they should change, and how the decoder's sum changes them, before the gate. weight: how much an
    error counts."""

    design: NDArray[np.float32]
    image: NDArray[np.float32]
    wanted: NDArray[np.float32]
    by_sum: NDArray[np.float32]
    weight: NDArray[np.float32]


def start(
    network: RetouchNetwork, cache: str | Path, crops: int = 1500, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Fit the ratio head of a network in place. Returns, a kind, the error left of 1 before and after; a kind that no
    crop asks for alone is not among them and begins at zero.

    Raises BadData when the network has no ratio head or no crop serves.
    """
    decoder: Decoder = network.decoder
    if decoder.ratio is None:
        raise BadData("these weights have no ratio head: their configuration says ratio false")
    network.eval()
    seen: dict[int, list[Pixels]] = {k: [] for k in range(KINDS)}
    for kind, pixels in _observed(
        network, PaintedCrops(cache, crop=CROP, stride=network.config.strides[0], seed=seed), crops
    ):
        seen[kind].append(pixels)
    left = {}
    with torch.no_grad():
        for kind, observed in seen.items():
            if not observed:
                continue
            weights, factor, errors = _fit([np.concatenate(x) for x in zip(*observed, strict=True)])
            for half in range(2):
                column = torch.from_numpy(weights[half::2]) / QUICK
                decoder.ratio.kinds.weight[: BANDS + 3, half * KINDS + kind, 0, 0] = column.float()
            decoder.ratio.kinds.weight[BANDS + 3, KINDS + kind] = (factor - 1) / QUICK
            left[IMPERFECTIONS[kind]] = errors
    if not left:
        raise BadData(f"no crop of {cache} asks for one kind alone that is there; use more crops")
    return left


@torch.inference_mode()
def _observed(network: RetouchNetwork, crops: PaintedCrops, count: int) -> Iterator[tuple[int, Pixels]]:
    """Kind and pixels of crops that ask for one kind, under the painted and the predicted mask by turns."""
    single = (c for c in (crops[i] for i in range(count)) if int(c.words.sum()) == 1)
    for number, crop in enumerate(single):
        batch = Crop(*(x[None] for x in crop))
        features = network.encode(batch.image)
        asked = batch.asked
        if number % 2:
            asked = found(network.imperfection(features, batch.places).float(), batch)
        pixels = _pixels(network, batch, features, asked)
        if pixels is not None:
            yield int(crop.words.argmax()), pixels


def _pixels(network: RetouchNetwork, batch: Crop, features: object, asked: Tensor) -> Pixels | None:
    """Of a batch of one. The design is what `RatioHead` weighs by its numbers a kind, (2 (BANDS + 3), 3, H, W)."""
    where = given(asked)
    out = network.repair(batch.image, features, where)  # type: ignore[arg-type]
    gate = out.mask
    changed, beside = judged_regions(batch, gate)
    kind = int(batch.words.argmax())
    bands = log_bands(F.avg_pool2d(batch.image, network.config.strides[0]), surround_small(batch.image, where.mask))
    ways = presence(where.kinds)[0, [kind, KINDS + kind]]
    maps = [way * band for band in bands[0] for way in ways]
    flat = [way * one[:, None, None] for one in torch.eye(3) for way in ways]
    design = F.interpolate(torch.stack(maps + flat), batch.image.shape[-2:], mode="bilinear")
    before = float(((batch.image - batch.target).abs().mean(1, keepdim=True) * changed).sum())
    weight = gate * (changed / (before + FLOOR_ERROR) + beside / (max(before, USUAL_ERROR) + FLOOR_ERROR))
    chosen = (weight > 0)[0, 0] & (gate > CLEAR)[0, 0]
    if before < 1 or not chosen.any():
        return None
    step = int(chosen.sum()) // MOST + 1
    wanted, by_sum = ((x / gate.clamp_min(CLEAR))[0] for x in (batch.target - batch.image, out.correction))
    values = (batch.image[0], wanted, by_sum, step * weight[0].expand(3, -1, -1))
    return Pixels(
        design[:, :, chosen][..., ::step].flatten(1).T.numpy(),
        *(x[:, chosen][:, ::step].flatten().numpy() for x in values),
    )


def _fit(data: list[NDArray[np.float32]]) -> tuple[NDArray[np.float64], float, tuple[float, float]]:
    """Least absolute fit: weights (2 (BANDS + 3),), the sum's factor, and the weighted error of the sum alone and of
    both."""
    design, image, wanted, by_sum, weight = data
    total = float((weight * np.abs(wanted)).sum())
    best: tuple[float, NDArray[np.float64], float] | None = None
    for factor in SUMS:
        rest = (wanted - factor * by_sum) / (image + BLACK)
        ratio = np.log1p(rest.clip(-0.9, 4.0)).clip(-LIMIT, LIMIT)
        count = weight * (image + BLACK) * np.exp(ratio)
        found_weights = _least_absolute(design, ratio, count)
        change = factor * by_sum + (image + BLACK) * np.expm1((design @ found_weights).clip(-LIMIT, LIMIT))
        error = float((weight * np.abs(wanted - change)).sum()) / total
        if best is None or error < best[0]:
            best = (error, found_weights, factor)
    assert best is not None
    return best[1], best[2], (float((weight * np.abs(wanted - by_sum)).sum()) / total, best[0])


def _least_absolute(
    design: NDArray[np.float32], values: NDArray[np.float32], weight: NDArray[np.float32]
) -> NDArray[np.float64]:
    out = np.zeros(design.shape[1])
    ridge = RIDGE * float(weight.sum()) * np.eye(design.shape[1])
    for _ in range(ROUNDS):
        each = weight / (np.abs(values - design @ out) + SOFT)
        weighted = design * each[:, None]
        out = np.linalg.solve(
            (weighted.T @ design).astype(np.float64) + ridge, (weighted.T @ values).astype(np.float64)
        )
    return out


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m retouchgpt.training.ratio_start", description="Fit the ratio head of weights on painted crops."
    )
    parser.add_argument("weights", type=Path, help="folder of the weights to begin from")
    parser.add_argument("cache", type=Path, help="painted cache, see retouchgpt.data.cache")
    parser.add_argument("out", type=Path)
    parser.add_argument("--crops", type=int, default=1500)
    options = parser.parse_args(arguments)
    network = begun(options.weights)
    left = start(network, options.cache, options.crops)
    for kind in IMPERFECTIONS:
        print(
            f"{kind:18s}", "{:.3f} -> {:.3f}".format(*left[kind]) if kind in left else "not seen alone; begins at zero"
        )
    save_pretrained(network, options.out)
    print(f"written to {options.out}")


def begun(weights: Path) -> RetouchNetwork:
    """A network with a ratio head that goes on from weights which may not have one."""
    given_weights = RetouchNetwork.from_pretrained(weights)
    network = RetouchNetwork(replace(given_weights.config, ratio=True))
    missing, unexpected = network.load_state_dict(given_weights.state_dict(), strict=False)
    strange = [name for name in missing if not name.startswith("decoder.ratio.")]
    if strange or unexpected:
        raise BadData(f"{weights} does not fit: {', '.join(strange + unexpected)}")
    return network


if __name__ == "__main__":
    main()
