"""`retouchgpt evaluate`: known methods get known figures; the report shows them, with the untouched row everywhere."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retouchgpt.core.errors import BadData, MissingExtra
from retouchgpt.evaluation.cases import Case, Painted, make_case, painted_faces
from retouchgpt.evaluation.evaluate import Evaluation, evaluate
from retouchgpt.evaluation.groups import age_band, size_group, verdicts
from retouchgpt.evaluation.methods import untouched
from retouchgpt.evaluation.recipe import EvaluationRecipe, read_evaluation
from retouchgpt.evaluation.report import figure, markdown, tables, write
from retouchgpt.evaluation.tally import Tally
from tests.fakes import acne_network

RECIPES = Path(__file__).parents[2] / "recipes"
QUICK = EvaluationRecipe(draws=20, lpips="", tokens=0, sheets=1)


def perfect(case: Case) -> tuple[np.ndarray, np.ndarray]:
    return case.target, (case.target != case.image).any(2).astype(np.float32)


def cleaner(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Removes whatever was painted, asked or not."""
    return case.face.painted.clean, np.ones(case.image.shape[:2])


@pytest.fixture(scope="module")
def painted(faces_folder: Path) -> Painted:
    return next(painted_faces(faces_folder, paintings=1))


@pytest.fixture(scope="module")
def known(faces_folder: Path) -> Evaluation:
    methods = {"input untouched": untouched, "perfect": perfect, "cleaner": cleaner}
    return evaluate(faces_folder, QUICK, None, methods=methods, progress=False)


def test_known_methods_get_their_known_figures(known: Evaluation) -> None:
    def value(method: str, measure: str) -> float:
        return figure(known, ("all", method), measure).value

    nothing = "input untouched"
    assert [value(nothing, m) for m in ("removal", "fix", "damage", "gone", "selectivity")] == [0] * 5
    assert value(nothing, "stayed") == 1
    assert np.isnan(value(nothing, "locality"))
    for measure, expected in (("removal", 1), ("fix", 1), ("gone", 1), ("stayed", 1), ("ssim", 1), ("psnr", 100),
                              ("delta_e", 0), ("selectivity", 1)):  # fmt: skip
        assert value("perfect", measure) == pytest.approx(expected), measure
    assert value("perfect", "locality") > 0.95
    assert value("cleaner", "gone") > 0.9, "all but where an asked mark lies under one that stays in the target"
    assert value("cleaner", "stayed") < 0.1
    assert value("cleaner", "selectivity") < 0.2 < 0.9 < value("perfect", "selectivity")
    assert value("cleaner", "damage") > value("perfect", "damage")
    assert value(nothing, "delta_e") > 0.5


def test_every_table_has_the_untouched_row(known: Evaluation) -> None:
    made = tables(known)
    assert {"Methods", "Selectivity", "By kind", "By skin tone (ITA)", "By size"} <= {t.heading for t in made}
    for table in made:
        assert any("input untouched" in row for row in table.rows), table.heading
        assert all(len(row) == len(table.columns) for row in table.rows)
    assert "no age is told" in markdown(known)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))


def test_ours_is_judged_on_pictures_masks_and_answers(faces_folder: Path, tmp_path: Path) -> None:
    from retouchgpt.core.plan import Edit, EditPlan
    from retouchgpt.session import RetouchGPT
    from tests.fakes import Writer

    class Plans:
        def plan(self, text: str) -> EditPlan:
            return EditPlan("retouch", (Edit("acne"),)) if "acne" in text else EditPlan("decline", reason="no")

    engine = RetouchGPT(acne_network(), Plans(), Writer())
    recipe = EvaluationRecipe(name="a <test>", methods=("ours",), draws=10, lpips="auto", sheets=1, tokens=0)
    result = evaluate(faces_folder, recipe, engine, progress=False)
    written = write(result, tmp_path / "out")
    assert [p.name for p in written] == ["report.md", "report.html", "result.json"]
    headings = {t.heading for t in tables(result)}
    assert {"Masks", "Answers"} <= headings
    page = Page()
    text = (tmp_path / "out" / "report.html").read_text()
    page.feed(text)
    pictures = [a["src"] for t, a in page.tags if t == "img"]
    assert pictures
    assert all((tmp_path / "out" / src).is_file() and a for src in pictures for a in [1])
    assert "a &lt;test&gt;" in text
    data = json.loads((tmp_path / "out" / "result.json").read_text())
    by = {(tuple(f["key"]), f["measure"]): f["value"] for f in data["figures"]}
    assert by[("answer", "input untouched"), "present"] == 0
    assert by[("answer", "input untouched"), "absent"] == 1
    assert 0 <= by[("answer", "ours"), "understood"] < 1, "only acne is understood by this planner"
    kinds = {k[1] for k, m in by if k[0] == "mask" and m == "iou"}
    assert kinds
    for kind in kinds:
        assert by[("mask", kind, "input untouched"), "iou"] == 0


def test_verdicts_judge_single_marks(painted: Painted) -> None:
    kind = painted.painted.marks[0].kind
    case = make_case(painted, kind, "face")
    before, after, clean = (verdicts(case, x) for x in (case.image, case.target, painted.painted.clean))
    assert not any(v.right for v in before if v.asked)
    assert all(v.right for v in before if not v.asked)
    assert all(v.right for v in after)
    assert any(v.asked for v in after)
    assert not all(v.right for v in clean if not v.asked)


