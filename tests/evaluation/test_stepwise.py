"""The comparison of the agent with equal steps: known paces get known rows, intervals by hand, the curve is drawn."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from retouchgpt.core.errors import BadData
from retouchgpt.evaluation import stepwise
from retouchgpt.evaluation.tally import Tally
from retouchgpt.model.agent import Agent, AgentConfig, save_agent
from tests.fakes import acne_network


def test_an_untrained_agent_is_equal_steps(faces_folder: Path, tmp_path: Path) -> None:
    network = acne_network()
    save_agent(Agent(AgentConfig(network.config.width, most=2)), tmp_path)
    table = stepwise.paces([tmp_path], 2)
    assert list(table) == ["input untouched", stepwise.ONE_SHOT, "2 equal steps", "agent, seed 0"]
    tally = stepwise.compare(faces_folder, network, table, draws=5, progress=False)
    two, agent = (tally.cell(("steps", n), "removal") for n in ("2 equal steps", "agent, seed 0"))
    assert two.value == pytest.approx(agent.value, abs=1e-3)
    assert tally.cell(("steps", "input untouched"), "removal").value == 0
    assert tally.cell(("steps", "input untouched"), "steps").value == 0
    assert "one seed, no interval" in stepwise.report(tally)


def test_report_compares_with_the_best_in_hindsight() -> None:
    tally = Tally(draws=10)
    known = {stepwise.ONE_SHOT: 2.0, "2 equal steps": 4.0, "agent, seed 0": 5.0, "agent, seed 1": 7.0}
    for name, value in known.items():
        for face in ("a", "b"):
            key = [("steps", name), ("steps", name, "acne")]
            for measure in ("removal", "gain", "damage", "steps"):
                tally.add(face, key, measure, value, 10.0)
    text = stepwise.report(tally)
    assert "chosen in hindsight: 2 equal steps, removal 0.400" in text
    assert "removal 0.600" in text
    assert "+0.200 against the best" in text
    assert "+0.400 against one-shot" in text


def test_interval_over_seeds_by_hand() -> None:
    mean, half = stepwise.over_seeds([1.0, 2.0, 3.0])
    assert mean == 2
    assert half == pytest.approx(4.303 / 3**0.5)


def test_curve_is_drawn_from_the_log(tmp_path: Path) -> None:
    entries = [
        {"update": 0, "equal": {"1": {"return": 0.1}, "2": {"return": 0.2}}},
        {"update": 1},
        {"update": 2, "validation": {"return": 0.1}},
        {"update": 4, "validation": {"return": 0.3}},
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, entries)))
    curves = stepwise.curve([tmp_path])
    assert curves == [[(2, 0.1), (4, 0.3)]]
    assert stepwise.equal_returns(tmp_path) == [0.1, 0.2]
    picture = ElementTree.fromstring(stepwise.drawing(curves, [0.1, 0.2]))
    line = next(e for e in picture.iter() if e.tag.endswith("polyline"))
    assert line.get("points") == "320.0,260.0 580.0,30.0"
    with pytest.raises(BadData, match="no learning curve"):
        stepwise.drawing([[]])
    with pytest.raises(BadData, match="not a run"):
        stepwise.curve([tmp_path / "none"])
