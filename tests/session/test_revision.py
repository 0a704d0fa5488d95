"""What front ends change without a sentence: ticks, strengths, painted masks, faces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from retouchgpt.core.errors import InvalidPlan, NoFaceChosen
from retouchgpt.core.facts import Finding
from retouchgpt.core.plan import Edit, EditPlan
from retouchgpt.session import RetouchGPT, Session
from retouchgpt.session.revision import (
    Ticked,
    finding_words,
    for_faces,
    in_force,
    suggestions,
    ticked,
    with_mask,
    with_strength,
    without,
)
from retouchgpt.session.session import Turn
from tests.fakes import Planner, Writer, acne_network


@pytest.fixture(scope="module")
def engine() -> RetouchGPT:
    return RetouchGPT(acne_network(), Planner(), Writer())


@pytest.fixture
def session(engine: RetouchGPT, portrait: Any) -> Session:
    return engine.open(portrait)


def test_ticked_findings_do_what_their_plan_does(session: Session, engine: RetouchGPT, portrait: Any) -> None:
    turns = ticked([Ticked(1, "acne", "left_cheek")], 0.5)
    assert turns[0].text == "Remove the acne on the left cheek."
    one = session.revise(turns, "ticked")
    other = engine.open(portrait).instruct("remove the acne on the left cheek", strength=0.5)
    assert one.changed
    assert np.array_equal(one.image, other.image)
    assert np.array_equal(session.undo().image, portrait)


def test_each_face_has_a_turn_of_its_own() -> None:
    turns = ticked([Ticked(2, "moles", "chin"), Ticked(1, "acne", "nose"), Ticked(2, "acne", "chin")], faces=2)
    assert [t.faces for t in turns] == [(1,), (2,)]
    assert turns[1].text == "Remove the moles on the chin and the acne on the chin."


def test_strengths_move_one_edit_and_the_last_one_left_out_is_a_reset(session: Session, portrait: Any) -> None:
    full = session.instruct("remove the acne").image
    half = session.revise(with_strength(session.turns, 0, 0, 0.5), "half")
    assert [e.strength for e in in_force(session.turns)] == [0.5]
    change = [np.abs(i.astype(int) - portrait).sum() for i in (full, half.image)]
    assert 0.3 * change[0] < change[1] < 0.7 * change[0]
    none = session.revise(without(session.turns, 0, 0), "out")
    assert not none.changed
    assert np.array_equal(session.undo().image, half.image)
    with pytest.raises(InvalidPlan):
        with_strength(session.turns, 0, 1, 0.5)


def test_the_selection_given_back_as_a_mask_changes_next_to_nothing(session: Session, portrait: Any) -> None:
    before = session.instruct("remove the acne")
    after = session.revise(with_mask(session.turns, session.selected()), "the same mask")
    change = np.abs(before.image.astype(int) - portrait).sum()
    # the face is smaller in this photo than in the network's frame, so small marks come back softer: 0.20 measured
    assert np.abs(before.image.astype(int) - after.image).sum() < 0.25 * change


def test_an_erased_mask_leaves_the_photo_and_a_painted_one_stays_inside(session: Session, portrait: Any) -> None:
    session.instruct("remove the acne")
    mask = session.selected()
    assert mask.max() > 0.4
    mask[:, : mask.shape[1] // 2] = 0
    erased = session.revise(with_mask(session.turns, mask), "erased")
    # the mask has the network's resolution, so its edge reaches a little over the line
    left = slice(0, mask.shape[1] // 2 - 8)
    assert np.array_equal(erased.image[:, left], portrait[:, left])
    none = session.revise(with_mask(session.turns, 0 * mask), "nothing")
    assert not none.changed


def test_the_answer_tells_what_a_mask_painted_elsewhere_did(session: Session) -> None:
    session.instruct("remove the acne on the left cheek")
    mask = np.zeros(session.photo.pixels.shape[:2], np.float32)
    x, y = session.faces[0].face.landmarks[[280, 425]].mean(0).astype(int)  # the cheek on the viewer's right
    mask[y - 15 : y + 15, x - 15 : x + 15] = 1
    result = session.revise(with_mask(session.turns, mask), "there instead")
    assert result.changed
    assert [(o.region, o.area_px > 0) for o in result.faces[0].facts.edited] == [("face", True)]
    told = session.instruct("remove the acne on the left cheek", brush=mask)
    assert [(o.region, o.area_px > 0) for o in told.faces[0].facts.edited] == [("face", True)]


def test_a_mask_before_any_instruction_takes_everything_in_it(session: Session) -> None:
    turns = with_mask((), np.ones(session.photo.pixels.shape[:2]))
    assert turns[0].plan.edits == (Edit("all"),)
    assert session.revise(turns, "painted").changed


def test_instructions_for_chosen_faces() -> None:
    assert for_faces("remove the acne", [1, 2], 2) == "remove the acne"
    assert for_faces("remove the acne", [2], 2) == "faces 2: remove the acne"
    assert for_faces("face 1: remove the acne", [2], 2) == "face 1: remove the acne"
    with pytest.raises(NoFaceChosen):
        for_faces("remove the acne", [], 2)


def test_suggestions_and_words_fit_what_was_found() -> None:
    found = [Finding("acne", "left_cheek", 3, 90), Finding("moles", "chin", 1, 9), Finding("fine_lines", "mouth", 0, 5)]
    assert [finding_words(f) for f in found] == [
        "Three blemishes on the left cheek", "One mole on the chin", "Fine lines around the mouth",
    ]  # fmt: skip
    assert "Remove the acne, but keep the moles." in suggestions(found)
    assert "Soften the fine lines." in suggestions(found)
    assert len(suggestions([])) == 4


def test_every_suggestion_is_understood_as_it_stands() -> None:
    from retouchgpt.core.vocabulary import IMPERFECTIONS
    from retouchgpt.language.understanding import Understanding
    from retouchgpt.model.checkpoint import shipped

    planner = Understanding.load(shipped())
    for kind in IMPERFECTIONS:
        texts = suggestions([Finding(kind, "face", 1, 9), Finding("moles", "chin", 1, 9)])
        plans = [planner.plan(t) for t in texts]
        assert [p.intent for p in plans[-2:]] == ["inspect", "adjust"]
        assert all(p.intent == "retouch" and p.edits for p in plans[:-2]), texts
    turns = (Turn("", EditPlan("retouch", (Edit("all", "face", 0.4), Edit("acne", "nose"))), None, (2,)),)
    assert [e.words for e in in_force(turns)] == ["Everything, face 2", "Acne on the nose, face 2"]
