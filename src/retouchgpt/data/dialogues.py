"""Generated dialogues for the small LLM: an instruction, the measured facts, a true answer in varied words.

Each dialogue is a pure function of a seed and an index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from retouchgpt.core.facts import Facts, Finding, Outcome
from retouchgpt.core.vocabulary import COUNTABLE, IMPERFECTIONS, NAMED_REGIONS, PERMANENT, REGIONS
from retouchgpt.language.reasons import DECLINE, PERMANENT_STAY
from retouchgpt.language.wording import compose

PLACES_OF: dict[str, tuple[str, ...]] = {
    "dark_circles": ("left_eye", "right_eye", "face"),
    "crows_feet": ("left_eye", "right_eye", "face"),
    "forehead_wrinkles": ("forehead", "face", "top"),
    "shine": ("face", "forehead", "nose", "left_cheek", "right_cheek", "chin"),
}
"""Where a kind is mostly asked for; any other kind can be anywhere."""


class Dialogue(NamedTuple):
    """One turn: what the person wrote, what was measured, what the assistant says."""

    instruction: str
    facts: Facts
    answer: str


def dialogue(seed: int, index: int) -> Dialogue:
    """The `index`-th dialogue of a seed."""
    rng = np.random.default_rng((seed, index))
    facts = random_facts(rng)

    def pick(options: Sequence[str]) -> str:
        return options[int(rng.integers(len(options)))]

    return Dialogue(instruction(facts, rng), facts, compose(facts, pick))


def dialogues(seed: int, start: int = 0) -> Iterator[Dialogue]:
    """Endless dialogues of a seed."""
    while True:
        yield dialogue(seed, start)
        start += 1


def random_facts(rng: np.random.Generator) -> Facts:
    """Facts as the engine may measure them, all intents."""
    roll = rng.random()
    if roll < 0.08:
        return Facts("decline", declined=DECLINE[str(rng.choice(list(DECLINE)))])
    if roll < 0.12:
        return Facts(str(rng.choice(["undo", "redo", "reset"])))
    if roll < 0.27:
        return _inspection(rng)
    frame = "subject" if rng.random() < 0.15 else "viewer"
    if roll < 0.37:
        return Facts("retouch", edited=_everything(rng), frame=frame)
    intent = "adjust" if roll < 0.45 else "retouch"
    edited = tuple(_outcome(rng, *target) for target in _targets(rng))
    asked = {o.imperfection for o in edited}
    note = PERMANENT_STAY if rng.random() < 0.4 else ""
    kept: tuple[Finding, ...] = ()
    if rng.random() < 0.3:
        pool = PERMANENT if note else IMPERFECTIONS
        kept = tuple(_finding(rng, k, r) for k, r in _targets(rng, most=2) if k in pool and k not in asked)
    return Facts(intent, edited=edited, kept=kept, frame=frame, note=note if kept else "")


def _targets(rng: np.random.Generator, most: int = 4) -> list[tuple[str, str]]:
    count = min(most, int(rng.choice([1, 1, 1, 2, 2, 3, 4])))
    kinds = [str(k) for k in rng.choice(IMPERFECTIONS, count, replace=rng.random() < 0.3)]
    shared = str(rng.choice(REGIONS))
    together = rng.random() < 0.25
    return list(dict.fromkeys((k, shared if together else _region(rng, k)) for k in kinds))


def _region(rng: np.random.Generator, kind: str) -> str:
    if kind in PLACES_OF and rng.random() < 0.9:
        return str(rng.choice(PLACES_OF[kind]))
    roll = rng.random()
    return "face" if roll < 0.3 else str(rng.choice(NAMED_REGIONS if roll < 0.75 else REGIONS))


def _count(rng: np.random.Generator, kind: str) -> int:
    if kind not in COUNTABLE:
        return 0
    high = {"freckles": 120, "acne": 30}.get(kind, 12)
    return int(rng.integers(1, 5) if rng.random() < 0.6 else rng.integers(1, high))


def _outcome(rng: np.random.Generator, kind: str, region: str, found: float = 0.78) -> Outcome:
    roll = rng.random()
    strength = 1.0 if roll < 0.65 else 0.5 if roll < 0.75 else float(rng.integers(1, 19)) / 20
    if rng.random() < 0.02:
        strength = 0.0
    if strength == 0 or rng.random() > found:
        return Outcome(kind, region, strength, 0, 0)
    return Outcome(kind, region, strength, _count(rng, kind), int(rng.integers(20, 9000)))


def _everything(rng: np.random.Generator) -> tuple[Outcome, ...]:
    region = "face" if rng.random() < 0.7 else str(rng.choice(REGIONS))
    found = rng.random()
    rows = []
    for kind in IMPERFECTIONS:
        row = _outcome(rng, kind, region, 0.15 + 0.6 * found)
        rows.append(Outcome(kind, region, 1.0, row.count, row.area_px))
    return tuple(rows)


def _finding(rng: np.random.Generator, kind: str, region: str) -> Finding:
    return Finding(kind, region, _count(rng, kind), int(rng.integers(20, 9000)), float(rng.uniform(0.4, 1)))


def _inspection(rng: np.random.Generator) -> Facts:
    targets = _targets(rng)
    found = tuple(_finding(rng, *t) for t in targets if rng.random() < 0.75)
    about = tuple(targets) if rng.random() < 0.5 else ()
    return Facts("inspect", found=found, about=about)


def instruction(facts: Facts, rng: np.random.Generator) -> str:
    """Something that a person may have written before these facts came about."""
    from .instructions import instruction_for

    return instruction_for(facts, rng)
