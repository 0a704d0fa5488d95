"""Generated instructions: what a person may write to have these edits made."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from retouchgpt.core.facts import Facts
from retouchgpt.core.vocabulary import IMPERFECTION_ALIASES, REGION_ALIASES, mirror, spoken
from retouchgpt.language.reasons import DECLINE, PERMANENT_STAY

from .requests import REQUESTS as OUT_OF_SCOPE
from .requests import out_of_scope

Pick = Callable[[Sequence[str]], str]

REMOVALS: tuple[str, ...] = (
    "Please remove {what}.",
    "remove {what}",
    "Can you get rid of {what}?",
    "could you take away {what}",
    "I'd like {what} gone, please.",
    "{what} should go",
    "erase {what} for me",
    "{what}: out",
    "Would you delete {what}?",
    "It would be great without {what}.",
    "we need {what} removed",
    "no {what} please",
)
SOFTENINGS: tuple[str, ...] = (
    "Reduce {what} by {percent}%.",
    "soften {what} {percent} percent",
    "tone down {what} by about {percent} %",
    "Please fade {what} by {percent}%.",
    "{what} {percent}% less",
    "make {what} {percent}% weaker",
)
CLEANUPS: tuple[str, ...] = (
    "retouch this",
    "Please clean up the skin",
    "touch it up",
    "make the skin nice",
    "a light retouch please",
    "fix the skin",
)
EVERYTHING: tuple[str, ...] = (
    "remove all imperfections{where}",
    "Please take away everything{where}",
    "every flaw{where} should go",
    "get rid of all the marks{where}",
)
KEEPS: tuple[str, ...] = (
    ", but keep {what}",
    ". Leave {what} alone.",
    " without touching {what}",
    ", {what} should stay",
    " and do not remove {what}",
    ", just not {what}",
)
QUESTIONS: tuple[str, ...] = (
    "Do you see {what}?",
    "Is there {what}?",
    "can you find {what}",
    "are there any signs of {what}?",
    "how much of {what} do you see?",
    "tell me about {what}",
)
OPEN_QUESTIONS: tuple[str, ...] = (
    "Is there any imperfection in this photo?",
    "what do you see?",
    "what could be improved here?",
    "How does the skin look?",
    "list what you find",
)
MOVES: dict[str, tuple[str, ...]] = {
    "undo": ("undo", "undo this", "take back the last change", "go back", "I liked it better before", "revert that"),
    "redo": ("redo", "do it again", "put the change back", "redo that step", "bring back the change I undid"),
    "reset": ("start again from the original", "reset", "show the original", "undo everything", "clear all edits"),
}
ADJUSTS: tuple[str, ...] = (
    "{what} a bit less",
    "stronger on {what}",
    "make {what} weaker",
    "more on {what}, please",
    "ease off on {what}",
    "a little more, {what}",
)
GREETINGS: tuple[str, ...] = ("", "", "", "", "", "Hi! ", "Hello, ", "ok now ", "Next: ", "for the cover: ", "hey ")


def instruction_for(facts: Facts, rng: np.random.Generator) -> str:
    """An instruction after which these facts may have been measured."""

    def pick(options: Sequence[str]) -> str:
        return options[int(rng.integers(len(options)))]

    if facts.intent == "decline":
        return _declined(facts.declined, rng)
    if facts.intent in MOVES:
        return pick(MOVES[facts.intent])
    if facts.intent == "inspect":
        asked = [target(k, r, pick) for k, r in facts.about]
        return pick(QUESTIONS).format(what=" and ".join(asked)) if asked else pick(OPEN_QUESTIONS)
    text = pick(GREETINGS) + _requested(facts, pick)
    if facts.kept and not facts.note:
        kept = " and ".join(target(f.imperfection, f.region, pick) for f in facts.kept)
        text = text.rstrip(".?") + pick(KEEPS).format(what=kept)
    return text


def target(kind: str, region: str, pick: Pick, frame: str = "viewer") -> str:
    """ "the zits on the left cheek"; in the subject's frame the side is the subject's own."""
    name = pick((spoken(kind), *IMPERFECTION_ALIASES.get(kind, ())))
    if region == "face":
        return f"the {name}"
    own = frame == "subject" and mirror(region) != region
    seen = mirror(region) if own else region
    place = spoken(seen) if own else pick((spoken(seen), spoken(seen), *REGION_ALIASES.get(seen, ())))
    return f"the {name} on {pick(('her', 'his', 'my'))} own {place}" if own else f"the {name} on the {place}"


def _requested(facts: Facts, pick: Pick) -> str:
    if len(facts.edited) > 6:
        region = facts.edited[0].region
        return pick(EVERYTHING).format(where="" if region == "face" else f" on the {spoken(region)}")
    if not facts.edited or (facts.note == PERMANENT_STAY and pick(("0", "1")) == "1"):
        return pick(CLEANUPS)
    if facts.intent == "adjust":
        return pick(ADJUSTS).format(what=" and ".join(target(o.imperfection, o.region, pick) for o in facts.edited))
    by_strength: dict[int, list[str]] = {}
    for o in facts.edited:
        said = target(o.imperfection, o.region, pick, facts.frame)
        by_strength.setdefault(round(100 * o.strength), []).append(said)
    parts = []
    for percent, names in by_strength.items():
        what = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
        parts.append(pick(REMOVALS if percent == 100 else SOFTENINGS).format(what=what, percent=percent))
    return pick((" and ", ". ", ", then ")).join(
        p.rstrip(".?") if i + 1 < len(parts) else p for i, p in enumerate(parts)
    )


def _declined(reason: str, rng: np.random.Generator) -> str:
    key = next((k for k, phrase in DECLINE.items() if phrase == reason), "talk")
    if key == "empty":
        return ""
    if key in OUT_OF_SCOPE or key in ("gibberish", "language"):
        return out_of_scope(key, rng)
    return {"no_undo": "undo", "no_redo": "redo"}.get(key, "a bit stronger")
