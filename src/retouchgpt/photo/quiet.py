"""Native libraries write lines of their own to standard error; the terminal is for our answer alone."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.Lock()
_depth = 0
_kept = -1


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing reaches standard error, which is one for the process: the first to ask closes it, the last opens it."""
    _close()
    try:
        yield
    finally:
        _open()


def _close() -> None:
    global _depth, _kept
    with _LOCK:
        _depth += 1
        if _depth > 1:
            return
        os.environ.setdefault("GLOG_minloglevel", "3")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        sys.stderr.flush()
        _kept, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 2)
        os.close(sink)


def _open() -> None:
    global _depth
    with _LOCK:
        _depth -= 1
        if _depth == 0:
            os.dup2(_kept, 2)
            os.close(_kept)
