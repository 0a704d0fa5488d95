"""Native size: the texture of repaired skin at 2, 4 and 6 times the model's scale, and memory at 100 megapixels.

`python -m retouchgpt.evaluation.native_size --out DIR --document docs/files.md` writes native_size.json and, to be
looked at, a cut of each size before and after, and puts the table into the document. The portrait is the public-domain
astronaut, enlarged, with marks painted at the model's scale and grain of a pore's size added at native size, since
enlarging leaves none.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from . import documents

SCALES = (2, 4, 6)
INSTRUCTION = "Remove the acne, the spots and the moles."
PORES = 0.012
"""Standard deviation of the grain, of 1: about what skin has in a sharp portrait."""
TEXTURE, MEMORY_MB = (0.9, 1.1), 4000
"""What is wanted: texture within the one, peak memory under the other."""
PLACE = "native size"
RING = 12
"""Model px around the edit from which skin is taken to compare with."""


@dataclass(frozen=True)
class Row:
    """texture: fine energy of repaired skin over that of the skin around it, as amplitudes; texture_true: the same for
    the correction that takes the painted marks away exactly at the model's size, which judges the pasting without the
    network. scale: photo px a model px. peak_mb: most memory of the process that opened, retouched and wrote the photo.
    """

    scale: float
    megapixels: float
    texture: float
    texture_true: float
    edited_px: int
    seconds: float
    peak_mb: float


def portrait(side: int, seed: int = 0) -> NDArray[np.uint8]:
    """The painted astronaut at side x side px, with grain of pore size. Row by row, so that 100 MP need no floats."""
    from retouchgpt.data.portrait import painted_astronaut

    large = cv2.resize(painted_astronaut().pixels, (side, side), interpolation=cv2.INTER_CUBIC)
    rng = np.random.default_rng(seed)
    for y in range(0, side, 512):
        rows = large[y : y + 512]
        grain = cv2.GaussianBlur(rng.normal(0, 1, rows.shape[:2]).astype(np.float32), (0, 0), 1.0) * 2 * np.sqrt(np.pi)
        rows[:] = np.rint((rows + (255 * PORES) * grain[..., None]).clip(0, 255))
    return large


def texture(image: NDArray[Any], mask: NDArray[np.float32], step: int) -> float:
    """Amplitude of what is finer than the model's pixel, inside the edit over skin around it. step: px a model px."""
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    reach = RING * step
    area = np.s_[max(rows[0] - reach, 0) : rows[-1] + reach, max(columns[0] - reach, 0) : columns[-1] + reach]
    green, own = image[area][..., 1].astype(np.float32), mask[area]
    fine = green - cv2.GaussianBlur(green, (0, 0), 0.6 * step)
    inside = own > 0.9
    far = cv2.dilate((own > 0).astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    ring = far & (cv2.dilate((own > 0).astype(np.uint8), np.ones((2 * step + 1, 2 * step + 1), np.uint8)) == 0)
    return spread(fine[inside]) / spread(fine[ring])


def texture_true(photo: NDArray[np.uint8]) -> float:
    """Texture under the true correction of a photo that `portrait` made."""
    from retouchgpt.core.geometry import face_alignment
    from retouchgpt.data.portrait import clean_astronaut, painted_astronaut
    from retouchgpt.photo.composite import paste, to_model
    from retouchgpt.photo.faces import shared_finder

    clean, painted = clean_astronaut(2), painted_astronaut(2).pixels
    landmarks = shared_finder().find(clean)[0].landmarks
    small, large = (face_alignment(landmarks * k, 512) for k in (1.0, len(photo) / len(clean)))
    difference = to_model(clean, small, 512) - to_model(painted, small, 512)
    mask = cv2.dilate((np.abs(difference).max(2) > 2 / 255).astype(np.float32), np.ones((3, 3)))
    pasted = paste(photo, difference * mask[..., None], mask, large)
    return texture(pasted.pixels, pasted.mask, round(1 / large.scale))


def spread(values: NDArray[np.float32]) -> float:
    """Standard deviation as the middle of the values has it: lashes, hairs and lips around are not skin."""
    low, high = np.percentile(values, (15.87, 84.13))
    return float(high - low) / 2


def measure(side: int, weights: str | None, out: Path) -> Row:
    """Open, retouch and write one portrait of side x side px; the caller gives it a process of its own."""
    from retouchgpt.photo.files import open_photo, save_photo
    from retouchgpt.session import RetouchGPT

    path = out / f"native_{side}.png"
    model, start = RetouchGPT.from_pretrained(weights), time.perf_counter()
    photo = open_photo(path)
    session = model.open(photo)
    result = session.instruct(INSTRUCTION)
    save_photo(photo, result.image, out / f"native_{side}_out.png", overwrite=True)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    step = 1 / session.faces[0].alignment.scale
    ratio = texture(result.image, result.mask, round(step)) if result.changed else float("nan")
    _sheet(photo.pixels, result.image, result.mask, out / f"native_{side}_cut.png")
    edited = int((result.mask > 0).sum())
    true = round(texture_true(photo.pixels), 3)
    return Row(round(step, 2), side * side / 1e6, round(ratio, 3), true, edited, round(seconds, 1), round(peak))


def _sheet(before: NDArray[Any], after: NDArray[Any], mask: NDArray[np.float32], path: Path) -> None:
    """Before and after side by side, at native px, around the strongest part of the edit."""
    side = min(480, *mask.shape)
    density = cv2.boxFilter((mask > 0.5).astype(np.float32), -1, (side // 4, side // 4))
    middle = np.unravel_index(int(density.argmax()), density.shape)
    y, x = (min(max(int(v) - side // 2, 0), n - side) for v, n in zip(middle, mask.shape, strict=True))
    cut = np.s_[y : y + side, x : x + side]
    cv2.imwrite(str(path), np.concatenate([before[cut], after[cut]], 1)[..., ::-1])


def _child(side: int, weights: str | None, out: Path, pipe: Any) -> None:
    pipe.send(measure(side, weights, out))


def _paint(side: int, out: Path) -> None:
    from PIL import Image

    Image.fromarray(portrait(side)).save(out / f"native_{side}.png", compress_level=1)


def run(sides: Sequence[int], weights: str | None, out: Path) -> list[Row]:
    """One row a size, each measured in a process of its own."""
    out.mkdir(parents=True, exist_ok=True)
    context, rows = multiprocessing.get_context("spawn"), []
    for side in sides:
        painter = context.Process(target=_paint, args=(side, out))
        painter.start()
        painter.join()
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_child, args=(side, weights, out, there))
        process.start()
        there.close()
        rows.append(here.recv())
        process.join()
        print(rows[-1], flush=True)
    (out / "native_size.json").write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
    return rows


def table(rows: Sequence[Row], weights: str | None) -> str:
    """Markdown, with the weights it was measured with and whether all is as wanted."""
    from retouchgpt.model.checkpoint import WEIGHTS, sha256
    from retouchgpt.session.engine import weights_folder

    digest = sha256(weights_folder(weights) / WEIGHTS)[:12]
    lines = [
        "| photo px a model px | megapixels | texture | texture, true correction | seconds | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    for r in rows:
        lines.append(
            f"| {r.scale:.1f} | {r.megapixels:.0f} | {r.texture:.2f} | {r.texture_true:.2f} | {r.seconds:.1f} "
            f"| {r.peak_mb / 1000:.1f} GB |"
        )
    return "\n".join([*lines, "", f"Weights of SHA-256 {digest}. {verdict(rows)}"])


def verdict(rows: Sequence[Row]) -> str:
    """Whether every row is as wanted, in words."""
    low, high = TEXTURE
    rough = ", ".join(f"{r.scale:.1f}" for r in rows if not low <= r.texture <= high)
    large = ", ".join(f"{r.megapixels:.0f}" for r in rows if r.peak_mb >= MEMORY_MB)
    fine = f"is not within {low} to {high} at {rough}" if rough else f"is within {low} to {high} everywhere"
    held = f"reaches 4 GB at {large} megapixels" if large else "stays under 4 GB"
    return f"Texture {fine}; peak memory {held}."


def side_of(scale: float) -> int:
    """Side of the portrait at which a photo px is 1/scale of a model px."""
    from retouchgpt.core.geometry import face_alignment
    from retouchgpt.data.portrait import clean_astronaut
    from retouchgpt.photo.faces import shared_finder

    picture = clean_astronaut(1)
    alignment = face_alignment(shared_finder().find(picture)[0].landmarks, 512)
    return round(picture.shape[0] * alignment.scale * scale)


def main(arguments: Sequence[str] | None = None) -> int:
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="retouchgpt.evaluation.native_size", description=about)
    parser.add_argument("--out", type=Path, default=Path("out/native_size"))
    parser.add_argument("--weights")
    parser.add_argument("--document", type=Path, help=f"put the table between its marks <!-- {PLACE} -->")
    parser.add_argument("--scales", type=float, nargs="*", default=SCALES)
    parser.add_argument("--megapixels", type=float, nargs="*", default=(100.0,))
    options = parser.parse_args(arguments)
    if options.document:
        documents.check(options.document, PLACE)
    sides = [side_of(s) for s in options.scales] + [round((m * 1e6) ** 0.5) for m in options.megapixels]
    found = table(run(sides, options.weights, options.out), options.weights)
    print(found)
    if options.document:
        documents.put(options.document, PLACE, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
