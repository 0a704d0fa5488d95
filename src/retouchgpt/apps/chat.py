"""`retouchgpt chat`: a dialogue in the terminal, the picture's path after each turn."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from retouchgpt.core.errors import RetouchError
from retouchgpt.core.vocabulary import IMPERFECTIONS, NAMED_REGIONS, spoken
from retouchgpt.photo.files import open_photo, save_photo
from retouchgpt.photo.quiet import quiet

if TYPE_CHECKING:
    from retouchgpt.session import Session

LINES = (
    "undo", "redo", "start over", "quit", "help", "history", "remove the ", "soften the ", "what do you see?",
    "a bit less", "stronger", "same on the other cheek", "remove the acne, keep the freckles", "save ", "export ",
)  # fmt: skip
"""What Tab offers at the start of a line."""
NAMES = tuple(sorted({*(spoken(k) for k in IMPERFECTIONS), *(spoken(r) for r in NAMED_REGIONS)}))
"""What it offers after that: names of imperfections and places."""
HELP = (
    'Say what to remove ("remove the acne, keep the moles"), ask ("what do you see?"), undo, redo, or quit; history '
    "lists what is in force, save FILE keeps the session, export FILE makes a script for batch. Tab completes, the "
    "arrow keys bring back earlier lines."
)


def run(options: argparse.Namespace) -> int:
    from retouchgpt.session import RetouchGPT

    with quiet():
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
    turn, shown = 0, Path(options.photo)
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
            said = _command(session, text)
            if said is not None:
                print(said)
                continue
            result = session.instruct(text)
            if kept:
                session.save(kept)
        except RetouchError as error:
            print(error)
            continue
        print(result.answer)
        if result.plan.intent not in ("inspect", "decline"):
            turn += 1
            shown = _next(folder, Path(options.photo), turn)
            note = None if options.no_note else "; ".join(t.text for t in session.turns)
            save_photo(photo, result.image, shown, note=note)
        print(shown)


def _command(session: Session, text: str) -> str | None:
    """Do `help`, `history`, `save FILE` or `export FILE`, and return what to show; None for anything else."""
    word, _, name = text.partition(" ")
    if text.lower() == "help":
        return HELP
    if text.lower() == "history":
        return "\n".join(f"{n}. {t.text}" for n, t in enumerate(session.turns, 1)) or "Nothing is in force."
    if word.lower() not in ("save", "export") or len(name.split()) != 1:
        return None
    return str(session.save(name) if word.lower() == "save" else session.export(name))


def completions(line: str) -> list[str]:
    """Whole lines that a line may go on to: the known ones, or with its last words completed to a name."""
    begun = [whole for whole in LINES if whole.startswith(line.lower()) and whole != line.lower()]
    words = line.split(" ")
    for start in range(max(1, len(words) - 2), len(words)):
        head, tail = " ".join(words[:start]), " ".join(words[start:]).lower()
        named = [f"{head} {name}" for name in NAMES if tail and name.startswith(tail) and name != tail]
        if named:
            return [*begun, *named]
    return begun


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
    readline.set_completer(lambda text, state: [*completions(text), None][state])
    readline.parse_and_bind("tab: complete")
