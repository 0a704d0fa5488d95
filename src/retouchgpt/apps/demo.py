"""`retouchgpt demo`: before, after, mask, report and answer on a public-domain portrait or the user's own photo."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from retouchgpt.core.geometry import Box
from retouchgpt.photo.files import Photo, open_photo, save_photo
from retouchgpt.photo.quiet import quiet
from retouchgpt.session.result import Result

from .retouch import save_mask, write_json

INSTRUCTION = "Please remove the acne and the spots, but keep the moles."


def face_window(result: Result, photo: Photo) -> tuple[slice, slice]:
    """Rows and columns of the first face with room around it, for a picture in which the edit can be seen."""
    box = Box(*result.faces[0].box)
    return box.grown(round(0.35 * box.extent.height)).clipped(photo.extent).slices


def run(options: argparse.Namespace) -> int:
    from retouchgpt.session import RetouchGPT

    model = RetouchGPT.from_pretrained(options.weights)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    if options.photo:
        with quiet():
            photo = open_photo(options.photo)
    else:
        from retouchgpt.data.portrait import painted_astronaut

        photo = painted_astronaut()
        print("The portrait (NASA, public domain) has clear skin, so acne, spots and moles were painted on it first.")
    instruction = options.instruction or INSTRUCTION
    result = model.open(photo).instruct(instruction)
    around = face_window(result, photo)
    pair = np.concatenate([photo.pixels[around], result.image[around]], 1)
    plain = Photo(path=None, pixels=photo.pixels, format="PNG", mode="RGB", icc=None if photo.grey else photo.icc)
    save_photo(plain, result.image, folder / "retouched.png", overwrite=True)
    save_photo(replace(plain, pixels=pair), pair, folder / "before_after.png", overwrite=True)
    save_mask(result, folder / "mask.png", overwrite=True)
    write_json(folder / "report.json", result.report)
    print(f'Instruction: "{instruction}"')
    print(f"Answer: {result.answer}")
    print(f"Written to {folder}: retouched.png, before_after.png, mask.png, report.json")
    return 0
