"""The ablations: every variant leaves out what it says, one command trains, measures and goes on, on tiny networks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retouchgpt.core.errors import BadData
from retouchgpt.data.cache import paint_ahead
from retouchgpt.evaluation.ablations import (
    AGENT,
    BEGIN,
    END,
    SCORES,
    AblationRecipe,
    folder_of,
    put,
    read_ablations,
    run,
    score,
    table,
    windows,
)
from retouchgpt.evaluation.methods import UNTOUCHED
from retouchgpt.model.checkpoint import LLM, create, shipped

RECIPES = Path(__file__).parents[2] / "recipes"
BASE = {
    "size": "tiny", "crop": 64, "batch": 2, "repair_batch": 2, "steps": 1, "warmup": 0, "teacher_steps": 0,
    "precision": "no", "workers": 0, "threads": 1, "losses": {"mask": 1.0, "zeta": 0.1},
}  # fmt: skip
AGENT_FIELDS = {"crop": 64, "batch": 2, "group": 1, "updates": 1, "most": 2, "hidden": 8, "epochs": 1, "minibatches": 1,
                "validate_every": 1, "validation_crops": 2, "precision": "no", "threads": 1}  # fmt: skip


def test_each_variant_leaves_out_what_it_says() -> None:
    recipe = read_ablations(RECIPES / "ablations.yaml")
    made = {name: recipe.training(name) for name in recipe.variants}
    full = made.pop("full")
    assert full.llm == str(shipped() / LLM)
    assert full.losses.adversarial == 0.1
    assert full.located
    assert create(full.size, **full.network).config.grounded
    assert not made["without IIP"].located
    assert made["without IIP"].losses.mask == 0
    assert made["fused IIP"].network == {**full.network, "grounded": False, "places": False}
    assert made["without LBE (no LLM)"].llm == ""
    assert made["without PIFM"].network == {**full.network, "pifm": False}
    assert made["without mutual attention"].network == {**full.network, "mutual": False}
    assert made["without adversarial term"].losses.adversarial == 0
    assert full.rests == full.takes == ("encoder", "imperfection")
    assert made["fused IIP"].rests == made["fused IIP"].takes == ("encoder",), "it has maps of its own to learn"
    alike = ("seed", "steps", "batch", "crop", "learning_rate", "start", "predicted_masks")
    assert all(getattr(r, f) == getattr(full, f) for r in made.values() for f in alike)


def test_windows_show_what_is_asked_and_scores_are_right(faces_folder: Path) -> None:
    seen = list(windows(faces_folder, 1, 128))
    assert len(seen) > 2
    for one in seen:
        assert one.image.shape == (128, 128, 3)
        assert one.asked.any()
        np.testing.assert_allclose(one.crop.image[0].permute(1, 2, 0).numpy() * 255, one.image, atol=1e-3)
    untouched = score(seen[0], None)
    assert untouched["left"] == untouched["before"] > 0
    assert (untouched["gain"], untouched["area"]) == (0, 0)
    perfect = score(seen[0], lambda window, true_mask: window.target)
    assert perfect["left"] == 0
    assert perfect["gain"] > 10


def test_one_command_trains_measures_and_goes_on(faces_folder: Path, tmp_path: Path) -> None:
    cache = paint_ahead(faces_folder, tmp_path / "cache", 4, seed=9)
    variants = {"full": {}, "no block": {"network": {"pifm": False}}}
    recipe = AblationRecipe(BASE, variants, AGENT_FIELDS, faces=1, window=64, draws=20)  # type: ignore[arg-type]
    out = tmp_path / "runs"
    run(recipe, cache, faces_folder, out, only=("full",))
    text = table(recipe, out)
    assert f"| {UNTOUCHED} | 0.00 | 0.00 |" in text
    assert "| full |" in text
    assert f"Not measured yet: no block, {AGENT}." in text
    kept = folder_of(out, "full") / SCORES
    kept.write_text(kept.read_text() + " ")
    run(recipe, cache, faces_folder, out)
    assert kept.read_text().endswith(" "), "what is measured is not measured again"
    names = [line.split("|")[1].strip() for line in table(recipe, out).splitlines() if line.startswith("| ")]
    assert names == ["variant", UNTOUCHED, "full", "no block", "2 equal steps", AGENT]
    rows = json.loads((folder_of(out, AGENT) / SCORES).read_text())
    assert len(rows) == len(json.loads(kept.read_text()))
    with pytest.raises(BadData, match="no variant 'nobody'"):
        run(recipe, cache, faces_folder, out, only=("nobody",))


def test_bad_recipes_and_pages_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("base: {}\nvariants: {full: {name: x}, odd: {losses: {kapa: 1}}}\n")
    with pytest.raises(BadData, match=r"bad\.yaml is not a recipe of ablations \(odd\).*kapa"):
        read_ablations(tmp_path / "bad.yaml")
    with pytest.raises(BadData, match="no such recipe"):
        read_ablations(tmp_path / "none.yaml")
    with pytest.raises(BadData, match="holds no measured ablation"):
        table(replace(AblationRecipe({}, {"full": {}})), tmp_path)
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(BadData, match="no place for the table"):
        put(page, "x")
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    put(page, "new\n")
    assert page.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
