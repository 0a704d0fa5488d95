"""Answers: true by check, whoever writes them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from retouchgpt.core.facts import Facts, Finding, Outcome
from retouchgpt.data.dialogues import dialogue
from retouchgpt.language.answers import FREE, GUIDED, AnswerWriter, variants
from retouchgpt.language.checking import check
from retouchgpt.language.facts_text import facts_text, told
from retouchgpt.language.reasons import PERMANENT_STAY
from retouchgpt.language.wording import plain
from retouchgpt.model.checkpoint import LLM, shipped

DONE = Facts(
    "retouch",
    edited=(Outcome("acne", "left_cheek", 1.0, 3, 400), Outcome("moles", "chin", 1.0, 0, 0)),
    kept=(Finding("freckles", "nose", 12, 300),),
)
TRUE = (
    "I removed three blemishes on the left cheek. I found no moles on the chin. I left the 12 freckles on the nose "
    "alone, as you asked. Left and right are as you see them in the photo."
)


@pytest.fixture(scope="module")
def writer() -> AnswerWriter:
    return AnswerWriter(shipped() / LLM)


def test_a_true_answer_passes() -> None:
    assert check(TRUE.replace("12", "twelve"), DONE) == []
    assert check(TRUE, DONE) == []


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ("three", "four"),
        ("blemishes", "moles"),
        ("left cheek", "right cheek"),
        ("I found no moles on the chin.", "I removed one mole on the chin."),
        ("I found no moles on the chin.", ""),
        ("I found no moles on the chin.", "I found no moles on the nose."),
        ("12 freckles", "11 freckles"),
        ("I removed", "I softened"),
        ("Left and right are as you see them in the photo.", ""),
        (" I left the 12", " I also made her look wonderful. I left the 12"),
    ],
)
def test_a_false_or_incomplete_answer_does_not(said: str, instead: str) -> None:
    assert said in TRUE
    assert check(TRUE.replace(said, instead), DONE) != []


PARTLY = Facts("retouch", edited=(Outcome("spots", "chin", 1.0, 5, 400, 3), Outcome("moles", "nose", 1.0, 1, 40, 1)))


def test_what_can_still_be_seen_is_not_told_as_removed() -> None:
    answer = plain(PARTLY)
    assert answer == (
        "I removed two dark spots on the chin. I worked on one mole on the nose and three dark spots on the chin, but "
        "they can still be seen."
    )
    for text in variants(PARTLY, "remove the spots and the mole"):
        assert check(text, PARTLY) == []
    gone = replace(PARTLY, edited=tuple(replace(o, still_seen=0) for o in PARTLY.edited))
    assert check(answer, gone) != []
    assert check(plain(gone), PARTLY) != []
    assert check("I removed two dark spots on the chin.", PARTLY) != []
    one = Facts("retouch", edited=(Outcome("moles", "face", 1.0, 1, 40, 1),))
    assert plain(one) == "I worked on one mole, but it can still be seen."
    assert "still seen: 1 mole" in facts_text(one)
    half = Facts("retouch", edited=(Outcome("moles", "face", 0.5, 1, 40, 1),))
    assert plain(half) == "I softened one mole by half.", "of what was only to fade nothing else is expected"


def test_areas_that_can_still_be_seen_are_told_so() -> None:
    cheeks = (Outcome("redness", "left_cheek", 1.0, 0, 900), Outcome("redness", "right_cheek", 1.0, 0, 700, 1))
    facts = Facts("retouch", edited=(*cheeks, Outcome("fine_lines", "face", 1.0, 0, 300, 1)))
    answer = plain(facts)
    assert answer == (
        "I removed the redness on the left cheek. I worked on the redness on the right cheek and the fine lines, but "
        "they can still be seen. Left and right are as you see them in the photo."
    )
    for text in variants(facts, "calm the redness and the fine lines"):
        assert check(text, facts) == []
    gone = replace(facts, edited=tuple(replace(o, still_seen=0) for o in facts.edited))
    assert check(answer, gone) != []
    assert check(plain(gone), facts) != []
    assert check("I removed the redness on the cheeks and the fine lines.", facts) != []
    one = Facts("retouch", edited=(replace(cheeks[1], region="chin"),))
    assert plain(one) == "I worked on the redness on the chin, but it can still be seen."
    assert check(plain(one), one) == []


def test_hardly_any_is_told_where_no_eye_can_see_the_change() -> None:
    lines = Outcome("forehead_wrinkles", "face", 1.0, 0, 40, faint=True)
    facts = Facts("retouch", edited=(lines,))
    answer = plain(facts)
    assert answer == "I found hardly any forehead lines; the change is too small to see."
    assert facts_text(facts) == "retouch. hardly any: forehead wrinkles."
    for text in variants(facts, "remove the forehead lines"):
        assert check(text, facts) == []
    seen = Facts("retouch", edited=(replace(lines, faint=False),))
    assert check(answer, seen) != []
    assert check(plain(seen), facts) != []
    assert check("The photo is unchanged.", facts) != [], "some pixels did change"
    assert check("I found no forehead lines.", facts) != []
    marks = (Outcome("moles", "chin", 1.0, 2, 40, faint=True), Outcome("shine", "nose", 0.5, 0, 40, faint=True))
    both = Facts("retouch", edited=(*marks, Outcome("acne", "face", 1.0, 3, 90), Outcome("scars", "face", 1.0, 0, 0)))
    assert plain(both) == (
        "I removed three blemishes. I found hardly any shine on the nose or moles on the chin; the change is too small "
        "to see. I found no scars."
    )
    assert check(plain(both), both) == []
    assert check(plain(replace(both, edited=both.edited[2:])), both) != [], "left out what hardly showed"
    for text in variants(both, "remove the moles, the acne and the scars and soften the shine"):
        assert check(text, both) == []


def test_marks_somewhere_beside_placed_ones_are_others() -> None:
    kept = tuple(Finding("moles", region, count, 30) for region, count in (("chin", 1), ("nose", 3), ("face", 2)))
    facts = Facts("retouch", edited=(Outcome("acne", "face", 1.0, 1, 30),), kept=kept)
    answer = plain(facts)
    assert "the three moles on the nose and the mole on the chin and the two other moles" in answer.replace(",", " and")
    assert check(answer, facts) == []
    assert check(answer.replace("two other", "three other"), facts) != []
    alone = replace(facts, kept=kept[2:])
    assert "the two moles" in plain(alone)
    one = replace(facts, kept=(*kept[:1], Finding("moles", "face", 1, 30)))
    assert "the other mole" in plain(one)
    assert check(plain(one), one) == []


def test_generated_answers_are_true_and_those_to_other_facts_are_not() -> None:
    turns = [dialogue(11, i) for i in range(400)]
    for turn in turns:
        assert check(turn.answer, turn.facts) == []
        assert check(plain(turn.facts), turn.facts) == []
    for one, other in itertools.pairwise(turns):
        if told(one.facts) != told(other.facts) or one.facts.declined != other.facts.declined:
            passes = not check(other.answer, one.facts)
            assert not passes or one.facts.intent == other.facts.intent


def test_all_variants_are_true() -> None:
    for i in range(60):
        turn = dialogue(12, i)
        options = variants(turn.facts, turn.instruction)
        assert options == variants(turn.facts, turn.instruction)
        assert all(check(text, turn.facts) == [] for text in options)


def test_the_llm_writes_true_answers(writer: AnswerWriter) -> None:
    ways = []
    for i in range(25):
        turn = dialogue(13, i)
        answer = writer.write(turn.facts, turn.instruction)
        assert check(answer.text, turn.facts) == []
        ways.append(answer.way)
    assert sum(way in (FREE, GUIDED) for way in ways) >= 0.95 * len(ways)


def test_the_same_facts_get_the_same_answer_and_it_streams(writer: AnswerWriter) -> None:
    first = writer.answer(DONE, "remove the acne and the mole, keep the freckles")
    assert first == writer.answer(DONE, "remove the acne and the mole, keep the freckles")
    assert "".join(writer.stream(DONE, "remove the acne and the mole, keep the freckles")) == first


def test_an_untrained_llm_cannot_make_an_answer_false(writer: AnswerWriter) -> None:
    from retouchgpt.model.llm_embedding import build_language_model
    from retouchgpt.model.presets import COMPACT

    torch.manual_seed(0)
    wild = AnswerWriter(build_language_model(COMPACT.language_model), writer.tokenizer, free=True)
    answer = wild.write(DONE, "remove the acne")
    assert answer.way != FREE
    assert check(answer.text, DONE) == []


def test_permanent_marks_that_stay_are_told() -> None:
    facts = Facts("retouch", found=(Finding("moles", "chin", 2, 40),), note=PERMANENT_STAY)
    facts = replace(facts, edited=(Outcome("acne", "face", 1.0, 1, 30),))
    assert "kept by default: 2 moles" in facts_text(facts)
    assert "two moles" in plain(facts)


def test_what_a_question_asks_after_is_what_is_told() -> None:
    found = (Finding("freckles", "nose", 4, 90), Finding("shine", "forehead", 0, 900))
    text = plain(Facts("inspect", found=found, about=(("freckles", "face"),)))
    assert "four freckles on the nose" in text
    assert "shine" not in text
    assert "no scars" in plain(Facts("inspect", found=found, about=(("scars", "face"),)))
    assert "on the chin" in plain(Facts("inspect", about=(("all", "chin"),)))


def test_everything_asked_and_nothing_found() -> None:
    facts = Facts("retouch", edited=(Outcome("all", "face", 1.0, 0, 0),))
    assert "unchanged" in plain(facts)
    assert check(plain(facts), facts) == []
