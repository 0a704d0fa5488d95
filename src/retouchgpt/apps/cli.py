"""The command line. Each command's work, and whatever is heavy to import, stays in its own module.

Exit codes: 0 done (also when nothing needed doing), 2 wrong usage, 3 unusable input, 1 our fault.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from retouchgpt import __version__
from retouchgpt.core.errors import RetouchError

COMMANDS: dict[str, tuple[str, str]] = {
    "retouch": ("retouchgpt.apps.retouch", "retouch one photo by an instruction"),
    "plan": ("retouchgpt.apps.plan", "show what an instruction is understood as, without a photo"),
    "chat": ("retouchgpt.apps.chat", "a dialogue about one photo, with undo and redo"),
    "batch": ("retouchgpt.apps.batch", "retouch folders or a manifest of photos"),
    "web": ("retouchgpt.apps.web", "the web app, on this computer's own address"),
    "video": ("retouchgpt.apps.video", "retouch a clip: faces followed, sound and times kept"),
    "demo": ("retouchgpt.apps.demo", "retouch a public-domain portrait, or your own, and show before and after"),
    "serve": ("retouchgpt.apps.server", "serve sessions and batch jobs over HTTP"),
    "bench": ("retouchgpt.apps.bench", "measure quality on painted faces, or speed"),
    "evaluate": ("retouchgpt.apps.evaluate", "every measure with its interval, as Markdown and HTML"),
    "train": ("retouchgpt.apps.train", "train, or go on training, a recipe"),
}


BRUSH = "a mask of the photo's size, or a layered .tif or .psd with masks: edit inside its white, and nowhere else"


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; building it imports no command."""
    top = argparse.ArgumentParser(
        prog="retouchgpt",
        description="Portrait retouching by plain language: a photo and a sentence in, a photo and a true answer out.",
    )
    top.add_argument("--version", action="version", version=f"retouchgpt {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, summary) in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=summary)
        ARGUMENTS[name](sub)
        sub.add_argument("--debug", action="store_true", help="show where an error came from")
    return top


def _photo_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("photo", help="JPEG, PNG, TIFF, WebP, HEIC or AVIF")
    _model_arguments(sub)
    which = 'largest, all, a number from 1, or a place: "the woman on the right" (default: largest)'
    sub.add_argument("--face", default="largest", help=which)


def _model_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--weights", help="folder or hub id of other weights than those that ship")


def _retouch(sub: argparse.ArgumentParser) -> None:
    _photo_arguments(sub)
    sub.add_argument("-i", "--instruction", required=True, help='for example "remove the acne on the left cheek"')
    sub.add_argument("-o", "--out", help="where to write (default: PHOTO_retouched beside the photo)")
    sub.add_argument("--mask-out", help="write the edit mask, white where pixels changed")
    sub.add_argument("--faces-out", help="write a small picture with every opened face's number")
    sub.add_argument("--layers", help="write a layered .tif or .psd: the original, and each kind of edit with its mask")
    sub.add_argument("--report", help="write a JSON report")
    sub.add_argument("--strength", type=_share, default=1.0, help="0 to 1, of every edit (default: 1)")
    sub.add_argument("--brush", help=BRUSH)
    _note_argument(sub)
    sub.add_argument("--steps", metavar="DIR", help="retouch in steps, each written to DIR; OUT is the last one")
    sub.add_argument("--step-count", type=_positive, help="so many equal steps, instead of as the agent decides")
    sub.add_argument("--overwrite", action="store_true", help="replace files that exist")
    sub.add_argument("--quiet", action="store_true", help="no progress")


def _note_argument(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--no-note", action="store_true", help="write no note of the edit into the picture's XMP")


def _plan(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("instruction", help="the instruction; - reads one a line from standard input")
    sub.add_argument("--json", action="store_true", help="print JSON, one object a line")
    _model_arguments(sub)


def _chat(sub: argparse.ArgumentParser) -> None:
    _photo_arguments(sub)
    sub.add_argument("--out", help="folder for the pictures after each turn (default: beside the photo)")
    _note_argument(sub)
    sub.add_argument("--session", help="file that the session is saved to after each turn, and reopened from")


def _batch(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("inputs", nargs="*", metavar="INPUT", help="photos, folders, globs; also s3://, gs://")
    sub.add_argument("--out", required=True, help="folder for the results and outcomes.jsonl")
    what = sub.add_mutually_exclusive_group(required=True)
    what.add_argument("-i", "--instruction", help="one instruction for every photo")
    what.add_argument("--script", help="a script that `chat` exported, replayed on every photo")
    what.add_argument("--manifest", help='JSON lines: {"image": PATH, "instruction": TEXT, "out": PATH}')
    sub.add_argument("--face", default="all", help="largest, all, a number from 1, or a place (default: all)")
    sub.add_argument("--strength", type=_share, default=1.0)
    sub.add_argument("--workers", type=_positive, help="processes (default: 1; on Ray: one a core of the cluster)")
    _note_argument(sub)
    sub.add_argument("--ray", metavar="ADDRESS", help="work on this Ray cluster; auto finds it, local starts one here")
    sub.add_argument("--resume", action="store_true", help="go on where an earlier run into --out stopped")
    sub.add_argument("--log", help="where the outcomes go (default: outcomes.jsonl in --out; a local file for s3, gs)")
    _model_arguments(sub)


def _web(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--port", type=int, default=7860, help="port on 127.0.0.1, 0 for a free one (default: 7860)")
    sub.add_argument("--upload-mb", type=_positive, default=200, help="largest file, in MB (default: 200)")
    sub.add_argument("--photos", type=_positive, default=8, help="photos kept open at once (default: 8)")
    sub.add_argument("--keep-minutes", type=_positive, default=60, help="an unused photo is put away (default: 60)")
    _model_arguments(sub)


def _video(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("clip", help="a video file")
    sub.add_argument("-i", "--instruction", required=True, help='for example "remove the acne on the left cheek"')
    sub.add_argument("-o", "--out", help="where to write (default: CLIP_retouched beside the clip)")
    which = "all, largest, a number from 1, or a place, judged in each scene (default: all)"
    sub.add_argument("--face", default="all", help=which)
    sub.add_argument("--strength", type=_share, default=1.0, help="0 to 1, of every edit (default: 1)")
    sub.add_argument("--lossless", action="store_true", help="code without loss: pixels outside the edit stay exactly")
    sub.add_argument("--report", help="write a JSON report")
    sub.add_argument("--resume", action="store_true", help="go on where a stopped run to the same output was")
    sub.add_argument("--overwrite", action="store_true", help="replace files that exist")
    sub.add_argument("--quiet", action="store_true", help="no progress")
    _model_arguments(sub)


def _demo(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("photo", nargs="?", help="your own photo (default: a public-domain portrait, with painted marks)")
    sub.add_argument("-i", "--instruction", help="your own instruction")
    sub.add_argument("--out", default="out/demo", help="folder (default: out/demo)")
    _model_arguments(sub)


def _serve(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    sub.add_argument("--port", type=_positive, default=8000)
    sub.add_argument("--token-file", help="file with the bearer token; or set RETOUCHGPT_TOKEN. Needed off loopback")
    sub.add_argument("--workers", type=_positive, default=1, help="photos at a time (default: 1)")
    sub.add_argument("--queue", type=_positive, default=32, help="requests that may wait, beyond: 429 (default: 32)")
    sub.add_argument("--max-megapixels", type=_positive, default=50, help="largest photo (default: 50)")
    sub.add_argument("--max-body", type=_positive, default=64, metavar="MB", help="largest request (default: 64)")
    sub.add_argument("--max-sessions", type=_positive, default=64, help="open at a time (default: 64)")
    sub.add_argument("--session-minutes", type=_positive, default=15, help="a session unused for so long goes")
    sub.add_argument("--request-seconds", type=_positive, default=60, help="longest wait for an answer (default: 60)")
    sub.add_argument("--work", help="folder that keeps batch jobs over a restart (default: a temporary one)")
    _model_arguments(sub)


def _bench(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("what", choices=("quality", "speed"), nargs="?", default="quality")
    sub.add_argument("--faces", help="folder of aligned faces for quality: index.json, landmarks.npz, ID.jpg")
    sub.add_argument("--limit", type=_positive, help="at most so many faces")
    sub.add_argument("--out", help="folder for table.md, result.json and sheets, or speed.json")
    sub.add_argument("--plain", help="run of retouchgpt.training.plain, a plain U-Net, for a row of its own")
    sub.add_argument("--native", action="store_true", help="quality of portraits of 768 px in photos of 24 MP")
    sub.add_argument("--doc", help="Markdown file whose table of speed is to be filled, between its markers")
    _model_arguments(sub)


def _evaluate(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("recipe", nargs="?", metavar="RECIPE", help="YAML file, see recipes/evaluate.yaml")
    sub.add_argument("--faces", help="folder of aligned faces: index.json, landmarks.npz, ID.jpg")
    sub.add_argument("--limit", type=_positive, help="at most so many faces")
    sub.add_argument("--out", help="folder for report.md, report.html, result.json and sheets")
    _model_arguments(sub)


def _train(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("arguments", nargs=argparse.REMAINDER, help="RECIPE --data CACHE --out RUN ...")


ARGUMENTS = {
    "retouch": _retouch, "plan": _plan, "chat": _chat, "batch": _batch, "web": _web, "video": _video,
    "demo": _demo, "serve": _serve, "bench": _bench, "evaluate": _evaluate, "train": _train,
}  # fmt: skip


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, got {text}")
    return value


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, got {text}")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        return int(importlib.import_module(COMMANDS[options.command][0]).run(options) or 0)
    except RetouchError as error:
        return _fail(options, error, error.exit_code)
    except KeyboardInterrupt:
        print("retouchgpt: stopped; nothing half-written is left.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    except Exception as error:  # the last resort: one line, not a wall of text
        detail = (str(error).splitlines() or [""])[0]
        return _fail(options, error, 1, f"unexpected {type(error).__name__}: {detail} (--debug shows more)")


def _fail(options: argparse.Namespace, error: Exception, code: int, text: str | None = None) -> int:
    if options.debug:
        import traceback

        traceback.print_exception(error)
    line = " ".join((text or str(error)).split())
    print(f"retouchgpt: {line}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
