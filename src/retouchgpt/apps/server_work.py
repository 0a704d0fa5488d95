"""What a worker does with one session; each function runs in the worker's thread with its engine."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from retouchgpt.core.errors import InvalidPlan, RetouchError
from retouchgpt.core.pixels import from_float
from retouchgpt.photo.files import Photo, save_photo
from retouchgpt.photo.layers import save_layers
from retouchgpt.session.result import read_brush

from .server_limits import without_path
from .server_schemas import Found, Instruct, SessionState
from .server_sessions import Entry

if TYPE_CHECKING:
    from retouchgpt.session import Result, RetouchGPT, Session

SUFFIX = {"JPEG": ".jpg", "PNG": ".png", "TIFF": ".tif", "WEBP": ".webp"}


def label(filename: str | None) -> str:
    """A client's file name as a label: its last part, never used as a path."""
    return PurePosixPath((filename or "").replace("\\", "/")).name[:200] or "photo"


def state(entry: Entry, expires_in: float) -> SessionState:
    session = entry.open
    return SessionState(
        id=entry.id,
        name=entry.name,
        width=session.photo.extent.width,
        height=session.photo.extent.height,
        faces=[list(seen.face.box) for seen in session.faces],
        found=[Found(**vars(f)) for f in session.found],
        steps=[t.text for t in session.turns],
        notes=list(session.photo.notes),
        expires_in_seconds=round(expires_in, 1),
    )


def instruct(entry: Entry, engine: RetouchGPT, body: Instruct) -> dict[str, Any]:
    """One turn; the report."""
    session = _with(entry, engine)
    brush = None if body.brush is None else _brush(entry, body.brush)
    return _told(entry, session.instruct(body.instruction, strength=body.strength, brush=brush))


def _brush(entry: Entry, text: str) -> Any:
    """The mask that came with an instruction. Raises InvalidPlan and what read_brush raises."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise InvalidPlan("the brush is not base64; send a PNG of the photo's size in base64.") from error
    path = entry.folder / f"{secrets.token_hex(8)}.brush"
    try:
        path.write_bytes(data)
        return read_brush(path, entry.open.photo.pixels.shape[:2])
    except RetouchError as error:
        raise InvalidPlan(without_path(str(error), path, "the brush")) from error
    finally:
        path.unlink(missing_ok=True)


def move(entry: Entry, engine: RetouchGPT, name: str) -> dict[str, Any]:
    """undo, redo or reset; the report."""
    session = _with(entry, engine)
    return _told(entry, {"undo": session.undo, "redo": session.redo, "reset": session.reset}[name]())


def picture(entry: Entry, engine: RetouchGPT, kind: str) -> tuple[Path, list[str]]:
    """The photo as it stands, as a file of its own format or another; and what the format could not hold."""
    session = _with(entry, engine)
    suffix = SUFFIX[session.photo.format if kind == "original" else kind.upper()]
    path = entry.folder / f"{secrets.token_hex(8)}{suffix}"
    saved = save_photo(session.photo, session.render().pixels, path, note=_note(session))
    return path, [*session.photo.notes, *saved.notes]


def mask(entry: Entry, engine: RetouchGPT) -> Path:
    """The edit mask as a grey PNG; any pixel that may have changed is at least 1."""
    drawn = _with(entry, engine).render().mask
    grey = np.maximum(from_float(drawn), (drawn > 0).astype(np.uint8))
    path = entry.folder / f"{secrets.token_hex(8)}.png"
    photo = Photo(path=None, pixels=np.repeat(grey[..., None], 3, 2), format="PNG", mode="L")
    save_photo(photo, photo.pixels, path)
    return path


def layers(entry: Entry, engine: RetouchGPT, kind: str) -> Path:
    """The photo with a layer for each kind of edit, as tif or psd. Raises what save_layers raises."""
    session = _with(entry, engine)
    path = entry.folder / f"{secrets.token_hex(8)}.{kind}"
    return save_layers(session.photo, session.render().pixels, session.layers(), path, note=_note(session))


def _note(session: Session) -> str:
    return "; ".join(turn.text for turn in session.turns)


def _with(entry: Entry, engine: RetouchGPT) -> Session:
    """The session, with the engine of the worker that has it now; all engines have the same weights."""
    session = entry.open
    session.engine = engine
    return session


def _told(entry: Entry, result: Result) -> dict[str, Any]:
    report = result.report
    report["photo"] = report["photo"] | {"name": entry.name}
    return report
