"""The plain rival: a U-Net of as many parameters, told the instruction as labels, taught on the same crops (ours).

    python -m retouchgpt.training.plain --data CACHE --out RUN [--steps N] [--batch N] [--rate R] [--seed N]

What our network adds (a mask to look at, a language model, the skin around a mark) must show against this. It sees the
photo and a plane a kind, 1 where the instruction asks for that kind to go, and says what to add to the photo. Like ours
it begins and ends by folding 2x2 px into channels, without which a step costs four times as much. Loss and crops are
those of the repair stage; there is no mask, so everything that was not to change is judged.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from retouchgpt.core.errors import BadData
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.model.layers import ConvAct, upsample, zero_conv
from retouchgpt.model.precision import autocast

from .batches import Crop, PaintedCrops
from .losses import repair_loss, texture_loss
from .objective import judged_regions

KINDS = len(IMPERFECTIONS)
DEPTH = 4
STRIDE = 2
"""Px of the photo a px of the crops' maps, and of the U-Net's finest level."""
WEIGHTS, STATE, LOG = "unet.safetensors", "state.safetensors", "log.jsonl"
TEXTURE = 0.5
"""Weight of the texture term, as in the repair stage."""


class UNet(nn.Module):
    """The plainest network for the task, two convolutions a level, skips: photo (B, 3, H, W) in [0, 1] and labels
    (B, 12, H, W) in [0, 1] -> what to add to the photo, (B, 3, H, W). H and W are multiples of 16."""

    def __init__(self, base: int) -> None:
        super().__init__()
        widths = [base * 2**i for i in range(DEPTH)]
        self.base = base
        self.down = nn.ModuleList(
            self._two(a, b) for a, b in zip([(3 + KINDS) * STRIDE**2, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(self._two(a + b, b) for a, b in zip(widths[1:], widths, strict=False))
        self.last = zero_conv(base, 3 * STRIDE**2)

    @staticmethod
    def _two(a: int, b: int) -> nn.Sequential:
        return nn.Sequential(ConvAct(a, b), ConvAct(b, b))

    def forward(self, image: Tensor, labels: Tensor) -> Tensor:
        x, skips = F.pixel_unshuffle(torch.cat([image, labels], 1), STRIDE), list[Tensor]()
        for level in self.down:
            x = level(x if not skips else F.max_pool2d(x, 2))
            skips.append(x)
        for level, skip in zip(reversed(self.up), reversed(skips[:-1]), strict=True):
            x = level(torch.cat([upsample(x, 2), skip], 1))
        return F.pixel_shuffle(self.last(x), STRIDE)


def unet_like(parameters: int) -> UNet:
    """The U-Net whose parameters come nearest to a number."""
    with torch.device("meta"):
        sizes = {b: sum(p.numel() for p in UNet(b).parameters()) for b in range(8, 128)}
    return UNet(min(sizes, key=lambda b: abs(sizes[b] - parameters)))


@dataclass(frozen=True)
class PlainRecipe:
    """One run. parameters: of the U-Net, nearest. crop: side in px. batch: crops a step. rate: of Adam at first, which
    falls to 1 % of it as a cosine. precision: bf16 or no."""

    parameters: int = 8_400_000
    crop: int = 128
    batch: int = 24
    steps: int = 2000
    rate: float = 7e-4
    warmup: int = 50
    seed: int = 27
    clip: float = 1.0
    precision: str = "bf16"
    save_every: int = 200


def labels_of(crop: Crop) -> Tensor:
    """What a batch's instructions ask for and where, (B, 12, H, W)."""
    region = F.interpolate(crop.region, crop.image.shape[-2:], mode="bilinear", align_corners=False)
    return crop.words[:, :, None, None] * region


def terms_of(network: UNet, crop: Crop, *, bf16: bool) -> dict[str, Tensor]:
    """reconstruction and texture of one batch; everything but native candidates is judged."""
    with autocast(crop.image.device.type, bf16=bf16):
        change = network(crop.image, labels_of(crop))
    out = (crop.image + change.float()).clamp(0, 1)
    judged = judged_regions(crop, torch.ones_like(crop.image[:, :1]))
    return {
        "reconstruction": repair_loss(out, crop.target, crop.image, *judged),
        "texture": texture_loss(out, crop.target, crop.image, *judged),
    }


