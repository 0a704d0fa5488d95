"""Photos in and out: upright pixels at their own depth, with everything else that the file said.

Pixels outside an edit leave as they came in every lossless format; `jpeg` says what holds there, and why.
"""

from __future__ import annotations

import os
import platform
import stat
import struct
import threading
import time
import uuid
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from retouchgpt import __version__
from retouchgpt.core.errors import (
    AnimatedPhoto,
    CorruptPhoto,
    MissingExtra,
    NotAnImage,
    OutputExists,
    OutputNotWritable,
    PhotoNotFound,
    PhotoTooLarge,
    PhotoTooSmall,
    UnsupportedPhoto,
)
from retouchgpt.core.geometry import Extent

from . import colour, heif, jpeg, metadata, png, tiff
from .depths import turned
from .jpeg import JpegCoding

LIMIT_PIXELS = 200_000_000
LEAST_SIDE = 32
FORMATS = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP", ".heic": "HEIF",
    ".heif": "HEIF", ".avif": "AVIF",
}  # fmt: skip
NAMES = {"HEIF": "HEIC"}
"""What a format is called, where that is not its own word here."""
PARTIAL = ".retouchgpt-"
STALE_SECONDS = 3600
DAMAGED_EXIF = "the EXIF block is damaged and was left out"
READABLE = frozenset({"JPEG", "MPO", "PNG", "TIFF", "WEBP"})
_PILLOW_LIMIT = threading.Lock()
_readers = 0
_pillow_pixels: int | None = None

Pixels = NDArray[Any]


@dataclass(frozen=True)
class Photo:
    """An upright photo. pixels: (H, W, 3) RGB, uint8 or uint16; grey is repeated in all three.

    alpha: (H, W) of the same type, or None. mode: the file's own (L, P, RGB, CMYK, I;16 ...). palette: (N, 3) uint8
    and indices (H, W) of a palette image. orientation: the EXIF value that was applied (1: none). notes: what had to
    be changed, in words. xmp: the packet; iptc: the IIM records. bits: what the file held a channel, where its 10 or 12
    bits are spread over 16.
    """

    path: Path | None
    pixels: Pixels
    format: str
    mode: str
    alpha: Pixels | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    jpeg: JpegCoding | None = None
    palette: NDArray[np.uint8] | None = None
    indices: NDArray[np.uint8] | None = None
    orientation: int = 1
    bits: int | None = None
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def extent(self) -> Extent:
        return Extent(self.pixels.shape[1], self.pixels.shape[0])

    @property
    def depth(self) -> int:
        """Bits a channel of the pixels."""
        return self.pixels.dtype.itemsize * 8

    @cached_property
    def colours(self) -> colour.Chosen:
        """The colour space of its profile, with what is to be said of it."""
        return colour.space_of(self.icc, grey=self.grey)

    @property
    def space(self) -> colour.Space:
        """How its numbers become sRGB, and back."""
        return self.colours.space

    @property
    def grey(self) -> bool:
        return self.mode in ("1", "L", "LA", "I", "F") or self.mode.startswith("I;16")


