"""Before/after pairs: FFHQR in the paper's layout and split, and any folder of a user's own pairs.

FFHQR (Shafaei, Little, Schmidt, WACV 2021) is licensed CC BY-NC-SA 4.0: weights trained on it inherit that. It is read
from the user's own copy and never shipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.errors import BadData
from retouchgpt.core.vocabulary import GRID_REGIONS

FFHQR_TOTAL = 70_000
FFHQR_SIDE = 1024
SPLITS: dict[str, range] = {
    "train": range(56_000),
    "validation": range(56_000, 63_000),
    "test": range(63_000, FFHQR_TOTAL),
}
"""By number, as the paper splits: 56k / 7k / 7k."""
STEEPNESS = 50.0
LEAST_DIFFERENCE = 4.0 / 255
"""A pair whose largest mean difference stays below this counts as unretouched."""
LARGEST_SHIFT = 1.5
"""Misalignment in px, at 256 px, above which a pair is refused."""


@dataclass(frozen=True)
class Pair:
    """One before/after pair on disk; `number` is FFHQR's, -1 in other folders."""

    name: str
    before: Path
    after: Path
    number: int = -1

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Both pictures, uint8 (H, W, 3) RGB. Raises BadData naming the file that is unreadable, or a size mismatch."""
        pictures = []
        for path in (self.before, self.after):
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None:
                raise BadData(f"{path} is missing or cannot be read.")
            pictures.append(np.ascontiguousarray(image[..., ::-1]))
        if pictures[0].shape != pictures[1].shape:
            sizes = " and ".join(f"{p.shape[1]}x{p.shape[0]}" for p in pictures)
            raise BadData(f"{self.before} and {self.after} differ in size: {sizes}.")
        return pictures[0], pictures[1]


def ffhqr(folder: str | Path, split: str) -> list[Pair]:
    """Pairs of FFHQR in the layout train|test/source|target/NNNNN.png, for one split.

    The files of the paper's validation split lie in `train`. Raises BadData on an unknown split, a folder that is not
    FFHQR, a source without its target, or a number that lies in the wrong folder.
    """
    if split not in SPLITS:
        raise BadData(f"no split {split!r}; one of {', '.join(SPLITS)}")
    place = Path(folder) / ("test" if split == "test" else "train")
    sources, targets = _numbered(place / "source"), _numbered(place / "target")
    strangers = [n for n in sources if (n in SPLITS["test"]) != (split == "test")]
    if strangers:
        raise BadData(f"{sources[strangers[0]]} belongs to another split than {place.name}.")
    wanted = sorted(n for n in sources if n in SPLITS[split])
    missing = [n for n in wanted if n not in targets]
    if missing:
        raise BadData(f"{sources[missing[0]]} has no partner {place / 'target' / sources[missing[0]].name}.")
    if not wanted:
        raise BadData(f"{place} holds no pairs of the split {split}.")
    return [Pair(f"{n:05d}", sources[n], targets[n], n) for n in wanted]


def _numbered(folder: Path) -> dict[int, Path]:
    if not folder.is_dir():
        raise BadData(
            f"{folder} does not exist; FFHQR is laid out as train/source, train/target, test/source, test/target."
        )
    return {int(p.stem): p for p in folder.glob("*.png") if p.stem.isdecimal()}


@dataclass(frozen=True)
class Verification:
    """What a user's copy of FFHQR holds. counts: pairs a split. wrong_size: files that are not 1024 px square."""

    counts: dict[str, int]
    wrong_size: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return all(self.counts[s] == len(SPLITS[s]) for s in SPLITS) and not self.wrong_size


