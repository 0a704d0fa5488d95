"""The plain rival: as large as it says, taught on the same crops, resumed exactly, scored as a row of the bench."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from retouchgpt.core.errors import BadData
from retouchgpt.data.cache import paint_ahead
from retouchgpt.evaluation.benchmark import run as bench
from retouchgpt.evaluation.methods import UNTOUCHED
from retouchgpt.training.batches import Crop, PaintedCrops
from retouchgpt.training.plain import (
    STATE,
    WEIGHTS,
    PlainRecipe,
    labels_of,
    load_plain,
    main,
    terms_of,
    train,
    unet_like,
)

TINY = PlainRecipe(parameters=30_000, crop=64, batch=2, steps=4, warmup=1, rate=2e-3, precision="no", save_every=2)


@pytest.fixture(scope="module")
def cache(faces_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint_ahead(faces_folder, tmp_path_factory.mktemp("cache"), 4, seed=9)


def batch(cache: Path, size: int) -> Crop:
    crops = PaintedCrops(cache, crop=64, stride=2, seed=3)
    return Crop(*(torch.stack(field) for field in zip(*(crops[i] for i in range(size)), strict=True)))


def test_it_has_as_many_parameters_and_begins_by_changing_nothing() -> None:
    network = unet_like(PlainRecipe.parameters)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(PlainRecipe.parameters, rel=0.05)
    assert network(torch.rand(1, 3, 32, 32), torch.rand(1, 12, 32, 32)).abs().max() == 0


def test_labels_say_what_is_asked_and_where(cache: Path) -> None:
    crop = batch(cache, 2)
    labels = labels_of(crop._replace(words=torch.eye(12)[:2], region=torch.full_like(crop.region, 0.5)))
    assert labels.shape == (2, 12, 64, 64)
    assert labels[0, 0].unique().tolist() == [0.5]
    assert labels[0, 1:].abs().max() == 0


def test_it_learns_what_its_labels_ask(cache: Path) -> None:
    """One kind brightens, another darkens: told apart by the labels alone."""
    torch.manual_seed(0)
    network, image = unet_like(30_000), torch.full((2, 3, 64, 64), 0.5)
    target = torch.stack([torch.full((3, 64, 64), 0.7), torch.full((3, 64, 64), 0.3)])
    nothing = torch.zeros(2, 12, 32, 32)
    crop = batch(cache, 2)._replace(image=image, target=target, kinds=nothing, ignore=nothing, words=torch.eye(12)[:2])
    crop = crop._replace(region=torch.ones(2, 1, 32, 32))
    adam = torch.optim.Adam(network.parameters(), lr=3e-3)
    seen = []
    for _ in range(40):
        loss = terms_of(network, crop, bf16=False)["reconstruction"]
        adam.zero_grad()
        loss.backward()
        adam.step()
        seen.append(float(loss.detach()))
    assert seen[0] == pytest.approx(1, abs=0.01)
    assert seen[-1] < 0.5


def test_a_resumed_run_comes_to_the_same_weights(cache: Path, tmp_path: Path) -> None:
    whole = load_file(train(TINY, cache, tmp_path / "whole"))
    # a run that was stopped after its first checkpoint: the same recipe, its first two steps only
    first = tmp_path / "first"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("retouchgpt.training.plain._crops", lambda recipe, data, step: _two(recipe, data))
        train(TINY, cache, first)
    parts = load_file(train(TINY, cache, first))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    with pytest.raises(BadData, match="another recipe"):
        train(replace(TINY, rate=1e-3), cache, first)
    (first / STATE).write_bytes(b"half a file")
    with pytest.raises(BadData, match="damaged"):
        train(TINY, cache, first)


def _two(recipe: PlainRecipe, data: Path) -> list[Crop]:
    crops = PaintedCrops(data, crop=recipe.crop, stride=2, seed=recipe.seed)
    rows = [[crops[step * recipe.batch + i] for i in range(recipe.batch)] for step in range(2)]
    return [Crop(*(torch.stack(field) for field in zip(*row, strict=True))) for row in rows]


def test_the_bench_has_a_row_for_it(cache: Path, faces_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--data", str(cache), "--out", str(run), "--steps", "1", "--batch", "1", "--parameters", "30000"]
    main(options)
    network, steps = load_plain(run)
    assert steps == 1
    assert json.loads((run / "recipe.json").read_text())["batch"] == 1
    result = bench(faces_folder, limit=1, plain=run, progress=False)
    assert f"plain U-Net, {steps} steps" in result.scores
    assert next(iter(result.scores)) == UNTOUCHED
    (run / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(BadData, match="not a run of the plain U-Net"):
        load_plain(run)
    assert network.base >= 8
