"""The list of real imperfections, its counts and its sheets, and the page of verdicts by eye."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from retouchgpt.core.errors import BadData
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.evaluation.portraits import Portraits, Retouched
from retouchgpt.evaluation.real import (
    PANEL,
    Window,
    counted,
    hard_faces,
    made_hard,
    real_cases,
    row,
    run_cases,
    run_hard,
)
from retouchgpt.evaluation.verdicts import VERDICTS, WORDS, page, read_passes
from retouchgpt.language.understanding import Understanding
from retouchgpt.model.checkpoint import shipped
from retouchgpt.session import RetouchGPT
from tests.fakes import Writer
from tests.planted import planted_network

ROOT = Path(__file__).parents[2]


def half_retouched() -> Retouched:
    """40 x 40 px, the left half 10 levels brighter, the lower three quarters skin."""
    before = np.full((40, 40, 3), 100, np.uint8)
    after, mask, editable = before.copy(), np.zeros((40, 40), np.float32), np.ones((40, 40), bool)
    after[:, :20], mask[:, :20], editable[:10] = 110, 1, False
    return Retouched(before, after, mask, editable)


def test_every_case_is_understood_as_its_kind_and_nothing_else() -> None:
    read, cases = Understanding.load(shipped()), real_cases()
    assert len(cases) == 60
    assert len({c.key for c in cases}) == 60
    for case in cases:
        plan = read.plan(case.instruction)
        assert (plan.intent, {e.imperfection for e in plan.edits}) == ("retouch", {case.kind}), case.instruction
        assert 0 <= case.window.x0 < case.window.x1 <= 1
        assert 0 <= case.window.y0 < case.window.y1 <= 1
        assert case.goes
        assert case.stays


def test_every_sort_of_hard_face_has_some() -> None:
    assert len(hard_faces()) == 11
    assert all(6 <= len(set(ids)) <= 8 for ids in hard_faces().values())


def test_counts_are_of_the_pixels_that_differ() -> None:
    counts = counted(half_retouched(), Window(0.25, 0, 1, 1))
    assert counts.edited_px == 800
    assert counts.change == 10
    assert counts.in_window == 0.5
    assert counts.outside == 200
    assert counts.share == round(800 / 1200, 4)


def test_a_row_shows_before_after_mask_and_difference() -> None:
    strip = row(half_retouched(), Window(0, 0, 1, 1), "")
    assert strip.shape == (PANEL, 4 * PANEL, 3)
    panels = [strip[PANEL // 2, k * PANEL + PANEL // 4, 0] for k in range(4)]
    assert panels == [100, 110, 255, 128 + 8 * 10]


def test_hard_faces_are_made_from_others(portrait: np.ndarray) -> None:
    grey = made_hard(portrait, "black and white")
    assert np.array_equal(grey[..., 0], grey[..., 2])
    assert max(made_hard(portrait, "low resolution").shape) < 200
    coded = made_hard(portrait, "JPEG 40")
    assert coded.shape == portrait.shape
    assert (coded != portrait).any()
    assert made_hard(portrait, "glasses") is portrait


def test_sheets_and_counts_of_cases_and_hard_faces(faces_folder: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    engine = RetouchGPT(planted_network(128), Understanding.load(shipped()), Writer())
    case = replace(real_cases()[0], face="a1")
    told = run_cases(engine, Portraits(faces_folder), [case], tmp_path)
    assert told[case.key]["edited_px"] > 0
    assert told[case.key]["outside"] == 0
    assert (tmp_path / f"{case.kind}_00.png").exists()
    run_hard(engine, Portraits(faces_folder), {"black and white": ["a1"]}, tmp_path)
    assert (tmp_path / "hard_black_and_white_clean_up_00.png").exists()


def test_the_page_is_made_of_the_verdicts_as_committed() -> None:
    passes = read_passes(ROOT / VERDICTS, real_cases())
    assert (ROOT / "docs" / "real.md").read_text() == page(passes, real_cases())


def test_totals_count_words_and_add_to_all() -> None:
    cases = real_cases()
    one = json.loads((ROOT / VERDICTS).read_text())["passes"][-1]
    words = [v[0] for v in one["verdicts"].values()]
    text = page(read_passes(ROOT / VERDICTS, cases), cases)
    total = [line for line in text.splitlines() if line.startswith(f"| {one['weights'][:8]} | {one['date']}")][-1]
    assert [int(c) for c in total.split("|")[3:7]] == [words.count(w) for w in WORDS]
    assert sum(words.count(w) for w in WORDS) == len(cases)
    assert {c.kind for c in cases} <= set(IMPERFECTIONS)


@pytest.mark.parametrize("damage", ["missing case", "strange word", "nine worst", "not JSON"])
def test_incomplete_verdicts_are_refused(damage: str, tmp_path: Path) -> None:
    data = json.loads((ROOT / VERDICTS).read_text())
    one = data["passes"][-1]
    first = next(iter(one["verdicts"]))
    if damage == "missing case":
        del one["verdicts"][first]
    elif damage == "strange word":
        one["verdicts"][first] = ["fine", ""]
    elif damage == "nine worst":
        one["worst"] = one["worst"][:9]
    path = tmp_path / "v.json"
    path.write_text("{" if damage == "not JSON" else json.dumps(data))
    with pytest.raises(BadData):
        read_passes(path, real_cases())
