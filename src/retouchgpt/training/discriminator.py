"""The discriminator: a spectral-norm patch critic with the hinge loss (paper, part 9)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from retouchgpt.model.layers import SLOPE


class PatchDiscriminator(nn.Module):
    """Images (B, 3, H, W) in [0, 1] -> a logit a patch, (B, 1, H / 2^levels, W / 2^levels), high for real.

    Spectral normalisation (Miyato et al., 2018) of every layer keeps it from outrunning the retoucher.
    """

    def __init__(self, width: int = 32, levels: int = 3) -> None:
        super().__init__()
        channels = [3, *(min(width * 2**i, 8 * width) for i in range(levels))]
        self.levels = nn.ModuleList(spectral_norm(nn.Conv2d(a, b, 4, 2, 1)) for a, b in pairwise(channels))
        self.head = spectral_norm(nn.Conv2d(channels[-1], 1, 3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        x = image * 2 - 1
        for level in self.levels:
            x = F.leaky_relu(level(x), SLOPE)
        return self.head(x)


def hinge_real_fake(real: Tensor, fake: Tensor, weight: Tensor) -> Tensor:
    """The discriminator's hinge loss on logits (B, 1, h, w), averaged by `weight` of the same shape."""
    return weighted_mean(F.relu(1 - real) + F.relu(1 + fake), weight)


def hinge_generator(fake: Tensor, weight: Tensor) -> Tensor:
    """The retoucher's: minus the logits of what it made."""
    return -weighted_mean(fake, weight)


def patch_weight(region: Tensor, logits: Tensor) -> Tensor:
    """How much of a region (B, 1, H, W) lies in each patch, (B, 1, h, w): only patches that were edited are judged."""
    return F.adaptive_max_pool2d(region, (logits.shape[-2], logits.shape[-1]))


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of values by weight; 0 where all weights are."""
    return (values * weight).sum() / weight.sum().clamp_min(1e-6)


class Critic:
    """A discriminator with its optimiser: one step of it, and the term that it gives the retoucher.

    share: brings the gradients of several processes together before each step.
    """

    def __init__(
        self,
        network: PatchDiscriminator,
        rate: float = 2e-4,
        momentum: float = 0.0,
        share: Callable[[Sequence[Tensor]], None] | None = None,
    ) -> None:
        self.network, self.share = network, share
        self.optimiser = torch.optim.Adam(network.parameters(), lr=rate, betas=(momentum, 0.99))

    def learn(self, real: Tensor, fake: Tensor, region: Tensor) -> Tensor:
        """One step on targets and retouched photos (B, 3, H, W); returns its loss. Neither photo gets a gradient."""
        self.network.requires_grad_(True).train()
        judged = self.network(torch.cat([real.detach(), fake.detach()]))
        good, bad = judged.chunk(2)
        loss = hinge_real_fake(good, bad, patch_weight(region, good))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.share is not None:
            self.share([p.grad for p in self.network.parameters() if p.grad is not None])
        self.optimiser.step()
        return loss.detach()

    def judge(self, fake: Tensor, region: Tensor) -> Tensor:
        """The retoucher's adversarial term; the discriminator's weights get no gradient."""
        self.network.requires_grad_(False).eval()
        logits = self.network(fake)
        return hinge_generator(logits, patch_weight(region, logits))

    def state(self) -> dict[str, Tensor]:
        """Weights and moments by name, to be saved."""
        kept = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        for i, own in self.optimiser.state_dict()["state"].items():
            kept |= {f"optimiser.{i}.{k}": torch.as_tensor(v) for k, v in own.items()}
        return kept

    def load(self, kept: dict[str, Tensor]) -> None:
        """What `state` gave. Raises RuntimeError where it does not fit."""
        self.network.load_state_dict({k[8:]: v for k, v in kept.items() if k.startswith("network.")})
        known = self.optimiser.state_dict()
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in kept.items():
            if name.startswith("optimiser."):
                _, i, field = name.split(".")
                moments.setdefault(int(i), {})[field] = value
        self.optimiser.load_state_dict({"state": moments, "param_groups": known["param_groups"]})
