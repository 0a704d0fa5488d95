"""The index of pairs: written as it goes, gone on with after a kill, bad pairs named and left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from retouchgpt.core.errors import BadData
from retouchgpt.data.differences import DifferenceClassifier
from retouchgpt.data.ledger import Ledger, read_lines
from retouchgpt.data.painter import PainterConfig, paint_kind
from retouchgpt.data.pair_index import index_pairs, main, read_index
from retouchgpt.data.pairs import Pair, folder_pairs

STILL = PainterConfig(nothing=0.0, blur=(0.0, 0.0), noise=(0.0, 0.0), raw=1.0)


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1])


@pytest.fixture(scope="module")
def classifier() -> DifferenceClassifier:
    return DifferenceClassifier.load()


@pytest.fixture
def pairs(face: Any, tmp_path: Path) -> list[Pair]:
    """Moles, an invisible change, and one of each way in which a pair can be bad."""
    painted = paint_kind(*face, "moles", seed=4, config=STILL)
    faint = painted.image.copy()
    faint[300, 300] ^= 1
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    dotted = noise.copy()
    dotted[9:12, 9:12] = 255
    for name, before, after in (
        ("1-moles", painted.image, painted.clean),
        ("2-nothing", painted.image, faint),
        ("3-same", painted.image, painted.image),
        ("4-moved", painted.image, np.roll(painted.image, 30, 1)),
        ("5-small", painted.image, painted.clean[:400]),
        ("6-no-face", noise, dotted),
        ("7-cut", painted.image, painted.clean),
    ):
        save(tmp_path / "before" / f"{name}.png", before)
        save(tmp_path / "after" / f"{name}.png", after)
    (tmp_path / "after" / "7-cut.png").write_bytes(b"cut")
    return list(folder_pairs(tmp_path / "before", tmp_path / "after"))


class Mesh:
    """Her landmarks for every picture of a face; counts what it was asked; may die at one call."""

    def __init__(self, landmarks: Any, dies_at: int = 0) -> None:
        self.landmarks, self.asked, self.dies_at = landmarks, 0, dies_at

    def __call__(self, image: np.ndarray) -> Any:
        self.asked += 1
        if self.asked == self.dies_at:
            raise KeyboardInterrupt
        return self.landmarks if image.shape[0] > 100 else None


def test_good_pairs_are_understood_and_bad_ones_named(
    face: Any, pairs: list[Pair], tmp_path: Path, classifier: DifferenceClassifier
) -> None:
    index = index_pairs(pairs, tmp_path / "index.jsonl", "test", Mesh(face[1]), classifier)
    moles, nothing = index.entries
    assert moles.pair == pairs[0]
    assert moles.size == (512, 512)
    assert moles.edits[0][0] == "moles"
    assert {cell for _, cell, _, _ in moles.edits} <= set(moles.positions)
    assert moles.instruction
    assert moles.answer
    assert nothing.edits == nothing.positions == ()
    assert nothing.answer, "an unretouched pair is a dialogue too: nothing was found"
    told = dict(
        zip(("same picture", "shifted by", "differ in size", "no face", "cannot be read"), index.problems, strict=True)
    )
    for words, problem in told.items():
        assert words in problem
        assert ".png" in problem, "the file is named"


def test_a_killed_index_goes_on_and_ends_the_same(
    face: Any, pairs: list[Pair], tmp_path: Path, classifier: DifferenceClassifier
) -> None:
    whole = index_pairs(pairs, tmp_path / "whole.jsonl", "test", Mesh(face[1]), classifier)
    cut, dying, again = tmp_path / "cut.jsonl", Mesh(face[1], dies_at=2), Mesh(face[1])
    with pytest.raises(KeyboardInterrupt):
        index_pairs(pairs, cut, "test", dying, classifier)
    assert len(read_index(cut).entries) == 1
    cut.write_text(cut.read_text() + '{"name": "2-noth')
    assert index_pairs(pairs, cut, "test", again, classifier) == whole
    assert again.asked == 2, "the pair that was done is not looked at again"
    assert cut.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    with pytest.raises(BadData, match="something else"):
        index_pairs(pairs, cut, "other", again, classifier)


def test_an_index_of_nothing_usable_is_refused(
    face: Any, pairs: list[Pair], tmp_path: Path, classifier: DifferenceClassifier
) -> None:
    with pytest.raises(BadData, match=r"no pair can be used.*same picture"):
        index_pairs(pairs[2:4], tmp_path / "bad.jsonl", "test", Mesh(face[1]), classifier)
    with pytest.raises(BadData, match="no pairs"):
        index_pairs([], tmp_path / "none.jsonl", "test", Mesh(face[1]), classifier)


def test_ledgers_name_what_is_wrong_with_them(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for text in ("not json\n", "[1]\n", "\u00e4".encode("latin-1")):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(BadData, match=r"ledger\.jsonl"):
            read_lines(path)
    with pytest.raises(BadData, match="cannot be read"):
        read_lines(tmp_path / "none")
    path.unlink()
    (tmp_path / "file").write_text("")
    with pytest.raises(BadData, match="cannot write"):
        Ledger(tmp_path / "file" / "ledger.jsonl", {})
    with Ledger(None, {}) as nothing:
        nothing.add({"kept": False})
    assert nothing.lines == []


def test_a_full_disk_is_told_and_what_was_written_stays(tmp_path: Path) -> None:
    class Full:
        def write(self, text: str) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    with Ledger(tmp_path / "l.jsonl", {"head": 1}) as ledger:
        ledger.add({"a": 1})
        kept, ledger._stream = ledger._stream, Full()  # type: ignore[assignment]
        with pytest.raises(BadData, match=r"l\.jsonl: No space left"):
            ledger.add({"b": 2})
        ledger._stream = kept
    assert read_lines(tmp_path / "l.jsonl") == [{"head": 1}, {"a": 1}]


def test_the_command_verifies_and_names_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(tmp_path)]) == 3
    said = capsys.readouterr()
    assert "train: 0 of 56000 pairs" in said.out
    assert "does not exist" in said.err
    arguments = [str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "i.jsonl")]
    assert main(["folders", *arguments]) == 3
    assert "holds no pictures" in capsys.readouterr().err
    assert not (tmp_path / "i.jsonl").exists()
