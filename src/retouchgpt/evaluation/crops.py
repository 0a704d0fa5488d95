"""What a stage of training reached, on validation crops: how well the maps find, and how much is removed (ours).

    python -m retouchgpt.evaluation.crops CACHE_VAL WEIGHTS ... [--crops N]

Quicker than the bench and closer to what is taught: crops as in training, without augmentation, one request each, no
plan, no regions of the face, no calibration. For comparing runs; what counts is the bench.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from retouchgpt.core.errors import BadData
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.model.checkpoint import from_pretrained
from retouchgpt.model.imperfection import KINDS, given
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.training.batches import CROPS_A_SAMPLE, Crop, PaintedCrops, collate
from retouchgpt.training.objective import removal
from retouchgpt.training.pupil import found

CROP, SEED, BATCH = 256, 11, 8
SURE, SKIN = 0.4, 0.05
"""Painted mask values from which a place is a mark, and up to which it is skin; in between nothing is counted."""


class Reached(NamedTuple):
    """A kind's measures. crops: with that kind alone asked for. precision: average precision of its map over pixels of
    all crops. painted, predicted: removal under the painted and under the predicted mask, mean over its crops;
    not a number without any."""

    crops: int
    precision: float
    painted: float
    predicted: float


def fixed_crops(cache: str | Path, count: int) -> list[Crop]:
    """The first `count` crops, one a painted face, that are looked at. Raises BadData on an empty cache."""
    crops = PaintedCrops(cache, crop=CROP, stride=2, seed=SEED, augment=False)
    return [crops[i * CROPS_A_SAMPLE] for i in range(count)]


@torch.inference_mode()
def reached(network: RetouchNetwork, crops: Sequence[Crop]) -> dict[str, Reached]:
    """Measures a kind, for kinds that are there. Raises BadData for the fused IIP, which has no map a kind."""
    if not network.config.grounded:
        raise BadData("these weights have one mask for all kinds; this command compares maps a kind")
    network.eval()
    heats: list[list[NDArray[np.float32]]] = [[] for _ in range(KINDS)]
    truths: list[list[NDArray[np.bool_]]] = [[] for _ in range(KINDS)]
    gone: list[list[tuple[float, float]]] = [[] for _ in range(KINDS)]
    for first in range(0, len(crops), BATCH):
        batch = collate(list(crops[first : first + BATCH]))
        features = network.encode(batch.image)
        logits = network.imperfection(features, batch.places).float()
        counted = (batch.kinds > SURE) | ((batch.kinds < SKIN) & (batch.ignore < 0.5))
        for k in range(KINDS):
            heats[k].append(logits[:, k][counted[:, k]].numpy())
            truths[k].append((batch.kinds[:, k][counted[:, k]] > SURE).numpy())
        shares = []
        for asked in (batch.asked, found(logits, batch)):
            after, before = removal(batch, network.repair(batch.image, features, given(asked)).image.float())
            shares.append(1 - after / before.clamp_min(1e-6))
        for row in ((batch.words.sum(1) == 1) & (before > 1)).nonzero().flatten().tolist():
            gone[int(batch.words[row].argmax())].append((float(shares[0][row]), float(shares[1][row])))
    out = {}
    for k, kind in enumerate(IMPERFECTIONS):
        truth = np.concatenate(truths[k])
        if truth.any():
            painted, predicted = np.mean(gone[k], 0) if gone[k] else (np.nan, np.nan)
            precision = average_precision(np.concatenate(heats[k]), truth)
            out[kind] = Reached(len(gone[k]), precision, float(painted), float(predicted))
    return out


def average_precision(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """Mean precision at each true sample, from the highest score down: (N,), (N,) -> [0, 1]."""
    right = truth[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    return float(precision[right].mean())


def table(results: dict[str, dict[str, Reached]]) -> str:
    """Markdown: a row a kind, three columns a folder of weights; the last row is the mean over kinds."""
    names = list(results)
    lines = [
        "| kind | " + " | ".join(f"{n}: AP | painted | predicted" for n in names) + " |",
        "|---" * (1 + 3 * len(names)) + "|",
    ]
    kinds = [kind for kind in IMPERFECTIONS if all(kind in results[n] for n in names)]
    for kind in kinds:
        lines.append(f"| {kind} | " + " | ".join(_cells([results[n][kind]]) for n in names) + " |")
    lines.append("| mean | " + " | ".join(_cells([results[n][kind] for kind in kinds]) for n in names) + " |")
    return "\n".join(lines) + "\n"


def _cells(rows: Sequence[Reached]) -> str:
    known = [[r[i] for r in rows if not np.isnan(r[i])] for i in (1, 2, 3)]
    return " | ".join(f"{np.mean(values):.3f}" if values else "" for values in known)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m retouchgpt.evaluation.crops", description="Compare stages of training on validation crops."
    )
    parser.add_argument("cache", type=Path, help="painted cache of validation faces, see retouchgpt.data.cache")
    parser.add_argument("weights", type=Path, nargs="+", help="folders of weights, such as RUN/averaged")
    parser.add_argument("--crops", type=int, default=200)
    options = parser.parse_args(arguments)
    crops = fixed_crops(options.cache, options.crops)
    print(table({str(place): reached(from_pretrained(place), crops) for place in options.weights}), end="")


if __name__ == "__main__":
    main()
