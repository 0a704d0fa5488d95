"""JPEG: how a file was coded, coding again in the same way, and keeping untouched blocks to the last coefficient.

JPEG cannot be changed in one place through its pixels: decoding rounds, chroma is shared by neighbours, coding rounds
again. With jpeglib installed (the extra `jpeg`) the coefficients of every untouched block are the original's own; what
holds in the file as written is measured and said either way.
"""

from __future__ import annotations

import importlib.util
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

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


def settle(written: Path, original: Path | None, before: Pixels, after: Pixels, orientation: int) -> str:
    """Bring a coded JPEG as near to the original as can be, and say in words how near that is.

    written: the file just coded from `after`. original: the JPEG that `before` was read from, or None. before, after:
    (H, W, 3) uint8, upright. orientation: the EXIF value that was applied to `before`.
    """
    changed = (before != after).any(2)
    return _settled(written, original, before, changed, orientation) + _lost(written, before, after, changed)


def _settled(written: Path, original: Path | None, before: Pixels, changed: NDArray[np.bool_], orientation: int) -> str:
    kept = written.with_name(f"{written.name}.kept")
    try:
        if original is not None and _keep_blocks(written, kept, original, changed, orientation):
            _, most = _difference(kept, before, changed, reach=17)
            if most <= (0 if orientation == 1 else TURNED):  # else the original is no longer the file that was opened
                kept.replace(written)
                return (
                    KEPT if most == 0 else f"{KEPT}; turned upright without loss, decoders round by up to {most} of 255"
                )
    finally:
        kept.unlink(missing_ok=True)
    differing, most = _difference(written, before, changed, reach=0)
    return (
        f"JPEG is coded anew on saving: {1 - differing:.2%} of the pixels outside the edit stay as they were, "
        f"the others move by at most {most} of 255"
    )


def _lost(written: Path, before: Pixels, after: Pixels, changed: NDArray[np.bool_]) -> str:
    """What is to be said where the tables are so coarse that the file as written shows little of the edit."""
    if not changed.any():
        return ""
    with Image.open(written) as image:
        now = np.asarray(image.convert("RGB"))[changed].astype(np.int32)
    wanted = after[changed].astype(np.int32) - before[changed]
    share = float(((now - before[changed]) * wanted).sum()) / float((wanted**2).sum())
    if share >= SHOWN:
        return ""
    return f"; the original's coarse tables leave {max(share, 0):.0%} of the edit, so save it as PNG or TIFF to see it"


def _difference(written: Path, before: Pixels, changed: NDArray[np.bool_], reach: int) -> tuple[float, int]:
    """Share of pixels further than `reach` px from the edit that the written file shows otherwise, and by how much."""
    near = changed.astype(np.uint8)
    if reach:
        near = cv2.dilate(near, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    with Image.open(written) as image:
        now = np.asarray(image.convert("RGB"))
    moved = cv2.absdiff(now, before).max(2)
    moved[near > 0] = 0
    return float((moved > 0).sum()) / max(int((near == 0).sum()), 1), int(moved.max())


def _keep_blocks(written: Path, kept: Path, original: Path, changed: NDArray[np.bool_], orientation: int) -> bool:
    """Write `kept`: the JPEG just written with the original's own coefficients wherever nothing changed.

    False where that cannot be.
    """
    if importlib.util.find_spec("jpeglib") is None:
        return False
    import jpeglib

    try:
        new, old = jpeglib.read_dct(str(written)), jpeglib.read_dct(str(original))
    except OSError:
        return False
    names = [n for n in ("Y", "Cb", "Cr") if getattr(old, n) is not None]
    unit = 8 * (np.asarray(new.samp_factor)[0] if len(names) > 1 else np.array((1, 1)))
    if orientation != 1 and any(side % u for side, u in zip(changed.shape, unit, strict=True)):
        return False  # a turned part block would lie at the wrong edge
    blocks = {n: _turned(getattr(old, n), orientation) for n in names}
    if any(getattr(new, n) is None or getattr(new, n).shape != blocks[n].shape for n in names):
        return False
    tables = [np.asarray(t).T if orientation >= 5 else np.asarray(t) for t in old.qt]
    if new.jpeg_color_space != old.jpeg_color_space or not np.array_equal(tables, new.qt):
        return False
    for name in names:
        _put(getattr(new, name), blocks[name], changed, unit)
    new.write_dct(str(kept))
    return True


def _put(new: Pixels, old: Pixels, changed: NDArray[np.bool_], unit: NDArray[Any]) -> None:
    """Copy old blocks (rows, columns, 8, 8) into new ones where no pixel of their coding unit changed."""
    rows, columns = (-(-side // u) for side, u in zip(changed.shape, unit, strict=True))
    whole = np.zeros((rows * unit[0], columns * unit[1]), bool)
    whole[: changed.shape[0], : changed.shape[1]] = changed
    touched = whole.reshape(rows, unit[0], columns, unit[1]).any((1, 3))
    per_unit = (-(-new.shape[0] // rows), -(-new.shape[1] // columns))
    of_block = touched.repeat(per_unit[0], 0).repeat(per_unit[1], 1)[: new.shape[0], : new.shape[1]]
    new[~of_block] = old[~of_block]


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
