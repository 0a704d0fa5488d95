"""Before/after pairs: FFHQR in the paper's layout and split, and any folder of a user's own pairs.

FFHQR (Shafaei, Little, Schmidt, WACV 2021) is licensed CC BY-NC-SA 4.0: weights trained on it inherit that. It is read
from the user's own copy and never shipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.errors import BadData
from retouchgpt.core.vocabulary import GRID_REGIONS

from .ledger import Ledger

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
SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"}
LARGEST_SHIFT = 1.0
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
    for own, other, side in ((sources, targets, "target"), (targets, sources, "source")):
        alone = sorted(n for n in own if n in SPLITS[split] and n not in other)
        if alone:
            raise BadData(f"{own[alone[0]]} has no partner {place / side / own[alone[0]].name}.")
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
    """What a user's copy of FFHQR holds. counts: pairs a split. wrong_size: files that are not 1024 px square.
    problems: a line for each split that cannot be read as it is."""

    counts: dict[str, int]
    wrong_size: tuple[str, ...]
    problems: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return all(self.counts[s] == len(SPLITS[s]) for s in SPLITS) and not self.wrong_size and not self.problems


def verify(folder: str | Path, index: Path | None = None) -> Verification:
    """Count pairs and check sizes from the PNG headers. With `index` each size is kept in that file as it is found, so
    an interrupted check goes on where it stopped. Raises BadData where the index cannot be written."""
    counts, wrong, problems = dict.fromkeys(SPLITS, 0), [], []
    with Ledger(index, {"sizes of": str(folder)}) as ledger:
        seen = {line["file"]: line["size"] for line in ledger.lines}
        for split in SPLITS:
            try:
                pairs = ffhqr(folder, split)
            except BadData as error:
                problems.append(f"{split}: {error}")
                continue
            counts[split] = len(pairs)
            for path in (p for pair in pairs for p in (pair.before, pair.after)):
                if str(path) not in seen:
                    seen[str(path)] = list(png_size(path))
                    ledger.add({"file": str(path), "size": seen[str(path)]})
                if seen[str(path)] != [FFHQR_SIDE, FFHQR_SIDE]:
                    wrong.append(str(path))
    return Verification(counts, tuple(wrong), tuple(problems))


def png_size(path: Path) -> tuple[int, int]:
    """Width and height from a PNG's header; (0, 0) when it has none or cannot be read."""
    try:
        with path.open("rb") as stream:
            head = stream.read(24)
    except OSError:
        return 0, 0
    if len(head) < 24 or head[:8] != b"\x89PNG\r\n\x1a\n":
        return 0, 0
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def folder_pairs(before: str | Path, after: str | Path) -> Iterator[Pair]:
    """Pairs of equal names in two folders, sub-folders included. Raises BadData on no pictures, or on a picture of
    either folder that has no partner, or two, in the other."""
    before, after = Path(before), Path(after)
    ours, theirs = _named(before), _named(after)
    for own, other, folder in ((ours, theirs, after), (theirs, ours, before)):
        for name, path in own.items():
            if name not in other:
                raise BadData(f"{path} has no partner in {folder}.")
    for name, path in ours.items():
        yield Pair(name, path, theirs[name])


def _named(folder: Path) -> dict[str, Path]:
    """Pictures below a folder by their place in it, without suffix."""
    found: dict[str, Path] = {}
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise BadData(f"{found[name]} and {path} have one name; keep one of them.")
        found[name] = path
    if not found:
        raise BadData(f"{folder} holds no pictures.")
    return found


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
    """How far two pictures are misaligned, in px at a width of 256 (phase correlation): as a whole, or, since a zoom or
    a turn moves only the outer parts, in at least three of the four quarters."""
    grey = [cv2.resize(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY), (256, 256)).astype(np.float32) for x in (before, after)]
    quarters = [np.s_[y : y + 128, x : x + 128] for y in (0, 128) for x in (0, 128)]
    parts = sorted(_moved(grey[0][q], grey[1][q]) for q in quarters)
    return max(_moved(*grey), parts[1])


def _moved(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    window = cv2.createHanningWindow(before.shape[::-1], cv2.CV_32F)
    (dx, dy), _ = cv2.phaseCorrelate(np.ascontiguousarray(before), np.ascontiguousarray(after), window)
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
