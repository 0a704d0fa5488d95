"""`EditPlan`: what an instruction asks for, as a value that every front end, the network and a log can share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidPlan
from .vocabulary import ALL, IMPERFECTIONS, REGIONS, expand

INTENTS: tuple[str, ...] = ("retouch", "inspect", "adjust", "undo", "redo", "reset", "decline")
FRAMES: tuple[str, ...] = ("viewer", "subject")


@dataclass(frozen=True)
class Edit:
    """One thing to remove: an imperfection (or `all`) in a region, `strength` in [0, 1] (1 removes it entirely)."""

    imperfection: str
    region: str = "face"
    strength: float = 1.0

    def __post_init__(self) -> None:
        _check_target(self.imperfection, self.region)
        if not 0.0 <= self.strength <= 1.0:
            raise InvalidPlan(f"strength must lie in [0, 1], got {self.strength}")


@dataclass(frozen=True)
class Keep:
    """One thing to leave as it is: an imperfection (or `all`) in a region."""

    imperfection: str
    region: str = "face"

    def __post_init__(self) -> None:
        _check_target(self.imperfection, self.region)


@dataclass(frozen=True)
class EditPlan:
    """What an instruction asks for.

    intent: one of `INTENTS`. `retouch` edits, `inspect` asks about `about` (empty: about everything), `adjust` changes
        the strength of earlier edits by `factor` (those named in `edits`, or the last ones when none is named),
        `undo`, `redo`, `reset` move in the session's history, `decline` says no, with `reason`.
    edits, keep: what goes and what stays; a keep always wins over an edit.
    about: what an `inspect` asks after.
    factor: multiplies earlier strengths in an `adjust` (below 1 weaker, above 1 stronger); ignored otherwise.
    reason: why an instruction is declined, in a few words; or what an edit leaves alone by default.
    frame: whose left and right the instruction used. Regions in the plan are always the viewer's.
    replaces: a correction ("no, the other side"): the last retouch in force makes way for this one.
    """

    intent: str
    edits: tuple[Edit, ...] = ()
    keep: tuple[Keep, ...] = ()
    about: tuple[Keep, ...] = ()
    factor: float = 1.0
    reason: str = ""
    frame: str = field(default="viewer")
    replaces: bool = False

    def __post_init__(self) -> None:
        if self.intent not in INTENTS:
            raise InvalidPlan(f"unknown intent {self.intent!r}; one of {', '.join(INTENTS)}")
        if self.frame not in FRAMES:
            raise InvalidPlan(f"unknown frame {self.frame!r}; one of {', '.join(FRAMES)}")

    def edit_matrix(self) -> NDArray[np.float32]:
        """A_kr of the grounded IIP: strength asked of kind k in region r. Shape (12, 18), range [0, 1]."""
        return _matrix((e.imperfection, e.region, e.strength) for e in self.edits)

    def keep_matrix(self) -> NDArray[np.float32]:
        """1 where kind k must stay in region r. Shape (12, 18), values 0 or 1."""
        return _matrix((k.imperfection, k.region, 1.0) for k in self.keep)

    def scaled(self, strength: float) -> EditPlan:
        """The same plan with every edit's strength multiplied by `strength` in [0, 1]."""
        edits = tuple(Edit(e.imperfection, e.region, e.strength * strength) for e in self.edits)
        return EditPlan(self.intent, edits, self.keep, self.about, self.factor, self.reason, self.frame, self.replaces)

    def to_json(self) -> dict[str, Any]:
        """The object that `plan --json` prints; fields beyond intent, edits and keep only when they say something."""
        out: dict[str, Any] = {
            "intent": self.intent,
            "edits": [
                {"imperfection": e.imperfection, "region": e.region, "strength": round(e.strength, 4)}
                for e in self.edits
            ],
            "keep": [{"imperfection": k.imperfection, "region": k.region} for k in self.keep],
        }
        if self.about:
            out["about"] = [{"imperfection": k.imperfection, "region": k.region} for k in self.about]
        if self.intent == "adjust":
            out["factor"] = round(self.factor, 4)
        if self.reason:
            out["reason"] = self.reason
        if self.frame != "viewer":
            out["frame"] = self.frame
        if self.replaces:
            out["replaces"] = True
        return out

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EditPlan:
        """Inverse of `to_json`. Raises InvalidPlan on unknown words or missing fields."""
        try:
            return cls(
                intent=data["intent"],
                edits=tuple(Edit(**e) for e in data.get("edits", ())),
                keep=tuple(Keep(**k) for k in data.get("keep", ())),
                about=tuple(Keep(**k) for k in data.get("about", ())),
                factor=float(data.get("factor", 1.0)),
                reason=str(data.get("reason", "")),
                frame=data.get("frame", "viewer"),
                replaces=bool(data.get("replaces", False)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidPlan(f"not an edit plan: {error}") from error


def _check_target(imperfection: str, region: str) -> None:
    if imperfection != ALL and imperfection not in IMPERFECTIONS:
        raise InvalidPlan(f"unknown imperfection {imperfection!r}; one of {', '.join((ALL, *IMPERFECTIONS))}")
    if region not in REGIONS:
        raise InvalidPlan(f"unknown region {region!r}; one of {', '.join(REGIONS)}")


def _matrix(rows: Iterable[tuple[str, str, float]]) -> NDArray[np.float32]:
    matrix = np.zeros((len(IMPERFECTIONS), len(REGIONS)), np.float32)
    for imperfection, region, value in rows:
        r = REGIONS.index(region)
        for kind in expand(imperfection):
            k = IMPERFECTIONS.index(kind)
            matrix[k, r] = max(matrix[k, r], value)
    return matrix
