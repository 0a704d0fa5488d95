"""PNG at 16 bits, which Pillow does not read or write in colour, and palettes of PNG and TIFF."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouchgpt.core.errors import CorruptPhoto

Pixels = NDArray[Any]

XMP_KEYWORD = "XML:com.adobe.xmp"


def read_deep(path: Path) -> tuple[Pixels, Pixels | None, str] | None:
    """16-bit pixels (H, W, 3), alpha and mode of a PNG; None where it has 8 bits. Raises CorruptPhoto."""
    with path.open("rb") as stream:
        head = stream.read(26)
    if len(head) < 26 or head[24] != 16:
        return None
    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if raw is None:
        raise CorruptPhoto(path, "its 16-bit data cannot be read")
    mode = "I;16" if head[25] in (0, 4) else "RGB"  # PNG's colour type: 0 grey, 4 grey with alpha
    if raw.ndim == 2:
        return np.repeat(raw[..., None], 3, 2), None, mode
    return np.ascontiguousarray(raw[..., 2::-1]), raw[..., 3] if raw.shape[2] == 4 else None, mode


def write_deep(
    path: Path, pixels: Pixels, *, grey: bool, alpha: Pixels | None, icc: bytes | None, exif: bytes | None,
    xmp: bytes | None, dpi: tuple[float, float] | None,
) -> None:  # fmt: skip
    """16-bit PNG by OpenCV, with profile, EXIF, XMP and density chunks put behind its header.

    pixels: (H, W, 3) uint16, or (H, W, 1) for grey.
    """
    if grey:
        planes = pixels[..., 0]
        raw = planes if alpha is None else np.dstack([planes, planes, planes, alpha])
    else:
        raw = pixels[..., ::-1] if alpha is None else np.dstack([pixels[..., ::-1], alpha])
    done, coded = cv2.imencode(".png", np.ascontiguousarray(raw), [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise OSError("the PNG could not be coded")
    data, chunks = coded.tobytes(), b""
    if icc:
        chunks += _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc))
    if dpi:
        per_metre = [round(d / 0.0254) for d in dpi]
        chunks += _chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1))
    if exif:
        chunks += _chunk(b"eXIf", exif[6:] if exif[:6] == b"Exif\0\0" else exif)
    if xmp:
        chunks += _chunk(b"iTXt", XMP_KEYWORD.encode() + bytes(5) + xmp)
    path.write_bytes(data[:33] + chunks + data[33:])


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def with_palette(
    palette: NDArray[np.uint8], indices: NDArray[np.uint8], before: Pixels, after: Pixels, notes: list[str]
) -> Image.Image:
    """A palette image of the pixels `after`.

    palette: (N, 3). indices: (H, W), those of the pixels `before`. Untouched pixels keep their index and new colours
    take the palette's free places. Where those do not suffice, changed pixels take the nearest colour, and a note says
    so.
    """
    changed = (after != before).any(2)
    known = {tuple(c): i for i, c in reversed(list(enumerate(palette.tolist())))}
    wanted, place = np.unique(after[changed], axis=0, return_inverse=True)
    new = [c for c in map(tuple, wanted.tolist()) if c not in known]
    indices, colours = indices.copy(), palette.tobytes()
    if len(palette) + len(new) > 256:
        notes.append("the palette has no room for the edit's colours; changed pixels took its nearest ones")
        nearest = [((palette.astype(np.int32) - c) ** 2).sum(1).argmin() for c in wanted.astype(np.int32)]
        indices[changed] = np.array(nearest, np.uint8)[place.ravel()]
    elif len(wanted):
        known |= {c: len(palette) + i for i, c in enumerate(new)}
        colours += bytes(v for c in new for v in c)
        indices[changed] = np.array([known[tuple(c)] for c in wanted.tolist()], np.uint8)[place.ravel()]
    image = Image.fromarray(indices, "P")
    image.putpalette(colours, "RGB")
    return image
