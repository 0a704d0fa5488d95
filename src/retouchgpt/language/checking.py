"""Checks an answer against the facts: every claim must be true, and everything that is to be told must be there.

Strict on purpose: a sentence that cannot be read as one of the known claims counts as a violation, so that an answer
of any LLM is either understood and true, or replaced.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from retouchgpt.core.facts import Facts
from retouchgpt.core.vocabulary import COUNTABLE

from .facts_text import Item, Told, told
from .phrases import NOUNS, NUMBERS, PLACES, SIDE_NOTES
from .wording import ADJUSTED, DECLINED, MOVES, NOT_EDITED, OFFERS

CLAIMS: tuple[tuple[str, str], ...] = (
    ("side", r"\bas you (look|see)|\bsides? are as\b|person's own"),
    ("still seen", r"\bcan still be seen\b"),
    ("hardly", r"\bhardly any\b"),
    (
        "unchanged",
        r"\b(photo|picture|image|it) (is|stays|remains) (unchanged|as it was)|\bleft the photo as it is|"
        r"\bnothing was changed|haven't changed anything",
    ),
    ("rest", r"\b(nothing else|nothing to remove|nothing of that|of the rest)\b"),
    ("clear", r"\b(no|any) imperfections\b|looks clear|nothing stands out"),
    (
        "absent",
        r"\b(found|saw|see|find) no\b|\b(didn't|did not|couldn't|could not|don't|do not) (find|see) any\b|"
        r"\bthere (is|are|was|were) no\b|\bfound none\b",
    ),
    ("stayed", r"\bunless you name|\bonly go when you name|\bpart of the person\b|\bname them if\b"),
    ("untouched", r"\bstrength (of |is )?0\b"),
    ("kept", r"\bas you (asked|wished|wanted)|\balone\b|\b(kept|stayed|untouched)\b"),
    ("softened", r"\b(softened|toned down|fainter|reduced|lightened|faded|weakened)\b"),
    ("removed", r"\b(removed|took out|taken out|took care of|cleared away|retouched|gone|erased|cleared|took away)\b"),
    ("found", r"\b(see|make out|found|there (is|are)|notice|spotted|shows?)\b"),
)
"""Claim -> what tells it, tried in this order."""

_KIND_WORDS = {form: kind for kind, names in NOUNS.items() for pair in names for form in pair}
_KINDS = "|".join(sorted(map(re.escape, _KIND_WORDS), key=len, reverse=True))
_WHERE = {words: region for region, words in PLACES.items() if words}
_PLACES = "|".join(sorted(map(re.escape, _WHERE), key=len, reverse=True))
_NUMBER = "|".join([r"\d+", *(n for n in NUMBERS if n != "no"), "a single", "an?"])
_PIECE = re.compile(
    rf"(?:\b(?P<count>{_NUMBER}) (?:of the |other )?)?\b(?P<kind>{_KINDS})\b|\b(?P<place>{_PLACES})\b", re.I
)
_PERCENT = re.compile(r"(\d+) ?%|\bby (half)\b")
_HARMLESS = {s for group in (OFFERS, NOT_EDITED) for option in group for s in [option] if s}
_OPENER = re.compile(r"^(done|sure|all set|here you go|of course|gladly|there you are|ok|okay|yes|no)\b[!.,]?\s*", re.I)


class Claim(NamedTuple):
    """One sentence: what it claims, of which items; percent: of a softening."""

    type: str
    items: tuple[Item, ...]
    percent: int | None
    sentence: str


def check(answer: str, facts: Facts) -> list[str]:
    """Violations of an answer, each as a short line; empty when it is true and complete."""
    text = " ".join(answer.split())
    if not text:
        return ["empty"]
    fixed = _fixed(text, facts)
    if fixed is not None:
        return fixed
    sorted_facts = told(facts)
    claims = [c for c in map(read_claim, sentences(text)) if c is not None]
    out = [v for claim in claims for v in _false(claim, sorted_facts, facts)]
    return out + _missing(claims, sorted_facts)


def sentences(text: str) -> list[str]:
    """Sentences of an answer; greetings at its start are dropped."""
    text = _OPENER.sub("", text)
    return [s.strip() for s in re.split(r"(?<=[.!?])\s+", text) if s.strip()]


def read_claim(sentence: str) -> Claim | None:
    """What a sentence claims; None when it is an offer that claims nothing. Type "unknown" when it cannot be read."""
    if sentence in _HARMLESS and "changed" not in sentence:
        return None
    kind = next((name for name, pattern in CLAIMS if re.search(pattern, sentence, re.I)), "unknown")
    percent = _PERCENT.search(sentence) if kind == "softened" else None
    value = None if percent is None else 50 if percent.group(2) else int(percent.group(1))
    return Claim(kind, items_in(sentence), value, sentence)


def items_in(sentence: str) -> tuple[Item, ...]:
    """Kinds with their counts and places: a place holds for the kinds since the place before; none means the face."""
    waiting: list[tuple[str, int]] = []
    out: list[Item] = []
    for match in _PIECE.finditer(sentence):
        if match.group("kind"):
            kind = _KIND_WORDS[match.group("kind").lower()]
            waiting.append((kind, _count(match.group("count"), kind, match.group("kind").lower())))
            continue
        region = _WHERE[match.group("place").lower()]
        out += [Item(k, region, c) for k, c in waiting]
        waiting = []
    return (*out, *(Item(k, "face", c) for k, c in waiting))


def _count(word: str | None, kind: str, said: str) -> int:
    if kind not in COUNTABLE:
        return 0
    if word is None:
        return int(any(said == one != many for one, many in NOUNS[kind]))
    low = word.lower()
    if low.isdigit():
        return int(low)
    return NUMBERS.index(low) if low in NUMBERS else 1


def _fixed(text: str, facts: Facts) -> list[str] | None:
    """Answers of fixed form: declines, moves in the history, adjustments. None when the facts are of another sort."""
    if facts.declined:
        offers = [o for o in OFFERS if o and text.endswith(o)]
        body = text.removesuffix(offers[0]).strip() if offers else text
        true = [form.format(reason=facts.declined) for form in DECLINED]
        return [] if body in true else [f"not a plain refusal: {text}"]
    options = MOVES.get(facts.intent) or (ADJUSTED if facts.intent == "adjust" and not facts.edited else None)
    if options is None:
        return None
    return [] if text in options else [f"not what was done: {text}"]


def _false(claim: Claim, facts: Told, all_facts: Facts) -> list[str]:
    """What is wrong with one claim."""
    said = f"({claim.sentence})"
    if claim.type == "unknown":
        return [f"cannot be checked {said}"]
    if claim.type == "side":
        return [] if claim.sentence in SIDE_NOTES[all_facts.frame] else [f"wrong side note {said}"]
    if claim.type == "unchanged":
        return [] if facts.nothing_done and ":" not in claim.sentence else [f"something was changed {said}"]
    if claim.type == "rest":
        return [] if facts.rest or _nothing_at_all(facts) else [f"more was found {said}"]
    if claim.type == "clear":
        return [f"something was found {said}"] if facts.found else []
    allowed = _allowed(claim, facts)
    if not claim.items:
        return [f"claims nothing that can be checked {said}"]
    return [
        f"{claim.type}: {item.kind}, {item.region}, {item.marks} is not so {said}"
        for item in claim.items
        if not _covers(item, allowed, claim.type)
    ]


def _nothing_at_all(facts: Told) -> bool:
    return facts.nothing_done and not (facts.absent or facts.untouched)


def _allowed(claim: Claim, facts: Told) -> Sequence[Item]:
    if claim.type == "softened":
        return next((items for p, items in facts.softened if p == claim.percent), ())
    return _by_claim(facts)[claim.type]


def _by_claim(facts: Told) -> dict[str, tuple[Item, ...]]:
    """What each claim that names items may name, and together with its fellows must; a softening's stand by percent."""
    return {
        "removed": facts.removed,
        "still seen": facts.still_seen,
        "hardly": facts.hardly,
        "absent": facts.absent,
        "untouched": facts.untouched,
        "kept": facts.kept,
        "stayed": facts.stayed,
        "found": facts.found,
    }


def _covers(item: Item, allowed: Sequence[Item], claim: str) -> bool:
    """Whether an item is one of those; a kind whose own name says its place may leave it out."""
    for true in allowed:
        places = {item.region, true.region}
        same_place = len(places) == 1 or (true.kind == "forehead_wrinkles" and places == {"face", "forehead"})
        counted = item.marks == true.marks or claim == "absent"
        if item.kind == true.kind and same_place and counted:
            return True
    return False


def _missing(claims: Sequence[Claim], facts: Told) -> list[str]:
    """What an answer fails to tell."""
    out = []
    lists = _by_claim(facts) | {"softened": tuple(item for _, items in facts.softened for item in items)}
    for name, items in lists.items():
        said = [i for c in claims if c.type == name for i in c.items]
        out += [f"left out {name}: {item.kind}, {item.region}" for item in items if not _covers(item, said, name)]
    if facts.sided and not any(c.type == "side" for c in claims):
        out.append("does not say whose left and right")
    if not claims:
        out.append("claims nothing")
    return out
