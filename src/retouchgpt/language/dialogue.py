"""Memory: what a turn means after the turns before it. Pure functions of text, plan and history.

"Same on the other cheek", "and the nose too", "no, the other side", "put the mole back": none of these says by itself
what to do. Undo, redo and start over are replay and belong to the session.
"""

from __future__ import annotations

import re
from dataclasses import replace

from retouchgpt.core.plan import Edit, EditPlan, Keep
from retouchgpt.core.vocabulary import ALL, REGIONS, mirror

SAME = re.compile(r"\b(same|likewise|ditto|do that|do it|as well|too|also|again)\b")
OTHER_SIDE = re.compile(r"\b(?:the )?other (?:side|one|cheek|eye|half)\b|\bopposite side\b")
CORRECTION = re.compile(r"^\W*(?:no|nope|wrong|i meant?|not that|oops|sorry)\b")
BACK = re.compile(r"\b(?:put|bring|give|want|get|restore|leave)\b.*\bback\b|\brestore\b|\bbring back\b")
FOLLOWS = re.compile(r"^\W*(?:and|also|plus|now|then|same)\b|\b(?:too|as well)\W*$")


def resolve(plan: EditPlan, text: str, history: tuple[EditPlan, ...]) -> EditPlan:
    """The plan of `text` after the plans in force, oldest first.

    `plan` is what the text means by itself. The result is that plan, unless the text leans on what went before:

    - "the other cheek", "same on the nose", "and the chin too": the last edit's kinds at the new place;
    - "no, the other side": the last edit moved; `replaces` says that it stands in the last one's place;
    - "put the mole back", "leave the moles after all": what was edited is kept from now on.

    With no history a text that leans on one comes back as a decline that says what is missing.
    """
    lower = text.lower()
    last = next((p for p in reversed(history) if p.edits), None)
    if BACK.search(lower):
        return _put_back(plan, history)
    leans = bool(OTHER_SIDE.search(lower)) or _names_only_a_place(plan, lower)
    if not leans:
        return plan
    if last is None:
        return EditPlan(
            "decline", reason="nothing was edited yet that this could refer to; say what to remove and where"
        )
    if OTHER_SIDE.search(lower):
        edits = tuple(replace(e, region=mirror(e.region)) for e in last.edits)
        return EditPlan("retouch", _sided(edits, last), last.keep, frame=plan.frame)
    places = _places(plan, lower)
    kinds = {(e.imperfection, e.strength) for e in last.edits}
    edits = tuple(Edit(kind, place, strength) for place in places for kind, strength in sorted(kinds))
    return EditPlan("retouch", edits, last.keep, frame=plan.frame)


def replaces(text: str, plan: EditPlan) -> bool:
    """Whether a turn stands in place of the last one ("no, the other side") instead of coming after it."""
    return plan.intent == "retouch" and bool(CORRECTION.search(text.lower()))


def _names_only_a_place(plan: EditPlan, lower: str) -> bool:
    """Whether a text has a place and a word like "same" or "too", but no imperfection of its own."""
    if not (SAME.search(lower) or FOLLOWS.search(lower)) or not _places(plan, lower):
        return False
    named = {e.imperfection for e in plan.edits} - {ALL}
    return plan.intent in ("decline", "retouch") and (not named or plan.intent == "decline")


def _places(plan: EditPlan, lower: str) -> tuple[str, ...]:
    """Regions of a plan, or, where it has none, those that the text spells out."""
    if plan.intent == "retouch" and plan.edits:
        return tuple(dict.fromkeys(e.region for e in plan.edits if e.region != "face"))
    found = [r for r in REGIONS if re.search(rf"\b{r.replace('_', ' ')}s?\b", lower)]
    for pair in ("cheek", "eye"):
        if re.search(rf"\b{pair}s\b|\bboth {pair}", lower) and f"left_{pair}" not in found:
            found += [f"left_{pair}", f"right_{pair}"]
    whole = [r for r in found if not any(r != other and r in other.split("_") for other in found)]
    return tuple(r for r in whole if r != "face")


def _sided(edits: tuple[Edit, ...], last: EditPlan) -> tuple[Edit, ...]:
    """Mirrored edits without those that have no side; all of them where none has one."""
    moved = tuple(e for e, old in zip(edits, last.edits, strict=True) if e.region != old.region)
    return moved or edits


def _put_back(plan: EditPlan, history: tuple[EditPlan, ...]) -> EditPlan:
    """What is to come back, as an edit-free plan that keeps it; a decline when none of it was edited."""
    targets = {(e.imperfection, e.region) for e in plan.edits} | {(k.imperfection, k.region) for k in plan.keep}
    edited = {e.imperfection for p in history for e in p.edits}
    if not history or not edited:
        return EditPlan("decline", reason="nothing was removed yet that could come back")
    if not targets:
        return EditPlan("undo")
    keep = tuple(Keep(kind, region) for kind, region in sorted(targets))
    return EditPlan("retouch", (), keep, frame=plan.frame)
