"""Muon: steps along orthogonal matrices (Jordan and others, 2024), Adam for what is no matrix. `torch.optim.Muon` takes
weights of two dimensions only, and most of ours are convolutions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
LIKE_ADAM = 0.2
"""Root mean square of Adam's usual step in units of its rate (Liu and others, 2025), so that rates mean the same."""
SMALLEST = 32
"""Rows and columns that a matrix has at least: heads and hints are left to Adam."""


def is_matrix(weight: Tensor) -> bool:
    """Whether a weight is stepped as a matrix: linear (out, in), or a convolution's as (out, in h w)."""
    return weight.ndim in (2, 4) and min(len(weight), weight[0].numel()) >= SMALLEST


def orthogonal(matrices: Tensor) -> Tensor:
    """(N, m, n) -> the nearest orthogonal matrices, singular values about 1 (0.7 to 1.2), by Newton and Schulz.

    In bfloat16, like the reference implementation, since it only has to be about right.
    """
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = (matrices.mT if tall else matrices).bfloat16()
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(matrices.dtype)


class Muon(torch.optim.Adam):
    """Adam whose groups marked `matrices` are stepped by Muon with Nesterov momentum instead.

    Rates are Adam's: a matrix's step has the size that Adam's usually has.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; the matrices' gradients are spent by it, so that what is left of it is Adam's."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group.get("matrices"):
                self._step_matrices([p for p in group["params"] if p.grad is not None], group["lr"])
        super().step()
        return loss

    def _step_matrices(self, weights: list[Tensor], rate: float) -> None:
        """All weights of one shape in one product."""
        alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for weight in weights:
            alike[weight.shape].append(weight)
        for shape, group in alike.items():
            steps = orthogonal(torch.stack([self._momentum(w).flatten(1) for w in group]))
            scale = rate * LIKE_ADAM * max(steps.shape[1:]) ** 0.5
            for weight, step in zip(group, steps, strict=True):
                weight.sub_(step.view(shape), alpha=scale)
                weight.grad = None

    def _momentum(self, weight: Tensor) -> Tensor:
        """The gradient ahead of its running sum, which is kept."""
        assert weight.grad is not None
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
            state["step"] = torch.zeros(())  # which Adam looks for when a run is gone on with
        state["step"] += 1
        state["momentum"].lerp_(weight.grad, 1 - MOMENTUM)
        return weight.grad.lerp(state["momentum"], MOMENTUM)
