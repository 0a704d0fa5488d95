"""The agent: untrained it changes nothing, its action is a density, its file is strict; steps follow it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from retouchgpt.core.errors import AgentMissing, InvalidPlan, WeightsMismatch
from retouchgpt.core.plan import Edit, EditPlan
from retouchgpt.model.agent import (
    HEADS,
    REGIONS,
    Action,
    Agent,
    AgentConfig,
    Policy,
    Seen,
    applied,
    load_agent,
    neutral,
    observe,
    save_agent,
    spread,
)
from retouchgpt.model.imperfection import given
from retouchgpt.session import RetouchGPT
from retouchgpt.session.face import repair, select
from retouchgpt.session.steps import Pace, repair_in_steps
from tests.fakes import Planner, Writer, acne_network

NUMBERS = len(HEADS) * REGIONS


def trained(width: int, seed: int = 0) -> Agent:
    """An agent whose last layer says something."""
    torch.manual_seed(seed)
    agent = Agent(AgentConfig(width))
    torch.nn.init.normal_(agent.act.weight, std=0.5)
    return agent.eval()


def seen(rows: int = 2, width: int = 16) -> Seen:
    torch.manual_seed(1)
    return Seen(
        torch.randn(rows, width, 6, 8, 8), torch.rand(rows, 1, 64, 64), torch.rand(rows, 12, 64, 64) / 4,
        torch.rand(rows, REGIONS, 16, 16), torch.rand(rows, 1, 128, 128) / 20,
    )  # fmt: skip


def test_untrained_agent_scales_nothing() -> None:
    agent = Agent(AgentConfig(16))
    policy = agent(observe(seen(), 0, 4))
    action = policy.likeliest()
    assert torch.allclose(action.scales, torch.ones(2, len(HEADS), REGIONS))
    assert not action.stop.any()
    assert torch.allclose(neutral(2).scales, action.scales)


def test_scales_keep_to_their_ranges() -> None:
    far = Action(torch.full((1, NUMBERS), 50.0), torch.zeros(1, dtype=torch.bool)).scales
    near = Action(torch.full((1, NUMBERS), -50.0), torch.zeros(1, dtype=torch.bool)).scales
    assert far[0, :, 0].tolist() == pytest.approx([2, 2, 2, 1.5])
    assert near.abs().max() < 1e-6


def test_density_is_that_of_torch_distributions() -> None:
    from torch.distributions import Bernoulli, Normal

    torch.manual_seed(2)
    policy = Policy(torch.randn(3, NUMBERS), torch.rand(3, NUMBERS) + 0.1, torch.randn(3), torch.zeros(3))
    action = Action(torch.randn(3, NUMBERS), torch.tensor([False, True, False]))
    may_stop = torch.tensor([True, True, False])
    scales = Normal(policy.mean, policy.deviation).log_prob(action.raw).sum(1)
    choice = Bernoulli(logits=policy.stop).log_prob(action.stop.float())
    expected = torch.stack([scales[0] + choice[0], choice[1], scales[2]])
    assert torch.allclose(policy.log_prob(action, may_stop), expected, atol=1e-4)
    entropy = Normal(policy.mean, policy.deviation).entropy().sum(1) + Bernoulli(logits=policy.stop).entropy()
    assert torch.allclose(policy.entropy(), entropy, atol=1e-4)


def test_observation_has_its_length_and_sees_its_parts() -> None:
    config = AgentConfig(16)
    base = seen()
    first = observe(base, 0, config.most)
    assert first.shape == (2, config.inputs)
    for changed in (
        base._replace(state=base.state.flip(3)),
        base._replace(mask=base.mask * 0.1),
        base._replace(kinds=base.kinds.roll(1, 1)),
        base._replace(change=base.change * 0.1),
    ):
        assert not torch.allclose(observe(changed, 0, config.most), first)
    assert not torch.allclose(observe(base, 1, config.most), first)


def test_scales_go_where_their_region_is() -> None:
    places = torch.zeros(1, REGIONS, 8, 8)
    places[:, 0, :6] = 1  # the face, and its chin below
    places[:, 6, 4:6] = 1
    scales = torch.ones(1, len(HEADS), REGIONS)
    scales[0, 0, 0], scales[0, 0, 6] = 0.5, 2.0
    maps = spread(scales, places)
    assert maps[0, 0, 0, 0] == pytest.approx(0.5)
    assert maps[0, 0, 4, 0] == pytest.approx((0.05 * 0.5 + 2) / 1.05)
    assert maps[0, 0, 7, 0] == 1
    assert (maps[0, 1:] == 1).all()


def test_scales_act_on_the_heads_and_one_changes_nothing() -> None:
    network = acne_network()
    with torch.no_grad():
        torch.nn.init.normal_(network.control.to_maps.weight, std=0.3)
        for block in network.transformer.blocks:
            torch.nn.init.normal_(block.attention.project.weight, std=0.1)
        torch.manual_seed(3)
        image = torch.rand(1, 3, 128, 128)
        features = network.encode(image)
        where = given(torch.rand(1, 12, 64, 64))
        plain = network.repair(image, features, where).image
        ones = torch.ones(1, 3, 8, 8)
        assert torch.allclose(network.repair(image, features, where, None, ones).image, plain, atol=1e-6)
        for head in range(3):
            scales = ones.clone()
            scales[:, head] = 0
            assert not torch.allclose(network.repair(image, features, where, None, scales).image, plain, atol=1e-5)
        half = neutral(1)
        half.raw[:, 3 * REGIONS :] = -0.693147  # amount: 1.5 sigmoid(0) = 0.75
        scales, taken = applied(half, torch.ones(1, REGIONS, 16, 16), where, (8, 8))
        assert torch.allclose(scales, ones)
        assert torch.allclose(taken.strength, where.strength * 0.75, atol=1e-4)


def test_file_is_strict(tmp_path: Path) -> None:
    agent = trained(16)
    agent.config = AgentConfig(16, weights="abc")
    save_agent(agent, tmp_path)
    again = load_agent(tmp_path, "abc")
    observation = observe(seen(), 1, 4)
    assert torch.equal(again(observation).mean, agent(observation).mean)
    assert not any(p.requires_grad for p in again.parameters())
    with pytest.raises(WeightsMismatch, match="another retoucher"):
        load_agent(tmp_path, "def")
    with pytest.raises(AgentMissing):
        load_agent(tmp_path / "none")
    (tmp_path / "agent.safetensors").write_bytes(b"no")
    with pytest.raises(WeightsMismatch):
        load_agent(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["agent.safetensors"]


@pytest.fixture
def engine() -> Any:
    model = RetouchGPT(acne_network(), Planner(), Writer())
    model.understand = lambda text, history=(): model.planner.plan(text)  # type: ignore[method-assign, misc]
    return model


def test_one_equal_step_is_the_retouch_at_once(engine: Any, portrait: Any) -> None:
    session = engine.open(portrait)
    face, plan = session.faces[0], EditPlan("retouch", (Edit("acne"),))

    def choose(now: Any) -> Any:
        return select(engine.network, now, plan, None)

    once = repair(engine.network, face, choose(face), None)
    (step,) = repair_in_steps(engine.network, face, choose, None, Pace(None, 1))
    assert once is not None
    for a, b in zip(once, step, strict=True):
        assert np.allclose(a, b, atol=1e-6)
    nothing = given(torch.zeros(1, 12, 64, 64))
    assert repair_in_steps(engine.network, face, lambda now: nothing, None, Pace(None, 3)) == []


def test_session_walks_in_steps_and_the_last_is_its_image(engine: Any, portrait: Any) -> None:
    session = engine.open(portrait)
    at_once = session.instruct("remove the acne").image
    assert len(session.steps()) == 1
    assert np.array_equal(session.steps()[0], at_once)
    session.walk(engine.pace(3))
    states = session.turns
    again = session.again("in steps")
    assert session.walks
    assert session.turns is states, "a pace is no instruction"
    assert again.faces[0].facts.edited, "told of what is in force"
    steps = session.steps()
    assert np.array_equal(again.image, steps[-1])
    assert 1 < len(steps) <= 3
    rendered = session.render()
    assert np.array_equal(steps[-1], rendered.pixels)
    assert np.array_equal(steps[0], at_once), "an equal first step is the retouch at once"
    outside = rendered.mask == 0
    assert np.array_equal(steps[-1][outside], portrait[outside])
    for picture in steps[:-1]:  # a later step may take back what an earlier one changed by a hair
        undone = np.abs(picture[outside].astype(int) - portrait[outside])
        assert undone.max() <= 8
        assert (undone > 0).mean() < 0.001
    session.walk(None)
    assert np.array_equal(session.render().pixels, at_once)
    session.undo()
    assert session.steps() == []
    assert not session.again("at once").changed


def test_the_agent_is_followed(engine: Any, portrait: Any, tmp_path: Path) -> None:
    network = engine.network
    agent = trained(network.config.width)
    with torch.no_grad():
        agent.act.weight[-1], agent.act.bias[-1] = 0, 5.0  # always wants to stop: after the first step it may
    session = engine.open(portrait)
    at_once = session.instruct("remove the acne").image
    session.walk(Pace(agent, 4))
    (only,) = session.steps()
    assert not np.array_equal(only, at_once), "its scales act"
    save_agent(agent, tmp_path)
    engine.folder = tmp_path
    assert engine.pace().most == 4
    engine.folder = None
    with pytest.raises(AgentMissing):
        engine.pace()
    with pytest.raises(InvalidPlan, match="from 1 to 8"):
        engine.pace(9)
