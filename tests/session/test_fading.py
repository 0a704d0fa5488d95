"""What an edit left of an imperfection is measured against the skin beside it, and told."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from retouchgpt.core.plan import Edit
from retouchgpt.core.vocabulary import IMPERFECTIONS, REGIONS
from retouchgpt.session.fading import VISIBLE, Pictures, beside, contrast, pictures, still_there
from retouchgpt.session.findings import outcomes

SIDE = 96
MARKS = ((24, 24), (24, 70), (70, 24))


@pytest.fixture
def skin() -> NDArray[np.float32]:
    """(2 SIDE, 2 SIDE, 3), with a light from the left and grain."""
    rng = np.random.default_rng(3)
    grain = cv2.GaussianBlur(rng.normal(0, 0.03, (2 * SIDE, 2 * SIDE)), (0, 0), 1.2)
    light = np.linspace(0.1, -0.1, 2 * SIDE)[None] + grain
    return (np.array([0.75, 0.6, 0.5]) + light[..., None]).astype(np.float32)


def discs(radius: int, scale: int = 1) -> list[NDArray[np.bool_]]:
    y, x = np.mgrid[: scale * SIDE, : scale * SIDE]
    return [(y - scale * r) ** 2 + (x - scale * c) ** 2 <= (scale * radius) ** 2 for r, c in MARKS]


def edited(skin: NDArray[np.float32], shares: tuple[float, float, float]) -> Pictures:
    """Three dark marks, of each of which a share is taken away."""
    photo, correction = skin.copy(), np.zeros_like(skin)
    for own, share in zip(discs(4, 2), shares, strict=True):
        photo[own] -= 0.2
        correction[own] = 0.2 * share
    return pictures(photo, correction, np.ones(skin.shape[:2], np.float32), SIDE)


def labelled() -> NDArray[np.int32]:
    return sum(((i + 1) * own.astype(np.int32) for i, own in enumerate(discs(4))), np.zeros((SIDE, SIDE), np.int32))


def test_only_what_kept_half_of_its_contrast_is_still_there(skin: NDArray[np.float32]) -> None:
    labels = labelled()
    seen = edited(skin, (1.0, 0.7, 0.2))
    assert still_there(seen, labels, [1, 2, 3], labels > 0).tolist() == [False, False, True]
    assert still_there(seen, labels, [3], labels > 0).tolist() == [True]


def test_grain_and_slow_light_are_no_mark(skin: NDArray[np.float32]) -> None:
    seen = pictures(skin, np.zeros_like(skin), np.ones(skin.shape[:2], np.float32), SIDE)
    labels = labelled()
    everywhere = np.ones((SIDE, SIDE), bool)
    assert all(contrast(seen.before, labels == i, beside(labels == i, everywhere)) < 2.3 for i in (1, 2, 3))
    assert not still_there(seen, labels, [1, 2, 3], labels > 0).any()


def test_a_mark_without_skin_beside_it_is_not_judged(skin: NDArray[np.float32]) -> None:
    seen = edited(skin, (0.0, 0.0, 0.0))
    labels = labelled()
    assert still_there(seen, labels, [1, 2, 3], labels > 0).all()
    assert not still_there(seen, labels, [1, 2, 3], np.ones((SIDE, SIDE), bool)).any()


def test_an_outcome_counts_what_can_still_be_seen(skin: NDArray[np.float32]) -> None:
    kinds = np.zeros((len(IMPERFECTIONS), SIDE, SIDE), np.float32)
    kinds[IMPERFECTIONS.index("spots")][labelled() > 0] = 0.9
    regions = np.ones((len(REGIONS), SIDE, SIDE), np.float32)
    asked, changed = (Edit("spots"),), labelled() > 0
    for shares, still in (((1.0, 1.0, 1.0), 0), ((1.0, 0.2, 0.1), 2), ((0.1, 0.1, 0.1), 3)):
        (told,) = outcomes(asked, kinds, changed, regions, 4.0, edited(skin, shares))
        assert (told.count, told.still_seen) == (3, still)
    (told,) = outcomes(asked, kinds, changed, regions, 4.0)
    assert told.still_seen == 0


def test_a_mark_that_was_found_is_counted_though_a_rival_weakens_its_mask() -> None:
    kinds = np.zeros((len(IMPERFECTIONS), SIDE, SIDE), np.float32)
    kinds[IMPERFECTIONS.index("spots")][labelled() > 0] = 0.3
    regions = np.ones((len(REGIONS), SIDE, SIDE), np.float32)
    for heat, count in ((None, 1), (kinds, 1), (2 * kinds, 3)):
        (told,) = outcomes((Edit("spots"),), kinds, labelled() > 0, regions, 4.0, None, heat)
        assert told.count == count
    nothing = outcomes((Edit("spots"),), 0 * kinds, labelled() > 0, regions, 4.0, None, 2 * kinds)
    assert not nothing[0].done, "found, but not selected"


CHANGE = {
    "redness": (0.06, -0.06, -0.06),
    "dark_circles": (-0.1,) * 3,
    "shine": (0.15,) * 3,
    "fine_lines": (-0.12,) * 3,
}


@pytest.mark.parametrize("kind", CHANGE)
def test_areas_and_lines_are_told_as_removed_only_where_they_went(kind: str, skin: NDArray[np.float32]) -> None:
    y, x = np.mgrid[: 2 * SIDE, : 2 * SIDE]
    own = (np.abs(y - 80) < 30) & (np.abs(x - 90) < 50)
    if kind == "fine_lines":
        own &= y % 16 < 4
    photo = (skin + own[..., None] * np.array(CHANGE[kind])).astype(np.float32)
    kinds = np.zeros((len(IMPERFECTIONS), SIDE, SIDE), np.float32)
    kinds[IMPERFECTIONS.index(kind)] = cv2.resize(own.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    regions, allowed = np.ones((len(REGIONS), SIDE, SIDE), np.float32), np.ones(own.shape, np.float32)
    for share, left in ((1.0, 0), (0.7, 0), (0.2, 1)):
        correction = (own[..., None] * np.array(CHANGE[kind]) * -share).astype(np.float32)
        seen = pictures(photo, correction, allowed, SIDE)
        (told,) = outcomes((Edit(kind),), kinds, kinds.max(0) > 0, regions, 4.0, seen)
        assert (told.count, told.still_seen) == (0, left), share
    unasked = pictures(skin, np.zeros_like(skin), allowed, SIDE)
    (told,) = outcomes((Edit(kind),), kinds, kinds.max(0) > 0, regions, 4.0, unasked)
    assert told.still_seen == 0, "what never stood out is not still to be seen"


def test_whatever_changed_is_told_however_faint_and_at_the_edge_of_a_place() -> None:
    kinds = np.zeros((len(IMPERFECTIONS), SIDE, SIDE), np.float32)
    own = kinds[IMPERFECTIONS.index("moles")]
    own[30:32, 40] = 0.15
    regions = np.full((len(REGIONS), SIDE, SIDE), 0.1, np.float32)
    changed = own > 0
    (told,) = outcomes((Edit("moles", "left_cheek"),), kinds, changed, regions, 4.0)
    assert (told.count, told.area_px) == (1, 8)
    for nothing in (outcomes((Edit("moles", "left_cheek"),), kinds, changed & False, regions, 4.0),
                    outcomes((Edit("acne", "left_cheek"),), kinds, changed, regions, 4.0),
                    outcomes((Edit("moles", "left_cheek", 0.0),), kinds, changed, regions, 4.0)):  # fmt: skip
        assert not nothing[0].done


@pytest.mark.parametrize("kind", ["moles", "forehead_wrinkles"])
@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_a_change_that_no_eye_sees_is_told_as_faint(kind: str, strength: float, skin: NDArray[np.float32]) -> None:
    kinds = np.zeros((len(IMPERFECTIONS), SIDE, SIDE), np.float32)
    kinds[IMPERFECTIONS.index(kind)][labelled() > 0] = 0.9
    regions = np.ones((len(REGIONS), SIDE, SIDE), np.float32)
    own = sum(discs(4, 2))[..., None] > 0
    for by, faint in ((0.005, True), (0.04, False)):
        correction = (own * by * strength).astype(np.float32)
        seen = pictures(skin, correction, np.ones(skin.shape[:2], np.float32), SIDE)
        for imperfection in (kind, "all"):
            asked = (Edit(imperfection, strength=strength),)
            (told,) = outcomes(asked, kinds, labelled() > 0, regions, 4.0, seen)
            assert (told.imperfection, told.done, told.faint, told.still_seen) == (kind, True, faint, 0), by


def test_what_can_be_seen_and_hardly_changed_is_still_there_and_not_faint(skin: NDArray[np.float32]) -> None:
    kinds = np.zeros((len(IMPERFECTIONS), SIDE, SIDE), np.float32)
    kinds[IMPERFECTIONS.index("spots")][labelled() > 0] = 0.9
    regions = np.ones((len(REGIONS), SIDE, SIDE), np.float32)
    for shares, count, still in (((0.005, 0.005, 0.005), 3, 3), ((1.0, 0.005, 1.0), 3, 1)):
        (told,) = outcomes((Edit("spots"),), kinds, labelled() > 0, regions, 4.0, edited(skin, shares))
        assert (told.count, told.still_seen, told.faint) == (count, still, False)


def test_marks_that_changed_less_than_an_eye_sees_are_not_counted(skin: NDArray[np.float32]) -> None:
    kinds = np.zeros((len(IMPERFECTIONS), SIDE, SIDE), np.float32)
    kinds[IMPERFECTIONS.index("acne")][labelled() > 0] = 0.9
    kinds[IMPERFECTIONS.index("shine")][:, :8] = 0.9
    regions = np.ones((len(REGIONS), SIDE, SIDE), np.float32)
    correction = np.zeros_like(skin)
    correction[discs(4, 2)[0]] = 0.05
    correction[:, :16] = -0.003
    seen = pictures(skin, correction, np.ones(skin.shape[:2], np.float32), SIDE)
    changed = kinds.max(0) > 0
    (acne,) = outcomes((Edit("acne"),), kinds, changed, regions, 4.0, seen)
    assert (acne.count, acne.faint) == (1, False)
    (shine,) = outcomes((Edit("shine"),), kinds, changed, regions, 4.0, seen)
    assert shine.faint
    assert outcomes((Edit("all"),), kinds, changed, regions, 4.0, seen) == (acne,), "beside others it is not told"


def test_a_change_is_measured_in_what_an_eye_notices() -> None:
    photo = np.full((2 * SIDE, 2 * SIDE, 3), 0.5, np.float32)
    correction = np.zeros_like(photo)
    correction[21, 40] = 0.2
    seen = pictures(photo, correction, np.ones(photo.shape[:2], np.float32), SIDE)
    assert np.argwhere(seen.change > 5).tolist() == [[10, 20]]
    assert seen.change[:5].max() == seen.change[:, :15].max() == 0
    assert seen.change[10, 20] == pytest.approx(20.1 / VISIBLE, abs=0.5), "delta E of 0.2 from middle grey"
    wide = pictures(photo, np.full_like(photo, 0.005), np.ones(photo.shape[:2], np.float32), SIDE)
    assert np.allclose(wide.change, 0.48, atol=0.05), "half of what is noticed, over an area"
