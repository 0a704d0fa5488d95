"""One request and one result, shared by every front end."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.errors import EmptyInstruction, InstructionTooLong, InvalidPlan
from retouchgpt.core.facts import Facts
from retouchgpt.core.plan import EditPlan

INSTRUCTION_LIMIT = 2000
REPORT_VERSION = 1


@dataclass(frozen=True)
class RetouchRequest:
    """What a front end asks for; serialisable.

    instruction: plain English. strength: in [0, 1], multiplies every edit's own. face: largest, all or a number from 1.
    brush: path of a mask (white: edit here), or None.
    """

    instruction: str
    strength: float = 1.0
    face: str = "largest"
    brush: str | None = None

    def checked(self) -> RetouchRequest:
        """Itself. Raises EmptyInstruction, InstructionTooLong or InvalidPlan (strength)."""
        if not self.instruction.strip():
            raise EmptyInstruction
        if len(self.instruction) > INSTRUCTION_LIMIT:
            raise InstructionTooLong(len(self.instruction), INSTRUCTION_LIMIT)
        if not 0.0 <= self.strength <= 1.0:
            raise InvalidPlan(f"strength must lie between 0 and 1, got {self.strength:g}.")
        return self

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class FaceResult:
    """One face's part of a result. index: from 1. box: (x0, y0, x1, y1) photo px."""

    index: int
    box: tuple[int, int, int, int]
    width_px: float
    facts: Facts
    answer: str

    def to_json(self) -> dict[str, Any]:
        facts = self.facts.to_json()
        return {
            "index": self.index,
            "box": list(self.box),
            "width_px": round(self.width_px, 1),
            "found": list(facts["found"]),
            "edited": list(facts["edited"]),
            "kept": list(facts["kept"]),
            "answer": self.answer,
        }


@dataclass(frozen=True)
class Result:
    """What one instruction gave.

    image: (H, W, 3), the photo's own type. mask: (H, W) float32 in [0, 1]; where it is 0 the image is the photo's own.
    changed: whether any pixel differs from the photo. answer: in words. steps: names of the steps so far.
    """

    image: NDArray[Any]
    mask: NDArray[np.float32]
    answer: str
    plan: EditPlan
    faces: tuple[FaceResult, ...]
    changed: bool
    instruction: str
    photo: dict[str, Any]
    timings: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()

    @property
    def report(self) -> dict[str, Any]:
        """The JSON report, see report.schema.json."""
        return {
            "version": REPORT_VERSION,
            "photo": self.photo,
            "instruction": self.instruction,
            "plan": self.plan.to_json(),
            "answer": self.answer,
            "changed": self.changed,
            "mask_area_px": int((self.mask > 0).sum()),
            "faces": [f.to_json() for f in self.faces],
            "steps": list(self.steps),
            "timings": {k: round(v, 4) for k, v in self.timings.items()},
            "versions": dict(self.versions),
            "notes": list(self.notes),
        }


def read_brush(path: str | Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A user's mask, (H, W) in [0, 1], at the photo's size: a picture, or the layer masks of a layered TIFF or PSD.

    Raises UnusableInput errors, or MissingExtra (layers need the extra `layers`).
    """
    from retouchgpt.core.errors import UnsupportedPhoto
    from retouchgpt.core.pixels import to_float
    from retouchgpt.photo.files import open_photo
    from retouchgpt.photo.layers import has_layers, read_mask

    mask = read_mask(path) if has_layers(path) else to_float(open_photo(path).pixels).mean(2)
    if mask.shape != shape[:2]:
        (height, width), (wanted_height, wanted_width) = mask.shape, shape[:2]
        raise UnsupportedPhoto(
            path, f"the mask is {width}x{height} px, the photo {wanted_width}x{wanted_height}; make them the same."
        )
    return mask
