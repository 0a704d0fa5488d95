"""One user's photo in the web app, and all users' together: no one reaches another's, and none stays.

A desk holds a session, the upload in a folder of its own, and the pictures that are on view. Its token is a secret of
256 bits that only its owner's page has; pictures and downloads are asked for by it.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from retouchgpt.core.errors import RetouchError, UnusableInput
from retouchgpt.photo.files import save_photo
from retouchgpt.photo.layers import save_layers
from retouchgpt.session import Result, RetouchGPT, Session

from .retouch import default_out, save_mask, write_json
from .web_view import Shown

PUT_AWAY = "Your photo was put away after a while without use, or to make room. Drop it again."
LATEST = 9
"""Pictures that a desk keeps: three views of before, after and mask."""
log = logging.getLogger(__name__)
FILES = ("photo", "mask", "layers", "report", "script")


class Closed(UnusableInput):
    """A desk that is no longer there."""

    def __init__(self) -> None:
        super().__init__(PUT_AWAY)


@dataclass(eq=False)
class Desk:
    """One user's photo. result: the last one, or None before the first. shown: what is on view. step: an earlier step's
    pixels that are on view in place of the result's, or None."""

    folder: Path
    name: str
    session: Session | None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    used: float = field(default_factory=time.monotonic)
    result: Result | None = None
    shown: Shown | None = None
    step: NDArray[Any] | None = None
    pictures: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    @property
    def open_session(self) -> Session:
        """The session. Raises Closed once the desk was cleared."""
        session = self.session
        if session is None:
            raise Closed
        self.used = time.monotonic()
        return session

    def show(self, pictures: dict[str, tuple[str, bytes]]) -> dict[str, str]:
        """Keep pictures, each a media type and bytes, for a while; returns the address of each.

        A picture that did not change keeps its address. The last LATEST stay, since a page may still ask for those of
        the view before.
        """
        named = {name: hashlib.sha256(data).hexdigest()[:24] for name, (_, data) in pictures.items()}
        kept = {n: p for n, p in self.pictures.items() if n not in named.values()}
        kept |= {named[name]: picture for name, picture in pictures.items()}
        self.pictures = dict(list(kept.items())[-LATEST:])
        return {name: f"/picture/{self.token}/{address}" for name, address in named.items()}

    def write(self, what: str) -> Path:
        """Write one of FILES into a folder that is new each time, and return the file.

        Raises Closed, and what writing raises: BadSession for a script with a mask drawn by hand, MissingExtra for
        layers. Layers are made by the session, so nothing else may use it meanwhile.
        """
        session, result = self.open_session, self.result
        if result is None:
            raise Closed
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        out, stem = folder / default_out(Path(self.name)).name, Path(self.name).stem
        note = "; ".join(t.text for t in session.turns)
        if what == "script":
            return session.export(folder / f"{stem}.script.json")
        if what == "layers":
            return save_layers(
                session.photo, result.image, session.layers(), folder / f"{stem}_layers.tif", note=note or None
            )
        if what == "report":
            write_json(out.with_suffix(".json"), result.report)
            return out.with_suffix(".json")
        if what == "mask":
            save_mask(result, folder / f"{stem}_mask.png")
            return folder / f"{stem}_mask.png"
        return save_photo(session.photo, result.image, out, note=note or None).path

    def close(self) -> None:
        """Forget the photo and delete its folder; what still runs with it ends by itself."""
        self.session = self.result = self.shown = self.step = None
        self.pictures = {}
        shutil.rmtree(self.folder, ignore_errors=True)


class Desks:
    """Every open desk, by its token. most: how many photos are kept; the one unused for longest makes room.

    turn: held by whoever uses the model or a session, which serve one thread at a time.
    """

    def __init__(self, folder: Path, *, most: int, idle_seconds: float) -> None:
        self.folder, self.most, self.idle_seconds = folder, most, idle_seconds
        self.turn = threading.Lock()
        self._desks: dict[str, Desk] = {}
        self._lock = threading.Lock()

    def open(self, upload: Path, model: RetouchGPT) -> Desk:
        """A desk for an uploaded file. Raises the errors of RetouchGPT.open, with the file's own name in them."""
        folder = Path(tempfile.mkdtemp(prefix="desk-", dir=self.folder))
        photo = folder / upload.name
        try:
            shutil.copyfile(upload, photo)
            desk = Desk(folder, photo.name, model.open(photo, "all"))
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise Closed from error
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        with self._lock:
            self._desks[desk.token] = desk
        self.tidy()
        return desk

    def find(self, token: str) -> Desk | None:
        """The desk of a token; None when there is none, or it was closed."""
        with self._lock:
            return self._desks.get(token)

    def close(self, desk: Desk | None) -> None:
        """Clear one desk; nothing happens for None or a desk that was cleared."""
        if desk is not None:
            with self._lock:
                self._desks.pop(desk.token, None)
            desk.close()

    def tidy(self) -> None:
        """Clear desks that were not used for `idle_seconds`, and the oldest of those above `most`."""
        with self._lock:
            order = sorted(self._desks.values(), key=lambda d: d.used)
        now = time.monotonic()
        late = [d for d in order if now - d.used > self.idle_seconds]
        left = [d for d in order if d not in late]
        for desk in (*late, *left[: max(len(left) - self.most, 0)]):
            self.close(desk)

    def close_all(self) -> None:
        """Clear every desk: the server ends."""
        with self._lock:
            desks = list(self._desks.values())
        for desk in desks:
            self.close(desk)


def line(error: Exception) -> str:
    """An error as one line for the user, without any folder of this machine."""
    if not isinstance(error, RetouchError):
        log.error("unexpected in the web app", exc_info=error)
        return "Something went wrong here, and nothing was changed. Try again, or try another photo."
    text, path = " ".join(str(error).split()), getattr(error, "path", None)
    if path is not None:
        text = text.replace(str(path), Path(path).name)
    return text[0].upper() + text[1:]
