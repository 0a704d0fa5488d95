"""Stages of training compared on crops: precision by hand, perfect maps and repairs, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from retouchgpt.core.errors import BadData
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.data.cache import paint_ahead
from retouchgpt.evaluation.crops import average_precision, fixed_crops, main, reached
from retouchgpt.model.checkpoint import create, save_pretrained
from retouchgpt.training.batches import Crop, collate


@pytest.fixture(scope="module")
def cache(faces_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint_ahead(faces_folder, tmp_path_factory.mktemp("cache"), 8, seed=9)


def test_average_precision_by_hand() -> None:
    scores, truth = np.array([0.9, 0.8, 0.7, 0.1]), np.array([True, False, True, False])
    assert average_precision(scores, truth) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(-scores, truth) == pytest.approx((1 / 2 + 2 / 4) / 2)


def test_maps_that_know_the_paint_are_perfect_and_an_untouched_photo_removes_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, crops = create("tiny", seed=1), fixed_crops(cache, 8)
    known = collate(crops)

    def painted(features: object, where: Tensor) -> Tensor:
        return torch.logit(known.kinds, 1e-4)

    monkeypatch.setattr(network.imperfection, "forward", painted)
    monkeypatch.setattr(network.decoder, "forward", lambda image, *_: torch.zeros_like(image))
    results = reached(network, crops)
    assert len(results) > 3
    assert all(r.precision == 1 for r in results.values())
    gone = [x for r in results.values() if r.crops for x in (r.painted, r.predicted)]
    assert gone
    assert gone == pytest.approx([0] * len(gone), abs=1e-6)


def test_the_target_itself_removes_all(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, crops = create("tiny", seed=1), fixed_crops(cache, 8)
    known: Crop = collate(crops)

    class Perfect:
        image = known.target

    monkeypatch.setattr(network, "repair", lambda *_: Perfect)
    gone = [r.painted for r in reached(network, crops).values() if r.crops]
    assert gone
    assert gone == pytest.approx([1] * len(gone))


def test_the_command_prints_a_row_a_kind_and_refuses_the_fused_maps(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = [save_pretrained(create("tiny", seed=i), tmp_path / str(i)) for i in range(2)]
    main([str(cache), *map(str, places), "--crops", "8"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].count("AP") == 2
    assert lines[-1].startswith("| mean |")
    assert {line.split("|")[1].strip() for line in lines[2:-1]} <= set(IMPERFECTIONS)
    with pytest.raises(BadData, match="one mask for all kinds"):
        reached(create("tiny", grounded=False), fixed_crops(cache, 1))
