"""What each box of the paper's figure does on one photo: the pictures of docs/concepts.md.

python -m retouchgpt.evaluation.boxes docs/images      writes box_NAME.jpg; run it again when the weights have changed

The photo is the demo's: the astronaut of scikit-image (NASA, public domain) with painted acne, spots and moles.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from retouchgpt.core.errors import OutputNotWritable
from retouchgpt.core.pixels import from_float
from retouchgpt.core.vocabulary import IMPERFECTIONS, REGIONS
from retouchgpt.data.portrait import painted_astronaut
from retouchgpt.data.showcase import WINDOW
from retouchgpt.model.imperfection import Selection
from retouchgpt.model.llm_embedding import MASK_GRID
from retouchgpt.model.network import Retouched
from retouchgpt.photo.files import Photo
from retouchgpt.session import RetouchGPT, Session
from retouchgpt.session.face import fast, select

Image = NDArray[np.uint8]
INSTRUCTION = "Please remove the acne and the spots, but keep the moles."
OTHERS = ("remove the acne on the left cheek", "remove everything but the moles", "remove the moles")
INK = np.array((255, 0, 160), np.float32)
CELL = 240
"""Side of a picture in a row, px."""
QUALITY = 82
STEPS = 3


@dataclass(frozen=True)
class Walked:
    """The demo's way through the boxes. crop: (512, 512, 3). out: all that one repair gives."""

    model: RetouchGPT
    session: Session
    crop: Image
    where: Selection
    out: Retouched


@torch.inference_mode()
def walk(model: RetouchGPT, photo: Photo) -> Walked:
    """Open the photo, select what the instruction asks for, repair it once."""
    session = model.open(photo)
    seen = session.faces[0]
    where = select(model.network, seen, model.understand(INSTRUCTION), None)
    with fast(model.network):
        out = model.network.repair(seen.crop, seen.features, where, model.dialogue(INSTRUCTION))
    return Walked(model, session, from_float(seen.crop[0].permute(1, 2, 0).numpy()), where, out)


