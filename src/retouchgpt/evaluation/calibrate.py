"""Calibrate how readily each kind is found: a shift of its heat map's logit, chosen on training faces.

    python -m retouchgpt.evaluation.calibrate WEIGHTS TRAINING_FACES OUT [--limit N]

Focal training leaves heat maps under-confident, each kind by another amount. For each kind the shift is chosen that
leaves the least error: in full where the imperfection was asked for, at a share elsewhere, and not at all where the
unpainted face may have an imperfection of its own, since finding that is no mistake. Faces are training's, painted with
seeds that neither training nor the bench uses.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.data.native import by_kind
from retouchgpt.model.checkpoint import from_pretrained, save_pretrained
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.photo.composite import paste
from retouchgpt.session.face import LookedAt, repair, select

from .cases import Case, cases, painted_faces
from .methods import Ours, speech

SHIFTS = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)
ELSEWHERE = 0.5
"""Weight of a change where nothing was asked for: mostly faint, but no one asked."""
SEED_OFFSET = 2_000_000
"""Added to the bench's seeds."""


def error_left(ours: Ours, case: Case, seen: LookedAt, shift: float) -> float:
    """Weighted absolute error to the target when the asked kind's heat is shifted."""
    k = IMPERFECTIONS.index(case.kind)
    heat = seen.heat.clone()
    known = heat[:, k].clamp(1e-5, 1 - 1e-5)
    heat[:, k] = torch.where(heat[:, k] > 0, torch.sigmoid(torch.logit(known) + shift), heat[:, k])
    moved = replace(seen, heat=heat)
    where = select(ours.network, moved, case.plan, None)
    fixed = repair(ours.network, moved, where, ours.speak(case.plan))
    out = case.image if fixed is None else paste(case.image, fixed.correction, fixed.mask, seen.alignment).pixels
    wrong = np.abs(out.astype(np.float32) - case.target.astype(np.float32)).sum(2)
    native = by_kind(case.face.painted.ignore, case.kind) > 0
    return float((wrong * np.where(case.asked, 1.0, np.where(native, 0.0, ELSEWHERE))).sum())


def calibrate(network: RetouchNetwork, faces: Path, *, limit: int = 30, progress: bool = True) -> dict[str, float]:
    """The best shift of each kind; 0 for a kind that was never painted."""
    ours = Ours(network, speak=speech(network))
    left: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(len(SHIFTS)))
    every = painted_faces(faces, limit=limit, paintings=1, offset=SEED_OFFSET)
    for face in tqdm(every, total=limit, disable=not progress, desc="calibrating", unit="face"):
        for case in cases(face):
            seen = ours.seen(case)
            left[case.kind] += [error_left(ours, case, seen, shift) for shift in SHIFTS]
    return {kind: SHIFTS[int(left[kind].argmin())] if kind in left else 0.0 for kind in IMPERFECTIONS}


@torch.no_grad()
def apply(network: RetouchNetwork, shifts: dict[str, float]) -> None:
    """Move the shifts into the biases of the heat maps' last layer."""
    bias = network.get_parameter("imperfection.head.bias")
    bias.add_(torch.tensor([shifts[kind] for kind in IMPERFECTIONS], dtype=bias.dtype))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.evaluation.calibrate", description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("faces", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--limit", type=int, default=30)
    options = parser.parse_args(arguments)
    network = from_pretrained(options.weights)
    shifts = calibrate(network, options.faces, limit=options.limit)
    apply(network, shifts)
    save_pretrained(network, options.out)
    print(shifts)


if __name__ == "__main__":
    main()
