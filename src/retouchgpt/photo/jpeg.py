"""JPEG: how a file was coded, coding again in the same way, and keeping untouched blocks to the last coefficient.

JPEG cannot be changed in one place through its pixels: decoding rounds, chroma is shared by neighbours, coding rounds
again. With jpeglib installed (the extra `jpeg`) the coefficients of every untouched block are the original's own; what
holds in the file as written is measured and said either way.
"""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from retouchgpt.core.geometry import Box, Extent
from retouchgpt.core.pixels import STRIP, differing

Pixels = NDArray[Any]

SEGMENT = 65_500
"""Bytes of one metadata block that a JPEG segment holds, less its name."""
IPTC_RESOURCE = 0x0404
SHOWN = 0.5
"""Share of an edit in the file as written below which it is said."""
TURNED = 4
"""Levels by which a decoder's rounding may differ between a block and the same block turned."""
KEPT = "JPEG blocks that the edit does not touch (16x16 px at most) keep the original's own data"
FRESH = {"quality": 96, "subsampling": 0}
"""How a JPEG is coded that was none before."""


@dataclass(frozen=True)
class JpegCoding:
    """How a JPEG was coded: quantisation tables, chroma subsampling (Pillow's number), progressive scan."""

    tables: dict[int, list[int]]
    subsampling: int
    progressive: bool


class Change(NamedTuple):
    """A photo before and after an edit. original: the JPEG that `before` was read from, or None. before, after:
    (H, W, 3) uint8, upright. orientation: the EXIF value that was applied to `before`."""

    original: Path | None
    before: Pixels
    after: Pixels
    orientation: int


def coding_of(image: Image.Image) -> JpegCoding | None:
    """The coding of an opened JPEG; None without tables."""
    tables = getattr(image, "quantization", None)
    if not tables:
        return None
    sampling = JpegImagePlugin.get_sampling(image)
    return JpegCoding(
        {k: list(v) for k, v in tables.items()}, sampling if sampling >= 0 else 0, bool(image.info.get("progressive"))
    )


def keywords(coding: JpegCoding | None, *, grey: bool, cmyk: bool, orientation: int) -> dict[str, Any]:
    """Pillow's save options that code as before. A photo turned on its side has its tables turned with it."""
    if coding is None or cmyk or (not grey and len(coding.tables) < 2):
        return dict(FRESH)
    tables = coding.tables
    if orientation >= 5:
        tables = {k: np.reshape(v, (8, 8)).T.ravel().tolist() for k, v in tables.items()}
    out: dict[str, Any] = {"qtables": tables, "progressive": coding.progressive, "optimize": True}
    return out if grey else out | {"subsampling": coding.subsampling}


def photoshop_segment(iptc: bytes) -> bytes:
    """IPTC records as an APP13 segment."""
    body = b"Photoshop 3.0\0" + resource(IPTC_RESOURCE, iptc)
    return b"\xff\xed" + struct.pack(">H", len(body) + 2) + body


def resource(number: int, data: bytes) -> bytes:
    """One of Photoshop's image resources without a name."""
    return b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + b"\0" * (len(data) % 2)


def save(written: Path, change: Change, image_of: Callable[[Pixels], Image.Image], options: dict[str, Any]) -> str:
    """Write a changed photo as near to the JPEG that it was read from as can be; says in words how near that is.

    image_of: pixels (h, w, 3) -> the image to code. options: Pillow's for saving.
    """
    changed = differing(change.before, change.after)
    if change.original is not None and _keep_blocks(written, change, changed, image_of, options):
        now = _decoded(written)
        _, most = _difference(now, change.before, changed, reach=17)
        if most <= (0 if change.orientation == 1 else TURNED):  # else the original is not the file that was opened
            turned = f"; turned upright without loss, decoders round by up to {most} of 255" if most else ""
            return KEPT + turned + _lost(now, change, changed)
    image_of(change.after).save(written, format="JPEG", **options)
    now = _decoded(written)
    share, most = _difference(now, change.before, changed, reach=0)
    said = f"{1 - share:.2%} of the pixels outside the edit stay as they were, the others move by at most {most} of 255"
    return f"JPEG is coded anew on saving: {said}{_lost(now, change, changed)}"


def _decoded(written: Path) -> Pixels:
    with Image.open(written) as image:
        return np.asarray(image.convert("RGB"))


def _lost(now: Pixels, change: Change, changed: NDArray[np.bool_]) -> str:
    """What is to be said where the tables are so coarse that the file as written shows little of the edit."""
    if not changed.any():
        return ""
    before = change.before[changed].astype(np.int32)
    wanted = change.after[changed] - before
    share = float(((now[changed] - before) * wanted).sum()) / float((wanted**2).sum())
    if share >= SHOWN:
        return ""
    return f"; the original's coarse tables leave {max(share, 0):.0%} of the edit, so save it as PNG or TIFF to see it"


def _difference(now: Pixels, before: Pixels, changed: NDArray[np.bool_], reach: int) -> tuple[float, int]:
    """Share of pixels further than `reach` px from the edit that a decoded file shows otherwise, and by how much."""
    moved, most, outside = 0, 0, 0
    for y in range(0, len(now), STRIP):
        near = _near(changed, y, reach)
        outside += near.size - int(np.count_nonzero(near))
        strip = np.s_[y : y + STRIP]
        if not np.array_equal(now[strip], before[strip]):
            by = cv2.absdiff(now[strip], before[strip])
            by = np.maximum(np.maximum(by[..., 0], by[..., 1]), by[..., 2])
            by[near] = 0
            moved, most = moved + int(np.count_nonzero(by)), max(most, int(by.max()))
    return moved / max(outside, 1), most


