"""Measures of a retouch. Images are uint8 (H, W, 3) RGB unless said otherwise; masks are boolean (H, W)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.pixels import luminance

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
VISIBLE = 2
"""8-bit levels above which a difference counts as one."""
ITA_GROUPS: tuple[tuple[str, float], ...] = (
    ("very light", 55.0), ("light", 41.0), ("intermediate", 28.0), ("tan", 10.0), ("brown", -30.0), ("dark", -91.0),
)  # fmt: skip
"""Skin-tone groups and the individual typology angle each begins above (Chardon et al., 1991)."""


def levels(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float32]:
    """Largest difference over channels in 8-bit levels, (H, W)."""
    return np.abs(a.astype(np.float32) - b.astype(np.float32)).max(2)


def visible(a: Image, b: Image) -> Mask:
    """Where two pictures differ by more than VISIBLE levels in some channel."""
    return levels(a, b) > VISIBLE


def error(a: Image, b: Image, where: Mask) -> float:
    """Summed absolute difference inside a mask, 8-bit levels."""
    return float(np.abs(a[where].astype(np.float32) - b[where].astype(np.float32)).sum())


def psnr(a: Image, b: Image) -> float:
    """Peak signal-to-noise ratio in dB; 100 for equal pictures."""
    mse = float(((a.astype(np.float32) - b.astype(np.float32)) ** 2).mean())
    return 100.0 if mse == 0 else min(100.0, 10 * np.log10(255.0**2 / mse))


def kept(image: Image, out: Image, unasked: NDArray[np.floating], where: Mask) -> float | None:
    """Share of unasked imperfections left: 1 - change there / what they add to the picture, in [0, 1].

    unasked: (H, W, 3) levels that they add. None where nothing unasked is visible.
    """
    there = float(np.abs(unasked[where]).sum())
    if there == 0:
        return None
    return float(np.clip(1 - error(image, out, where) / there, 0, 1))


def texture(out: Image, target: Image, where: Mask, sigma: float = 1.5) -> float | None:
    """High-frequency standard deviation of luma inside a mask over the target's; None under 30 px or without any."""
    if where.sum() < 30:
        return None
    fine = []
    for picture in (out, target):
        luma = luminance(picture.astype(np.float32))
        fine.append(float((luma - cv2.GaussianBlur(luma, (0, 0), sigma))[where].std()))
    return fine[0] / fine[1] if fine[1] > 0.3 else None


def typology_angle(image: Image, skin: Mask) -> float:
    """Individual typology angle in degrees of the median skin colour; nan without skin."""
    from skimage.color import rgb2lab

    if not skin.any():
        return float("nan")
    lightness, _, yellow = np.median(rgb2lab(image[skin][None] / 255.0)[0], axis=0)
    return float(np.degrees(np.arctan2(lightness - 50, yellow)))


def tone_group(angle: float) -> str:
    """The ITA group of an angle."""
    return next((name for name, above in ITA_GROUPS if angle > above), "dark")


def colour_shift(a: Image, b: Image, where: Mask) -> tuple[float, float]:
    """Between the mean colours of two pictures inside a mask: delta E 2000, and how much lighter b is, in L*."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    if a is b or not where.any():
        return 0.0, 0.0
    means = [rgb2lab(x[where][None] / 255.0)[0].mean(0) for x in (a, b)]
    return float(deltaE_ciede2000(means[0], means[1])), float(means[1][0] - means[0][0])


def bootstrap(
    rows: Sequence[Any], statistic: Callable[[Sequence[Any]], float], *, draws: int = 400, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of a statistic of resampled rows; (nan, nan) for fewer than two."""
    if len(rows) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    values = [statistic([rows[i] for i in rng.integers(0, len(rows), len(rows))]) for _ in range(draws)]
    low, high = np.nanpercentile(values, (2.5, 97.5))
    return float(low), float(high)


def fixed_pixels(image: Image, out: Image, target: Image, asked: Mask) -> int:
    """Asked pixels whose difference to the target fell to half of what it was, or below."""
    return int((levels(out, target)[asked] <= 0.5 * levels(image, target)[asked]).sum())


def damage(image: Image, out: Image, asked: Mask) -> float:
    """Outside damage: mean change in levels where nothing was asked; 0 where everything was."""
    outside = ~asked
    return float(levels(out, image)[outside].mean()) if outside.any() else 0.0


def locality(image: Image, out: Image, asked: Mask, reach: int = 3) -> float | None:
    """Share of all change that lies within `reach` px of what was asked, in [0, 1]; None where nothing changed."""
    change = levels(out, image)
    total = float(change.sum())
    if total == 0:
        return None
    near = cv2.dilate(asked.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    return float(change[near].sum()) / total
