"""Photos in and out: upright pixels at their own depth, with everything else that the file said.

Pixels outside an edit leave as they came in every lossless format. JPEG is coded again with the original's own
quantisation tables and subsampling, which is as close as the format allows without its coefficients.
"""

from __future__ import annotations

import os
import stat
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from retouchgpt.core.errors import (
    AnimatedPhoto,
    CorruptPhoto,
    NotAnImage,
    OutputExists,
    OutputNotWritable,
    PhotoNotFound,
    PhotoTooLarge,
    PhotoTooSmall,
    UnsupportedPhoto,
)
from retouchgpt.core.geometry import Extent

LIMIT_PIXELS = 200_000_000
LEAST_SIDE = 32
FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP"}
JPEG_SEGMENT = 65_500
"""Bytes of one metadata block that a JPEG segment holds, less its name."""
READABLE = frozenset({"JPEG", "MPO", "PNG", "TIFF", "WEBP"})
_PILLOW_LIMIT = threading.Lock()
_readers = 0
_pillow_pixels: int | None = None

Pixels = NDArray[Any]


@dataclass(frozen=True)
class JpegCoding:
    """How a JPEG was coded: quantisation tables, chroma subsampling (Pillow's number), progressive scan."""

    tables: dict[int, list[int]]
    subsampling: int
    progressive: bool


@dataclass(frozen=True)
class Photo:
    """An upright photo. pixels: (H, W, 3) RGB, uint8 or uint16; grey is repeated in all three.

    alpha: (H, W) of the same type, or None. mode: the file's own (L, P, RGB, CMYK, I;16 ...). palette: (N, 3) uint8
    and indices (H, W) of a palette image. orientation: the EXIF value that was applied (1: none). notes: what had to
    be changed, in words.
    """

    path: Path | None
    pixels: Pixels
    format: str
    mode: str
    alpha: Pixels | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    jpeg: JpegCoding | None = None
    palette: NDArray[np.uint8] | None = None
    indices: NDArray[np.uint8] | None = None
    orientation: int = 1
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def extent(self) -> Extent:
        return Extent(self.pixels.shape[1], self.pixels.shape[0])

    @property
    def depth(self) -> int:
        """Bits a channel."""
        return self.pixels.dtype.itemsize * 8

    @property
    def grey(self) -> bool:
        return self.mode in ("1", "L", "LA", "I", "F") or self.mode.startswith("I;16")


def open_photo(path: str | Path) -> Photo:
    """Read a photo; EXIF orientation is applied once.

    Raises PhotoNotFound, NotAnImage, CorruptPhoto, AnimatedPhoto, PhotoTooSmall, PhotoTooLarge (from the header,
    before decoding) or UnsupportedPhoto.
    """
    path = Path(path)
    _check_file(path)
    with _own_limit(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path) as image:
                return _read(path, image)
        except UnidentifiedImageError as error:
            raise NotAnImage(path) from error
        except (OSError, SyntaxError, ValueError, struct.error, EOFError, IndexError, TypeError, MemoryError) as error:
            raise CorruptPhoto(path, str(error).splitlines()[0] if str(error) else type(error).__name__) from error


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise PhotoNotFound(path) from error
    if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
        raise NotAnImage(path)


@contextmanager
def _own_limit() -> Iterator[None]:
    """Our limit on pixels instead of Pillow's, which would refuse what we accept.

    The limit is one for the process: the first reader lifts it, the last one puts it back.
    """
    global _readers, _pillow_pixels
    with _PILLOW_LIMIT:
        if _readers == 0:
            _pillow_pixels, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        _readers += 1
    try:
        yield
    finally:
        with _PILLOW_LIMIT:
            _readers -= 1
            if _readers == 0:
                Image.MAX_IMAGE_PIXELS = _pillow_pixels


def _read(path: Path, image: Image.Image) -> Photo:
    kind = image.format or ""
    if kind not in READABLE:
        raise NotAnImage(path)
    width, height = image.size
    if width * height > LIMIT_PIXELS:
        raise PhotoTooLarge(width * height, LIMIT_PIXELS)
    if min(width, height) < LEAST_SIDE:
        raise PhotoTooSmall(width, height, LEAST_SIDE)
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and kind != "MPO":
        raise AnimatedPhoto(path, frames)
    orientation = int(image.getexif().get(0x0112, 1) or 1)
    orientation = orientation if 1 <= orientation <= 8 else 1
    info = image.info
    common: dict[str, Any] = {
        "path": path,
        "format": "JPEG" if kind == "MPO" else kind,
        "mode": image.mode,
        "icc": info.get("icc_profile"),
        "exif": _tiff_exif(image) if kind == "TIFF" else _upright_exif(info.get("exif")),
        "xmp": info.get("xmp") if isinstance(info.get("xmp"), bytes) else None,
        "dpi": _dpi(info.get("dpi")),
        "orientation": orientation,
        "jpeg": _coding(image) if kind in ("JPEG", "MPO") else None,
    }
    deep = _read_deep(path, kind, image)
    if deep is not None:
        pixels, alpha, mode = deep
        common["mode"] = mode
        return Photo(pixels=_turn(pixels, orientation), alpha=_turn(alpha, orientation), **common)
    return _read_eight(image, common, orientation)


