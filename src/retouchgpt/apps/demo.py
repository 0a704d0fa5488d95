"""`retouchgpt demo`: before, after, mask, report and answer on a public-domain portrait or the user's own photo."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.geometry import face_alignment
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.photo.composite import paste, to_model
from retouchgpt.photo.files import Photo, open_photo, save_photo

from .retouch import save_mask, write_json

INSTRUCTION = "Please remove the acne and the spots, but keep the moles."
PAINTED = ("acne", "spots", "moles")
SEED = 3


def run(options: argparse.Namespace) -> int:
    from retouchgpt.session import RetouchGPT

    model = RetouchGPT.from_pretrained(options.weights)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    if options.photo:
        photo = open_photo(options.photo)
    else:
        photo = painted_astronaut()
        print("The portrait (NASA, public domain) has clear skin, so acne, spots and moles were painted on it first.")
    instruction = options.instruction or INSTRUCTION
    result = model.open(photo).instruct(instruction)
    pair = np.concatenate([photo.pixels, result.image], 1)
    plain = Photo(path=None, pixels=photo.pixels, format="PNG", mode="RGB")
    save_photo(plain, result.image, folder / "retouched.png", overwrite=True)
    save_photo(Photo(None, pair, "PNG", "RGB"), pair, folder / "before_after.png", overwrite=True)
    save_mask(result, folder / "mask.png", overwrite=True)
    write_json(folder / "report.json", result.report)
    print(f'Instruction: "{instruction}"')
    print(f"Answer: {result.answer}")
    print(f"Written to {folder}: retouched.png, before_after.png, mask.png, report.json")
    return 0


def clean_astronaut(zoom: int = 2) -> NDArray[np.uint8]:
    """scikit-image's astronaut, enlarged, without anything painted."""
    import cv2
    import skimage.data

    return cv2.resize(skimage.data.astronaut(), None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)


def painted_astronaut(zoom: int = 2) -> Photo:
    """The astronaut with acne, spots and moles painted on her face."""
    from retouchgpt.data.dose import Dose
    from retouchgpt.data.painter import PainterConfig, paint
    from retouchgpt.photo.faces import shared_finder

    picture = clean_astronaut(zoom)
    face = shared_finder().find(picture)[0]
    alignment = face_alignment(face.landmarks, 512)
    crop = np.rint(to_model(picture, alignment, 512) * 255).astype(np.uint8)
    config = PainterConfig(
        kinds=(len(PAINTED), len(PAINTED)), nothing=0.0, chances={k: float(k in PAINTED) for k in IMPERFECTIONS},
        dose=Dose(amount=(0.9, 1.1), size=(0.9, 1.1), strength=(1.1, 1.2)), noise=(0.0, 0.0), blur=(0.0, 0.0), raw=1.0,
    )  # fmt: skip
    painted = paint(crop, alignment.apply(face.landmarks), SEED, config)
    difference = painted.difference(lambda mark: True) / 255
    pasted = paste(picture, difference, (np.abs(difference).max(2) > 0).astype(np.float32), alignment, detail=False)
    return Photo(path=Path("astronaut.png"), pixels=pasted.pixels, format="PNG", mode="RGB")
