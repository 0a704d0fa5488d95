"""The command line, in process with a tiny network: exit codes, one line on bad input, nothing written."""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from retouchgpt.apps import cli
from retouchgpt.apps.batch import OUTCOMES, Case, Settings, folder_cases, manifest_cases, remaining
from retouchgpt.apps.chat import completions
from retouchgpt.core.errors import BadData
from retouchgpt.core.plan import EditPlan
from retouchgpt.photo import files
from retouchgpt.session import RetouchGPT
from tests.fakes import Planner, Writer, acne_network


@pytest.fixture(autouse=True)
def tiny_model(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = RetouchGPT(acne_network(), Planner(), Writer())

    def understand(instruction: str, history: tuple[EditPlan, ...] = ()) -> EditPlan:
        return engine.planner.plan(instruction)

    monkeypatch.setattr(engine, "understand", understand)
    monkeypatch.setattr(RetouchGPT, "from_pretrained", classmethod(lambda cls, folder=None: engine))


@pytest.fixture
def photo(tmp_path: Path, portrait: Any) -> Path:
    path = tmp_path / "in" / "photo.png"
    path.parent.mkdir()
    Image.fromarray(portrait).save(path)
    return path


def run(capsys: Any, *arguments: object) -> tuple[int, str, str]:
    code = cli.main([str(a) for a in arguments])
    read = capsys.readouterr()
    return code, read.out, read.err


def test_retouch_writes_photo_mask_and_report(photo: Path, tmp_path: Path, capsys: Any, portrait: Any) -> None:
    out, mask, report = tmp_path / "o.png", tmp_path / "m.png", tmp_path / "r.json"
    code, stdout, stderr = run(
        capsys, "retouch", photo, "-i", "remove the acne", "-o", out, "--mask-out", mask, "--report", report
    )
    assert (code, stderr) == (0, "")
    assert stdout.startswith("retouch acne:face:")
    result, drawn = np.asarray(Image.open(out)), np.asarray(Image.open(mask))
    assert np.array_equal(result[drawn == 0], portrait[drawn == 0])
    assert (result != portrait).any()
    assert json.loads(report.read_text())["changed"] is True


def test_default_output_stands_beside_the_photo_and_is_never_replaced(photo: Path, capsys: Any) -> None:
    before = photo.read_bytes()
    assert run(capsys, "retouch", photo, "-i", "remove the acne")[0] == 0
    out = photo.with_name("photo_retouched.png")
    first = out.read_bytes()
    code, _, stderr = run(capsys, "retouch", photo, "-i", "undo")
    assert code == 3
    assert "exists already" in stderr
    assert out.read_bytes() == first
    assert photo.read_bytes() == before


def test_declined_is_done_with_unchanged_pixels(photo: Path, tmp_path: Path, capsys: Any, portrait: Any) -> None:
    code, stdout, _ = run(capsys, "retouch", photo, "-i", "make her nose smaller", "-o", tmp_path / "o.png")
    assert code == 0
    assert "shapes are never changed" in stdout
    assert np.array_equal(np.asarray(Image.open(tmp_path / "o.png")), portrait)


def huge_png(path: Path) -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def bad_photo(name: str, folder: Path, good: Path) -> Path:
    path = folder / f"{name}.png"
    if name == "text":
        path.write_text("hello")
    elif name == "truncated":
        path.write_bytes(good.read_bytes()[:5000])
    elif name == "empty":
        path.write_bytes(b"")
    elif name == "one_pixel":
        Image.new("RGB", (1, 1)).save(path)
    elif name == "no_face":
        Image.new("RGB", (300, 300), "grey").save(path)
    elif name == "small_face":
        with Image.open(good) as image:
            image.resize((256, 256), Image.Resampling.BOX).save(path)
    elif name == "huge":
        huge_png(path)
    elif name == "animated":
        frames = [Image.new("RGB", (64, 64), c) for c in ("red", "blue")]
        frames[0].save(path, save_all=True, append_images=frames[1:])
    return path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing", "no such file"),
        ("text", "not an image"),
        ("empty", "not an image"),
        ("truncated", "damaged"),
        ("one_pixel", "1x1"),
        ("no_face", "no face was found"),
        ("small_face", "at least 60 px"),
        ("huge", "400 megapixels"),
        ("animated", "2 frames"),
    ],
)
def test_bad_photos(name: str, words: str, photo: Path, tmp_path: Path, capsys: Any) -> None:
    bad = bad_photo(name, tmp_path, photo)
    before = sorted(tmp_path.rglob("*"))
    report = tmp_path / "report.json"
    code, stdout, stderr = run(capsys, "retouch", bad, "-i", "remove the acne", "--report", report)
    assert code == 3
    assert stdout == ""
    assert len(stderr.splitlines()) == 1
    assert words in stderr
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written"


