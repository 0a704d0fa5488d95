"""Where the photos of a batch are: paths of this machine, or URLs of an object store through fsspec (s3, gs, ...).

A worker sees local files only: what is remote is fetched into a temporary folder and put back whole.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from retouchgpt.core.errors import BadData, MissingExtra, OutputNotWritable, PhotoNotFound, UnsupportedPhoto


def is_remote(place: str) -> bool:
    """Whether fsspec is needed; file:// is this machine."""
    return "://" in place and not place.startswith("file://")


def local(place: str) -> str:
    """A path or file:// URL as a path."""
    return place.removeprefix("file://")


def store(place: str) -> tuple[Any, str]:
    """The file system of a URL and the path in it. Raises MissingExtra or BadData (an unknown or uninstalled kind)."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:  # pragma: no cover - comes with torch
        raise MissingExtra("fsspec", "batch") from error
    try:
        return url_to_fs(place)
    except (ImportError, ValueError, OSError) as error:
        raise BadData(f"cannot use {place}: {str(error).splitlines()[0]}.") from error


def join(place: str, *parts: str) -> str:
    """A place below another one; an absolute last part or a URL stands for itself."""
    for part in parts:
        if is_remote(part) or part.startswith("file://"):
            place = part
        elif is_remote(place):
            place = f"{place.rstrip('/')}/{PurePosixPath(part).as_posix().lstrip('/')}"
        else:
            place = str(Path(local(place)) / part)
    return place


def name(place: str) -> str:
    """The last part of a place."""
    return PurePosixPath(place).name if is_remote(place) else Path(local(place)).name


def exists(place: str) -> bool:
    if not is_remote(place):
        return Path(local(place)).exists()
    files, path = store(place)
    return bool(files.exists(path))


@contextmanager
def fetched(place: str) -> Iterator[Path]:
    """A file as one of this machine, there as long as the context. Raises PhotoNotFound or UnsupportedPhoto."""
    if not is_remote(place):
        yield Path(local(place))
        return
    with tempfile.TemporaryDirectory(prefix="retouchgpt-") as folder:
        path = Path(folder) / name(place)
        try:
            files, source = store(place)
            files.get_file(source, str(path))
        except FileNotFoundError as error:
            raise PhotoNotFound(place) from error
        except OSError as error:
            raise UnsupportedPhoto(place, f"cannot be fetched ({error})") from error
        yield path


@contextmanager
def stored(place: str) -> Iterator[Path]:
    """A path to write to; what lies there when the context ends without an error is at `place` from then on.

    Raises OutputNotWritable.
    """
    if not is_remote(place):
        path = Path(local(place))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputNotWritable(path, error.strerror or str(error)) from error
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="retouchgpt-") as folder:
        path = Path(folder) / name(place)
        yield path
        if path.exists():
            put(path, place)


def put(path: Path, place: str) -> None:
    """Upload one file. Raises OutputNotWritable."""
    try:
        files, target = store(place)
        files.makedirs(files._parent(target), exist_ok=True)
        files.put_file(str(path), target)
    except OSError as error:
        raise OutputNotWritable(place, str(error)) from error


def key(place: str) -> str:
    """One spelling of a place, to compare with others."""
    if not is_remote(place):
        return str(Path(local(place)).resolve())
    files, path = store(place)
    return str(files.unstrip_protocol(path))


def below(place: str) -> list[tuple[str, str]]:
    """All files under a folder with their sub-folders, sorted: each with its path in the folder."""
    if not is_remote(place):
        root = Path(local(place))
        return [(str(p), p.relative_to(root).as_posix()) for p in sorted(root.rglob("*")) if p.is_file()]
    files, path = store(place)
    return [(files.unstrip_protocol(found), _within(found, path)) for found in sorted(files.find(path))]


def _within(path: str, folder: str) -> str:
    return path[len(folder) :].lstrip("/")


def is_folder(place: str) -> bool:
    if not is_remote(place):
        return Path(local(place)).is_dir()
    files, path = store(place)
    return bool(files.isdir(path))


def matching(pattern: str) -> list[tuple[str, str]]:
    """Files of a glob, sorted: each with its name, or its path from where ** begins to cross folders."""
    import glob

    if is_remote(pattern):
        files, path = store(pattern)
        found = [(files.unstrip_protocol(f), f) for f in sorted(files.glob(path)) if files.isfile(f)]
    else:
        path = local(pattern)
        every = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - a user's pattern may be absolute
        found = [(f, Path(f).as_posix()) for f in every if Path(f).is_file()]
    fixed = path[: path.rfind("/", 0, min(path.find(c) for c in "*?[" if c in path)) + 1]
    return [(place, _within(f, fixed) if "**" in path else PurePosixPath(f).name) for place, f in found]
