"""Before/after pairs: layout, splits, masks, positions, and every way in which they can be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from retouchgpt.core.errors import BadData
from retouchgpt.data.painter import paint
from retouchgpt.data.pairs import (
    LARGEST_SHIFT,
    SPLITS,
    Pair,
    checked,
    difference,
    ffhqr,
    folder_pairs,
    positions,
    shift,
    soft_mask,
    verify,
)


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def textured(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for number in (0, 55_999, 56_000, 62_999):
        for side in ("source", "target"):
            save(tmp_path / "train" / side / f"{number:05d}.png", textured(number))
    for side in ("source", "target"):
        save(tmp_path / "test" / side / "63000.png", textured())
    return tmp_path


def test_split_is_the_papers() -> None:
    assert [len(r) for r in SPLITS.values()] == [56_000, 7_000, 7_000]
    assert sum(len(r) for r in SPLITS.values()) == 70_000


def test_ffhqr_is_read_by_number(copy: Path) -> None:
    assert [p.number for p in ffhqr(copy, "train")] == [0, 55_999]
    assert [p.number for p in ffhqr(copy, "validation")] == [56_000, 62_999]
    assert [p.number for p in ffhqr(copy, "test")] == [63_000]


def test_a_users_copy_is_verified_and_the_check_resumes(copy: Path, tmp_path: Path) -> None:
    index = tmp_path / "index.json"
    result = verify(copy, index)
    assert result.counts == {"train": 2, "validation": 2, "test": 1}
    assert len(result.wrong_size) == 10, "the pictures here are not 1024 px"
    assert not result.complete
    (copy / "train" / "source" / "00000.png").write_bytes(b"cut")
    assert verify(copy, index) == result, "sizes that are known are not read again"


def test_wrong_copies_are_named(copy: Path) -> None:
    with pytest.raises(BadData, match="no split"):
        ffhqr(copy, "dev")
    with pytest.raises(BadData, match="does not exist"):
        ffhqr(copy / "none", "train")
    (copy / "train" / "target" / "00000.png").unlink()
    with pytest.raises(BadData, match=r"00000\.png has no partner"):
        ffhqr(copy, "train")
    save(copy / "train" / "source" / "69999.png", textured())
    with pytest.raises(BadData, match="69999"):
        ffhqr(copy, "validation")


def test_verification_tells_why_a_split_does_not_count(copy: Path) -> None:
    (copy / "train" / "source" / "00000.png").unlink()
    (copy / "test" / "target" / "63000.png").write_bytes(b"cut")
    result = verify(copy)
    assert result.counts == {"train": 0, "validation": 2, "test": 1}
    assert "00000.png has no partner" in result.problems[0]
    assert any(w.endswith("63000.png") for w in result.wrong_size)
    assert not result.complete


def test_verification_goes_on_after_a_kill(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, read = tmp_path / "sizes.jsonl", list[Path]()

    def reading(path: Path) -> tuple[int, int]:
        if len(read) == 3:
            raise KeyboardInterrupt
        read.append(path)
        return 1024, 1024

    monkeypatch.setattr("retouchgpt.data.pairs.png_size", reading)
    with pytest.raises(KeyboardInterrupt):
        verify(copy, index)
    first, read[:] = read.copy(), []
    index.write_text(index.read_text() + '{"file": "half a li')
    monkeypatch.setattr("retouchgpt.data.pairs.png_size", lambda p: read.append(p) or (1024, 1024))
    result = verify(copy, index)
    assert (len(read), set(read) & set(first)) == (7, set()), "the three that were read are not read again"
    assert result.wrong_size == ()
    with pytest.raises(BadData, match="index of something else"):
        verify(copy / "train", index)


def test_folder_pairs_by_name(tmp_path: Path) -> None:
    save(tmp_path / "a" / "sub" / "x.png", textured())
    save(tmp_path / "b" / "sub" / "x.jpg", textured())
    (pair,) = folder_pairs(tmp_path / "a", tmp_path / "b")
    assert pair.name == "sub/x"
    save(tmp_path / "a" / "y.png", textured())
    with pytest.raises(BadData, match=r"y\.png has no partner"):
        list(folder_pairs(tmp_path / "a", tmp_path / "b"))
    with pytest.raises(BadData, match="no pictures"):
        list(folder_pairs(tmp_path / "b" / "none", tmp_path / "b"))
    save(tmp_path / "b" / "y.png", textured())
    save(tmp_path / "b" / "extra [1].png", textured())
    with pytest.raises(BadData, match=r"extra \[1\]\.png has no partner"):
        list(folder_pairs(tmp_path / "a", tmp_path / "b"))
    save(tmp_path / "a" / "extra [1].jpg", textured())
    assert [p.name for p in folder_pairs(tmp_path / "a", tmp_path / "b")] == ["extra [1]", "sub/x", "y"]
    save(tmp_path / "a" / "y.jpg", textured())
    with pytest.raises(BadData, match="one name"):
        list(folder_pairs(tmp_path / "a", tmp_path / "b"))


def test_soft_mask_follows_the_difference() -> None:
    before = np.full((90, 90, 3), 100, np.uint8)
    after = before.copy()
    after[10:20, 70:80] = 140
    after[50:60, 40:50] = 104
    mask = soft_mask(before, after)
    assert mask[15, 75] == pytest.approx(1, abs=1e-3)
    assert mask[55, 45] == pytest.approx(2 / (1 + np.exp(-50 * 0.1)) - 1, abs=1e-3)
    assert mask[0, 0] == 0
    assert positions(mask) == ("top_right", "center")


def test_an_unretouched_pair_gives_zeros_not_noise() -> None:
    before = np.full((30, 30, 3), 100, np.uint8)
    after = before.copy()
    after[3, 3] = 101
    assert difference(before, after).max() == 0
    assert positions(soft_mask(before, after)) == ()


def test_a_zoom_and_a_turn_are_misalignments_a_retouch_is_none(face: Any) -> None:
    before = paint(*face, 4).image
    after = cv2.bilateralFilter(face[0], 9, 40, 9)
    assert shift(before, after) < 0.2 * LARGEST_SHIFT
    for turn, zoom in ((0, 1.04), (2, 1.0)):
        matrix = cv2.getRotationMatrix2D((256, 256), turn, zoom)
        moved = cv2.warpAffine(after, matrix, (512, 512), borderMode=cv2.BORDER_REFLECT)
        assert shift(before, moved) > LARGEST_SHIFT, "the outer parts have moved, if not the middle"


def test_alignment_and_identity_are_checked(tmp_path: Path) -> None:
    image = textured(5)
    moved = np.roll(image, 4, 1)
    assert shift(image, image) < 0.1
    assert shift(image, moved) > 5
    for name, picture in (("a", image), ("b", moved), ("same", image)):
        save(tmp_path / f"{name}.png", picture)
    touched = image.copy()
    touched[40:44, 40:44] = 255
    save(tmp_path / "ok.png", touched)
    checked(Pair("ok", tmp_path / "a.png", tmp_path / "ok.png"))
    with pytest.raises(BadData, match="shifted by"):
        checked(Pair("x", tmp_path / "a.png", tmp_path / "b.png"))
    with pytest.raises(BadData, match="same picture"):
        checked(Pair("x", tmp_path / "a.png", tmp_path / "same.png"))
    with pytest.raises(BadData, match=r"none\.png is missing"):
        checked(Pair("x", tmp_path / "a.png", tmp_path / "none.png"))
    save(tmp_path / "small.png", image[:50])
    with pytest.raises(BadData, match="96x96 and 96x50"):
        checked(Pair("x", tmp_path / "a.png", tmp_path / "small.png"))