def _read_eight(image: Image.Image, common: dict[str, Any], orientation: int) -> Photo:
    notes: list[str] = []
    alpha = None
    if image.mode == "CMYK" or image.mode == "YCCK":
        notes.append("converted from CMYK to RGB, since skin is judged in RGB")
        common["icc"] = None
    elif image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "PA"):
        notes.append(f"converted from {image.mode} to RGB")
    if image.mode == "P":
        indices = np.asarray(image)
        palette = np.frombuffer((image.getpalette("RGB") and bytes(image.getpalette("RGB"))) or b"", np.uint8)  # type: ignore[arg-type]
        common["palette"], common["indices"] = palette.reshape(-1, 3), _turn(indices, orientation)
        if "transparency" in image.info:
            alpha = np.asarray(image.convert("RGBA"))[..., 3]
            notes.append("the palette's transparency is kept as an alpha channel; saved with full colour")
            common["palette"] = common["indices"] = None
    elif image.mode in ("LA", "RGBA", "PA") or ("transparency" in image.info and image.mode in ("L", "RGB")):
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
    pixels = np.ascontiguousarray(np.asarray(image.convert("RGB")))
    return Photo(pixels=_turn(pixels, orientation), alpha=_turn(alpha, orientation), notes=tuple(notes), **common)


def _read_deep(path: Path, kind: str, image: Image.Image) -> tuple[Pixels, Pixels | None, str] | None:
    """16-bit pixels, alpha and mode of PNG and TIFF; None where the file has 8 bits."""
    if kind == "PNG":
        head = path.open("rb").read(25)
        if len(head) < 25 or head[24] != 16:
            return None
        raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
        if raw is None:
            raise CorruptPhoto(path, "its 16-bit data cannot be read")
        return _channels(raw, bgr=True)
    if kind == "TIFF":
        bits = image.tag_v2.get(258, (8,))  # type: ignore[attr-defined]
        if max(np.atleast_1d(bits)) <= 8:
            return None
        import tifffile

        raw = tifffile.imread(path)
        if raw.dtype != np.uint16:
            raise UnsupportedPhoto(path, f"TIFF of type {raw.dtype}; save it with 8 or 16 bits a channel")
        if raw.ndim == 3 and raw.shape[0] in (3, 4) and raw.shape[2] not in (3, 4):
            raw = np.moveaxis(raw, 0, 2)
        return _channels(raw, bgr=False)
    return None


def _channels(raw: Pixels, *, bgr: bool) -> tuple[Pixels, Pixels | None, str]:
    if raw.ndim == 2:
        return np.repeat(raw[..., None], 3, 2), None, "I;16"
    if raw.shape[2] == 2:
        return np.repeat(raw[..., :1], 3, 2), raw[..., 1], "I;16"
    colour = raw[..., 2::-1] if bgr else raw[..., :3]
    return np.ascontiguousarray(colour), raw[..., 3] if raw.shape[2] == 4 else None, "RGB"


