"""Instructions written by hand, and text that wishes harm."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from retouchgpt.core.plan import Edit, EditPlan, Keep
from retouchgpt.core.vocabulary import PERMANENT, SOFTENED, TEMPORARY
from retouchgpt.evaluation.language import Verdict, judge, read_cases, report, wrongly_edited
from retouchgpt.language.reasons import DECLINE
from retouchgpt.language.understanding import TEXT_LIMIT, Understanding
from retouchgpt.model.checkpoint import shipped

HERE = Path(__file__).parent
MORE = ("fresh", "third", "fourth", "fifth", "sixth", "classes", "seventh", "eighth", "ninth", "tenth")
"""Files of instructions written after the grammar; how each was first read is told in docs/language.md."""


@pytest.fixture(scope="module")
def understanding() -> Understanding:
    return Understanding.load(shipped())


@pytest.fixture(scope="module")
def verdicts(understanding: Understanding) -> list[Verdict]:
    return judge(read_cases(HERE / "instructions.jsonl"), understanding.plan)


def test_hand_written_instructions_are_understood(verdicts: list[Verdict]) -> None:
    assert len(verdicts) >= 300
    assert sum(v.exact for v in verdicts) >= 0.92 * len(verdicts), report(verdicts)
    assert sum(v.intent for v in verdicts) >= 0.98 * len(verdicts), report(verdicts)


def test_an_independent_writers_instructions_are_understood(understanding: Understanding) -> None:
    """Written with their plans by someone who knew only the vocabulary; never tuned on, see docs/language.md."""
    verdicts = judge(read_cases(HERE / "instructions_independent.jsonl"), understanding.plan)
    assert len(verdicts) == 300
    assert sum(v.exact for v in verdicts) >= 0.92 * len(verdicts), report(verdicts)
    assert sum(v.intent for v in verdicts) >= 0.98 * len(verdicts), report(verdicts)
    assert not wrongly_edited(verdicts)


def test_fresh_instructions_hold_what_was_reached(understanding: Understanding) -> None:
    files = [f"instructions_{name}.jsonl" for name in MORE]
    fresh = judge([c for name in files for c in read_cases(HERE / name)], understanding.plan)
    assert not wrongly_edited(fresh)
    assert sum(v.exact for v in fresh) >= 0.95 * len(fresh), report(fresh)


@pytest.mark.parametrize(
    "text",
    [
        "I don't want my freckles removed",
        "never remove freckles",
        "do not under any circumstances remove the freckles",
        "the freckles must not be touched",
        "you shouldn't touch her freckles",
    ],
)
def test_what_must_stay_is_never_edited(understanding: Understanding, text: str) -> None:
    assert understanding.plan(text).edits == ()
    plan = understanding.plan(f"Remove the acne. {text[0].upper()}{text[1:]}.")
    assert not [e for e in plan.edits if e.imperfection in ("freckles", "all")]


THINGS = (
    "banana|road|sunset|carpet|dog|sign|camera|painting|statue|cake|sofa|seat|paper|screen|keyboard|guitar|bottle|plate|flag|"
    "poster|doll|fruit|shoe|bed|pillow|jersey|collar|teeth|hair|hands|neck|ears|scalp|tongue|eyelashes|beard|glasses"
)
WORKS = "code|report|essay|bug|mess|kitchen|website|composition|framing|video|resume|grammar"


@pytest.mark.parametrize("thing", re.split(r"\|", THINGS))
def test_what_lies_elsewhere_is_not_ours(thing: str) -> None:
    grammar = Understanding()
    for kind in ("spots", "wrinkles", "scratches", "shine", "freckles", "redness"):
        for text in (
            f"remove the {kind} on the {thing}",
            f"get rid of the {kind} in my {thing}",
            f"{kind} off the {thing}",
        ):
            assert grammar.plan(text).edits == (), text


@pytest.mark.parametrize(
    "verb", ["fix", "clean", "retouch", "improve", "enhance", "edit", "touch up", "polish", "tidy up"]
)
def test_a_clean_up_of_something_else_is_not_ours(verb: str) -> None:
    grammar = Understanding()
    for thing in re.split(r"\|", f"{THINGS}|{WORKS}"):
        for text in (f"{verb} the {thing}", f"please {verb} my {thing}", f"can you {verb} this {thing}?"):
            assert grammar.plan(text).edits == (), text


def test_left_over_is_no_side(understanding: Understanding) -> None:
    assert understanding.plan("Is there any acne left?").about == (Keep("acne"),)


def test_nothing_outside_the_job_is_edited(verdicts: list[Verdict]) -> None:
    assert not wrongly_edited(verdicts), report(wrongly_edited(verdicts))


def test_the_encoder_reads_only_what_the_grammar_cannot() -> None:
    """What makes a sentence slow is the encoder: one pass at most, and none for a request with a verb."""
    calls: list[str] = []

    def judge(text: str) -> tuple[str, float]:
        calls.append(text)
        return "gibberish", 1.0

    counting = Understanding(judge)
    needed = {}
    cases = read_cases(HERE / "instructions.jsonl")
    for case in cases:
        before = len(calls)
        counting.plan(case.text)
        needed[case.text] = len(calls) - before
    assert max(needed.values()) == 1
    assert sum(needed[c.text] for c in cases if c.plan.intent in ("retouch", "undo", "redo", "reset")) <= 0.15 * len(
        cases
    )
    assert needed["Please remove the acne."] == 0


def test_clean_up_takes_temporary_marks_and_says_what_stays(understanding: Understanding) -> None:
    plan = understanding.plan("clean up her skin")
    assert {e.imperfection for e in plan.edits if e.strength == 1.0} == TEMPORARY
    assert {e.imperfection for e in plan.edits if e.strength == 0.5} == SOFTENED
    assert not {e.imperfection for e in plan.edits} & PERMANENT
    assert "permanent" in plan.reason


@pytest.mark.parametrize(
    ("text", "region", "frame"),
    [
        ("remove the mole on the left cheek", "left_cheek", "viewer"),
        ("remove the mole on her own left cheek", "right_cheek", "subject"),
        ("remove the mole on the subject's right cheek", "left_cheek", "subject"),
    ],
)
def test_whose_left(understanding: Understanding, text: str, region: str, frame: str) -> None:
    plan = understanding.plan(text)
    assert plan.edits == (Edit("moles", region),)
    assert plan.frame == frame


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \t\n ", "empty"),
        ("entferne bitte die Falten", "language"),
        ("удали родинку", "language"),
        ("qqq zzx brrt wmp", "gibberish"),
        ("<img src=x onerror=alert(1)>", "command"),
        ("make her lips fuller", "reshape"),
        ("change the background to a beach", "background"),
    ],
)
def test_declined_with_its_reason(understanding: Understanding, text: str, reason: str) -> None:
    assert understanding.plan(text) == EditPlan("decline", reason=DECLINE[reason])


@pytest.mark.parametrize(
    "text",
    [
        "\x00\x01\x02remove\x00",
        "remove the acne " * 2000,
        "(" * 500 + ")" * 500,
        "%" * 100 + " 1e999 %",
        "\u202eenca eht evomer",
        "{{7*7}} ${HOME} `id`",
        "'; DROP TABLE faces; --",
        "👍🏽" * 200,
        "remove\u200b the\ufeff acne",
        "a" * TEXT_LIMIT,
        "left right left right not not keep except remove",
        "-1 % 0 % 200 % acne",
    ],
)
def test_odd_text_never_raises(understanding: Understanding, text: str) -> None:
    plan = understanding.plan(text)
    assert plan == EditPlan.from_json(plan.to_json())


def test_markup_around_a_request_changes_nothing(understanding: Understanding) -> None:
    plan = understanding.plan("<b>Remove</b> the acne, keep the <i>freckles</i>")
    assert plan.edits == (Edit("acne"),)
    assert plan.keep == (Keep("freckles"),)


def test_the_report_lists_each_failure() -> None:
    cases = read_cases(HERE / "instructions.jsonl")[:3]
    text = report(judge(cases, lambda _: EditPlan("undo")))
    assert "3 failures" in text
    assert all(repr(c.text) in text for c in cases)