def verify(folder: str | Path, index: Path | None = None) -> Verification:
    """Count pairs and check sizes from the PNG headers. With `index` the sizes found are kept in that JSON file, so an
    interrupted check goes on where it stopped."""
    seen: dict[str, list[int]] = json.loads(index.read_text()) if index is not None and index.exists() else {}
    counts, wrong = {}, []
    for split in SPLITS:
        try:
            pairs = ffhqr(folder, split)
        except BadData:
            counts[split] = 0
            continue
        counts[split] = len(pairs)
        for done, path in enumerate(p for pair in pairs for p in (pair.before, pair.after)):
            size = seen.setdefault(str(path), list(png_size(path)))
            if size != [FFHQR_SIDE, FFHQR_SIDE]:
                wrong.append(str(path))
            if index is not None and done % 1000 == 999:
                _keep(index, seen)
    if index is not None:
        _keep(index, seen)
    return Verification(counts, tuple(wrong))


def _keep(index: Path, seen: dict[str, Any]) -> None:
    partial = index.with_suffix(".partial")
    partial.write_text(json.dumps(seen))
    partial.replace(index)


def png_size(path: Path) -> tuple[int, int]:
    """Width and height from a PNG's header; (0, 0) when it has none."""
    with path.open("rb") as stream:
        head = stream.read(24)
    if len(head) < 24 or head[:8] != b"\x89PNG\r\n\x1a\n":
        return 0, 0
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def folder_pairs(before: str | Path, after: str | Path) -> Iterator[Pair]:
    """Pairs of equal names in two folders, sub-folders included. Raises BadData on a missing partner or no pictures."""
    before, after = Path(before), Path(after)
    suffixes = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"}
    found = sorted(p for p in before.rglob("*") if p.suffix.lower() in suffixes)
    if not found:
        raise BadData(f"{before} holds no pictures.")
    for path in found:
        place = path.relative_to(before)
        partner = next(
            (p for p in sorted(after.glob(str(place.with_suffix(".*")))) if p.suffix.lower() in suffixes), None
        )
        if partner is None:
            raise BadData(f"{path} has no partner in {after}.")
        yield Pair(place.with_suffix("").as_posix(), path, partner)


def difference(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32]:
    """d of the paper: the mean over channels of |x_s - x_gt|, divided by its largest value; (H, W) in [0, 1].

    An unretouched pair gives zeros, where the plain division would give noise or nothing.
    """
    d = np.abs(before.astype(np.float32) - after.astype(np.float32)).mean(2) / 255
    top = float(d.max())
    return d / top if top >= LEAST_DIFFERENCE else np.zeros_like(d)


def soft_mask(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The paper's mask target sigmoid(50 d), rescaled so that no difference is 0 (its sigmoid begins at 0.5)."""
    return (2 / (1 + np.exp(-STEEPNESS * difference(before, after))) - 1).astype(np.float32)


def positions(mask: NDArray[np.floating], least_share: float = 0.004) -> tuple[str, ...]:
    """The cells of the 3x3 grid in which a retouch happened, by the true difference; in reading order.

    mask: (H, W) in [0, 1]. least_share: of a cell that must be covered.
    """
    rows, columns = (np.linspace(0, n, 4).round().astype(int) for n in mask.shape)
    cells = [mask[rows[i] : rows[i + 1], columns[j] : columns[j + 1]].mean() for i in range(3) for j in range(3)]
    return tuple(name for name, share in zip(GRID_REGIONS, cells, strict=True) if share > least_share)


def shift(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    """How far two pictures are misaligned, in px at a width of 256 (phase correlation)."""
    grey = [cv2.resize(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY), (256, 256)).astype(np.float32) for x in (before, after)]
    (dx, dy), _ = cv2.phaseCorrelate(grey[0], grey[1], cv2.createHanningWindow((256, 256), cv2.CV_32F))
    return float(np.hypot(dx, dy))


def checked(pair: Pair) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A pair's pictures, fit for training. Raises BadData naming a pair that is misaligned or identical."""
    before, after = pair.read()
    if np.array_equal(before, after):
        raise BadData(f"{pair.before} and {pair.after} are the same picture.")
    moved = shift(before, after)
    if moved > LARGEST_SHIFT:
        raise BadData(f"{pair.before} and {pair.after} are shifted by {moved:.1f} px at a width of 256.")
    return before, after
