"""`retouchgpt video`: its files, its exit codes, one line on bad input."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from retouchgpt.apps import cli
from retouchgpt.core.plan import EditPlan
from retouchgpt.session import RetouchGPT
from tests import clips
from tests.fakes import Planner, Writer, acne_network

pytest.importorskip("av")


@pytest.fixture(autouse=True)
def tiny_model(monkeypatch: pytest.MonkeyPatch, portrait: Any, portrait_landmarks: Any) -> None:
    engine = RetouchGPT(acne_network(), Planner(), Writer(), finder=clips.Spotter(portrait, portrait_landmarks))

    def understand(instruction: str, history: tuple[EditPlan, ...] = ()) -> EditPlan:
        return engine.planner.plan(instruction)

    monkeypatch.setattr(engine, "understand", understand)
    monkeypatch.setattr(RetouchGPT, "from_pretrained", classmethod(lambda cls, folder=None: engine))


@pytest.fixture
def clip(tmp_path: Path, portrait: Any, portrait_landmarks: Any) -> Path:
    return clips.write(tmp_path / "clip.mp4", clips.moving(portrait, portrait_landmarks), 3)


def run(capsys: Any, *arguments: object) -> tuple[int, str, str]:
    code = cli.main(["video", *(str(a) for a in arguments)])
    read = capsys.readouterr()
    return code, read.out, read.err


def test_it_writes_beside_the_clip_and_tells(clip: Path, tmp_path: Path, capsys: Any) -> None:
    before = clip.read_bytes()
    code, out, err = run(capsys, clip, "-i", "remove the acne", "--report", tmp_path / "r.json")
    assert (code, err) == (0, "")
    assert "3 of 3 frames" in out
    assert "Note: the video was coded again" in out
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["frames"], report["changed"], report["faces"][0]["index"]) == (3, True, 1)
    assert len(clips.planes(clip.with_name("clip_retouched.mp4"))) == 3
    assert clip.read_bytes() == before
    code, _, err = run(capsys, clip, "-i", "remove the acne")
    assert code == 3
    assert "exists already" in err


def test_bad_input_is_one_line_and_exit_three(clip: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "broken.mp4").write_bytes(clip.read_bytes()[:2000])
    bare = clips.write(tmp_path / "bare.mp4", clips.empty, 3)
    here = sorted(p.name for p in tmp_path.iterdir())
    for arguments, said in (
        ((tmp_path / "none.mp4",), "no such file"),
        ((tmp_path / "broken.mp4",), "not a video"),
        ((bare,), "no face was found"),
        ((clip, "-o", tmp_path / "o.txt"), "no video file"),
        ((clip, "-o", tmp_path / "o.webm"), "does not hold"),
    ):
        code, out, err = run(capsys, *arguments, "-i", "remove the acne")
        assert (code, out) == (3, ""), said
        assert said in err
        assert len(err.splitlines()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == here


def test_without_pyav_the_extra_is_named(clip: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    code, _, err = run(capsys, clip, "-i", "remove the acne")
    assert code == 3
    assert "pip install 'retouchgpt[video]'" in err


def test_a_stop_says_how_to_go_on(clip: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from retouchgpt.apps import video

    def stop(self: Any, done: int, frames: int) -> None:
        self.done = done
        raise KeyboardInterrupt

    monkeypatch.setattr(video.Bar, "__call__", stop)
    code, _, err = run(capsys, clip, "-i", "remove the acne")
    assert code == 130
    assert "--resume" in err
    assert not clip.with_name("clip_retouched.mp4").exists()