def look(walked: Walked) -> Image:
    """The photo with the face's box, its aligned crop, the skin that may be edited."""
    photo, seen = walked.session.photo.pixels.copy(), walked.session.faces[0]
    box = seen.face.box
    cv2.rectangle(photo, (box.x0, box.y0), (box.x1, box.y1), INK.tolist(), max(photo.shape[0] // 200, 1))
    skin = tinted(walked.crop, seen.allowed)
    return row([(photo, "photo"), (walked.crop, "aligned crop, 512 px"), (skin, "skin that may be edited")])


def heat(walked: Walked) -> Image:
    """S, a heat map a kind."""
    maps = walked.session.faces[0].heat[0].float().numpy()
    return rows([(tinted(walked.crop, m), kind) for m, kind in zip(maps, IMPERFECTIONS, strict=True)], 4)


def regions(walked: Walked) -> Image:
    """G, a soft map a region."""
    maps = walked.session.faces[0].regions[0].numpy()
    return rows([(tinted(walked.crop, m), name) for m, name in zip(maps, REGIONS, strict=True)], 6)


def mask(walked: Walked) -> Image:
    """M_s of four instructions on the same heat maps."""
    pictures = [(tinted(walked.crop, walked.where.mask[0, 0]), "the instruction above")]
    for text in OTHERS:
        where = select(walked.model.network, walked.session.faces[0], walked.model.understand(text), None)
        pictures.append((tinted(walked.crop, where.mask[0, 0]), text))
    return row(pictures)


@torch.inference_mode()
def prompts(walked: Walked) -> Image:
    """The mask as P reads it, and the prompts that the LLM reads: nine learned, nine from the mask."""
    seen, network = walked.session.faces[0], walked.model.network
    pooled = F.adaptive_max_pool2d(walked.where.mask, MASK_GRID)[0, 0]
    with fast(network):
        _, both = network.embedding.prompts(seen.features.tokens, walked.where.mask)
    numbers = both[0].float().numpy()
    strip = 128 + 100 * numbers / np.abs(numbers).reshape(2, -1).max(1).repeat(len(numbers) // 2)[:, None]
    wide = cv2.resize(from_float(strip.clip(0, 255) / 255), (3 * CELL, CELL), interpolation=cv2.INTER_NEAREST)
    return row([(grey(pooled), "mask, 16 x 16"), (cv2.cvtColor(wide, cv2.COLOR_GRAY2RGB), "prompts: 9 base, 9 mask")])


def control(walked: Walked) -> Image:
    """alpha - 1, beta and gamma at each of the six scales, as the size of their numbers at each place."""
    maps = walked.out.control
    pictures = []
    for name, values in (("alpha - 1", maps.alpha - 1), ("beta", maps.beta), ("gamma", maps.gamma)):
        size = values[0].float().norm(dim=-1)
        for scale, m in enumerate(size / size.max().clamp_min(1e-6), 1):
            pictures.append((grey(m), f"{name}, scale {scale}"))
    return rows(pictures, 6)


def correction(walked: Walked) -> Image:
    """Before, gate, four times the correction, after: on the crop."""
    out = walked.out
    signed = (0.5 + 4 * out.correction[0].permute(1, 2, 0).float().numpy()).clip(0, 1)
    after = from_float(out.image[0].permute(1, 2, 0).float().numpy())
    shown = [walked.crop, grey(out.mask[0, 0]), from_float(signed), after]
    return row([(p[WINDOW], t) for p, t in zip(shown, ("before", "gate", "correction x 4", "after"), strict=True)])


def steps(walked: Walked) -> Image:
    """x_r(0), x_r(1) ... of the photo, in equal steps."""
    session = walked.session
    session.instruct(INSTRUCTION)
    session.walk(walked.model.pace(STEPS))
    box = session.faces[0].face.box
    pictures = [session.photo.pixels, *session.steps()]
    session.walk(None)
    return row([(p[box.slices], f"x_r({n})") for n, p in enumerate(pictures)])


BOXES: dict[str, Callable[[Walked], Image]] = {
    "look": look, "heat": heat, "regions": regions, "mask": mask, "prompts": prompts, "control": control,
    "correction": correction, "steps": steps,
}  # fmt: skip


def tinted(crop: Image, values: Tensor | NDArray[Any]) -> Image:
    """The face, grey, with a map (h, w) in [0, 1] as ink, cut to the face."""
    size = crop.shape[1], crop.shape[0]
    weight = cv2.resize(np.asarray(values, np.float32), size, interpolation=cv2.INTER_LINEAR)[..., None].clip(0, 1)
    base = 0.7 * cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None]
    return from_float((base * (1 - weight) + INK * weight) / 255)[WINDOW]


def grey(values: Tensor) -> Image:
    """A map (h, w) in [0, 1] as a grey picture of its own size, small ones with clear cells."""
    picture = from_float(values.float().numpy().clip(0, 1))
    if len(picture) < CELL:
        picture = cv2.resize(picture, (CELL, CELL), interpolation=cv2.INTER_NEAREST)
    return cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)


def row(pictures: Sequence[tuple[Image, str]], *, height: int = CELL) -> Image:
    """Pictures of one height side by side, each over its name."""
    cells = []
    for picture, name in pictures:
        width = round(picture.shape[1] * height / picture.shape[0])
        scaled = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        label = np.full((22, width, 3), 255, np.uint8)
        cv2.putText(label, name, (3, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
        cells.append(cv2.copyMakeBorder(np.vstack([scaled, label]), 0, 0, 0, 4, cv2.BORDER_CONSTANT, value=[255] * 3))
    return np.hstack(cells)


def rows(pictures: Sequence[tuple[Image, str]], columns: int) -> Image:
    """Pictures of one size in rows of `columns`."""
    height = 1000 // columns - 4
    return np.vstack([row(pictures[i : i + columns], height=height) for i in range(0, len(pictures), columns)])


def write(model: RetouchGPT, out: Path, photo: Photo | None = None) -> list[Path]:
    """box_NAME.jpg for each of BOXES; photo: default the demo's. Raises OutputNotWritable."""
    walked = walk(model, painted_astronaut() if photo is None else photo)
    written = []
    for name, box in BOXES.items():
        path = out / f"box_{name}.jpg"
        if not out.is_dir() or not cv2.imwrite(str(path), box(walked)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
            raise OutputNotWritable(path, "cannot be written")
        written.append(path)
    return written


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.evaluation.boxes", description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the pictures")
    parser.add_argument("--weights")
    options = parser.parse_args(arguments)
    print(*write(RetouchGPT.from_pretrained(options.weights), options.out), sep="\n")


if __name__ == "__main__":
    main()