def open_photo(path: str | Path) -> Photo:
    """Read a photo; EXIF orientation is applied once.

    Raises PhotoNotFound, NotAnImage, CorruptPhoto, AnimatedPhoto, PhotoTooSmall, PhotoTooLarge (from the header,
    before decoding), UnsupportedPhoto, or MissingExtra (HEIC and AVIF need the extra `heif`).
    """
    path = Path(path)
    _check_file(path)
    with _own_limit(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        photo = _opened(path)
    return replace(photo, notes=(*photo.notes, photo.colours.note)) if photo.colours.note else photo


def _opened(path: Path) -> Photo:
    try:
        if (kind := heif.kind_of(path)) is not None:
            return _read_heif(path, kind)
        with Image.open(path) as image:
            return _read(path, image)
    except UnidentifiedImageError as error:
        with path.open("rb") as stream:
            start = stream.read(4)
        if start in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):  # a kind of TIFF that Pillow does not know
            return _read_tiff(path)
        tiff.check_kind(path)
        raise NotAnImage(path) from error
    except (OSError, SyntaxError, ValueError, struct.error, EOFError, IndexError, TypeError, MemoryError) as error:
        raise CorruptPhoto(path, str(error).splitlines()[0] if str(error) else type(error).__name__) from error


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise PhotoNotFound(path) from error
    if stat.S_ISDIR(status.st_mode):
        raise NotAnImage(path, "it is a folder")
    if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
        raise NotAnImage(path, "it is empty" if stat.S_ISREG(status.st_mode) else "it is no file")


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
    frames = getattr(image, "n_frames", 1)
    if kind == "TIFF":
        tiff.check_kind(path, image)
        frames = tiff.size_of(path)[2] if frames > 1 else frames
    _check_size(path, *image.size, 1 if kind == "MPO" else frames)
    orientation = metadata.orientation_of(image)
    info = image.info
    exif = tiff.exif_of(image.getexif()) if kind == "TIFF" else metadata.upright_exif(info.get("exif"))
    common: dict[str, Any] = {
        "path": path,
        "format": "JPEG" if kind == "MPO" else kind,
        "mode": image.mode,
        "icc": info.get("icc_profile"),
        "exif": exif,
        "xmp": metadata.upright_xmp(info.get("xmp")),
        "iptc": metadata.iptc_of(image),
        "dpi": tiff.dpi_of(image.getexif()) if kind == "TIFF" else metadata.dpi_of(image),
        "orientation": orientation,
        "jpeg": jpeg.coding_of(image) if kind in ("JPEG", "MPO") else None,
        "notes": (
            *((DAMAGED_EXIF,) if info.get("exif") and exif is None and kind != "TIFF" else ()),
            *((_others(frames),) if kind == "MPO" and frames > 1 else ()),
        ),
    }
    if kind == "TIFF" and tiff.is_deep(image):
        return _read_tiff(path, common)
    if kind == "PNG" and (deep := png.read_deep(path)) is not None:
        pixels, alpha, common["mode"] = deep
        return Photo(pixels=turned(pixels, orientation), alpha=turned(alpha, orientation), **common)
    return _read_eight(image, common, orientation)


def _read_heif(path: Path, kind: str) -> Photo:
    _check_size(path, *heif.size_of(path, kind))
    read = heif.read(path, kind)
    _check_size(path, read.pixels.shape[1], read.pixels.shape[0], 1)
    return Photo(
        path, turned(read.pixels, read.orientation), kind, read.mode, turned(read.alpha, read.orientation), read.icc,
        metadata.upright_exif(read.exif), metadata.upright_xmp(read.xmp), orientation=read.orientation,
        bits=read.bits if read.bits > 8 else None, notes=(_others(read.pictures),) if read.pictures > 1 else (),
    )  # fmt: skip


def _others(pictures: int) -> str:
    return f"the file held {pictures} pictures; the main one is retouched and the others are left out"


def _check_size(path: Path, width: int, height: int, frames: int) -> None:
    if width * height > LIMIT_PIXELS:
        raise PhotoTooLarge(width * height, LIMIT_PIXELS)
    if min(width, height) < LEAST_SIDE:
        raise PhotoTooSmall(width, height, LEAST_SIDE)
    if frames > 1:
        raise AnimatedPhoto(path, frames)


def _read_tiff(path: Path, common: dict[str, Any] | None = None) -> Photo:
    """A TIFF that Pillow does not read at its depth. common: what Pillow read of it, where it could."""
    if common is None:
        tiff.check_kind(path)
        _check_size(path, *tiff.size_of(path))
        tags = tiff.own_tags(path)
        common = {"path": path, "format": "TIFF", "exif": tiff.exif_of(tags), "dpi": tiff.dpi_of(tags)}
    deep = tiff.read_deep(path)
    way = deep.orientation
    common |= {"mode": deep.mode, "icc": deep.icc, "iptc": deep.iptc, "notes": deep.notes, "bits": deep.bits}
    common |= {"xmp": metadata.upright_xmp(deep.xmp), "orientation": way}
    return Photo(pixels=turned(deep.pixels, way), alpha=turned(deep.alpha, way), **common)


