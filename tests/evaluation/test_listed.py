"""Listed real marks: what glows where a mark lies counts as edited, what glows elsewhere does not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.data.real_marks import frame
from retouchgpt.evaluation.listed import edited, main
from retouchgpt.model.checkpoint import create, save_pretrained


def listed(path: Path, there: bool) -> Path:
    """Two moles on the cheeks, or two places without; one face."""
    entries = [{"id": "a1", "kind": "moles", "x": x, "y": 0.5, "radius": 0.02, "there": there} for x in (-0.45, 0.45)]
    path.write_text(json.dumps(entries))
    return path


@pytest.mark.parametrize("there", [True, False])
def test_what_glows_at_a_mark_would_be_edited(
    faces_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    network = create("tiny", seed=1)
    path = listed(tmp_path / "marks.json", there)
    heat = torch.zeros(1, 12, 64, 64)
    monkeypatch.setattr(network, "find", lambda *_: heat)
    assert edited(network, faces_folder, path)["moles"][1 if there else 3] == 0
    with np.load(faces_folder / "landmarks.npz") as stored:
        middle, _ = frame(stored["a1"].astype(np.float64))
    heat[:, IMPERFECTIONS.index("moles"), :, : int(64 * middle[0])] = 0.9  # her right half, seen on the left
    result = edited(network, faces_folder, path)
    assert set(result) == {"moles"}
    marks, hit, places, fooled = result["moles"]
    assert (marks, places) == ((2, 0) if there else (0, 2))
    assert (hit if there else fooled) == 0.5


def test_the_command_prints_a_row_a_kind(
    faces_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = save_pretrained(create("tiny", seed=1), tmp_path / "tiny")
    path = listed(tmp_path / "marks.json", True)
    main([str(faces_folder), "--marks", str(path), "--weights", str(weights)])
    assert capsys.readouterr().out.splitlines()[-1].startswith("| moles | 2 | 0% | 0 |  |")
