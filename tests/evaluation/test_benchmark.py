"""Metrics against hand-computed cases; the bench against methods whose scores are known."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from retouchgpt.core.errors import BadData
from retouchgpt.core.geometry import Extent
from retouchgpt.evaluation import metrics
from retouchgpt.evaluation.benchmark import run
from retouchgpt.evaluation.cases import PORTRAIT, Case, cases, make_case, painted_faces
from retouchgpt.evaluation.methods import EDITABLE, Ours, in_photo, rows, untouched
from retouchgpt.evaluation.metrics import error
from retouchgpt.photo.regions import POLYGONS, protected_map


def flat(value: int, size: int = 40) -> np.ndarray:
    return np.full((size, size, 3), value, np.uint8)


def test_psnr_agrees_with_scikit_image() -> None:
    from skimage.metrics import peak_signal_noise_ratio

    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(2))
    assert metrics.psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b), abs=1e-4)
    assert metrics.psnr(a, a) == 100


def test_error_visible_and_levels() -> None:
    a, b = flat(100), flat(100)
    b[:2, :2, 1] = 110
    b[5, 5] = 102
    assert metrics.visible(a, b).sum() == 4
    assert metrics.error(a, b, metrics.visible(a, b)) == 40
    assert metrics.levels(a, b).max() == 10


def test_kept_is_one_untouched_and_zero_when_removed() -> None:
    image, unasked = flat(90), np.zeros((40, 40, 3), np.float32)
    unasked[10:20, 10:20] = -10
    where = np.abs(unasked).max(2) > 2
    gone = np.where(where[..., None], 100, image).astype(np.uint8)
    half = np.where(where[..., None], 95, image).astype(np.uint8)
    assert metrics.kept(image, image, unasked, where) == 1
    assert metrics.kept(image, gone, unasked, where) == 0
    assert metrics.kept(image, half, unasked, where) == pytest.approx(0.5)
    assert metrics.kept(image, image, np.zeros_like(unasked), np.zeros_like(where)) is None


def test_texture_sees_plastic_skin() -> None:
    rng = np.random.default_rng(0)
    skin = rng.normal(128, 12, (64, 64, 1)).repeat(3, 2).clip(0, 255).astype(np.uint8)
    where = np.ones((64, 64), bool)
    assert metrics.texture(skin, skin, where) == 1
    plastic = metrics.texture(cv2.GaussianBlur(skin, (0, 0), 2), skin, where)
    assert plastic is not None
    assert plastic < 0.3
    assert metrics.texture(skin, skin, np.zeros_like(where)) is None


def test_tone_groups_by_angle() -> None:
    assert [metrics.tone_group(a) for a in (60, 45, 30, 15, 0, -50)] == [g for g, _ in metrics.ITA_GROUPS]
    light, dark = np.full((4, 4, 3), (240, 214, 196), np.uint8), np.full((4, 4, 3), (75, 50, 38), np.uint8)
    everywhere = np.ones((4, 4), bool)
    assert metrics.typology_angle(light, everywhere) > 41
    assert metrics.typology_angle(dark, everywhere) < -20
    assert np.isnan(metrics.typology_angle(light, ~everywhere))


def test_colour_shift_is_zero_for_equal_means() -> None:
    everywhere = np.ones((40, 40), bool)
    assert metrics.colour_shift(flat(120), flat(120), everywhere) == (0, 0)
    shift, lighter = metrics.colour_shift(flat(120), flat(130), everywhere)
    assert shift > 1
    assert lighter > 1
    assert metrics.colour_shift(flat(130), flat(120), everywhere)[1] == pytest.approx(-lighter)
    assert metrics.colour_shift(flat(120), flat(130), ~everywhere) == (0, 0)


def test_bootstrap_interval_holds_the_mean() -> None:
    rows_ = list(np.random.default_rng(0).normal(5, 1, 200))
    low, high = metrics.bootstrap(rows_, lambda r: float(np.mean(r)))
    assert low < 5.1
    assert high > 4.9
    assert high - low < 0.5
    assert np.isnan(metrics.bootstrap([1], lambda r: 0.0)).all()


def perfect(case: Case) -> tuple[np.ndarray, np.ndarray]:
    changed = (case.target != case.image).any(2)
    return case.target, changed.astype(np.float32)


def leaky(case: Case) -> tuple[np.ndarray, np.ndarray]:
    return 255 - case.image, np.zeros(case.image.shape[:2])


def test_known_methods_get_their_known_scores(faces_folder: Path, tmp_path: Path) -> None:
    result = run(
        faces_folder, methods={"untouched": untouched, "perfect": perfect, "leaky": leaky}, out=tmp_path, progress=False
    )
    scores = result.to_json()["methods"]
    assert scores["untouched"] | {"texture": 0} == {
        "removal": 0, "kept": 1, "leak": 0, "area": 0, "gain": 0, "texture": 0,
        "colour": 0,
    }  # fmt: skip
    assert scores["perfect"]["removal"] == 1
    assert scores["perfect"]["texture"] == pytest.approx(1)
    assert scores["perfect"]["kept"] > 0.99
    assert scores["perfect"]["gain"] > 30
    assert scores["leaky"]["leak"] > 20
    assert scores["leaky"]["removal"] < -1
    assert "| untouched | 0.000 |" in (tmp_path / "table.md").read_text()
    assert json.loads((tmp_path / "result.json").read_text())["faces"] == 3


def test_cases_ask_for_one_thing_and_leave_the_rest(faces_folder: Path) -> None:
    face = next(painted_faces(faces_folder, paintings=1))
    found = list(cases(face))
    assert found
    for case in found:
        assert len(case.plan.edits) == 1
        assert case.asked.any()
        assert not (case.there & case.asked).any()
        again = next(c for c in cases(face) if c.kind == case.kind)
        assert np.array_equal(again.target, case.target)


def test_every_table_has_the_untouched_row_and_ours_is_exact_outside_its_mask(faces_folder: Path) -> None:
    from tests.fakes import acne_network

    network = acne_network()
    methods = rows(network)
    assert next(iter(methods)) == "input untouched"
    case = next(cases(next(painted_faces(faces_folder, paintings=1))))
    out, mask = methods["ours"](case)
    assert np.array_equal(out[np.asarray(mask) == 0], case.image[np.asarray(mask) == 0])
    for name, method in methods.items():
        picture, _ = method(case)
        assert picture.shape == case.image.shape, name
        assert picture.dtype == np.uint8


def test_the_perfect_repair_is_the_target_where_one_may_edit_and_the_photo_elsewhere(faces_folder: Path) -> None:
    from tests.fakes import acne_network

    method = rows(acne_network())[EDITABLE]
    face = next(painted_faces(faces_folder, paintings=1))
    points, cheeks = face.painted.landmarks, np.zeros((512, 512), np.uint8)
    for name in ("left_cheek", "right_cheek", "nose"):
        cv2.fillPoly(cheeks, [np.rint(points[list(POLYGONS[name])]).astype(np.int32)], 1)
    shut, bare = protected_map(points, Extent(512, 512)) > 0.5, cv2.erode(cheeks, np.ones((25, 25))) > 0
    painted = list(cases(face))
    under = painted[0].target.copy()
    under[shut] = 0
    shut = cv2.erode(shut.astype(np.uint8), np.ones((5, 5))) > 0  # the model's frame is another, so its edge is soft
    assert any((case.asked & bare).any() for case in painted)
    for case in (*painted, replace(painted[0], target=under)):
        out, mask = method(case)
        changed = (out != case.image).any(2)
        assert np.array_equal(changed, np.asarray(mask) > 0)
        assert not (changed & shut).any()
        assert not (changed & (case.target == case.image).all(2)).any()
        assert error(out, case.target, case.asked & bare) <= 0.1 * error(case.image, case.target, case.asked & bare)


def test_at_native_size_ours_is_asked_on_a_photo_and_judged_on_the_portrait(faces_folder: Path, tmp_path: Path) -> None:
    from tests.fakes import acne_network

    network = acne_network()
    with pytest.raises(BadData, match="native size needs some"):
        next(painted_faces(faces_folder, side=PORTRAIT))
    large = tmp_path / "large"
    shutil.copytree(faces_folder, large)
    index = json.loads((large / "index.json").read_text())
    for entry in index:
        picture = cv2.imread(str(large / f"{entry['id']}.jpg"))
        cv2.imwrite(str(large / f"{entry['id']}.jpg"), cv2.resize(picture, (PORTRAIT, PORTRAIT)))
        entry["size"] = PORTRAIT
    (large / "index.json").write_text(json.dumps(index))
    face = next(painted_faces(large, paintings=1, side=PORTRAIT))
    case = make_case(face, "acne", "face")
    assert case.image.shape == (PORTRAIT, PORTRAIT, 3)
    methods = in_photo(network)
    crop, native = Ours(network)(case), methods["ours"](case)
    assert native[0].shape == case.image.shape
    assert np.array_equal(native[0][native[1] == 0], case.image[native[1] == 0])
    changes = [picture.astype(float) - case.image for picture, _ in (crop, native)]
    assert np.abs(changes[0]).max() > 10
    assert np.abs(changes[1] - changes[0]).mean() < 0.25 * np.abs(changes[0]).mean()
    table = run(large, methods=methods, native=True, limit=1, progress=False).table()
    assert "each a portrait of 768 px in a photo of 24 MP" in table
    assert "| input untouched | 0.000 |" in table
    with pytest.raises(BadData, match="leave out --plain"):
        run(large, native=True, plain=tmp_path)


def test_faces_folder_errors_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadData) as caught:
        run(tmp_path, methods={"untouched": untouched}, progress=False)
    assert len(str(caught.value).splitlines()) == 1


def test_levels_helper_matches_plain_code(portrait: Any) -> None:
    other = portrait[:, ::-1]
    assert np.array_equal(metrics.levels(portrait, other), np.abs(portrait.astype(int) - other.astype(int)).max(2))
