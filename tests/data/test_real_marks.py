"""Real marks: a list by eye becomes masks of crops at any size, and its mistakes are named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from retouchgpt.core.errors import BadData
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.data.cache import Faces, PaintedCache, paint_ahead
from retouchgpt.data.real_marks import RealMark, disc, frame, read_marks
from retouchgpt.training.batches import AROUND_REAL, PaintedCrops
from retouchgpt.training.losses import mask_loss

SHIPPED = Path(__file__).parents[2] / "recipes" / "compact-real.json"


@pytest.fixture(scope="module")
def cache(faces_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint_ahead(faces_folder, tmp_path_factory.mktemp("cache"), 4, seed=9)


def listed(path: Path, cache: Path, kind: str = "moles") -> Path:
    """A list with one mark under each face's middle between the eyes."""
    ids = {sample.face_id for sample in PaintedCache(cache)}  # type: ignore[attr-defined]
    path.write_text(json.dumps([{"id": i, "kind": kind, "x": 0.0, "y": 0.3, "radius": 0.05} for i in sorted(ids)]))
    return path


def test_a_mark_moves_and_grows_with_the_face() -> None:
    rng = np.random.default_rng(1)
    landmarks = rng.uniform(100, 400, (478, 2)).astype(np.float32)
    mark = RealMark("moles", 0.2, 0.5, 0.02)
    here, there = mark.placed(landmarks), mark.placed(landmarks * 1.5 - (40, 10))
    assert (there.x, there.y) == pytest.approx((here.x * 1.5 - 40, here.y * 1.5 - 10), abs=1e-2)
    assert there.radius == pytest.approx(1.5 * here.radius, rel=1e-4)
    middle, unit = frame(landmarks)
    assert (here.x, here.y) == pytest.approx(tuple(middle + unit * np.array((0.2, 0.5))), abs=1e-2)


def test_a_disc_lies_at_its_mark_in_a_window() -> None:
    mask = disc(RealMark("moles", 70.0, 45.0, 4.0), (60, 20), 64)
    rows, columns = np.nonzero(mask > 0.5)
    assert (columns.mean() + 0.5 + 60, rows.mean() + 0.5 + 20) == pytest.approx((70, 45), abs=0.5)
    assert mask.max() == 1
    assert not disc(RealMark("moles", 300.0, 45.0, 4.0), (60, 20), 64).any()


def test_crops_count_real_marks_as_masks_and_judge_no_repair_there(cache: Path, tmp_path: Path) -> None:
    path = listed(tmp_path / "marks.json", cache)
    crops = PaintedCrops(cache, crop=64, stride=2, seed=3, augment=False, real_marks=str(path))
    mole, spot, freckle = (IMPERFECTIONS.index(kind) for kind in ("moles", "spots", "freckles"))
    shown = [
        crop for crop in (crops[i] for i in range(24)) if ((crop.kinds[mole] > 0.5) & (crop.ignore[mole] > 0)).any()
    ]
    assert len(shown) > 4
    for crop in shown:
        real = (crop.kinds[mole] > 0.5) & (crop.ignore[mole] > 0)
        assert crop.ignore[spot][real].all()
        assert not crop.ignore[freckle][(crop.kinds[mole] > 0.5) & (crop.ignore[spot] == 1)].any()
    unlisted = tmp_path / "others.json"
    unlisted.write_text(json.dumps([{"id": "nobody", "kind": "moles", "x": 0, "y": 0.3, "radius": 0.05}]))
    plain = PaintedCrops(cache, crop=64, stride=2, seed=3)
    same = PaintedCrops(cache, crop=64, stride=2, seed=3, real_marks=str(unlisted))
    for a, b in zip(plain[5], same[5], strict=True):
        assert torch.equal(a, b)


