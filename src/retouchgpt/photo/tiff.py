"""TIFF at its own depth, by tifffile: what Pillow reads at 8 bits, or not at all, and every TIFF that is written."""

from __future__ import annotations

import logging
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from retouchgpt.core.errors import CorruptPhoto, UnsupportedPhoto

from . import colour
from .depths import density, widened

Pixels = NDArray[Any]

DESCRIPTIVE_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
"""Description, make, model, software, date, artist, copyright."""
EXIF, GPS, ICC, XMP, IPTC, ORIENTATION = 0x8769, 0x8825, 34675, 700, 33723, 274
MIN_IS_WHITE, CMYK, YCBCR = 0, 5, 6
READABLE = {0: "grey", 1: "grey", 2: "RGB", CMYK: "CMYK", colour.CIELAB: "LAB", colour.ICCLAB: "LAB"}
"""Colours that are read at 16 bits, and at 8 where Pillow lacks the codec, by the number of their tag."""
WEBP, JPEG_XL = 50001, 50002
ELSEWHERE = frozenset({WEBP, JPEG_XL, 33003, 33004, 33005, 34712, 34887, 34892, 34933, 34934, 50003})
"""Compressions that Pillow's libtiff lacks: those above, JPEG 2000, LERC, JPEG XR, PNG."""
RAW = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".iiq", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".srw"}
)
"""What cameras call the data of their sensors; the picture in front of it is a small preview."""
DNG_VERSION, SUBFILE = 50706, 254
MISTYPED = (AttributeError, TypeError, ValueError, OverflowError, struct.error)
"""What comes of coding a tag whose value is not of the type that it should be."""
REDUCED, MASK = 1, 4
"""Bits of the tag that says what a page is: a smaller copy of another, or its mask."""


class Deep(NamedTuple):
    """A TIFF's pixels (H, W, 3) and alpha (H, W) or None, uint8 or uint16, as stored (not turned), with what its tags
    say. bits: of the file, where they are spread over 16."""

    pixels: Pixels
    alpha: Pixels | None
    mode: str
    bits: int | None
    notes: tuple[str, ...]
    icc: bytes | None
    xmp: bytes | None
    iptc: bytes | None
    orientation: int


logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it says of a broken tag is no one's answer


def size_of(path: Path) -> tuple[int, int, int]:
    """Width, height and pages from the header alone; smaller copies and masks are no pages. Raises CorruptPhoto."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages.first
            others = sum(not int(p.subfiletype) & (REDUCED | MASK) for p in tiff.pages[1:])
            return int(page.imagewidth), int(page.imagelength), 1 + others
    except Exception as error:  # tifffile raises whatever a broken tag leads it to
        raise CorruptPhoto(path, _said(error)) from error


def check_kind(path: Path, image: Image.Image | None = None) -> None:
    """Raises UnsupportedPhoto for a camera's raw file. image: what Pillow opened, where it did."""
    tags: Any = {} if image is None else image.tag_v2  # type: ignore[attr-defined]
    if path.suffix.lower() in RAW or DNG_VERSION in tags or int(tags.get(SUBFILE, 0)) & REDUCED:
        raise UnsupportedPhoto(path, "a camera's raw file; develop it first and save it as TIFF of 16 bits")


