"""Stand-ins for language, with its protocols; the network in tests is always a real, tiny one."""

from __future__ import annotations

from typing import Any

import torch

from retouchgpt.core.facts import Facts
from retouchgpt.core.plan import Edit, EditPlan, Keep
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.model.checkpoint import create
from retouchgpt.model.network import RetouchNetwork

PLANS = {
    "remove the acne": EditPlan("retouch", (Edit("acne"),)),
    "remove the acne on the left cheek": EditPlan("retouch", (Edit("acne", "left_cheek"),)),
    "remove the moles": EditPlan("retouch", (Edit("moles"),)),
    "remove everything but the acne": EditPlan("retouch", (Edit("all"),), (Keep("acne"),)),
    "a bit less": EditPlan("adjust", factor=0.5),
    "what do you see?": EditPlan("inspect"),
    "undo": EditPlan("undo"),
    "redo": EditPlan("redo"),
    "start over": EditPlan("reset"),
    "make her nose smaller": EditPlan("decline", reason="shapes are never changed"),
}


class Planner:
    def plan(self, text: str) -> EditPlan:
        return PLANS[text]


class Writer:
    def answer(self, facts: Facts, instruction: str) -> str:
        done = [f"{o.imperfection}:{o.region}:{o.count}" for o in facts.edited if o.done]
        return f"{facts.intent} {' '.join(done) or facts.declined or 'nothing'}"


def acne_network(seed: int = 1, **changes: Any) -> RetouchNetwork:
    """A tiny network that sees acne in about half of all places and changes what it is told to."""
    network = create("tiny", seed=seed, **changes)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in network.decoder.parameters():
            p.add_(torch.randn(p.shape, generator=generator) * 0.08)
        head = network.imperfection.head
        head.weight[0] = torch.randn(head.weight[0].shape, generator=generator) * 2
        head.bias.fill_(-9.0)
        head.bias[IMPERFECTIONS.index("acne")] = 0.0
    return network.eval()
