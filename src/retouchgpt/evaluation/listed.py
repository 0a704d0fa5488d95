"""What the maps make of real marks that are listed by place: which would be edited, asked for by kind (ours).

    python -m retouchgpt.evaluation.listed FACES [--marks recipes/compact-real.json] [--weights DIR] [--every N]

FACES is the folder of the listed faces. For the shipped list these are training faces, so its figures are no measure of
quality: they say what a kind's threshold or a look-alike's weight does to marks that nobody painted. Quality on real
skin is `retouchgpt.evaluation.real`.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from retouchgpt.core.geometry import Box
from retouchgpt.core.plan import Edit, EditPlan
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.data.cache import Faces
from retouchgpt.data.real_marks import LEAST, REACH, read_marks
from retouchgpt.model.checkpoint import from_pretrained
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.photo.faces import Face
from retouchgpt.session.face import LookedAt, look, select

LIST = Path("recipes") / "compact-real.json"


class Edited(NamedTuple):
    """marks, places: how many of the kind are listed, and how many places that only look like one; in each, the share
    that would be edited."""

    marks: int
    marks_edited: float
    places: int
    places_edited: float


def edited(
    network: RetouchNetwork, folder: Path, marks: Path, *, every: int = 1, progress: bool = False
) -> dict[str, Edited]:
    """By kind, over each `every`th listed face of the folder. Raises BadData on a bad list or folder."""
    faces, listed = Faces(folder), read_marks(marks)
    seen: dict[str, tuple[list[bool], list[bool]]] = defaultdict(lambda: ([], []))
    numbers = [i for i, entry in enumerate(faces.index) if entry["id"] in listed][::every]
    for i in tqdm(numbers, disable=not progress, unit="face"):
        name, image, landmarks = faces.read(i)
        side = image.shape[0]
        face = look(network, image, Face(1, landmarks, Box(0, 0, side, side), float(side)))
        points = face.alignment.apply(landmarks)
        reached = {kind: _reached(network, face, kind) for kind in {m.kind for m in listed[name]}}
        for mark in listed[name]:
            placed = mark.placed(points)
            y, x = (int(v * len(reached[mark.kind]) / network.config.image_size) for v in (placed.y, placed.x))
            near = round(LEAST / REACH)
            window = reached[mark.kind][max(y - near, 0) : y + near + 1, max(x - near, 0) : x + near + 1]
            seen[mark.kind][0 if mark.there else 1].append(bool(window.any()))
    return {kind: _shares(*seen[kind]) for kind in IMPERFECTIONS if kind in seen}


def _shares(marks: list[bool], places: list[bool]) -> Edited:
    hit, fooled = (float(np.mean(hits)) if hits else float("nan") for hits in (marks, places))
    return Edited(len(marks), hit, len(places), fooled)


def _reached(network: RetouchNetwork, face: LookedAt, kind: str) -> np.ndarray:
    """Where a request for the kind would edit, (h, w)."""
    where = select(network, face, EditPlan("retouch", (Edit(kind),)), None)
    return np.asarray(where.mask[0, 0] > sum(network.config.gate) / 2)


def table(results: dict[str, Edited]) -> str:
    """Markdown, a row a kind."""
    lines = ["| kind | marks | edited | places that only look like one | edited |", "|---|---|---|---|---|"]
    for kind, r in results.items():
        hit, fooled = ("" if np.isnan(share) else f"{share:.0%}" for share in (r.marks_edited, r.places_edited))
        lines.append(f"| {kind} | {r.marks} | {hit} | {r.places} | {fooled} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m retouchgpt.evaluation.listed", description="Which listed real marks would be edited."
    )
    parser.add_argument("faces", type=Path, help="folder of the listed faces")
    parser.add_argument("--marks", type=Path, default=LIST)
    parser.add_argument("--weights", type=Path, help="folder of weights; default: those that ship")
    parser.add_argument("--every", type=int, default=1, help="look at each N-th listed face only")
    options = parser.parse_args(arguments)
    network = from_pretrained(options.weights)
    print(table(edited(network, options.faces, options.marks, every=options.every, progress=True)), end="")


if __name__ == "__main__":
    main()
