"""Fit what tells a beard (`photo/beard.py`) on faces labelled by eye.

    python -m retouchgpt.training.beard LABELS FACES [--out FILE]

LABELS: {"bearded": [ids], "bare": [ids]}. A logistic model with a ridge, by Newton's method. Prints how often each
label is told right when the face itself is left out of the fit.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from retouchgpt.core.errors import BadData
from retouchgpt.core.geometry import face_alignment
from retouchgpt.data.cache import Faces
from retouchgpt.data.variety import vary
from retouchgpt.photo.beard import Bearded
from retouchgpt.photo.composite import to_model
from retouchgpt.photo.coverings import beard_description

FloatImage = NDArray[Any]

RIDGE = 1.0
STEPS = 15
SIDE = 512
OTHERS = 6
"""How often each face is made into another (`data/variety.py`) and described again; once more it is made grey."""


class Described(NamedTuple):
    """rows: descriptions (N, 28). said: (N,), 1 of the bearded, 0 of the bare. faces: (N,), number of the face that a
    row is of; its first row is of the face as it is."""

    rows: FloatImage
    said: FloatImage
    faces: NDArray[np.int64]

    def of(self, which: NDArray[np.bool_]) -> Described:
        """Some of the rows."""
        return Described(self.rows[which], self.said[which], self.faces[which])


def described(labels: Path, faces: Path) -> Described:
    """Descriptions of the labelled faces that a folder has, and of others made of each.

    Raises BadData on a bad list or a folder without such faces.
    """
    try:
        listed = json.loads(labels.read_text())
        wanted = {name: float(kind == "bearded") for kind in ("bearded", "bare") for name in listed[kind]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(f"{labels} is no list of bearded and bare faces: {error!r}") from error
    source, rows, said, whose = Faces(faces), list[FloatImage](), list[float](), list[int]()
    for i, entry in enumerate(tqdm(source.index, desc="looking", unit="face", leave=False)):
        if entry["id"] not in wanted:
            continue
        _, image, landmarks = source.read(i)
        for picture, points in _versions(image, landmarks, np.random.default_rng(i)):
            alignment = face_alignment(points, SIDE)
            crop = to_model(picture, alignment, SIDE)
            row = beard_description(crop, alignment.apply(points).astype(np.float32))
            if row is not None:
                rows.append(row)
                said.append(wanted[entry["id"]])
                whose.append(i)
    if len(set(said)) < 2:
        raise BadData(f"{faces} holds no bearded or no bare face of {labels}.")
    return Described(np.array(rows), np.array(said), np.array(whose))


def _versions(
    image: NDArray[np.uint8], landmarks: NDArray[np.floating], rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.floating]]]:
    yield image, landmarks
    yield cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.uint8), landmarks
    for _ in range(OTHERS):
        yield vary(image, landmarks, rng)


def fit(rows: FloatImage, said: FloatImage) -> Bearded:
    """rows: (N, D). said: (N,), 1 of the bearded, 0 of the bare."""
    mean, deviation = rows.mean(0), rows.std(0) + 1e-6
    x = np.c_[(rows - mean) / deviation, np.ones(len(rows))]
    ridge = RIDGE * np.diag(np.r_[np.ones(x.shape[1] - 1), 1e-6])
    weights = np.zeros(x.shape[1])
    for _ in range(STEPS):
        sure = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (sure - said) + ridge @ weights
        weights -= np.linalg.solve((x * (sure * (1 - sure))[:, None]).T @ x + ridge, slope)
    return Bearded(mean, deviation, weights[:-1], float(weights[-1]))


def left_out(all_of_them: Described) -> tuple[FloatImage, FloatImage]:
    """Log odds of each face as it is, by a fit on the others, and whether it is bearded, (F,) each."""
    odds, said = [], []
    for face in np.unique(all_of_them.faces):
        own = all_of_them.of(all_of_them.faces == face)
        others = all_of_them.of(all_of_them.faces != face)
        odds.append(fit(others.rows, others.said).odds(own.rows[0]))
        said.append(own.said[0])
    return np.array(odds), np.array(said)


def table(odds: FloatImage, said: FloatImage) -> str:
    """Markdown: of bearded and of bare faces, the share that is taken for bearded from each threshold on."""
    lines = ["| from log odds | bearded | bare |", "|---|---|---|"]
    for least in (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0):
        lines.append(
            f"| {least:+.1f} | {(odds[said == 1] > least).mean():.2f} | {(odds[said == 0] > least).mean():.2f} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.training.beard", description=__doc__)
    parser.add_argument("labels", type=Path)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    every = described(options.labels, options.faces)
    odds, said = left_out(every)
    print(f"{int(said.sum())} bearded and {int((1 - said).sum())} bare faces, each judged by a fit on the others:\n")
    print(table(odds, said), end="")
    if options.out:
        model = fit(every.rows, every.said)._asdict()
        told = {k: round(v, 4) if isinstance(v, float) else np.round(v, 4).tolist() for k, v in model.items()}
        options.out.write_text(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
