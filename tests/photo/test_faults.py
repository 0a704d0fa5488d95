"""Faults while writing: the original stays whole, nothing half-written bears a photo's name, and one line says why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retouchgpt.core.errors import NotAnImage, OutputNotWritable
from retouchgpt.photo import files
from retouchgpt.photo.files import FORMATS, open_photo, save_photo

PIXELS = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)


@pytest.fixture
def original(tmp_path: Path) -> Path:
    Image.fromarray(PIXELS).save(tmp_path / "in.png")
    return tmp_path / "in.png"


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)


FULL = """
import resource, sys
from pathlib import Path
from retouchgpt.core.errors import OutputNotWritable
from retouchgpt.core.geometry import Box
from retouchgpt.photo.files import FORMATS, open_photo, save_photo
from retouchgpt.photo.layers import SUFFIXES, save_layers

folder = Path(sys.argv[1])
photo = open_photo(folder / "in.png")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))  # no file may grow beyond 1000 bytes
for suffix in FORMATS:
    try:
        save_photo(photo, 255 - photo.pixels, folder / f"out{suffix}")
    except OutputNotWritable as error:
        print(suffix, error)
for suffix in SUFFIXES:
    try:
        save_layers(photo, 255 - photo.pixels, (), folder / f"layers{suffix}")
    except OutputNotWritable as error:
        print(suffix, error)
try:
    save_photo(photo, 255 - photo.pixels, folder / "in.png", overwrite=True)
except OutputNotWritable as error:
    print("same", error)
"""


def test_a_full_disk_in_every_format(original: Path) -> None:
    before = original.read_bytes()
    run = python(FULL, original.parent)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [*FORMATS, ".tif", ".tiff", ".psd", "same"]
    assert all("cannot write" in line for line in lines)
    assert list(original.parent.iterdir()) == [original]
    assert original.read_bytes() == before


KILLED = """
import os, signal, sys
from pathlib import Path
from retouchgpt.photo import files

photo = files.open_photo(sys.argv[1])
files.os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGKILL)
files.save_photo(photo, 255 - photo.pixels, sys.argv[1], overwrite=True)
"""


def test_a_kill_in_the_middle_leaves_the_original_and_is_cleaned_up(original: Path) -> None:
    before = original.read_bytes()
    assert python(KILLED, original).returncode == -signal.SIGKILL
    assert original.read_bytes() == before
    (part,) = [p for p in original.parent.iterdir() if p != original]
    assert part.name.startswith("."), "hidden, and of no photo's suffix"
    assert part.suffix not in FORMATS
    machine, rest = part.name.removeprefix(files.PARTIAL).split("-", 1)
    foreign = part.with_name(f"{files.PARTIAL}{machine[::-1]}z-{rest}")
    running = part.with_name(f"{files.PARTIAL}{machine}-{os.getpid()}-0.partial")
    for other in (foreign, running):
        other.touch()
    photo = open_photo(original)
    save_photo(photo, photo.pixels, original.with_name("a.png"))
    assert not part.exists(), "who wrote it has ended"
    assert foreign.exists(), "another machine might still write it"
    assert running.exists(), "this process might still write it"
    os.utime(foreign, (0, 0))
    save_photo(photo, photo.pixels, original.with_name("b.png"))
    assert not foreign.exists()


def test_a_read_only_folder(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo, closed = open_photo(original), tmp_path / "closed"
    closed.mkdir(mode=0o555)
    if os.geteuid() == 0:  # who may write everywhere: answer as the system answers others
        monkeypatch.setattr(files.os, "access", lambda path, mode: Path(path) != closed)
    with pytest.raises(OutputNotWritable, match="read-only"):
        save_photo(photo, photo.pixels, closed / "out.png")
    with pytest.raises(OutputNotWritable):
        save_photo(photo, photo.pixels, "/proc/out.png")
    assert not list(closed.iterdir())


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_empty_files_and_odd_names(suffix: str, original: Path, tmp_path: Path) -> None:
    empty = tmp_path / f"empty{suffix}"
    empty.touch()
    with pytest.raises(NotAnImage):
        open_photo(empty)
    photo = open_photo(original)
    for name in (
        "ü \N{CJK UNIFIED IDEOGRAPH-4EBA} 'quoted' \N{GRINNING FACE}",
        "x" * (255 - len(suffix)),
        "-i",
        "a\nb",
    ):
        out = tmp_path / f"{name}{suffix}"
        save_photo(photo, photo.pixels, out)
        assert open_photo(out).extent == photo.extent
    link = tmp_path / f"link{suffix}"
    link.symlink_to(tmp_path / f"new{suffix}")
    save_photo(photo, photo.pixels, link)
    assert link.is_symlink()
    assert open_photo(tmp_path / f"new{suffix}").extent == photo.extent