def is_deep(image: Image.Image) -> bool:
    """Whether an opened TIFF has more than 8 bits a channel, or a compression that Pillow lacks."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    return bool(max(np.atleast_1d(tags.get(258, (8,)))) > 8 or tags.get(259) in ELSEWHERE)


def notes_of(image: Image.Image) -> tuple[str, ...]:
    """What Pillow changed of a TIFF of 8 bits."""
    extra = np.atleast_1d(image.tag_v2.get(338, ()))  # type: ignore[attr-defined]
    return _told(premultiplied=1 in extra, more=len(extra) > 1)


def _told(*, premultiplied: bool, more: bool) -> tuple[str, ...]:
    first = ("premultiplied alpha was made straight",) if premultiplied else ()
    return (*first, "channels beyond colour and alpha were left out") if more else first


def read_deep(path: Path) -> Deep:
    """A TIFF of 9 to 16 bits a channel, or of 8. Raises UnsupportedPhoto (another type) or CorruptPhoto."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages.first
            bits, photometric = int(page.bitspersample), int(page.photometric)
            if page.dtype not in (np.uint8, np.uint16) or bits < 8:
                kind = page.dtype if bits >= 8 else f"{bits} bits"
                raise UnsupportedPhoto(path, f"TIFF of type {kind}; save it with 8 or 16 bits a channel")
            if photometric not in READABLE:
                name = getattr(page.photometric, "name", photometric)
                raise UnsupportedPhoto(path, f"TIFF with colours of kind {name}; save it as RGB")
            tags = {t: page.tags[t].value for t in (ICC, XMP, IPTC, ORIENTATION) if t in page.tags}
            raw = _decode(path, page)
            associated = any(int(e) == 1 for e in page.extrasamples)
    except UnsupportedPhoto:
        raise
    except Exception as error:
        raise CorruptPhoto(path, _said(error)) from error
    bits = bits if 8 < bits < 16 else 0
    pixels, alpha, mode, notes = _colours(widened(raw, bits) if bits else raw, photometric)
    if bits:
        notes = (*notes, f"{bits} bits a channel were spread over 16")
    if alpha is not None and associated:
        pixels, notes = _unmultiplied(pixels, alpha), (*notes, *_told(premultiplied=True, more=False))
    turned = tags.get(ORIENTATION, 1)
    return Deep(
        pixels, alpha, mode, bits or None, notes, None if mode in ("CMYK", "LAB") else _bytes(tags.get(ICC)),
        _bytes(tags.get(XMP)), _bytes(tags.get(IPTC)), int(turned) if 1 <= int(turned) <= 8 else 1,
    )  # fmt: skip


def _said(error: Exception) -> str:
    """An error in words: some hold only a number."""
    text = str(error).split("\n")[0]
    return text if any(c.isalpha() for c in text) else f"{type(error).__name__} {text}".strip()


def _decode(path: Path, page: Any) -> Pixels:
    """(H, W, channels). LZW, Photoshop's choice, is read by OpenCV where tifffile lacks the codec."""
    try:
        raw = page.asarray()
        if raw.ndim == 3 and int(page.planarconfig) == 2:
            raw = np.moveaxis(raw, 0, 2)
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        plain = int(page.photometric) in (1, 2) and page.samplesperpixel in (1, 3, 4) and page.bitspersample == 16
        raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION) if plain else None
        if raw is None or raw.dtype != np.uint16:
            name = getattr(page.compression, "name", page.compression)
            raise UnsupportedPhoto(path, f"TIFF compressed by {name}; save it uncompressed or as ZIP") from error
        if raw.ndim == 3:
            raw = raw[..., [2, 1, 0, *range(3, raw.shape[2])]]
    return raw if raw.ndim == 3 else raw[..., None]


