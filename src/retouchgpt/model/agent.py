"""The retouching agent: sees R's state, scales G_ctrl's heads region by region, and says when to stop (paper, part 8).

The paper shows the agent in its figure only. What it sees, how its action is laid out, and the fourth number, how much
of a step's correction is taken, are our reading; so is the network, a small actor-critic.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retouchgpt.core.errors import AgentMissing, WeightsMismatch

from .imperfection import KINDS, PLACES, Selection

AGENT = "agent.safetensors"
"""The agent's file, beside the weights that it was trained on."""
FORMAT = 2
HEADS = ("alpha", "beta", "gamma", "amount")
RANGE = (2.0, 2.0, 2.0, 1.5)
"""Each head's scale lies between 0 and this; 1 changes nothing."""
REGIONS = len(PLACES)
FACE_WEIGHT = 0.05
"""Of the whole face's scale where a part of the face has its own; elsewhere it stands alone."""


@dataclass(frozen=True)
class AgentConfig:
    """width: of R. hidden: of the two layers. most: steps at most. weights: SHA-256 of the retoucher's file that it was
    trained on, empty for any."""

    width: int
    hidden: int = 96
    most: int = 4
    weights: str = ""

    @property
    def inputs(self) -> int:
        """Length of an observation: R inside and outside the mask, three numbers a region, two a kind, the step."""
        return 2 * self.width + 3 * REGIONS + 2 * KINDS + self.most


class Action(NamedTuple):
    """raw: (B, 28), what was drawn, before it becomes scales. stop: (B,) bool: done, nothing more is applied."""

    raw: Tensor
    stop: Tensor

    @property
    def scales(self) -> Tensor:
        """How strongly each head acts in each region, (B, 4, 7), in HEADS' and PLACES' order."""
        top = self.raw.new_tensor(RANGE)[:, None]
        return top * torch.sigmoid(self.raw.unflatten(1, (len(HEADS), REGIONS)) + torch.log(1 / (top - 1)))


class Policy(NamedTuple):
    """mean, deviation: (B, 28) of the raw action. stop: (B,) logit. value: (B,), the discounted reward to come."""

    mean: Tensor
    deviation: Tensor
    stop: Tensor
    value: Tensor

    def sample(self, generator: torch.Generator | None = None) -> Action:
        """Draw an action."""
        noise = torch.randn(self.mean.shape, generator=generator).to(self.mean)
        rolls = torch.rand(self.stop.shape, generator=generator).to(self.stop)
        return Action(self.mean + self.deviation * noise, rolls < self.stop.sigmoid())

    def likeliest(self) -> Action:
        """The action without chance, for use."""
        return Action(self.mean, self.stop > 0)

    def log_prob(self, action: Action, may_stop: Tensor) -> Tensor:
        """Logarithm of an action's density, (B,). Where stopping was not allowed it is no choice; where it stopped, the
        scales were none."""
        z = (action.raw - self.mean) / self.deviation
        scales = (-0.5 * z.square() - self.deviation.log() - 0.5 * math.log(2 * math.pi)).sum(1)
        choice = -F.binary_cross_entropy_with_logits(self.stop, action.stop.float(), reduction="none")
        return choice * may_stop + scales * ~action.stop

    def entropy(self) -> Tensor:
        """Of scales and stop together, (B,)."""
        scales = (self.deviation.log() + 0.5 * math.log(2 * math.pi * math.e)).sum(1)
        chance = self.stop.sigmoid()
        return scales + F.softplus(self.stop) - chance * self.stop


class Agent(nn.Module):
    """Observation (B, inputs) -> Policy. Untrained, it scales nothing and rarely stops."""

    def __init__(self, config: AgentConfig) -> None:
        super().__init__()
        self.config = config
        numbers = len(HEADS) * REGIONS
        self.trunk = nn.Sequential(
            nn.Linear(config.inputs, config.hidden), nn.Tanh(), nn.Linear(config.hidden, config.hidden), nn.Tanh()
        )
        self.act = nn.Linear(config.hidden, numbers + 1)
        self.judge = nn.Linear(config.hidden, 1)
        self.spread = nn.Parameter(torch.full((numbers,), -1.0))
        for layer in (self.act, self.judge):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.act.bias[-1] = -1.5

    def forward(self, observation: Tensor) -> Policy:
        x = self.trunk(observation)
        acted = self.act(x)
        deviation = self.spread.clamp(-3, 0.5).exp().expand_as(acted[:, :-1])
        return Policy(acted[:, :-1], deviation, acted[:, -1], self.judge(x)[:, 0])


