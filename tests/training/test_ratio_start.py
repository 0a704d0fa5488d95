"""Where the ratio head begins: the fit leaves less than the sum alone, and refuses what it cannot fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from retouchgpt.core.errors import BadData
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.data.cache import paint_ahead
from retouchgpt.model.checkpoint import create, from_pretrained, save_pretrained
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.model.presets import TINY
from retouchgpt.model.ratio import BANDS
from retouchgpt.training import ratio_start
from retouchgpt.training.ratio_start import begun, main, start


@pytest.fixture(scope="module")
def cache(faces_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint_ahead(faces_folder, tmp_path_factory.mktemp("cache"), 12, seed=9)


def test_the_fit_finds_the_factor_that_was_used() -> None:
    rng = np.random.default_rng(0)
    design = rng.normal(0, 1, (4000, 2 * (BANDS + 3))).astype(np.float32)
    true = rng.normal(0, 0.05, design.shape[1])
    image = rng.uniform(0.2, 0.8, 4000).astype(np.float32)
    by_sum = rng.normal(0, 0.05, 4000).astype(np.float32)
    wanted = (0.6 * by_sum + (image + ratio_start.BLACK) * np.expm1(design @ true)).astype(np.float32)
    weights, factor, (before, after) = ratio_start._fit([design, image, wanted, by_sum, np.ones_like(image)])
    assert factor == 0.6
    assert weights == pytest.approx(true, abs=2e-3)
    assert after < 0.02 < before


def test_the_fit_leaves_less_than_the_sum_alone(cache: Path) -> None:
    torch.manual_seed(3)
    network = create("tiny")
    left = start(network, cache, crops=600)
    assert len(left) > 6
    assert set(left) <= set(IMPERFECTIONS)
    assert all(after <= before + 1e-6 for before, after in left.values())
    assert np.mean([after for _, after in left.values()]) < 0.95


def test_weights_without_a_ratio_head_go_on_with_one(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = RetouchNetwork(replace(TINY, ratio=False))
    save_pretrained(old, tmp_path / "old")
    with pytest.raises(BadData, match="no ratio head"):
        start(old, cache, crops=4)
    with pytest.raises(BadData, match="use more crops"):
        start(begun(tmp_path / "old"), cache, crops=0)
    main([str(tmp_path / "old"), str(cache), str(tmp_path / "new"), "--crops", "600"])
    assert "written to" in capsys.readouterr().out
    new = from_pretrained(tmp_path / "new")
    assert new.config.ratio
    same = old.state_dict()
    assert all(torch.equal(value, same[name]) for name, value in new.state_dict().items() if name in same)
    assert new.decoder.ratio is not None
    assert new.decoder.ratio.kinds.weight.any()
