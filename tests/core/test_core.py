"""Values: vocabulary, plans, geometry, pixels, errors."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from retouchgpt.core import errors, vocabulary
from retouchgpt.core.errors import InvalidPlan
from retouchgpt.core.geometry import Box, Extent, Similarity, face_alignment
from retouchgpt.core.pixels import from_float, linear_to_srgb, luminance, srgb_to_linear, to_float
from retouchgpt.core.plan import Edit, EditPlan, Keep
from retouchgpt.core.vocabulary import IMPERFECTIONS, REGIONS, expand, mirror, spoken


def test_vocabulary_is_whole() -> None:
    assert len(IMPERFECTIONS) == len(set(IMPERFECTIONS)) == 12
    assert len(REGIONS) == len(set(REGIONS)) == 18
    named = vocabulary.TEMPORARY | vocabulary.SOFTENED | vocabulary.PERMANENT
    assert named == set(IMPERFECTIONS)
    assert len(vocabulary.TEMPORARY) + len(vocabulary.SOFTENED) + len(vocabulary.PERMANENT) == 12
    assert set(vocabulary.IMPERFECTION_ALIASES) == set(IMPERFECTIONS) == set(vocabulary.DISPLAY_NAMES)
    assert set(vocabulary.REGION_ALIASES) == set(REGIONS)


def test_no_alias_means_two_things() -> None:
    for table in (vocabulary.IMPERFECTION_ALIASES, vocabulary.REGION_ALIASES):
        words = [w for aliases in table.values() for w in aliases]
        assert len(words) == len(set(words))


def test_mirror_is_its_own_inverse() -> None:
    assert all(mirror(mirror(r)) == r for r in REGIONS)
    assert mirror("left_cheek") == "right_cheek"
    assert mirror("chin") == "chin"


def test_expand_and_spoken() -> None:
    assert expand("all") == IMPERFECTIONS
    assert expand("acne") == ("acne",)
    assert spoken("left_cheek") == "left cheek"
    assert spoken("crows_feet") == "crow's feet"


def test_plan_matrices() -> None:
    plan = EditPlan("retouch", (Edit("acne", "chin", 0.5), Edit("all", "nose")), (Keep("moles"),))
    edit, keep = plan.edit_matrix(), plan.keep_matrix()
    assert edit.shape == keep.shape == (12, 18)
    assert edit[0, REGIONS.index("chin")] == 0.5
    assert edit[:, REGIONS.index("nose")].tolist() == [1.0] * 12
    assert keep.sum() == 1


def test_plan_round_trip_and_scaling() -> None:
    plan = EditPlan(
        "adjust", (Edit("acne", "left_cheek", 0.3),), (Keep("freckles"),), (Keep("moles"),), 0.5, "why", "subject"
    )
    assert EditPlan.from_json(plan.to_json()) == plan
    assert plan.scaled(0.5).edits[0].strength == pytest.approx(0.15)
    assert set(EditPlan("retouch").to_json()) == {"intent", "edits", "keep"}


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"intent": "dance"},
        {"intent": "retouch", "edits": [{"imperfection": "warts"}]},
        {"intent": "retouch", "edits": [{"imperfection": "acne", "region": "elbow"}]},
        {"intent": "retouch", "edits": [{"imperfection": "acne", "strength": 2}]},
        {"intent": "retouch", "edits": [{"what": 1}]},
        {"intent": "retouch", "edits": 3},
    ],
)
def test_bad_plans_are_named(data: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(InvalidPlan):
        EditPlan.from_json(data)


def test_boxes() -> None:
    box = Box(-5, 2, 30, 40).clipped(Extent(20, 50))
    assert box == Box(0, 2, 20, 40)
    assert box.extent == Extent(20, 38)
    assert Box(30, 30, 40, 40).clipped(Extent(20, 20)).extent.pixels == 0
    assert Extent(6000, 4000).megapixels == 24


def test_similarity_inverse_and_centres() -> None:
    s = Similarity(1.7, 0.3, 12.0, -4.0)
    points = np.random.default_rng(0).uniform(0, 100, (20, 2))
    np.testing.assert_allclose(s.inverse().apply(s.apply(points)), points, atol=1e-9)
    centre = s.apply(np.array([[10.5, 3.5]]))[0] - 0.5
    np.testing.assert_allclose(s.centre_matrix @ np.array([10, 3, 1]), centre)


def test_alignment_puts_the_face_where_the_template_has_it(portrait_landmarks) -> None:  # type: ignore[no-untyped-def]
    for turn in (0.0, 0.6):
        moved = Similarity(2.5, turn, 40.0, 10.0).apply(portrait_landmarks)
        placed = face_alignment(moved, 512).apply(moved)
        base = face_alignment(portrait_landmarks, 512).apply(portrait_landmarks)
        np.testing.assert_allclose(placed, base, atol=1e-6)
    assert abs(base[:, 0].mean() - 256) < 30


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixels_round_and_come_back(dtype: type) -> None:
    values = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)
    assert np.array_equal(from_float(to_float(values), dtype), values)
    assert from_float(np.array([0.5 / 255 + 1e-4, 2.0, -1.0])).tolist() == [1, 255, 0]
    with pytest.raises(TypeError, match="float64"):
        to_float(np.zeros(3))


def test_srgb_curve() -> None:
    x = np.linspace(0, 1, 1001, dtype=np.float32)
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(x)), x, atol=1e-5)
    assert float(srgb_to_linear(np.float32(0.5))) == pytest.approx(0.2140, abs=1e-4)
    assert luminance(np.ones((2, 2, 3))) == pytest.approx(1.0)


def test_every_input_error_is_one_line_and_exits_with_three() -> None:
    samples = {"path": "p.jpg", "detail": "cut", "frames": 3, "actual_pixels": 3, "limit_pixels": 2, "width": 1,
               "height": 1, "least": 32, "actual_px": 20.0, "least_px": 60.0, "asked": "9", "found": 1, "actual": 5,
               "limit": 4, "expected": "a" * 64, "seconds": 5,
               "repo_id": "a/b", "port": 7860, "repair": "Free some space."}  # fmt: skip
    kinds = [e for _, e in inspect.getmembers(errors, inspect.isclass) if issubclass(e, errors.UnusableInput)]
    assert len(kinds) > 12
    for kind in kinds:
        if kind in (errors.UnusableInput, errors.BadData):
            continue
        names = [n for n in inspect.signature(kind.__init__).parameters if n != "self"]
        values = samples | ({"actual": "b" * 64} if kind is errors.WeightsAltered else {})
        error = kind(*(values[n] for n in names))
        assert len(str(error).splitlines()) == 1
        assert str(error).rstrip().endswith((".", "cut")), kind
        assert error.exit_code == 3
