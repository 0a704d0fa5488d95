"""Facts -> true sentences: with `first` the plain answer, with random choices the speech that the LLM learns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from retouchgpt.core.facts import Facts

from .facts_text import Item, Told, told
from .phrases import (
    PLACES,
    SIDE_NOTES,
    SINGULAR_MASS,
    join,
    noun,
    number,
    one_dark_circle,
    place,
    sentence,
    thing,
)

Pick = Callable[[Sequence[str]], str]

MOVES: dict[str, tuple[str, ...]] = {
    "undo": (
        "I've undone the last change.",
        "The last step is undone.",
        "Done, I took the last change back.",
        "That change is gone again.",
    ),
    "redo": ("I've put the change back in.", "The step is redone.", "Done, the change is back."),
    "reset": (
        "I've gone back to the original photo.",
        "All edits are cleared; this is the original photo again.",
        "Back to the start: this is the photo as it was.",
    ),
}
ADJUSTED: tuple[str, ...] = (
    "I've changed the strength of the earlier edit.",
    "The earlier edit now has the strength you asked for.",
    "Done, the earlier edit is adjusted.",
    "I've turned the earlier edit to the strength you meant.",
)
DECLINED: tuple[str, ...] = (
    "I left the photo as it is: {reason}.",
    "Sorry, I can't help with that: {reason}.",
    "I'm afraid not: {reason}. The photo is unchanged.",
    "That's not something I do: {reason}.",
    "Sorry, but {reason}.",
    "I have to pass on that one: {reason}.",
    "I'd rather leave that: {reason}.",
)
OFFERS: tuple[str, ...] = (
    "",
    "I can remove blemishes, spots, lines and the like if you wish.",
    "Tell me which imperfection should go, and where.",
    "Is there a blemish or a line you'd like gone?",
)
OPENERS: tuple[str, ...] = (
    "", "", "", "", "", "Done! ", "Sure. ", "All set. ", "Here you go. ", "Of course. ", "Gladly. ", "There you are. ",
)  # fmt: skip
REMOVED: tuple[str, ...] = (
    "I removed {things}.",
    "I've removed {things}.",
    "I took out {things}.",
    "I've cleared away {things}.",
    "I've taken out {things}.",
    "I took care of {things}.",
)
GONE: tuple[str, ...] = (
    "{things} {be} gone.",
    "{things} {be} gone now.",
    "That's {things} gone.",
    "{things} {have} been removed.",
)
STILL_SEEN: tuple[str, ...] = (
    "I worked on {things}, but {they} can still be seen.",
    "I couldn't take out {things} altogether; {they} can still be seen.",
    "{things} can still be seen, though I worked on {them}.",
)
SOFTENED: tuple[str, ...] = (
    "I softened {things} by {percent}%.",
    "I've toned down {things} by {percent}%.",
    "I've made {things} {percent}% fainter.",
    "I reduced {things} by {percent}%.",
)
HALVED: tuple[str, ...] = (
    "I softened {things} by half.",
    "I've toned down {things} by half.",
    "I've reduced {things} by half.",
)
HARDLY: tuple[str, ...] = (
    "I found hardly any {things}; the change is too small to see.",
    "I could make out hardly any {things}, so the change is too small to see.",
    "There {be} hardly any {things}, so the change is too small to see.",
)
ABSENT: tuple[str, ...] = (
    "I found no {things}.",
    "I didn't find any {things}.",
    "I saw no {things}.",
    "I couldn't find any {things}.",
    "I looked for {things} but found none.",
)
ABSENT_REST: tuple[str, ...] = (
    "I found nothing else to remove.",
    "There was nothing else to remove.",
    "Of the rest I found nothing.",
)
ABSENT_ALL: tuple[str, ...] = (
    "I found nothing to remove, so the photo is unchanged.",
    "There was nothing of that to remove, so I left the photo as it is.",
)
UNCHANGED: tuple[str, ...] = (
    "The photo is unchanged.",
    "So I left the photo as it is.",
    "So nothing was changed.",
    "The photo stays as it was.",
)
UNTOUCHED: tuple[str, ...] = (
    "At strength 0 {things} {be} left as before.",
    "With a strength of 0 I left {things} as before.",
)
KEPT: tuple[str, ...] = (
    "I left {things} alone, as you asked.",
    "As you wished, {things} stayed.",
    "I kept {things} as you wanted.",
    "I didn't touch {things}, as you asked.",
    "{things} stayed, as you asked.",
)
KEPT_BY_DEFAULT: tuple[str, ...] = (
    "I left {things} alone, since such marks are part of the person; name them if they should go.",
    "I kept {things}: permanent marks stay unless you name them.",
    "{things} stayed, because permanent marks only go when you name them.",
)
FOUND: tuple[str, ...] = (
    "I see {things}.",
    "I can see {things}.",
    "I found {things}.",
    "There {be} {things}.",
    "Yes, I can see {things}.",
    "I can make out {things}.",
    "What I see: {things}.",
)
FOUND_NOTHING: tuple[str, ...] = (
    "I don't see any imperfections{place}.",
    "I found no imperfections{place}.",
    "No, the skin looks clear to me{place}.",
    "Nothing stands out to me{place}.",
)
NOT_EDITED: tuple[str, ...] = (
    "",
    "",
    "",
    "I haven't changed anything.",
    "Tell me if something should go.",
    "Shall I do anything about it?",
)


def first(options: Sequence[str]) -> str:
    """The plain choice."""
    return options[0]


def plain(facts: Facts) -> str:
    """The answer in plain sentences, built from the facts alone: always true, always complete."""
    return compose(facts, first)


def compose(facts: Facts, pick: Pick) -> str:
    """The answer to these facts, each wording chosen by `pick`."""
    if facts.declined:
        offer = pick(OFFERS)
        return " ".join(p for p in (pick(DECLINED).format(reason=facts.declined), offer) if p)
    if facts.intent in MOVES:
        return pick(MOVES[facts.intent])
    if facts.intent == "adjust" and not facts.edited:
        return pick(ADJUSTED)
    sorted_facts = told(facts)
    parts = _inspected(sorted_facts, pick) if facts.intent == "inspect" else _edited(sorted_facts, pick)
    if sorted_facts.kept:
        parts.append(_say(KEPT, sorted_facts.kept, pick, definite=True))
    if sorted_facts.stayed:
        parts.append(_say(KEPT_BY_DEFAULT, sorted_facts.stayed, pick, definite=True))
    if sorted_facts.sided:
        parts.append(pick(SIDE_NOTES[facts.frame]))
    return " ".join(parts)


def _inspected(facts: Told, pick: Pick) -> list[str]:
    parts = [_say(FOUND, facts.found, pick, article="some")] if facts.found else []
    if facts.absent:
        parts.append(_say(ABSENT, facts.absent, pick, article="", last="or"))
    elif not facts.found:
        spot = f" {PLACES[facts.where]}" if facts.where != "face" else ""
        parts.append(pick(FOUND_NOTHING).replace("{place}", spot))
    return [*parts, *filter(None, [pick(NOT_EDITED)])]


def _edited(facts: Told, pick: Pick) -> list[str]:
    parts = [_say((*REMOVED, *GONE), facts.removed, pick)] if facts.removed else []
    if facts.still_seen:
        parts.append(_say(STILL_SEEN, facts.still_seen, pick))
    for percent, items in facts.softened:
        forms = HALVED if percent == 50 else SOFTENED
        parts.append(_say(forms, items, pick).replace("{percent}", str(percent)))
    if facts.hardly:
        parts.append(_say(HARDLY, facts.hardly, pick, article="", last="or"))
    if facts.rest:
        parts.append(pick(ABSENT_ALL if facts.nothing_done else ABSENT_REST))
    if facts.absent:
        parts.append(_say(ABSENT, facts.absent, pick, article="", last="or"))
    if facts.untouched:
        parts.append(_say(UNTOUCHED, facts.untouched, pick))
    if not parts:
        parts.append(pick(ABSENT_ALL))
    elif facts.nothing_done and not facts.rest:
        parts.append(pick(UNCHANGED))
    elif facts.removed or facts.still_seen or facts.softened:
        parts[0] = pick(OPENERS) + parts[0]
    return parts


def _say(
    forms: Sequence[str],
    items: Sequence[Item],
    pick: Pick,
    article: str = "the",
    last: str = "and",
    definite: bool = False,
) -> str:
    style = int(pick(("0", "1")))
    text = things(items, style, article, last, definite)
    form = pick(forms).replace("{things}", text)
    plural = len(items) > 1 or _is_plural(items[0])
    if form.startswith("There"):  # agrees with what follows it
        plural = _is_plural(items[0])
    form = form.replace("{be}", "are" if plural else "is").replace("{have}", "have" if plural else "has")
    form = form.replace("{they}", "they" if plural else "it").replace("{them}", "them" if plural else "it")
    return sentence(form)


def _is_plural(item: Item) -> bool:
    if item.kind in SINGULAR_MASS or one_dark_circle(item.kind, item.region):
        return False
    return item.marks != 1


def things(
    items: Sequence[Item], style: int = 0, article: str = "the", last: str = "and", definite: bool = False
) -> str:
    """ "two moles and the redness on the chin and one scar on the nose": items grouped by place.

    article: goes before uncounted things. definite: "the two moles" instead of "two moles". Marks somewhere on the face
    beside such whose place is told are "two other moles".
    """
    groups = []
    placed = {item.kind for item in items if place(item.kind, item.region)}
    for region, rows in groupby(items, key=lambda item: item.region):
        ordered = sorted(rows, key=lambda item: place(item.kind, region) != "")
        names = [name(item, style, article, definite, item.kind in placed and region == "face") for item in ordered]
        groups.append(f"{join(names, last)} {place(ordered[-1].kind, region)}".strip())
    return join(groups, last)


def name(item: Item, style: int = 0, article: str = "the", definite: bool = False, others: bool = False) -> str:
    """One item without its place. others: more of a kind that was told before."""
    if one_dark_circle(item.kind, item.region):
        return f"{'a' if article == 'some' else article} {noun(item.kind, 1)}".strip()
    text = thing(item.kind, item.marks, style, article, other=others)
    return f"the {text.removeprefix('one ')}" if definite and item.marks else text


def count_words(items: Sequence[Item]) -> set[str]:
    """Numbers that an answer about these items may use, as words and as digits."""
    counts = {item.marks for item in items if item.marks}
    return {number(c) for c in counts} | {str(c) for c in counts}
