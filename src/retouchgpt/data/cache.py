"""Painted faces on disk, ahead of training: painting costs as much as a training step (ours).

A shard is one file of records behind an index; it is written aside and renamed, so a reader sees whole shards only.
"""

from __future__ import annotations

import argparse
import json
import struct
import zlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from retouchgpt.core.errors import BadData

from .healing import lend
from .painter import TRAIN, VALIDATION, PaintedFace, PainterConfig, paint
from .real_marks import RealMark, read_marks
from .variety import OTHER, vary

SHARD = 50
"""Samples a file."""
SIDE = 512


@dataclass(frozen=True)
class CachedSample:
    """One painted face.

    image: uint8 (H, W, 3). deltas: kind -> int16 (H, W, 3), in 8-bit levels; the image minus the deltas of the asked
    kinds is the target. alphas: kind -> uint8 (H, W). ignore: candidate bits (H, W), see native. landmarks: (478, 2)
    px. scale: px a px of the 512 px face crop.
    """

    image: NDArray[np.uint8]
    deltas: dict[str, NDArray[np.int16]]
    alphas: dict[str, NDArray[np.uint8]]
    ignore: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    face_id: str
    scale: float


class Faces:
    """A folder of aligned faces: index.json, landmarks.npz and ID.jpg; `only` these ids, where given.

    Raises BadData naming what is missing.
    """

    def __init__(self, folder: str | Path, only: Container[str] | None = None) -> None:
        self.folder = Path(folder)
        try:
            self.index = json.loads((self.folder / "index.json").read_text())
            with np.load(self.folder / "landmarks.npz") as stored:
                self.landmarks = {name: stored[name].astype(np.float32) for name in stored.files}
        except (OSError, ValueError) as error:
            raise BadData(f"{folder} is not a folder of faces: {error}") from error
        if only is not None:
            self.index = [entry for entry in self.index if entry["id"] in only]
        if not self.index:
            raise BadData(f"{folder} has no faces in index.json" + ("" if only is None else " that are listed"))

    def __len__(self) -> int:
        return len(self.index)

    def read(self, i: int) -> tuple[str, NDArray[np.uint8], NDArray[np.float32]]:
        """Id, RGB image (S, S, 3) and landmarks (478, 2) in px of it."""
        name = self.index[i]["id"]
        image = cv2.imread(str(self.folder / f"{name}.jpg"))
        if image is None or name not in self.landmarks:
            raise BadData(f"{self.folder / name}.jpg cannot be read or has no landmarks")
        return name, np.ascontiguousarray(image[..., ::-1]), self.landmarks[name] * image.shape[0]

    def window(self, i: int, rng: np.random.Generator) -> tuple[str, NDArray[np.uint8], NDArray[np.float32], float]:
        """The whole face at 512 px, or, a third of the time where it is larger, a window of it at its own size."""
        name, image, landmarks = self.read(i)
        side = image.shape[0]
        if side > SIDE and rng.random() < 0.35:
            x, y = (int(v) for v in rng.integers(0, side - SIDE + 1, 2))
            piece = np.ascontiguousarray(image[y : y + SIDE, x : x + SIDE])
            return name, piece, landmarks - np.array((x, y), np.float32), side / SIDE
        way = cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
        return name, cv2.resize(image, (SIDE, SIDE), interpolation=way), landmarks * (SIDE / side), 1.0


class PaintedCache:
    """The painted samples of a folder; picklable, random access. Raises BadData naming a shard that is damaged."""

    def __init__(self, folder: str | Path) -> None:
        self.shards = sorted(Path(folder).glob("*.shard"))
        self.records: list[tuple[int, int, int]] = []
        for number, shard in enumerate(self.shards):
            self.records.extend((number, offset, size) for offset, size in _index(shard))

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, i: int) -> CachedSample:
        number, offset, size = self.records[i]
        shard = self.shards[number]
        try:
            with shard.open("rb") as stream:
                stream.seek(offset)
                return _decode(stream.read(size))
        except (OSError, ValueError, KeyError, TypeError, struct.error, zlib.error, cv2.error) as error:
            detail = str(error).splitlines()[0]
            raise BadData(f"{shard} is damaged at sample {i} ({detail}); delete it and paint it anew") from error


def paint_ahead(
    faces: str | Path,
    out: str | Path,
    count: int,
    seed: int,
    config: PainterConfig = TRAIN,
    *,
    listed: Mapping[str, Sequence[RealMark]] | None = None,
    varied: float = 0.0,
    progress: bool = False,
) -> Path:
    """Paint `count` samples into `out`; an interrupted run goes on at its last whole shard, and runs of several seeds
    may share a folder.

    listed: paint these faces alone, and count their real marks as paint, see `data/healing.py`; each face also borrows
    another's. varied: share of the faces that are made into others first, see `data/variety.py`; listed ones keep their
    shape. Sample i is a pure function of (faces, listed, varied, seed, i). Raises BadData on unreadable faces or a full
    disk.
    """
    source, out = Faces(faces, listed), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    lenders = [i for i, e in enumerate(source.index) if listed and any(m.there for m in listed[e["id"]])]
    with tqdm(total=count, disable=not progress, unit="face", desc="painting") as bar:
        for first in range(0, count, SHARD):
            shard = out / f"{seed:06d}-{first:07d}.shard"
            number = min(SHARD, count - first)
            if not shard.exists():
                painted = (
                    _sample(source, seed, first + j, config, listed or {}, lenders, varied) for j in range(number)
                )
                _write(shard, [_encode(*sample) for sample in painted])
            bar.update(number)
    return out