def _turn(array: Any, orientation: int) -> Any:
    """Apply an EXIF orientation to (H, W, ...) pixels."""
    if array is None or orientation == 1:
        return array
    if orientation in (5, 6, 7, 8):
        array = np.swapaxes(array, 0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


def _upright_exif(exif: bytes | None) -> bytes | None:
    """The same EXIF block with orientation 1 and no thumbnail (which would still show the old face).

    The bytes are patched in place, so maker notes and private tags survive.
    """
    if not exif:
        return None
    data = bytearray(exif)
    start = 6 if data[:6] == b"Exif\0\0" else 0
    try:
        order = {b"II": "<", b"MM": ">"}[bytes(data[start : start + 2])]
        (ifd,) = struct.unpack_from(order + "I", data, start + 4)
        (entries,) = struct.unpack_from(order + "H", data, start + ifd)
        for i in range(entries):
            at = start + ifd + 2 + 12 * i
            tag, kind = struct.unpack_from(order + "HH", data, at)
            if tag == 0x0112 and kind == 3:
                struct.pack_into(order + "H", data, at + 8, 1)
        struct.pack_into(order + "I", data, start + ifd + 2 + 12 * entries, 0)
    except (KeyError, struct.error):
        return None
    return bytes(data)


DESCRIPTIVE_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
"""Description, make, model, software, date, artist, copyright."""


def _tiff_exif(image: Image.Image) -> bytes | None:
    """A TIFF keeps EXIF among its own tags: those that describe the photo, as an EXIF block with orientation 1."""
    read, kept = image.getexif(), Image.Exif()
    for tag in DESCRIPTIVE_TAGS:
        if tag in read:
            kept[tag] = read[tag]
    for number in (0x8769, 0x8825):
        if entries := read.get_ifd(number):
            kept.get_ifd(number).update(entries)
    if not dict(kept):
        return None
    kept[0x0112] = 1
    return kept.tobytes()


def _dpi(value: Any) -> tuple[float, float] | None:
    try:
        x, y = float(value[0]), float(value[1])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    return (x, y) if x > 0 and y > 0 else None


def _coding(image: Image.Image) -> JpegCoding | None:
    tables = getattr(image, "quantization", None)
    if not tables:
        return None
    sampling = JpegImagePlugin.get_sampling(image)
    return JpegCoding(
        {k: list(v) for k, v in tables.items()}, sampling if sampling >= 0 else 0, bool(image.info.get("progressive"))
    )


@dataclass(frozen=True)
class Saved:
    """Where a photo was written and what its format did not allow."""

    path: Path
    notes: tuple[str, ...]


def save_photo(photo: Photo, pixels: Pixels, out: str | Path, *, overwrite: bool = False) -> Saved:
    """Write `pixels` ((H, W, 3), the photo's type and size) as the photo was: depth, mode, profile, EXIF, DPI, alpha.

    The file appears whole or not at all; an existing one is replaced only when told. Raises OutputExists,
    OutputNotWritable or UnsupportedPhoto (a suffix that is no format).
    """
    out = Path(out)
    if pixels.shape != photo.pixels.shape or pixels.dtype != photo.pixels.dtype:
        raise ValueError(
            f"pixels are {pixels.dtype} {pixels.shape}, the photo {photo.pixels.dtype} {photo.pixels.shape}"
        )
    kind = check_output(out, overwrite=overwrite)
    notes: list[str] = []
    if kind == "PNG" and photo.depth == 16:
        blob: bytes | None = _encode_deep_png(photo, pixels)
    elif kind == "TIFF" and photo.depth == 16:
        blob = None
    else:
        blob = b""
    # A link is written through, as other programs do; the part's name is short, since a long one may not fit twice.
    target = Path(os.path.realpath(out))
    partial = target.with_name(f".{os.getpid()}-{threading.get_ident()}.partial")
    try:
        if blob is None:
            _write_deep_tiff(photo, pixels, partial)
        elif blob:
            partial.write_bytes(blob)
        else:
            image, keywords = _eight(photo, pixels, kind, notes)
            image.save(partial, format=kind, **keywords)
        with partial.open("rb+") as stream:
            os.fsync(stream.fileno())
        partial.replace(target)
    except (OSError, ValueError) as error:  # ValueError: what an encoder says of a size that its format cannot hold
        raise OutputNotWritable(out, getattr(error, "strerror", None) or str(error)) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return Saved(out, tuple(notes))


def check_output(out: str | Path, *, overwrite: bool = False) -> str:
    """The format that a path's suffix asks for, once it is clear that it may be written. Raises as `save_photo`."""
    out = Path(out)
    kind = FORMATS.get(out.suffix.lower())
    if kind is None:
        raise UnsupportedPhoto(out, f"the suffix {out.suffix!r} is no format; use one of {', '.join(FORMATS)}")
    if not out.parent.is_dir():
        raise OutputNotWritable(out, "the folder does not exist")
    if not os.access(out.parent, os.W_OK):
        raise OutputNotWritable(out, "the folder is read-only")
    if os.path.exists(out) and not overwrite:  # noqa: PTH110 - Path.exists raises on a name too long
        raise OutputExists(out)
    return kind


def _eight(photo: Photo, pixels: Pixels, kind: str, notes: list[str]) -> tuple[Image.Image, dict[str, Any]]:
    if photo.depth == 16:
        pixels = np.rint(pixels / 257.0).astype(np.uint8)
        notes.append(f"{kind} holds 8 bits a channel; the photo had 16")
    alpha = photo.alpha
    if alpha is not None and alpha.dtype == np.uint16:
        alpha = np.rint(alpha / 257.0).astype(np.uint8)
    if alpha is not None and kind == "JPEG":
        notes.append("JPEG holds no alpha channel; it was left out")
        alpha = None
    keywords: dict[str, Any] = {}
    if photo.icc and (photo.mode != "CMYK"):
        keywords["icc_profile"] = photo.icc
    for name, block in (("exif", photo.exif), ("xmp", photo.xmp if kind in ("JPEG", "WEBP") else None)):
        if block and kind == "JPEG" and len(block) > JPEG_SEGMENT:
            notes.append(f"JPEG holds no {name.upper()} block above {JPEG_SEGMENT} bytes; it was left out")
        elif block:
            keywords[name] = block
    if photo.dpi:
        keywords["dpi"] = photo.dpi
    if kind == "JPEG":
        keywords |= _jpeg_keywords(photo)
    elif kind == "WEBP":
        keywords |= {"lossless": True, "exact": True}
    elif kind == "TIFF":
        keywords |= {"compression": "tiff_lzw"}
    return _image(photo, pixels, alpha, kind), keywords


def _jpeg_keywords(photo: Photo) -> dict[str, Any]:
    if photo.jpeg is None:
        return {"quality": 96, "subsampling": 0}
    out: dict[str, Any] = {"qtables": photo.jpeg.tables, "progressive": photo.jpeg.progressive, "optimize": True}
    if not photo.grey:
        out["subsampling"] = photo.jpeg.subsampling
        if len(photo.jpeg.tables) < 2 or photo.mode == "CMYK":
            out = {"quality": 96, "subsampling": 0}
    return out


def _image(photo: Photo, pixels: Pixels, alpha: Pixels | None, kind: str) -> Image.Image:
    if photo.palette is not None and photo.indices is not None and kind in ("PNG", "TIFF"):
        image = Image.fromarray(_to_palette(photo, pixels), "P")
        image.putpalette(photo.palette.tobytes(), "RGB")
        return image
    if photo.grey:
        grey = Image.fromarray(np.rint(pixels.mean(2)).astype(np.uint8))
        if alpha is None:
            return grey
        return Image.merge("LA", (grey, Image.fromarray(alpha)))
    if alpha is None:
        return Image.fromarray(np.ascontiguousarray(pixels))
    return Image.fromarray(np.dstack([pixels, alpha]))


def _to_palette(photo: Photo, pixels: Pixels) -> NDArray[np.uint8]:
    """Palette indices: unchanged pixels keep theirs, changed ones take the nearest colour of the palette."""
    assert photo.indices is not None
    assert photo.palette is not None
    indices = photo.indices.copy()
    changed = (pixels != photo.pixels).any(2)
    colours = pixels[changed].astype(np.int32)
    for start in range(0, len(colours), 65536):
        part = colours[start : start + 65536]
        distance = ((part[:, None] - photo.palette[None].astype(np.int32)) ** 2).sum(2)
        colours[start : start + 65536, 0] = distance.argmin(1)
    indices[changed] = colours[:, 0].astype(np.uint8)
    return indices


def _encode_deep_png(photo: Photo, pixels: Pixels) -> bytes:
    """16-bit PNG by OpenCV, with profile, EXIF and density chunks put behind its header."""
    if photo.grey:
        planes = np.rint(pixels.mean(2)).astype(np.uint16)
        raw = planes if photo.alpha is None else np.dstack([planes, planes, planes, photo.alpha])
    else:
        raw = pixels[..., ::-1] if photo.alpha is None else np.dstack([pixels[..., ::-1], photo.alpha])
    done, coded = cv2.imencode(".png", np.ascontiguousarray(raw), [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise OSError("the PNG could not be coded")
    data = coded.tobytes()
    chunks = b""
    if photo.icc:
        import zlib

        chunks += _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(photo.icc))
    if photo.dpi:
        per_metre = [round(d / 0.0254) for d in photo.dpi]
        chunks += _chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1))
    if photo.exif:
        chunks += _chunk(b"eXIf", photo.exif[6:] if photo.exif[:6] == b"Exif\0\0" else photo.exif)
    return data[:33] + chunks + data[33:]


def _chunk(name: bytes, body: bytes) -> bytes:
    import zlib

    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _write_deep_tiff(photo: Photo, pixels: Pixels, path: Path) -> None:
    import tifffile

    grey = photo.grey
    data = pixels[..., 0] if grey else pixels
    keywords: dict[str, Any] = {"photometric": "minisblack" if grey else "rgb", "metadata": None}
    if photo.alpha is not None:
        data = np.dstack([data, photo.alpha])
        keywords["extrasamples"] = ["unassalpha"]
    if photo.dpi:
        keywords |= {"resolution": photo.dpi, "resolutionunit": "INCH"}
    tifffile.imwrite(path, data, iccprofile=photo.icc, compression="zlib", predictor=True, **keywords)
