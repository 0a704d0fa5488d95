"""What a before/after pair shows was retouched: its components, the kind of each, and the dialogue that asks for it.

The instruction of a pair is derived from its difference, never drawn at random (the public code's fault). The kind of a
component comes from a small classifier that learned on painted pairs, where it is known (ours).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from retouchgpt.core.errors import WeightsMismatch, WeightsMissing
from retouchgpt.core.facts import Facts, Finding, Outcome
from retouchgpt.core.geometry import Extent
from retouchgpt.core.vocabulary import COUNTABLE, GRID_REGIONS, IMPERFECTIONS, NAMED_REGIONS
from retouchgpt.language.wording import compose
from retouchgpt.photo.regions import eye_distance, region_maps

from .dialogues import Dialogue
from .instructions import instruction_for

Image = NDArray[np.uint8]
VISIBLE = 2.5
"""8-bit levels, mean over channels, above which a pixel belongs to a component."""
LEAST_AREA = 4
MOST = 400
"""Components of a pair that are looked at, largest first."""
SURE = 0.45
"""Probability from which a component's kind is believed."""
FEATURES = 18 + len(NAMED_REGIONS)
SHIPPED = "differences.safetensors"


@dataclass(frozen=True)
class Component:
    """One connected part of a difference. centre: (x, y) px. area: px. region: named; cell: of the paper's 3x3 grid.
    features: what the classifier reads, (27,). labels: its number in the label map."""

    centre: tuple[float, float]
    area: int
    region: str
    cell: str
    features: NDArray[np.float32]
    label: int


