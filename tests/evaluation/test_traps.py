"""The traps of painted data: what the three measurements say of networks whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.data.cache import Faces
from retouchgpt.evaluation import traps


@pytest.fixture
def source(faces_folder: Path) -> Faces:
    return Faces(faces_folder)


def hot(kind: str, x: int, y: int) -> Any:
    """A detector that finds one kind at one place, always."""

    def heat(network: object, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        maps = np.zeros((12, 512, 512), np.float32)
        maps[IMPERFECTIONS.index(kind), y - 2 : y + 3, x - 2 : x + 3] = 1
        return maps

    return heat


def test_a_face_s_own_imperfections_are_mostly_silenced(source: Faces) -> None:
    caught = traps.native(source)
    assert caught
    for kind, figure in caught.items():
        assert 0 <= figure.silenced < 0.6, f"{kind}: candidates must stay the exception"
        assert figure.marks > 0
    small = [caught[k].caught for k in ("moles", "acne", "freckles", "spots") if k in caught]
    assert max(small) > 0.5


def test_real_marks_are_found_where_the_heat_is(source: Faces, monkeypatch: pytest.MonkeyPatch) -> None:
    listing: list[dict[str, object]] = [
        {"id": "a1", "kind": "moles", "x": 200, "y": 300, "reach": 8},
        {"id": "a1", "kind": "moles", "x": 300, "y": 300, "reach": 8},
        {"id": "a1", "kind": "acne", "x": 200, "y": 300, "reach": 8},
        {"id": "elsewhere", "kind": "scars", "x": 200, "y": 300, "reach": 8},
    ]
    monkeypatch.setattr(traps, "heat_map", hot("moles", 204, 300))
    told = traps.real(source, Any, listing)  # type: ignore[arg-type]
    assert set(told) == {"moles", "acne"}, "faces that are not there are passed over"
    assert (told["moles"].marks, told["moles"].found) == (2, 0.5)
    assert told["acne"].found == 0
    assert 0 < told["moles"].elsewhere < 0.05
    assert told["acne"].elsewhere == 0


def test_placebos_look_like_skin_and_are_told_apart_only_by_who_knows_the_brush(
    source: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    def knows(network: object, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Sees every difference to the picture that it is shown second."""
        pictures.append(image)
        heat = np.zeros((12, 512, 512), np.float32)
        if len(pictures) % 2:
            heat[0] = 1
        return heat

    pictures: list[np.ndarray] = []
    monkeypatch.setattr(traps, "heat_map", knows)
    told = traps.brush(source, Any)  # type: ignore[arg-type]
    assert (told.found, told.before) == (1, 0)
    assert told.places > 3
    assert 0.8 < told.grain < 1.25, "the brush must not take the grain"
    laid, plain = pictures
    change = np.abs(laid.astype(int) - plain.astype(int)).max(2)
    assert 0 < (change > 0).mean() < 0.3, "only the placebos differ; the camera is the same"


def test_heat_lies_where_the_network_saw_it(face: Any) -> None:
    from tests.fakes import acne_network

    heat = traps.heat_map(acne_network(), *face)
    assert heat.shape == (12, 512, 512)
    assert heat[IMPERFECTIONS.index("acne")].max() > 0
    disc = traps.disc(100.5, 50.5, 3)
    assert disc[50, 100]
    assert disc.sum() == pytest.approx(np.pi * 9, abs=4)


def test_the_list_that_ships_is_sound() -> None:
    listing = traps.listed()
    assert len(listing) >= 20
    for entry in listing:
        assert entry["kind"] in IMPERFECTIONS
        assert all(0 < int(str(entry[k])) < 512 for k in ("x", "y", "reach"))


def test_the_command_names_a_bad_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "index.json").write_text(json.dumps([]))
    assert traps.main([str(tmp_path)]) == 3
    assert str(tmp_path) in capsys.readouterr().err
