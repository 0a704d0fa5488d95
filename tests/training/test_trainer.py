"""The trainer on a tiny network: learns, stops, resumes to the same losses, keeps its last good checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from retouchgpt.core.errors import BadData
from retouchgpt.data.cache import paint_ahead
from retouchgpt.model.checkpoint import create, from_pretrained, save_pretrained
from retouchgpt.training.batches import PaintedCrops
from retouchgpt.training.recipe import Recipe, read_recipe
from retouchgpt.training.trainer import Trainer, rate, spoken_request

RECIPES = Path(__file__).parents[2] / "recipes"
TINY = Recipe(
    name="tiny", size="tiny", crop=64, batch=2, repair_batch=1, steps=6, restart=6, warmup=2, learning_rate=1e-3,
    teacher_steps=3, precision="no", validate_every=100, save_every=3, workers=0, threads=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def cache(faces_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint_ahead(faces_folder, tmp_path_factory.mktemp("cache"), 4, seed=9)


def losses(out: Path) -> list[float]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def test_crops_are_a_pure_function_of_their_index(cache: Path) -> None:
    first, second = (PaintedCrops(cache, crop=64, stride=2, seed=3) for _ in range(2))
    for index in (0, 1, 17):
        for a, b in zip(first[index], second[index], strict=True):
            assert torch.equal(a, b)
    assert not torch.equal(first[0].image, first[2].image)


def test_target_differs_from_the_image_only_under_the_asked_mask(cache: Path) -> None:
    crops = PaintedCrops(cache, crop=128, stride=2, seed=5, augment=False)
    touched = 0
    for index in range(24):
        crop = crops[index]
        changed = (crop.image - crop.target).abs().amax(0) > 4 / 255
        asked = (crop.kinds * crop.words[:, None, None] * crop.region).amax(0)
        near = torch.nn.functional.max_pool2d(asked[None, None], 9, 1, 4)
        near = torch.nn.functional.interpolate(near, scale_factor=2)[0, 0] > 0.01
        assert not (changed & ~near).any()
        touched += int(changed.any())
    assert touched > 5


def test_resume_gives_the_same_losses(cache: Path, tmp_path: Path) -> None:
    Trainer(TINY, cache, tmp_path / "whole").fit()
    half = Trainer(TINY, cache, tmp_path / "halved")
    train = half._train_step

    def stop_after_three(crop):  # type: ignore[no-untyped-def]
        half.stopping = half.step == 2
        return train(crop)

    half._train_step = stop_after_three  # type: ignore[method-assign]
    half.fit()
    assert len(losses(tmp_path / "halved")) == 3
    Trainer(TINY, cache, tmp_path / "halved").fit()
    assert losses(tmp_path / "whole") == losses(tmp_path / "halved")
    a, b = (from_pretrained(tmp_path / run / "averaged").state_dict() for run in ("whole", "halved"))
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_checkpoint(cache: Path, tmp_path: Path) -> None:
    trainer = Trainer(TINY, cache, tmp_path)
    trainer.save()
    with torch.no_grad():
        next(trainer.network.parameters()).fill_(float("nan"))
    with pytest.raises(BadData, match="not a number at step 0"):
        trainer.fit()
    assert all(torch.isfinite(v).all() for v in from_pretrained(tmp_path / "averaged").state_dict().values())


def test_empty_cache_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="empty"):
        Trainer(TINY, tmp_path, tmp_path / "run")


def test_every_recipe_parses_and_bad_ones_are_named(tmp_path: Path) -> None:
    assert read_recipe(RECIPES / "compact.yaml").size == "compact"
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x\nstepz: 3\n")
    with pytest.raises(BadData, match="stepz"):
        read_recipe(bad)
    with pytest.raises(BadData, match="no such recipe"):
        read_recipe(tmp_path / "none.yaml")


def test_rate_warms_up_falls_and_restarts() -> None:
    recipe = Recipe(name="r", steps=200, restart=100, warmup=10, learning_rate=1.0, final_rate=0.1)
    rates = [rate(s, recipe) for s in range(200)]
    assert rates[0] < rates[9] == pytest.approx(1.0)
    assert rates[99] < 0.11 < 0.9 < rates[100]
    assert np.argmin(rates[10:]) in (89, 189)


def test_spoken_request_names_the_asked_kinds() -> None:
    words = torch.zeros(12)
    words[0] = words[3] = 1
    assert spoken_request(words) == "Please remove the acne and the moles."


def test_what_rests_does_not_change(cache: Path, tmp_path: Path) -> None:
    start = create("tiny", seed=3)
    save_pretrained(start, tmp_path / "start")
    recipe = replace(TINY, start=str(tmp_path / "start"), seeing_rate=0.0, repair_batch=2, ema=0.0)
    after = from_pretrained(Trainer(recipe, cache, tmp_path / "run").fit()).state_dict()
    changed = {k.split(".")[0] for k, v in start.state_dict().items() if not torch.equal(v, after[k])}
    assert "decoder" in changed
    assert not changed & {"encoder", "imperfection"}
