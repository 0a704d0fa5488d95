"""outcomes.jsonl: a line a photo, on disk once its picture is, so that a killed run can go on where it stopped."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from retouchgpt.core.errors import BadData, OutputExists, OutputNotWritable

from . import batch_places as places
from .batch_cases import remaining
from .batch_worker import Case

OUTCOMES = "outcomes.jsonl"
MIRROR_SECONDS = 60.0
"""How often the log of a remote batch is copied beside its pictures."""
PARTIAL = re.compile(r"^\..*\.partial$")


class Journal:
    """The log of one batch, for one run at a time. out: folder or URL. log: where the lines go.

    An object store cannot append, so for a remote `out` the log is a local file that is copied there now and then.
    """

    def __init__(self, out: str, log: str | None = None) -> None:
        self.out, self.remote = out, places.is_remote(out)
        self.path = Path(log) if log else Path(OUTCOMES) if self.remote else Path(places.local(out)) / OUTCOMES
        self.refused = 0  # since their outputs existed before this batch
        self._stream: IO[str] | None = None
        self._copied = time.monotonic()

    def begin(self, cases: Sequence[Case], *, resume: bool) -> list[Case]:
        """The cases that are to be done. Raises BadData or OutputNotWritable.

        What lies at a case's output before the first run is somebody else's: such cases are refused here, at once, so
        that later a picture without a line can only be one that this batch wrote.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.remote and resume and not self.path.exists():
                self._fetch()
            known = self.path.exists() and self.path.stat().st_size > 0
            if known and not resume:
                raise BadData(
                    f"{self.path} exists: an earlier run wrote here. Pass --resume to go on, or choose another --out."
                )
            if not known:
                self._create(taken_already(cases, self.out))
            self._stream = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise OutputNotWritable(self.path, error.strerror or str(error)) from error
        self._lock()
        if known and not self.remote:
            remove_partials(Path(places.local(self.out)))
        return remaining(cases, self.path)

    def write(self, outcome: dict[str, Any]) -> None:
        assert self._stream is not None
        self._stream.write(json.dumps(outcome, ensure_ascii=False) + "\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())
        if self.remote and time.monotonic() - self._copied > MIRROR_SECONDS:
            self._copy()

    def _create(self, refused: Sequence[Case]) -> None:
        """The first lines, all or none."""
        self.refused = len(refused)
        rows = [c.to_json() | {"outcome": "refused", "why": str(OutputExists(c.out))} for c in refused]
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")
        with partial.open("w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(self.path)

    def _lock(self) -> None:
        """One run at a time; the lock goes with the process, however it ends."""
        assert self._stream is not None
        try:
            import fcntl
        except ImportError:  # pragma: no cover - not on every system
            return
        try:
            fcntl.flock(self._stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._stream.close()
            raise BadData(f"{self.path} is in use: another run is writing here. Wait for it or stop it.") from error

    def _copy(self) -> None:
        places.put(self.path, places.join(self.out, OUTCOMES))
        self._copied = time.monotonic()

    def _fetch(self) -> None:
        copy = places.join(self.out, OUTCOMES)
        if places.exists(copy):
            with places.fetched(copy) as path:
                self.path.write_bytes(path.read_bytes())

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is None:
            return
        if self.remote:
            self._copy()
        self._stream.close()


def taken_already(cases: Sequence[Case], out: str) -> list[Case]:
    """Cases whose output exists; one listing where the outputs are remote."""
    if not places.is_remote(out):
        return [c for c in cases if places.exists(c.out)]
    there = {places.key(place) for place, _ in places.below(out)}
    return [c for c in cases if places.key(c.out) in there]


def remove_partials(folder: Path) -> None:
    """Half-written files that a killed run left; the lock makes sure that nobody is writing them."""
    for path in folder.rglob(".*.partial"):
        if PARTIAL.match(path.name):
            with suppress(OSError):
                path.unlink()
