"""README.md and docs: every command shown is run, or where it cannot be here, parsed; the site builds, and is whole.

Commands run in a folder of stand-ins, in this process, with a tiny network beside the shipped language; the pictures of
docs/concepts.md are made with the same. Whatever is parsed only stands in PARSED with the reason.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from retouchgpt.apps import cli, web
from retouchgpt.core.geometry import Extent
from retouchgpt.data.cache import paint_ahead
from retouchgpt.data.portrait import PAINTED
from retouchgpt.photo.faces import number
from retouchgpt.photo.files import Photo
from retouchgpt.session import RetouchGPT
from tests import clips, serving, tiny_weights
from tests.documented import PAGES, ROOT, fenced, inline, python, variants

PARSED = {
    r"retouchgpt train recipes/": "the shipped recipes train for hours; RECIPE, a tiny one, is run",
    r"retouchgpt batch s3://": "needs a bucket and a Ray cluster; test_batch has stand-ins of both",
    r"python -m retouchgpt\.evaluation\.(ablations|crops|release|stepwise|throughput|video)": "long; tiny in tests",
    r"python -m retouchgpt\.evaluation\.calibrate ": "minutes; tiny in tests/evaluation/test_calibrate.py",
    r"python -m retouchgpt\.data\.pair_index ": "need the data sets; tests/data/test_pair_index.py has small ones",
    r"python -m retouchgpt\.evaluation\.gpu ": "needs a card; tests/evaluation has a stand-in",
    r"retouchgpt bench .*--native": "needs faces of 768 px; run small in tests/evaluation/test_benchmark.py",
    r"retouchgpt bench speed ": "minutes; run small in tests/evaluation/test_speed.py",
    r"python -m retouchgpt\.training\.(average|beard|differences|ratio_start|reinforcement) ": "tiny in tests/training",
}
"""Fenced commands that are parsed only, and why."""
PLACES = {
    "TEXT": "remove the acne", "PHOTO": "portrait.jpg", "INPUT": "portrait.jpg", "CLIP": "clip.mp4", "OUT": "out.png",
    "N": "1", "0..1": "0.5", "ADDRESS": "local", "S": "1", "...": "clean up",
}  # fmt: skip
"""What stands in the place of a name that a page leaves to the reader."""
SHORTER = {"--count": "2", "--workers": "1"}
"""Numbers that would only take longer."""
TINY_TRAINING = """
name: tiny
size: tiny
crop: 64
batch: 2
repair_batch: 1
steps: 2
restart: 2
warmup: 1
precision: "no"
validate_every: 100
save_every: 2
workers: 0
threads: 1
"""
QUICK_EVALUATION = """
name: quick
draws: 2
sheets: 0
lpips: ""
tokens: 0
answers: false
absent: 0
methods: [input untouched]
"""
"""What stands in the place of RECIPE."""


class Parsed(Exception):
    """A command's arguments were accepted."""


class Anyone:
    """Her mesh as often as a photo is wide, and where she is in a clip's small frames: a finder that costs nothing."""

    def __init__(self, portrait: Any, mesh: Any) -> None:
        self.mesh, self.in_clip = mesh, clips.Spotter(portrait, mesh)

    def find(self, rgb: Any) -> list[Any]:
        height, width = rgb.shape[:2]
        side = min(height, width)
        if side < 512:
            return self.in_clip.find(rgb)
        meshes = [self.mesh / 512 * side + (x, 0) for x in range(0, width - side + 1, side)]
        return number([m.astype(np.float32) for m in meshes], Extent(width, height))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, portrait: Any, portrait_landmarks: Any) -> RetouchGPT:
    folder = tiny_weights.write(tmp_path_factory.mktemp("weights"))
    return RetouchGPT.from_pretrained(folder, finder=Anyone(portrait, portrait_landmarks))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, portrait: Any, portrait_landmarks: Any) -> Path:
    return clips.write(tmp_path_factory.mktemp("clip") / "clip.mp4", clips.moving(portrait, portrait_landmarks), 2)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, faces_folder: Path) -> Path:
    return paint_ahead(faces_folder, tmp_path_factory.mktemp("painted") / "CACHE", 2, seed=1)


