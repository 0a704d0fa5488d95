"""The retouching reinforcement strategy: the agent learns on top of the frozen retoucher by PPO (paper, part 8).

    python -m retouchgpt.training.reinforcement recipes/reinforcement.yaml --data CACHE --weights FOLDER --out RUN

The paper names the strategy in its figure only; state, action and reward are its words, their numbers are ours. PPO is
the clipped objective with generalised advantages (Schulman et al., 2016 and 2017).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from retouchgpt.core.errors import BadData
from retouchgpt.model.agent import Action, Agent, AgentConfig, Seen, applied, load_agent, neutral, observe, save_agent
from retouchgpt.model.checkpoint import LLM, WEIGHTS, from_pretrained, load_language_model, sha256, shipped
from retouchgpt.model.imperfection import Selection, given
from retouchgpt.model.llm_embedding import DialogueTokens, tokenise
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.model.precision import autocast

from .batches import Crop, PaintedCrops
from .losses import FLOOR_ERROR, USUAL_ERROR
from .objective import SEEN
from .recipe import checked_precision
from .speech import spoken_request

LOG = "log.jsonl"


@dataclass(frozen=True)
class ReinforcementRecipe:
    """One run.

    crop: side in px. batch: episodes an update. group: how many of them are of the same crop, each with actions of its
    own, so that what they earn tells the actions apart and not the crops. updates: of the agent. most: steps an episode
    at most. hidden: the agent's width. eta: discount of rewards (the paper's eta = 0.9 by our reading). error,
    remaining: weights of the fall of the error to the target and of the remaining imperfection, each as a share of what
    there was. over: weight of change where nothing was asked nor anything of the kind may lie unmarked, as a share of
    no less than a usual crop's error. step: cost of one step. painted: share of episodes whose mask is the painted one
    instead of the predicted one. trace: lambda of the advantages. clip: of PPO's ratio. epochs, minibatches: an update.
    learning_rate falls linearly to zero. value, entropy: weights of these terms. norm: of the gradient.
    validate_every: updates between measurements on fixed crops. precision: bf16 or no.
    """

    name: str = "reinforcement"
    seed: int = 0
    crop: int = 128
    batch: int = 64
    group: int = 4
    updates: int = 150
    most: int = 2
    hidden: int = 96
    eta: float = 0.9
    error: float = 1.0
    remaining: float = 0.2
    over: float = 0.5
    step: float = 0.005
    painted: float = 0.3
    trace: float = 0.95
    clip: float = 0.2
    epochs: int = 3
    minibatches: int = 4
    learning_rate: float = 1.5e-3
    value: float = 0.5
    entropy: float = 0.001
    norm: float = 0.5
    validate_every: int = 25
    validation_crops: int = 256
    precision: str = "bf16"
    threads: int = 2

    def __post_init__(self) -> None:
        if self.group < 1 or self.batch % self.group:
            raise ValueError(f"batch {self.batch} is no multiple of group {self.group}")
        checked_precision(self.precision)


def read_reinforcement(path: str | Path, **changes: Any) -> ReinforcementRecipe:
    """A YAML file -> recipe, with fields replaced. Raises BadData naming file and field."""
    import yaml

    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        return ReinforcementRecipe(**{**data, **{k: v for k, v in changes.items() if v is not None}})
    except FileNotFoundError as error:
        raise BadData(f"no such recipe: {path}. See the folder recipes.") from error
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        raise BadData(f"{path} is not a recipe for reinforcement: {error}") from error


class Standing(NamedTuple):
    """How a batch of photos stands, each (B,), as shares of what there was: error to the target inside what was asked,
    remaining imperfection by the maps, change where nothing was asked."""

    error: Tensor
    remaining: Tensor
    over: Tensor


class Environment:
    """Episodes on a batch of crops. `reset`, then `step` until all rows are done; the retoucher is frozen.

    speak: the instruction that the LLM reads for a batch; without it the network runs without its LLM.
    """

    def __init__(
        self,
        network: RetouchNetwork,
        recipe: ReinforcementRecipe,
        speak: Callable[[Crop], DialogueTokens] | None = None,
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.recipe, self.speak = recipe, speak

    @torch.no_grad()
    def reset(self, crop: Crop, *, painted: bool = False) -> Tensor:
        """Begin with these photos; returns the first observation, (B, inputs). painted: masks as painted."""
        self.crop, self.painted, self.clock = crop, painted, 0
        self.dialogue = None if self.speak is None else self.speak(crop)
        self.image, self.alive = crop.image, torch.ones(len(crop.image), dtype=torch.bool)
        self.asked = (crop.image - crop.target).abs().amax(1, keepdim=True).gt(SEEN).float()
        there = ((crop.image - crop.target).abs().mean(1, keepdim=True) * self.asked).sum((1, 2, 3))
        self.before, self.usual = there + FLOOR_ERROR, there.clamp_min(USUAL_ERROR) + FLOOR_ERROR
        native = (crop.ignore * crop.words[:, :, None, None]).amax(1, keepdim=True).gt(0).float()
        size = (crop.image.shape[-2], crop.image.shape[-1])
        self.beside = (1 - self.asked) * (1 - F.interpolate(native, size, mode="nearest"))
        self._look()
        self.state = self.features.tokens
        self.first_left = self.where.mask.mean((1, 2, 3)).clamp_min(1e-4)
        self.standing = self._standing()
        return self._observation()

    @torch.no_grad()
    def step(self, action: Action) -> tuple[Tensor, Tensor]:
        """Apply an action; returns the next observation and the reward (B,). Stopped rows stay and earn nothing."""
        stops = action.stop & self.alive if self.clock else torch.zeros_like(self.alive)
        self.alive = self.alive & ~stops
        grid = (self.features.tokens.shape[-2], self.features.tokens.shape[-1])
        scales, taken = applied(action, self.crop.places, self.where, grid)
        with self._fast():
            out = self.network.repair(self.image, self.features, taken, self.dialogue, scales)
        moving = self.alive[:, None, None, None]
        self.image = torch.where(moving, (self.image + out.correction.float()).clamp(0, 1), self.image)
        assert out.state is not None
        self.state = torch.where(moving[..., None], out.state.float(), self.state.float())
        self.clock += 1
        self._look()
        now, was, weights = self._standing(), self.standing, self.recipe
        gain = weights.error * (was.error - now.error) + weights.remaining * (was.remaining - now.remaining)
        reward = (gain - weights.over * (now.over - was.over) - weights.step).clamp(-2, 2) * self.alive
        self.standing = now
        return self._observation(), reward

    @property
    def may_stop(self) -> Tensor:
        """Whether stopping is a choice now, (B,): not before the first step."""
        return self.alive if self.clock else torch.zeros_like(self.alive)

    def _look(self) -> None:
        with self._fast():
            self.features = self.network.encode(self.image)
            heat = self.network.imperfection(self.features, self.crop.places).float().sigmoid()
        self.where: Selection = given(self.crop.asked if self.painted else self.crop.narrowed(heat))

    def _standing(self) -> Standing:
        error = ((self.image - self.crop.target).abs().mean(1, keepdim=True) * self.asked).sum((1, 2, 3))
        over = ((self.image - self.crop.image).abs().mean(1, keepdim=True) * self.beside).sum((1, 2, 3))
        return Standing(error / self.before, self.where.mask.mean((1, 2, 3)) / self.first_left, over / self.usual)

    def _observation(self) -> Tensor:
        change = (self.image - self.crop.image).abs().mean(1, keepdim=True)
        return observe(
            Seen(self.state, self.where.mask, self.where.kinds, self.crop.places, change), self.clock, self.recipe.most
        )

    def _fast(self) -> torch.autocast:
        return autocast(self.crop.image.device.type, bf16=self.recipe.precision == "bf16")


class Rollout(NamedTuple):
    """Episodes as they were played; observation (T, B, inputs), the rest (T, B) but raw (T, B, 28). alive: whether the
    row still decided at that step. left: error at the end, (B,). taken: steps that were applied, (B,)."""

    observation: Tensor
    raw: Tensor
    stop: Tensor
    log_prob: Tensor
    value: Tensor
    reward: Tensor
    alive: Tensor
    may_stop: Tensor
    left: Tensor
    taken: Tensor


@torch.no_grad()
def play(environment: Environment, agent: Agent, crop: Crop, generator: torch.Generator, painted: bool) -> Rollout:
    """One episode a crop, actions drawn by the agent."""
    observation = environment.reset(crop, painted=painted)
    rows: list[tuple[Tensor, ...]] = []
    taken = torch.zeros(len(crop.image))
    for _ in range(environment.recipe.most):
        alive, may_stop = environment.alive, environment.may_stop
        policy = agent(observation)
        action = policy.sample(generator)
        action = Action(action.raw, action.stop & may_stop)
        log_prob = policy.log_prob(action, may_stop)
        following, reward = environment.step(action)
        taken += environment.alive
        rows.append((observation, action.raw, action.stop, log_prob, policy.value, reward, alive, may_stop))
        observation = following
    stacked = [torch.stack(field) for field in zip(*rows, strict=True)]
    return Rollout(*stacked, left=environment.standing.error, taken=taken)  # type: ignore[misc]


def advantages(rollout: Rollout, eta: float, trace: float) -> tuple[Tensor, Tensor]:
    """Generalised advantages and returns, (T, B); an episode ends when its row stops, or at its last step."""
    out = torch.zeros_like(rollout.reward)
    after, value_after = torch.zeros_like(rollout.reward[0]), torch.zeros_like(rollout.reward[0])
    for t in reversed(range(len(rollout.reward))):
        goes_on = (rollout.alive[t] & ~rollout.stop[t]).float()
        surprise = rollout.reward[t] + eta * value_after * goes_on - rollout.value[t]
        after = surprise + eta * trace * after * goes_on
        out[t], value_after = after, rollout.value[t]
    return out, out + rollout.value


def among_equals(advantage: Tensor, alive: Tensor, group: int) -> Tensor:
    """Advantages (T, B) less their mean over the rows of the same crop that still decided at that step; group rows a
    crop, neighbours in B. alive: (T, B)."""
    if group == 1:
        return advantage
    rows, counted = (x.unflatten(1, (-1, group)) for x in (advantage, alive.to(advantage)))
    mean = (rows * counted).sum(2, keepdim=True) / counted.sum(2, keepdim=True).clamp_min(1)
    return (rows - mean).flatten(1)


class Ppo:
    """Clipped policy gradient on the rows that still decided."""

    def __init__(self, agent: Agent, recipe: ReinforcementRecipe) -> None:
        self.agent, self.recipe = agent, recipe
        self.optimiser = torch.optim.Adam(agent.parameters(), lr=recipe.learning_rate, eps=1e-5)

    def update(self, rollout: Rollout, share_left: float, generator: torch.Generator) -> dict[str, float]:
        """One update; share_left of the run scales the learning rate. Returns its terms' means."""
        recipe = self.recipe
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.learning_rate * share_left
        advantage, goal = advantages(rollout, recipe.eta, recipe.trace)
        advantage = among_equals(advantage, rollout.alive, recipe.group)
        live = rollout.alive.flatten()
        flat = [x.flatten(0, 1)[live] for x in (*rollout[:4], rollout.may_stop, advantage, goal)]
        sums: dict[str, float] = {}
        count = 0
        for _ in range(recipe.epochs):
            order = torch.randperm(len(flat[0]), generator=generator)
            for rows in order.chunk(recipe.minibatches):
                for name, value in self._descend([x[rows] for x in flat]).items():
                    sums[name] = sums.get(name, 0.0) + value
                count += 1
        return {name: value / count for name, value in sums.items()}

    def _descend(self, batch: list[Tensor]) -> dict[str, float]:
        observation, raw, stop, old, may_stop, advantage, goal = batch
        recipe, policy = self.recipe, self.agent(observation)
        if len(advantage) > 1:
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
        change = policy.log_prob(Action(raw, stop), may_stop) - old
        ratio = change.clamp(-10, 10).exp()
        clipped = ratio.clamp(1 - recipe.clip, 1 + recipe.clip)
        terms = {
            "policy": -torch.minimum(ratio * advantage, clipped * advantage).mean(),
            "value": F.mse_loss(policy.value, goal),
            "entropy": policy.entropy().mean(),
        }
        total = terms["policy"] + recipe.value * terms["value"] - recipe.entropy * terms["entropy"]
        if not torch.isfinite(total):
            raise BadData("the agent's loss is not a number; the last good agent is kept")
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.agent.parameters(), recipe.norm)
        self.optimiser.step()
        clipped_share = float(((ratio - 1).abs() > recipe.clip).float().mean())
        return {k: float(v.detach()) for k, v in terms.items()} | {
            "clipped": clipped_share,
            "kl": -float(change.detach().mean()),
        }