class Seen(NamedTuple):
    """What the agent may look at. state: R's tokens of the step before (at first E_img's), (B, W, 6, g, g). mask: what
    is left to do, (B, 1, h, w); kinds: the same of each kind, (B, 12, h, w). places: (B, 7, any size). change: how far
    the photo was changed so far, (B, 1, any)."""

    state: Tensor
    mask: Tensor
    kinds: Tensor
    places: Tensor
    change: Tensor


def observe(seen: Seen, step: int, most: int) -> Tensor:
    """An observation, (B, inputs): R's pooled features, what remains a region and a kind, what changed, the step."""
    grid = (seen.state.shape[-2], seen.state.shape[-1])
    inside = F.adaptive_avg_pool2d(seen.mask, grid)
    tokens = seen.state.float().mean(2)
    pooled = [(tokens * w).sum((2, 3)) / w.sum((2, 3)).clamp_min(1e-3) for w in (inside + 1e-6, 1 - inside + 1e-6)]
    size = (seen.places.shape[-2], seen.places.shape[-1])
    area = seen.places.sum((2, 3)).clamp_min(1e-3)
    left, most_left = F.adaptive_avg_pool2d(seen.mask, size), F.adaptive_max_pool2d(seen.mask, size)
    changed = F.adaptive_avg_pool2d(seen.change, size)
    regions = [
        10 * (left * seen.places).sum((2, 3)) / area,
        (most_left * seen.places).amax((2, 3)),
        50 * (changed * seen.places).sum((2, 3)) / area,
    ]
    kinds = [10 * seen.kinds.mean((2, 3)), seen.kinds.amax((2, 3))]
    clock = F.one_hot(torch.tensor(min(step, most - 1)), most).to(tokens).expand(len(tokens), -1)
    return torch.cat(
        [F.layer_norm(p, p.shape[1:]) for p in pooled] + [r.clamp(0, 5) for r in (*regions, *kinds)] + [clock], 1
    )


def spread(scales: Tensor, places: Tensor) -> Tensor:
    """Scales a region (B, 4, 7) -> maps (B, 4, h, w) over places (B, 7, h, w); beyond the face 1 changes nothing."""
    weight = torch.cat([places[:, :1] * FACE_WEIGHT, places[:, 1:]], 1)
    total = weight.sum(1, keepdim=True)
    mixed = torch.einsum("bcr,brhw->bchw", scales, weight) / total.clamp_min(1e-6)
    on_face = (total / FACE_WEIGHT).clamp(0, 1)
    return 1 + (mixed - 1) * on_face


def applied(action: Action, places: Tensor, where: Selection, grid: tuple[int, int]) -> tuple[Tensor, Selection]:
    """An action as what RetouchNetwork.repair takes: scales (B, 3, g, g), and the selection with its amount."""
    maps = spread(action.scales, places.float())
    scales = F.interpolate(maps[:, :3], grid, mode="bilinear", align_corners=False)
    amount = F.interpolate(maps[:, 3:], where.mask.shape[-2:], mode="bilinear", align_corners=False)
    return scales, where._replace(strength=where.strength * amount)


def neutral(rows: int) -> Action:
    """The action of a step without an agent: every scale 1, no stop."""
    return Action(torch.zeros(rows, len(HEADS) * REGIONS), torch.zeros(rows, dtype=torch.bool))


def save_agent(agent: Agent, folder: str | Path) -> Path:
    """Write agent.safetensors, its configuration in the file's own metadata; whole or not at all."""
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{AGENT}.{os.getpid()}"
    state = {k: v.detach().cpu().contiguous() for k, v in agent.state_dict().items()}
    save_file(state, partial, metadata={"agent": json.dumps({"format": FORMAT, **asdict(agent.config)})})
    partial.replace(folder / AGENT)
    return folder / AGENT


def load_agent(folder: str | Path, weights: str | None = None) -> Agent:
    """The agent of a folder, in evaluation mode. weights: SHA-256 of the retoucher's file that it is to act on.

    Raises AgentMissing where there is none, WeightsMismatch for another format or another retoucher.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(folder) / AGENT
    if not path.is_file():
        raise AgentMissing(folder)
    try:
        with safe_open(path, "pt") as stored:
            config = json.loads((stored.metadata() or {})["agent"])
            state = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no mapping
        if config.pop("format") != FORMAT:
            raise WeightsMismatch(path, f"not format {FORMAT}")
        agent = Agent(AgentConfig(**config))
        agent.load_state_dict(state, strict=True)
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise WeightsMismatch(path, str(error).splitlines()[0]) from error
    if weights and agent.config.weights and agent.config.weights != weights:
        raise WeightsMismatch(path, "this agent was trained on another retoucher")
    return agent.eval().requires_grad_(False)