def test_where_a_kind_is_known_not_to_be_nothing_is_silent(cache: Path, tmp_path: Path) -> None:
    path = listed(tmp_path / "marks.json", cache)
    entries = json.loads(path.read_text())
    path.write_text(json.dumps([{**entry, "radius": 2.0, "there": False} for entry in entries]))
    crops, plain = (
        PaintedCrops(cache, crop=64, stride=2, seed=3, augment=False, real_marks=m) for m in (str(path), "")
    )
    mole, spot = IMPERFECTIONS.index("moles"), IMPERFECTIONS.index("spots")
    pairs = [(crops[i], plain[i]) for i in range(24)]
    assert any(crop.ignore[spot].any() for crop, _ in pairs)
    assert not any(crop.ignore[mole].any() for crop, _ in pairs)
    assert any(other.ignore[mole].any() for _, other in pairs)


def test_listed_places_are_shown_and_count_as_often_as_the_recipe_says(cache: Path, tmp_path: Path) -> None:
    path = listed(tmp_path / "marks.json", cache)
    crops = PaintedCrops(cache, crop=64, stride=2, seed=3, augment=False, real_marks=str(path))
    mole = IMPERFECTIONS.index("moles")
    shown = [crop for crop in (crops[i] for i in range(24)) if crop.listed.any()]
    assert len(shown) > 4
    assert all((crop.kinds[mole][crop.listed[0] > 0.5] > 0.5).all() for crop in shown)
    target, silent = torch.zeros(1, 12, 4, 4), torch.zeros(1, 12, 4, 4)
    logits, heed = torch.full((1, 12, 4, 4), -2.0), torch.ones(1, 1, 4, 4)
    once = float(mask_loss(logits, target, silent, heed=heed))
    heed[..., :2] = 5.0
    assert once == pytest.approx(float(mask_loss(logits, target, silent)))
    assert float(mask_loss(logits, target, silent, heed=heed)) == pytest.approx(3 * once)


def test_crops_hold_real_marks_and_name_their_kind(cache: Path, tmp_path: Path) -> None:
    path = listed(tmp_path / "marks.json", cache, "scars")
    entries = json.loads(path.read_text())
    elsewhere = [{**entry, "x": 0.4, "y": 0.6, "there": False} for entry in entries for _ in range(3)]
    path.write_text(json.dumps(entries + elsewhere))
    scars = IMPERFECTIONS.index("scars")
    crops, plain = (
        [PaintedCrops(cache, crop=32, stride=2, seed=3, augment=False, real_marks=m)[i] for i in range(160)]
        for m in (str(path), "")
    )
    held = [crop for crop in crops if (crop.kinds[scars] > 0.9).any() and crop.listed.any()]
    assert len(held) > 160 * AROUND_REAL * 0.4, "half of the crops around an entry are around a mark"
    named, usual = (
        sum(bool(c.words[scars]) and c.words.sum() == 1 for c in some) / len(some) for some in (held, plain)
    )
    assert named > usual + 0.25


def test_only_listed_faces_are_painted(faces_folder: Path, tmp_path: Path) -> None:
    ids = [entry["id"] for entry in Faces(faces_folder).index]
    out = paint_ahead(faces_folder, tmp_path / "listed", 3, seed=4, listed={ids[0]: []})
    assert {sample.face_id for sample in PaintedCache(out)} == {ids[0]}
    with pytest.raises(BadData, match="listed"):
        paint_ahead(faces_folder, tmp_path / "none", 3, seed=4, listed={"nobody": []})


@pytest.mark.parametrize(
    "text",
    ["{", '[{"id": "a"}]', '[{"id": "a", "kind": "tattoo", "x": 0, "y": 0, "radius": 1}]',
     '[{"id": "a", "kind": "moles", "x": 0, "y": 0, "radius": 0}]'],
)  # fmt: skip
def test_a_bad_list_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "marks.json"
    path.write_text(text)
    with pytest.raises(BadData, match=r"marks\.json"):
        read_marks(path)
    with pytest.raises(BadData, match="missing"):
        read_marks(tmp_path / "missing.json")


def test_the_shipped_list_shares_no_face_with_the_lists_that_judge() -> None:
    ids = set(read_marks(SHIPPED))
    assert len(ids) > 150
    folder = Path(__file__).parents[2] / "src" / "retouchgpt" / "evaluation"
    for path in (folder / "real_marks.json", folder / "data" / "real.json"):
        judged = set(re.findall(r'"([ps][0-9a-f]{7})"', path.read_text()))
        assert len(judged) > 5, path
        assert not judged & ids, path
