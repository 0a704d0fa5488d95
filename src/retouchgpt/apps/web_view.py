"""What the browser is shown of a photo: a part of it, its mask as levels, and a painted mask on its way back.

The whole photo is shown shrunk, a face at the photo's own pixels. Edits never go through these pictures.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouchgpt.core.errors import UnusableInput
from retouchgpt.core.geometry import Box, Extent
from retouchgpt.core.pixels import from_float
from retouchgpt.photo.colour import seen
from retouchgpt.photo.faces import Face
from retouchgpt.photo.files import Photo

WHOLE = "Whole photo"
LONG_SIDE = 1600
"""Longest side of the whole photo, and of a mask to paint on, in px of the browser's picture."""
AROUND_FACE = 0.35
"""Room around a face, as a share of its height."""
TOUCHED = 3 / 255
"""Change of a painted level below which the browser only rounded it."""
MASK_COLOUR = (255, 0, 160)


class BadMask(UnusableInput):
    """What came back from the browser is no mask of the picture on view."""

    def __init__(self) -> None:
        super().__init__("the painted mask does not fit the picture on view. Show the picture again and repeat.")


class Window(NamedTuple):
    """A part of the photo on view. box: photo px. picture, mask: sizes in the browser. native: shown a
    photo px a screen px, not fitted to the page."""

    box: Box
    picture: Extent
    mask: Extent
    native: bool


class Shown(NamedTuple):
    """What a user sees: a window, its place's name, and the mask's levels (h, w) uint8 as they were sent."""

    place: str
    window: Window
    levels: NDArray[np.uint8]


def places(faces: Sequence[Face]) -> list[str]:
    """Names of what can be looked at: the whole photo, each face at 100 %."""
    return [WHOLE, *(f"Face {f.index} at 100 %" for f in faces)]


def window(place: str, faces: Sequence[Face], photo: Extent) -> Window:
    """The window of a place's name; an unknown one is the whole photo."""
    names = places(faces)[1:]
    if place not in names:
        box = Box(0, 0, *photo)
        picture = _fitted(photo, LONG_SIDE)
        return Window(box, picture, picture, False)
    face = faces[names.index(place)].box
    box = face.grown(round(AROUND_FACE * face.extent.height)).clipped(photo)
    return Window(box, box.extent, _fitted(box.extent, LONG_SIDE), True)


def picture(pixels: NDArray[Any], to: Window, photo: Photo) -> tuple[str, bytes]:
    """Media type and bytes of a window of (H, W, 3) pixels, in sRGB at 8 bits whatever the photo's own are."""
    part = pixels[to.box.slices]
    if to.picture != to.box.extent:
        part = cv2.resize(part, tuple(to.picture), interpolation=cv2.INTER_AREA)
    stream = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(seen(photo.space, part)))
    image.save(stream, "JPEG", quality=95, subsampling=0)
    return "image/jpeg", stream.getvalue()


def mask_levels(mask: NDArray[np.float32], to: Window) -> NDArray[np.uint8]:
    """A window of a mask (H, W) in [0, 1] as levels (h, w); what may have changed is at least 1."""
    part = mask[to.box.slices]
    small = cv2.resize(part, tuple(to.mask), interpolation=cv2.INTER_AREA) if part.size else part
    return np.maximum(from_float(small), (small > 0).astype(np.uint8))


def mask_picture(levels: NDArray[np.uint8]) -> tuple[str, bytes]:
    """Media type and bytes of levels as the opacity of one colour."""
    colour = np.broadcast_to(np.array(MASK_COLOUR, np.uint8), (*levels.shape, 3))
    stream = io.BytesIO()
    Image.fromarray(np.dstack([colour, levels])).save(stream, "PNG", compress_level=1)
    return "image/png", stream.getvalue()


def painted_levels(data_url: object, to: Window) -> NDArray[np.uint8]:
    """Levels (h, w) of a PNG that the browser sent as a data URL. Raises BadMask."""
    head, _, body = data_url.partition(",") if isinstance(data_url, str) else ("", "", "")
    if head != "data:image/png;base64":
        raise BadMask
    try:
        with Image.open(io.BytesIO(base64.b64decode(body, validate=True)), formats=("PNG",)) as image:
            if image.size != tuple(to.mask) or image.mode != "RGBA":
                raise BadMask
            return np.asarray(image)[..., 3]
    except (ValueError, OSError, SyntaxError) as error:
        raise BadMask from error


def corrected(mask: NDArray[np.float32], shown: Shown, painted: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The mask (H, W) at the photo's size with what was painted or erased on its window; the rest stays as it is."""
    touched = np.abs(painted / 255.0 - shown.levels / 255.0) > TOUCHED
    size = tuple(shown.window.box.extent)
    where = cv2.resize(touched.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    levels = cv2.resize(painted.astype(np.float32) / 255, size, interpolation=cv2.INTER_LINEAR)
    out = mask.copy()
    out[shown.window.box.slices][where] = levels[where]
    return out


def badges(faces: Sequence[Face], to: Window) -> list[dict[str, Any]]:
    """Number and corner of each face in a window, in per cent of the window."""
    extent = to.box.extent
    return [
        {
            "text": str(f.index),
            "left": 100 * (f.box.x0 - to.box.x0) / extent.width,
            "top": 100 * (f.box.y0 - to.box.y0) / extent.height,
        }
        for f in faces
        if f.box.x0 >= to.box.x0 and f.box.y0 >= to.box.y0
    ]


def _fitted(extent: Extent, side: int) -> Extent:
    scale = min(1.0, side / max(extent))
    return Extent(max(round(extent.width * scale), 1), max(round(extent.height * scale), 1))
