"""Two processes on CPU against one: the same crops, the same losses, the same weights; and in shards."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from retouchgpt.core.errors import BadData
from retouchgpt.data.cache import paint_ahead
from retouchgpt.model.checkpoint import create, from_pretrained
from retouchgpt.training.recipe import read_recipe
from retouchgpt.training.trainer import Trainer, _fits

ROOT = Path(__file__).parents[2]
RECIPE = {
    "name": "two", "size": "tiny", "crop": 64, "batch": 4, "repair_batch": 2, "steps": 3, "restart": 3, "warmup": 1,
    "learning_rate": 1e-3, "teacher_steps": 0, "predicted_masks": 0.5, "unnamed_masks": 0.5, "seeing_rate": 0.0,
    "precision": "no", "workers": 0, "threads": 1, "losses": {"dice": 0.0},
}  # fmt: skip
"""What is a mean over rows, so that the halves of a batch give what the whole gives."""


@pytest.fixture(scope="module")
def alone(faces_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cache, a recipe, and its run on one process."""
    place = tmp_path_factory.mktemp("processes")
    paint_ahead(faces_folder, place / "cache", 4, seed=9)
    (place / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    Trainer(read_recipe(place / "recipe.yaml"), place / "cache", place / "one").fit()
    return place


def two(place: Path, module: str, out: str) -> Path:
    """Run the recipe as two gloo processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2",
              "LOCAL_WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}  # fmt: skip
    command = [sys.executable, "-m", module, str(place / "recipe.yaml"), "--data", str(place / "cache")]
    running = [
        subprocess.Popen([*command, "--out", str(place / out)], cwd=ROOT, stderr=subprocess.PIPE,
                         env={**common, "RANK": str(i), "LOCAL_RANK": str(i)})
        for i in range(2)
    ]  # fmt: skip
    try:
        for process in running:
            _, said = process.communicate(timeout=560)
            assert process.returncode == 0, said.decode()[-3000:]
    finally:
        for process in running:
            process.kill()
    return place / out


def same(place: Path, run: Path) -> None:
    """Losses, gradient norms and weights of a run, against those on one process."""
    logs = [[json.loads(x) for x in (r / "log.jsonl").read_text().splitlines()] for r in (place / "one", run)]
    assert [e["step"] for e in logs[1]] == [1, 2, 3], "one process writes"
    for a, b in zip(*logs, strict=True):
        for name in ("loss", "mask", "reconstruction", "texture", "norm"):
            assert b[name] == pytest.approx(a[name], rel=2e-3), name
    begun = create("tiny", seed=0).state_dict()
    first, second = (from_pretrained(r / "averaged").state_dict() for r in (place / "one", run))
    for name, value in first.items():
        if name.startswith("decoder"):
            assert (value - second[name]).abs().mean() < 0.05 * (value - begun[name]).abs().mean() + 1e-6, name


def test_two_processes_train_like_one(alone: Path) -> None:
    same(alone, two(alone, "retouchgpt.training", "two"))


def test_shards_on_two_processes_train_like_one(alone: Path) -> None:
    same(alone, two(alone, "tests.training.sharded", "shards"))


def test_the_shards_configuration_names_what_there_is() -> None:
    from retouchgpt.model.latent_transformer import RetouchBlock

    settings = yaml.safe_load((ROOT / "recipes" / "fsdp.yaml").read_text())
    assert settings["distributed_type"] == "FSDP"
    assert settings["fsdp_config"]["fsdp_transformer_layer_cls_to_wrap"] == RetouchBlock.__name__


def test_a_batch_that_cannot_be_dealt_out_is_named(alone: Path) -> None:
    with pytest.raises(BadData, match="batch 4 of the recipe two is no multiple of 3 processes"):
        _fits(read_recipe(alone / "recipe.yaml"), 3)
