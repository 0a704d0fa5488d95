"""The painter: seeded, exact targets, only on skin, other ranges for validation; the cache reads back what it wrote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from retouchgpt.core.errors import BadData
from retouchgpt.core.geometry import Extent
from retouchgpt.core.vocabulary import IMPERFECTIONS, NAMED_REGIONS
from retouchgpt.data.cache import Faces, PaintedCache, paint_ahead
from retouchgpt.data.canvas import Canvas, from_log, mean_of_channels, to_log
from retouchgpt.data.dose import middle, quantile, slopes
from retouchgpt.data.native import stack_by_kind
from retouchgpt.data.painter import TRAIN, VALIDATION, PainterConfig, paint, paint_kind
from retouchgpt.photo.regions import protected_map

STILL = PainterConfig(nothing=0.0, blur=(0.0, 0.0), noise=(0.0, 0.0), raw=1.0)
"""A camera that changes nothing."""


@pytest.mark.parametrize("size", [3, 4, 7, 40, 41])
def test_fast_statistics_are_numpys(size: int) -> None:
    """The painter's pictures depend on these to the bit."""
    draws = np.random.default_rng(size).standard_normal((size, size + 2, 3)).astype(np.float32)
    assert np.array_equal(mean_of_channels(draws), draws.mean(2))
    for ours, theirs in zip(slopes(draws[..., 0]), np.gradient(draws[..., 0]), strict=True):
        assert np.array_equal(ours, theirs)
    for n in range(1, size):
        flat = draws[0, :n, 0]
        assert middle(flat) == float(np.median(flat))
        assert quantile(flat, 0.85) == float(np.percentile(flat, 85))


def test_a_window_of_a_difference_is_the_whole(face: Any) -> None:
    painted = paint(*face, 21, PainterConfig(kinds=(6, 6), nothing=0.0, blur=(0.6, 0.7)))
    for kind in {m.kind for m in painted.marks}:
        rest = painted.canvas.log.copy()
        added = np.zeros_like(rest)
        for mark in painted.marks:
            if mark.kind != kind:
                added[mark.window] += mark.delta
        whole = painted.camera.soften(painted._rendered.clip(0, 1) - from_log(rest + added).clip(0, 1)) * 255
        assert np.abs(painted.difference(lambda m, k=kind: m.kind == k) - whole).max() < 0.01  # type: ignore[misc]


def test_log_and_back_is_the_same_byte() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2)
    assert np.abs(from_log(to_log(ramp)) * 255 - ramp).max() < 0.5


@pytest.mark.parametrize("kind", IMPERFECTIONS)
def test_every_kind_is_seen_and_targets_are_exact(kind: str, face: Any) -> None:
    painted = paint_kind(*face, kind, seed=3, config=STILL)
    assert painted.marks, "nothing was painted"
    assert {m.kind for m in painted.marks} == {kind}
    seen = painted.alpha(lambda m: True) > 0.5
    change = np.abs(painted.image.astype(int) - face[0].astype(int)).max(2)
    assert change[seen].mean() > 3, "a visible mark must change pixels"
    assert np.abs(painted.clean.astype(int) - face[0].astype(int)).max() <= 1, "all marks removed is the photo"


@pytest.mark.parametrize("kind", IMPERFECTIONS)
def test_nothing_is_painted_on_protected_parts(kind: str, face: Any) -> None:
    image, landmarks = face
    painted = paint_kind(image, landmarks, kind, seed=5, config=STILL)
    core = cv2.erode((protected_map(landmarks, Extent(512, 512)) > 0.98).astype(np.uint8), np.ones((3, 3))) > 0
    change = np.abs(painted.image.astype(int) - image.astype(int)).max(2)
    assert core.sum() > 2000
    assert change[core].mean() < 0.02
    assert change[core].max() <= 3, "only the soft border of the paintable skin may reach in"


@pytest.mark.parametrize("kind", IMPERFECTIONS)
def test_marks_lie_inside_the_canvas_and_alpha_covers_the_paint(kind: str, face: Any) -> None:
    for mark in paint_kind(*face, kind, seed=8).marks:
        h, w = mark.alpha.shape
        assert 0 <= mark.x <= 512 - w
        assert 0 <= mark.y <= 512 - h
        assert mark.region in NAMED_REGIONS
        assert 0 <= mark.alpha.min() <= mark.alpha.max() <= 1.0001
        strong = np.abs(mark.delta).max(2) > max(0.5 * np.abs(mark.delta).max(), 0.1)
        if strong.any():
            assert mark.alpha[strong].mean() > 0.15, f"{kind}: paint without mask"


def test_same_seed_same_bytes_other_seed_other_face(face: Any) -> None:
    first, again, other = (paint(*face, seed) for seed in (11, 11, 12))
    assert np.array_equal(first.image, again.image)
    assert [m.kind for m in first.marks] == [m.kind for m in again.marks]
    assert not np.array_equal(first.image, other.image)


