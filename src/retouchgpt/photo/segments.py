"""Finished parts of a clip under way, in a hidden folder beside the output, so that a stopped run can go on.

A part is a file of coded packets and the state of the retouching behind its last picture; both are written aside and
renamed, the packets last, so that a part that is there is whole.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

HEAD = struct.Struct("<qqBI")
ABOUT = "about.json"


class Packet(NamedTuple):
    """A coded picture. pts, duration: in the clip's time base. key: decodable by itself."""

    pts: int
    duration: int
    key: bool
    data: bytes


class State(NamedTuple):
    """What goes on behind a part: plain values as JSON, arrays beside them."""

    values: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


class Segments:
    """The parts of one output."""

    def __init__(self, out: Path) -> None:
        self.folder = out.with_name(f".{out.name[-100:]}.parts")

    def begin(self, about: dict[str, Any], *, resume: bool) -> int:
        """Make the folder ready; returns how many parts of a run with the same `about` are there to go on from."""
        same = resume and self._about() == json.loads(json.dumps(about))
        if not same:
            self.remove()
            self.folder.mkdir()
            _write(self.folder / ABOUT, json.dumps(about).encode())
        return self.count()

    def _about(self) -> Any:
        try:
            return json.loads((self.folder / ABOUT).read_text())
        except (OSError, ValueError):
            return None

    def count(self) -> int:
        """Finished parts, from the first on."""
        number = 0
        while self._part(number).exists():
            number += 1
        return number

    def state(self, number: int) -> State:
        """The state behind a finished part."""
        values = json.loads(self._values(number).read_text())
        with np.load(self._arrays(number), allow_pickle=False) as stored:
            return State(values, {name: stored[name] for name in stored.files})

    def writer(self, number: int) -> PartWriter:
        return PartWriter(self, number)

    def packets(self) -> Iterator[Packet]:
        """All packets of all parts, one at a time."""
        for number in range(self.count()):
            with self._part(number).open("rb") as stream:
                while head := stream.read(HEAD.size):
                    pts, duration, key, size = HEAD.unpack(head)
                    yield Packet(pts, duration, bool(key), stream.read(size))

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:06}.part"

    def _values(self, number: int) -> Path:
        return self.folder / f"{number:06}.json"

    def _arrays(self, number: int) -> Path:
        return self.folder / f"{number:06}.npz"


class PartWriter:
    """One part being written."""

    def __init__(self, segments: Segments, number: int) -> None:
        self._segments, self._number = segments, number
        self._path = segments._part(number).with_suffix(".writing")
        self._stream = self._path.open("wb")

    def add(self, packet: Packet) -> None:
        self._stream.write(HEAD.pack(packet.pts, packet.duration, packet.key, len(packet.data)) + packet.data)

    def finish(self, state: State) -> None:
        """Close the part with the state behind it. States of earlier parts are no longer needed."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        arrays = self._segments._arrays(self._number)
        with arrays.open("wb") as stream:
            np.savez(stream, **state.arrays)  # type: ignore[arg-type]
        _write(self._segments._values(self._number), json.dumps(state.values).encode())
        self._path.replace(self._segments._part(self._number))
        if self._number:
            self._segments._arrays(self._number - 1).unlink(missing_ok=True)
            self._segments._values(self._number - 1).unlink(missing_ok=True)

    def close(self) -> None:
        self._stream.close()


def _write(path: Path, data: bytes) -> None:
    partial = path.with_suffix(path.suffix + ".writing")
    partial.write_bytes(data)
    partial.replace(path)
