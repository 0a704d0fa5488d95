"""Sessions on the public-domain portrait with a tiny network: exactness, undo, facts, the report's schema."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from retouchgpt.core.errors import (
    EmptyInstruction,
    FaceTooSmall,
    InstructionTooLong,
    InvalidPlan,
    NoFaceFound,
    NoSuchFace,
)
from retouchgpt.core.geometry import Extent
from retouchgpt.core.plan import EditPlan
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.model.checkpoint import create
from retouchgpt.photo.composite import frame_box
from retouchgpt.photo.regions import protected_map
from retouchgpt.session import RetouchGPT, Session
from retouchgpt.session.face import look_again
from tests.fakes import Planner, Writer, acne_network


class Engine(RetouchGPT):
    """Plans as they are, without dialogue memory."""

    def understand(self, instruction: str, history: tuple[EditPlan, ...] = ()) -> EditPlan:
        return self.planner.plan(instruction)


@pytest.fixture(scope="module")
def engine() -> RetouchGPT:
    return Engine(acne_network(), Planner(), Writer())


@pytest.fixture
def session(engine: RetouchGPT, portrait: Any) -> Session:
    return engine.open(portrait)


def test_edits_stay_inside_the_mask_and_off_protected_parts(
    session: Session, portrait: Any, portrait_landmarks: Any
) -> None:
    result = session.instruct("remove the acne")
    assert result.changed
    changed = (result.image != portrait).any(2)
    assert changed.any()
    assert not changed[result.mask == 0].any()
    protected = protected_map(portrait_landmarks, Extent(512, 512)) > 0.97
    assert protected.sum() > 500
    assert not changed[protected].any()


def test_sixteen_bits_stay_sixteen_bits(engine: RetouchGPT, portrait: Any) -> None:
    deep = portrait.astype(np.uint16) * 257 + 3
    result = engine.open(deep).instruct("remove the acne")
    assert result.image.dtype == np.uint16
    assert np.array_equal(result.image[result.mask == 0], deep[result.mask == 0])
    assert len(np.unique(result.image[result.mask > 0] % 257)) > 50, "the repair has more than 8 bits"


def test_a_black_and_white_photo_stored_in_colour_stays_without_colour(engine: RetouchGPT, portrait: Any) -> None:
    grey = np.repeat(cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    for photo in (grey, grey.astype(np.uint16) * 257):
        result = engine.open(photo).instruct("remove the acne")
        assert result.changed
        assert np.array_equal(result.image.min(2), result.image.max(2))
    result = engine.open(portrait).instruct("remove the acne")
    change = result.image.astype(int) - portrait
    assert (change.min(2) != change.max(2)).any(), "in a colour photo the correction has a colour"


def test_same_photo_instruction_and_seed_give_the_same_pixels(engine: RetouchGPT, portrait: Any) -> None:
    first, second = (engine.open(portrait).instruct("remove the acne") for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert first.answer == second.answer


@pytest.mark.parametrize("text", ["remove the moles", "remove everything but the acne", "make her nose smaller"])
def test_nothing_found_kept_or_declined_leaves_every_pixel(text: str, session: Session, portrait: Any) -> None:
    result = session.instruct(text)
    assert not result.changed
    assert np.array_equal(result.image, portrait)
    assert result.answer


def test_strength_zero_leaves_every_pixel_and_half_is_between(session: Session, portrait: Any) -> None:
    none = session.instruct("remove the acne", strength=0.0)
    assert np.array_equal(none.image, portrait)
    session.undo()
    full = session.instruct("remove the acne").image.astype(int)
    session.undo()
    half = session.instruct("remove the acne", strength=0.5).image.astype(int)
    moved = np.abs(full - portrait) > 8
    share = (half - portrait)[moved] / (full - portrait)[moved]
    assert 0.4 < np.median(share) < 0.6


def test_undo_redo_and_reset_are_bit_identical(session: Session, portrait: Any) -> None:
    one = session.instruct("remove the acne on the left cheek").image
    two = session.instruct("remove the acne").image
    assert not np.array_equal(one, two)
    assert np.array_equal(session.undo().image, one)
    assert np.array_equal(session.undo().image, portrait)
    assert "nothing to undo" in session.undo().answer
    assert np.array_equal(session.redo().image, one)
    assert np.array_equal(session.redo().image, two)
    assert "nothing to redo" in session.redo().answer
    assert np.array_equal(session.instruct("start over").image, portrait)
    assert np.array_equal(session.instruct("undo").image, two)


def test_the_same_request_twice_changes_nothing_more(session: Session) -> None:
    once = session.instruct("remove the acne").image
    assert np.array_equal(session.instruct("remove the acne").image, once)


def test_adjust_weakens_the_last_edit(session: Session, portrait: Any) -> None:
    full = session.instruct("remove the acne").image.astype(int)
    less = session.instruct("a bit less").image.astype(int)
    assert np.abs(less - portrait).sum() < 0.7 * np.abs(full - portrait).sum()


def test_inspect_edits_nothing(session: Session) -> None:
    before = session.instruct("remove the acne").image
    assert np.array_equal(session.instruct("what do you see?").image, before)


def test_region_is_the_viewers(session: Session, portrait: Any, portrait_landmarks: Any) -> None:
    result = session.instruct("remove the acne on the left cheek")
    _, xs = np.nonzero((result.image != portrait).any(2))
    assert xs.mean() < portrait_landmarks[1, 0], "left of her nose as we look at her"
    assert {o.region for o in result.faces[0].facts.edited} == {"left_cheek"}


def test_brush_is_obeyed(session: Session, portrait: Any, portrait_landmarks: Any) -> None:
    brush = np.zeros((512, 512), np.float32)
    x, y = (int(v) for v in portrait_landmarks[50])
    cv2.circle(brush, (x, y), 6, 1.0, -1)
    result = session.instruct("remove the moles", brush=brush)
    changed = (result.image != portrait).any(2)
    assert changed.any()
    assert not changed[cv2.dilate(brush, np.ones((7, 7))) == 0].any()


def test_facts_count_what_changed(session: Session) -> None:
    facts = session.instruct("remove the acne").faces[0].facts
    assert facts.edited[0].area_px > 0
    assert facts.edited[0].count >= 1
    assert sum(f.count for f in facts.found) >= facts.edited[0].count


def test_report_fits_its_schema(session: Session) -> None:
    import jsonschema

    schema = json.loads((files("retouchgpt.session") / "report.schema.json").read_text())
    for text in ("remove the acne", "a bit less", "what do you see?", "make her nose smaller", "undo"):
        report = json.loads(json.dumps(session.instruct(text).report))
        jsonschema.Draft202012Validator(schema).validate(report)
    broken = report | {"version": 7}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(broken)


def test_bad_requests_are_named(engine: RetouchGPT, session: Session, portrait: Any) -> None:
    with pytest.raises(EmptyInstruction):
        session.instruct("   ")
    with pytest.raises(InstructionTooLong, match="10000"):
        session.instruct("x" * 10_000)
    with pytest.raises(InvalidPlan, match="between 0 and 1"):
        session.instruct("remove the acne", strength=1.5)
    with pytest.raises(NoFaceFound):
        engine.open(np.full((300, 300, 3), 99, np.uint8))
    with pytest.raises(FaceTooSmall):
        engine.open(cv2.resize(portrait, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    with pytest.raises(ValueError, match="float64"):
        engine.open(np.zeros((10, 10, 3)))


def test_two_faces_are_both_edited_and_told(engine: RetouchGPT, portrait: Any) -> None:
    both = np.concatenate([portrait, portrait[:, ::-1]], 1)
    result = engine.open(both, face="all").instruct("remove the acne")
    assert [f.index for f in result.faces] == [1, 2]
    assert result.answer.startswith("Face 1:")
    changed = (result.image != both).any(2)
    assert changed[:, :512].any()
    assert changed[:, 512:].any()


@pytest.fixture(scope="module")
def couple(portrait: Any) -> np.ndarray:
    """Two faces side by side, the left one smaller."""
    small = cv2.resize(portrait, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    out = np.full((portrait.shape[0], portrait.shape[1] + small.shape[1], 3), 90, np.uint8)
    out[: small.shape[0], : small.shape[1]] = small
    out[:, small.shape[1] :] = portrait
    return out


def halves(image: np.ndarray, photo: np.ndarray) -> tuple[bool, bool]:
    """Whether the left and the right face changed."""
    changed, middle = (image != photo).any(2), round(0.8 * 512)
    return bool(changed[:, :middle].any()), bool(changed[:, middle:].any())


def test_each_face_has_its_own_instructions(engine: RetouchGPT, couple: np.ndarray) -> None:
    session = engine.open(couple, "all")
    assert [f.face.index for f in session.faces] == [1, 2]
    assert halves(session.instruct("face 2: remove the acne").image, couple) == (True, False)
    second = session.instruct("remove the acne for the woman on the right")
    assert halves(second.image, couple) == (True, True)
    assert second.answer.startswith("Face 1:")
    assert "Face 2" not in second.answer
    assert len(second.report["faces"]) == 2
    assert halves(session.undo().image, couple) == (True, False)


def test_an_adjustment_of_one_face_leaves_the_other(engine: RetouchGPT, couple: np.ndarray) -> None:
    session = engine.open(couple, "all")
    both = session.instruct("everyone: remove the acne").image
    less = session.instruct("face 1: a bit less").image
    middle = round(0.8 * 512)
    assert np.array_equal(less[:, :middle], both[:, :middle])
    assert not np.array_equal(less[:, middle:], both[:, middle:])
    assert np.array_equal(session.undo().image, both)


def test_a_face_that_is_not_there_is_named(engine: RetouchGPT, couple: np.ndarray, portrait: Any) -> None:
    with pytest.raises(NoSuchFace, match="face 3"):
        engine.open(couple, "all").instruct("face 3: remove the acne")
    with pytest.raises(NoSuchFace, match="the one in the middle"):
        engine.open(couple, "the one in the middle")
    assert engine.open(couple, "the man on the left").faces[0].face.index == 2
    assert engine.open(portrait).instruct("face 1: remove the acne").changed


def test_a_face_that_was_not_opened_is_opened_when_named(engine: RetouchGPT, couple: np.ndarray) -> None:
    session = engine.open(couple)
    assert [f.face.index for f in session.faces] == [1]
    first = session.instruct("remove the acne")
    assert halves(first.image, couple) == (False, True)
    second = session.instruct("face 2: remove the acne")
    assert [f.face.index for f in session.faces] == [1, 2]
    assert halves(second.image, couple) == (True, True)
    assert second.answer.startswith("Face 2:")
    middle = round(0.8 * 512)
    assert np.array_equal(second.image[:, middle:], first.image[:, middle:])
    third = session.instruct("remove the moles")
    assert "Face 2" not in third.answer, "no face is named, so the one that was opened is meant"
    assert np.array_equal(session.undo().image, second.image)
    assert np.array_equal(session.undo().image, first.image)
    with pytest.raises(NoSuchFace, match="2 found"):
        session.instruct("face 3: remove the acne")


def test_of_faces_whose_frames_overlap_no_pixel_is_corrected_twice(engine: RetouchGPT, portrait: Any) -> None:
    close = np.concatenate([portrait[:, 150:300], portrait[:, 150:300][:, ::-1]], 1)
    session = engine.open(close, "all")
    extent = Extent(close.shape[1], close.shape[0])
    left, right = sorted(frame_box(f.alignment, f.crop.shape[-1], extent) for f in session.faces)
    assert left.x1 > right.x0 + 20, "both see the same skin"
    both = session.instruct("remove the acne").image
    alone = [engine.open(close, which).instruct("remove the acne").image for which in ("1", "2")]
    assert all((a != close).any() for a in alone)
    either = (both == alone[0]).all(2) | (both == alone[1]).all(2)
    assert either.all(), "each pixel is as one face's repair alone leaves it"
    for own in alone:
        changed = (own != close).any(2)
        assert ((both == own).all(2) & changed).any()


def test_a_black_and_white_photo_shows_no_redness(portrait: Any) -> None:
    network = create("tiny").eval()
    with torch.no_grad():
        network.get_parameter("imperfection.head.bias").fill_(5.0)
    engine = RetouchGPT(network, Planner(), Writer())
    redness = IMPERFECTIONS.index("redness")
    grey = np.repeat(cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    for photo, most in ((portrait, 1), (grey, 0)):
        (face,) = engine.open(photo).faces
        assert float(face.heat[0, redness].max()) > 0.9 if most else not face.heat[0, redness].any()
        assert float(face.heat[0, redness - 1].max()) > 0.9
        again = look_again(network, face, (face.crop * torch.tensor([0.99, 0.9, 0.9])[None, :, None, None]))
        assert bool(again.heat[0, redness].any()) == bool(most), "a step's own colours make no redness"
