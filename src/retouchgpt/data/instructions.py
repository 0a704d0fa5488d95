"""Generated instructions: what a person may write to have these edits made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retouchgpt.core.facts import Facts
from retouchgpt.core.vocabulary import IMPERFECTION_ALIASES, REGION_ALIASES, spoken

REQUESTS = (
    "Please remove {what}.",
    "remove {what}",
    "Can you get rid of {what}?",
    "Please retouch {what}",
    "could you take away {what}",
    "I'd like {what} gone, please.",
    "{what} should go",
    "Clean up {what}.",
)
OTHER = {
    "undo": ("undo", "undo that please", "take that back"),
    "redo": ("redo", "do it again", "put the change back"),
    "reset": ("start over", "reset everything", "back to the original"),
    "inspect": (
        "Is there any imperfection in the image?",
        "what do you see?",
        "Do you see {what}?",
        "Is there {what}?",
    ),
    "adjust": ("{what} a bit less", "stronger on {what}", "make {what} weaker", "more on {what}, please"),
    "decline": ("make her nose smaller", "change the background", "tell me a joke", "put on lipstick", "asdf"),
}


def instruction_for(facts: Facts, rng: np.random.Generator) -> str:
    """An instruction after which these facts may have been measured."""

    def pick(options: Sequence[str]) -> str:
        return options[int(rng.integers(len(options)))]

    def target(kind: str, region: str) -> str:
        name = pick((spoken(kind), *IMPERFECTION_ALIASES.get(kind, ())))
        where = pick((spoken(region), *REGION_ALIASES.get(region, ())))
        return f"the {name}" if region == "face" and rng.random() < 0.8 else f"the {name} on the {where}"

    asked = [(o.imperfection, o.region) for o in facts.edited] or list(facts.about) or [("all", "face")]
    if len(asked) > 6:
        asked = [("all", asked[0][1])]
    what = " and ".join(target(*a) for a in asked)
    text = pick(OTHER.get(facts.intent, REQUESTS)).format(what=what)
    if facts.kept and not facts.note:
        text += f", but keep {' and '.join(target(f.imperfection, f.region) for f in facts.kept)}"
    return text
