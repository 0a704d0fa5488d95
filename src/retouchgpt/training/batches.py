"""Training crops from a painted cache or from pairs: one index, one crop, always the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from retouchgpt.core.errors import BadData
from retouchgpt.core.geometry import Extent
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.data.native import BIT_OF_KIND, GLOSS, MARK, RED
from retouchgpt.data.real_marks import RealMark, disc, read_marks
from retouchgpt.model.imperfection import COMPACT_MARKS, places
from retouchgpt.photo.regions import eye_distance, region_maps

FloatImage = NDArray[Any]
KINDS = len(IMPERFECTIONS)
FRECKLES = IMPERFECTIONS.index("freckles")
VISIBLE, FAINT = (2.0, 8.0), (1.0, 4.0)
"""8-bit levels of difference at which a mark begins to count as seen, and counts in full: compact marks; lines, hairs
and areas, which end softly or are thin: by the compact marks' levels a seventh of what they change lay out of reach."""
BLUR_REACH = 6
"""Px beyond which that difference's blur takes nothing from."""
CROPS_A_SAMPLE = 4
"""Neighbouring indices that share one painted face, since reading it costs more than cutting a crop."""


PLACE_STRIDE = 8
"""Px a cell of the places map."""
AROUND_REAL = 0.6
"""Share of the crops of a face with real marks that are cut around an entry of its list; half of them around a mark,
where it has any."""
BESIDE_AREA = 0.08
"""Eye distances around a native red or glossy area that are silent with it, since it ends softly: where that rim was
clean skin, 3,300 steps left little of the heat on natural shine."""
NAMED = 0.5
"""Share of the crops around a mark whose instruction names its kind and no other."""


class Crop(NamedTuple):
    """One training crop (or a batch of them, with a leading axis).

    image, target: (3, S, S) in [0, 1]; the target is the image without the asked imperfections. kinds: painted masks
    (12, s, s). ignore: (12, s, s), 1 where a native imperfection of the kind may lie. region: the instruction's,
    (1, s, s), s = S / stride. words: (12,) asked kinds, 0 or 1. places: where on the face, (7, S / 8, S / 8), see
    imperfection.places. listed: (1, s, s), how much a place has been looked at by eye (`data/real_marks.py`). has:
    (12,), 1 for kinds that the whole face has, in the crop or not.
    """

    image: Tensor
    target: Tensor
    kinds: Tensor
    ignore: Tensor
    region: Tensor
    words: Tensor
    places: Tensor
    listed: Tensor
    has: Tensor

    @property
    def asked(self) -> Tensor:
        """Mask of what was asked of a batch, (B, 12, s, s)."""
        return self.narrowed(self.kinds)

    def narrowed(self, heat: Tensor) -> Tensor:
        """Heat maps (B, 12, s, s) where the instruction reaches."""
        return heat * self.words[:, :, None, None] * self.region


