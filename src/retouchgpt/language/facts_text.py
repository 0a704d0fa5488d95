"""Facts as the short text that the LLM reads before it answers.

retouch. removed: 3 acne, left cheek; shine. softened 50%: fine lines, mouth. absent: scars, chin. kept: 2 moles, chin.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from retouchgpt.core.facts import Facts, Finding, Outcome
from retouchgpt.core.vocabulary import ALL, COUNTABLE, GRID_REGIONS, PERMANENT, spoken

from .phrases import SIDED, place, region_order

WHOLE = 0.95
"""From this strength on an edit counts as a removal, below as softening."""
LISTED_ABSENT = 3
"""More kinds than this that were asked for and not found are summed up as "the rest"."""
REST = "rest"


class Item(NamedTuple):
    """One kind in one region, `marks` of it, 0 when it is an area or not counted."""

    kind: str
    region: str
    marks: int


class Told(NamedTuple):
    """Facts sorted into what an answer tells, in the order in which it does.

    still_seen: what was to go and can still be seen. hardly: what was edited less than an eye can see. softened:
    (percent, items) by falling strength. untouched: asked with strength 0. kept: left because the person said so.
    stayed: left by default. rest: more was looked for and not found than is listed in `absent`. where: the one place
    that a question is about.
    """

    removed: tuple[Item, ...]
    softened: tuple[tuple[int, tuple[Item, ...]], ...]
    absent: tuple[Item, ...]
    untouched: tuple[Item, ...]
    found: tuple[Item, ...]
    kept: tuple[Item, ...]
    stayed: tuple[Item, ...]
    rest: bool
    where: str = "face"
    still_seen: tuple[Item, ...] = ()
    hardly: tuple[Item, ...] = ()

    @property
    def nothing_done(self) -> bool:
        return not (self.removed or self.still_seen or self.softened or self.hardly)

    @property
    def items(self) -> tuple[Item, ...]:
        """All items, in order."""
        soft = [item for _, items in self.softened for item in items]
        return (
            *self.removed,
            *self.still_seen,
            *soft,
            *self.hardly,
            *self.absent,
            *self.untouched,
            *self.found,
            *self.kept,
            *self.stayed,
        )

    @property
    def sided(self) -> bool:
        """Whether a left or right is named."""
        return any(item.region in SIDED for item in self.items)


def percent(strength: float) -> int:
    """0.3 -> 30."""
    return round(100 * strength)


def told(facts: Facts) -> Told:
    """Sort facts into what the answer tells."""
    changed = [o for o in facts.edited if o.done and o.strength > 0 and o.imperfection != ALL]
    done = [o for o in changed if not o.faint]
    strengths = sorted({percent(o.strength) for o in done if o.strength < WHOLE}, reverse=True)
    absent = _items(o for o in facts.edited if not o.done and o.strength > 0 and o.imperfection != ALL)
    found: tuple[Item, ...] = ()
    if facts.intent == "inspect":
        found = _items(f for f in facts.found if _asked_after(f, facts.about))
        absent = _not_seen(facts)
    rest = len(absent) > LISTED_ABSENT or any(o.imperfection == ALL and not o.done for o in facts.edited)
    kept, stayed = _left_alone(facts)
    return Told(
        removed=_items(_gone(o) for o in done if o.strength >= WHOLE and o.still_seen < max(o.count, 1)),
        still_seen=_items(_left(o) for o in done if o.strength >= WHOLE and o.still_seen),
        softened=tuple(
            (p, _items(o for o in done if o.strength < WHOLE and percent(o.strength) == p)) for p in strengths
        ),
        absent=() if rest else absent,
        untouched=_items(o for o in facts.edited if o.strength == 0 and o.imperfection != ALL),
        found=found,
        kept=kept,
        stayed=stayed,
        rest=rest,
        hardly=_items(replace(o, count=0) for o in changed if o.faint),
        where=facts.about[0][1] if len({r for _, r in facts.about}) == 1 else "face",
    )


def _gone(outcome: Outcome) -> Outcome:
    return replace(outcome, count=outcome.count - min(outcome.still_seen, outcome.count))


def _left(outcome: Outcome) -> Outcome:
    return replace(outcome, count=min(outcome.still_seen, outcome.count))


def _asked_after(finding: Finding, about: Sequence[tuple[str, str]]) -> bool:
    """Whether a question takes in a finding; of a grid cell it takes in the whole face, whose places are told."""
    near = ("face", finding.region, *GRID_REGIONS)
    return not about or any(k in (ALL, finding.imperfection) and r in near for k, r in about)


def _not_seen(facts: Facts) -> tuple[Item, ...]:
    """Kinds that a question names and the photo does not show there."""
    kinds = [(k, r) for k, r in facts.about if k != ALL]
    missing = [
        (k, r) for k, r in kinds if not any(f.imperfection == k and _asked_after(f, [(k, r)]) for f in facts.found)
    ]
    items = (Item(k, "face" if r in GRID_REGIONS else r, 0) for k, r in missing)
    return tuple(sorted(items, key=_order))


def _left_alone(facts: Facts) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """What was kept by request, and what by default: permanent marks that were found and not edited."""
    if not facts.note:
        return _items(facts.kept), ()
    if not facts.found:
        return (), _items(facts.kept)
    named = {(f.imperfection, f.region) for f in facts.kept} | {
        (o.imperfection, o.region) for o in facts.edited if o.done
    }
    edited = {o.imperfection for o in facts.edited}
    marks: dict[str, int] = {}
    for f in facts.found:
        if f.imperfection in PERMANENT and f.imperfection not in edited and (f.imperfection, f.region) not in named:
            marks[f.imperfection] = marks.get(f.imperfection, 0) + f.count
    return _items(facts.kept), tuple(Item(kind, "face", count) for kind, count in marks.items())


def facts_text(facts: Facts) -> str:
    """The LLM's facts line; ends with a full stop, has no line breaks."""
    if facts.declined:
        return f"{facts.intent}. declined: {facts.declined}."
    sorted_facts = told(facts)
    parts = [facts.intent, _list("removed", sorted_facts.removed), _list("still seen", sorted_facts.still_seen)]
    parts += [_list(f"softened {p}%", items) for p, items in sorted_facts.softened]
    parts.append(_list("hardly any", sorted_facts.hardly))
    parts += [
        _list("found", sorted_facts.found),
        "nothing found" if facts.intent == "inspect" and not sorted_facts.found else "",
        _list("absent", sorted_facts.absent) if not sorted_facts.rest else f"absent: {REST}",
        _list("untouched", sorted_facts.untouched),
        _list("kept", sorted_facts.kept),
        _list("kept by default", sorted_facts.stayed),
    ]
    if sorted_facts.sided:
        parts.append(f"side: {facts.frame}")
    return ". ".join(p for p in parts if p) + "."


