"""ICC profiles of known colour spaces, built from their published primaries and curves.

For files that name their colours by a number only (HEIC, AVIF), and for tests. Version 2 profiles of a matrix and
curves: the least that every program reads.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

D50 = (0.9642, 1.0, 0.8249)
D65_XY, D50_XY = (0.3127, 0.3290), (0.3457, 0.3585)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@dataclass(frozen=True)
class Primaries:
    """A colour space: chromaticities (x, y) of red, green, blue and white; gamma, or 0 for sRGB's own curve."""

    name: str
    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float] = D65_XY
    gamma: float = 0.0


SRGB = Primaries("sRGB", (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE_RGB = Primaries("Adobe RGB (1998) compatible", (0.64, 0.33), (0.21, 0.71), (0.15, 0.06), gamma=563 / 256)
DISPLAY_P3 = Primaries("Display P3", (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
PROPHOTO = Primaries("ProPhoto RGB", (0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), D50_XY, 1.8)
REC_2020 = Primaries("Rec. 2020", (0.708, 0.292), (0.170, 0.797), (0.131, 0.046), gamma=2.4)
LINEAR = Primaries("Linear sRGB", (0.64, 0.33), (0.30, 0.60), (0.15, 0.06), gamma=1.0)


def made(space: Primaries, *, grey: bool = False) -> bytes:
    """The space's ICC profile; with `grey`, a grey one of its curve."""
    text = space.name.encode("ascii") + b"\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text" + bytes(4) + b"No copyright\0",
        b"wtpt": _xyz(D50),
    }
    if grey:
        tags[b"kTRC"] = _curve(space.gamma)
    else:
        for name, column in zip((b"r", b"g", b"b"), to_d50(space).T, strict=True):
            tags[name + b"XYZ"] = _xyz(tuple(column))
            tags[name + b"TRC"] = _curve(space.gamma)
    return _packed(b"GRAY" if grey else b"RGB ", tags)


def to_d50(space: Primaries) -> NDArray[np.float64]:
    """(3, 3): linear light of the space -> XYZ under D50, by Bradford's adaptation."""
    columns = np.stack([_of_xy(c) for c in (space.red, space.green, space.blue)], 1)
    white = _of_xy(space.white)
    matrix = columns * np.linalg.solve(columns, white)
    gain = (BRADFORD @ np.array(D50)) / (BRADFORD @ white)
    adapted: NDArray[np.float64] = np.linalg.inv(BRADFORD) @ np.diag(gain) @ BRADFORD @ matrix
    return adapted


def _of_xy(xy: tuple[float, float]) -> NDArray[np.float64]:
    x, y = xy
    return np.array((x / y, 1.0, (1 - x - y) / y))


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in values))


def _curve(gamma: float) -> bytes:
    if gamma:
        return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    x = np.linspace(0, 1, 1024)
    light = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    return b"curv" + bytes(4) + struct.pack(">I", len(x)) + np.rint(light * 65535).astype(">u2").tobytes()


def _packed(kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    at, table, body = 132 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    head = bytes(4) + bytes(4) + bytes((2, 0x40, 0, 0)) + b"mntr" + kind + b"XYZ " + bytes(12) + b"acsp"
    head += bytes(28) + struct.pack(">3i", *(round(v * 65536) for v in D50)) + bytes(48)
    head = struct.pack(">I", at + len(body)) + head[4:]
    return head + struct.pack(">I", len(tags)) + table + body
