"""Facts as the short text that the LLM reads before it answers.

retouch. removed: 3 acne, left cheek; shine. softened 50%: fine lines, mouth. absent: scars, chin. kept: 2 moles, chin.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from retouchgpt.core.facts import Facts, Finding, Outcome
from retouchgpt.core.vocabulary import COUNTABLE, spoken

from .phrases import SIDED, region_order

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

    softened: (percent, items) by falling strength. untouched: asked with strength 0. rest: more was looked for and not
    found than is listed in `absent`.
    """

    removed: tuple[Item, ...]
    softened: tuple[tuple[int, tuple[Item, ...]], ...]
    absent: tuple[Item, ...]
    untouched: tuple[Item, ...]
    found: tuple[Item, ...]
    kept: tuple[Item, ...]
    rest: bool

    @property
    def nothing_done(self) -> bool:
        return not self.removed and not self.softened

    @property
    def items(self) -> tuple[Item, ...]:
        """All items, in order."""
        soft = [item for _, items in self.softened for item in items]
        return (*self.removed, *soft, *self.absent, *self.untouched, *self.found, *self.kept)

    @property
    def sided(self) -> bool:
        """Whether a left or right is named."""
        return any(item.region in SIDED for item in self.items)


def percent(strength: float) -> int:
    """0.3 -> 30."""
    return round(100 * strength)


def told(facts: Facts) -> Told:
    """Sort facts into what the answer tells."""
    done = [o for o in facts.edited if o.done and o.strength > 0]
    strengths = sorted({percent(o.strength) for o in done if o.strength < WHOLE}, reverse=True)
    absent = _items(o for o in facts.edited if not o.done and o.strength > 0)
    found = _items(facts.found) if facts.intent == "inspect" else ()
    if facts.intent == "inspect":
        seen = {(f.imperfection, f.region) for f in facts.found} | {(f.imperfection, "face") for f in facts.found}
        absent = tuple(Item(k, r, 0) for k, r in facts.about if (k, r) not in seen and k != "all")
    rest = len(absent) > LISTED_ABSENT
    return Told(
        removed=_items(o for o in done if o.strength >= WHOLE),
        softened=tuple(
            (p, _items(o for o in done if o.strength < WHOLE and percent(o.strength) == p)) for p in strengths
        ),
        absent=() if rest else absent,
        untouched=_items(o for o in facts.edited if o.strength == 0),
        found=found,
        kept=_items(facts.kept),
        rest=rest,
    )


def facts_text(facts: Facts) -> str:
    """The LLM's facts line; ends with a full stop, has no line breaks."""
    if facts.declined:
        return f"{facts.intent}. declined: {facts.declined}."
    sorted_facts = told(facts)
    parts = [facts.intent, _list("removed", sorted_facts.removed)]
    parts += [_list(f"softened {p}%", items) for p, items in sorted_facts.softened]
    parts += [
        _list("found", sorted_facts.found),
        "nothing found" if facts.intent == "inspect" and not sorted_facts.found else "",
        _list("absent", sorted_facts.absent) if not sorted_facts.rest else f"absent: {REST}",
        _list("untouched", sorted_facts.untouched),
        _list("kept by default" if facts.note else "kept", sorted_facts.kept),
    ]
    if sorted_facts.sided:
        parts.append(f"side: {facts.frame}")
    return ". ".join(p for p in parts if p) + "."


def _items(rows: Iterable[Outcome | Finding]) -> tuple[Item, ...]:
    items = [Item(r.imperfection, r.region, r.count if r.imperfection in COUNTABLE else 0) for r in rows]
    return tuple(sorted(dict.fromkeys(items), key=lambda item: region_order(item.region)))


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
