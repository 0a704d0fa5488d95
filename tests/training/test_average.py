"""The mean of two sets of weights: half of each, zero for what only the later one has, and a recipe that tells it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from retouchgpt.core.errors import BadData
from retouchgpt.model.checkpoint import create, from_pretrained, save_pretrained, sha256
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.model.presets import TINY
from retouchgpt.training.average import average, main


def test_half_of_each_and_zero_for_what_is_new() -> None:
    earlier, later = RetouchNetwork(replace(TINY, opaque=False)), create("tiny", seed=4)
    with torch.no_grad():
        later.decoder.opaque.weight.fill_(0.8)  # type: ignore[union-attr]
    mean = average(earlier, later, 0.25)
    name = "decoder.levels.0.0.conv.weight"
    a, b, m = (n.state_dict()[name] for n in (earlier, later, mean))
    assert torch.allclose(m, 0.75 * a + 0.25 * b, atol=1e-6)
    assert torch.allclose(mean.decoder.opaque.weight, torch.tensor(0.2))  # type: ignore[union-attr]
    assert mean.config == later.config
    for share, same in ((0.0, earlier), (1.0, later)):
        assert torch.equal(average(earlier, later, share).state_dict()[name], same.state_dict()[name])


def test_other_shapes_and_shares_are_refused() -> None:
    with pytest.raises(BadData, match="encoder"):
        average(create("tiny"), RetouchNetwork(replace(TINY, channels=(8, 8, 16, 16, 16, 32))), 0.5)
    with pytest.raises(BadData, match="between 0 and 1"):
        average(create("tiny"), create("tiny"), 1.5)


def test_the_command_keeps_what_lies_beside_and_tells_both(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        save_pretrained(create("tiny", seed=seed), tmp_path / name)
        (tmp_path / name / "recipe.json").write_text(json.dumps({"seed": seed, "earlier": []}))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "language.json").write_text("{}")
    main([str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "out"), "--share", "0.5"])
    told = json.loads((tmp_path / "out" / "recipe.json").read_text())
    assert told["seed"] == 2
    assert told["averaged"] == {"with": sha256(tmp_path / "a" / "model.safetensors"), "share": 0.5}
    assert (tmp_path / "out" / "language.json").exists()
    (tmp_path / "b" / "recipe.json").unlink()
    with pytest.raises(BadData, match="how its weights were trained"):
        main([str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "out")])
    name = "encoder.levels.0.0.conv.weight"
    a, b, m = (from_pretrained(tmp_path / n).state_dict()[name] for n in ("a", "b", "out"))
    assert torch.allclose(m, (a + b) / 2, atol=1e-3)
