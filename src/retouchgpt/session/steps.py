"""A face retouched in steps x_r(1) ... x_r(n): after each one the photo is looked at again (paper, part 8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F

from retouchgpt.core.errors import InvalidPlan
from retouchgpt.model.agent import Action, Agent, Seen, applied, observe
from retouchgpt.model.imperfection import Selection, places
from retouchgpt.model.llm_embedding import DialogueTokens
from retouchgpt.model.network import RetouchNetwork

from .face import LookedAt, Repair, fast, look_again, measured

MOST_STEPS = 8
PLACE_PX = 8
"""Px a cell of the map that tells the agent where on the face it acts, as in its training."""


class Pace(NamedTuple):
    """agent: chooses each step's strength and when to stop; None: equal steps. most: steps at most, from 1."""

    agent: Agent | None
    most: int

    def checked(self) -> Pace:
        """Itself. Raises InvalidPlan on a number of steps that makes no sense."""
        if not 1 <= self.most <= MOST_STEPS:
            raise InvalidPlan(f"steps must be from 1 to {MOST_STEPS}, got {self.most}.")
        return self


@torch.inference_mode()
def repair_in_steps(
    network: RetouchNetwork,
    seen: LookedAt,
    choose: Callable[[LookedAt], Selection],
    dialogue: DialogueTokens | None,
    pace: Pace,
) -> list[Repair]:
    """x_r(1) ... x_r(n) of one face, each as the whole repair of the photo so far; empty where nothing is selected.

    choose: what is left to do on the face as it now looks. It ends when nothing is left, or when the agent stops.
    """
    pace.checked()
    trail: list[Repair] = []
    now, state = seen, seen.features.tokens
    side = seen.crop.shape[-1] // PLACE_PX
    where_on_face = F.adaptive_avg_pool2d(places(seen.regions), side)
    mask, kinds = torch.zeros_like(seen.crop[:, :1]), torch.zeros_like(seen.heat)
    strength = torch.zeros_like(seen.heat[:, :1])
    allowed = torch.from_numpy(seen.allowed)
    for step in range(pace.most):
        where = choose(now)
        if float(where.mask.max()) <= network.config.gate[0] or float(where.strength.max()) <= 0:
            break
        scales, taken = None, where
        if pace.agent is not None:
            change = (now.crop - seen.crop).abs().mean(1, keepdim=True)
            action = decide(pace.agent, Seen(state, where.mask, where.kinds.float(), where_on_face, change), step)
            if step and bool(action.stop):
                break
            scales, taken = applied(action, where_on_face, where, (state.shape[-2], state.shape[-1]))
        with fast(network):
            out = network.repair(now.crop, now.features, taken, dialogue, scales)
        correction = out.correction.float() * allowed
        total = (now.crop + correction).clamp(0, 1) - seen.crop if step else correction
        mask = torch.maximum(mask, out.mask.float().clamp(0, 1))
        kinds = torch.maximum(kinds, where.told.float())
        strength = torch.maximum(strength, where.strength.float())
        trail.append(measured(seen, total, mask, kinds, strength))
        if step + 1 < pace.most:
            state = out.state.float() if out.state is not None else state
            now = look_again(network, seen, (seen.crop + total).clamp(0, 1))
    return trail


def decide(agent: Agent, seen: Seen, step: int) -> Action:
    """The agent's likeliest action."""
    return agent(observe(seen, step, agent.config.most)).likeliest()
