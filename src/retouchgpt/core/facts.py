"""Measured facts of a photo and of an edit: what the answer may say, and what the report writes down."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One kind of imperfection that was found in one region.

    count: separate marks (0 for kinds that are areas, see vocabulary.COUNTABLE). area_px: photo px. confidence: [0, 1].
    """

    imperfection: str
    region: str
    count: int
    area_px: int
    confidence: float = 1.0


@dataclass(frozen=True)
class Outcome:
    """What became of one asked edit, as measured on the pixels.

    count, area_px: marks and photo px that really changed; both 0 when nothing was found there. still_seen: those
    of `count` that can be seen all the same, or 1 for an area that can. faint: all that changed is less than an eye can
    see, of something that hardly showed (`session/fading.py`).
    """

    imperfection: str
    region: str
    strength: float
    count: int
    area_px: int
    still_seen: int = 0
    faint: bool = False

    @property
    def done(self) -> bool:
        return self.area_px > 0


@dataclass(frozen=True)
class Facts:
    """All that an answer may claim about one turn on one face.

    found: what the photo shows (before this turn's edit). edited: one outcome per asked edit. kept: kinds that were
    found and left on purpose. declined: the reason when nothing was attempted. frame: whose left and right the user
    gave; regions here are always the viewer's. note: why kinds in `kept` stay when the user did not ask for it (the
    plan's reason). about: (imperfection, region) pairs that an inspect asks after.
    """

    intent: str
    found: tuple[Finding, ...] = ()
    edited: tuple[Outcome, ...] = ()
    kept: tuple[Finding, ...] = ()
    declined: str = ""
    frame: str = "viewer"
    note: str = ""
    about: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
