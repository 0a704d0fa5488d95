"""HEIC by pillow-heif and AVIF by imagecodecs, at their full depth, written without loss (the extra `heif`).

Numbers of 10 or 12 bits are spread over 16 by repeating their highest bits, and come back as they were.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from retouchgpt.core.errors import CorruptPhoto, MissingExtra, UnsupportedPhoto

from . import avif_boxes
from .depths import narrowed, widened

Pixels = NDArray[Any]

HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
AVIF_BRANDS = frozenset({b"avif", b"avis"})
HDR = {16: "PQ", 18: "HLG"}
"""Transfer curves (H.273) that are no photo's for a screen; skin cannot be judged through them."""
P3, BT2020 = 12, 9


class Read(NamedTuple):
    """Pixels (H, W, 3) and alpha (H, W) or None, uint8 or uint16, as stored where `orientation` is not 1."""

    pixels: Pixels
    alpha: Pixels | None
    mode: str
    bits: int
    icc: bytes | None
    exif: bytes | None
    xmp: bytes | None
    orientation: int
    pictures: int = 1


def kind_of(path: Path) -> str | None:
    """HEIF or AVIF by the file's brand; None for anything else."""
    with path.open("rb") as stream:
        head = stream.read(64)
    if head[4:8] != b"ftyp":
        return None
    brands = {head[8:12], *(head[i : i + 4] for i in range(16, min(int.from_bytes(head[:4], "big"), 64), 4))}
    if brands & AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if brands & HEIC_BRANDS else None


def size_of(path: Path, kind: str) -> tuple[int, int, int]:
    """Width, height and pictures, from the header alone. Raises CorruptPhoto or MissingExtra."""
    _need(kind)
    try:
        if kind == "HEIF":
            import pillow_heif

            file = pillow_heif.open_heif(path)
            width, height = file.size
            return width, height, 1  # bursts and depth pictures lie beside the primary one, which is the photo
        with Image.open(path) as image:
            return *image.size, getattr(image, "n_frames", 1)
    except Exception as error:  # the decoders raise what their libraries say
        raise CorruptPhoto(path, _line(error)) from error


def read(path: Path, kind: str) -> Read:
    """The primary picture at its own depth. Raises CorruptPhoto, UnsupportedPhoto (HDR) or MissingExtra."""
    _need(kind)
    try:
        return _read_heic(path) if kind == "HEIF" else _read_avif(path)
    except UnsupportedPhoto:
        raise
    except Exception as error:
        raise CorruptPhoto(path, _line(error)) from error


def write(
    path: Path, pixels: Pixels, kind: str, *, bits: int, alpha: Pixels | None, grey: bool, icc: bytes | None,
    exif: bytes | None, xmp: bytes | None,
) -> None:  # fmt: skip
    """Write (H, W, 3) pixels, uint8 or uint16, without loss at 8, 10 or 12 bits, with every block that is not None."""
    _need(kind)
    data = pixels[..., 0] if grey and alpha is None else pixels if alpha is None else np.dstack([pixels, alpha])
    if kind == "AVIF":
        import imagecodecs

        codes = data if bits == 8 else narrowed(data, bits)
        if codes.ndim == 2:
            codes = np.repeat(codes[..., None], 3, 2)
        coded = imagecodecs.avif_encode(np.ascontiguousarray(codes), level=100, speed=8, bitspersample=bits)
        path.write_bytes(avif_boxes.with_metadata(bytes(coded), icc=icc, exif=exif, xmp=xmp))
        return
    import pillow_heif

    mode = "L" if data.ndim == 2 else "RGB" if data.shape[2] == 3 else "RGBA"
    if bits > 8:
        data, mode = narrowed(data, bits) << (16 - bits), f"{mode};16"
    image = pillow_heif.from_bytes(mode, (data.shape[1], data.shape[0]), np.ascontiguousarray(data).tobytes())
    if icc:
        image.info["icc_profile"], image.info["icc_profile_type"] = icc, "prof"
    with path.open("wb") as stream:
        image.save(
            stream, quality=-1, chroma=444, matrix_coefficients=0, bit_depth=bits, exif=exif, xmp=xmp,
            enc_params={"preset": "ultrafast"},
        )  # fmt: skip


def _read_heic(path: Path) -> Read:
    import pillow_heif

    image = pillow_heif.open_heif(path, convert_hdr_to_8bit=False)  # its main picture, and how many there are
    bits = int(image.info.get("bit_depth") or 8)
    nclx = image.info.get("nclx_profile") or {}
    icc = image.info.get("icc_profile")
    icc = icc or _profile_of(path, int(nclx.get("color_primaries", 1)), int(nclx.get("transfer_characteristics", 13)))
    raw = np.asarray(image)
    if raw.dtype == np.uint16:
        raw = widened(raw >> (16 - bits), bits)
    # the decoder has turned the picture by its own boxes; EXIF only says so again
    return Read(*_planes(raw), bits, icc, image.info.get("exif"), image.info.get("xmp"), 1, len(image))


def _read_avif(path: Path) -> Read:
    import imagecodecs

    data = path.read_bytes()
    with Image.open(path) as image:
        info, orientation = dict(image.info), int(image.getexif().get(0x0112, 1) or 1)
    bits = avif_boxes.bits_of(data)
    icc = info.get("icc_profile") or _profile_of(path, *avif_boxes.colours_of(data))
    raw = imagecodecs.avif_decode(data)
    if raw.ndim not in (2, 3) or raw.dtype not in (np.uint8, np.uint16):
        raise CorruptPhoto(path, f"its pixels are {raw.dtype} {raw.shape}")
    if raw.dtype == np.uint16:
        raw = widened(raw, bits)
    orientation = orientation if 1 <= orientation <= 8 else 1
    return Read(*_planes(raw), bits, icc, info.get("exif"), info.get("xmp"), orientation)


def _planes(raw: Pixels) -> tuple[Pixels, Pixels | None, str]:
    """Pixels (H, W, 3), alpha and mode."""
    deep = raw.dtype == np.uint16
    channels = 1 if raw.ndim == 2 else raw.shape[2]
    if channels < 3:
        grey = raw if raw.ndim == 2 else raw[..., 0]
        return np.repeat(grey[..., None], 3, 2), None if channels == 1 else raw[..., 1], "I;16" if deep else "L"
    alpha = np.ascontiguousarray(raw[..., 3]) if channels > 3 else None
    return np.ascontiguousarray(raw[..., :3]), alpha, "RGB" if alpha is None else "RGBA"


def _profile_of(path: Path, primaries: int, transfer: int) -> bytes | None:
    """A profile for colours that are named by numbers (H.273) only; None for sRGB's. Raises UnsupportedPhoto (HDR)."""
    from .profiles import DISPLAY_P3, REC_2020, made

    if transfer in HDR:
        raise UnsupportedPhoto(path, f"high dynamic range ({HDR[transfer]}); export it for a screen (SDR) first")
    if primaries == P3:
        return made(DISPLAY_P3)
    return made(REC_2020) if primaries == BT2020 else None


def _need(kind: str) -> None:
    package = "pillow_heif" if kind == "HEIF" else "imagecodecs"
    if importlib.util.find_spec(package) is None:
        raise MissingExtra(package.replace("_", "-"), "heif")


def _line(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # whose words only repeat the path
        return "its picture cannot be decoded"
    return str(error).split("\n")[0] or type(error).__name__