class PaintedCrops(Dataset[Crop]):
    """Crops of a painted cache or of an index of pairs; index -> Crop is a pure function of (seed, index) and of how
    many samples there are.

    real_marks: a list of real marks (`data/real_marks.py`), which count as masks of their kind; empty for none.
    Raises BadData on an empty cache or a bad list.
    """

    def __init__(
        self, data: str | Path, *, crop: int, stride: int, seed: int, augment: bool = True, real_marks: str = ""
    ) -> None:
        from retouchgpt.data.pair_samples import samples

        self.cache = samples(Path(data))
        self.samples = len(self.cache)
        if not self.samples:
            raise BadData(f"the painted cache {data} is empty. Paint some samples first.")
        self.crop, self.stride, self.seed, self.augment = crop, stride, seed, augment
        self.real_marks = read_marks(real_marks) if real_marks else {}
        self._held: tuple[int, Any, FloatImage] = (-1, None, np.zeros(0))

    def __len__(self) -> int:
        return 1 << 40

    def __getitem__(self, index: int) -> Crop:
        rng = np.random.default_rng((self.seed, index))
        sample, where = self._sample(index // CROPS_A_SAMPLE)
        asked = _ask(rng, tuple(sample.deltas))
        real = [mark.placed(sample.landmarks) for mark in self.real_marks.get(sample.face_id, ())]
        aim = _aim(rng, real) if real and rng.random() < AROUND_REAL else None
        if aim is not None and aim.there and rng.random() < NAMED:
            asked = (aim.kind,)
        size = self.crop, self.stride
        image, target, *maps, where, listed = _cut(rng, sample, where, asked, size, self.augment, real, aim)
        if self.augment:
            image, target = _camera(rng, image, target)
        words = np.array([k in asked for k in IMPERFECTIONS], np.float32)
        seen = [_tensor(x) for x in (image, target, *maps)]
        there = {*sample.alphas, *(mark.kind for mark in real if mark.there)}
        has = torch.tensor([float(k in there) for k in IMPERFECTIONS])
        asks = {"words": torch.from_numpy(words), "places": _tensor(where), "listed": _tensor(listed), "has": has}
        return Crop(*seen, **asks)

    def _sample(self, number: int) -> tuple[Any, FloatImage]:
        """A painted face and its places (H / 8, W / 8, 7), read once for the crops of neighbouring indices."""
        if self._held[0] != number:
            i = int(np.random.default_rng((self.seed, 1, number)).integers(self.samples))
            sample = self.cache[i]
            height, width = sample.image.shape[:2]
            small = Extent(width // PLACE_STRIDE, height // PLACE_STRIDE)
            regions = region_maps(sample.landmarks / PLACE_STRIDE, small)
            where = places(torch.from_numpy(regions[None]))[0].numpy().transpose(1, 2, 0)
            self._held = (number, sample, np.ascontiguousarray(where))
        return self._held[1], self._held[2]


def _ask(rng: np.random.Generator, painted: tuple[str, ...]) -> tuple[str, ...]:
    """Which kinds an instruction names: mostly one, sometimes several, all, or one that is not there."""
    roll = rng.random()
    if not painted or roll < 0.05:
        return (str(rng.choice(IMPERFECTIONS)),)
    if roll < 0.65:
        return (str(rng.choice(painted)),)
    if roll < 0.8:
        return painted
    return tuple(k for k in painted if rng.random() < 0.5) or (str(rng.choice(painted)),)


def _cut(
    rng: np.random.Generator,
    sample: Any,
    where: FloatImage,
    asked: tuple[str, ...],
    size: tuple[int, int],
    augment: bool,
    real: list[RealMark],
    aim: RealMark | None,
) -> list[FloatImage]:
    """A crop around something asked: image and target; kinds, ignore and the instruction's reach at map size; places;
    where an eye has looked, at map size.

    size: side of the crop in px, and px a pixel of the maps. real: marks of the face's own, in px. aim: the one of them
    that the crop is to hold.
    """
    crop, fine = size[0], size[0] // size[1]
    height, width = sample.image.shape[:2]
    scale = float(rng.uniform(0.8, 1.3)) if augment and rng.random() < 0.5 else 1.0
    side = min(round(crop / scale), height, width)
    x, y = _corner(rng, sample, asked, side, aim)
    window = (slice(y, y + side), slice(x, x + side))
    region = _region(rng, side)
    image = sample.image[window].astype(np.float32) / 255
    target = image.copy()
    for kind in asked:
        if kind in sample.deltas:
            target -= sample.deltas[kind][window].astype(np.float32) / 255 * region[..., None]
    layers = [image, target.clip(0, 1)]
    if side != crop:
        way = cv2.INTER_AREA if side > crop else cv2.INTER_LINEAR
        layers = [cv2.resize(layer, (crop, crop), interpolation=way) for layer in layers]
    maps = _maps(sample, window, region, fine)
    listed = _add_real(maps[0], maps[1], real, (x, y), side)
    layers += maps
    layers += [_places(where, x, y, side, crop // PLACE_STRIDE), listed]
    if augment and rng.random() < 0.5:
        layers = [np.ascontiguousarray(layer[:, ::-1]) for layer in layers]
    return layers


def _maps(sample: Any, window: tuple[slice, slice], region: FloatImage, fine: int) -> list[FloatImage]:
    """Painted masks (fine, fine, 12), where to be silent (fine, fine, 12) and the instruction's reach of a window."""

    def shrunk(layer: FloatImage) -> FloatImage:
        return cv2.resize(layer, (fine, fine), interpolation=cv2.INTER_AREA)

    kinds = np.zeros((fine, fine, KINDS), np.float32)
    for kind, alpha in sample.alphas.items():
        if alpha[window].any():
            k = IMPERFECTIONS.index(kind)
            compact = k in COMPACT_MARKS
            mask = _seen(alpha[window], sample.deltas[kind][window], VISIBLE if compact else FAINT)
            kinds[..., k] = shrunk(mask) if compact else _largest(mask, fine)
    bits = sample.ignore[window]
    planes = {bit: shrunk(((bits & bit) > 0).astype(np.float32)) for bit in (MARK, *BIT_OF_KIND.values())}
    wider = 2 * round(BESIDE_AREA * eye_distance(sample.landmarks) * fine / bits.shape[0]) + 1
    for bit in (RED, GLOSS):
        planes[bit] = cv2.dilate(planes[bit], np.ones((wider, wider), np.uint8))
    ignore = np.stack([planes[BIT_OF_KIND.get(kind, MARK)] for kind in IMPERFECTIONS], -1)
    return [kinds, ignore, shrunk(region)]


def _largest(mask: FloatImage, fine: int) -> FloatImage:
    """A mask (S, S) at map size, (fine, fine), by the largest value under each place: averaged, a hair one px wide is
    half gone."""
    under = np.ones((max(round(mask.shape[0] / fine), 1),) * 2, np.uint8)
    return cv2.resize(cv2.dilate(mask, under, anchor=(0, 0)), (fine, fine), interpolation=cv2.INTER_NEAREST)


def _add_real(
    kinds: FloatImage, ignore: FloatImage, real: list[RealMark], corner: tuple[int, int], side: int
) -> FloatImage:
    """Real marks among the masks (fine, fine, 12) of a window. Where they stay in the target no repair is judged; for
    other compact marks their places are silent, but not for freckles, which never come alone. Where a kind is known
    not to be, nothing is silent. Returns the places of both, (fine, fine)."""
    listed = np.zeros(kinds.shape[:2], np.float32)
    for mark in sorted(real, key=lambda m: m.there):
        mask = disc(mark, corner, side)
        if mask.any():
            small = cv2.resize(mask, kinds.shape[1::-1], interpolation=cv2.INTER_AREA)
            channel = IMPERFECTIONS.index(mark.kind)
            listed = np.maximum(listed, small)
            if not mark.there:
                ignore[..., channel] *= small == 0
                continue
            ignore[..., FRECKLES] *= small == 0
            channels = list({*COMPACT_MARKS, channel} - {FRECKLES})
            ignore[..., channels] = np.maximum(ignore[..., channels], (small > 0)[..., None])
            kinds[..., channel] = np.maximum(kinds[..., channel], small)
    return listed


def _places(where: FloatImage, x: int, y: int, side: int, size: int) -> FloatImage:
    """The part of the places map (h, w, 7) under a crop, (size, size, 7)."""
    step = side / PLACE_STRIDE / size
    matrix = np.array([[step, 0, x / PLACE_STRIDE + 0.5 * step - 0.5], [0, step, y / PLACE_STRIDE + 0.5 * step - 0.5]])
    warped = [
        cv2.warpAffine(np.ascontiguousarray(where[..., i : i + 4]), matrix, (size, size),
                       flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE)
        for i in range(0, where.shape[2], 4)
    ]  # fmt: skip
    return np.concatenate(warped, 2)


def _seen(alpha: NDArray[np.uint8], delta: NDArray[np.int16], visible: tuple[float, float]) -> FloatImage:
    """A kind's mask (H, W) in [0, 1], fading out where the paint changes less than `visible` 8-bit levels."""
    box = tuple(
        slice(max(int(i[0]) - BLUR_REACH, 0), int(i[-1]) + 1 + BLUR_REACH)
        for i in (np.flatnonzero(alpha.any(axis)) for axis in (1, 0))
    )
    most = np.abs(delta[box]).max(2).astype(np.float32)
    contrast = cv2.GaussianBlur(most, (0, 0), 1.5)
    out = np.zeros(alpha.shape, np.float32)
    out[box] = alpha[box].astype(np.float32) / 255 * ((contrast - visible[0]) / (visible[1] - visible[0])).clip(0, 1)
    return out


def _corner(
    rng: np.random.Generator, sample: Any, asked: tuple[str, ...], side: int, aim: RealMark | None
) -> tuple[int, int]:
    """Left upper corner of a crop: one that holds its aim, or mostly a place of an asked kind, else anywhere."""
    height, width = sample.image.shape[:2]
    place = _held(rng, sample, asked) if aim is None else (int(aim.x), int(aim.y))
    if place is None:
        return int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
    x, y = place[0] - int(rng.integers(side)), place[1] - int(rng.integers(side))
    return int(np.clip(x, 0, width - side)), int(np.clip(y, 0, height - side))


def _aim(rng: np.random.Generator, real: list[RealMark]) -> RealMark:
    """An entry of a face's list."""
    there = [mark for mark in real if mark.there]
    among = there if there and rng.random() < 0.5 else real
    return among[int(rng.integers(len(among)))]


def _held(rng: np.random.Generator, sample: Any, asked: tuple[str, ...]) -> tuple[int, int] | None:
    """The pixel (x, y) that a crop is to hold, or None."""
    present = [k for k in asked if k in sample.alphas]
    if present and rng.random() < 0.8:
        rows, columns = np.nonzero(sample.alphas[present[int(rng.integers(len(present)))]] > 100)
        if len(rows):
            i = int(rng.integers(len(rows)))
            return int(columns[i]), int(rows[i])
    return None


def _region(rng: np.random.Generator, side: int) -> FloatImage:
    """The instruction's region: mostly all of the crop, sometimes one side of a soft line through it."""
    if rng.random() < 0.75:
        return np.ones((side, side), np.float32)
    angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-0.25, 0.25) * side
    y, x = np.mgrid[:side, :side].astype(np.float32) - side / 2
    line = (x * np.cos(angle) + y * np.sin(angle) - offset) / (0.04 * side)
    return (1 / (1 + np.exp(-line.clip(-20, 20)))).astype(np.float32)


def _camera(rng: np.random.Generator, image: FloatImage, target: FloatImage) -> tuple[FloatImage, FloatImage]:
    """The same change of exposure, contrast and white balance for both; now and then black and white."""
    gain = np.exp(rng.normal(0, 0.12) + rng.normal(0, 0.04, 3)).astype(np.float32)
    gamma = np.float32(np.exp(rng.normal(0, 0.12)))
    grey = rng.random() < 0.04

    def develop(x: FloatImage) -> FloatImage:
        y = np.clip(x * gain, 1e-4, 1) ** gamma
        return np.repeat(y.mean(2, keepdims=True), 3, 2) if grey else y

    return develop(image), develop(target)


def _tensor(x: FloatImage) -> Tensor:
    x = x if x.ndim == 3 else x[..., None]
    return torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1), dtype=np.float32))


def collate(crops: list[Crop]) -> Crop:
    """Crops -> a batch."""
    return Crop(*(torch.stack(field) for field in zip(*crops, strict=True)))


def packed(crops: list[Crop]) -> Crop:
    """A batch at a third of its size for the way to a GPU: pictures in half precision, masks in 8 bits."""
    batch = collate(crops)
    masks = {name: (getattr(batch, name) * 255).round().byte() for name in ("kinds", "ignore", "region", "listed")}
    return batch._replace(image=batch.image.half(), target=batch.target.half(), places=batch.places.half(), **masks)


def unpacked(crop: Crop) -> Crop:
    """Inverse of `packed`, to within 1/4096 of a picture's range and 1/510 of a mask's."""
    return Crop(*(x.float() / 255 if x.dtype == torch.uint8 else x.float() for x in crop))
