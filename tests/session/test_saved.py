"""Saved sessions: reopened to the same pixels with undo and redo, strict about what they are given; scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from retouchgpt.core.errors import BadSession, OutputNotWritable
from retouchgpt.core.plan import EditPlan
from retouchgpt.session import RetouchGPT
from retouchgpt.session.saved import read_script, turn_from_json
from tests.fakes import Planner, Writer, acne_network


class Engine(RetouchGPT):
    """Plans as they are, without dialogue memory."""

    def understand(self, instruction: str, history: tuple[EditPlan, ...] = ()) -> EditPlan:
        return self.planner.plan(instruction)


@pytest.fixture(scope="module")
def engine() -> RetouchGPT:
    return Engine(acne_network(), Planner(), Writer(), versions={"weights_sha256": "abc"})


@pytest.fixture
def photo(tmp_path: Path, portrait: Any) -> Path:
    path = tmp_path / "portrait.png"
    cv2.imwrite(str(path), portrait[..., ::-1])
    return path


def test_a_reopened_session_goes_on_where_it_was(engine: RetouchGPT, photo: Path, tmp_path: Path) -> None:
    session = engine.open(photo)
    session.instruct("remove the acne on the left cheek", strength=1 / 3)
    brush = np.zeros((512, 512), np.float32)
    brush[120:460, 120:400] = 0.7
    both = session.instruct("remove the acne", brush=brush)
    session.instruct("a bit less")
    less = session.render().pixels
    session.undo()
    file = session.save(tmp_path / "session.json")
    again = engine.reopen(file)
    assert np.array_equal(again.render().pixels, both.image)
    assert np.array_equal(again.redo().image, less)
    again.undo()
    assert not np.array_equal(again.undo().image, both.image)
    start = again.undo()
    assert not start.changed
    assert not again.photo.notes


def test_no_pixel_of_the_photo_is_saved(engine: RetouchGPT, photo: Path, tmp_path: Path) -> None:
    session = engine.open(photo)
    session.instruct("remove the acne")
    assert session.save(tmp_path / "session.json").stat().st_size < 3000


def test_another_photo_is_refused_a_moved_one_is_found(
    engine: RetouchGPT, photo: Path, tmp_path: Path, portrait: Any
) -> None:
    session = engine.open(photo)
    session.instruct("remove the acne")
    file, want = session.save(tmp_path / "session.json"), session.render().pixels
    moved = photo.rename(tmp_path / "moved.png")
    assert np.array_equal(engine.reopen(file, moved).render().pixels, want)
    cv2.imwrite(str(photo), 255 - portrait[..., ::-1])
    with pytest.raises(BadSession, match="not the photo"):
        engine.reopen(file)
    other = Engine(acne_network(2), Planner(), Writer(), versions={"weights_sha256": "other"})
    assert "other weights" in other.reopen(file, moved).photo.notes[-1]


def test_a_photo_without_a_file_cannot_be_saved(engine: RetouchGPT, portrait: Any, tmp_path: Path) -> None:
    with pytest.raises(BadSession, match="did not come from a file"):
        engine.open(portrait).save(tmp_path / "session.json")


def test_a_folder_that_is_not_there_is_named(engine: RetouchGPT, photo: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputNotWritable):
        engine.open(photo).save(tmp_path / "nowhere" / "session.json")


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.update(format=2),
        lambda d: d.pop("photo"),
        lambda d: d.update(states=[]),
        lambda d: d.update(states=[[7]]),
        lambda d: d.update(states=[[-1]]),
        lambda d: d.update(turns=[{"text": "x", "plan": {"intent": "retouch", "edits": [{"imperfection": "horns"}]}}]),
        lambda d: d["turns"][0].update(brush={"shape": [10**6, 10**6], "deflate": ""}),
        lambda d: d["turns"][0].update(brush={"shape": [4, 4], "deflate": "eJwDAAAAAAE="}),
        lambda d: d["turns"][0].update(faces=[0]),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(damage: Any, engine: RetouchGPT, photo: Path, tmp_path: Path) -> None:
    session = engine.open(photo)
    session.instruct("remove the acne")
    file = session.save(tmp_path / "session.json")
    data = json.loads(file.read_text())
    damage(data)
    file.write_text(json.dumps(data))
    with pytest.raises(BadSession, match=r"session\.json") as caught:
        engine.reopen(file)
    assert "\n" not in str(caught.value)


def test_text_that_is_no_json_is_refused(engine: RetouchGPT, tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    with pytest.raises(BadSession, match="cannot read"):
        engine.reopen(file)
    file.write_text("not json")
    with pytest.raises(BadSession, match="JSONDecodeError"):
        engine.reopen(file)


def test_a_script_does_to_another_photo_what_was_done_to_this(
    engine: RetouchGPT, photo: Path, tmp_path: Path, portrait: Any
) -> None:
    session = engine.open(photo)
    session.instruct("remove the acne on the left cheek")
    session.instruct("remove the moles")
    session.instruct("a bit less")
    session.instruct("undo")
    turns = [turn_from_json(row) for row in read_script(session.export(tmp_path / "script.json"))]
    assert [t.text for t in turns] == ["remove the acne on the left cheek", "remove the moles"]
    mirrored = np.ascontiguousarray(portrait[:, ::-1])
    by_hand = engine.open(mirrored)
    by_hand.instruct("remove the acne on the left cheek")
    by_hand.instruct("remove the moles")
    replayed = engine.open(mirrored).replay(turns)
    assert replayed.changed
    assert np.array_equal(replayed.image, by_hand.render().pixels)


def test_a_mask_drawn_by_hand_stays_with_its_photo(engine: RetouchGPT, photo: Path, tmp_path: Path) -> None:
    session = engine.open(photo)
    session.instruct("remove the acne", brush=np.ones((512, 512)))
    with pytest.raises(BadSession, match="by hand"):
        session.export(tmp_path / "script.json")
    with pytest.raises(BadSession, match="0 turns"):
        read_script(engine.open(photo).export(tmp_path / "script.json"))
