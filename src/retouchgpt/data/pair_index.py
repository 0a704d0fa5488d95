"""The index of a collection of pairs: each is read, checked and understood once, and a kill loses one pair at most.

python -m retouchgpt.data.pair_index verify FFHQR [--index SIZES.jsonl]          counts and sizes of a user's copy
python -m retouchgpt.data.pair_index ffhqr FFHQR --split train --out INDEX.jsonl
python -m retouchgpt.data.pair_index folders BEFORE AFTER --out INDEX.jsonl

A line a pair: its files, size, shift, the grid positions and kinds of what was retouched, and the dialogue that asks
for it; or the problem for which it is left out.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from retouchgpt.core.errors import BadData, UnusableInput

from .differences import DifferenceClassifier, components, dialogue_of, edits_of
from .ledger import Ledger, Line, read_lines
from .pairs import SPLITS, Pair, checked, ffhqr, folder_pairs, positions, shift, soft_mask, verify

Image = NDArray[np.uint8]
Mesh = Callable[[Image], NDArray[np.floating] | None]
"""An RGB picture -> landmarks (478, 2) px of its largest face, or None."""
SIDE = 512
"""Longest side at which differences are looked at, px."""


@dataclass(frozen=True)
class Entry:
    """A pair that can be trained on. size: (width, height) px. positions: cells of the 3x3 grid. edits: (kind, cell,
    count of components, area in px of the picture at 512 px), most area first; empty for an unretouched pair, whose
    dialogue asks whether there is anything and is answered with no."""

    pair: Pair
    size: tuple[int, int]
    shift: float
    positions: tuple[str, ...]
    edits: tuple[tuple[str, str, int, int], ...]
    instruction: str
    answer: str


@dataclass(frozen=True)
class PairIndex:
    """entries: in the order of the pairs. problems: a line for each pair that is left out, naming its file."""

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]


def index_pairs(
    pairs: Iterable[Pair], out: Path, source: str, mesh: Mesh, classifier: DifferenceClassifier,
    *, seed: int = 0, progress: bool = False,
) -> PairIndex:  # fmt: skip
    """Index pairs into the file `out`, or go on with it where it stopped.

    source: what the pairs are, kept in the file's head. A bad pair is written down and left out; no pair's dialogue
    depends on another's. Raises BadData where the file is of other pairs, cannot be written, or nothing can be used.
    """
    pairs = list(pairs)
    if not pairs:
        raise BadData(f"{source}: no pairs.")
    with Ledger(out, {"pairs": source, "seed": seed}) as ledger:
        done = {line["name"] for line in ledger.lines}
        for pair in tqdm([p for p in pairs if p.name not in done], disable=not progress, unit="pair", desc="index"):
            ledger.add(_look(pair, mesh, classifier, seed))
    index = read_index(out)
    if not index.entries:
        raise BadData(f"{source}: no pair can be used; the first problem: {index.problems[0]}")
    return index


def read_index(path: Path) -> PairIndex:
    """An index as far as it is written. Raises BadData on a file that is none."""
    entries, problems = [], []
    for line in read_lines(path)[1:]:
        try:
            if line["problem"]:
                problems.append(str(line["problem"]))
                continue
            pair = Pair(line["name"], Path(line["before"]), Path(line["after"]), line["number"])
            edits = tuple((str(k), str(c), int(n), int(a)) for k, c, n, a in line["edits"])
            width, height = line["size"]
            entries.append(
                Entry(pair, (width, height), line["shift"], tuple(line["positions"]), edits,
                      line["instruction"], line["answer"])
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise BadData(f"{path} is not an index of pairs: {error!r}.") from error
    return PairIndex(tuple(entries), tuple(problems))


def _look(pair: Pair, mesh: Mesh, classifier: DifferenceClassifier, seed: int) -> Line:
    """The line of one pair."""
    line: Line = {"name": pair.name, "number": pair.number, "before": str(pair.before), "after": str(pair.after)}
    try:
        before, after = checked(pair)
        size, moved = before.shape[1::-1], shift(before, after)
        before, after = (_at_most(x, SIDE) for x in (before, after))
        landmarks = mesh(before)
        if landmarks is None:
            raise BadData(f"{pair.before} shows no face.")
    except BadData as error:
        return {**line, "problem": str(error)}
    found, _ = components(before, after, landmarks)
    groups = edits_of(found, classifier.kinds(found), grid=True)
    rng = np.random.default_rng((seed, zlib.crc32(pair.name.encode())))
    turn = dialogue_of(before, after, landmarks, classifier, rng)
    return {
        **line,
        "problem": "",
        "size": list(size),
        "shift": round(moved, 3),
        "positions": list(positions(soft_mask(before, after))),
        "edits": [[kind, cell, len(own), sum(c.area for c in own)] for (kind, cell), own in groups.items()],
        "instruction": turn.instruction,
        "answer": turn.answer,
    }


def _at_most(image: Image, side: int) -> Image:
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def face_mesh(image: Image) -> NDArray[np.floating] | None:
    """Landmarks of the largest face, by the finder that the package uses for photos."""
    from retouchgpt.photo.faces import shared_finder

    found = shared_finder().find(image)
    return found[0].landmarks if found else None


def _verify(folder: Path, index: Path | None) -> int:
    result = verify(folder, index)
    for split, numbers in SPLITS.items():
        print(f"{split}: {result.counts[split]} of {len(numbers)} pairs")
    for problem in (*result.problems, *(f"{path} is not 1024x1024" for path in result.wrong_size)):
        print(problem, file=sys.stderr)
    return 0 if result.complete else UnusableInput.exit_code


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.data.pair_index", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("verify")
    check.add_argument("folder", type=Path)
    check.add_argument("--index", type=Path)
    paper = commands.add_parser("ffhqr")
    paper.add_argument("folder", type=Path)
    paper.add_argument("--split", choices=tuple(SPLITS), default="train")
    any_two = commands.add_parser("folders")
    any_two.add_argument("before", type=Path)
    any_two.add_argument("after", type=Path)
    for command in (paper, any_two):
        command.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        if options.command == "verify":
            return _verify(options.folder, options.index)
        if options.command == "ffhqr":
            pairs, source = ffhqr(options.folder, options.split), f"{options.folder}, {options.split}"
        else:
            pairs, source = list(folder_pairs(options.before, options.after)), f"{options.before}, {options.after}"
        index = index_pairs(pairs, options.out, source, face_mesh, DifferenceClassifier.load(), progress=True)
    except UnusableInput as error:
        print(error, file=sys.stderr)
        return UnusableInput.exit_code
    for problem in index.problems:
        print(problem, file=sys.stderr)
    print(f"{len(index.entries)} pairs in {options.out}, {len(index.problems)} left out")
    return 0


if __name__ == "__main__":
    sys.exit(main())
