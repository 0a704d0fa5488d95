"""What a turn means after others."""

from __future__ import annotations

import pytest

from retouchgpt.core.plan import Edit, EditPlan, Keep
from retouchgpt.language.dialogue import replaces, resolve

LEFT = EditPlan("retouch", (Edit("acne", "left_cheek", 0.5),), (Keep("freckles"),))
UNCLEAR = EditPlan("decline", reason="nothing to do was named")


def test_a_text_that_stands_alone_is_left_alone() -> None:
    plan = EditPlan("retouch", (Edit("moles", "chin"),))
    assert resolve(plan, "remove the mole on the chin", (LEFT,)) is plan


@pytest.mark.parametrize("text", ["same on the other cheek", "and the other side too", "do the other one as well"])
def test_the_other_side(text: str) -> None:
    plan = resolve(UNCLEAR, text, (LEFT,))
    assert plan.edits == (Edit("acne", "right_cheek", 0.5),)
    assert plan.keep == LEFT.keep
    assert not replaces(text, plan)


def test_a_correction_replaces_the_last_turn() -> None:
    plan = resolve(UNCLEAR, "no, the other side", (LEFT,))
    assert plan.edits == (Edit("acne", "right_cheek", 0.5),)
    assert replaces("no, the other side", plan)
    assert replaces("no, I meant the moles", EditPlan("retouch", (Edit("moles"),)))


@pytest.mark.parametrize(
    ("text", "regions"),
    [
        ("and the nose too", ("nose",)),
        ("same on the chin please", ("chin",)),
        ("also the right cheek", ("right_cheek",)),
        ("same for both eyes", ("left_eye", "right_eye")),
        ("the top left as well", ("top_left",)),
    ],
)
def test_a_new_place_for_the_last_edit(text: str, regions: tuple[str, ...]) -> None:
    plan = resolve(UNCLEAR, text, (LEFT,))
    assert {(e.imperfection, e.region, e.strength) for e in plan.edits} == {("acne", r, 0.5) for r in regions}


def test_a_named_imperfection_is_not_overruled() -> None:
    plan = EditPlan("retouch", (Edit("moles", "nose"),))
    assert resolve(plan, "and the moles on the nose too", (LEFT,)) is plan


def test_put_back_keeps_what_was_removed() -> None:
    asked = EditPlan("retouch", (Edit("moles"),))
    plan = resolve(asked, "put the mole back", (EditPlan("retouch", (Edit("all"),)),))
    assert plan.edits == ()
    assert plan.keep == (Keep("moles"),)
    assert resolve(UNCLEAR, "put it back", (LEFT,)).intent == "undo"


@pytest.mark.parametrize("text", ["same on the other cheek", "put the mole back"])
def test_leaning_on_nothing_is_declined_with_a_reason(text: str) -> None:
    plan = resolve(UNCLEAR, text, ())
    assert plan.intent == "decline"
    assert plan.reason
