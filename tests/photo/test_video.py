"""Clips in and out: samples, times, sound, rotation and depth; parts on disk; errors that name what is wrong."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retouchgpt.core.errors import (
    CorruptVideo,
    NotAVideo,
    NoVideoStream,
    OutputExists,
    OutputNotWritable,
    PhotoNotFound,
    UnsupportedVideo,
)
from retouchgpt.core.geometry import Box, Extent
from retouchgpt.photo.frames import LEAN, frame_of, rounded
from retouchgpt.photo.segments import Packet, Segments, State
from retouchgpt.photo.video import Clip, as_stored, open_clip, quarter_turns, upright
from retouchgpt.photo.video_out import Coder, check_clip_output, check_streams, choose_coding, copy_clip, write_clip
from tests import clips

av = pytest.importorskip("av")


def passed(clip: Clip, out: Path, *, lossless: bool = True) -> tuple[str, ...]:
    """The clip coded and written with nothing edited; returns the notes."""
    coding = choose_coding(clip, out, lossless=lossless)
    check_streams(clip, coding, out)
    coder = Coder(clip, coding)
    packets = [p for frame in clip.pictures() for p in coder.code(frame)] + list(coder.finish())
    return coding.notes + write_clip(clip, coding, packets, out)


@pytest.mark.parametrize(
    ("name", "out", "codec", "pix_fmt"),
    [
        ("a.mp4", "b.mp4", "libx264", "yuv420p"),
        ("a.mov", "b.mov", "libx264", "yuv422p10le"),
        ("a.mkv", "b.mkv", "libx265", "yuv420p10le"),
        ("a.mkv", "b.mkv", "ffv1", "yuv444p"),
        ("a.avi", "b.mkv", "mpeg4", "yuv420p"),
    ],
)
def test_lossless_keeps_every_sample(tmp_path: Path, name: str, out: str, codec: str, pix_fmt: str) -> None:
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    source = clips.write(tmp_path / name, clips.empty, 5, codec=codec, pix_fmt=pix_fmt, options=options)
    passed(open_clip(source), tmp_path / out)
    before, after = clips.planes(source), clips.planes(tmp_path / out)
    assert len(before) == len(after) == 5
    assert not any(clips.changed(a, b) for a, b in zip(before, after, strict=True))
    assert open_clip(tmp_path / out).depth == open_clip(source).depth


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_uneven_times_and_sound_come_back_identical(tmp_path: Path, suffix: str) -> None:
    source = clips.write(tmp_path / f"a{suffix}", clips.empty, 9, even=False)
    out = tmp_path / f"b{suffix}"
    passed(open_clip(source), out, lossless=False)
    times = clips.times(source)
    assert len({b - a for a, b in pairwise(times)}) > 1, "the times are uneven"
    assert clips.times(out) == times
    assert clips.sound(out) == clips.sound(source)
    assert len(clips.sound(out)) > 3


def test_rotation_metadata_and_colours_are_kept(tmp_path: Path) -> None:
    source = clips.write(tmp_path / "a.mp4", clips.empty, 3, turn=1)
    clip = open_clip(source)
    assert clip.turn == 1
    assert clip.extent == Extent(176, 192)
    passed(clip, tmp_path / "b.mp4")
    again = open_clip(tmp_path / "b.mp4")
    assert (again.matrix, again.extent, again.colours) == (clip.matrix, clip.extent, clip.colours)
    shown = upright(next(iter(again.pictures())).rgb(8), again.turn)
    assert np.abs(shown.astype(int) - clips.empty(0)).mean() < 8


def test_turned_points_and_pictures_agree() -> None:
    stored = np.zeros((30, 50, 3), np.uint8)
    stored[7, 41] = 255
    for turn in range(4):
        y, x = (int(v[0]) for v in np.nonzero(upright(stored, turn)[..., 0]))
        back = as_stored(np.array([[x + 0.5, y + 0.5]], np.float32), turn, Extent(50, 30))
        assert back.tolist() == [[41.5, 7.5]]
    assert [quarter_turns(m) for m in (None, (0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30))] == [0, 1]


def test_ten_bits_stay_where_the_coder_has_them_and_are_said_otherwise(tmp_path: Path) -> None:
    options = {"x265-params": "log-level=none"}
    source = clips.write(tmp_path / "a.mkv", clips.empty, 3, codec="libx265", pix_fmt="yuv420p10le", options=options)
    clip = open_clip(source)
    kept = choose_coding(clip, tmp_path / "b.mkv")
    assert (kept.coder, kept.pix_fmt) == ("libx265", "yuv420p10le")
    lost = choose_coding(clip, tmp_path / "b.webm")
    if "10" not in lost.pix_fmt:
        assert any("10 bits became 8" in n for n in lost.notes)
    assert any("coded again" in n for n in kept.notes)


def picture(pix_fmt: str, size: tuple[int, int] = (50, 34)) -> Any:
    rng = np.random.default_rng(0)
    rgb = rng.integers(40, 200, (size[1] // 2, size[0] // 2, 3), dtype=np.uint8).repeat(2, 0).repeat(2, 1)
    return av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pix_fmt)


@pytest.mark.parametrize(
    "pix_fmt", ["yuv420p", "yuvj420p", "yuv422p10le", "yuv444p", "nv12", "rgb24", "gray", "yuv411p", "yuva420p"]
)
def test_a_change_reaches_its_samples_and_no_others(pix_fmt: str) -> None:
    frame = frame_of(picture(pix_fmt), 0, 0, 1, 0)
    before, shown = [p.copy() for p in frame.planes()], frame.rgb(16).astype(int)
    change = np.full((8, 16, 3), 0.1, np.float32) * np.array([1.0, 0.6, 0.3], np.float32)
    change[:, :4] = 0
    whole = frame.add(Box(11, 9, 27, 17), change)
    assert whole.x0 <= 11 and whole.x1 >= 27  # noqa: PT018 - one fact
    rows, columns = np.mgrid[0:34, 0:50]
    inside = (rows >= 8) & (rows < 18) & (columns >= 12) & (columns < 28)
    for plane, old in zip(frame.planes(), before, strict=True):
        sy, sx = round(34 / plane.shape[0]), round(50 / plane.shape[1])
        assert not (plane != old)[~inside[::sy, ::sx][: plane.shape[0], : plane.shape[1]]].any()
    moved = (frame.rgb(16).astype(int) - shown)[10:16, 17:25] / 65535
    wanted = np.array([0.1, 0.06, 0.03]) if pix_fmt != "gray" else np.full(3, 0.1 * np.array([1, 0.6, 0.3]) @ LUMA)
    assert np.abs(moved.mean((0, 1)) - wanted).max() < 0.012


LUMA = np.array([0.299, 0.587, 0.114])


def test_no_change_moves_no_sample() -> None:
    frame = frame_of(picture("yuv420p"), 0, 0, 1, 0)
    before = [p.copy() for p in frame.planes()]
    frame.add(Box(3, 3, 20, 20), np.zeros((17, 17, 3), np.float32))
    assert not clips.changed(frame.planes(), before)


def test_editing_a_frame_does_not_reach_those_decoded_after(tmp_path: Path) -> None:
    source = clips.write(tmp_path / "a.mp4", clips.empty, 6)
    plain = clips.planes(source)
    for i, frame in enumerate(open_clip(source).pictures()):
        assert not clips.changed(frame.planes(), plain[i])
        frame.add(Box(0, 0, 60, 60), np.full((60, 60, 3), 0.3, np.float32))


def test_parts_are_whole_or_not_there(tmp_path: Path) -> None:
    parts = Segments(tmp_path / "o.mp4")
    assert parts.begin({"a": 1}, resume=True) == 0
    writer = parts.writer(0)
    writer.add(Packet(-5, 3, True, b"abc"))
    writer.add(Packet(7, 3, False, b""))
    assert parts.count() == 0, "an unfinished part does not count"
    writer.finish(State({"n": 2}, {"x": np.arange(3)}))
    assert list(parts.packets()) == [Packet(-5, 3, True, b"abc"), Packet(7, 3, False, b"")]
    assert parts.begin({"a": 1}, resume=True) == 1
    state = parts.state(0)
    assert state.values == {"n": 2}
    assert state.arrays["x"].tolist() == [0, 1, 2]
    assert parts.begin({"a": 2}, resume=True) == 0, "parts of other work are of no use"
    parts.remove()
    assert not list(tmp_path.iterdir())


def test_bad_clips_are_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("no video at all " * 50)
    whole = clips.write(tmp_path / "a.mp4", clips.empty, 6)
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[:3000])
    with av.open(str(tmp_path / "sound.m4a"), "w", format="mp4") as out:
        clips._speak(out, clips._voice(out), 0.3)
    for path, error in (
        ("none.mp4", PhotoNotFound),
        ("empty.mp4", NotAVideo),
        ("text.mp4", NotAVideo),
        ("cut.mp4", (NotAVideo, CorruptVideo)),
        ("sound.m4a", NoVideoStream),
    ):
        with pytest.raises(error) as caught:
            list(open_clip(tmp_path / path).pictures())
        assert len(str(caught.value).splitlines()) == 1
        assert path in str(caught.value)


def test_a_still_picture_and_a_playlist_are_refused(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(clips.empty(0)).save(tmp_path / "a.png")
    with pytest.raises(UnsupportedVideo, match="still picture"):
        open_clip(tmp_path / "a.png")
    (tmp_path / "a.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://localhost:1/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises((NotAVideo, NoVideoStream, UnsupportedVideo, CorruptVideo)):
        open_clip(tmp_path / "a.m3u8")


def test_outputs_that_cannot_be_are_refused_before_work(tmp_path: Path) -> None:
    clip = open_clip(clips.write(tmp_path / "a.mp4", clips.empty, 3))
    (tmp_path / "b.mp4").write_bytes(b"mine")
    with pytest.raises(OutputExists):
        check_clip_output(tmp_path / "b.mp4", clip)
    with pytest.raises(OutputNotWritable, match="the clip itself"):
        check_clip_output(tmp_path / "a.mp4", clip, overwrite=True)
    with pytest.raises(OutputNotWritable, match="no video file"):
        check_clip_output(tmp_path / "b.txt", clip)
    with pytest.raises(OutputNotWritable, match="folder"):
        check_clip_output(tmp_path / "nowhere" / "b.mp4", clip)
    with pytest.raises(UnsupportedVideo):
        check_streams(clip, choose_coding(clip, tmp_path / "b.webm"), tmp_path / "b.webm")
    assert (tmp_path / "b.mp4").read_bytes() == b"mine"


def test_times_that_are_missing_or_fall_back_are_made_to_rise(tmp_path: Path) -> None:
    clip = open_clip(clips.write(tmp_path / "a.mp4", clips.empty, 4))
    pts = [frame.pts for frame in clip.pictures()]
    assert pts == sorted(set(pts))
    assert clip.time_base == Fraction(1, clip.time_base.denominator)


def test_a_clip_with_nothing_edited_is_carried_over_uncoded(tmp_path: Path) -> None:
    clip = open_clip(clips.write(tmp_path / "a.mp4", clips.empty, 4, turn=1))
    assert copy_clip(clip, tmp_path / "b.mp4") == ()
    assert (tmp_path / "b.mp4").read_bytes() == clip.path.read_bytes()
    assert "rounded" in copy_clip(clip, tmp_path / "b.mkv")[0]
    again = open_clip(tmp_path / "b.mkv")
    assert (again.codec, again.turn) == (clip.codec, 1)
    before, after = clips.planes(clip.path), clips.planes(tmp_path / "b.mkv")
    assert not any(clips.changed(a, b) for a, b in zip(before, after, strict=True))
    assert [p[2] for p in clips.sound(tmp_path / "b.mkv")] == [p[2] for p in clips.sound(clip.path)]
    with pytest.raises(UnsupportedVideo):
        copy_clip(clip, tmp_path / "b.webm")
    with pytest.raises(OutputExists):
        copy_clip(clip, tmp_path / "b.mkv")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "b.mkv", "b.mp4"]


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    import resource
    import signal

    clip = open_clip(clips.write(tmp_path / "a.mp4", clips.empty, 4))
    coding = choose_coding(clip, tmp_path / "b.mkv", lossless=True)
    coder = Coder(clip, coding)
    packets = [p for frame in clip.pictures() for p in coder.code(frame)] + list(coder.finish())
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        with pytest.raises(OutputNotWritable):
            write_clip(clip, coding, packets, tmp_path / "b.mkv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_rounding_leans_only_near_half_way() -> None:
    values = np.random.default_rng(0).normal(100, 3, (64, 64)).astype(np.float32)
    whole = np.rint(values)
    assert np.array_equal(rounded(whole), whole)
    off = np.abs(rounded(values) - values)
    assert off.max() <= 0.5 + LEAN + 1e-4
    moved = rounded(values) != whole
    assert 0.03 < moved.mean() < 0.07, "half of those within LEAN of half way"
    assert rounded(values).std() < whole.std()
