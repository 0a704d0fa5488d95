"""The three traps of painted data, measured: faces' own imperfections, the brush's signature, and real marks.

python -m retouchgpt.evaluation.traps FACES/val [--limit N] [--weights FOLDER]

Faces that are not in the list of real marks tell nothing about those; the list was made by eye, on unpainted faces.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.errors import BadData, UnusableInput
from retouchgpt.core.geometry import Box
from retouchgpt.core.vocabulary import IMPERFECTIONS, spoken
from retouchgpt.data.cache import SIDE, Faces
from retouchgpt.data.canvas import Canvas
from retouchgpt.data.native import by_kind, native_candidates
from retouchgpt.data.painter import VALIDATION, PaintedFace, paint
from retouchgpt.model.checkpoint import from_pretrained, shipped
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.photo.faces import Face
from retouchgpt.session.face import look
from retouchgpt.session.findings import EDITED

from .metrics import Image

SEED = 7_000_000
PLACEBOS = 24
"""Laid on each face where the brush is measured; about half find room."""


class Caught(NamedTuple):
    """Of one kind. marks: how many were judged. caught: share of them that would be silenced as a face's own if nobody
    had painted them. silenced: share of unpainted skin on which the mask loss says nothing of this kind."""

    marks: int
    caught: float
    silenced: float


class Brush(NamedTuple):
    """At placebos. places: how many. grain: their fine detail over that of the same skin before. found, before: share
    at which some kind is found, with the placebo and without it."""

    places: int
    grain: float
    found: float
    before: float


class Real(NamedTuple):
    """Of one kind. marks: real ones listed. found: share with its heat at them. elsewhere: share of as large places on
    the same faces' skin with heat of that kind, listed or not: what guessing would find."""

    marks: int
    found: float
    elsewhere: float


def crops(source: Faces, limit: int = 0) -> Iterator[tuple[str, Image, NDArray[np.float32]]]:
    """Id, face at 512 px and landmarks in px of it, spread over the folder; limit 0 for all."""
    for i in np.linspace(0, len(source) - 1, min(limit or len(source), len(source))).round().astype(int).tolist():
        name, image, landmarks = source.read(i)
        way = cv2.INTER_AREA if image.shape[0] > SIDE else cv2.INTER_CUBIC
        yield name, cv2.resize(image, (SIDE, SIDE), interpolation=way), landmarks * (SIDE / image.shape[0])


def native(source: Faces, limit: int = 0) -> dict[str, Caught]:
    """How well faces' own imperfections would be kept from the negatives, tried on painted ones as if nobody knew."""
    hits: dict[str, list[float]] = defaultdict(list)
    quiet: dict[str, list[float]] = defaultdict(list)
    for number, (_, image, landmarks) in enumerate(crops(source, limit)):
        painted = paint(image, landmarks, SEED + number, replace(VALIDATION, kinds=(6, 6)))
        bits, skin = native_candidates(Canvas(painted.image, landmarks)), painted.canvas.skin > 0.5
        for mark in painted.marks:
            core = mark.alpha > 0.5
            if core.sum() >= 4:
                hits[mark.kind].append(float(by_kind(bits, mark.kind)[mark.window][core].mean() >= 0.25))
        for kind in IMPERFECTIONS if skin.any() else ():
            quiet[kind].append(float(by_kind(painted.ignore, kind)[skin].mean()))
    return {
        k: Caught(len(hits[k]), float(np.mean(hits[k])), float(np.mean(quiet[k]))) for k in IMPERFECTIONS if hits[k]
    }


def brush(source: Faces, network: RetouchNetwork, limit: int = 0) -> Brush:
    """What the brush alone leaves: placebos against the same skin under the same camera. Raises BadData without any."""
    grains, found, before = [], [], []
    for number, (_, image, landmarks) in enumerate(crops(source, limit)):
        config = replace(VALIDATION, nothing=1.0, placebos=(PLACEBOS, PLACEBOS))
        laid = paint(image, landmarks, SEED + number, config)
        plain = PaintedFace(Canvas(image, landmarks), (), laid.camera)
        heats = [heat_map(network, x.image, landmarks).max(0) for x in (laid, plain)]
        fine = [_grain(x.image) for x in (laid, plain)]
        for placebo in laid.placebos:
            there = disc(placebo.x, placebo.y, max(placebo.radius, 3))
            grains.append(fine[0][there].std() / max(float(fine[1][there].std()), 0.3))
            found.append(float(heats[0][there].max() > EDITED))
            before.append(float(heats[1][there].max() > EDITED))
    if not grains:
        raise BadData(f"{source.folder}: no face has room for a placebo.")
    return Brush(len(grains), float(np.median(grains)), float(np.mean(found)), float(np.mean(before)))


