"""`retouchgpt chat`: a dialogue in the terminal, the picture's path after each turn."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from retouchgpt.core.errors import RetouchError
from retouchgpt.photo.files import open_photo, save_photo

if TYPE_CHECKING:
    from retouchgpt.session import Session

WORDS = (
    "undo", "redo", "start over", "quit", "remove the acne", "remove the acne on the left cheek, keep the freckles",
    "what do you see?", "a bit less", "stronger",
)  # fmt: skip
HELP = (
    'Say what to remove ("remove the acne, keep the moles"), ask ("what do you see?"), undo, redo, or quit; '
    "save FILE keeps the session, export FILE makes a script for batch."
)


def run(options: argparse.Namespace) -> int:
    from retouchgpt.session import RetouchGPT

    photo = open_photo(options.photo)
    folder = Path(options.out) if options.out else Path(options.photo).parent
    folder.mkdir(parents=True, exist_ok=True)
    model, kept = RetouchGPT.from_pretrained(options.weights), Path(options.session) if options.session else None
    session = model.reopen(kept, options.photo) if kept and kept.exists() else model.open(photo, options.face)
    if session.turns:
        print(f"Going on after: {'; '.join(t.text for t in session.turns)}")
    interactive = sys.stdin.isatty()
    if interactive:
        _completion()
        print(HELP)
    turn = 0
    while True:
        try:
            text = input("> " if interactive else "").strip()
        except (EOFError, KeyboardInterrupt):
            return 0
        if text.lower() in ("quit", "exit", "bye"):
            return 0
        if not text:
            continue
        try:
            written = _file_command(session, text)
            if written:
                print(written)
                continue
            result = session.instruct(text)
            if kept:
                session.save(kept)
        except RetouchError as error:
            print(error)
            continue
        print(result.answer)
        if result.plan.intent in ("inspect", "decline"):
            continue
        turn += 1
        out = _next(folder, Path(options.photo), turn)
        note = None if options.no_note else "; ".join(t.text for t in session.turns)
        save_photo(photo, result.image, out, note=note)
        print(out)


def _file_command(session: Session, text: str) -> Path | None:
    """Do `save FILE` or `export FILE`; None for anything else."""
    word, _, name = text.partition(" ")
    if word.lower() not in ("save", "export") or len(name.split()) != 1:
        return None
    return session.save(name) if word.lower() == "save" else session.export(name)


def _next(folder: Path, photo: Path, turn: int) -> Path:
    """A name that is free."""
    suffix = photo.suffix if photo.suffix.lower() != ".heic" else ".png"
    while (out := folder / f"{photo.stem}_turn{turn}{suffix}").exists():
        turn += 1
    return out


def _completion() -> None:
    """History by the arrow keys and completion by Tab, where the terminal has them."""
    try:
        import readline
    except ImportError:  # pragma: no cover - not on every system
        return
    readline.set_completer_delims("")
    readline.set_completer(lambda text, state: [*(w for w in WORDS if w.startswith(text)), None][state])
    readline.parse_and_bind("tab: complete")
