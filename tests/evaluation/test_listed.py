"""Listed real marks: what glows where a mark lies counts as edited, what glows elsewhere does not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.data.real_marks import frame, read_marks
from retouchgpt.evaluation import listed as module
from retouchgpt.evaluation.listed import edited, main
from retouchgpt.model.checkpoint import create, save_pretrained
from retouchgpt.photo.composite import Pasted
from retouchgpt.session.face import Repair


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
    marks, hit, places, fooled = result["moles"][:4]
    assert (marks, places) == ((2, 0) if there else (0, 2))
    assert (hit if there else fooled) == 0.5


def test_removed_is_none_of_an_untouched_photo_and_nearly_all_of_the_healed_one(
    face: Any, faces_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, path = tmp_path / "faces", listed(tmp_path / "marks.json", True)
    shutil.copytree(faces_folder, folder)
    image, landmarks = face
    dotted, dots = image.copy(), np.zeros(image.shape[:2], np.uint8)
    for mark in (m.placed(landmarks) for m in read_marks(path)["a1"]):
        cv2.circle(dots, (round(mark.x), round(mark.y)), round(mark.radius), 1, -1)
    dotted[dots > 0] = (40, 25, 20)
    cv2.imwrite(str(folder / "a1.jpg"), dotted[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])
    bare = np.asarray(cv2.imread(str(folder / "a1.jpg"))[..., ::-1]).copy()
    near = cv2.dilate(dots, np.ones((5, 5))) > 0
    bare[near] = image[near]
    network = create("tiny", seed=1)
    monkeypatch.setattr(module, "repair", lambda *_: None)
    untouched = edited(network, folder, path)["moles"]
    assert untouched.removed == untouched.beside == 0
    monkeypatch.setattr(module, "repair", lambda *_: Repair(*[np.zeros((1, 1, 3), np.float32)] * 4))
    monkeypatch.setattr(module, "paste", lambda *_: Pasted(bare, np.zeros(dots.shape, np.float32)))
    undotted = edited(network, folder, path)["moles"]
    assert undotted.removed > 0.8
    assert undotted.beside < 0.2
    monkeypatch.setattr(module, "paste", lambda *_: Pasted(bare // 2, np.zeros(dots.shape, np.float32)))
    assert edited(network, folder, path)["moles"].beside > 1, "half the photo's light is more than two moles"


def test_the_command_prints_a_row_a_kind(
    faces_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = save_pretrained(create("tiny", seed=1), tmp_path / "tiny")
    path = listed(tmp_path / "marks.json", True)
    main([str(faces_folder), "--marks", str(path), "--weights", str(weights)])
    assert capsys.readouterr().out.splitlines()[-1].startswith("| moles | 2 | 0% |")
