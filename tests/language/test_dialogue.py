"""What a turn means after others, by real understanding without its learned heads."""

from __future__ import annotations

import pytest

from retouchgpt.core.plan import Edit, EditPlan, Keep
from retouchgpt.language.dialogue import adjusted, resolve
from retouchgpt.language.understanding import Understanding

UNDERSTANDING = Understanding()
LEFT = EditPlan("retouch", (Edit("acne", "left_cheek", 0.5),), (Keep("freckles"),))
ALL = EditPlan("retouch", (Edit("all"),))


def after(text: str, *history: EditPlan) -> EditPlan:
    return resolve(UNDERSTANDING.plan(text), text, history)


def triples(plan: EditPlan) -> set[tuple[str, str, float]]:
    return {(e.imperfection, e.region, e.strength) for e in plan.edits}


def test_a_text_that_stands_alone_is_left_alone() -> None:
    text = "remove the mole on the chin"
    assert after(text, LEFT) == UNDERSTANDING.plan(text)


@pytest.mark.parametrize("text", ["same on the other cheek", "and the other side too", "do the other one as well"])
def test_the_other_side(text: str) -> None:
    plan = after(text, LEFT)
    assert triples(plan) == {("acne", "right_cheek", 0.5)}
    assert plan.keep == LEFT.keep
    assert not plan.replaces


def test_a_correction_takes_the_last_turns_place() -> None:
    plan = after("no, the other side", LEFT)
    assert triples(plan) == {("acne", "right_cheek", 0.5)}
    assert plan.replaces
    plan = after("no, I meant the moles", LEFT)
    assert {(e.imperfection, e.region) for e in plan.edits} == {("moles", "left_cheek")}
    assert plan.replaces


@pytest.mark.parametrize(
    ("text", "regions"),
    [
        ("and the nose too", {"nose"}),
        ("same on the chin please", {"chin"}),
        ("also the right cheek", {"right_cheek"}),
        ("same for both eyes", {"left_eye", "right_eye"}),
        ("what about the forehead?", {"forehead"}),
    ],
)
def test_a_new_place_for_the_last_edit(text: str, regions: set[str]) -> None:
    assert triples(after(text, LEFT)) == {("acne", r, 0.5) for r in regions}


@pytest.mark.parametrize(
    ("text", "intent"), [("undo that", "undo"), ("redo", "redo"), ("start over", "reset"), ("undo", "undo")]
)
def test_moves_in_the_history(text: str, intent: str) -> None:
    assert after(text, LEFT).intent == intent


def test_a_bit_less_weakens_the_last_edit() -> None:
    plan = after("a bit less", LEFT)
    assert plan.intent == "adjust"
    assert plan.factor < 1
    (new,) = adjusted([LEFT], plan)
    assert new.edits[0].strength == pytest.approx(0.5 * plan.factor)


def test_stronger_never_passes_one() -> None:
    (new,) = adjusted([ALL], after("stronger", ALL))
    assert new.edits[0].strength == 1.0


def test_put_the_mole_back_takes_moles_out_of_everything() -> None:
    plan = after("put the mole back", ALL)
    (new,) = adjusted([ALL], plan)
    strengths = {e.imperfection: e.strength for e in new.edits}
    assert strengths["moles"] == 0
    assert strengths["acne"] == 1


@pytest.mark.parametrize("text", ["same on the other cheek", "a bit less", "put the mole back"])
def test_leaning_on_nothing_is_declined_with_a_reason(text: str) -> None:
    plan = after(text)
    assert plan.intent == "decline"
    assert "no earlier edit" in plan.reason


@pytest.mark.parametrize(
    "text", ["no, the right cheek", "do it on the right cheek as well", "what about the right cheek?"]
)
def test_a_place_named_in_passing(text: str) -> None:
    plan = after(text, LEFT)
    assert triples(plan) == {("acne", "right_cheek", 0.5)}
    assert plan.replaces == text.startswith("no")


def test_keeping_after_all_takes_back() -> None:
    plan = after("but leave the chin alone", EditPlan("retouch", (Edit("acne"),)))
    assert plan.intent == "adjust"
    assert plan.factor == 0.0
    assert adjusted((EditPlan("retouch", (Edit("acne"),)),), plan)[0].keep == (Keep("acne", "chin"),)


def test_keeping_what_was_not_touched_changes_nothing() -> None:
    plan = after("keep the freckles though", EditPlan("retouch", (Edit("acne"),)))
    assert (plan.intent, plan.edits, plan.keep) == ("retouch", (), (Keep("freckles"),))


MOLES = EditPlan("inspect", about=(Keep("moles", "chin"),))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("remove them", {("moles", "chin", 1.0)}),
        ("Can you take it out?", {("moles", "chin", 1.0)}),
        ("soften them by 30 %", {("moles", "chin", 0.3)}),
        ("then remove those on the nose", {("moles", "nose", 1.0)}),
    ],
)
def test_them_is_what_the_question_just_before_was_about(text: str, expected: set[tuple[str, str, float]]) -> None:
    plan = after(text, LEFT, MOLES)
    assert plan.intent == "retouch"
    assert triples(plan) == expected
    assert not plan.replaces


def test_a_question_goes_on_at_another_place() -> None:
    plan = after("and on the nose?", LEFT, MOLES)
    assert (plan.intent, plan.about, plan.edits) == ("inspect", (Keep("moles", "nose"),), ())


def test_an_open_question_is_about_everything() -> None:
    assert triples(after("remove them", EditPlan("inspect"))) == {("all", "face", 1.0)}


def test_without_a_question_them_is_the_last_edit() -> None:
    assert triples(after("remove them completely", LEFT)) == {("acne", "left_cheek", 1.0)}


def test_a_bare_side_stays_with_the_pair_of_the_last_edit() -> None:
    assert triples(after("now the right", LEFT)) == {("acne", "right_cheek", 0.5)}