@torch.no_grad()
def measure(environment: Environment, crops: list[Crop], agent: Agent | None, steps: int) -> dict[str, float]:
    """Error left, over-editing, reward and steps of likeliest actions, or of equal steps without an agent; means."""
    sums, count = torch.zeros(4), 0
    for crop in crops:
        observation, total = environment.reset(crop), torch.zeros(len(crop.image))
        taken = torch.zeros(len(crop.image))
        for t in range(steps):
            action = agent(observation).likeliest() if agent is not None else neutral(len(crop.image))
            observation, reward = environment.step(action)
            total += environment.recipe.eta**t * reward
            taken += environment.alive
        standing = environment.standing
        sums += torch.stack([x.sum() for x in (standing.error, standing.over, total, taken)])
        count += len(crop.image)
    return {k: round(float(v), 5) for k, v in zip(("error", "over", "return", "steps"), sums / count, strict=True)}


def batches(crops: PaintedCrops, size: int, start: int = 0) -> Iterator[Crop]:
    """Batches of neighbouring crops, from a number on."""
    while True:
        rows = [crops[start * size + i] for i in range(size)]
        yield Crop(*(torch.stack(field) for field in zip(*rows, strict=True)))
        start += 1


def train_agent(
    recipe: ReinforcementRecipe, data: Path, weights: Path, out: Path, validation: Path | None = None,
    llm: Path | None = None,
) -> Path:  # fmt: skip
    """Train an agent on the retoucher of a folder; writes agent.safetensors, recipe.json and log.jsonl. Ctrl-C saves.

    llm: folder of the LLM that the retoucher was trained with, where it does not lie beside its weights.

    Raises BadData on unusable data or a loss that is no number.
    """
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    network = from_pretrained(weights)
    config = AgentConfig(network.config.width, recipe.hidden, recipe.most, sha256(weights / WEIGHTS))
    agent, environment = Agent(config), Environment(network, recipe, _speech(network, llm or weights / LLM))
    stride = network.config.strides[0]
    stream = batches(
        PaintedCrops(data, crop=recipe.crop, stride=stride, seed=recipe.seed), recipe.batch // recipe.group
    )
    fixed = _validation_crops(recipe, validation or data, stride)
    out.mkdir(parents=True, exist_ok=True)
    (out / "recipe.json").write_text(json.dumps(asdict(recipe), indent=2) + "\n")
    (out / LOG).write_text("")
    _log(out, {"update": 0, "equal": {n: measure(environment, fixed, None, n) for n in range(1, recipe.most + 1)}})
    ppo, bar = Ppo(agent, recipe), tqdm(range(recipe.updates), desc=recipe.name, unit="update")
    try:
        for update in bar:
            painted = bool(torch.rand((), generator=generator) < recipe.painted)
            crop = Crop(*(x.repeat_interleave(recipe.group, 0) for x in next(stream)))
            rollout = play(environment, agent, crop, generator, painted)
            terms = ppo.update(rollout, 1 - update / recipe.updates, generator)
            entry: dict[str, Any] = {
                "update": update + 1,
                "reward": float(rollout.reward.sum(0).mean()),
                "error": float(rollout.left.mean()),
                "steps": float(rollout.taken.mean()),
                **terms,
            }
            if (update + 1) % recipe.validate_every == 0 or update + 1 == recipe.updates:
                entry["validation"] = measure(environment, fixed, agent, recipe.most)
                save_agent(agent, out)
            _log(out, entry)
            bar.set_postfix(reward=f"{entry['reward']:.3f}", steps=f"{entry['steps']:.1f}")
    except KeyboardInterrupt:
        bar.close()
    return save_agent(agent, out)


