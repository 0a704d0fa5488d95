"""Turns with memory: what an instruction means after those before it. Pure functions of plans; the session replays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from retouchgpt.core.plan import Edit, EditPlan, Keep
from retouchgpt.core.vocabulary import ALL, expand, mirror

from . import matching as m
from .understanding import declined, specific, strengths_of

OTHER_SIDE = re.compile(r"\b(other|opposite) (side|cheek|eye|one|half|eyelid|temple)\b|\bmirror(ed)? (it|side)\b")
SAME = re.compile(r"\b(same|likewise|ditto|repeat (it|that|this))\b")
TOO = re.compile(r"\b(too|also|as well|and|now|next|likewise|what about|how about|then)\b")
CORRECTS = re.compile(
    r"^\W*(no|nope|wrong|not|oops|sorry|actually|i (meant|mean)|wait|rather)\b|"
    r"\b(i (meant|mean)|instead|wrong (side|cheek|eye))\b"
)
QUESTION = re.compile(r"^\W*((what|how) about|do)\b")
FOLLOW_UP_WORDS = 9
"""A place alone in more words than this is no follow-up."""
EMPTY_VERBS = frozenset({"no", "do", "not"})
"""Verbs of the lexicon that say nothing in a follow-up: "no, the nose", "do it on the chin too"."""
POINTING = frozenset({"it", "them", "that", "those", "these", "this"})
SOFTER = 0.5


def resolve(plan: EditPlan, instruction: str, history: Sequence[EditPlan] = ()) -> EditPlan:
    """The plan of an instruction after earlier ones.

    plan: what the instruction says by itself. history: plans of the retouches in force, oldest first; where the turn
    just before was a question, its plan comes last. An instruction that leans on nothing earlier comes back as it is.
    """
    question = history[-1] if history and history[-1].intent == "inspect" else None
    history = [p for p in history if p.intent != "inspect"]
    last = next((p for p in reversed(history) if p.intent == "retouch" and p.edits), None)
    if plan.intent == "adjust":
        return _adjustment(plan, history)
    if plan.intent not in ("retouch", "decline", "inspect") or not instruction.strip():
        return plan
    if plan.keep and not plan.edits:
        return _kept_after_all(plan, history)
    tokens = m.read(instruction[:2000])
    items = m.match(tokens)
    said = " ".join(t.text for t in tokens)
    kinds = [str(i.value) for i in items if i.type == m.KIND]
    if question is not None and not kinds:
        answer = _after_question(plan, question, items, said)
        if answer is not None:
            return answer
    if last is None:
        leans = (OTHER_SIDE.search(said) or SAME.search(said)) and not any(i.type == m.KIND for i in items)
        return declined("nothing_earlier") if leans and plan.intent == "decline" else plan
    corrects = CORRECTS.search(said) is not None
    if OTHER_SIDE.search(said):
        return _mirrored(plan, last, kinds, corrects)
    if any(i.type == m.OUT or (i.type == m.PLACE and str(i.value).startswith(m.OUTSIDE_PREFIX)) for i in items):
        return plan
    places = list(dict.fromkeys(r for i in items if i.type in (m.PLACE, m.SIDE) for r in _regions(i)))
    verbs = {i.type for i in items if i.value not in EMPTY_VERBS} & m.VERBS
    if places and not kinds and (SAME.search(said) or _follows(said, verbs, plan)):
        return replace(_moved(last, places), replaces=corrects)
    short = len(said.split()) <= FOLLOW_UP_WORDS
    if corrects and kinds and plan.intent == "retouch" and short and m.KEEP not in verbs:
        return replace(_in_place_of(plan, last, bool(places)), replaces=True)
    if not kinds and not places and plan.intent == "decline":
        return _pointed(plan, last, items, said)
    return plan


def _follows(said: str, verbs: Iterable[str], plan: EditPlan) -> bool:
    """Whether a short text with a place and no imperfection goes on from the last edit."""
    question = plan.intent == "inspect" and not QUESTION.search(said)
    if list(verbs) or question or len(said.split()) > FOLLOW_UP_WORDS:
        return False
    return plan.intent == "decline" or TOO.search(said) is not None or CORRECTS.search(said) is not None


def _after_question(plan: EditPlan, question: EditPlan, items: Sequence[m.Item], said: str) -> EditPlan | None:
    """ "remove them", "and on the chin?" after a question: what it was about, or the same elsewhere; else None."""
    verbs = {i.type for i in items if i.value not in EMPTY_VERBS} & m.VERBS
    foreign = any(i.type == m.OUT or str(i.value).startswith(m.OUTSIDE_PREFIX) for i in items)
    if foreign or plan.intent not in ("retouch", "decline", "inspect") or len(said.split()) > FOLLOW_UP_WORDS:
        return None
    about = question.about or (Keep(ALL),)
    places = list(dict.fromkeys(r for i in items if i.type in (m.PLACE, m.SIDE) for r in _regions(i)))
    if places:
        about = tuple(Keep(kind, r) for kind in dict.fromkeys(k.imperfection for k in about) for r in places)
    if verbs and verbs <= {m.REMOVE, m.SOFTEN} and POINTING & set(said.split()):
        strengths = list(strengths_of(m.read(said), items).values())
        strength = strengths[0] if strengths else SOFTER if m.SOFTEN in verbs else 1.0
        return EditPlan("retouch", tuple(Edit(k.imperfection, k.region, strength) for k in about))
    asks = plan.intent == "inspect" or said.endswith("?") or said.startswith(("and ", "what about ", "how about "))
    return EditPlan("inspect", about=about) if places and not verbs and asks else None


def _regions(item: m.Item) -> tuple[str, ...]:
    value = str(item.value)
    return (value.split()[0],) if item.type == m.SIDE else tuple(m.regions(value))


def _moved(last: EditPlan, places: Iterable[str]) -> EditPlan:
    """The last edits at other places."""
    kinds = dict.fromkeys((e.imperfection, e.strength) for e in last.edits)
    pairs = {e.region.split("_", 1)[1] for e in last.edits if e.region.startswith(("left_", "right_"))}
    pair = pairs.pop() if len(pairs) == 1 else ""
    seen = [f"{p}_{pair}" if pair and p in ("left", "right") else p for p in places]
    pairs_of = [(k, r, s) for place in seen for kind, s in kinds for k, r in specific(kind, place)]
    edits = tuple(Edit(kind, place, strength) for kind, place, strength in pairs_of)
    keep = tuple(k for k in last.keep if (k.imperfection, k.region) not in {(e.imperfection, e.region) for e in edits})
    return EditPlan("retouch", edits, keep, reason=last.reason)


def _mirrored(plan: EditPlan, last: EditPlan, kinds: Sequence[str], corrects: bool) -> EditPlan:
    """The last edits across the middle line; of other kinds when the instruction names some."""
    sided = [e for e in last.edits if mirror(e.region) != e.region]
    if not sided:
        return plan if plan.intent == "retouch" and kinds else declined("nothing_earlier")
    if plan.intent == "retouch" and kinds:
        named = dict.fromkeys((e.imperfection, e.strength) for e in plan.edits)
        regions = dict.fromkeys(mirror(e.region) for e in sided)
        edits = [Edit(kind, region, strength) for region in regions for kind, strength in named]
    else:
        edits = [Edit(e.imperfection, mirror(e.region), e.strength) for e in sided]
    return EditPlan("retouch", tuple(edits), plan.keep or last.keep, reason=last.reason, replaces=corrects)


def _in_place_of(plan: EditPlan, last: EditPlan, placed: bool) -> EditPlan:
    """ "no, the moles": other kinds where the last edits were."""
    if placed:
        return plan
    regions = dict.fromkeys(e.region for e in last.edits)
    return replace(plan, edits=tuple(replace(e, region=r) for r in regions for e in plan.edits))


def _pointed(plan: EditPlan, last: EditPlan, items: Sequence[m.Item], said: str) -> EditPlan:
    """ "remove them completely", "soften it by 30 %": the last edits at another strength."""
    verbs = {i.type for i in items} & {m.REMOVE, m.SOFTEN}
    if not verbs or not POINTING & set(said.split()):
        return plan
    strengths = list(strengths_of(m.read(said), items).values())
    strength = strengths[0] if strengths else SOFTER if m.SOFTEN in verbs else 1.0
    return replace(last, edits=tuple(replace(e, strength=strength) for e in last.edits), replaces=True)


def _kept_after_all(plan: EditPlan, history: Sequence[EditPlan]) -> EditPlan:
    """ "leave the chin alone" takes back what was done there; what was not touched needs nothing."""
    back = EditPlan("adjust", tuple(Edit(k.imperfection, k.region) for k in plan.keep), factor=0.0, frame=plan.frame)
    taken_back = _adjustment(back, history)
    return taken_back if taken_back.intent == "adjust" else plan


def _adjustment(plan: EditPlan, history: Sequence[EditPlan]) -> EditPlan:
    """An adjustment of what was done; of what was not, a softening, or a refusal."""
    soften = 0 < plan.factor < 1
    if not any(p.edits for p in history):
        if plan.edits and soften:
            return EditPlan("retouch", tuple(replace(e, strength=1 - plan.factor) for e in plan.edits))
        return declined("nothing_earlier")
    if not plan.edits:
        return plan
    done = {(kind, e.region) for p in history for e in p.edits for kind in expand(e.imperfection)}
    named = [e for e in plan.edits if any(_meets(e, kind, region) for kind, region in done)]
    if named:
        return replace(plan, edits=tuple(named))
    if soften:
        return EditPlan("retouch", tuple(replace(e, strength=SOFTER) for e in plan.edits))
    return declined("nothing_earlier") if plan.factor == 0 else EditPlan("retouch", plan.edits)


def _meets(edit: Edit, kind: str, region: str) -> bool:
    return kind in expand(edit.imperfection) and (edit.region in (region, "face") or region == "face")


def adjusted(history: Sequence[EditPlan], plan: EditPlan) -> tuple[EditPlan, ...]:
    """The plans in force after an adjustment: strengths of the edits that it names, or of the last retouch, multiplied.

    Where it names one kind out of an edit of `all`, that edit is told apart; where it names a place inside an edit of
    the whole face, and takes the edit back there, the place is kept instead.
    """
    last = len(history) - 1
    return tuple(_adjust_one(p, plan, number == last) for number, p in enumerate(history))


def _adjust_one(earlier: EditPlan, plan: EditPlan, is_last: bool) -> EditPlan:
    if not plan.edits and not is_last:
        return earlier
    edits: list[Edit] = []
    keep = list(earlier.keep)
    wanted = {(kind, e.region) for e in plan.edits for kind in expand(e.imperfection)}
    for edit in earlier.edits:
        for part in _parts(edit, {kind for kind, _ in wanted}):
            new = part
            if not wanted or any(part.imperfection == k and r in (part.region, "face") for k, r in wanted):
                new = replace(part, strength=min(1.0, max(0.0, part.strength * plan.factor)))
            elif plan.factor == 0 and part.region == "face":
                inside = [e for e in plan.edits if part.imperfection in expand(e.imperfection)]
                keep += [Keep(part.imperfection, e.region) for e in inside]
            edits.append(new)
    return replace(earlier, edits=tuple(edits), keep=tuple(dict.fromkeys(keep)))


def _parts(edit: Edit, kinds: set[str]) -> list[Edit]:
    """An edit of `all` told apart by kind when some kinds are meant, else itself."""
    if edit.imperfection != ALL or not kinds or kinds >= set(expand(ALL)):
        return [edit]
    return [replace(edit, imperfection=kind) for kind in expand(ALL)]