@pytest.mark.parametrize(("text", "words"), [("", "empty"), ("  \n", "empty"), ("x" * 10_000, "10000 characters")])
def test_bad_instructions(text: str, words: str, photo: Path, capsys: Any) -> None:
    code, _, stderr = run(capsys, "retouch", photo, "-i", text)
    assert code == 3
    assert words in stderr
    assert len(stderr.splitlines()) == 1
    assert len(list(photo.parent.iterdir())) == 1


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", ".png"), ("P", ".png"), ("RGBA", ".png"), ("L", ".jpg"), ("CMYK", ".jpg")]
)
def test_grey_palette_alpha_and_cmyk_are_retouched_as_they_are(
    mode: str, suffix: str, photo: Path, tmp_path: Path, capsys: Any
) -> None:
    path, out = tmp_path / f"x{suffix}", tmp_path / f"y{suffix}"
    Image.open(photo).convert(mode).save(path)
    code, stdout, _ = run(capsys, "retouch", path, "-i", "remove the acne", "-o", out)
    assert code == 0
    assert Image.open(out).mode == ("RGB" if mode == "CMYK" else mode)
    assert ("CMYK" in stdout) == (mode == "CMYK")


def test_outputs_that_cannot_be_written(
    photo: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for out, words in ((tmp_path / "none" / "o.png", "does not exist"), (tmp_path / "o.bmp", "no format")):
        code, _, stderr = run(capsys, "retouch", photo, "-i", "remove the acne", "-o", out)
        assert code == 3
        assert words in stderr

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    code, _, stderr = run(capsys, "retouch", photo, "-i", "remove the acne", "-o", tmp_path / "o.png")
    assert code == 3
    assert "No space left" in stderr
    assert not list(tmp_path.glob("*o.png*"))


def test_wrong_usage_exits_with_two(photo: Path, capsys: Any) -> None:
    for arguments in (["retouch"], ["retouch", str(photo)], ["dance"], []):
        with pytest.raises(SystemExit) as caught:
            cli.main(arguments)
        assert caught.value.code == 2
    with pytest.raises(SystemExit) as caught:
        cli.main(["retouch", str(photo), "-i", "x", "--strength", "3"])
    assert caught.value.code == 2
    capsys.readouterr()


def test_our_own_fault_is_one_line_and_exits_with_one(photo: Path, capsys: Any) -> None:
    code, _, stderr = run(capsys, "retouch", photo, "-i", "words the fake planner does not know")
    assert code == 1
    assert len(stderr.splitlines()) == 1
    assert "KeyError" in stderr


def test_brush_of_another_size_is_named(photo: Path, tmp_path: Path, capsys: Any) -> None:
    Image.new("L", (100, 100), 255).save(tmp_path / "b.png")
    code, _, stderr = run(capsys, "retouch", photo, "-i", "remove the acne", "--brush", tmp_path / "b.png")
    assert code == 3
    assert "100x100" in stderr


def chat(lines: list[str], capsys: Any, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> list[str]:
    """What a scripted chat prints, line by line."""
    said = iter(lines)

    def read(prompt: str = "") -> str:
        try:
            return next(said)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", read)
    code, stdout, _ = run(capsys, "chat", *arguments)
    assert code == 0
    return stdout.splitlines()


def test_chat_shows_answer_and_picture_after_each_turn(
    photo: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "chat"
    script = [
        "what do you see?",
        "remove the acne",
        "what do you see?",
        "make her nose smaller",
        "undo",
        "",
        "quit",
        "undo",
    ]
    said = chat(script, capsys, monkeypatch, photo, "--out", out)
    assert sorted(p.name for p in out.iterdir()) == ["photo_turn1.png", "photo_turn2.png"]
    first, second = out / "photo_turn1.png", out / "photo_turn2.png"
    assert said[1::2] == [str(photo), str(first), str(first), str(first), str(second)]
    assert np.array_equal(np.asarray(Image.open(second)), np.asarray(Image.open(photo)))
    assert not np.array_equal(np.asarray(Image.open(first)), np.asarray(Image.open(photo)))


def test_chat_lists_history_and_keeps_the_session(
    photo: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, script = tmp_path / "s.json", tmp_path / "script.json"
    lines = ["history", "remove the acne", "a bit less", "history", f"export {script}", "help"]
    said = chat(lines, capsys, monkeypatch, photo, "--out", tmp_path / "a", "--session", kept)
    assert said[0] == "Nothing is in force."
    assert "1. remove the acne" in said
    assert json.loads(script.read_text())["turns"]
    assert any("Tab completes" in line for line in said)
    again = chat(["undo", "undo", "undo"], capsys, monkeypatch, photo, "--out", tmp_path / "b", "--session", kept)
    assert again[0] == "Going on after: remove the acne"
    assert any("nothing to undo" in line for line in again)


def test_chat_goes_on_after_a_mistake(
    photo: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = chat(["x" * 3000, "remove the acne"], capsys, monkeypatch, photo, "--out", tmp_path / "c")
    assert "3000" in said[0]
    assert said[-1] == str(tmp_path / "c" / "photo_turn1.png")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("un", ["undo"]),
        ("remove the ac", ["remove the acne, keep the freckles", "remove the acne"]),
        ("remove the moles on the left ch", ["remove the moles on the left cheek"]),
        ("Soften the dark", ["Soften the dark circles", "Soften the dark spots"]),
        ("remove the acne on the for", ["remove the acne on the forehead", "remove the acne on the forehead wrinkles"]),
        ("xyzzy", []),
    ],
)
def test_chat_completes(line: str, offered: list[str]) -> None:
    assert completions(line) == offered


def read_outcomes(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / OUTCOMES).read_text().splitlines()]


def test_batch_has_an_outcome_for_every_photo(photo: Path, tmp_path: Path, capsys: Any) -> None:
    (photo.parent / "sub").mkdir()
    (photo.parent / "sub" / "photo.png").write_bytes(photo.read_bytes())
    bad_photo("no_face", photo.parent, photo)
    bad_photo("text", photo.parent, photo)
    out = tmp_path / "out"
    code, stdout, _ = run(capsys, "batch", photo.parent, "--out", out, "-i", "remove the acne")
    assert code == 0
    assert stdout.strip() == "2 done, 0 unchanged, 2 refused"
    outcomes = {Path(o["image"]).relative_to(photo.parent).as_posix(): o for o in read_outcomes(out)}
    assert outcomes["sub/photo.png"]["outcome"] == "done"
    assert "no face" in outcomes["no_face.png"]["why"]
    assert (out / "sub" / "photo.png").exists()
    assert not (out / "no_face.png").exists()
    code, _, stderr = run(capsys, "batch", photo.parent, "--out", out, "-i", "remove the acne")
    assert code == 3
    assert "--resume" in stderr
    done = (out / "photo.png").stat().st_mtime_ns
    assert run(capsys, "batch", photo.parent, "--out", out, "-i", "remove the acne", "--resume")[0] == 0
    assert (out / "photo.png").stat().st_mtime_ns == done
    assert len(read_outcomes(out)) == 4


def test_batch_unchanged_says_why(photo: Path, tmp_path: Path, capsys: Any) -> None:
    run(capsys, "batch", photo, "--out", tmp_path / "out", "-i", "make her nose smaller")
    (outcome,) = read_outcomes(tmp_path / "out")
    assert outcome["outcome"] == "unchanged"
    assert "shapes" in outcome["why"]


def test_resume_forgets_a_line_that_was_cut_short(tmp_path: Path) -> None:
    cases = [Case(f"{i}.png", "x", f"out/{i}.png") for i in range(3)]
    log = tmp_path / OUTCOMES
    whole = json.dumps({"image": "0.png", "instruction": "x", "out": "out/0.png", "outcome": "done"})
    log.write_text(whole + '\n{"image": "1.p')
    assert remaining(cases, log) == cases[1:]
    assert log.read_text() == whole + "\n"


def test_manifest_paths_and_errors(tmp_path: Path) -> None:
    manifest = tmp_path / "cases.jsonl"
    manifest.write_text('{"image": "a.jpg", "instruction": "remove the acne", "out": "x/b.jpg"}\n\n')
    (case,) = manifest_cases(manifest, tmp_path / "out")
    assert case == Case(str(tmp_path / "a.jpg"), "remove the acne", str(tmp_path / "out" / "x" / "b.jpg"))
    manifest.write_text('{"image": "a.jpg"}\n')
    with pytest.raises(BadData, match="line 1"):
        manifest_cases(manifest, tmp_path)
    with pytest.raises(BadData, match="cannot read"):
        manifest_cases(tmp_path / "none.jsonl", tmp_path)


def test_inputs_of_one_name_never_share_an_output(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.png").write_bytes(b"0")
    cases = list(folder_cases([str(tmp_path / "a"), str(tmp_path / "b")], "x", tmp_path / "out"))
    assert [Path(c.out).name for c in cases] == ["x.png", "x_2.png"]
    found = list(folder_cases([str(tmp_path / "*" / "*.png")], "x", tmp_path / "out"))
    assert len(found) == 2
    assert next(iter(folder_cases([str(tmp_path / "none.png")], "x", tmp_path / "out"))).image.endswith("none.png")


def test_settings_and_cases_are_plain_values() -> None:
    assert json.dumps(Settings(None, "all", 1.0, 1).__dict__)
    assert os.path.basename(Case("a", "b", "c").image) == "a"  # noqa: PTH119


def test_version_and_help(capsys: Any) -> None:
    for flag in ("--version", "--help"):
        with pytest.raises(SystemExit) as caught:
            cli.main([flag])
        assert caught.value.code == 0
    assert "retouch" in capsys.readouterr().out


def test_layers_flatten_to_the_output_and_an_edited_mask_is_obeyed(photo: Path, tmp_path: Path, capsys: Any) -> None:
    import psdtags
    import tifffile

    out, layered = tmp_path / "o.png", tmp_path / "l.tif"
    arguments = ("retouch", photo, "-i", "remove the acne", "-o")
    assert run(capsys, *arguments, out, "--layers", layered)[0] == 0
    result, original = np.asarray(Image.open(out)), np.asarray(Image.open(photo))
    assert np.array_equal(files.open_photo(layered).pixels, result)
    source = psdtags.TiffImageSourceData.fromtiff(layered)
    assert [layer.name for layer in source.layers] == ["Original", "acne"]
    drawn = source.layers[1].channels[-1].data
    drawn[: len(drawn) // 2] = 0
    edited, again = tmp_path / "e.tif", tmp_path / "again.png"
    tifffile.imwrite(edited, result, photometric="rgb", metadata=None, byteorder="<", extratags=[source.tifftag()])
    assert run(capsys, *arguments, again, "--brush", edited)[0] == 0
    middle = source.layers[1].rectangle.offset[0] + len(drawn) // 2
    second = np.asarray(Image.open(again))
    assert np.array_equal(second[: middle - 8], original[: middle - 8])
    assert (second[middle + 8 :] != original[middle + 8 :]).any()
    code, _, stderr = run(capsys, *arguments, tmp_path / "x.png", "--layers", tmp_path / "l.jpg")
    assert code == 3
    assert ".psd" in stderr
    assert not (tmp_path / "x.png").exists()


def test_a_note_of_the_edit_is_written_unless_told_otherwise(photo: Path, tmp_path: Path, capsys: Any) -> None:
    for name, more in (("noted.png", ()), ("plain.png", ("--no-note",))):
        assert run(capsys, "retouch", photo, "-i", "remove the acne", "-o", tmp_path / name, *more)[0] == 0
    assert b"remove the acne" in (files.open_photo(tmp_path / "noted.png").xmp or b"")
    assert files.open_photo(tmp_path / "plain.png").xmp is None
    run(capsys, "retouch", photo, "-i", "make her nose smaller", "-o", tmp_path / "declined.png")
    assert files.open_photo(tmp_path / "declined.png").xmp is None
    run(capsys, "batch", photo, "--out", tmp_path / "out", "-i", "remove the acne")
    assert b"trainedAlgorithmicMedia".lower() in (files.open_photo(tmp_path / "out" / "photo.png").xmp or b"").lower()


def test_outputs_never_land_on_one_another_or_on_the_photo(photo: Path, tmp_path: Path, capsys: Any) -> None:
    before, out = photo.read_bytes(), tmp_path / "o.png"
    (tmp_path / "link.png").symlink_to(photo)
    arguments = ("retouch", photo, "-i", "remove the acne", "-o", out, "--overwrite")
    for more in (
        ("--mask-out", out), ("--mask-out", photo), ("--mask-out", tmp_path / "link.png"), ("--report", photo),
        ("--mask-out", tmp_path / "m.png", "--faces-out", tmp_path / "m.png"),
    ):  # fmt: skip
        code, _, stderr = run(capsys, *arguments, *more)
        assert code == 3
        assert "has this name" in stderr
    assert photo.read_bytes() == before
    assert not out.exists()


def test_evaluate_writes_a_report_and_names_what_is_missing(
    faces_folder: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retouchgpt.evaluation import evaluate as module
    from retouchgpt.evaluation.methods import UNTOUCHED, untouched

    monkeypatch.setattr(module, "chosen_methods", lambda recipe, engine: {UNTOUCHED: untouched})
    recipe = tmp_path / "quick.yaml"
    recipe.write_text("name: quick\ndraws: 5\nlpips: ''\n")
    code, stdout, stderr = run(capsys, "evaluate", recipe, "--faces", faces_folder, "--out", tmp_path / "out")
    assert (code, stderr) == (0, "")
    assert "| input untouched |" in stdout
    assert (tmp_path / "out" / "report.html").read_text().startswith("<!doctype html>")
    code, _, stderr = run(capsys, "evaluate", recipe)
    assert (code, stderr.count("\n")) == (3, 1)
    assert "--faces" in stderr
    code, _, stderr = run(capsys, "evaluate", tmp_path / "none.yaml", "--faces", faces_folder)
    assert (code, stderr.count("\n")) == (3, 1)
    assert "no such recipe" in stderr


def test_steps_are_written_and_the_last_is_the_photo(photo: Path, tmp_path: Path, capsys: Any) -> None:
    out, folder = tmp_path / "o.png", tmp_path / "steps"
    code, stdout, stderr = run(capsys, "retouch", photo, "-i", "remove the acne", "-o", out, "--steps", folder)
    assert (code, stderr) == (0, "")
    assert "no agent lies beside these weights" in stdout
    written = sorted(folder.iterdir())
    assert [p.name for p in written] == [f"step_{n}.png" for n in range(1, len(written) + 1)]
    assert 1 < len(written) <= 3
    assert np.array_equal(np.asarray(Image.open(written[-1])), np.asarray(Image.open(out)))
    assert not np.array_equal(np.asarray(Image.open(written[0])), np.asarray(Image.open(out)))
    code, _, stderr = run(
        capsys, "retouch", photo, "-i", "remove the acne", "-o", tmp_path / "p.png", "--steps", folder
    )
    assert code == 3
    assert "exists already" in stderr
    again = ("-o", out, "--steps", folder, "--step-count", 1, "--overwrite")
    code, _, _ = run(capsys, "retouch", photo, "-i", "remove the acne", *again)
    assert code == 0
    assert [p.name for p in folder.iterdir()] == ["step_1.png"]
    code, _, stderr = run(
        capsys, "retouch", photo, "-i", "remove the acne", "-o", tmp_path / "q.png", "--steps", tmp_path / "no" / "dir"
    )
    assert (code, stderr.count("\n")) == (3, 1)
    assert not (tmp_path / "q.png").exists()
    code, stdout, _ = run(capsys, "retouch", photo, "-i", "undo", "-o", tmp_path / "u.png", "--steps", tmp_path / "s2")
    assert code == 0
    assert "no step" in stdout
