"""What a release tells of how its weights were trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from retouchgpt.core.errors import BadData
from retouchgpt.evaluation.release import a_stage_a_line, stages, thinned
from retouchgpt.model.checkpoint import WEIGHTS, shipped


def test_a_run_is_one_stage_without_paths(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps({"name": "r", "start": "somewhere", "llm": "else", "batch": 8}))
    (tmp_path / "log.jsonl").write_text('{"step": 1}\n{"step": 7}\n')
    assert stages(tmp_path) == [{"name": "r", "batch": 8, "trained_steps": 7}]


def test_released_weights_stand_for_all_their_stages(tmp_path: Path) -> None:
    (tmp_path / WEIGHTS).touch()
    first, last = {"name": "see", "trained_steps": 3}, {"name": "repair", "trained_steps": 5}
    (tmp_path / "recipe.json").write_text(json.dumps(last | {"earlier": [first]}))
    assert stages(tmp_path) == [first, last]
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(BadData, match="does not tell how its weights were trained"):
        stages(tmp_path)


def test_the_log_that_ships_is_short_whatever_the_run() -> None:
    for steps, every in ((60, 25), (1250, 25), (3300, 75), (9000, 200)):
        log = [{"step": i + 1} for i in range(steps)] + [{"step": steps, "validation": {}}]
        kept = thinned(log)
        assert [e["step"] for e in kept[:-1]] == list(range(every, steps + 1, every))
        assert kept[-1] == log[-1]
        assert len(kept) <= 51


def test_losses_ship_to_five_digits_and_the_rest_of_the_log_as_it_is() -> None:
    log = [{"time": 1796025094.2, "step": 25, "loss": 5.102573871612549}, {"step": 25, "validation": {"x": 0.1234567}}]
    assert thinned(log) == [{"time": 1796025094.2, "step": 25, "loss": 5.1026}, log[1]]


def test_however_many_stages_each_earlier_one_is_a_line() -> None:
    for earlier in ([], [{"name": "see"}], [{"name": "see", "losses": {"mask": 2.0}}, {"name": "repair"}]):
        told = {"name": "joint", "losses": {"mask": 1.0}, "earlier": earlier, "commit": "abc"}
        text = a_stage_a_line(told)
        assert json.loads(text) == told
        assert all(json.dumps(stage) in text for stage in earlier)
        assert sum(line.startswith("    {") for line in text.splitlines()) == len(earlier)


def test_what_ships_tells_its_stages_and_steps() -> None:
    told = stages(shipped())
    assert len(told) > 1
    card = (shipped() / "MODEL_CARD.md").read_text()
    assert f"{sum(s['trained_steps'] for s in told)} steps in {len(told)} stages" in card
    assert f"on {sum(s['trained_steps'] * s['batch'] for s in told)} crops" in card
