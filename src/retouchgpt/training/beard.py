"""Fit what tells a beard (`photo/beard.py`) on faces of which an eye said no more than whether they are bearded.

    python -m retouchgpt.training.beard LABELS FACES [--out FILE]

LABELS: {"bearded": [ids], "bare": [ids]}. Nowhere on the lower half of a bare face is there hair. Of a bearded one it
is at first all where beards grow, then, round by round, what the last fit took for hair, but at least its hairiest
quarter. A logistic model with a ridge, by Newton's method. Prints how often each label is told right, each quarter of
the faces by a fit on the others.
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
from retouchgpt.photo.beard import Growth, expanded
from retouchgpt.photo.composite import to_model
from retouchgpt.photo.coverings import SURE_HAIR, hair_places

FloatImage = NDArray[Any]

SIDE = 512
OTHERS = 2
"""How often each face is made into another (`data/variety.py`) and looked at again; once more it is made grey."""
A_FACE = 120
"""Places of a picture that the fit sees, at most."""
RIDGE = 20.0
ROUNDS, STEPS = 6, 5
HAIRIEST = 0.25
SHARPER = 1.5
"""By how much surer of hair each round is than the last."""
FOLDS = 4


class Seen(NamedTuple):
    """Places of one picture's lower face. face: number of the face. numbers: (N, 14). likely: (N,), see `Places`."""

    face: int
    bearded: bool
    numbers: FloatImage
    likely: NDArray[np.bool_]


def seen(labels: Path, faces: Path) -> list[Seen]:
    """The labelled faces that a folder has, as they are, grey and as others.

    Raises BadData on a bad list or a folder without such faces.
    """
    try:
        listed = json.loads(labels.read_text())
        wanted = {name: kind == "bearded" for kind in ("bearded", "bare") for name in listed[kind]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(f"{labels} is no list of bearded and bare faces: {error!r}") from error
    source, out = Faces(faces), list[Seen]()
    for i, entry in enumerate(tqdm(source.index, desc="looking", unit="face", leave=False)):
        if entry["id"] not in wanted:
            continue
        _, image, landmarks = source.read(i)
        for picture, points in _versions(image, landmarks, np.random.default_rng(i)):
            alignment = face_alignment(points, SIDE)
            found = hair_places(to_model(picture, alignment, SIDE), alignment.apply(points).astype(np.float32))
            if found is not None and found.likely.any():
                out.append(Seen(i, wanted[entry["id"]], found.numbers[found.lower], found.likely[found.lower]))
    if len({s.bearded for s in out}) < 2:
        raise BadData(f"{faces} holds no bearded or no bare face of {labels}.")
    return out


def _versions(
    image: NDArray[np.uint8], landmarks: NDArray[np.floating], rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.floating]]]:
    yield image, landmarks
    yield cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.uint8), landmarks
    for _ in range(OTHERS):
        yield vary(image, landmarks, rng)


def fit(pictures: Sequence[Seen]) -> Growth:
    """What tells hair, from pictures of bearded and bare faces."""
    rng = np.random.default_rng(0)
    chosen = [rng.permutation(len(p.numbers))[:A_FACE] for p in pictures]
    numbers = np.concatenate([p.numbers[c] for p, c in zip(pictures, chosen, strict=True)])
    likely = np.concatenate([p.likely[c] for p, c in zip(pictures, chosen, strict=True)])
    picture = np.concatenate([np.full(len(c), i) for i, c in enumerate(chosen)])
    bearded = np.array([p.bearded for p in pictures])[picture]
    mean, deviation = numbers.mean(0), numbers.std(0) + 1e-6
    x = np.c_[expanded(numbers, mean, deviation), np.ones(len(numbers))]
    known = ~bearded | likely
    weights = _newton(x[known], bearded[known].astype(float), np.zeros(x.shape[1]), 2 * STEPS)
    for _ in range(ROUNDS):
        odds = x @ weights
        hair = np.where(bearded, _sure(SHARPER * odds), 0.0)
        for i in np.unique(picture[bearded]):
            own = picture == i
            hair[own & (odds >= np.quantile(odds[own], 1 - HAIRIEST))] = 1.0
        weights = _newton(x, hair, weights, STEPS)
    return Growth(mean, deviation, weights[:-1], float(weights[-1]))


def _newton(x: FloatImage, said: FloatImage, weights: FloatImage, steps: int) -> FloatImage:
    ridge = RIDGE * np.diag(np.r_[np.ones(x.shape[1] - 1), 1e-6])
    for _ in range(steps):
        sure = _sure(x @ weights)
        slope = x.T @ (sure - said) + ridge @ weights
        weights = weights - np.linalg.solve((x * (sure * (1 - sure))[:, None]).T @ x + ridge, slope)
    return weights


def _sure(odds: FloatImage) -> FloatImage:
    return np.asarray(1 / (1 + np.exp(-odds.clip(-30, 30))))


def shares(pictures: Sequence[Seen]) -> tuple[FloatImage, NDArray[np.bool_]]:
    """Share of each face's lower half that is surely hair, by a fit on other faces, and whether it is bearded, (F,)."""
    faces = np.array(sorted({p.face for p in pictures}))
    fold = dict(zip(faces.tolist(), (np.random.default_rng(0).permutation(len(faces)) % FOLDS).tolist(), strict=True))
    share, said = list[float](), list[bool]()
    for i in range(FOLDS):
        growth = fit([p for p in pictures if fold[p.face] != i])
        done = set[int]()
        for p in pictures:
            if fold[p.face] == i and p.face not in done:  # the first is the face as it is
                done.add(p.face)
                share.append(float((growth.odds(p.numbers) > SURE_HAIR).mean()))
                said.append(p.bearded)
    return np.array(share), np.array(said)


def table(share: FloatImage, said: NDArray[np.bool_]) -> str:
    """Markdown: how many bearded and bare faces have more hair than a share of their lower half."""
    lines = ["| more hair than | bearded | bare |", "|---|---|---|"]
    for least in (0.01, 0.02, 0.03, 0.05, 0.08, 0.12):
        lines.append(f"| {least:.2f} | {(share[said] > least).mean():.2f} | {(share[~said] > least).mean():.2f} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.training.beard", description=__doc__)
    parser.add_argument("labels", type=Path)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    pictures = seen(options.labels, options.faces)
    share, said = shares(pictures)
    print(f"{said.sum()} bearded and {(~said).sum()} bare faces:\n\n{table(share, said)}", end="")
    if options.out:
        growth = fit(pictures)._asdict()
        told = {k: round(v, 4) if isinstance(v, float) else np.round(v, 4).tolist() for k, v in growth.items()}
        options.out.write_text(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
