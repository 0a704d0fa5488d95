"""Unpainted faces by their ids, and what an instruction does to one: pixels alone, without the answer in words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.errors import BadData
from retouchgpt.data.cache import Faces

from .metrics import Image, Mask

if TYPE_CHECKING:
    from retouchgpt.session import RetouchGPT, Session


class Portraits:
    """Faces of a folder, or of its subfolders `val` and `train`. Raises BadData, see Faces."""

    def __init__(self, folder: Path) -> None:
        own = [folder] if (folder / "index.json").exists() else [folder / "val", folder / "train"]
        self._places = {e["id"]: (f, i) for f in map(Faces, own) for i, e in enumerate(f.index)}
        self.folder = folder

    def __contains__(self, face: str) -> bool:
        return face in self._places

    def read(self, face: str) -> Image:
        """The photo (S, S, 3) of an id. Raises BadData for one that is not there."""
        if face not in self._places:
            raise BadData(f"{self.folder} has no face {face}")
        faces, i = self._places[face]
        return faces.read(i)[1]


@dataclass(frozen=True)
class Retouched:
    """before, after: (H, W, 3). mask: (H, W) float32 in [0, 1], the weight of the edit. editable: (H, W), the skin that
    may be edited as the session saw it."""

    before: Image
    after: Image
    mask: NDArray[np.float32]
    editable: Mask

    @property
    def changed(self) -> Mask:
        """Where a pixel differs."""
        return (self.before != self.after).any(2)


def retouched(engine: RetouchGPT, session: Session, instruction: str) -> Retouched:
    """An open session's photo under one instruction alone, whatever was said before."""
    from retouchgpt.core.geometry import Extent
    from retouchgpt.photo.composite import to_photo
    from retouchgpt.session.session import Turn

    plan = engine.understand(instruction)
    states = [(Turn(instruction, plan),)] if plan.intent == "retouch" else [()]
    session.restore({"states": states, "ahead": []})
    rendered, before = session.render(), session.photo.pixels
    extent = Extent(before.shape[1], before.shape[0])
    skin = [to_photo(face.allowed, face.alignment, extent) > 0 for face in session.faces]
    return Retouched(before, rendered.pixels, rendered.mask, np.logical_or.reduce(skin))