def _colours(raw: Pixels, photometric: int) -> tuple[Pixels, Pixels | None, str, tuple[str, ...]]:
    channels, top = raw.shape[2], int(np.iinfo(raw.dtype).max)
    if photometric == CMYK and channels >= 4:
        ink = top - raw[..., :4].astype(np.uint32)
        pixels = ((ink[..., :3] * ink[..., 3:] + top // 2) // top).astype(raw.dtype)
        return pixels, None, "CMYK", ("converted from CMYK to RGB, since skin is judged in RGB",)
    grey = channels < 3
    pixels = np.repeat(raw[..., :1], 3, 2) if grey else np.ascontiguousarray(raw[..., :3])
    mode = ("I;16" if top > 255 else "L") if grey else "RGB"
    notes: tuple[str, ...] = ()
    if photometric == MIN_IS_WHITE:
        pixels = np.invert(pixels)
    elif READABLE[photometric] == "LAB" and not grey:
        pixels, mode, notes = colour.lab_to_srgb(pixels, photometric), "LAB", ("converted from LAB to RGB",)
    first = 1 if grey else 3
    alpha = np.ascontiguousarray(raw[..., first]) if channels > first else None
    return pixels, alpha, mode, (*notes, *_told(premultiplied=False, more=channels > first + 1))


def _unmultiplied(pixels: Pixels, alpha: Pixels) -> Pixels:
    top = float(np.iinfo(pixels.dtype).max)
    weight = np.maximum(alpha, 1).astype(np.float64)[..., None]
    return np.rint(np.minimum(pixels * top / weight, top)).astype(pixels.dtype)


def _bytes(value: Any) -> bytes | None:
    if isinstance(value, (tuple, list, np.ndarray)):
        return np.asarray(value).tobytes() or None
    return value if isinstance(value, bytes) and value else None


def own_tags(path: Path) -> Image.Exif:
    """The tags of a TIFF that Pillow does not open, as EXIF; of a BigTIFF none."""
    read = Image.Exif()
    with path.open("rb") as stream, suppress(Exception):  # a broken tag costs the metadata, not the photo
        read.load_from_fp(stream)
        for number in (EXIF, GPS):
            read.get_ifd(number)  # read while the file is open
    return read


def dpi_of(read: Image.Exif) -> tuple[float, float] | None:
    """Pixels an inch both ways, where a TIFF says so (Pillow takes 1 for what is not said)."""
    unit = {2: 1.0, 3: 2.54}.get(read.get(296, 2))
    if unit is None or 282 not in read or 283 not in read:
        return None
    found = density((read[282], read[283]))
    return None if found is None else (found[0] * unit, found[1] * unit)


def exif_of(read: Image.Exif) -> bytes | None:
    """A TIFF keeps EXIF among its own tags: those that describe the photo, as an EXIF block with orientation 1."""
    kept = Image.Exif()
    for tag in DESCRIPTIVE_TAGS:
        if isinstance(read.get(tag), str):
            kept[tag] = read[tag]
    for number in (EXIF, GPS):
        if entries := read.get_ifd(number):
            kept.get_ifd(number).update(entries)
    if not dict(kept):
        return None
    kept[0x0112] = 1
    try:
        return kept.tobytes()
    except MISTYPED:
        return None


def write(
    path: Path, pixels: Pixels, *, grey: bool, alpha: Pixels | None, icc: bytes | None, exif: bytes | None,
    xmp: bytes | None, iptc: bytes | None, dpi: tuple[float, float] | None,
    extra: tuple[tuple[int, int, int, bytes, bool], ...] = (),
) -> None:  # fmt: skip
    """Write (H, W, 3) pixels, uint8 or uint16, losslessly, with every block that is not None.

    extra: further tags as tifffile takes them (number, type, count, value, once), of little-endian data.
    """
    import tifffile

    data = pixels[..., 0] if grey else pixels
    keywords: dict[str, Any] = {"photometric": "minisblack" if grey else "rgb", "metadata": None}
    if alpha is not None:
        data = np.dstack([data, alpha])
        keywords |= {"extrasamples": ["unassalpha"], "planarconfig": "contig"}
    if dpi:
        keywords |= {"resolution": dpi, "resolutionunit": "INCH"}
    tags, directories = _exif_tags(exif)
    for number, block in ((XMP, xmp), (IPTC, iptc)):
        if block:
            tags.append((number, 1, len(block), block, True))
    tags += extra
    tifffile.imwrite(
        path, data, iccprofile=icc, compression="zlib", compressionargs={"level": 2}, predictor=True, software="",
        extratags=tags, byteorder="<", **keywords,
    )  # fmt: skip
    if directories:
        _add_directories(path, directories)


def _exif_tags(exif: bytes | None) -> tuple[list[Any], dict[int, Any]]:
    """A TIFF's own tags and its EXIF and GPS directories, from an EXIF block."""
    if not exif:
        return [], {}
    read = Image.Exif()
    read.load(exif)
    tags: list[Any] = [(t, 2, 0, str(read[t]), True) for t in DESCRIPTIVE_TAGS if t in read and str(read[t]).isascii()]
    directories = {number: dict(entries) for number in (EXIF, GPS) if (entries := read.get_ifd(number))}
    return tags, directories


def _add_directories(path: Path, directories: dict[int, Any]) -> None:
    """Add EXIF and GPS directories, which tifffile does not write, to a little-endian TIFF of one page.

    Their data and a copy of the first directory that names them go to the file's end; offsets count from the file's
    start, so that the copied entries stay true.
    """
    with path.open("rb+") as stream:
        (first,) = struct.unpack("<4xI", stream.read(8))
        stream.seek(first)
        (count,) = struct.unpack("<H", stream.read(2))
        entries = [stream.read(12) for _ in range(count)]
        for number, values in directories.items():
            directory = ImageFileDirectory_v2(group=number)
            for tag, value in values.items():
                if not isinstance(value, dict):  # a directory in a directory (interoperability) is left out
                    directory[tag] = value
            at = _even_end(stream)
            try:
                stream.write(directory.tobytes(at))
            except MISTYPED:
                continue
            entries.append(struct.pack("<HHII", number, 4, 1, at))
        entries.sort(key=lambda e: struct.unpack("<H10x", e))
        at = _even_end(stream)
        stream.write(struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4))
        stream.seek(4)
        stream.write(struct.pack("<I", at))


def _even_end(stream: BinaryIO) -> int:
    end = stream.seek(0, 2)
    return end + stream.write(b"\0" * (end % 2))
