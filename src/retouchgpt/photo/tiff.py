"""TIFF at its own depth, by tifffile: what Pillow reads at 8 bits, or not at all, and every TIFF that is written."""

from __future__ import annotations

import logging
import struct
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from retouchgpt.core.errors import CorruptPhoto, UnsupportedPhoto

Pixels = NDArray[Any]

DESCRIPTIVE_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
"""Description, make, model, software, date, artist, copyright."""
EXIF, GPS, ICC, XMP, IPTC, ORIENTATION = 0x8769, 0x8825, 34675, 700, 33723, 274
MIN_IS_WHITE, CMYK = 0, 5


class Deep(NamedTuple):
    """A TIFF's pixels (H, W, 3) and alpha (H, W) or None, uint16, as stored (not turned), with what its tags say."""

    pixels: Pixels
    alpha: Pixels | None
    mode: str
    notes: tuple[str, ...]
    icc: bytes | None
    xmp: bytes | None
    iptc: bytes | None
    orientation: int


logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it says of a broken tag is no one's answer


def size_of(path: Path) -> tuple[int, int, int]:
    """Width, height and pages from the header alone. Raises CorruptPhoto."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages.first
            return int(page.imagewidth), int(page.imagelength), len(tiff.pages)
    except Exception as error:  # tifffile raises whatever a broken tag leads it to
        raise CorruptPhoto(path, str(error).split("\n")[0] or type(error).__name__) from error


def read_deep(path: Path) -> Deep:
    """A TIFF of 16 bits a channel. Raises UnsupportedPhoto (another type) or CorruptPhoto."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages.first
            if page.dtype != np.uint16:
                raise UnsupportedPhoto(path, f"TIFF of type {page.dtype}; save it with 8 or 16 bits a channel")
            tags = {t: page.tags[t].value for t in (ICC, XMP, IPTC, ORIENTATION) if t in page.tags}
            raw, photometric = _decode(path, page), int(page.photometric)
            associated = any(int(e) == 1 for e in page.extrasamples)
    except UnsupportedPhoto:
        raise
    except Exception as error:
        raise CorruptPhoto(path, str(error).split("\n")[0] or type(error).__name__) from error
    pixels, alpha, mode, notes = _colours(raw, photometric)
    if alpha is not None and associated:
        pixels, notes = _unmultiplied(pixels, alpha), (*notes, "premultiplied alpha was made straight")
    turned = tags.get(ORIENTATION, 1)
    return Deep(
        pixels, alpha, mode, notes, None if photometric == CMYK else _bytes(tags.get(ICC)), _bytes(tags.get(XMP)),
        _bytes(tags.get(IPTC)), int(turned) if 1 <= int(turned) <= 8 else 1,
    )  # fmt: skip


def _decode(path: Path, page: Any) -> Pixels:
    """(H, W, channels). LZW, Photoshop's choice, is read by OpenCV where tifffile lacks the codec."""
    try:
        raw = page.asarray()
        if raw.ndim == 3 and int(page.planarconfig) == 2:
            raw = np.moveaxis(raw, 0, 2)
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        plain = int(page.photometric) in (1, 2) and page.samplesperpixel in (1, 3, 4)
        raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION) if plain else None
        if raw is None or raw.dtype != np.uint16:
            name = getattr(page.compression, "name", page.compression)
            raise UnsupportedPhoto(path, f"TIFF compressed by {name}; save it uncompressed or as ZIP") from error
        if raw.ndim == 3:
            raw = raw[..., [2, 1, 0, *range(3, raw.shape[2])]]
    return raw if raw.ndim == 3 else raw[..., None]


def _colours(raw: Pixels, photometric: int) -> tuple[Pixels, Pixels | None, str, tuple[str, ...]]:
    channels = raw.shape[2]
    if photometric == CMYK and channels >= 4:
        ink = 65535 - raw[..., :4].astype(np.uint32)
        pixels = ((ink[..., :3] * ink[..., 3:] + 32767) // 65535).astype(np.uint16)
        return pixels, None, "CMYK", ("converted from CMYK to RGB, since skin is judged in RGB",)
    grey = channels < 3
    pixels = np.repeat(raw[..., :1], 3, 2) if grey else np.ascontiguousarray(raw[..., :3])
    if photometric == MIN_IS_WHITE:
        pixels = np.invert(pixels)
    first = 1 if grey else 3
    alpha = np.ascontiguousarray(raw[..., first]) if channels > first else None
    notes = ("channels beyond colour and alpha were left out",) if channels > first + 1 else ()
    return pixels, alpha, "I;16" if grey else "RGB", notes


def _unmultiplied(pixels: Pixels, alpha: Pixels) -> Pixels:
    weight = np.maximum(alpha, 1).astype(np.float64)[..., None]
    return np.rint(np.minimum(pixels * 65535.0 / weight, 65535)).astype(np.uint16)


def _bytes(value: Any) -> bytes | None:
    if isinstance(value, (tuple, list, np.ndarray)):
        return np.asarray(value).tobytes() or None
    return value if isinstance(value, bytes) and value else None


def exif_of(image: Image.Image) -> bytes | None:
    """A TIFF keeps EXIF among its own tags: those that describe the photo, as an EXIF block with orientation 1."""
    read, kept = image.getexif(), Image.Exif()
    for tag in DESCRIPTIVE_TAGS:
        if tag in read:
            kept[tag] = read[tag]
    for number in (EXIF, GPS):
        if entries := read.get_ifd(number):
            kept.get_ifd(number).update(entries)
    if not dict(kept):
        return None
    kept[0x0112] = 1
    return kept.tobytes()


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
            stream.write(directory.tobytes(at))
            entries.append(struct.pack("<HHII", number, 4, 1, at))
        entries.sort(key=lambda e: struct.unpack("<H10x", e))
        at = _even_end(stream)
        stream.write(struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4))
        stream.seek(4)
        stream.write(struct.pack("<I", at))


def _even_end(stream: BinaryIO) -> int:
    end = stream.seek(0, 2)
    return end + stream.write(b"\0" * (end % 2))