def test_target_takes_only_what_was_asked(face: Any) -> None:
    config = PainterConfig(
        kinds=(2, 2), nothing=0, chances={k: float(k in ("moles", "redness")) for k in IMPERFECTIONS}
    )
    painted = paint(*face, 4, config)
    target = painted.target(lambda m: m.kind == "moles")
    moles, red = (painted.alpha(lambda m, k=k: m.kind == k) for k in ("moles", "redness"))  # type: ignore[misc]
    changed = np.abs(target.astype(int) - painted.image.astype(int)).max(2)
    assert changed[moles > 0.5].mean() > 10
    far = moles == 0
    far[:-8] &= far[8:]
    assert changed[(red > 0.3) & (moles == 0)].mean() < 0.5
    assert np.array_equal(painted.target(lambda m: False), painted.image)


def test_dark_and_light_skin_both_show_the_marks(face: Any) -> None:
    image, landmarks = face
    for gain in (0.35, 1.0):
        skin = (image * gain).astype(np.uint8)
        for kind in ("acne", "redness", "dark_circles", "spots"):
            painted = paint_kind(skin, landmarks, kind, seed=2, config=STILL)
            seen = painted.alpha(lambda m: True) > 0.6
            change = np.abs(painted.image.astype(int) - skin.astype(int)).max(2)
            assert change[seen].mean() > 1.5, (kind, gain)


def test_validation_paints_from_other_ranges() -> None:
    assert TRAIN.dose != VALIDATION.dose
    assert TRAIN.jpeg != VALIDATION.jpeg
    assert TRAIN.kinds != VALIDATION.kinds


def test_some_faces_of_training_are_full_of_freckles_and_none_of_the_bench(face: Any) -> None:
    def full(config: PainterConfig) -> int:
        faces = (paint_kind(*face, "freckles", seed, config) for seed in range(12))
        on_chin = [sum(m.alpha.sum() for m in painted.marks if m.region == "chin") for painted in faces]
        return sum(area > 50 for area in on_chin)

    assert 2 <= full(TRAIN) <= 8
    assert full(VALIDATION) == 0


def test_unpainted_faces_pass_the_same_camera(face: Any) -> None:
    plain = paint(*face, 3, PainterConfig(nothing=1.0, noise=(2.0, 3.0), blur=(0.4, 0.7)))
    assert not plain.marks
    assert not np.array_equal(plain.image, face[0])
    assert np.array_equal(plain.clean, plain.image)


def test_native_candidates_are_marked_by_kind(face: Any) -> None:
    canvas = Canvas(*face)
    maps = stack_by_kind(paint(*face, 1).ignore)
    assert maps.shape == (512, 512, 12)
    on_skin = maps[canvas.skin > 0.9].mean(0)
    assert (on_skin < 0.6).all(), "candidates must stay the exception"
    assert on_skin.max() > 0.001


def test_cache_reads_back_what_was_painted(faces_folder: Path, tmp_path: Path) -> None:
    paint_ahead(faces_folder, tmp_path, 3, seed=5)
    cache = PaintedCache(tmp_path)
    assert len(cache) == 3
    for sample in (cache[i] for i in range(3)):
        assert sample.image.shape == (512, 512, 3)
        assert set(sample.deltas) == set(sample.alphas)
        for kind, delta in sample.deltas.items():
            assert delta.dtype == np.int16
            seen = sample.alphas[kind] > 200
            if seen.any():
                assert np.abs(delta[seen]).max() > 2
    before = [p.stat().st_mtime_ns for p in sorted(tmp_path.glob("*.shard"))]
    paint_ahead(faces_folder, tmp_path, 3, seed=5)
    assert before == [p.stat().st_mtime_ns for p in sorted(tmp_path.glob("*.shard"))], "whole shards are not repainted"


def test_a_folder_that_is_no_faces_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=str(tmp_path)):
        Faces(tmp_path)


def test_placebos_change_no_mark_and_no_target_takes_them(face: Any) -> None:
    plain, laid = (paint(*face, 6, replace(TRAIN, nothing=0.0, placebos=(n, n))) for n in (0, 30))
    assert not plain.placebos
    assert len(laid.placebos) > 3
    assert [(m.kind, m.x, m.y) for m in plain.marks][:1] == [(m.kind, m.x, m.y) for m in laid.marks][:1]
    still = paint(*face, 6, replace(STILL, nothing=1.0, placebos=(30, 30)))
    change = np.abs(still.image.astype(int) - face[0].astype(int)).max(2)
    for placebo in still.placebos:
        assert change[int(placebo.y), int(placebo.x)] < 40, "skin on skin"
    assert change.max() > 3
    assert np.array_equal(still.clean, still.image), "nothing to take away"
    assert not still.kind_maps().any()
    again = paint(*face, 6, replace(STILL, nothing=1.0, placebos=(30, 30)))
    assert np.array_equal(still.image, again.image)
