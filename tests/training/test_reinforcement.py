"""Reinforcement: rewards and advantages by hand, frozen retoucher, learning on a toy, a smoke run on a tiny network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from retouchgpt.core.errors import BadData
from retouchgpt.data.cache import paint_ahead
from retouchgpt.model.agent import Action, Agent, AgentConfig, load_agent, neutral
from retouchgpt.model.checkpoint import save_pretrained
from retouchgpt.training.batches import Crop, PaintedCrops
from retouchgpt.training.reinforcement import (
    Environment,
    Ppo,
    ReinforcementRecipe,
    Rollout,
    advantages,
    among_equals,
    batches,
    measure,
    play,
    read_reinforcement,
    train_agent,
)
from tests.fakes import acne_network

RECIPES = Path(__file__).parents[2] / "recipes"
TINY = ReinforcementRecipe(
    crop=64, batch=2, group=1, updates=2, most=3, hidden=16, epochs=1, minibatches=1, precision="no", validate_every=1,
    validation_crops=2, threads=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def cache(faces_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint_ahead(faces_folder, tmp_path_factory.mktemp("cache"), 4, seed=9)


@pytest.fixture(scope="module")
def crop(cache: Path) -> Crop:
    return next(batches(PaintedCrops(cache, crop=64, stride=2, seed=3), 2))


def test_rewards_are_the_falls_less_the_costs(crop: Crop) -> None:
    recipe = replace(TINY, error=1.0, remaining=0.0, over=0.5, step=0.02)
    environment = Environment(acne_network(), recipe)
    environment.reset(crop, painted=True)
    before = environment.standing
    _, reward = environment.step(neutral(2))
    now = environment.standing
    expected = (before.error - now.error) - 0.5 * (now.over - before.over) - 0.02
    assert torch.allclose(reward, expected.clamp(-2, 2))
    assert not torch.equal(environment.image, crop.image)
    difference = (crop.image - crop.target).abs()
    asked = difference.amax(1, keepdim=True) > 1 / 255
    native = (crop.ignore * crop.words[:, :, None, None]).amax(1, keepdim=True).repeat_interleave(2, 2) > 0
    beside = ~asked & ~native.repeat_interleave(2, 3)
    usual = (difference.mean(1, keepdim=True) * asked).sum((1, 2, 3)).clamp_min(20) + 3
    share = ((environment.image - crop.image).abs().mean(1, keepdim=True) * beside).sum((1, 2, 3)) / usual
    assert torch.allclose(now.over, share)
    assert before.over.abs().max() == 0


def test_a_stopped_row_stays_and_earns_nothing(crop: Crop) -> None:
    environment = Environment(acne_network(), TINY)
    environment.reset(crop, painted=True)
    stop_both = neutral(2)._replace(stop=torch.tensor([True, True]))
    environment.step(stop_both)
    assert environment.alive.all(), "the first step is always made"
    held = environment.image.clone()
    _, reward = environment.step(neutral(2)._replace(stop=torch.tensor([True, False])))
    assert reward[0] == 0
    assert torch.equal(environment.image[0], held[0])
    assert environment.alive.tolist() == [False, True]


def test_amount_zero_changes_no_pixel(crop: Crop) -> None:
    environment = Environment(acne_network(), TINY)
    environment.reset(crop, painted=True)
    raw = torch.zeros(2, 28)
    raw[:, 21:] = -60
    environment.step(Action(raw, torch.zeros(2, dtype=torch.bool)))
    inside = crop.places[:, :1].amax() > 0
    on_face = torch.nn.functional.interpolate(crop.places[:, :1], 64, mode="nearest") > 0.9
    assert inside
    assert (environment.image - crop.image).abs()[on_face.expand(-1, 3, -1, -1)].max() < 1e-4


def rollout_of(reward: list[float], value: list[float], stop: list[bool]) -> Rollout:
    steps = len(reward)
    alive, going = [], True
    for s in stop:
        alive.append(going)
        going = going and not s
    blank = torch.zeros(steps, 1)
    return Rollout(
        blank, blank, torch.tensor(stop)[:, None], blank, torch.tensor(value)[:, None], torch.tensor(reward)[:, None],
        torch.tensor(alive)[:, None], blank, blank[0], blank[0],
    )  # fmt: skip


def test_advantages_by_hand() -> None:
    out, goal = advantages(rollout_of([1.0, 2.0], [0.5, 0.25], [False, False]), 0.9, 1.0)
    assert out[:, 0].tolist() == pytest.approx([1 + 0.9 * 2 - 0.5, 2 - 0.25])
    assert goal[:, 0].tolist() == pytest.approx([2.8, 2.0])
    out, _ = advantages(rollout_of([1.0, 2.0], [0.5, 0.25], [False, False]), 0.9, 0.0)
    assert out[0, 0] == pytest.approx(1 + 0.9 * 0.25 - 0.5)
    out, _ = advantages(rollout_of([1.0, 0.0, 9.0], [0.5, 0.25, 7.0], [False, True, False]), 0.9, 1.0)
    assert out[:2, 0].tolist() == pytest.approx([1 - 0.5, -0.25]), "nothing comes after a stop"


def test_rows_of_one_crop_are_compared_with_each_other() -> None:
    advantage = torch.tensor([[1.0, 3.0, 10.0, 14.0], [2.0, 5.0, 1.0, 7.0]])
    alive = torch.tensor([[True, True, True, True], [True, False, True, True]])
    out = among_equals(advantage, alive, 2)
    assert out[0].tolist() == [-1, 1, -2, 2]
    assert (out[1, 0], out[1, 2], out[1, 3]) == (0, -3, 3), "a row that stopped counts no more"
    assert torch.equal(among_equals(advantage, alive, 1), advantage)
    with pytest.raises(ValueError, match="no multiple"):
        replace(TINY, batch=6, group=4)


def test_ppo_learns_what_pays() -> None:
    """A toy in which only the first number matters and stopping at the second step is best."""
    torch.manual_seed(0)
    recipe = replace(TINY, epochs=4, minibatches=2, learning_rate=1e-2, entropy=0.0)
    agent = Agent(AgentConfig(4, hidden=16, most=2))
    ppo, generator = Ppo(agent, recipe), torch.Generator().manual_seed(0)
    observation = torch.randn(2, 64, agent.config.inputs, generator=generator)
    for _ in range(30):
        with torch.no_grad():
            first, second = (agent(o) for o in observation)
        a, b = first.sample(generator), second.sample(generator)
        a = a._replace(stop=torch.zeros(64, dtype=torch.bool))
        never, free = torch.zeros(64, dtype=torch.bool), torch.ones(64, dtype=torch.bool)
        rollout = Rollout(
            observation,
            torch.stack([a.raw, b.raw]),
            torch.stack([a.stop, b.stop]),
            torch.stack([first.log_prob(a, never), second.log_prob(b, free)]),
            torch.stack([first.value, second.value]),
            torch.stack([-(a.raw[:, 0] - 0.5).square(), torch.where(b.stop, 0.0, -1.0)]),
            torch.ones(2, 64, dtype=torch.bool),
            torch.stack([never, free]),
            torch.zeros(64),
            torch.zeros(64),
        )
        terms = ppo.update(rollout, 1.0, generator)
    assert set(terms) == {"policy", "value", "entropy", "clipped", "kl"}
    assert agent(observation[0]).mean[:, 0].mean() > 0.25
    assert agent(observation[1]).stop.mean() > 0


def test_the_retoucher_is_frozen_and_a_run_writes_its_files(cache: Path, tmp_path: Path) -> None:
    network = acne_network()
    save_pretrained(network, tmp_path / "weights")
    out = train_agent(TINY, cache, tmp_path / "weights", tmp_path / "run").parent
    agent = load_agent(out)
    assert agent.config.most == 3
    assert len(agent.config.weights) == 64
    fresh = Agent(agent.config)
    assert any(not torch.equal(a, b) for a, b in zip(agent.act.parameters(), fresh.act.parameters(), strict=True))
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert set(log[0]["equal"]) == {"1", "2", "3"}
    assert [e["update"] for e in log] == [0, 1, 2]
    assert {"error", "over", "return", "steps"} == set(log[-1]["validation"])
    again = train_agent(TINY, cache, tmp_path / "weights", tmp_path / "again").parent
    same = [json.loads(line)["validation"] for line in (again / "log.jsonl").read_text().splitlines()[1:]]
    assert same == [e["validation"] for e in log[1:]], "same seed, same agent"
    environment = Environment(network, TINY)
    assert not any(p.requires_grad for p in network.parameters())
    del environment


def test_equal_steps_are_measured_without_an_agent(crop: Crop) -> None:
    environment = Environment(acne_network(), TINY)
    crop = crop._replace(words=torch.nn.functional.one_hot(torch.tensor([0, 0]), 12).float())
    one, three = (measure(environment, [crop], None, n) for n in (1, 3))
    assert (one["steps"], three["steps"]) == (1, 3)
    assert one["error"] != three["error"]
    agent = Agent(AgentConfig(16, hidden=16, most=3))
    assert measure(environment, [crop], agent, 3) == three, "an untrained agent makes equal steps"
    generator = torch.Generator().manual_seed(0)
    rollout = play(environment, agent, crop, generator, painted=True)
    assert rollout.raw.shape == (3, 2, 28)
    assert not rollout.may_stop[0].any()
    assert rollout.may_stop[1].all()


def test_recipes_parse_and_bad_ones_are_named(tmp_path: Path) -> None:
    assert read_reinforcement(RECIPES / "reinforcement.yaml") == ReinforcementRecipe()
    (tmp_path / "bad.yaml").write_text("etta: 0.9")
    with pytest.raises(BadData, match="etta"):
        read_reinforcement(tmp_path / "bad.yaml")
    with pytest.raises(BadData, match="no such recipe"):
        read_reinforcement(tmp_path / "none.yaml")
