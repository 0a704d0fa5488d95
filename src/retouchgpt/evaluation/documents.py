"""Measured tables in documents: the text between `<!-- NAME -->` and `<!-- end of NAME -->` is a command's."""

from __future__ import annotations

from pathlib import Path

from retouchgpt.core.errors import BadData


def check(document: Path, name: str) -> None:
    """That the document has a place of this name, before hours are spent. Raises BadData."""
    _parts(document, name)


def put(document: Path, name: str, text: str) -> None:
    """Write `text` into the document's place of this name. Raises BadData where it has none."""
    before, after = _parts(document, name)
    document.write_text(f"{before}\n{text.strip()}\n{after}")


def _parts(document: Path, name: str) -> tuple[str, str]:
    """What stands before the place and behind it, with the marks."""
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    try:
        whole = document.read_text()
    except OSError as error:
        raise BadData(f"{document}: {error.strerror}") from error
    before, found, rest = whole.partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise BadData(f"{document} has no place between {start} and {end}")
    return before + start, end + after