def _sample(
    source: Faces,
    seed: int,
    i: int,
    config: PainterConfig,
    listed: Mapping[str, Sequence[RealMark]],
    lenders: Sequence[int],
    varied: float,
) -> tuple[PaintedFace, str, float]:
    """lenders: which faces of the source have a listed mark."""
    rng = np.random.default_rng((seed, i))
    name, image, landmarks, scale = source.window(int(rng.integers(len(source))), rng)
    if varied and rng.random() < varied:
        image, landmarks = vary(image, landmarks, rng, shape=not listed)
        name = name if listed else name + OTHER
    real = [mark.placed(landmarks) for mark in listed.get(name, ())]
    number, lent = int(rng.integers(1 << 40)), None
    if lenders:
        other, lender, points = source.read(lenders[int(rng.integers(len(lenders)))])
        lent = lend(lender, points, [mark.placed(points) for mark in listed[other]])
    return paint(image, landmarks, number, config, real=real, lent=lent), name, scale


def _encode(painted: PaintedFace, name: str, scale: float) -> bytes:
    kinds = sorted({m.kind for m in painted.marks})
    parts: list[bytes] = [_png(painted.image), _png(painted.ignore), painted.landmarks.astype("<f4").tobytes()]
    boxes = []
    for kind in kinds:
        delta = np.rint(painted.difference(lambda m, k=kind: m.kind == k)).astype(np.int16)  # type: ignore[misc]
        alpha = np.rint(painted.alpha(lambda m, k=kind: m.kind == k) * 255).astype(np.uint8)  # type: ignore[misc]
        seen = (alpha > 0) | (delta[..., 0] != 0) | (delta[..., 1] != 0) | (delta[..., 2] != 0)
        rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
        box = (0, 0, 1, 1) if not len(rows) else (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)
        boxes.append([int(v) for v in box])
        window = slice(box[0], box[2]), slice(box[1], box[3])
        parts += [zlib.compress(delta[window].astype("<i2").tobytes(), 1), zlib.compress(alpha[window].tobytes(), 1)]
    head = {"id": name, "scale": scale, "kinds": kinds, "boxes": boxes, "sizes": [len(p) for p in parts],
            "shape": painted.image.shape[:2]}  # fmt: skip
    text = json.dumps(head).encode()
    return struct.pack("<I", len(text)) + text + b"".join(parts)


def _decode(record: bytes) -> CachedSample:
    (length,) = struct.unpack("<I", record[:4])
    head: dict[str, Any] = json.loads(record[4 : 4 + length])
    parts, at = [], 4 + length
    for size in head["sizes"]:
        parts.append(record[at : at + size])
        at += size
    shape = tuple(head["shape"])
    deltas, alphas = {}, {}
    for i, (kind, (y0, x0, y1, x1)) in enumerate(zip(head["kinds"], head["boxes"], strict=True)):
        deltas[kind], alphas[kind] = np.zeros((*shape, 3), np.int16), np.zeros(shape, np.uint8)
        window = slice(y0, y1), slice(x0, x1)
        values = np.frombuffer(zlib.decompress(parts[3 + 2 * i]), "<i2").reshape(y1 - y0, x1 - x0, 3)
        deltas[kind][window] = values
        alphas[kind][window] = np.frombuffer(zlib.decompress(parts[4 + 2 * i]), np.uint8).reshape(y1 - y0, x1 - x0)
    image = cv2.imdecode(np.frombuffer(parts[0], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    ignore = cv2.imdecode(np.frombuffer(parts[1], np.uint8), cv2.IMREAD_GRAYSCALE)
    landmarks = np.frombuffer(parts[2], "<f4").reshape(-1, 2)
    return CachedSample(image, deltas, alphas, ignore, landmarks, head["id"], head["scale"])


def _png(image: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", image[..., ::-1] if image.ndim == 3 else image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[
        1
    ].tobytes()


def _write(shard: Path, records: list[bytes]) -> None:
    """Index (count, then offset and size of each) and records, written aside and renamed."""
    offset = 4 + 16 * len(records)
    table = [struct.pack("<I", len(records))]
    for record in records:
        table.append(struct.pack("<QQ", offset, len(record)))
        offset += len(record)
    partial = shard.with_suffix(".partial")
    try:
        partial.write_bytes(b"".join(table + records))
        partial.replace(shard)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise BadData(f"cannot write {shard}: {error}") from error


def _index(shard: Path) -> list[tuple[int, int]]:
    try:
        with shard.open("rb") as stream:
            (number,) = struct.unpack("<I", stream.read(4))
            return list(struct.iter_unpack("<QQ", stream.read(16 * number)))  # type: ignore[arg-type]
    except (OSError, struct.error) as error:
        raise BadData(f"{shard} is damaged ({error}); delete it and paint it anew") from error


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m retouchgpt.data.cache", description="Paint faces ahead of training."
    )
    parser.add_argument("faces", type=Path, help="folder of aligned faces: index.json, landmarks.npz, ID.jpg")
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--split", choices=("train", "val"), default="train")
    parser.add_argument(
        "--listed", type=Path, help="paint only the faces of this list of real marks, and count these as paint"
    )
    parser.add_argument(
        "--varied", type=float, default=0.0, help="share of the faces that get another tone, light and (unlisted) shape"
    )
    options = parser.parse_args(arguments)
    if not 0 <= options.varied <= 1:
        parser.error(f"--varied is a share from 0 to 1, not {options.varied:g}.")
    listed = None if options.listed is None else read_marks(options.listed)
    config = TRAIN if options.split == "train" else VALIDATION
    paint_ahead(
        options.faces, options.out, options.count, options.seed, config,
        listed=listed, varied=options.varied, progress=True,
    )  # fmt: skip


if __name__ == "__main__":
    main()