@pytest.fixture
def place(
    tmp_path: Path, faces_folder: Path, portrait: Any, clip: Path, cache: Path, engine: RetouchGPT,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Path]:  # fmt: skip
    """The folder that a page's commands run in, with whatever they name, and a model that costs little."""
    photo = Image.fromarray(portrait)
    for name in ("portrait.jpg", "PHOTOS/a/one.jpg", "2024/may/two.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        photo.save(tmp_path / name)
    Image.fromarray(np.hstack([portrait, portrait])).save(tmp_path / "group.jpg")
    Image.fromarray(np.full(portrait.shape[:2], 255, np.uint8)).save(tmp_path / "B.png")
    shutil.copyfile(clip, tmp_path / "clip.mp4")
    for name in ("FACES", "FACES/train", "FACES/val"):
        shutil.copytree(faces_folder, tmp_path / name)
    shutil.copytree(cache, tmp_path / "CACHE")
    (tmp_path / "docs" / "images").mkdir(parents=True)
    for name in ("recipes", "src", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    case = {"image": "portrait.jpg", "instruction": "remove the acne", "out": "case.jpg"}
    for name in ("cases.jsonl", "CASES.jsonl"):
        (tmp_path / name).write_text(json.dumps(case) + "\n")
    (tmp_path / "TOKEN").write_text("a" * 32)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RETOUCHGPT_TOKEN", raising=False)
    monkeypatch.setattr(RetouchGPT, "from_pretrained", classmethod(lambda cls, folder=None, **more: engine))
    session = engine.open(portrait)
    session.instruct("remove the acne")
    session.export(tmp_path / "look.json")
    ends(monkeypatch)
    before = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, before)


def ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that end as soon as they are up, one method for the bench, and a portrait that is not painted anew."""
    import skimage.data
    import uvicorn

    from retouchgpt.evaluation import benchmark, boxes
    from retouchgpt.evaluation.methods import UNTOUCHED, untouched

    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)  # more of them only spin beside a tiny network
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets=None: self.config.load())
    listen = web.listen
    monkeypatch.setattr(web, "listen", lambda port: listen(0))
    monkeypatch.setattr(benchmark, "rows", lambda network, speak, plain: {UNTOUCHED: untouched})
    photo = Photo(path=Path("astronaut.png"), pixels=skimage.data.astronaut(), format="PNG", mode="RGB")
    monkeypatch.setattr(boxes, "painted_astronaut", lambda: photo)


def filled(arguments: list[str]) -> list[str]:
    """Arguments with stand-ins for what a page leaves to the reader."""
    out = [PLACES.get(a, a) for a in arguments]
    if out[:2] == ["retouchgpt", "video"]:
        out = ["out.mp4" if a == "out.png" else a for a in out]
    for i, a in enumerate(out[:-1]):
        out[i + 1] = SHORTER.get(a, out[i + 1])
    if out[0] == "retouchgpt" and out[1] in ("train", "evaluate") and out[2] in ("RECIPE", "recipes/evaluate.yaml"):
        Path("RECIPE").write_text(TINY_TRAINING if out[1] == "train" else QUICK_EVALUATION)
        out[2] = "RECIPE"
    return out


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run one command, or look at what it names where nothing of it runs here."""
    program, rest = arguments[0], arguments[1:]
    if program == "retouchgpt":
        monkeypatch.setattr(sys, "stdin", io.StringIO("remove the acne\nwhat do you see?\n"))
        assert cli.main(rest) == 0
    elif program == "python":
        assert (importlib.import_module(rest[1]).main(rest[2:]) or 0) == 0
    elif program == "curl":
        subprocess.run([curl(), "-sSf", "--max-time", "60", *rest], check=True)
    else:
        assert program in ("make", "pip")
        parsed([program, *rest], monkeypatch)


def curl() -> str:
    found = shutil.which("curl")
    if found is None and os.environ.get("CI"):
        pytest.fail("the docs' tests need curl: apt-get install curl")
    return found or pytest.skip("the docs' tests need curl: apt-get install curl")


def parsed(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a command would be accepted; nothing is done."""
    program, rest = arguments[0], arguments[1:]
    if program == "retouchgpt" and len(rest) == 1:
        assert rest[0] in cli.COMMANDS
    elif program == "retouchgpt":
        options = cli.parser().parse_args(rest)
        if rest[0] == "train":
            module_accepts("retouchgpt.training.__main__", options.arguments, monkeypatch)
    elif program == "python" and rest[0] == "-c":
        compile(rest[1], "shown", "exec")
    elif program == "python":
        module_accepts(rest[1], rest[2:], monkeypatch)
    elif program == "make":
        subprocess.run(["make", "-n", *rest], cwd=ROOT, check=True, capture_output=True)
    elif program == "pip" and rest[0] == "install":
        project = (ROOT / "pyproject.toml").read_text()
        for name in re.findall(r"\[(\w+)\]", " ".join(rest)):
            assert f"\n{name} = [" in project, f"no extra {name}"
    elif program == "docker":
        assert rest == ["compose", "up"]
        assert yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    else:
        assert (program, rest[0]) in {("pip", "freeze"), ("ssh", "-L")}


def module_accepts(name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the parser of a module's main takes these arguments."""
    parse = argparse.ArgumentParser.parse_args

    def only(self: argparse.ArgumentParser, args: Any = None, namespace: Any = None) -> Any:
        raise Parsed(parse(self, args, namespace))

    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", only)
        patch.setattr(sys, "argv", [name, *arguments])
        with pytest.raises(Parsed):
            importlib.import_module(name).main()


def only_parsed(command: str) -> bool:
    return any(re.match(pattern, command) for pattern in PARSED)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [p for p in PAGES if fenced(p)], ids=named)
def test_commands_in_blocks_run(page: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    shown = [variants(command)[0] for command in fenced(page) if not only_parsed(command)]
    if any("retouchgpt.data.cache" in arguments for arguments in shown):
        shutil.rmtree("CACHE")  # the page makes it
    if not any(a[0] == "curl" for a in shown):
        for arguments in shown:
            print(">", *arguments)
            run(filled(arguments), monkeypatch)
        return
    for arguments in shown:
        if arguments[0] != "curl":
            run(filled(arguments), monkeypatch)
    monkeypatch.undo()  # a real server, and the folder is left, so that curl is told where
    monkeypatch.chdir(place)
    (place / "work").mkdir()
    with serving.live(place / "work", serving.Limits()) as address:
        session = "ID"
        for arguments in (a for a in shown if a[0] == "curl"):
            now = [a.replace("http://127.0.0.1:8000", address).replace("/ID/", f"/{session}/") for a in arguments[1:]]
            done = subprocess.run([curl(), "-sSf", "--max-time", "60", *now], check=True, capture_output=True)
            session = json.loads(done.stdout)["id"] if session == "ID" else session
    assert (place / "retouched.jpg").stat().st_size > 10_000


@pytest.mark.parametrize("page", [p for p in PAGES if fenced(p) or inline(p)], ids=named)
def test_every_command_and_each_of_its_alternatives_is_accepted(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (*fenced(page), *inline(page)):
        for arguments in variants(command):
            if arguments[0] == "curl":
                continue  # run
            try:
                parsed(filled(arguments), monkeypatch)
            except SystemExit as error:
                raise AssertionError(f"{named(page)} shows what is refused: {' '.join(arguments)}") from error


@pytest.mark.parametrize("page", [p for p in PAGES if python(p)], ids=named)
def test_python_blocks_run(page: Path, place: Path) -> None:
    for block in python(page):
        exec(compile(block, named(page), "exec"), {"__name__": "shown"})


def test_what_is_excused_is_shown_somewhere() -> None:
    shown = [command for page in PAGES for command in fenced(page)]
    for pattern in PARSED:
        assert any(re.match(pattern, command) for command in shown), f"no page shows {pattern} any more"


@pytest.mark.parametrize(
    "wrong", ["retouchgpt retouch PHOTO", "retouchgpt plan TEXT --no-such", "python -m retouchgpt.evaluation.language",
              "retouchgpt train RECIPE --data"],
)  # fmt: skip
def test_a_wrong_command_would_be_seen(wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        parsed(filled(variants(wrong)[0]), monkeypatch)


def test_a_synopsis_stands_for_its_alternatives() -> None:
    assert variants("retouchgpt x IN... [--a A] (-i T | --m M) [--f all|N|\"the one\"]") == [
        ["retouchgpt", "x", "IN", "--a", "A", "-i", "T", "--f", "all"],
        ["retouchgpt", "x", "IN", "-i", "T"],
        ["retouchgpt", "x", "IN", "--a", "A", "--m", "M", "--f", "all"],
        ["retouchgpt", "x", "IN", "--a", "A", "-i", "T", "--f", "N"],
        ["retouchgpt", "x", "IN", "--a", "A", "-i", "T", "--f", "the one"],
    ]  # fmt: skip


def test_pictures_of_the_concepts_are_small_and_all_shown() -> None:
    from retouchgpt.evaluation.boxes import BOXES, INSTRUCTION

    page = (ROOT / "docs" / "concepts.md").read_text()
    assert INSTRUCTION in page
    assert set(PAINTED) <= {"acne", "spots", "moles"}, "the page says what is painted"
    for name in BOXES:
        path = ROOT / "docs" / "images" / f"box_{name}.jpg"
        assert path.stat().st_size < 150_000
        assert cv2.imread(str(path)) is not None
        assert f"(images/{path.name})" in page


REMOTE = re.compile(
    r"<(?:script|link|img|iframe|source|object|embed)\b[^>]*?(?:src|href|data)=[\"']?((?:https?:)?//[^\"' >]+)"
)


def test_the_site_builds_without_a_warning_and_loads_nothing_remote(tmp_path: Path) -> None:
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    pages = list(site.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        text = page.read_text()
        assert not REMOTE.findall(text), page
        assert 'class="mermaid' not in text, "its script would come from another place"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import )[\"']?(?:https?:)?//", sheet.read_text()), sheet
    for name in ("retouchgpt.session.session.Session.instruct", "retouchgpt.core.plan.EditPlan"):
        assert any(f'id="{name}"' in page.read_text() for page in pages), f"no reference of {name}"