def _read_eight(image: Image.Image, common: dict[str, Any], orientation: int) -> Photo:
    notes = [*common.pop("notes"), *(tiff.notes_of(image) if image.format == "TIFF" else ())]
    alpha = None
    if image.format == "TIFF":
        image.filename = ""  # type: ignore[attr-defined]  # of a grey file that it maps into memory Pillow loses the turn
        image.load()  # Pillow turns a TIFF itself while it decodes, and takes the tag away
        orientation = int(image.getexif().get(0x0112, 1) or 1)
    if image.mode == "CMYK" or image.mode == "YCCK":
        by_profile = colour.ink_to_srgb(image, common["icc"])
        how = "CMYK to RGB" if by_profile is None else "CMYK to sRGB by its profile"
        notes.append(f"converted from {how}, since skin is judged in RGB")
        image, common["mode"], common["icc"] = by_profile or image, "CMYK", None
    elif image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "PA"):
        notes.append(f"converted from {image.mode} to RGB")
        common["icc"] = None if image.mode == "LAB" else common["icc"]
    if image.mode == "P":
        indices = np.asarray(image)
        palette = np.frombuffer((image.getpalette("RGB") and bytes(image.getpalette("RGB"))) or b"", np.uint8)  # type: ignore[arg-type]
        common["palette"], common["indices"] = palette.reshape(-1, 3), turned(indices, orientation)
        if "transparency" in image.info:
            alpha = np.asarray(image.convert("RGBA"))[..., 3]
            notes.append("the palette's transparency is kept as an alpha channel; saved with full colour")
            common["palette"] = common["indices"] = None
    elif image.mode in ("LA", "RGBA", "PA") or ("transparency" in image.info and image.mode in ("L", "RGB")):
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
    pixels = np.ascontiguousarray(np.asarray(image.convert("RGB")))
    return Photo(pixels=turned(pixels, orientation), alpha=turned(alpha, orientation), notes=tuple(notes), **common)


@dataclass(frozen=True)
class Saved:
    """Where a photo was written and what its format did not allow."""

    path: Path
    notes: tuple[str, ...]


def save_photo(
    photo: Photo, pixels: Pixels, out: str | Path, *, overwrite: bool = False, note: str | None = None
) -> Saved:
    """Write `pixels` ((H, W, 3), the photo's type and size) as the photo was: depth, mode, profile, EXIF, DPI, alpha.

    note: the instruction; with it, XMP says that and how the photo was edited, if any pixel differs from the photo's.
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
    described = edited(photo, pixels, note)
    with whole(out) as partial:
        _encode(described, pixels, kind, partial, notes)
    return Saved(out, tuple(notes))


def edited(photo: Photo, pixels: Pixels, note: str | None) -> Photo:
    """The photo with a note of the edit in its XMP, see `save_photo`."""
    if note is None or np.array_equal(pixels, photo.pixels):
        return photo
    return replace(photo, xmp=metadata.noted(photo.xmp, note, __version__))


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A path to write to; what is written there appears at `out` whole when the block ends, or not at all.

    Raises OutputNotWritable.
    """
    # A link is written through, as other programs do; the part's name is short, since a long one may not fit twice.
    target = Path(os.path.realpath(out))
    partial = target.with_name(f"{PARTIAL}{_machine()}-{os.getpid()}-{threading.get_ident()}.partial")
    try:
        _sweep(target.parent)
        yield partial
        with partial.open("rb+") as stream:
            os.fsync(stream.fileno())
        partial.replace(target)
    except MissingExtra:
        raise
    except (OSError, ValueError, RuntimeError, struct.error) as error:  # what encoders say of what they cannot hold
        raise OutputNotWritable(out, getattr(error, "strerror", None) or str(error)) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove parts that a killed process left behind: of this machine's at once, of others' when no photo takes so long
    to write."""
    for part in folder.glob(f"{PARTIAL}*.partial"):
        with suppress(OSError):
            if _abandoned(part.name) or time.time() - part.stat().st_mtime > STALE_SECONDS:
                part.unlink()


def _abandoned(part: str) -> bool:
    """Whether the process that began a part ran on this machine and has ended."""
    machine, _, rest = part.removeprefix(PARTIAL).partition("-")
    number = rest.partition("-")[0]
    if machine != _machine() or not number.isdigit() or os.name != "posix":
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


@cache
def _machine() -> str:
    """This machine, in a few letters: a folder may be shared by several."""
    return f"{zlib.crc32(f'{platform.node()}{uuid.getnode()}'.encode()):08x}"


def _encode(photo: Photo, pixels: Pixels, kind: str, path: Path, notes: list[str]) -> None:
    if photo.iptc and kind not in ("JPEG", "TIFF"):
        notes.append(f"{NAMES.get(kind, kind)} holds no IPTC block; it was left out")
    if kind == "TIFF" and photo.palette is None:
        grey = photo.grey
        data = _grey(pixels)[..., None] if grey else pixels
        tiff.write(
            path, data, grey=grey, alpha=photo.alpha, icc=photo.icc, exif=photo.exif, xmp=photo.xmp, iptc=photo.iptc,
            dpi=photo.dpi,
        )  # fmt: skip
    elif kind == "PNG" and photo.depth == 16:
        png.write_deep(
            path, _grey(pixels)[..., None] if photo.grey else pixels, grey=photo.grey, alpha=photo.alpha,
            icc=photo.icc, exif=photo.exif, xmp=photo.xmp, dpi=photo.dpi,
        )  # fmt: skip
    elif kind in ("HEIF", "AVIF"):
        _encode_heif(photo, pixels, kind, path, notes)
    else:
        image, keywords = _eight(photo, pixels, kind, notes)
        image.save(path, format=kind, **keywords)
        if kind == "JPEG" and photo.depth == 8:
            original = photo.path if photo.jpeg is not None else None
            notes.append(jpeg.settle(path, original, photo.pixels, pixels, photo.orientation))


def _encode_heif(photo: Photo, pixels: Pixels, kind: str, path: Path, notes: list[str]) -> None:
    bits = 8 if photo.depth == 8 else photo.bits if photo.bits in (10, 12) else 12
    if photo.depth == 16 and (photo.bits or 16) > 12:
        notes.append(f"{NAMES.get(kind, kind)} holds 12 bits a channel; the photo had {photo.bits or 16}")
    grey = photo.grey and photo.alpha is None
    data = np.repeat(_grey(pixels)[..., None], 3, 2) if photo.grey else pixels
    heif.write(path, data, kind, bits=bits, alpha=photo.alpha, grey=grey, icc=photo.icc, exif=photo.exif, xmp=photo.xmp)


def _grey(pixels: Pixels) -> Pixels:
    """(H, W) of RGB pixels; exact where the three are equal."""
    total = pixels.sum(2, dtype=np.uint32)
    return ((total + 1) // 3).astype(pixels.dtype)


def check_output(out: str | Path, *, overwrite: bool = False) -> str:
    """The format that a path's suffix asks for, once it is clear that it may be written. Raises as `save_photo`."""
    out = Path(out)
    kind = FORMATS.get(out.suffix.lower())
    if kind is None:
        raise UnsupportedPhoto(out, f"the suffix {out.suffix!r} is no format; use one of {', '.join(FORMATS)}")
    check_place(out, overwrite=overwrite)
    return kind