def _speech(network: RetouchNetwork, folder: Path) -> Callable[[Crop], DialogueTokens] | None:
    """Attach the LLM of a folder, where there is one; how a batch is put to it."""
    if not folder.is_dir():
        return None
    llm, tokenizer = load_language_model(folder)
    network.embedding.attach(llm)
    return lambda crop: tokenise(tokenizer, [spoken_request(words) for words in crop.words])


def _validation_crops(recipe: ReinforcementRecipe, folder: Path, stride: int) -> list[Crop]:
    crops = PaintedCrops(folder, crop=recipe.crop, stride=stride, seed=7, augment=False)
    stream = batches(crops, recipe.batch)
    return [next(stream) for _ in range(max(recipe.validation_crops // recipe.batch, 1))]


def _log(out: Path, entry: dict[str, Any]) -> None:
    with (out / LOG).open("a") as stream:
        stream.write(json.dumps({"time": round(time.time(), 1), **entry}) + "\n")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.training.reinforcement", description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of a painted cache")
    parser.add_argument("--validation", type=Path, help="folder of a painted cache of other faces")
    parser.add_argument("--weights", type=Path, default=shipped(), help="folder of the frozen retoucher")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--updates", type=int)
    options = parser.parse_args(arguments)
    recipe = read_reinforcement(options.recipe, seed=options.seed, updates=options.updates)
    path = train_agent(recipe, options.data, options.weights, options.out, options.validation)
    load_agent(path.parent)
    print(path)


if __name__ == "__main__":
    main()
