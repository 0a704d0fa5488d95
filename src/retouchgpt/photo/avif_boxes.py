"""AVIF's boxes (ISO/IEC 23008-12): depth and colours from them, and profile, EXIF and XMP put into them.

The encoder that keeps 10 and 12 bits without loss writes no metadata, so its boxes are taken apart here and put
together again with it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

FULL = 4
"""Bytes of version and flags at the start of a full box."""


def bits_of(data: bytes) -> int:
    """Bits a channel of the first coded picture: 8, 10 or 12."""
    at = data.find(b"av1C")
    if at < 0 or at + 7 > len(data):
        return 8
    flags = data[at + 6]
    return (12 if flags & 0x20 else 10) if flags & 0x40 else 8


def colours_of(data: bytes) -> tuple[int, int]:
    """Primaries and transfer curve as H.273 numbers them; sRGB's (1, 13) where nothing is said."""
    at = data.find(b"colrnclx")
    if at < 0 or at + 12 > len(data):
        return 1, 13
    primaries, transfer = struct.unpack_from(">HH", data, at + 8)
    return primaries, transfer


def with_metadata(data: bytes, *, icc: bytes | None, exif: bytes | None, xmp: bytes | None) -> bytes:
    """The same picture with a profile, an EXIF block and an XMP packet. data: an AVIF file of libavif.

    Raises ValueError for boxes of another layout.
    """
    top = list(_boxes(data, 0, len(data)))
    names = [name for name, _, _ in top]
    if names[:2] != [b"ftyp", b"meta"] or b"mdat" not in names:
        raise ValueError("the encoder's boxes are of another layout")
    _, start, end = top[1]
    parts = {name: data[a:b] for name, a, b in _boxes(data, start + FULL, end)}
    items: list[tuple[int, bytes, bytes]] = []
    primary, locations = _primary(parts[b"pitm"]), _locations(parts[b"iloc"])
    next_id = max(locations) + 1
    if exif:
        tiff = exif[6:] if exif[:6] == b"Exif\0\0" else exif
        items.append((next_id, b"Exif", bytes(4) + tiff))
        next_id += 1
    if xmp:
        items.append((next_id, b"mime", xmp))
    fixed = _box(b"hdlr", parts[b"hdlr"]) + _box(b"pitm", parts[b"pitm"])
    rest = _entries(parts[b"iinf"], items) + _references(parts.get(b"iref"), [n for n, _, _ in items], primary)
    rest += _properties(parts[b"iprp"], icc)

    def meta(moved: int) -> bytes:
        """The box once everything behind it has moved by so many bytes."""
        places = {number: [(at + moved, size) for at, size in extents] for number, extents in locations.items()}
        at = len(data) + moved + 8
        for number, _, body in items:
            places[number], at = [(at, len(body))], at + len(body)
        return _box(b"meta", bytes(FULL) + fixed + _iloc(places) + rest)

    moved = len(meta(0)) - (end - start + 8)
    tail = _box(b"mdat", b"".join(body for _, _, body in items)) if items else b""
    return data[: start - 8] + meta(moved) + data[end:] + tail


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, and where the content begins and ends, of each box."""
    at = start
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", data, at + 8), 16
        size = size or end - at
        if size < head or at + size > end:
            raise ValueError("a box that does not fit its file")
        yield name, at + head, at + size
        at += size


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, name) + body


def _primary(body: bytes) -> int:
    return int(struct.unpack_from(">H" if body[0] == 0 else ">I", body, FULL)[0])


def _locations(body: bytes) -> dict[int, list[tuple[int, int]]]:
    """Extents (offset, length) of each item, in files that libavif writes: version 0, 4-byte numbers."""
    sizes, base = body[4], body[5] >> 4
    if body[0] != 0 or sizes != 0x44:
        raise ValueError("the encoder's item locations are of another version")
    (count,) = struct.unpack_from(">H", body, 6)
    at, out = 8, dict[int, list[tuple[int, int]]]()
    for _ in range(count):
        (number,) = struct.unpack_from(">H", body, at)
        at += 4 + base
        (extents,) = struct.unpack_from(">H", body, at)
        at += 2
        numbers = struct.unpack_from(f">{2 * extents}I", body, at)
        out[number] = list(zip(numbers[::2], numbers[1::2], strict=True))
        at += 8 * extents
    return out


def _iloc(locations: dict[int, list[tuple[int, int]]]) -> bytes:
    body = bytes(FULL) + bytes((0x44, 0)) + struct.pack(">H", len(locations))
    for number, extents in locations.items():
        body += struct.pack(">HHH", number, 0, len(extents)) + b"".join(struct.pack(">II", *e) for e in extents)
    return _box(b"iloc", body)


def _entries(body: bytes, items: list[tuple[int, bytes, bytes]]) -> bytes:
    if body[0] != 0:
        raise ValueError("the encoder's item list is of another version")
    (count,) = struct.unpack_from(">H", body, FULL)
    added = b""
    for number, kind, _ in items:
        text = kind + b"\0" if kind == b"Exif" else kind + b"XMP\0application/rdf+xml\0"
        added += _box(b"infe", bytes((2, 0, 0, 1)) + struct.pack(">HH", number, 0) + text)
    return _box(b"iinf", body[:FULL] + struct.pack(">H", count + len(items)) + body[FULL + 2 :] + added)


def _references(body: bytes | None, numbers: list[int], primary: int) -> bytes:
    if not numbers and body is None:
        return b""
    added = b"".join(_box(b"cdsc", struct.pack(">HHH", number, 1, primary)) for number in numbers)
    return _box(b"iref", (body or bytes(FULL)) + added)


def _properties(body: bytes, icc: bytes | None) -> bytes:
    """The property box with a profile for every item that has a colour by numbers."""
    if not icc:
        return _box(b"iprp", body)
    inner = {name: body[a:b] for name, a, b in _boxes(body, 0, len(body))}
    store, links = inner[b"ipco"], inner[b"ipma"]
    names = [name for name, _, _ in _boxes(store, 0, len(store))]
    numbered, profile = names.index(b"colr") + 1, len(names) + 1
    if links[0] != 0 or links[3] & 1 or profile > 127:
        raise ValueError("the encoder's properties are of another version")
    (count,) = struct.unpack_from(">I", links, FULL)
    at, out = FULL + 4, links[: FULL + 4]
    for _ in range(count):
        number, n = struct.unpack_from(">HB", links, at)
        own = links[at + 3 : at + 3 + n]
        at += 3 + n
        if any(p & 0x7F == numbered for p in own):
            own += bytes((profile,))
        out += struct.pack(">HB", number, len(own)) + own
    store += _box(b"colr", b"prof" + icc)
    return _box(b"iprp", _box(b"ipco", store) + _box(b"ipma", out))
