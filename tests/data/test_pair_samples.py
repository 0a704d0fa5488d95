"""Pairs as training samples: what was retouched is split by kind, the rest stays, and a trainer runs on it."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from retouchgpt.core.errors import BadData
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.data.cache import CachedSample
from retouchgpt.data.differences import DifferenceClassifier
from retouchgpt.data.ledger import Ledger
from retouchgpt.data.painter import PainterConfig, paint_kind
from retouchgpt.data.pair_index import face_mesh, index_pairs
from retouchgpt.data.pair_samples import PairSamples, samples
from retouchgpt.data.pairs import folder_pairs
from retouchgpt.training.batches import PaintedCrops

STILL = PainterConfig(nothing=0.0, blur=(0.0, 0.0), noise=(0.0, 0.0), raw=1.0)


@pytest.fixture(scope="module")
def index(face: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pairs of her: freckles, moles, and redness."""
    folder = tmp_path_factory.mktemp("pairs")
    for kind, seed in (("freckles", 1), ("moles", 4), ("redness", 2)):
        painted = paint_kind(*face, kind, seed=seed, config=STILL)
        for side, image in (("before", painted.image), ("after", painted.clean)):
            (folder / side).mkdir(exist_ok=True)
            cv2.imwrite(str(folder / side / f"{kind}.png"), image[..., ::-1])
    pairs = folder_pairs(folder / "before", folder / "after")
    out = folder / "index.jsonl"
    index_pairs(pairs, out, "test", face_mesh, DifferenceClassifier.load())
    return out


@pytest.fixture(scope="module")
def moles(index: Path) -> CachedSample:
    return PairSamples(index)[1]


def test_what_was_retouched_is_split_by_kind_and_adds_up_to_the_target(index: Path, moles: CachedSample) -> None:
    assert set(moles.deltas) == set(moles.alphas)
    assert "moles" in moles.deltas
    change = np.abs(moles.deltas["moles"]).max(2)
    assert change.max() > 30
    assert not change[moles.alphas["moles"] == 0].any()
    redness = PairSamples(index)[2]
    share = {k: np.abs(d).sum() for k, d in redness.deltas.items()}
    assert max(share, key=share.__getitem__) == "redness"


def test_an_area_has_one_kind_and_what_has_none_teaches_no_map(index: Path) -> None:
    class Undecided:
        """Names every second component freckles, and gives the others no kind."""

        def kinds(self, found: list[Any]) -> list[str | None]:
            return ["freckles" if i % 2 else None for i in range(len(found))]

    whole, half = PairSamples(index)[0], PairSamples(index, classifier=Undecided())[0]  # type: ignore[arg-type]
    every = np.abs(sum(d.astype(int) for d in whole.deltas.values())).max(2)  # type: ignore[union-attr]
    named = np.abs(half.deltas["freckles"]).max(2)
    lost = (every > 20) & (named == 0)
    assert lost.any()
    assert (half.ignore[lost] == 15).all()
    assert (sum(a > 0 for a in whole.alphas.values()) <= 1).all()  # type: ignore[union-attr, attr-defined]


def test_crops_of_pairs_are_as_of_paint(index: Path) -> None:
    crops = PaintedCrops(index, crop=128, stride=2, seed=5, augment=False)
    assert crops.samples == 3
    seen = [crops[i] for i in range(48)]
    mole = IMPERFECTIONS.index("moles")
    asked = [c for c in seen if c.words[mole] and c.kinds[mole].max() > 0.5]
    assert asked
    assert any((c.image - c.target).abs().max() > 0.1 for c in asked)
    assert all(torch.equal(a, b) for a, b in zip(crops[7], crops[7], strict=True))


def test_the_training_command_runs_on_pairs(index: Path, tmp_path: Path) -> None:
    """With a loader process, as users do."""
    recipe = {
        "name": "pairs", "size": "tiny", "crop": 64, "batch": 2, "repair_batch": 1, "steps": 2, "restart": 2,
        "warmup": 1, "teacher_steps": 1, "precision": "no", "validate_every": 2, "save_every": 2, "workers": 1,
        "threads": 1,
    }  # fmt: skip
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    command = ["-m", "retouchgpt.training", tmp_path / "recipe.yaml", "--data", index, "--out", tmp_path / "run"]
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "averaged" / "model.safetensors").is_file()


def test_pairs_travel_to_a_loader_process(index: Path, moles: CachedSample) -> None:
    again = pickle.loads(pickle.dumps(samples(index)))[1]
    assert np.array_equal(again.image, moles.image)


@pytest.mark.parametrize("harm", [lambda p: p.unlink(), lambda p: p.write_bytes(b"cut")])
def test_a_pair_that_changed_since_is_named(
    harm: Callable[[Path], Any], index: Path, tmp_path: Path, face: Any
) -> None:
    painted = paint_kind(*face, "moles", seed=4, config=STILL)
    for side, image in (("b", painted.image), ("a", painted.clean)):
        (tmp_path / side).mkdir()
        cv2.imwrite(str(tmp_path / side / "x.png"), image[..., ::-1])
    own = tmp_path / "own.jsonl"
    index_pairs(folder_pairs(tmp_path / "b", tmp_path / "a"), own, "t", face_mesh, DifferenceClassifier.load())
    harm(tmp_path / "b" / "x.png")
    with pytest.raises(BadData, match=r"x\.png"):
        PairSamples(own)[0]


def test_an_index_without_pairs_is_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path / "i.jsonl", {"pairs": "none", "seed": 0}):
        pass
    with pytest.raises(BadData, match="no pair"):
        samples(tmp_path / "i.jsonl")
    with pytest.raises(BadData, match=r"gone\.jsonl"):
        samples(tmp_path / "gone.jsonl")
