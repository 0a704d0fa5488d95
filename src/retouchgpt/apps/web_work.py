"""What the web page's events do: each takes what the user gave and yields what the page shows next.

Events that use the model run one at a time; an error becomes one line on the page and changes nothing.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from retouchgpt.core.errors import BadSession, UnusableInput
from retouchgpt.language.answers import words
from retouchgpt.session import Result, RetouchGPT, Session
from retouchgpt.session.revision import (
    Ticked,
    finding_words,
    for_faces,
    in_force,
    suggestions,
    ticked,
    with_mask,
    with_strength,
    without,
)

from . import web_view as view
from .retouch import set_pace
from .web_desk import Closed, Desk, Desks, line

Messages = list[dict[str, Any]]
Act = Callable[[Session], Result]
SUGGESTED = 6
"""Buttons with suggestions on the page."""
ASK = "What do you see?"
WORKING = "One moment …"


class Work:
    """The page's events over one model and all users' desks."""

    def __init__(self, model: RetouchGPT, desks: Desks) -> None:
        self.model, self.desks = model, desks

    def open(self, upload: str | None, old: Desk | None) -> Iterator[dict[str, Any]]:
        """A dropped photo: its faces, what it shows, what to say. Yields updates by name."""
        if upload is None:
            return
        yield {"status": status("Looking for faces …")}
        try:
            with self.desks.turn:
                desk = self.desks.open(Path(upload), self.model)
                desk.result = desk.open_session.instruct(ASK)
        except Exception as error:
            yield {"status": status(line(error), error=True), "photo": None}
            return
        self.desks.close(old)
        yield {"photo": None, "desk": desk, "work": gr.update(visible=True)} | self._opened(desk)

    def _opened(self, desk: Desk) -> dict[str, Any]:
        session = desk.open_session
        faces, found = [f.face for f in session.faces], _found(session)
        hints = suggestions(session.found)[:SUGGESTED]
        size = session.photo.extent
        about = f"{desk.name}: {size.width} x {size.height} px, {len(faces)} face{'s' * (len(faces) != 1)}."
        updates: dict[str, Any] = {
            "status": status(" ".join([about, *(f"{n[0].upper()}{n[1:]}." for n in session.photo.notes)])),
            "place": gr.update(choices=view.places(faces), value=view.WHOLE),
            "chat": [_message("assistant", desk.result.answer if desk.result else "")],
            "found": gr.update(choices=found, value=[], visible=bool(found)),
            "faces": gr.update(choices=[(f"Face {f.index}", f.index) for f in faces],
                               value=[f.index for f in faces], visible=len(faces) > 1),
            "text": "", "walk": False,
        }  # fmt: skip
        for i in range(SUGGESTED):
            shown = i < len(hints)
            updates[f"hint{i}"] = gr.update(value=hints[i] if shown else "", visible=shown)
        return updates | self._shown(desk, view.WHOLE)

    def say(
        self, desk: Desk | None, chat: Messages, place: str, text: str, faces: Sequence[int]
    ) -> Iterator[dict[str, Any]]:
        """An instruction, typed or picked."""

        def act(session: Session) -> Result:
            chosen = faces if len(session.faces) > 1 else [session.faces[0].face.index]
            return session.instruct(for_faces(text, chosen, len(session.faces)))

        yield from self._turn(desk, chat, place, text.strip(), act)

    def remove(
        self, desk: Desk | None, chat: Messages, place: str, items: Sequence[str], percent: float
    ) -> Iterator[dict[str, Any]]:
        """The ticked findings, each "face kind region", at a strength in per cent."""
        wanted = [Ticked(int(face), kind, region) for face, kind, region in (i.split() for i in items)]
        said = " ".join(t.text for t in ticked(wanted)) or "Remove what is ticked."

        def act(session: Session) -> Result:
            if not wanted:
                raise UnusableInput("nothing is ticked. Tick what should go.")
            turns = ticked(wanted, percent / 100, faces=len(session.faces))
            return session.revise((*session.turns, *turns), said)

        yield from self._turn(desk, chat, place, said, act)

    def weigh(self, desk: Desk | None, chat: Messages, place: str, event: gr.EventData) -> Iterator[dict[str, Any]]:
        """An edit's strength, moved in the list of edits."""
        turn, edit, strength = (_number(event, name) for name in ("turn", "edit", "strength"))
        said = f"{_words(desk, turn, edit)}: {strength:.0%}."

        def act(session: Session) -> Result:
            return session.revise(with_strength(session.turns, int(turn), int(edit), strength), said)

        yield from self._turn(desk, chat, place, said, act)

    def drop(self, desk: Desk | None, chat: Messages, place: str, event: gr.EventData) -> Iterator[dict[str, Any]]:
        """An edit left out by its button in the list of edits."""
        turn, edit = (int(_number(event, name)) for name in ("turn", "edit"))
        said = f"{_words(desk, turn, edit)}: leave it out."
        yield from self._turn(desk, chat, place, said, lambda s: s.revise(without(s.turns, turn, edit), said))

    def paint(self, desk: Desk | None, chat: Messages, place: str, event: gr.EventData) -> Iterator[dict[str, Any]]:
        """The mask as the user corrected or painted it."""
        said = "Use the mask as I painted it."

        def act(session: Session) -> Result:
            shown = desk.shown if desk else None
            if shown is None:
                raise view.BadMask
            painted = view.painted_levels(_value(event, "mask"), shown.window)
            mask = view.corrected(session.selected(), shown, painted)
            return session.revise(with_mask(session.turns, mask), said)

        yield from self._turn(desk, chat, place, said, act)

    def move(self, way: str) -> Callable[..., Iterator[dict[str, Any]]]:
        """The event of undo, redo or reset."""
        said = {"undo": "Undo.", "redo": "Redo.", "reset": "Start over."}[way]

        def moved(desk: Desk | None, chat: Messages, place: str) -> Iterator[dict[str, Any]]:
            yield from self._turn(desk, chat, place, said, lambda session: getattr(session, way)())

        return moved

    def walk(self, desk: Desk | None, chat: Messages, place: str, walk: bool) -> Iterator[dict[str, Any]]:
        """From now on in steps, or at once; what is in force is done again that way."""
        said, notes = "Retouch in steps." if walk else "Retouch at once.", list[str]()

        def act(session: Session) -> Result:
            if walk:
                notes.extend(set_pace(self.model, session))
            else:
                session.walk(None)
            return session.again(said)

        yield from self._turn(desk, chat, place, said, act, notes)

    def see(self, desk: Desk | None, place: str, step: int) -> Iterator[dict[str, Any]]:
        """A step x_r(1) ... x_r(n) on view; the result, and what is downloaded, stay those of the last."""
        try:
            if desk is None:
                raise Closed
            with self.desks.turn:
                session = desk.open_session
                desk.step = session.step(step) if step < session.step_count else None
            yield self._pictures(desk, place)
        except Exception as error:
            yield {"status": status(line(error), error=True)}

    def look(self, desk: Desk | None, place: str) -> Iterator[dict[str, Any]]:
        """Another part of the photo on view."""
        try:
            if desk is None:
                raise Closed
            yield self._pictures(desk, place)
        except Exception as error:
            yield {"status": status(line(error), error=True)}

    def _turn(
        self, desk: Desk | None, chat: Messages, place: str, said: str, act: Act, notes: Sequence[str] = ()
    ) -> Iterator[dict[str, Any]]:
        """One turn of the dialogue: what was said, the new picture, then the answer word by word.

        notes: what `act` leaves for the status line.
        """
        told = [*chat, _message("user", said or "…")]
        yield {"chat": [*told, _message("assistant", WORKING)], "status": status("Retouching …")}
        try:
            if desk is None:
                raise Closed
            with self.desks.turn:
                desk.result, desk.step = (result := act(desk.open_session)), None
            updates = self._shown(desk, place)
        except Exception as error:
            why = line(error)
            yield {"chat": [*told, _message("assistant", why)], "status": status(why, error=True)}
            return
        done = " ".join(["Done.", *(f"{n[0].upper()}{n[1:]}." for n in notes)])
        yield {**updates, "text": "", "found": gr.update(value=[]), "status": status(done)}
        answer = ""
        for word in words(result.answer):
            answer += word
            yield {"chat": [*told, _message("assistant", answer)]}

    def _shown(self, desk: Desk, place: str) -> dict[str, Any]:
        """Updates of everything that depends on the last result: pictures, steps, edits in force, files."""
        session = desk.open_session
        edits = [e._asdict() for e in in_force(session.turns)]
        count = session.step_count if session.walks else 0
        names = [(f"{n} of {count}", n) for n in range(1, count + 1)]
        steps = gr.update(choices=names, value=count or None, visible=count > 0)
        return self._pictures(desk, place) | {"step": steps, "edits": edits, "files": files(desk, session)}

    def _pictures(self, desk: Desk, place: str) -> dict[str, Any]:
        """Updates of what is on view: before, after or an earlier step, and the mask."""
        session, result = desk.open_session, desk.result
        if result is None:
            raise Closed
        after = result.image if desk.step is None else desk.step
        faces = [f.face for f in session.faces]
        to = view.window(place, faces, session.photo.extent)
        levels = view.mask_levels(result.mask, to)
        desk.shown = view.Shown(place, to, levels)
        addresses = desk.show(
            {
                "before": view.picture(session.photo.pixels, to, session.photo),
                "after": view.picture(after, to, session.photo),
                "mask": view.mask_picture(levels),
            }
        )
        value = addresses | {
            "place": place, "width": to.picture.width, "height": to.picture.height, "native": to.native,
            "mask_width": to.mask.width, "mask_height": to.mask.height,
            "badges": view.badges(faces, to) if len(faces) > 1 else [],
        }  # fmt: skip
        return {"viewer": value}


