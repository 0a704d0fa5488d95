"""bfloat16 only where the device has instructions for it."""

from __future__ import annotations

import pytest
import torch

from retouchgpt.model import precision
from retouchgpt.training.recipe import Recipe
from retouchgpt.training.trainer import _precision


def _product(device_has: bool, monkeypatch: pytest.MonkeyPatch, *, bf16: bool) -> torch.dtype:
    monkeypatch.setattr(precision, "computes_bfloat16", lambda device: device_has)
    with precision.autocast("cpu", bf16=bf16):
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


@pytest.mark.parametrize(
    ("device_has", "bf16", "dtype"),
    [(True, True, torch.bfloat16), (True, False, torch.float32), (False, True, torch.float32)],
)
def test_autocast_heeds_wish_and_device(
    device_has: bool, bf16: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _product(device_has, monkeypatch, bf16=bf16) == dtype


@pytest.mark.parametrize(("device_has", "told"), [(True, "bf16"), (False, "no")])
def test_the_trainer_falls_back(device_has: bool, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retouchgpt.training.trainer.computes_bfloat16", lambda device: device_has)
    assert _precision(Recipe(name="r", precision="bf16")) == told
    assert _precision(Recipe(name="r", precision="no")) == "no"
