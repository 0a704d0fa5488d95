"""Calibrate each kind on training faces: how readily it is found, and how surely it is repaired where it is.

    python -m retouchgpt.evaluation.calibrate WEIGHTS TRAINING_FACES OUT [--limit N]

Focal training leaves heat maps under-confident, each kind by another amount, and the repair goes only as far as they
are sure. So a kind has two numbers: a shift of its heat map's logit, which decides where it is edited, and how many
times its heat counts there, its assurance. The pair is chosen that leaves the least error: in full where the
imperfection was asked for, at a share elsewhere, and not at all where the unpainted face may have an imperfection of
its own, since finding that is no mistake; and of pairs that are as good as even, the one that leaves least of what was
asked. Faces are training's, painted with seeds of neither training nor the bench.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.data.native import by_kind
from retouchgpt.model.checkpoint import from_pretrained, save_pretrained
from retouchgpt.model.imperfection import assured
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.photo.composite import paste
from retouchgpt.session.face import LookedAt, repair, select

from .cases import Case, cases, painted_faces
from .methods import Ours, speech

SHIFTS = (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5)
ASSURANCES = (1.0, 1.5, 2.0)
ELSEWHERE = 0.5
"""Weight of a change where nothing was asked for: mostly faint, but no one asked."""
EVEN = 0.02
"""How much more error than the least counts as even; a few faces do not tell it."""
SEED_OFFSET = 2_000_000
"""Added to the bench's seeds."""


class Calibration(NamedTuple):
    """Of each kind: what is added to its logit, and its assurance."""

    shifts: dict[str, float]
    assurance: dict[str, float]


def errors_left(
    ours: Ours, case: Case, seen: LookedAt, shift: float = 0.0, assurance: float = 1.0
) -> tuple[float, float]:
    """Absolute error to the target, where it was asked and elsewhere, with the asked kind's heat shifted and counted so
    many times. Elsewhere is not where the face may have that kind of its own."""
    k, network = IMPERFECTIONS.index(case.kind), ours.network
    heat = seen.heat.clone()
    known = heat[:, k].clamp(1e-5, 1 - 1e-5)
    heat[:, k] = torch.where(heat[:, k] > 0, torch.sigmoid(torch.logit(known) + shift), heat[:, k])
    moved = replace(seen, heat=heat)
    where = assured(select(network, moved, case.plan, None), [assurance] * len(IMPERFECTIONS), network.config.gate)
    fixed = repair(network, moved, where, ours.speak(case.plan))
    out = case.image if fixed is None else paste(case.image, fixed.correction, fixed.mask, seen.alignment).pixels
    wrong = np.abs(out.astype(np.float32) - case.target.astype(np.float32)).sum(2)
    native = by_kind(case.face.painted.ignore, case.kind) > 0
    return float(wrong[case.asked].sum()), float(wrong[~case.asked & ~native].sum())


def calibrate(network: RetouchNetwork, faces: Path, *, limit: int = 30, progress: bool = True) -> Calibration:
    """The best pair of each kind, and what it had before, a shift of 0 and its assurance, if it was never painted."""
    before = dict(zip(IMPERFECTIONS, network.config.assurance, strict=True))
    network.config = replace(network.config, assurance=(1.0,) * len(IMPERFECTIONS))
    ours, left = Ours(network, speak=speech(network)), dict[str, NDArray[np.float64]]()
    every = painted_faces(faces, limit=limit, paintings=1, offset=SEED_OFFSET)
    for face in tqdm(every, total=limit, disable=not progress, desc="calibrating", unit="face"):
        for case in cases(face):
            seen = ours.seen(case)
            pairs = np.array([errors_left(ours, case, seen, s, a) for s in SHIFTS for a in ASSURANCES])
            left[case.kind] = left.get(case.kind, 0.0) + pairs
    best = {kind: divmod(best_pair(*errors.T), len(ASSURANCES)) for kind, errors in left.items()}
    return Calibration(
        {kind: SHIFTS[best[kind][0]] if kind in best else 0.0 for kind in IMPERFECTIONS},
        {kind: ASSURANCES[best[kind][1]] if kind in best else before[kind] for kind in IMPERFECTIONS},
    )


def best_pair(asked: NDArray[np.float64], elsewhere: NDArray[np.float64]) -> int:
    """Index of the least weighted error; among those as good as even to it, of the least error where it was asked."""
    total = asked + ELSEWHERE * elsewhere
    return int(np.where(total <= (1 + EVEN) * total.min(), asked, np.inf).argmin())


@torch.no_grad()
def apply(network: RetouchNetwork, chosen: Calibration) -> None:
    """Move the shifts into the biases of the heat maps' last layer, and the assurance into the configuration."""
    bias = network.get_parameter("imperfection.head.bias")
    bias.add_(torch.tensor([chosen.shifts[kind] for kind in IMPERFECTIONS], dtype=bias.dtype))
    network.config = replace(network.config, assurance=tuple(chosen.assurance[kind] for kind in IMPERFECTIONS))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.evaluation.calibrate", description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("faces", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--limit", type=int, default=30)
    options = parser.parse_args(arguments)
    network = from_pretrained(options.weights)
    chosen = calibrate(network, options.faces, limit=options.limit)
    apply(network, chosen)
    save_pretrained(network, options.out)
    for kind in IMPERFECTIONS:
        print(f"{kind}: shift {chosen.shifts[kind]:+.1f}, assurance {chosen.assurance[kind]:.1f}")


if __name__ == "__main__":
    main()
