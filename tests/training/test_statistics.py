"""Batch statistics counted anew: those of the crops, whatever stood there before."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from retouchgpt.core.errors import BadData, WeightsNotFinite
from retouchgpt.data.cache import paint_ahead
from retouchgpt.model.checkpoint import create, from_pretrained, save_pretrained, sha256
from retouchgpt.model.image_encoder import ImageFeatures
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.model.presets import TINY
from retouchgpt.training.batches import PaintedCrops, collate
from retouchgpt.training.statistics import BATCH, count_anew, main

VARIANCE = "encoder.levels.3.2.running_var"


@pytest.fixture(scope="module")
def cache(faces_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint_ahead(faces_folder, tmp_path_factory.mktemp("cache"), 4, seed=9)


@pytest.fixture
def crops(cache: Path) -> PaintedCrops:
    return PaintedCrops(cache, crop=64, stride=TINY.strides[0], seed=3)


def silent(seed: int = 0) -> RetouchNetwork:
    """A network of which one level's variance is infinite, as it is read from half precision that could not hold it."""
    network = create("tiny", seed=seed).eval()
    network.get_buffer(VARIANCE).fill_(math.inf)
    return network


@torch.no_grad()
def spread(features: ImageFeatures) -> list[float]:
    """How much each level's features differ from place to place."""
    return [float(m.var((0, 2, 3)).mean()) for m in features.maps]


def test_a_level_that_was_silent_sees_again_and_use_agrees_with_training(crops: PaintedCrops) -> None:
    network, batch = silent(), collate([crops[i] for i in range(8)])
    with torch.no_grad():
        assert spread(network.encode(batch.image))[3] == 0, "an infinite variance leaves nothing, and nothing fails"
    assert count_anew(network, [batch]) == 1
    assert not network.encoder.training
    with torch.no_grad():
        used = network.encode(batch.image)
        taught = network.train().encode(batch.image)
    for one, other in zip(used.maps, taught.maps, strict=True):
        assert (one - other).abs().mean() < 0.05 * other.std(), "one batch: its own statistics"


def test_the_mean_of_all_batches_counts(crops: PaintedCrops) -> None:
    first, second = (collate([crops[i] for i in range(j, j + 4)]) for j in (0, 4))
    variances = []
    for batches in ([first], [second], [first, second]):
        network = create("tiny").eval()
        assert count_anew(network, batches) == len(batches)
        variances.append(network.get_buffer("encoder.levels.0.2.running_var").clone())
    assert torch.allclose(variances[2], (variances[0] + variances[1]) / 2, rtol=1e-3)
    norm = network.get_submodule("encoder.levels.0.2")
    assert norm.momentum == 0.1


def test_the_command_mends_weights_that_are_not_read_otherwise(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_pretrained(create("tiny"), tmp_path / "in")
    state = load_file(folder / "model.safetensors")
    save_file(state | {VARIANCE: torch.full_like(state[VARIANCE], math.inf)}, folder / "model.safetensors")
    config = (folder / "config.json").read_text()
    digest = sha256(folder / "model.safetensors")
    (folder / "config.json").write_text(config.replace(config.split('"sha256": "')[1][:64], digest))
    with pytest.raises(WeightsNotFinite, match=rf"not finite: {VARIANCE}.*retouchgpt.training.statistics"):
        from_pretrained(folder)
    main([str(folder), str(cache), str(tmp_path / "out"), "--crops", str(BATCH)])
    assert "1 batches of 14 crops" in capsys.readouterr().out
    mended = from_pretrained(tmp_path / "out")
    assert bool(mended.get_buffer(VARIANCE).isfinite().all())
    name = "encoder.levels.0.0.conv.bias"
    before, after = (n.get_parameter(name).half() for n in (from_pretrained(folder, finite=False), mended))
    assert torch.equal(before, after), "nothing else changes"


def test_nothing_to_count_on_and_no_numbers_to_count_are_refused(
    crops: PaintedCrops, cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadData, match="at least one batch"):
        count_anew(create("tiny"), [])
    network = create("tiny").eval()
    torch.nn.init.constant_(network.get_parameter("encoder.levels.0.0.conv.weight"), math.inf)
    with pytest.raises(BadData, match="no numbers on these crops"):
        count_anew(network, [collate([crops[0]])])
    save_pretrained(create("tiny", grounded=False), tmp_path / "fused")
    with pytest.raises(BadData, match="read the instruction"):
        main([str(tmp_path / "fused"), str(cache), str(tmp_path / "out")])


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=rf"not written: {VARIANCE}"):
        save_pretrained(silent(), tmp_path / "out")
    assert not (tmp_path / "out" / "model.safetensors").exists()
