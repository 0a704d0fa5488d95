"""Trains the classifier that tells which kind of imperfection a component of a difference was.

    python -m retouchgpt.training.differences FACES/train --validation FACES/val [--faces-painted 300] [--out FILE]

Painted faces against themselves without any mark; each component takes the kind that made most of it, and components of
several kinds are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from retouchgpt.core.errors import BadData
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.data.cache import SIDE, Faces
from retouchgpt.data.differences import SHIPPED, DifferenceClassifier, components
from retouchgpt.data.painter import TRAIN, VALIDATION, PaintedFace, PainterConfig, paint

PURE = 0.7
"""Share of a component's change that its kind must have made."""
A_KIND = 25
"""Components of one kind that one face gives, so that freckles do not flood the rest."""


def labelled(painted: PaintedFace, rng: np.random.Generator) -> list[tuple[np.ndarray, int]]:
    """Features and kind of a painted face's pure components."""
    found, labels = components(painted.image, painted.clean, painted.landmarks)
    kinds = sorted({m.kind for m in painted.marks})
    if not found or not kinds:
        return []
    parts = np.stack([np.abs(painted.difference(lambda m, k=kind: m.kind == k)).sum(2) for kind in kinds])  # type: ignore[misc]
    sums = np.stack([np.bincount(labels.ravel(), part.ravel(), labels.max() + 1) for part in parts])
    rows: dict[str, list[np.ndarray]] = {}
    for component in found:
        made = sums[:, component.label]
        if made.sum() > 0 and made.max() >= PURE * made.sum():
            rows.setdefault(kinds[int(made.argmax())], []).append(component.features)
    out = []
    for kind, features in rows.items():
        for i in rng.permutation(len(features))[:A_KIND]:
            out.append((features[i], IMPERFECTIONS.index(kind)))
    return out


def examples(folder: Path, count: int, seed: int, config: PainterConfig) -> tuple[Tensor, Tensor]:
    """Features (N, 27) and kinds (N,) of `count` paintings of a folder's faces. Raises BadData."""
    source, rows = Faces(folder), []
    for i in tqdm(range(count), desc="painting", unit="face", mininterval=5):
        rng = np.random.default_rng((seed, i))
        _, image, landmarks = source.read(int(rng.integers(len(source))))
        scale = SIDE / image.shape[0]
        image = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        rows += labelled(paint(image, landmarks * scale, seed * 1_000_000 + i, config), rng)
    if not rows:
        raise BadData(f"{folder}: nothing visible was painted on its faces")
    return torch.from_numpy(np.stack([f for f, _ in rows])), torch.tensor([k for _, k in rows])


def fit(features: Tensor, kinds: Tensor, *, steps: int = 1500, seed: int = 0) -> DifferenceClassifier:
    """Cross-entropy with kinds weighed alike, Adam along a cosine."""
    torch.manual_seed(seed)
    model = DifferenceClassifier()
    model.mean.copy_(features.mean(0))
    model.scale.copy_(features.std(0).clamp_min(0.05))
    counts = torch.bincount(kinds, minlength=len(IMPERFECTIONS)).float()
    weight = torch.where(counts > 0, len(kinds) / counts.clamp_min(1), torch.zeros(())).clamp(max=50)
    optimiser = torch.optim.AdamW(model.parameters(), 4e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        rows = torch.randint(len(kinds), (256,))
        noisy = features[rows] + 0.05 * model.scale * torch.randn(len(rows), features.shape[1])
        loss = F.cross_entropy(model(noisy), kinds[rows], weight, label_smoothing=0.02)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model.eval().requires_grad_(False)


@torch.no_grad()
def recalls(model: DifferenceClassifier, features: Tensor, kinds: Tensor) -> dict[str, float]:
    """Share of each kind's components that are told right; kinds without any are left out."""
    guessed = model(features).argmax(1)
    return {
        name: round(float((guessed[kinds == k] == k).float().mean()), 3)
        for k, name in enumerate(IMPERFECTIONS)
        if (kinds == k).any()
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.training.differences", description=__doc__)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--faces-painted", type=int, default=300)
    parser.add_argument("--held-back", type=int, default=80, help="paintings of validation faces that it is scored on")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(SHIPPED))
    options = parser.parse_args(arguments)
    features, kinds = examples(options.faces, options.faces_painted, options.seed, TRAIN)
    model = fit(features, kinds)
    held = examples(options.validation, options.held_back, options.seed + 1, VALIDATION)
    scores = recalls(model, *held)
    about = {"faces": options.faces_painted, "components": len(kinds), "held_back": len(held[1]), "recall": scores}
    model.save(options.out, about)
    print(about, f"mean over kinds {np.mean(list(scores.values())):.3f}")


if __name__ == "__main__":
    main()
