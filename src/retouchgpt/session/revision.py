"""What a front end changes without a sentence: marks ticked, strengths moved, masks corrected by hand.

Pure values: turns in, turns out; `Session.revise` puts them in force as one change that undo takes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.errors import InvalidPlan, NoFaceChosen
from retouchgpt.core.facts import Finding
from retouchgpt.core.people import addressed
from retouchgpt.core.plan import Edit, EditPlan
from retouchgpt.core.vocabulary import ALL, PERMANENT, SOFTENED, spoken
from retouchgpt.language.phrases import join, noun, place, sentence, thing

from .saved import exact, quantised
from .session import Turn, where_painted

LONGEST_LIST = 4
"""Kinds that a suggestion for "everything" may name before it says "all imperfections"."""


class Ticked(NamedTuple):
    """One found imperfection that a user wants gone from one face (its number)."""

    face: int
    imperfection: str
    region: str


class InForce(NamedTuple):
    """One edit in force: the places of its turn and of it in that turn's plan, in words, and how strong it is."""

    turn: int
    edit: int
    words: str
    strength: float


def ticked(items: Sequence[Ticked], strength: float = 1.0, *, faces: int = 1) -> tuple[Turn, ...]:
    """Ticked imperfections as turns, one a face. faces: how many are open. Raises InvalidPlan."""
    turns = []
    for number in sorted({t.face for t in items}):
        own = [t for t in items if t.face == number]
        plan = EditPlan("retouch", tuple(Edit(t.imperfection, t.region, strength) for t in own))
        text = sentence(f"remove {join([_the(t.imperfection, t.region) for t in own])}")
        turns.append(Turn(text, exact(plan), None, (number,) if faces > 1 else ()))
    return tuple(turns)


def in_force(turns: Sequence[Turn]) -> tuple[InForce, ...]:
    """Every edit of the turns, in words, for a list with a strength each."""
    return tuple(
        InForce(t, e, _named(turn, edit), edit.strength)
        for t, turn in enumerate(turns)
        for e, edit in enumerate(turn.plan.edits)
    )


def with_strength(turns: Sequence[Turn], turn: int, edit: int, strength: float) -> tuple[Turn, ...]:
    """The turns with one edit at another strength in [0, 1]. Raises InvalidPlan."""
    _check(turns, turn, edit)
    return _with_edits(turns, turn, [replace(e, strength=strength) if i == edit else e for i, e in _edits(turns, turn)])


def without(turns: Sequence[Turn], turn: int, edit: int) -> tuple[Turn, ...]:
    """The turns without one edit; a turn that has no other goes with it. Raises InvalidPlan."""
    _check(turns, turn, edit)
    return _with_edits(turns, turn, [e for i, e in _edits(turns, turn) if i != edit])


def with_mask(turns: Sequence[Turn], mask: NDArray[np.floating]) -> tuple[Turn, ...]:
    """The turns with a mask (H, W) in [0, 1] at the photo's size that a user painted or corrected.

    Edits then happen inside it and nowhere else, found or not, and the mask alone says where. Where nothing is asked
    yet, everything in it goes.
    """
    brush = quantised(mask)
    if turns:
        return tuple(replace(t, plan=where_painted(t.plan), brush=brush) for t in turns)
    return (Turn("Remove everything in the painted area.", EditPlan("retouch", (Edit(ALL),)), brush),)


def for_faces(instruction: str, chosen: Sequence[int], count: int) -> str:
    """An instruction for the chosen of `count` faces, unless it names faces itself. Raises NoFaceChosen for none."""
    if not chosen:
        raise NoFaceChosen
    if len(set(chosen)) >= count or addressed(instruction).who:
        return instruction
    return f"faces {', '.join(str(n) for n in sorted(set(chosen)))}: {instruction}"


def suggestions(found: Sequence[Finding]) -> tuple[str, ...]:
    """Instructions that fit what a photo shows, most useful first; each is understood as it stands."""
    marks = [k for k in dict.fromkeys(f.imperfection for f in found) if k not in PERMANENT | SOFTENED]
    soft = [k for k in dict.fromkeys(f.imperfection for f in found) if k in SOFTENED]
    permanent = [k for k in dict.fromkeys(f.imperfection for f in found) if k in PERMANENT]
    out = ["Clean up the skin."]
    if marks:
        keep = f", but keep the {noun(permanent[0])}" if permanent else ""
        out.append(f"Remove the {join([spoken(k) for k in marks[:LONGEST_LIST]])}{keep}.")
    if soft:
        out.append(f"Soften the {join([noun(k) for k in soft[:LONGEST_LIST]])}.")
    return (*out, "Remove all imperfections.", "What do you see?", "A bit less.")


def finding_words(finding: Finding) -> str:
    """A finding as a line of a list: "Three blemishes on the left cheek"."""
    words = f"{thing(finding.imperfection, finding.count, article='')} {place(finding.imperfection, finding.region)}"
    return sentence(words).rstrip(".")


def _the(kind: str, region: str) -> str:
    return f"the {spoken(kind)} {place(kind, region)}".strip()


def _named(turn: Turn, edit: Edit) -> str:
    kind = "everything" if edit.imperfection == ALL else spoken(edit.imperfection)
    where = place(edit.imperfection, edit.region)
    who = f", face {join([str(f) for f in turn.faces])}" if turn.faces else ""
    hand = " (painted mask)" if turn.brush is not None else ""
    return sentence(f"{kind} {where}").rstrip(".") + who + hand


def _edits(turns: Sequence[Turn], turn: int) -> list[tuple[int, Edit]]:
    return list(enumerate(turns[turn].plan.edits))


def _with_edits(turns: Sequence[Turn], turn: int, edits: Sequence[Edit]) -> tuple[Turn, ...]:
    new = (replace(turns[turn], plan=exact(replace(turns[turn].plan, edits=tuple(edits)))),) if edits else ()
    return (*turns[:turn], *new, *turns[turn + 1 :])


def _check(turns: Sequence[Turn], turn: int, edit: int) -> None:
    if not 0 <= turn < len(turns) or not 0 <= edit < len(turns[turn].plan.edits):
        raise InvalidPlan(f"there is no edit {edit} in turn {turn} any more; choose one of the list.")