def _near(changed: NDArray[np.bool_], y: int, reach: int) -> NDArray[np.bool_]:
    """The strip of a map that begins at row y, grown by `reach` px."""
    top = max(y - reach, 0)
    around = changed[top : y + STRIP + reach]
    if reach and around.any():
        around = cv2.dilate(around.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    return around[y - top :][:STRIP]


def _keep_blocks(
    written: Path, change: Change, changed: NDArray[np.bool_], image_of: Callable[[Pixels], Image.Image],
    options: dict[str, Any],
) -> bool:  # fmt: skip
    """Write the original's own coefficients, and anew only the coding units that changed. False where that cannot be.

    The units around the edit are coded as a small JPEG of their own: a block's coefficients depend on its unit alone.
    """
    if importlib.util.find_spec("jpeglib") is None:
        return False
    import jpeglib

    orientation, (height, width) = change.orientation, changed.shape
    try:
        old = jpeglib.read_dct(str(change.original))
        factors = np.asarray(old.samp_factor)[:, :: -1 if orientation >= 5 else 1]
        names = ("Y", "Cb", "Cr")[: 3 if old.has_chrominance else 1]
        unit = 8 * (factors[0] if len(names) > 1 else np.array((1, 1)))
        if (old.height, old.width) != ((width, height) if orientation >= 5 else (height, width)):
            return False
        if orientation != 1 and any(side % u for side, u in zip(changed.shape, unit, strict=True)):
            return False  # a turned part block would lie at the wrong edge
        touched, box = _touched(changed, unit)
        image_of(change.after[box.slices]).save(written, format="JPEG", **options)
        new = jpeglib.read_dct(str(written))
        if new.jpeg_color_space != old.jpeg_color_space or not np.array_equal(new.samp_factor, factors):
            return False
        tables = [np.asarray(t).T if orientation >= 5 else np.asarray(t) for t in old.qt]
        if not np.array_equal(tables, new.qt):
            return False
        for name, own in zip(names, factors, strict=False):
            blocks = _turned(getattr(old, name), orientation)
            _put(blocks, getattr(new, name), touched, (box.y0 // unit[0], box.x0 // unit[1]), own * (len(names) > 1))
            setattr(new, name, blocks)
        new.height, new.width = height, width
        new.block_dims = np.asarray(old.block_dims)[:, :: -1 if orientation >= 5 else 1]
        new.content = None  # else jpeglib takes the sizes of the small one
        new.write_dct(str(written))
        _put_density(written, [bytes(m.content) for m in new.markers or ()])
    except OSError:
        return False
    return True


def _put_density(written: Path, markers: list[bytes]) -> None:
    """jpeglib writes a JFIF header of its own before the file's: make it say the same of the resolution."""
    header = next((m for m in markers if m[:5] == b"JFIF\0" and len(m) == 14), None)
    if header is not None:
        with written.open("rb+") as stream:
            if stream.read(11) == b"\xff\xd8\xff\xe0\x00\x10" + header[:5]:
                stream.seek(6)
                stream.write(header)


def _touched(changed: NDArray[np.bool_], unit: NDArray[Any]) -> tuple[NDArray[np.bool_], Box]:
    """Which coding units changed, (rows, columns), and the box of px around them; around the first where none did."""
    rows, columns = (-(-side // u) for side, u in zip(changed.shape, unit, strict=True))
    whole = np.zeros((rows * unit[0], columns * unit[1]), bool)
    whole[: changed.shape[0], : changed.shape[1]] = changed
    touched = whole.reshape(rows, unit[0], columns, unit[1]).any((1, 3))
    y, x = (np.nonzero(touched.any(axis))[0] if touched.any() else np.array([0]) for axis in (1, 0))
    box = Box(x[0] * unit[1], y[0] * unit[0], (x[-1] + 1) * unit[1], (y[-1] + 1) * unit[0])
    return touched, Box(*map(int, box)).clipped(Extent(changed.shape[1], changed.shape[0]))


def _put(
    blocks: Pixels, new: Pixels, touched: NDArray[np.bool_], corner: tuple[int, int], factors: NDArray[Any]
) -> None:
    """Copy new blocks (rows, columns, 8, 8) of the units from `corner` on over those of the whole, where touched.

    factors: blocks a unit, down and across; 0 for one.
    """
    down, across = (max(int(f), 1) for f in factors)
    y, x = corner[0] * down, corner[1] * across
    part = blocks[y : y + new.shape[0], x : x + new.shape[1]]
    of_block = touched.repeat(down, 0).repeat(across, 1)[y:, x:][: new.shape[0], : new.shape[1]]
    part[of_block] = new[of_block]


def _turned(blocks: Pixels, orientation: int) -> Pixels:
    """Coefficient blocks (rows, columns, 8, 8) of a picture turned upright by its EXIF orientation, without loss."""
    signs = np.where(np.arange(8) % 2, -1, 1).astype(blocks.dtype)
    if orientation in (5, 6, 7, 8):
        blocks = blocks.transpose(1, 0, 3, 2)
    if orientation in (2, 3, 6, 7):
        blocks = blocks[:, ::-1] * signs
    if orientation in (3, 4, 7, 8):
        blocks = blocks[::-1] * signs[:, None]
    return blocks
