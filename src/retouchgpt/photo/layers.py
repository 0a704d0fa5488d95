"""Layers: the original below, one layer for each kind of edit with its mask above, as layered TIFF or PSD.

A layer holds the finished pixels and its mask, black and white, says where they show, so that the layers flattened are
the result to the bit at 8 and 16 bits, and so that a mask painted larger or smaller in another program does what it
looks like. Masks read back are the brush of a new retouch. Needs the extra `layers`.
"""

from __future__ import annotations

import importlib.util
import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.errors import CorruptPhoto, MissingExtra, OutputNotWritable, UnsupportedPhoto
from retouchgpt.core.geometry import Box, Similarity

from . import jpeg, tiff
from .composite import EDGE
from .files import Photo, check_place, edited, whole

if TYPE_CHECKING:
    import psdtags

Pixels = NDArray[Any]

BACKGROUND = "Original"
SUFFIXES = (".tif", ".tiff", ".psd")
SOURCE_DATA = 37724
"""The TIFF tag that holds Photoshop's layers."""
PSD_BYTES = 2 << 30
PSD_SIDE = 30_000
"""Most px a side that a PSD holds."""
NEAR = 8.0
"""Model px beyond a kind's own mask over which a changed pixel still counts as its."""
XMP, IPTC, EXIF, ICC, RESOLUTION = 1060, 1028, 1058, 1039, 1005
"""Numbers of Photoshop's image resources."""


class Part(NamedTuple):
    """One kind of edit on one face. weight: (side, side) over the model frame of `size` px, how much a place is its."""

    name: str
    weight: NDArray[np.float32]
    alignment: Similarity
    size: int


class Layer(NamedTuple):
    """name; box: where in the photo; mask: (h, w) bool of the box, where the result shows."""

    name: str
    box: Box
    mask: NDArray[np.bool_]


def split(before: Pixels, after: Pixels, parts: Sequence[Part]) -> tuple[Layer, ...]:
    """Every changed pixel in exactly one layer: that of the part which claims it most.

    before, after: (H, W, 3). Parts without a pixel give no layer.
    """
    changed = (before != after).any(2)
    rows, columns = np.nonzero(changed.any(1))[0], np.nonzero(changed.any(0))[0]
    if not len(rows):
        return ()
    area = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    best = np.zeros((area.extent.height, area.extent.width), np.float32)
    owner = np.full(best.shape, -1, np.int16)
    for i, part in enumerate(parts):
        claimed = _claim(part, area)
        wins = claimed > best
        owner[wins], best[wins] = i, claimed[wins]
    owner[owner < 0] = len(parts)  # what no part claims: an edit without a kind
    owner[~changed[area.slices]] = -1
    names = [*(p.name for p in parts), "retouch"]
    return tuple(_layer(name, owner == i, area) for i, name in enumerate(names) if (owner == i).any())


def _claim(part: Part, area: Box) -> NDArray[np.float32]:
    """A part's weight at the photo's px of `area`, with a faint rest around it; 0 beyond the model frame."""
    scale = part.weight.shape[0] / part.size
    near = cv2.GaussianBlur(part.weight, (0, 0), max(NEAR * scale, 0.5))
    values = np.where(part.weight > EDGE, part.weight + 1, near / 2).astype(np.float32)
    alignment = Similarity(
        part.alignment.scale * scale, part.alignment.angle, part.alignment.dx * scale, part.alignment.dy * scale
    )
    matrix = alignment.matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ np.array((area.x0 + 0.5, area.y0 + 0.5)) - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(values, matrix, tuple(area.extent), flags=flags, borderMode=cv2.BORDER_CONSTANT)


def _layer(name: str, own: NDArray[np.bool_], area: Box) -> Layer:
    rows, columns = np.nonzero(own.any(1))[0], np.nonzero(own.any(0))[0]
    inner = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    x, y = area.x0 + int(columns[0]), area.y0 + int(rows[0])
    box = Box(x, y, area.x0 + int(columns[-1]) + 1, area.y0 + int(rows[-1]) + 1)
    return Layer(name, box, np.ascontiguousarray(own[inner]))


def save_layers(
    photo: Photo, pixels: Pixels, layers: Sequence[Layer], out: str | Path, *, overwrite: bool = False,
    note: str | None = None,
) -> Path:  # fmt: skip
    """Write the photo, its layers and, flattened, `pixels`, at the photo's depth, as a layered TIFF or a PSD.

    note: as in `save_photo`. The file appears whole or not at all. Raises OutputExists, OutputNotWritable,
    UnsupportedPhoto (another suffix) or MissingExtra.
    """
    out = Path(out)
    check_layers(out, overwrite=overwrite)
    if max(photo.extent) > PSD_SIDE and out.suffix.lower() == ".psd":
        raise OutputNotWritable(out, f"a PSD holds at most {PSD_SIDE} px a side; use a layered TIFF")
    described = edited(photo, pixels, note)
    with whole(out) as partial:
        if out.suffix.lower() == ".psd":
            _write_psd(partial, described, pixels, layers)
            if partial.stat().st_size > PSD_BYTES:
                raise ValueError(f"a PSD holds at most {PSD_BYTES >> 30} GB; use a layered TIFF")
        else:
            _write_tiff(partial, described, pixels, layers)
    return out


