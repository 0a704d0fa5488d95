"""Clips retouched from file to file with a tiny network: what changes, what does not, stopping and going on."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retouchgpt.core.errors import EmptyInstruction, NoFaceInVideo, UnusableInput
from retouchgpt.core.plan import EditPlan
from retouchgpt.photo.video import open_clip
from retouchgpt.session import RetouchGPT, video
from retouchgpt.session.carry import KEY, Looker, by_plan
from retouchgpt.session.clip import ClipSession
from retouchgpt.session.video import retouch_clip
from tests import clips
from tests.fakes import PLANS, Planner, Writer, acne_network

pytest.importorskip("av")
ACNE = "remove the acne"


class Engine(RetouchGPT):
    """Plans as they are, without dialogue memory."""

    def understand(self, instruction: str, history: tuple[EditPlan, ...] = ()) -> EditPlan:
        return self.planner.plan(instruction)


@pytest.fixture(scope="module")
def engine(portrait: Any, portrait_landmarks: Any) -> RetouchGPT:
    return Engine(acne_network(), Planner(), Writer(), finder=clips.Spotter(portrait, portrait_landmarks))


@pytest.fixture(scope="module")
def scene(portrait: Any, portrait_landmarks: Any) -> clips.Scene:
    return clips.moving(portrait, portrait_landmarks, light=0.1)


@pytest.fixture(scope="module")
def source(scene: clips.Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """26 frames at uneven times, with sound."""
    return clips.write(tmp_path_factory.mktemp("clip") / "in.mp4", scene, 26, even=False)


@pytest.fixture(scope="module")
def whole(engine: RetouchGPT, source: Path) -> tuple[Any, Path]:
    """Its acne removed in one go, without loss: the result and its file."""
    out = source.with_name("whole.mp4")
    return retouch_clip(engine, source, ACNE, out, lossless=True), out


def session_of(engine: RetouchGPT, which: str = "all") -> ClipSession:
    plan = PLANS[ACNE]
    return ClipSession(Looker(engine.network, by_plan(engine.network, plan), plan), engine.finder, which)


def test_every_frame_is_edited_and_times_and_sound_are_identical(source: Path, whole: tuple[Any, Path]) -> None:
    result, out = whole
    assert (result.frames, result.edited, len(result.faces)) == (26, 26, 1)
    assert all(clips.changed(a, b) for a, b in zip(clips.planes(source), clips.planes(out), strict=True))
    assert clips.times(out) == clips.times(source)
    assert clips.sound(out) == clips.sound(source)
    assert "26 of 26 frames" in result.answer
    assert not list(out.parent.glob(".*")), "nothing is left beside it"


def test_samples_outside_the_mask_are_the_clips_own(engine: RetouchGPT, source: Path, whole: tuple[Any, Path]) -> None:
    session, before, after = session_of(engine), clips.planes(source), clips.planes(whole[1])
    done = [d for frame in open_clip(source).pictures() for d in session.feed(frame)] + list(session.finish())
    assert [d.frame.index for d in done] == list(range(26))
    for edited, old, new in zip(done, before, after, strict=True):
        assert edited.mask is not None
        assert 0.01 < edited.mask.mean() < 0.4
        for plane, was, written in zip(edited.frame.planes(), old, new, strict=True):
            step = edited.mask.shape[0] // was.shape[0]
            outside = ~edited.mask[::step, ::step]
            assert np.array_equal(plane[outside], was[outside])
            assert np.array_equal(plane, written), "without loss the file holds what was made"


def test_few_frames_are_held_however_long_the_clip(engine: RetouchGPT, source: Path) -> None:
    session, alive, most = session_of(engine), [], 0
    for frame in open_clip(source).pictures():
        alive.append(weakref.ref(frame))
        for done in session.feed(frame):
            del done
        most = max(most, sum(r() is not None for r in alive))
    assert session.most_held <= KEY + 1
    assert most <= KEY + 2 < len(alive)


def stop_at(number: int) -> Callable[[int, int], None]:
    def progress(done: int, frames: int) -> None:
        if done == number:
            raise KeyboardInterrupt

    return progress


def test_a_stopped_run_goes_on_to_the_same_pixels(
    engine: RetouchGPT, source: Path, whole: tuple[Any, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "PART", 4)
    out = tmp_path / "out.mp4"
    with pytest.raises(KeyboardInterrupt):
        retouch_clip(engine, source, ACNE, out, lossless=True, progress=stop_at(15))
    assert not out.exists()
    seen: list[int] = []
    result = retouch_clip(engine, source, ACNE, out, lossless=True, resume=True, progress=lambda d, n: seen.append(d))
    assert result.resumed == 11
    assert seen[0] == 12
    assert (result.frames, result.edited) == (26, 26)
    assert not any(clips.changed(a, b) for a, b in zip(clips.planes(out), clips.planes(whole[1]), strict=True))
    assert clips.times(out) == clips.times(source)
    assert result.faces == whole[0].faces
    assert not list(tmp_path.glob(".*"))


def test_another_instruction_does_not_go_on_from_old_parts(
    engine: RetouchGPT, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "PART", 4)
    out = tmp_path / "out.mp4"
    with pytest.raises(KeyboardInterrupt):
        retouch_clip(engine, source, ACNE, out, progress=stop_at(12))
    with pytest.raises(KeyboardInterrupt) as _:
        retouch_clip(engine, source, ACNE, out, strength=0.5, resume=True, progress=stop_at(1))
    assert not out.exists()


def test_a_turned_clip_is_edited_upright_and_stays_turned(
    engine: RetouchGPT, scene: clips.Scene, tmp_path: Path
) -> None:
    source = clips.write(tmp_path / "in.mov", scene, 3, turn=3)
    result = retouch_clip(engine, source, ACNE, tmp_path / "out.mov", lossless=True)
    assert result.edited == 3
    before, after = open_clip(source), open_clip(tmp_path / "out.mov")
    assert (before.turn, after.matrix) == (3, before.matrix)


def test_a_new_scene_is_looked_at_anew(engine: RetouchGPT, scene: clips.Scene, tmp_path: Path) -> None:
    def cut(i: int) -> Any:
        return clips.empty(i) if 4 <= i < 8 else scene(i)

    source = clips.write(tmp_path / "in.mkv", cut, 12)
    result = retouch_clip(engine, source, ACNE, tmp_path / "out.mkv", lossless=True)
    before, after = clips.planes(source), clips.planes(tmp_path / "out.mkv")
    changed = [clips.changed(a, b) for a, b in zip(before, after, strict=True)]
    assert changed == [not 4 <= i < 8 for i in range(12)]
    assert [(f["first_frame"], f["last_frame"]) for f in result.faces] == [(0, 3), (8, 11)]


def test_a_face_that_comes_in_fades_in(engine: RetouchGPT, source: Path) -> None:
    session = session_of(engine)
    for frame in open_clip(source).pictures():
        list(session.feed(frame))
        if frame.index == 12:
            break
    session.stories[1].first, session.stories[1].born = False, 10
    shares = [session._presence(1, i, 0) for i in (10, 12, 20)]
    assert 0 < shares[0] < shares[1] < shares[2] == 1
    assert session._presence(1, 20, 3) == 0.5


@pytest.mark.parametrize("text", ["remove the moles", "make her nose smaller", "what do you see?"])
def test_nothing_to_edit_gives_the_file_itself(engine: RetouchGPT, source: Path, tmp_path: Path, text: str) -> None:
    out = tmp_path / "out.mp4"
    result = retouch_clip(engine, source, text, out)
    assert out.read_bytes() == source.read_bytes()
    assert not result.changed
    assert result.answer
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_clips_without_a_face_and_faces_that_are_not_there_are_named(
    engine: RetouchGPT, source: Path, tmp_path: Path
) -> None:
    bare = clips.write(tmp_path / "bare.mp4", clips.empty, 6)
    with pytest.raises(NoFaceInVideo, match="6 frames"):
        retouch_clip(engine, bare, ACNE, tmp_path / "out.mp4")
    with pytest.raises(UnusableInput, match="there is no face '2'"):
        retouch_clip(engine, source, ACNE, tmp_path / "out.mp4", face="2")
    with pytest.raises(EmptyInstruction):
        retouch_clip(engine, source, " ", tmp_path / "out.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["bare.mp4"]


def test_ten_bits_are_edited_in_ten_bits(engine: RetouchGPT, scene: clips.Scene, tmp_path: Path) -> None:
    source = clips.write(tmp_path / "in.mkv", scene, 2, codec="ffv1", pix_fmt="yuv420p10le")
    result = retouch_clip(engine, source, ACNE, tmp_path / "out.mkv")
    assert result.edited == 2
    luma = [p[0].astype(int) for p in clips.planes(source)], [p[0].astype(int) for p in clips.planes(result.clip.path)]
    after = clips.planes(tmp_path / "out.mkv")[0][0].astype(int)
    moved = after - luma[0][0]
    assert len(np.unique(moved[moved != 0] % 4)) > 1, "steps finer than 8 bits"
    assert not any("coded again" in n for n in result.notes), "ffv1 loses nothing"
