"""Colour: from the numbers of a photo's own profile to sRGB, which the network was taught in, and back.

Only what the network sees is converted, and only its correction is brought back, so a pixel outside an edit is never
touched by a conversion. Profiles of a matrix and curves (Adobe RGB, Display P3, ProPhoto, cameras, grey) are computed
in floats from their tags; profiles of tables go through LittleCMS, sampled on a grid.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.pixels import linear_to_srgb, srgb_to_linear

FloatImage = NDArray[Any]

SRGB_D50 = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
"""sRGB's primaries in the profile connection space (Bradford-adapted to D50)."""
D50 = (0.9642, 1.0, 0.8249)
"""White of the profile connection space, and of Lab."""
CIELAB, ICCLAB = 8, 9
"""TIFF's two codings of Lab, as its tag numbers them: with a and b signed, or about their middle."""
SAMPLES = 65_536
GRID = 33
"""Places a side of a sampled table profile."""
SAME_WITHIN = 1.5 / 255
"""A profile nearer to sRGB than this everywhere is taken for sRGB."""
STRIP = 256
"""Rows converted at a time."""


class Space(Protocol):
    """A photo's colour space."""

    def to_srgb(self, values: FloatImage) -> NDArray[np.float32]:
        """The photo's numbers (..., 3) in [0, 1] -> sRGB-encoded (..., 3), clipped to [0, 1]."""
        ...

    def from_srgb(self, values: FloatImage) -> NDArray[np.float32]:
        """sRGB-encoded (..., 3) in [0, 1] -> the photo's numbers, clipped to [0, 1]."""
        ...


class Chosen(NamedTuple):
    """A space, and what the user should know of it ("" for nothing)."""

    space: Space
    note: str


class Srgb:
    """The photo's numbers are sRGB already."""

    def to_srgb(self, values: FloatImage) -> NDArray[np.float32]:
        return np.asarray(values, np.float32)

    def from_srgb(self, values: FloatImage) -> NDArray[np.float32]:
        return np.asarray(values, np.float32)


SRGB = Srgb()


@dataclass(frozen=True)
class MatrixSpace:
    """A profile of three curves and a matrix. curves: (3, SAMPLES), light of each channel at evenly spaced numbers,
    rising. matrix: (3, 3), linear light -> linear sRGB."""

    curves: NDArray[np.float32]
    matrix: NDArray[np.float64]

    def to_srgb(self, values: FloatImage) -> NDArray[np.float32]:
        codes = np.asarray(values, np.float32)
        place = np.linspace(0, 1, SAMPLES)
        light = np.stack([np.interp(codes[..., c], place, self.curves[c]) for c in range(3)], -1)
        return linear_to_srgb((light @ self.matrix.T).clip(0, 1))

    def from_srgb(self, values: FloatImage) -> NDArray[np.float32]:
        light = srgb_to_linear(np.asarray(values, np.float32).clip(0, 1)) @ np.linalg.inv(self.matrix).T
        place = np.linspace(0, 1, SAMPLES)
        codes = [np.interp(light[..., c], self.curves[c], place) for c in range(3)]
        return np.stack(codes, -1).clip(0, 1).astype(np.float32)


@dataclass(frozen=True)
class GridSpace:
    """A profile of tables, sampled. forth, back: (GRID, GRID, GRID, 3) float32, own numbers -> sRGB and sRGB -> own."""

    forth: NDArray[np.float32]
    back: NDArray[np.float32]

    def to_srgb(self, values: FloatImage) -> NDArray[np.float32]:
        return _trilinear(self.forth, values)

    def from_srgb(self, values: FloatImage) -> NDArray[np.float32]:
        return _trilinear(self.back, values)


def space_of(icc: bytes | None, *, grey: bool = False) -> Chosen:
    """The space of a photo with this profile. A profile that cannot be used is taken for sRGB, with a note."""
    if not icc:
        return Chosen(SRGB, "")
    try:
        space = _parsed(icc, grey)
    except (struct.error, ValueError, IndexError, KeyError, OSError, OverflowError, np.linalg.LinAlgError) as error:
        reason = str(error).splitlines()[0] if isinstance(error, ValueError) and str(error) else "it is damaged"
        return Chosen(SRGB, f"the colour profile was kept but could not be used ({reason}); taken for sRGB")
    sample = np.stack(np.meshgrid(*[np.linspace(0, 1, 9, dtype=np.float32)] * 3, indexing="ij"), -1)
    if grey:
        sample = np.repeat(np.linspace(0, 1, 65, dtype=np.float32)[:, None], 3, 1)
    return Chosen(SRGB if np.abs(space.to_srgb(sample) - sample).max() < SAME_WITHIN else space, "")