def real(source: Faces, network: RetouchNetwork, listing: Sequence[dict[str, object]]) -> dict[str, Real]:
    """Listed marks of unpainted faces, found or not. Faces that the folder lacks are passed over."""
    known = {str(e["id"]) for e in listing}
    hits: dict[str, list[float]] = defaultdict(list)
    chance: dict[str, list[float]] = defaultdict(list)
    for name, image, landmarks in crops(source):
        if name not in known:
            continue
        heat, skin = heat_map(network, image, landmarks), Canvas(image, landmarks).skin > 0.5
        for entry in (e for e in listing if e["id"] == name):
            kind, x, y, reach = str(entry["kind"]), *(float(str(entry[k])) for k in ("x", "y", "reach"))
            own = heat[IMPERFECTIONS.index(kind)]
            size = 2 * int(reach) + 1
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
            hits[kind].append(float(own[disc(x, y, reach)].max() > EDITED))
            chance[kind].append(float((cv2.dilate(own, kernel) > EDITED)[skin].mean()))
    return {k: Real(len(v), float(np.mean(v)), float(np.mean(chance[k]))) for k, v in hits.items()}


def listed() -> list[dict[str, object]]:
    """The list of real marks that ships: id, kind, centre and reach in px of the 512 px crop."""
    return json.loads((Path(str(files("retouchgpt"))) / "evaluation" / "real_marks.json").read_text())


def heat_map(network: RetouchNetwork, image: Image, landmarks: NDArray[np.floating]) -> NDArray[np.float32]:
    """Heat of the twelve kinds on a 512 px crop, (12, 512, 512) in [0, 1]."""
    height, width = image.shape[:2]
    seen = look(network, image, Face(1, np.asarray(landmarks, np.float32), Box(0, 0, width, height), float(width)))
    factor = seen.crop.shape[-1] / seen.heat.shape[-1]
    flags, to_crop = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, seen.alignment.centre_matrix
    full = (cv2.resize(h, None, fx=factor, fy=factor) for h in seen.heat[0].float().numpy())
    return np.stack([cv2.warpAffine(h, to_crop, (width, height), flags=flags) for h in full])


def disc(x: float, y: float, radius: float, side: int = SIDE) -> NDArray[np.bool_]:
    """A disc on a square of `side` px, boolean (side, side); never empty inside it."""
    rows, columns = np.mgrid[:side, :side]
    inside = (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= radius**2
    inside[int(np.clip(y, 0, side - 1)), int(np.clip(x, 0, side - 1))] = True
    return inside


def _grain(image: Image) -> NDArray[np.float32]:
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return luma - cv2.GaussianBlur(luma, (0, 0), 1.0)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.evaluation.traps", description=__doc__)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--limit", type=int, default=0, help="faces for the first two; 0 for all")
    parser.add_argument("--weights")
    options = parser.parse_args(arguments)
    try:
        source, network = Faces(options.faces), from_pretrained(options.weights or shipped())
        print("| kind | marks | caught as a face's own | skin silenced |\n|---|---|---|---|")
        for kind, c in native(source, options.limit).items():
            print(f"| {spoken(kind)} | {c.marks} | {c.caught:.2f} | {c.silenced:.3f} |")
        b = brush(source, network, options.limit)
        print(
            f"\n{b.places} placebos: grain {b.grain:.2f}, found {b.found:.3f}, the same skin without {b.before:.3f}\n"
        )
        print("| kind | real marks | found | as much skin elsewhere |\n|---|---|---|---|")
        for kind, r in real(source, network, listed()).items():
            print(f"| {spoken(kind)} | {r.marks} | {r.found:.2f} | {r.elsewhere:.2f} |")
    except UnusableInput as error:
        print(error, file=sys.stderr)
        return UnusableInput.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