def train(recipe: PlainRecipe, data: Path, out: Path) -> Path:
    """Train, or go on with, one run; returns the weights' file.

    Raises BadData on unusable data, a loss that is no number, a checkpoint of another recipe or a full disk.
    """
    torch.manual_seed(recipe.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network: Any = unet_like(recipe.parameters).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = torch.optim.Adam(network.parameters(), lr=recipe.rate, betas=(0.9, 0.99))
    out.mkdir(parents=True, exist_ok=True)
    first = _resume(recipe, out, network, adam)
    with tqdm(total=recipe.steps, initial=first, unit="step", desc="plain U-Net") as bar:
        for step, crop in zip(range(first, recipe.steps), _crops(recipe, data, first), strict=False):
            for group in adam.param_groups:
                group["lr"] = _rate(step, recipe)
            terms = terms_of(network, Crop(*(x.to(device) for x in crop)), bf16=recipe.precision == "bf16")
            loss = terms["reconstruction"] + TEXTURE * terms["texture"]
            if not torch.isfinite(loss):
                raise BadData(f"the loss is not a number at step {step}; the last good checkpoint is {out / STATE}")
            adam.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
            adam.step()
            bar.update()
            bar.set_postfix(loss=f"{float(loss.detach()):.3f}")
            with (out / LOG).open("a") as stream:
                said = {k: round(float(v.detach()), 5) for k, v in terms.items()}
                stream.write(json.dumps({"step": step + 1, **said}) + "\n")
            if (step + 1) % recipe.save_every == 0 or step + 1 == recipe.steps:
                _save(recipe, out, network, adam, step + 1)
    return out / WEIGHTS


def load_plain(run: str | Path) -> tuple[UNet, int]:
    """The U-Net of a run and the steps it was taught. Raises BadData."""
    path = Path(run) / WEIGHTS
    try:
        state = load_file(path)
        head = json.loads((Path(run) / "recipe.json").read_text())
        network = unet_like(head["parameters"])
        network.load_state_dict(state)
        return network.eval(), int(head["trained_steps"])
    except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise BadData(f"{run} is not a run of the plain U-Net: {str(error).splitlines()[0]}") from error


def _rate(step: int, recipe: PlainRecipe) -> float:
    if step < recipe.warmup:
        return recipe.rate * (step + 1) / recipe.warmup
    return recipe.rate * (0.01 + 0.99 * (1 + math.cos(math.pi * step / recipe.steps)) / 2)


def _crops(recipe: PlainRecipe, data: Path, first: int) -> Iterator[Crop]:
    """Batches of neighbouring crops, from a step on."""
    crops = PaintedCrops(data, crop=recipe.crop, stride=STRIDE, seed=recipe.seed)
    for step in range(first, recipe.steps):
        rows = [crops[step * recipe.batch + i] for i in range(recipe.batch)]
        yield Crop(*(torch.stack(field) for field in zip(*rows, strict=True)))


def _save(recipe: PlainRecipe, out: Path, network: nn.Module, adam: torch.optim.Adam, step: int) -> None:
    """Weights, recipe and what to go on from, each written aside and renamed. Raises BadData."""
    weights = dict(network.state_dict())
    moments = {f"{name}/{i}": value for i, row in adam.state_dict()["state"].items() for name, value in row.items()}
    head = {"step": str(step), "recipe": json.dumps(asdict(recipe))}
    try:
        _write(out / WEIGHTS, weights, {})
        (out / "recipe.json").write_text(json.dumps(asdict(recipe) | {"trained_steps": step}, indent=2) + "\n")
        _write(out / STATE, {f"network/{k}": v for k, v in weights.items()} | moments, head)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise BadData(f"cannot write {out}: {str(error).splitlines()[0]}. The last checkpoint is kept.") from error


def _write(path: Path, tensors: dict[str, Tensor], head: dict[str, str]) -> None:
    partial = path.with_name(f"{path.name}.partial")
    save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, partial, metadata=head)
    partial.replace(path)


def _resume(recipe: PlainRecipe, out: Path, network: nn.Module, adam: torch.optim.Adam) -> int:
    """Bring everything to where the folder's run stopped; returns its step, 0 for a new run. Raises BadData."""
    path = out / STATE
    if not path.is_file():
        return 0
    try:
        with safe_open(path, "pt") as stored:
            head = stored.metadata()
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no mapping
        step, kept = int(head["step"]), json.loads(head["recipe"])
    except (OSError, TypeError, KeyError, ValueError, SafetensorError) as error:
        raise BadData(f"{path} is damaged ({str(error).splitlines()[0]}); begin in another folder") from error
    if kept != asdict(recipe):
        raise BadData(f"{out} holds a run of another recipe; give it a folder of its own")
    network.load_state_dict({k.removeprefix("network/"): v for k, v in tensors.items() if k.startswith("network/")})
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if not name.startswith("network/"):
            kind, number = name.split("/")
            moments.setdefault(int(number), {})[kind] = value
    adam.load_state_dict(adam.state_dict() | {"state": moments})
    return step


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.training.plain", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="painted cache")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; an unfinished run in it goes on")
    for name, kind in (("steps", int), ("batch", int), ("rate", float), ("seed", int), ("parameters", int)):
        parser.add_argument(f"--{name}", type=kind, default=getattr(PlainRecipe, name))
    options = vars(parser.parse_args(arguments))
    data, out = options.pop("data"), options.pop("out")
    print(train(PlainRecipe(**options), data, out))


if __name__ == "__main__":
    main()