def components(
    before: Image, after: Image, landmarks: NDArray[np.floating]
) -> tuple[list[Component], NDArray[np.int32]]:
    """Components of a pair, largest first, and their label map (H, W).

    before, after: uint8 (H, W, 3), aligned. landmarks: (478, 2) px of them.
    """
    change = before.astype(np.float32) - after.astype(np.float32)
    seen = cv2.GaussianBlur(np.abs(change).mean(2), (0, 0), 0.8) > VISIBLE
    _, labels, stats, centres = cv2.connectedComponentsWithStats(seen.astype(np.uint8), connectivity=8)
    order = [i for i in np.argsort(-stats[1:, cv2.CC_STAT_AREA]) + 1 if stats[i, cv2.CC_STAT_AREA] >= LEAST_AREA][:MOST]
    unit = eye_distance(landmarks)
    height, width = seen.shape
    maps = region_maps(np.asarray(landmarks) / 4, Extent(width // 4, height // 4))
    every = centres[order] if order else np.zeros((0, 2))
    found = []
    for i in order:
        x, y = centres[i]
        near = (np.hypot(*(every - (x, y)).T) < 0.5 * unit).sum() - 1
        box = stats[i]
        window = slice(box[1], box[1] + box[3]), slice(box[0], box[0] + box[2])
        own = labels[window] == i
        places = maps[: len(NAMED_REGIONS), min(int(y / 4), maps.shape[1] - 1), min(int(x / 4), maps.shape[2] - 1)]
        shape = _shape(own, unit, near)
        features = np.concatenate([_colour(before[window][own], change[window], own), shape, places]).astype(np.float32)
        best = int(places[1:].argmax())
        region = NAMED_REGIONS[1 + best] if places[1 + best] > 0.3 else "face"
        cell = GRID_REGIONS[min(int(3 * y / height), 2) * 3 + min(int(3 * x / width), 2)]
        found.append(Component((float(x), float(y)), int(box[4]), region, cell, features, int(i)))
    return found, labels


def _colour(pixels: Image, change: NDArray[np.float32], own: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(10,): what the retouch took away, by channel and its spread; how soft its border is; the skin's lightness."""
    levels = change[own] / 255
    mean = levels.mean(0)
    luma = change.mean(2) / 255
    slopes = np.hypot(*np.gradient(luma)) if min(luma.shape) > 1 else np.zeros_like(luma)
    size = float(np.abs(luma[own]).mean()) + 1e-3
    peak = float(np.abs(luma[own]).max())
    both = min(float((luma[own] > 0.006).mean()), float((luma[own] < -0.006).mean()))
    return np.array(
        [*(mean * 8), (mean[0] - mean[1]) * 12, (mean[1] - mean[2]) * 12, float(luma[own].std()) * 12, peak * 4,
         float(slopes[own].mean()) / size * 2, both * 4, float(pixels.mean()) / 255], np.float32,
    )  # fmt: skip


def _shape(own: NDArray[np.bool_], unit: float, near: float) -> NDArray[np.float32]:
    """(8,): size, length, thinness, filling, direction, and how many others lie around."""
    rows, columns = np.nonzero(own)
    area = len(rows)
    spread = np.cov(np.stack([columns, rows])) + np.eye(2) / 12 if area > 1 else np.eye(2) / 12
    values, vectors = np.linalg.eigh(spread)
    long, short = float(values[1]) ** 0.5, float(values[0]) ** 0.5
    inner = float(cv2.distanceTransform(np.pad(own, 1).astype(np.uint8), cv2.DIST_L2, 3).max())
    flat = float(vectors[0, 1]) ** 2
    return np.array(
        [np.log(area / unit**2 + 1e-5) / 2, np.log(4 * long / unit + 1e-3), np.log(long / short) * 1.5,
         area / (4 * np.pi * long * short), inner / unit * 8, flat, np.log1p(near) / 2, area / own.size], np.float32,
    )  # fmt: skip


class DifferenceClassifier(nn.Module):
    """Features (N, 27) -> logits of the twelve kinds (N, 12)."""

    def __init__(self, hidden: int = 48) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("scale", torch.ones(FEATURES))
        self.layers = nn.Sequential(
            nn.Linear(FEATURES, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(),
            nn.Linear(hidden, len(IMPERFECTIONS)),
        )  # fmt: skip

    mean: Tensor
    scale: Tensor

    def forward(self, features: Tensor) -> Tensor:
        return self.layers((features - self.mean) / self.scale)

    @torch.inference_mode()
    def kinds(self, found: Sequence[Component]) -> list[str | None]:
        """The kind of each component; None where none is sure."""
        if not found:
            return []
        chances = self(torch.from_numpy(np.stack([c.features for c in found]))).softmax(1)
        best, index = chances.max(1)
        return [IMPERFECTIONS[i] if p >= SURE else None for p, i in zip(best.tolist(), index.tolist(), strict=True)]

    def save(self, path: Path, about: dict[str, Any]) -> None:
        """Write safetensors with `about` (how it was trained, what it scored) in its metadata."""
        from safetensors.torch import save_file

        save_file(self.state_dict(), path, metadata={"about": json.dumps(about)})

    @classmethod
    def load(cls, path: Path | None = None) -> DifferenceClassifier:
        """The one that ships, or another. Raises WeightsMissing or WeightsMismatch."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = Path(str(files("retouchgpt"))) / "data" / SHIPPED if path is None else path
        if not path.is_file():
            raise WeightsMissing(path)
        try:
            state = load_file(path)
            model = cls(state["layers.0.weight"].shape[0])
            model.load_state_dict(state)
        except (SafetensorError, KeyError, RuntimeError) as error:
            raise WeightsMismatch(path, str(error).splitlines()[0]) from error
        return model.eval().requires_grad_(False)


def edits_of(
    found: Sequence[Component], kinds: Sequence[str | None], *, grid: bool
) -> dict[tuple[str, str], list[Component]]:
    """Components by kind and place, most area first. grid: the place is a cell of the 3x3 grid, as in the paper."""
    groups: dict[tuple[str, str], list[Component]] = {}
    for component, kind in zip(found, kinds, strict=True):
        if kind is not None:
            groups.setdefault((kind, component.cell if grid else component.region), []).append(component)
    return dict(sorted(groups.items(), key=lambda g: -sum(c.area for c in g[1])))


def dialogue_of(
    before: Image, after: Image, landmarks: NDArray[np.floating], classifier: DifferenceClassifier,
    rng: np.random.Generator, most: int = 4,
) -> Dialogue:  # fmt: skip
    """A dialogue that this pair answers: a request for what was retouched and where, or, a quarter of the time, the
    question whether there is anything; where nothing was retouched, always that question, answered with no.

    most: kinds with places that a request names; a pair with more is asked for everything, since its target shows
    everything gone.
    """

    def pick(options: Sequence[str]) -> str:
        return options[int(rng.integers(len(options)))]

    found, _ = components(before, after, landmarks)
    groups = edits_of(found, classifier.kinds(found), grid=bool(rng.random() < 0.5))
    if groups and rng.random() >= 0.25:
        edited = [_outcome(kind, place, own) for (kind, place), own in groups.items()]
        facts = Facts("retouch", edited=tuple(edited) if len(edited) <= most else _everything(groups))
    else:
        seen = (_outcome(kind, place, own) for (kind, place), own in groups.items())
        facts = Facts("inspect", found=tuple(Finding(o.imperfection, o.region, o.count, o.area_px) for o in seen))
    return Dialogue(instruction_for(facts, rng), facts, compose(facts, pick))


def _outcome(kind: str, place: str, own: Sequence[Component]) -> Outcome:
    return Outcome(kind, place, 1.0, len(own) if kind in COUNTABLE else 0, sum(c.area for c in own))


def _everything(groups: dict[tuple[str, str], list[Component]]) -> tuple[Outcome, ...]:
    """One outcome a kind, on the whole face."""
    by_kind: dict[str, list[Component]] = {kind: [] for kind in IMPERFECTIONS}
    for (kind, _), own in groups.items():
        by_kind[kind] += own
    return tuple(_outcome(kind, "face", own) for kind, own in by_kind.items())