def test_groups_by_hand() -> None:
    assert [age_band(a) for a in (None, 0, 29.9, 30, 59, 60, 101)] == [
        None, "under 30", "under 30", "30 to 44", "45 to 59", "60 and over", "60 and over",
    ]  # fmt: skip
    assert [size_group(a) for a in (1, 13, 60, 250, 900)] == [
        "under 4 px", "4 to 8 px", "8 to 16 px", "16 to 32 px", "32 px and over",
    ]  # fmt: skip


def test_age_is_told_where_the_index_knows_it(faces_folder: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "faces"
    shutil.copytree(faces_folder, folder)
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps([e | {"age": 29} for e in index]))
    result = evaluate(folder, QUICK, None, methods={"input untouched": untouched}, progress=False)
    by_age = next(t for t in tables(result) if t.heading == "By age")
    assert [row[0] for row in by_age.rows] == ["under 30"]


def test_tally_by_hand() -> None:
    tally = Tally(draws=200)
    for face, value, weight in (("a", 1.0, 1.0), ("a", 0.0, 1.0), ("b", 3.0, 2.0)):
        tally.add(face, [("x", "m")], "fix", value, weight)
    tally.add("b", [("y", "m")], "fix", 0.0, 4.0)
    tally.add("b", [("y", "m")], "fix", None)
    cell = tally.cell(("x", "m"), "fix")
    assert (cell.value, cell.values) == (1.0, 3)
    assert (cell.low, cell.high) == (0.5, 1.5), "one face is 1/2, the other 3/2"
    assert tally.over([("x", "m"), ("y", "m"), ("z", "m")], "fix").value == 0.5
    assert np.isnan(tally.cell(("y", "m"), "fix").low), "one face has no interval"
    assert tally.cell(("none",), "fix").text() == "-"
    tally.add("a", [("h",)], "gone", 1.0)
    tally.add("a", [("h",)], "stayed", 1.0, 2.0)
    assert tally.harmonic(("h",), "gone", "stayed").value == pytest.approx(2 / 3)
    assert tally.cell(("x", "m"), "fix").text(1) == "1.0 (0.5 to 1.5)"


def test_recipes_parse_and_bad_ones_are_named(tmp_path: Path, faces_folder: Path) -> None:
    assert read_evaluation(RECIPES / "evaluate.yaml") == EvaluationRecipe(name="compact, painted validation faces")
    assert read_evaluation(None, limit=3).limit == 3
    for text, words in (("paintingz: 1", "paintingz"), ("draws: 0", "begin at 1"), ("lpips: big", "lpips is")):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(BadData, match=words):
            read_evaluation(tmp_path / "bad.yaml")
    with pytest.raises(BadData, match="no such recipe"):
        read_evaluation(tmp_path / "none.yaml")
    with pytest.raises(BadData, match="no method 'magic'"):
        evaluate(faces_folder, EvaluationRecipe(methods=("magic",)), None, progress=False)
    with pytest.raises(BadData, match="not a folder of faces"):
        evaluate(tmp_path, QUICK, None, methods={"input untouched": untouched}, progress=False)


def test_lpips_on_demand_is_an_error_where_it_cannot_be(faces_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(MissingExtra):
        evaluate(faces_folder, EvaluationRecipe(lpips="alex"), None, methods={"u": untouched}, progress=False)


def test_the_llms_tokens_are_counted() -> None:
    """A stand-in LLM that always knows the next token scores 1; one that never does scores 0."""
    import torch

    from retouchgpt.data.dialogues import dialogue
    from retouchgpt.evaluation.answering import SEED, judge_tokens
    from retouchgpt.training.language import sequence

    class Letters:
        bos_token_id, eos_token_id = 0, 1

        def __call__(self, text: str, add_special_tokens: bool = False) -> dict[str, list[int]]:
            return {"input_ids": [min(ord(c), 255) for c in text]}

    class Engine:
        tokenizer = Letters()

    class Out:
        def __init__(self, hidden: torch.Tensor) -> None:
            self.last_hidden_state = hidden

    class Oracle(torch.nn.Module):
        """Embeds a token as one-hot; its state at each place is the token that comes next there, shifted by `off`."""

        def __init__(self, off: int) -> None:
            super().__init__()
            self.off, self.embed = off, torch.nn.Embedding.from_pretrained(torch.eye(300))

        def get_input_embeddings(self) -> torch.nn.Module:
            return self.embed

        def model(self, inputs_embeds: torch.Tensor, use_cache: bool) -> Out:
            return Out(inputs_embeds.roll(-1, 1).roll(self.off, 2))

        def lm_head(self, hidden: torch.Tensor) -> torch.Tensor:
            return hidden

    for off, share in ((0, 1.0), (1, 0.0)):
        network = type("N", (), {"embedding": type("E", (), {"llm": Oracle(off)})})
        engine: Any = Engine()
        engine.network = network
        tally = Tally(draws=5)
        judge_tokens(tally, engine, 3)
        cell = tally.cell(("tokens", "ours"), "tokens")
        assert cell.value == share
        assert cell.values == 3
    assert sequence(Letters(), dialogue(SEED, 0))[1][-1] == Letters.eos_token_id
