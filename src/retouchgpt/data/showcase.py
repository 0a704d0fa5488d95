"""The painter shown and measured, on the public-domain portrait of scikit-image.

python -m retouchgpt.data.showcase sheets DIR          a contact sheet a kind: clean skin, then three paintings
python -m retouchgpt.data.showcase speed [FACES] [--samples N] samples a second of one core, on her or on a folder
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.errors import OutputNotWritable
from retouchgpt.core.geometry import face_alignment
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.photo.composite import to_model
from retouchgpt.photo.faces import shared_finder

from .cache import SIDE, Faces, _encode
from .painter import TRAIN, VALIDATION, paint, paint_kind
from .portrait import clean_astronaut

Image = NDArray[np.uint8]
COLUMNS = 4
CELL = 280
"""Side of a picture on a sheet, px; the face is shown at its own resolution, without enlargement."""
WINDOW = (slice(105, 465), slice(76, 436))
"""Rows and columns of the 512 px crop that hold the face."""


class Speed(NamedTuple):
    """Samples a second of one core's own time: painted, and painted and coded for the cache."""

    painted: float
    cached: float


def portrait() -> tuple[Image, NDArray[np.float32]]:
    """Her face crop, uint8 (512, 512, 3), and its landmarks (478, 2) in px of it."""
    picture = clean_astronaut(zoom=2)
    face = shared_finder().find(picture)[0]
    alignment = face_alignment(face.landmarks, SIDE)
    crop = np.rint(to_model(picture, alignment, SIDE) * 255).astype(np.uint8)
    return crop, alignment.apply(face.landmarks).astype(np.float32)


def sheet(image: Image, landmarks: NDArray[np.float32], kind: str, seeds: tuple[int, ...] = (1, 2, 3)) -> Image:
    """One row: the clean face, then one painting a seed, (CELL, CELL * 4, 3)."""
    pictures = [image, *(paint_kind(image, landmarks, kind, seed, VALIDATION).image for seed in seeds)]
    cells = [cv2.resize(p[WINDOW], (CELL, CELL), interpolation=cv2.INTER_AREA) for p in pictures[:COLUMNS]]
    return np.hstack(cells)


def write_sheets(out: Path) -> list[Path]:
    """kind_NAME.jpg for each of the twelve kinds. Raises OutputNotWritable."""
    image, landmarks = portrait()
    written = []
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritable(out, error.strerror or str(error)) from error
    for kind in IMPERFECTIONS:
        path = out / f"kind_{kind}.jpg"
        if not cv2.imwrite(str(path), sheet(image, landmarks, kind)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 84]):
            raise OutputNotWritable(path, "cannot be written")
        written.append(path)
    return written


def samples_of(faces: Path | None, count: int) -> list[tuple[Image, NDArray[np.float32]]]:
    """`count` crops and their landmarks: as training draws them from a folder, or the portrait. Raises BadData."""
    if faces is None:
        return [portrait()] * count
    source = Faces(faces)
    windows = (source.window(i * 20 % len(source), np.random.default_rng((1, i))) for i in range(count))
    return [(image, landmarks) for _, image, landmarks, _ in windows]


def speed(crops: Sequence[tuple[Image, NDArray[np.float32]]]) -> Speed:
    """Paint a training sample on each crop on one thread and count this process's own seconds, so that other work
    matters little. Raises ValueError without any."""
    threads, samples = cv2.getNumThreads(), len(crops)
    if not samples:
        raise ValueError("speed needs at least one sample")
    cv2.setNumThreads(1)
    try:
        paint(*crops[0], 0, TRAIN)  # tables are built on first use
        painting = coding = 0.0
        for seed, (image, landmarks) in enumerate(crops):
            start = time.process_time()
            painted = paint(image, landmarks, seed + 1, TRAIN)
            middle = time.process_time()
            _encode(painted, "astronaut", 1.0)
            painting, coding = painting + middle - start, coding + time.process_time() - middle
    finally:
        cv2.setNumThreads(threads)
    return Speed(samples / painting, samples / (painting + coding))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.data.showcase", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("sheets").add_argument("out", type=Path)
    timed = commands.add_parser("speed")
    timed.add_argument("faces", type=Path, nargs="?", help="folder of aligned faces; without it, the portrait")
    timed.add_argument("--samples", type=int, default=40)
    options = parser.parse_args(arguments)
    if options.command == "sheets":
        print(*write_sheets(options.out), sep="\n")
        return
    measured = speed(samples_of(options.faces, options.samples))
    print(f"{measured.painted:.1f} samples a second painted, {measured.cached:.1f} painted and coded for the cache")


if __name__ == "__main__":
    main()