def brought_back(space: Space, own: FloatImage, correction: FloatImage) -> NDArray[np.float32]:
    """A correction of sRGB numbers as one of the photo's own; exactly 0 where it is 0.

    own: the photo's numbers, (..., 3) in [0, 1]. correction: (..., 3) in [-1, 1].
    """
    if space is SRGB:
        return np.asarray(correction, np.float32)
    before = space.to_srgb(own)
    change = space.from_srgb((before + correction).clip(0, 1)) - space.from_srgb(before)
    return np.where((correction != 0).any(-1, keepdims=True), change, 0).astype(np.float32)


def seen(space: Space, pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """A whole photo (H, W, 3), uint8 or uint16, as sRGB at 8 bits: for finding faces and for previews."""
    if space is SRGB:
        return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    out = np.empty(pixels.shape, np.uint8)
    eight = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    levels = np.arange(256, dtype=np.float32) / 255
    if isinstance(space, MatrixSpace):  # by tables: a photo of 24 MP takes a second, not half a minute
        light = np.stack([np.interp(levels, np.linspace(0, 1, SAMPLES), c) for c in space.curves], -1)
        coded = np.rint(linear_to_srgb(np.linspace(0, 1, 4096)) * 255).astype(np.uint8)
        table = np.ascontiguousarray(light.astype(np.float32)[None])
        for y in range(0, len(out), STRIP):
            mixed = cv2.transform(cv2.LUT(np.ascontiguousarray(eight[y : y + STRIP]), table), space.matrix)
            out[y : y + STRIP] = coded[np.rint(mixed.clip(0, 1) * 4095).astype(np.uint16)]
        return out
    for y in range(0, len(out), STRIP):
        out[y : y + STRIP] = np.rint(space.to_srgb(eight[y : y + STRIP] / np.float32(255)) * 255)
    return out


def lab_to_srgb(values: NDArray[Any], photometric: int) -> NDArray[Any]:
    """A TIFF's Lab numbers (H, W, 3), uint8 or uint16, coded as CIELAB or ICCLAB, as sRGB of the same type."""
    top, signed = np.iinfo(values.dtype).max, np.int8 if values.dtype == np.uint8 else np.int16
    step, middle = (1, 128) if values.dtype == np.uint8 else (256, 32768)
    white = top if photometric == CIELAB or values.dtype == np.uint8 else 65280
    out, from_d50 = np.empty_like(values), np.linalg.inv(SRGB_D50).T
    for y in range(0, len(values), STRIP):
        rows = values[y : y + STRIP]
        chroma = rows[..., 1:].view(signed) if photometric == CIELAB else rows[..., 1:].astype(np.int32) - middle
        level = (rows[..., 0] * (100.0 / white) + 16) / 116
        a, b = (chroma[..., i].astype(np.float32) / step for i in (0, 1))
        at = np.stack([level + a / 500, level, level - b / 200], -1)
        xyz = np.where(at > 6 / 29, at**3, (at - 4 / 29) * 3 * (6 / 29) ** 2) * D50
        out[y : y + STRIP] = np.rint(linear_to_srgb((xyz @ from_d50).clip(0, 1)) * top)
    return out


def colourless(pixels: NDArray[Any]) -> bool:
    """Whether a photo (H, W, 3), uint8, uint16 or float in [0, 1], is black and white though stored in colour: no
    pixel's channels lie more than a level of 255 apart (a float's, which may be resampled, one and a half)."""
    whole = np.issubdtype(pixels.dtype, np.integer)
    level = np.iinfo(pixels.dtype).max // 255 if whole else 1.5 / 255
    for y in range(0, pixels.shape[0], STRIP):
        rows = pixels[y : y + STRIP].astype(np.int32 if whole else pixels.dtype)
        if (rows.max(2) - rows.min(2)).max() > level:
            return False
    return True


def ink_to_srgb(image: Any, icc: bytes | None) -> Any | None:
    """A CMYK Pillow image as sRGB by its own profile; None where it has none that LittleCMS can use."""
    from PIL import ImageCms

    if not icc:
        return None
    try:
        return ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _parsed(icc: bytes, grey: bool) -> Space:
    """Raises ValueError with the reason in words, or what broken numbers lead to."""
    if len(icc) < 132 or icc[36:40] != b"acsp":
        raise ValueError("it is damaged")
    kind, connection = icc[16:20], icc[20:24]
    tags = _tags(icc)
    if kind == b"GRAY":
        if not grey:
            raise ValueError("a grey profile on a colour photo")
        return MatrixSpace(np.repeat(_curve(tags[b"kTRC"])[None], 3, 0), np.diag((1.0, 1.0, 1.0)))
    if kind != b"RGB ":
        raise ValueError(f"it is for {kind.decode('ascii', 'replace').strip()}, not for RGB")
    if b"A2B0" in tags or connection != b"XYZ ":
        return _sampled(icc)
    curves = np.stack([_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")])
    columns = [_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    matrix: NDArray[np.float64] = np.linalg.solve(SRGB_D50, np.stack(columns, 1))
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-4:
        raise ValueError("its primaries are one colour")
    return MatrixSpace(curves, matrix)


def _tags(icc: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", icc, 128)
    if count > 200:
        raise ValueError("it is damaged")
    rows = [struct.unpack_from(">4sII", icc, 132 + 12 * i) for i in range(count)]
    return {name: icc[at : at + size] for name, at, size in rows}


def _xyz(tag: bytes) -> NDArray[np.float64]:
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536


def _curve(tag: bytes) -> NDArray[np.float32]:
    """A tone curve as SAMPLES values of light, never falling."""
    x = np.linspace(0, 1, SAMPLES)
    if tag[:4] == b"para":
        y = _parametric(tag, x)
    elif tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            y = x
        elif count == 1:
            y = x ** (struct.unpack_from(">H", tag, 12)[0] / 256)
        else:
            points = np.frombuffer(tag, ">u2", count, 12) / 65535
            y = np.interp(x, np.linspace(0, 1, count), points)
    else:
        raise ValueError("a tone curve of an unknown type")
    y = np.maximum.accumulate(np.nan_to_num(y).clip(0, 1))
    if y[-1] <= y[0]:
        raise ValueError("a tone curve that does not rise")
    return y.astype(np.float32)


def _parametric(tag: bytes, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """ICC.1:2010, 10.16: y = (a x + b)^g + e from d on, c x + f below."""
    (kind,) = struct.unpack_from(">H", tag, 8)
    names = {0: "g", 1: "gab", 2: "gabe", 3: "gabcd", 4: "gabcdef"}.get(kind)
    if names is None:
        raise ValueError("a tone curve of an unknown type")
    v = dict(zip(names, (n / 65536 for n in struct.unpack_from(f">{len(names)}i", tag, 12)), strict=True))
    g, a, b, c, e, f = (v.get(n, d) for n, d in zip("gabcef", (1.0, 1.0, 0.0, 0.0, 0.0, 0.0), strict=True))
    if kind in (1, 2):
        e, f = (0.0, 0.0) if kind == 1 else (e, e)
        below = -b / a if a else 0.0
    else:
        below = v.get("d", 0.0)
    return np.where(x >= below, np.maximum(a * x + b, 0) ** g + e, c * x + f)


def _sampled(icc: bytes) -> GridSpace:
    from PIL import Image, ImageCms

    steps = np.rint(np.linspace(0, 255, GRID)).astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(GRID, GRID * GRID, 3)
    own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
    try:
        ways = [
            np.asarray(ImageCms.profileToProfile(Image.fromarray(grid), a, b), np.float32) / 255
            for a, b in ((own, srgb), (srgb, own))
        ]
    except ImageCms.PyCMSError as error:
        raise ValueError("it cannot be used both ways") from error
    return GridSpace(*(w.reshape(GRID, GRID, GRID, 3) for w in ways))


def _trilinear(grid: NDArray[np.float32], values: FloatImage) -> NDArray[np.float32]:
    at = np.asarray(values, np.float32).clip(0, 1) * (GRID - 1)
    low = np.minimum(at.astype(np.intp), GRID - 2)
    share = at - low
    out = np.zeros(at.shape, np.float32)
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(np.array(corner, bool), share, 1 - share), -1, keepdims=True)
        place = low + np.array(corner)
        out += weight * grid[place[..., 0], place[..., 1], place[..., 2]]
    return out
