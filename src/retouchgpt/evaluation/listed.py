"""What becomes of real marks that are listed by place, asked for by kind: which are edited, and how far they go (ours).

    python -m retouchgpt.evaluation.listed FACES [--marks recipes/compact-real.json] [--weights DIR] [--every N]

FACES is the folder of the listed faces. For the shipped list these are training faces, so its figures are no measure of
quality: they say what a kind's threshold or a look-alike's weight does to marks that nobody painted. How far they go is
measured against the photo in which they were healed (`data/healing.py`). Quality on real skin is
`retouchgpt.evaluation.real`.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from retouchgpt.core.geometry import Box
from retouchgpt.core.plan import Edit, EditPlan
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.data.cache import Faces
from retouchgpt.data.canvas import Canvas, from_log
from retouchgpt.data.healing import heal
from retouchgpt.data.real_marks import LEAST, REACH, RealMark, read_marks
from retouchgpt.model.checkpoint import LLM, from_pretrained, shipped
from retouchgpt.model.imperfection import Selection
from retouchgpt.model.llm_embedding import DialogueTokens
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.photo.composite import paste
from retouchgpt.photo.faces import Face
from retouchgpt.session.face import LookedAt, look, repair, select

from .methods import speech
from .metrics import VISIBLE, Image

LIST = Path("recipes") / "compact-real.json"
Speak = Callable[[EditPlan], DialogueTokens | None]


class Edited(NamedTuple):
    """marks, places: how many of the kind are listed, and how many places that only look like one; in each, the share
    that would be edited. removed: 1 - the error to the healed photo where that differs, over the photo's own; beside:
    what changes elsewhere, over the same. Not numbers where no mark is listed."""

    marks: int
    marks_edited: float
    places: int
    places_edited: float
    removed: float
    beside: float


def edited(
    network: RetouchNetwork,
    folder: Path,
    marks: Path,
    *,
    every: int = 1,
    speak: Speak = lambda plan: None,
    progress: bool = False,
) -> dict[str, Edited]:
    """By kind, over each `every`th listed face of the folder. speak: what the LLM is told of a plan. Raises BadData on
    a bad list or folder."""
    faces, listed = Faces(folder), read_marks(marks)
    seen: dict[str, tuple[list[bool], list[bool]]] = defaultdict(lambda: ([], []))
    sums: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros(3))
    numbers = [i for i, entry in enumerate(faces.index) if entry["id"] in listed][::every]
    for i in tqdm(numbers, disable=not progress, unit="face"):
        name, image, landmarks = faces.read(i)
        side = image.shape[0]
        face = look(network, image, Face(1, landmarks, Box(0, 0, side, side), float(side)))
        points = face.alignment.apply(landmarks)
        plans = {kind: EditPlan("retouch", (Edit(kind),)) for kind in {m.kind for m in listed[name]}}
        where = {kind: select(network, face, plan, None) for kind, plan in plans.items()}
        reached = {k: np.asarray(w.mask[0, 0] > sum(network.config.gate) / 2) for k, w in where.items()}
        for kind, selection in where.items():
            own = [m.placed(landmarks) for m in listed[name] if m.kind == kind]
            sums[kind] += _left(network, image, face, own, selection, speak(plans[kind]))
        for mark in listed[name]:
            placed = mark.placed(points)
            y, x = (int(v * len(reached[mark.kind]) / network.config.image_size) for v in (placed.y, placed.x))
            near = round(LEAST / REACH)
            window = reached[mark.kind][max(y - near, 0) : y + near + 1, max(x - near, 0) : x + near + 1]
            seen[mark.kind][0 if mark.there else 1].append(bool(window.any()))
    return {kind: _shares(*seen[kind], sums[kind]) for kind in IMPERFECTIONS if kind in seen}


def _shares(marks: list[bool], places: list[bool], sums: NDArray[np.float64]) -> Edited:
    hit, fooled = (float(np.mean(hits)) if hits else float("nan") for hits in (marks, places))
    before, left, beside = sums.tolist()
    gone, more = (1 - left / before, beside / before) if before else (float("nan"), float("nan"))
    return Edited(len(marks), hit, len(places), fooled, gone, more)


def _left(
    network: RetouchNetwork,
    image: Image,
    face: LookedAt,
    marks: list[RealMark],
    where: Selection,
    dialogue: DialogueTokens | None,
) -> NDArray[np.float64]:
    """Of one kind's marks, in px of the image: the photo's error to the healed photo, what of it is left, and what
    changes where the two are alike, each summed over 8-bit levels."""
    canvas = Canvas(image, face.face.landmarks)
    shown = from_log(canvas.log)
    heal(canvas, marks)
    change = (from_log(canvas.log) - shown) * 255
    asked = np.abs(change).max(2) > VISIBLE
    if not asked.any():
        return np.zeros(3)
    fixed = repair(network, face, where, dialogue)
    out = image if fixed is None else paste(image, fixed.correction, fixed.mask, face.alignment).pixels
    done = out.astype(np.float32) - image
    before, left = (np.abs(x).sum(2)[asked].sum() for x in (change, change - done))
    return np.array((before, left, np.abs(done).sum(2)[~asked].sum()), np.float64)


def table(results: dict[str, Edited]) -> str:
    """Markdown, a row a kind."""
    head = ("kind", "marks", "edited", "removed", "changed beside", "places that only look like one", "edited")
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for kind, r in results.items():
        hit, fooled = ("" if np.isnan(share) else f"{share:.0%}" for share in (r.marks_edited, r.places_edited))
        removed, beside = ("" if np.isnan(share) else f"{share:.2f}" for share in (r.removed, r.beside))
        lines.append(f"| {kind} | {r.marks} | {hit} | {removed} | {beside} | {r.places} | {fooled} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m retouchgpt.evaluation.listed", description="What becomes of listed real marks."
    )
    parser.add_argument("faces", type=Path, help="folder of the listed faces")
    parser.add_argument("--marks", type=Path, default=LIST)
    parser.add_argument("--weights", type=Path, help="folder of weights; default: those that ship")
    parser.add_argument("--every", type=int, default=1, help="look at each N-th listed face only")
    options = parser.parse_args(arguments)
    network = from_pretrained(options.weights)
    told = speech(network, options.weights) if ((options.weights or shipped()) / LLM).is_dir() else lambda plan: None
    results = edited(network, options.faces, options.marks, every=options.every, speak=told, progress=True)
    print(table(results), end="")


if __name__ == "__main__":
    main()
