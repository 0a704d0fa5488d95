"""What a photo of a batch costs: core-seconds by pixels and faces, and what that makes in photos a core-hour.

python -m retouchgpt.evaluation.throughput [--weights FOLDER] [--out throughput.json]

One thread; processor time, not the clock's, so that a busy machine does not change it much. Each photo is read, looked
at, retouched, answered and saved, as a batch's worker does; the pictures are the painted astronaut, enlarged and tiled.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

INSTRUCTION = "Please remove the acne and the spots, but keep the moles."
SIZES = ((1, 1.0), (1, 3.0), (1, 6.0), (1, 12.0), (2, 3.0), (4, 3.0), (8, 12.0))
"""Faces and megapixels of each photo."""


class Cost(NamedTuple):
    """Core-seconds of one photo by stage."""

    faces: int
    megapixels: float
    read: float
    look: float
    retouch: float
    save: float
    changed: bool

    @property
    def total(self) -> float:
        return self.read + self.look + self.retouch + self.save


def picture(portrait: NDArray[np.uint8], faces: int, megapixels: float) -> NDArray[np.uint8]:
    """`faces` copies of a square portrait side by side in two rows or one, (H, W, 3), of that size."""
    rows = 2 if faces > 2 else 1
    tiled = np.tile(portrait, (rows, faces // rows, 1))
    scale = (megapixels * 1e6 / (tiled.shape[0] * tiled.shape[1])) ** 0.5
    return cv2.resize(tiled, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


def measure(model: Any, path: Path) -> Cost:
    """One photo's way through a batch."""
    from retouchgpt.photo.files import open_photo, save_photo

    marks = [time.process_time()]
    photo = open_photo(path)
    marks.append(time.process_time())
    session = model.open(photo, "all")
    marks.append(time.process_time())
    result = session.instruct(INSTRUCTION)
    marks.append(time.process_time())
    save_photo(photo, result.image, path.with_name(f"out{path.suffix}"), overwrite=True)
    marks.append(time.process_time())
    read, look, retouch, save = (b - a for a, b in itertools.pairwise(marks))
    return Cost(len(session.faces), photo.pixels.size / 3e6, read, look, retouch, save, result.changed)


def fit(costs: list[Cost]) -> dict[str, float]:
    """Least squares of relative error: seconds = fixed + face * faces + megapixel * megapixels."""
    rows = np.array([[1.0, c.faces, c.megapixels] for c in costs])
    totals = np.array([c.total for c in costs])
    found, *_ = np.linalg.lstsq(rows / totals[:, None], np.ones(len(costs)), rcond=None)
    worst = float(np.abs(rows @ found / totals - 1).max())
    return {"fixed": found[0], "face": found[1], "megapixel": found[2], "largest_relative_error": worst}


def run(weights: str | None = None) -> dict[str, Any]:
    """Measure all sizes."""
    import torch

    from retouchgpt.data.portrait import painted_astronaut
    from retouchgpt.evaluation.speed import machine
    from retouchgpt.session import RetouchGPT

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    model = RetouchGPT.from_pretrained(weights)
    portrait = painted_astronaut().pixels
    with tempfile.TemporaryDirectory() as folder:
        costs = []
        for faces, megapixels in (SIZES[0], *SIZES):  # the first one warms up
            path = Path(folder) / "photo.jpg"
            Image.fromarray(picture(portrait, faces, megapixels)).save(path, quality=92)
            costs.append(measure(model, path))
    rows = [c._asdict() | {"total": c.total, "photos_a_core_hour": 3600 / c.total} for c in costs[1:]]
    return {"machine": machine(), "versions": model.versions, "photos": rows, "fit": fit(costs[1:])}


def table(result: dict[str, Any]) -> str:
    """As Markdown."""
    lines = [
        "| faces | megapixels | read | look | retouch | save | core-seconds | photos a core-hour |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in result["photos"]:
        stages = " | ".join(f"{row[k]:.2f}" for k in ("read", "look", "retouch", "save", "total"))
        lines.append(f"| {row['faces']} | {row['megapixels']:.1f} | {stages} | {row['photos_a_core_hour']:.0f} |")
    f = result["fit"]
    lines.append("")
    lines.append(
        f"core-seconds = {f['fixed']:.2f} + {f['face']:.2f} faces + {f['megapixel']:.3f} megapixels "
        f"(off by {f['largest_relative_error']:.0%} at most)"
    )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.evaluation.throughput", description="Cost of a photo.")
    parser.add_argument("--weights")
    parser.add_argument("--out", help="JSON file")
    options = parser.parse_args(arguments)
    result = run(options.weights)
    print(table(result))
    if options.out:
        Path(options.out).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
