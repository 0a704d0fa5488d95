"""Forty scripted dialogues with the real language and answers, on a real tiny network with planted imperfections."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from retouchgpt.core.geometry import Box
from retouchgpt.core.plan import EditPlan
from retouchgpt.core.vocabulary import IMPERFECTIONS, NAMED_REGIONS, REGIONS, SOFTENED, TEMPORARY
from retouchgpt.language.answers import AnswerWriter
from retouchgpt.language.checking import check
from retouchgpt.language.understanding import Understanding
from retouchgpt.model.checkpoint import LLM, shipped
from retouchgpt.photo.faces import Face
from retouchgpt.session import RetouchGPT, Session
from tests.planted import planted_network

NOT_PLANTED = {(kind, "left_eye") for kind in ("stray_hairs", "fine_lines", "shine", "spots")} | {
    ("crows_feet", "right_eye"),
    ("fine_lines", "right_eye"),
}
"""Kinds and parts that lose their marks to the eyes, which are never edited."""


class Line(NamedTuple):
    """One turn of a script, see dialogues.txt."""

    say: str
    plan: str
    pixels: str
    words: str


def scripts() -> list[list[Line]]:
    text = (Path(__file__).parent / "dialogues.txt").read_text()
    blocks = [[row for row in block.splitlines() if not row.startswith("#")] for block in text.split("\n\n")]
    return [[Line(*[*map(str.strip, row.split(" > ")), ""][:4]) for row in block] for block in blocks if block]


SCRIPTS = scripts()


class OneFace:
    """Finds the face whose mesh it was given."""

    def __init__(self, landmarks: NDArray[np.float32]) -> None:
        self.landmarks = landmarks

    def find(self, rgb: NDArray[np.uint8]) -> list[Face]:
        (x0, y0), (x1, y1) = self.landmarks.min(0).astype(int), self.landmarks.max(0).astype(int)
        return [Face(1, self.landmarks, Box(x0, y0, x1, y1), float(x1 - x0))]


@pytest.fixture(scope="module")
def engine(face: Any) -> RetouchGPT:
    writer = AnswerWriter(shipped() / LLM)
    return RetouchGPT(planted_network(), Understanding.load(shipped()), writer, finder=OneFace(face[1]))


def essence(plan: EditPlan) -> tuple[Any, ...]:
    """What a script writes down of a plan."""
    if plan.intent == "retouch":
        edits = frozenset((e.imperfection, e.region, round(e.strength, 2)) for e in plan.edits)
        return "retouch", edits, frozenset((k.imperfection, k.region) for k in plan.keep)
    if plan.intent == "inspect":
        return "inspect", frozenset((k.imperfection, k.region) for k in plan.about)
    return (plan.intent, round(plan.factor, 2)) if plan.intent == "adjust" else (plan.intent,)


def expected(text: str) -> tuple[Any, ...]:
    if text in ("decline", "undo", "redo", "reset"):
        return (text,)
    if text.startswith("x"):
        return "adjust", float(text[1:])
    if text.startswith("?"):
        return "inspect", frozenset(named(text[1:]))
    wanted, _, kept = text.partition("~")
    if wanted.strip() == "clean":
        edits = {(k, "face", 1.0 if k in TEMPORARY else 0.5) for k in TEMPORARY | SOFTENED}
    else:
        items = [item.strip().partition("*") for item in wanted.split(",") if item.strip()]
        edits = {(*pair, float(strength or 1)) for item, _, strength in items for pair in named(item)}
    return "retouch", frozenset(edits), frozenset(named(kept))


def named(text: str) -> list[tuple[str, str]]:
    """ "moles@chin, acne" -> pairs of kind and region."""
    pairs = [item.strip().partition("@") for item in text.split(",") if item.strip()]
    return [(kind, region or "face") for kind, _, region in pairs]


def reach(session: Session) -> NDArray[np.bool_]:
    """Photo pixels that the plans in force may change: marks of their kinds in their regions, and a rim of two px."""
    seen = session.faces[0]
    heat, regions = seen.heat[0].numpy(), seen.regions[0].numpy()
    marks = np.zeros(heat.shape[1:], np.float32)
    for plan in session.plan_history:
        for k, r in zip(*plan.edit_matrix().nonzero(), strict=True):
            marks = np.maximum(marks, (heat[k] > 0) & (regions[r] > 0.01))
    size = seen.crop.shape[-1]
    wide = cv2.dilate(cv2.resize(marks, (size, size), interpolation=cv2.INTER_NEAREST), np.ones((5, 5), np.uint8))
    height, width = session.photo.pixels.shape[:2]
    back = cv2.invertAffineTransform(seen.alignment.centre_matrix)
    return cv2.dilate(cv2.warpAffine(wide, back, (width, height)), np.ones((5, 5), np.uint8)) > 0


def test_there_are_forty_of_three_turns_and_more() -> None:
    assert len(SCRIPTS) >= 40
    assert all(3 <= len(script) <= 8 for script in SCRIPTS)


def test_every_kind_is_planted_on_every_part(engine: RetouchGPT, face: Any) -> None:
    found = {(f.imperfection, f.region) for f in engine.open(face[0]).found}
    assert {(k, r) for k in IMPERFECTIONS for r in NAMED_REGIONS[1:]} - found <= NOT_PLANTED
    assert len(REGIONS) == 18


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s[0].say[:40])
def test_dialogue(script: list[Line], engine: RetouchGPT, face: Any) -> None:
    session = engine.open(face[0])
    images = [face[0]]
    for number, line in enumerate(script, 1):
        result = session.instruct(line.say)
        where = f"turn {number}, {line.say!r}"
        assert essence(result.plan) == expected(line.plan), where
        images.append(result.image)
        same = [np.array_equal(result.image, before) for before in images[:-1]]
        if line.pixels.startswith("@"):
            assert same[int(line.pixels[1:])], f"{where}: other pixels than after turn {line.pixels[1:]}"
        else:
            assert same[-1] == (line.pixels == "same"), f"{where}: {'the same' if same[-1] else 'other'} pixels"
        changed = (result.image != face[0]).any(2)
        assert not changed[result.mask == 0].any(), where
        assert not changed[~reach(session)].any(), f"{where}: pixels changed where nothing was asked"
        _check_answer(result.answer, line, result, where)


def _check_answer(answer: str, line: Line, result: Any, where: str) -> None:
    if not answer.startswith(("There is nothing to", "The photo already")):
        assert check(answer, result.faces[0].facts) == [], f"{where}: {answer}"
    for word in filter(None, (w.strip() for w in line.words.split(";"))):
        if word.startswith("!"):
            assert word[1:] not in answer, f"{where}: {answer}"
        else:
            assert any(w in answer for w in word.split("|")), f"{where}: {answer}"
