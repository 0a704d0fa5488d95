"""Edited pixels inside hand-drawn parts that must never be edited: `python -m retouchgpt.evaluation.protected FACES`.

The parts are polygons drawn by eye: the landmarks and the skin map are tested by something that they are not made of.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.errors import BadData, NoFaceFound
from retouchgpt.core.vocabulary import IMPERFECTIONS, spoken

from .metrics import Image, Mask
from .portraits import Portraits, retouched

if TYPE_CHECKING:
    from retouchgpt.session import RetouchGPT

PARTS = ("eyes", "brows", "lips", "teeth", "beard", "hair", "glasses")
"""Eyes are drawn with their lash lines, lips with the open mouth, glasses as their frames."""
POLYGONS = Path("tests/evaluation/protected.json")
HAIRS = "stray_hairs"
INSTRUCTIONS = {"clean up": "Clean up.", "everything": "Remove everything."} | {
    kind: f"Remove the {spoken(kind)}." for kind in IMPERFECTIONS
}
Shapes = dict[str, list[Any]]
"""Part -> polygons, lists of (x, y) in [0, 1] of the crop; or strokes, {"line": such a list, "width": of the crop}."""


@dataclass(frozen=True)
class Row:
    """Of one face, instruction and part: pixels of the part, and how many of them were edited against the promise."""

    face: str
    instruction: str
    part: str
    pixels: int
    edited: int


def read_shapes(path: Path) -> dict[str, Shapes]:
    """The hand-drawn parts by face. Raises BadData."""
    try:
        faces: dict[str, Shapes] = json.loads(path.read_text())["faces"]
        strange = {part for shapes in faces.values() for part in shapes} - set(PARTS)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise BadData(f"{path} does not hold hand-drawn parts: {error!r}") from error
    if strange:
        raise BadData(f"{path} names unknown parts: {', '.join(sorted(strange))}")
    return faces


def part_masks(shapes: Shapes, side: int) -> dict[str, Mask]:
    """Masks (side, side) of a face's parts."""
    return {part: _drawn(own, side) for part, own in shapes.items()}


def _drawn(shapes: list[Any], side: int) -> Mask:
    out = np.zeros((side, side), np.uint8)
    for shape in shapes:
        if isinstance(shape, dict):
            off = np.ones((side, side), np.uint8)
            cv2.polylines(off, [_px(shape["line"], side, 1)], False, 0, 1)
            out |= cv2.distanceTransform(off, cv2.DIST_L2, 5) <= max(shape["width"] * side / 2 - 0.5, 0)
        else:
            cv2.fillPoly(out, [_px(shape, side, 16)], 1, cv2.LINE_8, 4)
    return out > 0


def _px(points: list[Any], side: int, parts: int) -> NDArray[np.int32]:
    """Points of the crop in `parts` of a px, as cv2 counts from a px' centre."""
    return np.rint((np.asarray(points, np.float64) * side - 0.5) * parts).astype(np.int32)


def against(changed: Mask, masks: dict[str, Mask], instruction: str) -> dict[str, int]:
    """Edited pixels of each part against an instruction (a key of INSTRUCTIONS): stray hairs alone may lie in hair."""
    free = {"hair"} if instruction == HAIRS else set()
    return {part: 0 if part in free else int((changed & mask).sum()) for part, mask in masks.items()}


def examine(
    engine: RetouchGPT, face: str, image: Image, shapes: Shapes, names: Iterable[str] = tuple(INSTRUCTIONS)
) -> Iterator[Row]:
    """Rows of one face under each instruction of these names. Raises NoFaceFound."""
    session, masks = engine.open(image), part_masks(shapes, image.shape[0])
    for name in names:
        counts = against(retouched(engine, session, INSTRUCTIONS[name]).changed, masks, name)
        for part, edited in counts.items():
            yield Row(face, name, part, int(masks[part].sum()), edited)


def table(rows: Iterable[Row]) -> str:
    """Markdown, by part: over all instructions and faces, and under the instruction that edited most."""
    rows = list(rows)
    out = ["| part | faces | pixels | edited | faces touched | worst instruction | worst face |", "|---" * 7 + "|"]
    for part in PARTS:
        own = [r for r in rows if r.part == part]
        if not own:
            continue
        pixels = sum({r.face: r.pixels for r in own}.values())
        by_instruction = _summed(own, "instruction")
        by_face = _summed(own, "face")
        worst, face = max(by_instruction, key=by_instruction.__getitem__), max(by_face, key=by_face.__getitem__)
        touched = sum(v > 0 for v in by_face.values())
        told = [f"{worst} {by_instruction[worst]}", f"{face} {by_face[face]}"] if touched else ["-", "-"]
        out.append(f"| {part} | {len(by_face)} | {pixels} | {sum(by_face.values())} | {touched} | {' | '.join(told)} |")
    return "\n".join(out) + "\n"


def _summed(rows: list[Row], by: str) -> dict[str, int]:
    out: dict[str, int] = {}
    for row in rows:
        out[getattr(row, by)] = out.get(getattr(row, by), 0) + row.edited
    return out


def run(
    engine: RetouchGPT, portraits: Portraits, faces: dict[str, Shapes], names: Sequence[str] = tuple(INSTRUCTIONS)
) -> tuple[list[Row], list[str]]:
    """Rows of all faces, and the ids of those in which no face was found."""
    rows: list[Row] = []
    missed: list[str] = []
    for face, shapes in faces.items():
        try:
            rows += examine(engine, face, portraits.read(face), shapes, names)
        except NoFaceFound:
            missed.append(face)
    return rows, missed


def main(arguments: Sequence[str] | None = None) -> int:
    from retouchgpt.session import RetouchGPT

    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="retouchgpt.evaluation.protected", description=about)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--polygons", type=Path, default=POLYGONS)
    parser.add_argument("--weights")
    parser.add_argument("--only", nargs="*", help="ids")
    parser.add_argument("--instructions", nargs="*", choices=tuple(INSTRUCTIONS), default=tuple(INSTRUCTIONS))
    parser.add_argument("--out", type=Path, help="every row as JSON")
    options = parser.parse_args(arguments)
    faces = {k: v for k, v in read_shapes(options.polygons).items() if not options.only or k in options.only}
    rows, missed = run(
        RetouchGPT.from_pretrained(options.weights), Portraits(options.faces), faces, options.instructions
    )
    print(table(rows), end="")
    if missed:
        print(f"No face was found in {', '.join(missed)}.")
    if options.out:
        options.out.write_text(json.dumps([asdict(r) for r in rows if r.edited], indent=1) + "\n")
    return 0 if not any(r.edited for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