def check_layers(out: str | Path, *, overwrite: bool = False) -> None:
    """Raises what `save_layers` would raise of its path."""
    out = Path(out)
    if out.suffix.lower() not in SUFFIXES:
        raise UnsupportedPhoto(out, f"layers are written as {', '.join(SUFFIXES)}; use one of these suffixes")
    _need("psdtags")
    check_place(out, overwrite=overwrite)


def _write_tiff(path: Path, photo: Photo, pixels: Pixels, layers: Sequence[Layer]) -> None:
    import psdtags

    source = psdtags.TiffImageSourceData(
        psdformat=psdtags.PsdFormat.LE32BIT, layers=_records(photo, pixels, layers), usermask=psdtags.PsdUserMask()
    )
    tiff.write(
        path, _planes(photo, pixels), grey=photo.grey, alpha=photo.alpha, icc=photo.icc, exif=photo.exif,
        xmp=photo.xmp, iptc=photo.iptc, dpi=photo.dpi, extra=(source.tifftag(),),
    )  # fmt: skip


def _write_psd(path: Path, photo: Photo, pixels: Pixels, layers: Sequence[Layer]) -> None:
    """A PSD of version 1: header, resources, layers, and the flattened picture."""
    import psdtags

    form = psdtags.PsdFormat.BE32BIT
    records = _records(photo, pixels, layers).tobytes(form)
    if photo.depth == 16:  # deep layers stand in a block of their own
        section = struct.pack(">II", 0, 0) + b"8BIMLr16" + struct.pack(">I", len(records)) + records
        section += bytes(-len(records) % 4)
    else:
        section = struct.pack(">I", len(records)) + records + struct.pack(">I", 0)
    resources = _resources(photo)
    planes = np.moveaxis(_planes(photo, pixels), 2, 0)
    if photo.alpha is not None:
        planes = np.concatenate([planes, photo.alpha[None]])
    mode = psdtags.PsdImageMode.Grayscale if photo.grey else psdtags.PsdImageMode.RGB
    with path.open("wb") as stream:
        stream.write(b"8BPS" + struct.pack(">H6xHIIHH", 1, len(planes), *planes.shape[1:], photo.depth, int(mode)))
        stream.write(struct.pack(">II", 0, len(resources)) + resources)
        stream.write(struct.pack(">I", len(section)) + section + struct.pack(">H", 0))
        for plane in planes:
            stream.write(np.ascontiguousarray(plane, plane.dtype.newbyteorder(">")).tobytes())


def _resources(photo: Photo) -> bytes:
    blocks = [(ICC, photo.icc), (XMP, photo.xmp), (IPTC, photo.iptc)]
    if photo.exif:
        blocks.append((EXIF, photo.exif[6:] if photo.exif[:6] == b"Exif\0\0" else photo.exif))
    if photo.dpi:
        x, y = (round(d * 65536) for d in photo.dpi)
        blocks.append((RESOLUTION, struct.pack(">IHHIHH", x, 1, 1, y, 1, 1)))
    return b"".join(jpeg.resource(number, data) for number, data in blocks if data)


def _planes(photo: Photo, pixels: Pixels) -> Pixels:
    """(H, W, 3), or (H, W, 1) of a grey photo."""
    return pixels[..., :1] if photo.grey else pixels


def _records(photo: Photo, pixels: Pixels, layers: Sequence[Layer]) -> psdtags.PsdLayers:
    import psdtags

    height, width = pixels.shape[:2]
    background = _record(BACKGROUND, Box(0, 0, width, height), _planes(photo, photo.pixels), photo.alpha, None)
    rows = [background]
    for layer in layers:
        row = _record(layer.name, layer.box, _planes(photo, pixels)[layer.box.slices], None, layer.mask)
        if photo.alpha is not None:  # shows only where the original is opaque, so alpha stays
            row.clipping = psdtags.PsdClippingType.NON_BASE
        rows.append(row)
    key = psdtags.PsdKey.LAYER_16 if photo.depth == 16 else psdtags.PsdKey.LAYER
    return psdtags.PsdLayers(key, rows, has_transparency=photo.alpha is not None)


