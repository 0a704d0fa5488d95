"""Batches that are stopped, killed, resumed, far away or on a cluster: every photo exactly once."""

from __future__ import annotations

import json
import multiprocessing
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from retouchgpt.apps import batch, batch_journal, batch_ray, cli
from retouchgpt.apps.batch import OUTCOMES, Case, Settings, folder_cases, manifest_cases
from retouchgpt.apps.batch_worker import BEFORE
from retouchgpt.core.errors import BadData
from retouchgpt.session import RetouchGPT
from tests import tiny_weights
from tests.serving import engine, photo_of, pixels_of

ROOT = Path(__file__).parents[2]
ACNE = "remove the acne"


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> RetouchGPT:
    made = engine()
    monkeypatch.setattr(RetouchGPT, "from_pretrained", classmethod(lambda cls, folder=None: made))
    return made


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_weights.write(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    for n, place in enumerate(("a.png", "sub/b.png", "sub/deep/c.png")):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(photo_of(n))
    return folder


def rows_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def run(*arguments: object) -> int:
    return cli.main(["batch", *(str(a) for a in arguments)])


def test_what_was_there_before_is_refused_and_stays_so(
    photos: Path, tmp_path: Path, model: RetouchGPT, capsys: Any
) -> None:
    out = tmp_path / "out"
    (out / "sub").mkdir(parents=True)
    (out / "sub" / "b.png").write_bytes(b"somebody else's")
    assert run(photos, "--out", out, "-i", ACNE) == 0
    assert capsys.readouterr().out.strip() == "2 done, 0 unchanged, 1 refused"
    refused = [r for r in rows_of(out / OUTCOMES) if r["outcome"] == "refused"]
    assert [Path(r["image"]).name for r in refused] == ["b.png"]
    assert "exists already" in refused[0]["why"]
    assert run(photos, "--out", out, "-i", ACNE, "--resume") == 0
    assert capsys.readouterr().out.strip() == "0 done, 0 unchanged, 0 refused, 3 from before"
    assert (out / "sub" / "b.png").read_bytes() == b"somebody else's"


def test_resume_after_a_stop_between_picture_and_line(
    photos: Path, tmp_path: Path, model: RetouchGPT, capsys: Any
) -> None:
    out = tmp_path / "out"
    run(photos, "--out", out, "-i", ACNE)
    lines = (out / OUTCOMES).read_text().splitlines()
    (out / OUTCOMES).write_text("\n".join(lines[:2]) + "\n" + lines[2][:30])
    (out / "sub" / ".77-1.partial").write_bytes(b"half")
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.png")}
    assert run(photos, "--out", out, "-i", ACNE, "--resume") == 0
    rows = rows_of(out / OUTCOMES)
    assert Counter(r["outcome"] for r in rows) == {"done": 3}
    assert rows[2]["notes"] == [BEFORE]
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*.png")} == before
    assert not list(out.rglob("*.partial"))


def test_one_run_at_a_time_writes_to_a_place(photos: Path, tmp_path: Path, model: RetouchGPT, capsys: Any) -> None:
    out = tmp_path / "out"
    run(photos, "--out", out, "-i", ACNE)
    with batch_journal.Journal(str(out)) as journal:
        journal.begin([], resume=True)
        assert run(photos, "--out", out, "-i", ACNE, "--resume") == 3
    assert "in use" in capsys.readouterr().err
    assert run(photos, "--out", out, "-i", ACNE, "--resume") == 0


def test_globs_keep_folders_only_where_they_cross_them(photos: Path, tmp_path: Path) -> None:
    def outs(pattern: str) -> list[str]:
        cases = folder_cases([str(photos / pattern)], "x", tmp_path / "out")
        return [Path(c.out).relative_to(tmp_path / "out").as_posix() for c in cases]

    assert outs("**/*.png") == ["a.png", "sub/b.png", "sub/deep/c.png"]
    assert outs("s*/*.png") == ["b.png"]
    assert outs("*.jpg") == []


def test_two_lines_of_a_manifest_never_write_to_one_place(tmp_path: Path) -> None:
    line = json.dumps({"image": "a.png", "instruction": "x", "out": "o.png"})
    (tmp_path / "m.jsonl").write_text(f"{line}\n{line}\n")
    with pytest.raises(BadData, match="lines 1 and 2"):
        manifest_cases(tmp_path / "m.jsonl", tmp_path)


@pytest.fixture
def bucket() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    files.rm("/", recursive=True)


def test_photos_in_an_object_store(
    bucket: Any, tmp_path: Path, model: RetouchGPT, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for n, place in enumerate(("a.png", "sub/b.jpg", "notes.txt", "bad.png")):
        with bucket.open(f"/bucket/in/{place}", "wb") as stream:
            stream.write(photo_of(n, kind="JPEG" if place.endswith("jpg") else "PNG") if n < 2 else b"no photo")
    assert run("memory://bucket/in", "--out", "memory://bucket/out", "-i", ACNE) == 0
    assert capsys.readouterr().out.strip() == "2 done, 0 unchanged, 1 refused"
    written = [f.removeprefix("/bucket/out/") for f in sorted(bucket.find("/bucket/out"))]
    assert written == ["a.png", OUTCOMES, "sub/b.jpg"]
    after = pixels_of(bucket.cat("/bucket/out/a.png"))
    assert (after[:64, :64] == pixels_of(photo_of(0))[:64, :64]).all()
    rows = rows_of(tmp_path / OUTCOMES)
    refused = next(r for r in rows if r["outcome"] == "refused")
    assert refused["why"].startswith("not an image that can be read: memory:///bucket/in/bad.png")
    (tmp_path / OUTCOMES).unlink()
    assert run("memory://bucket/in", "--out", "memory://bucket/out", "-i", ACNE, "--resume") == 0
    assert capsys.readouterr().out.strip() == "0 done, 0 unchanged, 0 refused, 3 from before"
    assert run("memory://bucket/in/*.png", "--out", "memory://bucket/out", "-i", ACNE, "--log", "other.jsonl") == 0
    assert capsys.readouterr().out.strip() == "0 done, 0 unchanged, 2 refused"
    assert {r["image"].rpartition("/")[2]: r["why"][:20] for r in rows_of(tmp_path / "other.jsonl")} == {
        "a.png": "memory://bucket/out/"[:20],
        "bad.png": "not an image that ca",
    }


def test_places_that_cannot_be_used(tmp_path: Path, model: RetouchGPT, capsys: Any) -> None:
    for given, words in (("nosuch://x/a.png", "nosuch"), ("memory://none/a.png", "1 refused")):
        code = run(given, "--out", tmp_path / given[:3], "-i", ACNE)
        said = capsys.readouterr()
        assert words in said.out + said.err
        assert code == (3 if given.startswith("nosuch") else 0)


def test_file_urls_are_paths(photos: Path, tmp_path: Path, model: RetouchGPT, capsys: Any) -> None:
    assert run(f"file://{photos}", "--out", f"file://{tmp_path}/out", "-i", ACNE) == 0
    assert capsys.readouterr().out.startswith("3 done")
    assert (tmp_path / "out" / "sub" / "deep" / "c.png").exists()


def many(folder: Path, count: int) -> Path:
    folder.mkdir()
    for n in range(count):
        (folder / f"{n:02d}.png").write_bytes(photo_of(n))
    return folder


def check_each_once(source: Path, out: Path, rows: list[dict[str, Any]]) -> None:
    """A line and a picture for every photo, and each picture its own photo's."""
    photos = sorted(source.iterdir())
    assert sorted(r["image"] for r in rows) == [str(p) for p in photos]
    assert {r["outcome"] for r in rows} == {"done"}, rows
    for photo in photos:
        own, result = pixels_of(photo.read_bytes()), pixels_of((out / photo.name).read_bytes())
        assert (own[:64, :64] == result[:64, :64]).all()
        assert (own != result).any()
    assert len(list(out.rglob("*.png"))) == len(photos)
    assert not list(out.rglob("*.partial"))


@pytest.mark.slow
def test_killed_and_resumed_repeats_nothing_and_loses_nothing(tmp_path: Path, weights: Path) -> None:
    source, out = many(tmp_path / "in", 8), tmp_path / "out"
    command = [sys.executable, "-m", "retouchgpt.apps.cli", "batch", str(source), "--out", str(out), "-i", ACNE]
    command += ["--weights", str(weights)]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (out / OUTCOMES).exists() or len((out / OUTCOMES).read_bytes().splitlines()) < 3:
        assert running.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    before = (out / OUTCOMES).read_text()
    stamps = {p: p.stat().st_mtime_ns for p in out.rglob("*.png")}
    assert 3 <= len(stamps) < 8
    subprocess.run([*command, "--resume"], check=True, capture_output=True)
    assert (out / OUTCOMES).read_text().startswith(before[: before.rfind("\n") + 1])
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps
    check_each_once(source, out, rows_of(out / OUTCOMES))


@pytest.mark.slow
def test_a_killed_worker_process_costs_nothing(tmp_path: Path, weights: Path) -> None:
    source, out = many(tmp_path / "in", 6), tmp_path / "out"
    cases = list(folder_cases([str(source)], ACNE, out))
    rows = []
    for outcome in batch.outcomes(cases, Settings(str(weights), "all", 1.0, 1, resumed=True), 2):
        if not rows:
            victim = next(p for p in multiprocessing.active_children() if p.is_alive())
            assert victim.pid is not None
            os.kill(victim.pid, signal.SIGKILL)
        rows.append(outcome)
    check_each_once(source, out, rows)


def actors() -> list[int]:
    """Processes of Ray's that hold a worker of ours."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes()
        except OSError:
            continue
        if line.startswith(b"ray::") and b"RayWorker" in line:
            found.append(int(entry.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds Ray's workers in /proc")
def test_ray_with_a_worker_killed_midway(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))  # or Ray writes one into the home folder
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), str(ROOT)]))
    source, out = many(tmp_path / "in", 8), tmp_path / "out"
    cases = list(folder_cases([str(source)], ACNE, out))
    ray.init(num_cpus=2, object_store_memory=80_000_000, include_dashboard=False, log_to_driver=False)
    try:
        rows: list[dict[str, Any]] = []
        killed: list[int] = []
        for outcome in batch_ray.outcomes(cases, Settings(str(weights), "all", 1.0, 1, resumed=True), "auto", 2):
            rows.append(outcome)
            if not killed:
                killed = actors()[:1]
                assert killed, "no worker of ours was found"
                os.kill(killed[0], signal.SIGKILL)
    finally:
        ray.shutdown()
    check_each_once(source, out, rows)


def test_ray_is_named_when_it_is_missing_or_silent(
    photos: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run(photos, "--out", tmp_path / "out", "-i", ACNE, "--ray", "auto") == 3
    assert "retouchgpt[batch]" in capsys.readouterr().err


def test_a_case_survives_the_way_to_a_worker() -> None:
    case = Case("a", "b", "c", ({"text": "x", "plan": {}},))
    seen: list[Case] = []
    worker = batch_ray.RayWorker.__new__(batch_ray.RayWorker)
    worker._worker = lambda c: seen.append(c) or {"outcome": "done"}  # type: ignore[assignment, func-returns-value]
    from dataclasses import asdict

    assert json.loads(worker({"case": json.dumps(asdict(case))})["outcome"]) == {"outcome": "done"}
    assert seen == [case]