def files(desk: Desk, session: Session) -> str:
    """Links to what can be downloaded, as HTML."""
    wanted = [("photo", "Download photo"), ("mask", "Mask"), ("report", "Report")]
    note = ""
    if session.turns and find_spec("psdtags"):
        wanted.insert(2, ("layers", "Layers (TIFF)"))
    try:
        if session.script():
            wanted.append(("script", "Script for batch"))
            note = "<p>The script retouches at once, without steps.</p>" * session.walks
    except BadSession:
        note = "<p>A mask drawn by hand fits this photo only, so there is no script for batch.</p>"
    links = "".join(
        f'<a href="/download/{desk.token}/{what}" download{" class=rg-first" * (what == "photo")}>{name}</a>'
        for what, name in wanted
    )
    return f'<div class="rg-files">{links}</div>{note}'


def status(text: str, *, error: bool = False) -> str:
    """The page's status line as HTML; read aloud where a screen reader is on."""
    role = 'role="alert" class="rg-error"' if error else 'role="status"'
    return f"<p {role}>{html.escape(text)}</p>"


def _found(session: Session) -> list[tuple[str, str]]:
    many = len(session.faces) > 1
    return [
        (
            f"Face {seen.face.index}: {finding_words(f)}" if many else finding_words(f),
            f"{seen.face.index} {f.imperfection} {f.region}",
        )
        for seen in session.faces
        for f in seen.found
    ]


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": text}


def _value(event: gr.EventData, name: str) -> Any:
    data = event._data
    return data.get(name) if isinstance(data, dict) else None


def _number(event: gr.EventData, name: str) -> float:
    """A number that the page sent; -1 for anything else, which no edit has."""
    value = _value(event, name)
    return float(value) if isinstance(value, (int, float)) and np.isfinite(value) else -1.0


def _words(desk: Desk | None, turn: float, edit: float) -> str:
    turns = desk.session.turns if desk and desk.session else ()
    return next((e.words for e in in_force(turns) if (e.turn, e.edit) == (turn, edit)), "An edit")