def _items(rows: Iterable[Outcome | Finding]) -> tuple[Item, ...]:
    items = [Item(r.imperfection, r.region, r.count if r.imperfection in COUNTABLE else 0) for r in rows]
    return tuple(sorted(dict.fromkeys(items), key=_order))


def _order(item: Item) -> int:
    """Items whose place is not said come last, so that another's place is not taken for theirs."""
    return region_order(item.region if place(item.kind, item.region) else "face")


def _list(name: str, items: Sequence[Item]) -> str:
    return f"{name}: {'; '.join(map(_item, items))}" if items else ""


def _item(item: Item) -> str:
    count = f"{item.marks} " if item.marks else ""
    where = "" if item.region == "face" else f", {spoken(item.region)}"
    return f"{count}{spoken(item.kind)}{where}"


def plan_text(facts: Facts) -> str:
    """What the instruction asked for, as a line: the LLM learns to say it, so that its states hold the instruction."""
    if facts.declined:
        return f"decline: {facts.declined}."
    edits = [f"{percent(o.strength)}% {_item(Item(o.imperfection, o.region, 0))}" for o in facts.edited]
    kept = [] if facts.note else [_item(Item(f.imperfection, f.region, 0)) for f in facts.kept]
    about = [_item(Item(k, r, 0)) for k, r in facts.about]
    lists = (("edit", edits), ("keep", kept), ("about", about))
    return ". ".join([facts.intent, *(f"{word}: {'; '.join(items)}" for word, items in lists if items)]) + "."
