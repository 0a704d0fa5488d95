"""A file of JSON lines that is written as work goes and read again when the work goes on (ours)."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from retouchgpt.core.errors import BadData

Line = dict[str, Any]


class Ledger:
    """Opens, or goes on with, a ledger. path: None keeps nothing. head: the first line, what the work is about.

    lines: what whole lines an earlier run left; a last line that a kill cut short is dropped. Raises BadData where the
    file is of other work, is no ledger, or cannot be written.
    """

    def __init__(self, path: Path | None, head: Line) -> None:
        self.path, self.lines = path, list[Line]()
        self._stream: IO[str] | None = None
        if path is None:
            return
        whole = read_lines(path) if path.exists() else []
        if whole and whole[0] != head:
            raise BadData(f"{path} is the index of something else: {json.dumps(whole[0])}. Name another file.")
        self.lines = whole[1:]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = "".join(json.dumps(line) + "\n" for line in (head, *self.lines))
            partial = path.with_name(path.name + ".partial")
            partial.write_text(kept, encoding="utf-8")
            partial.replace(path)
            self._stream = path.open("a", encoding="utf-8")
        except OSError as error:
            raise BadData(f"cannot write {path}: {error.strerror or error}.") from error

    def add(self, line: Line) -> None:
        """Write one line through to the file. Raises BadData when the disk is full."""
        if self._stream is None:
            return
        try:
            self._stream.write(json.dumps(line) + "\n")
            self._stream.flush()
        except OSError as error:
            raise BadData(f"cannot write {self.path}: {error.strerror or error}.") from error

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()


def read_lines(path: Path) -> list[Line]:
    """The whole lines of a ledger, its head first. Raises BadData on a file that is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"{path} cannot be read as an index: {error}") from error
    try:
        lines = [json.loads(line) for line in text.split("\n")[:-1]]
    except ValueError as error:
        raise BadData(f"{path} is not an index: {error}. Delete it or name another file.") from error
    if any(not isinstance(line, dict) for line in lines):
        raise BadData(f"{path} is not an index. Delete it or name another file.")
    return lines
