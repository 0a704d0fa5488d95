"""Progress for people: on standard error, only after two seconds, gone when done."""

from __future__ import annotations

import sys
import threading
from types import TracebackType


class Stages:
    """`with Stages() as say: say("finding faces")` shows the stage once the work has lasted two seconds."""

    def __init__(self, *, quiet: bool = False, delay: float = 2.0) -> None:
        self._shown = not quiet and sys.stderr.isatty()
        self._stage, self._late, self._lock = "", False, threading.Lock()
        self._timer = threading.Timer(delay, self._start)
        self._timer.daemon = True

    def __enter__(self) -> Stages:
        if self._shown:
            self._timer.start()
        return self

    def __call__(self, stage: str) -> None:
        with self._lock:
            self._stage = stage
            if self._late:
                self._print()

    def _start(self) -> None:
        with self._lock:
            self._late = True
            self._print()

    def _print(self) -> None:
        print(f"\r\033[K{self._stage} ...", end="", file=sys.stderr, flush=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._late:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
