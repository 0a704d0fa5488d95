"""The public-domain portrait of the demo and the speed benchmark, clean and painted."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.geometry import face_alignment
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.photo.composite import paste, to_model
from retouchgpt.photo.faces import shared_finder
from retouchgpt.photo.files import Photo

from .dose import Dose
from .painter import PainterConfig, paint

PAINTED = ("acne", "spots", "moles")
SEED = 12


def clean_astronaut(zoom: int = 2) -> NDArray[np.uint8]:
    """scikit-image's astronaut, enlarged, without anything painted."""
    import skimage.data

    return cv2.resize(skimage.data.astronaut(), None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)


def painted_astronaut(zoom: int = 2) -> Photo:
    """The astronaut with acne, spots and moles painted on her face."""
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