def check_place(out: Path, *, overwrite: bool = False) -> None:
    """That a file may be written here. Raises OutputNotWritable or OutputExists."""
    if not out.parent.is_dir():
        raise OutputNotWritable(out, "the folder does not exist")
    if not os.access(out.parent, os.W_OK):
        raise OutputNotWritable(out, "the folder is read-only")
    if os.path.exists(out) and not overwrite:  # noqa: PTH110 - Path.exists raises on a name too long
        raise OutputExists(out)


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
        if block and kind == "JPEG" and len(block) > jpeg.SEGMENT:
            notes.append(f"JPEG holds no {name.upper()} block above {jpeg.SEGMENT} bytes; it was left out")
        elif block:
            keywords[name] = block
    if photo.dpi:
        keywords["dpi"] = photo.dpi
    if kind == "JPEG":
        keywords |= jpeg.keywords(photo.jpeg, grey=photo.grey, cmyk=photo.mode == "CMYK", orientation=photo.orientation)
        if photo.iptc and len(photo.iptc) <= jpeg.SEGMENT:
            keywords["extra"] = jpeg.photoshop_segment(photo.iptc)
    elif kind == "PNG":
        keywords["compress_level"] = 3  # three times as fast as 6 for a few per cent of size
        if photo.xmp:
            keywords["pnginfo"] = PngInfo()
            keywords["pnginfo"].add_itxt(png.XMP_KEYWORD, photo.xmp.decode("utf-8", "replace"))
    elif kind == "WEBP":
        keywords |= {"lossless": True, "exact": True}
    elif kind == "TIFF":
        if not photo.exif:  # libtiff, which compresses, cannot be given directories of EXIF and GPS
            keywords["compression"] = "tiff_lzw"
        if photo.xmp:
            keywords["tiffinfo"] = {tiff.XMP: photo.xmp}
    if kind in ("PNG", "TIFF") and photo.palette is not None and photo.indices is not None:
        return png.with_palette(photo.palette, photo.indices, photo.pixels, pixels, notes), keywords
    return _image(photo, pixels, alpha), keywords


def _image(photo: Photo, pixels: Pixels, alpha: Pixels | None) -> Image.Image:
    if photo.grey:
        grey = Image.fromarray(_grey(pixels))
        if alpha is None:
            return grey
        return Image.merge("LA", (grey, Image.fromarray(alpha)))
    if alpha is None:
        return Image.fromarray(np.ascontiguousarray(pixels))
    return Image.fromarray(np.dstack([pixels, alpha]))
