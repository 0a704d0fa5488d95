"""The weights that ship, end to end on the public-domain portrait, with the network cut off."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut

from retouchgpt.apps import cli
from retouchgpt.core.errors import WeightsAltered, WeightsMismatch, WeightsMissing
from retouchgpt.model.checkpoint import from_pretrained, shipped
from retouchgpt.session import RetouchGPT

pytestmark = pytest.mark.slow
LIMIT_MB = 25


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.fixture(scope="module")
def model() -> RetouchGPT:
    return RetouchGPT.from_pretrained()


def test_weights_fit_their_budget_and_have_a_card() -> None:
    total = sum(p.stat().st_size for p in shipped().rglob("*") if p.is_file())
    assert total < LIMIT_MB * 1e6
    card = (shipped() / "MODEL_CARD.md").read_text()
    for heading in ("Intended use", "Training data", "Results", "Risks", "Licence"):
        assert heading in card


@torch.inference_mode()
def test_every_level_of_the_encoder_sees() -> None:
    picture = astronaut()[:256, 96:352]
    image = torch.from_numpy(picture.transpose(2, 0, 1).copy())[None].float() / 255
    features = from_pretrained().encode(torch.nn.functional.interpolate(image, scale_factor=2, mode="bilinear"))
    for level, seen in enumerate(features.maps):
        assert float(seen.std((0, 2, 3)).median()) > 0.1, f"level {level} is alike everywhere, as it once was"


def test_demo_removes_paint_and_says_so(tmp_path: Path, capsys: Any) -> None:
    assert cli.main(["demo", "--out", str(tmp_path)]) == 0
    words = capsys.readouterr()
    assert words.err == ""
    assert "Answer:" in words.out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["changed"] is True
    done = {o["imperfection"] for o in report["faces"][0]["edited"] if o["area_px"] > 0}
    assert done & {"acne", "spots"}
    mask = np.asarray(Image.open(tmp_path / "mask.png"))
    after = np.asarray(Image.open(tmp_path / "retouched.png"))
    assert mask.shape == after.shape[:2]
    left, right = np.split(np.asarray(Image.open(tmp_path / "before_after.png")), 2, axis=1)
    assert (left != right).any()
    assert 0 < (left != right).any(2).mean() < 0.2


def test_the_repair_is_nearer_to_the_clean_portrait(model: RetouchGPT) -> None:
    from retouchgpt.apps.demo import INSTRUCTION
    from retouchgpt.data.portrait import clean_astronaut, painted_astronaut

    clean, painted = clean_astronaut().astype(int), painted_astronaut()
    result = model.open(painted).instruct(INSTRUCTION)
    where = result.mask > 0
    before = np.abs(painted.pixels.astype(int) - clean)[where].sum()
    after = np.abs(result.image.astype(int) - clean)[where].sum()
    assert after < before


@pytest.mark.parametrize("text", ["make her nose smaller", "whiten her skin", "delete the background"])
def test_outside_the_job_is_declined_with_unchanged_pixels(text: str, model: RetouchGPT, portrait: Any) -> None:
    result = model.open(portrait).instruct(text)
    assert result.plan.intent == "decline"
    assert np.array_equal(result.image, portrait)
    assert result.answer


def test_another_instruction_gives_other_control_maps_and_other_pixels(model: RetouchGPT) -> None:
    """The LLM's hidden states drive G_ctrl: same mask, another sentence."""
    from retouchgpt.data.portrait import painted_astronaut
    from retouchgpt.session.face import look, merged, repair, select

    photo = painted_astronaut()
    seen = look(model.network, photo.pixels, model.finder.find(photo.pixels)[0])
    where = merged([select(model.network, seen, model.understand("remove the acne"), None)])
    one, two = (
        repair(model.network, seen, where, model.dialogue(text))
        for text in ("remove the acne", "Could you please soften the dark circles under both eyes a little?")
    )
    assert one is not None
    assert two is not None
    assert np.abs(one.correction - two.correction).max() > 1 / 255


def copy_weights(folder: Path) -> Path:
    import shutil

    shutil.copytree(shipped(), folder / "w")
    return folder / "w"


def test_missing_altered_and_foreign_weights_are_refused_in_one_line(
    tmp_path: Path, portrait: Any, capsys: Any
) -> None:
    photo = tmp_path / "p.png"
    Image.fromarray(portrait).save(photo)
    folder = copy_weights(tmp_path)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for damage, error in (("missing", WeightsMissing), ("altered", WeightsAltered), ("format", WeightsMismatch)):
        if damage == "missing":
            weights.unlink()
        elif damage == "altered":
            weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        else:
            weights.write_bytes(whole)
            config = folder / "config.json"
            config.write_text(config.read_text().replace('"format": 1', '"format": 99'))
        with pytest.raises(error):
            RetouchGPT.from_pretrained(folder)
        code = cli.main(["retouch", str(photo), "-i", "remove the acne", "--weights", str(folder)])
        read = capsys.readouterr()
        assert code == 3
        assert len(read.err.splitlines()) == 1
        assert not (tmp_path / "p_retouched.png").exists()


def command(*arguments: str, text: str | None = None) -> Any:
    import subprocess
    import sys

    code = "import sys; from retouchgpt.apps.cli import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run([sys.executable, "-c", code, *arguments], input=text, capture_output=True, text=True)


def test_plan_reads_one_a_line_and_writes_one_json_a_line() -> None:
    done = command("plan", "-", "--json", text="remove the acne on the left cheek\nmake her nose smaller\n\n")
    plans = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert plans[0]["edits"] == [{"imperfection": "acne", "region": "left_cheek", "strength": 1.0}]
    assert [p["intent"] for p in plans] == ["retouch", "decline", "decline"]
    assert done.stderr == ""


def test_batch_with_two_processes_gives_what_one_gives(tmp_path: Path) -> None:
    from retouchgpt.data.portrait import painted_astronaut

    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a", "b", "c"):
        Image.fromarray(painted_astronaut(1).pixels).save(photos / f"{name}.png")
    (photos / "bad.png").write_text("not an image")
    outs = {}
    for workers in ("1", "2"):
        out = tmp_path / f"out{workers}"
        done = command("batch", str(photos), "--out", str(out), "-i", "Remove all imperfections.", "--workers", workers)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in (out / "outcomes.jsonl").read_text().splitlines()]
        outs[workers] = {Path(o["image"]).name: o["outcome"] for o in lines}
    assert outs["1"] == outs["2"]
    assert outs["1"]["bad.png"] == "refused"
    for name in ("a.png", "b.png", "c.png"):
        one, two = (np.asarray(Image.open(tmp_path / f"out{w}" / name)).astype(int) for w in ("1", "2"))
        assert np.abs(one - two).max() <= 1, "each process has half the threads, which may round a sum otherwise"
        assert (one != two).any(2).mean() < 0.01
