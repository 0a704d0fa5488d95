"""The native detail pass (ours): what of a mark is finer than the network could see.

A correction made at the model's size and enlarged takes away a mark's body but not its sharp rim, nor a hair's edges.
The photo is split into the band that the model saw and the finer one; where a correction is strong, the finer band is
brought down to the amplitude that unedited skin has nearby. Pores have that amplitude and stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.geometry import Box

FloatImage = NDArray[Any]

GREEN = 1
"""Fine energy is judged in green, which carries most of the luminance and the least noise."""
REACH = (5.0, 30.0)
"""Where unedited skin is looked for, in model px: near, and where a large mask leaves none near, further off."""
ALLOWED = 1.5
"""Fine energy over the surroundings' at which attenuation begins, so that grain's own ups and downs stay."""
WEAK, STRONG = 0.02, 0.08
"""Correction (of 1) at which the pass begins, and from which it is whole."""


def band_sigma(scale: float) -> float:
    """Blur, in photo px, that parts what the model saw from what is finer. scale: model px a photo px."""
    return 0.6 / scale


def margin(scale: float) -> int:
    """Photo px around a tile that its own pixels depend on."""
    return int(np.ceil(10 * band_sigma(scale))) + 8


class Surroundings:
    """How much fine energy unedited skin has, everywhere in one face's box, on a grid of about one model px.

    Built once over all tiles, so that what a place is compared with does not depend on where tiles meet.
    """

    def __init__(self, area: Box, scale: float) -> None:
        self._area, self._scale, self._step = area, scale, max(1, round(1 / scale))
        rows, columns = (-(-side // self._step) for side in (area.extent.height, area.extent.width))
        self._log = np.zeros((rows, columns), np.float32)
        self._weight = np.zeros((rows, columns), np.float32)
        self._level: NDArray[np.float32] | None = None

    @property
    def step(self) -> int:
        """Photo px a cell; tiles must begin at multiples of it from the area's corner."""
        return self._step

    def see(self, green: FloatImage, mask: FloatImage, core: Box, padded: Box) -> None:
        """Take in one tile. green: (h, w) in [0, 1] and mask (h, w), both of `padded`."""
        energy, free = fine_energy(green, self._scale), (mask <= 0).astype(np.float32)
        inner = np.s_[core.y0 - padded.y0 : core.y1 - padded.y0, core.x0 - padded.x0 : core.x1 - padded.x0]
        y, x = (core.y0 - self._area.y0) // self._step, (core.x0 - self._area.x0) // self._step
        weight, total = self._cells(free[inner]), self._cells((np.log(energy + 1e-9) * free)[inner])
        self._weight[y : y + weight.shape[0], x : x + weight.shape[1]] = weight
        self._log[y : y + weight.shape[0], x : x + weight.shape[1]] = total

    def _cells(self, values: FloatImage) -> NDArray[np.float32]:
        step, (height, width) = self._step, values.shape
        padded = np.pad(values, ((0, -height % step), (0, -width % step)))
        return padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step).sum((1, 3))

    def at(self, padded: Box) -> NDArray[np.float32]:
        """Fine energy of the surroundings, (h, w) of a box."""
        if self._level is None:
            self._level = self._spread()
        step = self._step
        matrix = np.array([[1 / step, 0, 0.0], [0, 1 / step, 0.0]])
        matrix[:, 2] = ((padded.x0 - self._area.x0 + 0.5) / step - 0.5, (padded.y0 - self._area.y0 + 0.5) / step - 0.5)
        return cv2.warpAffine(
            self._level, matrix, tuple(padded.extent), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip

    def _spread(self) -> NDArray[np.float32]:
        """Weighted mean of the logarithm, which a few busy places (hair, lashes) do not lift; near before far."""
        total, weight = self._log * 1e-6, self._weight * 1e-6
        for reach in REACH:
            share = 1.0 if reach == REACH[0] else 0.01
            total = total + share * cv2.GaussianBlur(self._log, (0, 0), reach)
            weight = weight + share * cv2.GaussianBlur(self._weight, (0, 0), reach)
        overall = float(self._log.sum() / max(self._weight.sum(), 1.0)) if self._weight.any() else 0.0
        return np.exp((total + 1e-4 * overall) / (weight + 1e-4)).astype(np.float32)


def fine_energy(green: FloatImage, scale: float) -> NDArray[np.float32]:
    """Local energy of the band that is finer than the model's, (h, w)."""
    sigma = band_sigma(scale)
    fine = green - cv2.GaussianBlur(green, (0, 0), sigma)
    return cv2.GaussianBlur(fine * fine, (0, 0), sigma)


def finer_remains(
    source: FloatImage, change: FloatImage, mask: FloatImage, scale: float, around: FloatImage
) -> NDArray[np.float32]:
    """What to add to `source + change`, (h, w, 3), so that no more fine detail is left than `around` it.

    source, change: (h, w, 3) photo and correction in [0, 1] units; mask: (h, w) in [0, 1]; around: (h, w) from
    `Surroundings.at`. Exactly 0 where the mask or the correction is 0.
    """
    fine = source - cv2.GaussianBlur(source, (0, 0), band_sigma(scale))
    energy = fine_energy(np.ascontiguousarray(source[..., GREEN]), scale)
    gain = np.minimum(1.0, np.sqrt(ALLOWED * around / (energy + 1e-9)))
    strong = cv2.GaussianBlur(np.abs(change).max(2), (0, 0), band_sigma(scale))
    strong = ((strong - WEAK) / (STRONG - WEAK)).clip(0, 1) * (mask > 0)
    return (fine * ((gain - 1) * strong)[..., None]).astype(np.float32)


def surroundings(tiles: Iterable[tuple[Box, Box, FloatImage, FloatImage]], area: Box, scale: float) -> Surroundings:
    """Surroundings from (core, padded, green, mask) of every tile of an area."""
    seen = Surroundings(area, scale)
    for core, padded, green, mask in tiles:
        seen.see(green, mask, core, padded)
    return seen