def _record(
    name: str, box: Box, planes: Pixels, alpha: Pixels | None, mask: NDArray[np.bool_] | None
) -> psdtags.PsdLayer:
    import psdtags

    rectangle = psdtags.PsdRectangle(box.y0, box.x0, box.y1, box.x1)
    top = np.iinfo(planes.dtype).max
    numbered = [(psdtags.PsdChannelId(i), planes[..., i]) for i in range(planes.shape[2])]
    if alpha is not None:
        numbered.insert(0, (psdtags.PsdChannelId.TRANSPARENCY_MASK, alpha))
    drawn = None
    if mask is not None:
        opaque = np.full(mask.shape, top, planes.dtype)
        numbered.insert(0, (psdtags.PsdChannelId.TRANSPARENCY_MASK, opaque))
        shown = np.where(mask, top, 0).astype(planes.dtype)
        numbered.append((psdtags.PsdChannelId.USER_LAYER_MASK, shown))
        drawn = psdtags.PsdLayerMask(default_color=0, rectangle=rectangle)
    channels = [
        psdtags.PsdChannel(number, psdtags.PsdCompressionType.ZIP, np.ascontiguousarray(data))
        for number, data in numbered
    ]
    return psdtags.PsdLayer(
        name, channels, rectangle, mask=drawn, info=[psdtags.PsdString(psdtags.PsdKey.UNICODE_LAYER_NAME, name)],
        flags=psdtags.PsdLayerFlag.PHOTOSHOP5,
    )  # fmt: skip


def has_layers(path: str | Path) -> bool:
    """Whether a file is a PSD or a TIFF with Photoshop's layers."""
    import tifffile

    path = Path(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
        if head == b"8BPS":
            return True
        if head not in (b"II*\0", b"MM\0*"):
            return False
        with tifffile.TiffFile(path) as file:
            return SOURCE_DATA in file.pages.first.tags
    except Exception:  # not a file that can be looked into: the reader of plain pictures says why
        return False


def read_mask(path: str | Path) -> NDArray[np.float32]:
    """The masks of a file's visible layers as one, (H, W) in [0, 1]: the greatest of them at each px.

    Raises CorruptPhoto, UnsupportedPhoto (no layer has a mask) or MissingExtra.
    """
    path = Path(path)
    try:
        found, (height, width) = _psd_masks(path) if path.open("rb").read(4) == b"8BPS" else _tiff_masks(path)
    except MissingExtra:
        raise
    except Exception as error:  # the readers raise whatever a broken file leads them to
        raise CorruptPhoto(path, str(error).split("\n")[0] or type(error).__name__) from error
    if not found:
        raise UnsupportedPhoto(path, "no visible layer has a mask; give one a mask, or use a grey picture")
    out = np.zeros((height, width), np.float32)
    for values, (y, x), outside in found:
        own = np.full(out.shape, outside, np.float32)
        y0, x0 = max(y, 0), max(x, 0)
        y1, x1 = min(y + values.shape[0], height), min(x + values.shape[1], width)
        if y1 > y0 and x1 > x0:
            own[y0:y1, x0:x1] = values[y0 - y : y1 - y, x0 - x : x1 - x]
        np.maximum(out, own, out=out)
    return out


Found = tuple[list[tuple[NDArray[np.float32], tuple[int, int], float]], tuple[int, int]]
"""Masks in [0, 1], each with its corner (y, x) and its value outside; and the picture's height and width."""


def _tiff_masks(path: Path) -> Found:
    _need("psdtags")
    import psdtags
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        shape = (int(page.imagelength), int(page.imagewidth))
        data = page.tags[SOURCE_DATA].value
    source = psdtags.TiffImageSourceData.read(io.BytesIO(bytes(data)), name=path.name)
    found = []
    for layer in source.layers:
        hidden = layer.flags & psdtags.PsdLayerFlag.VISIBLE  # the flag is set on layers that do not show
        if hidden or layer.mask is None or layer.mask.rectangle is None:
            continue
        if layer.mask.flags & psdtags.PsdLayerMaskFlag.DISABLED:
            continue
        for channel in layer.channels:
            if channel.channelid == psdtags.PsdChannelId.USER_LAYER_MASK and channel.data is not None:
                values = channel.data.astype(np.float32) / np.iinfo(channel.data.dtype).max
                found.append((values, layer.mask.offset, layer.mask.default_color / 255))
    return found, shape


def _psd_masks(path: Path) -> Found:
    _need("psd_tools")
    from psd_tools import PSDImage

    file = PSDImage.open(path)
    found = []
    for layer in file.descendants():
        if not layer.is_visible() or layer.mask is None or layer.mask.disabled or layer.is_group():
            continue
        image = layer.mask.topil()
        if image is not None:
            values = np.asarray(image.convert("L"), np.float32) / 255
            found.append((values, (layer.mask.top, layer.mask.left), layer.mask.background_color / 255))
    return found, (file.height, file.width)


def _need(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise MissingExtra(package.replace("_", "-"), "layers")
