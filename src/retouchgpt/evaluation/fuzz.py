"""Damaged photos of every format: each is refused in one line or read, edited and written; nothing else may happen.

`python -m retouchgpt.evaluation.fuzz --count 20000` says how many were refused and read, and lists every crash, hang
(more than 5 s of processor time for one image) and unexpected error with its number; `--only N` plays that one again.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouchgpt.core.errors import RetouchError
from retouchgpt.photo import heif, profiles
from retouchgpt.photo.depths import widened
from retouchgpt.photo.files import FORMATS, Photo, open_photo, save_photo

CHUNK = 500
"""Images a process; one that dies costs the image it was at."""
LIMIT_S = 5
MEMORY = 2 << 30
"""Most bytes that reading one damaged file may take: a header may claim 200 megapixels."""


def _pixels(channels: int = 4) -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 4), dtype=np.uint8)
    return np.ascontiguousarray(cv2.GaussianBlur(noise, (0, 0), 2)[..., :channels])


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", 6
    exif.get_ifd(0x8825)[1] = "N"
    return exif.tobytes()


def _pillow(path: Path, channels: int, mode: str | None = None, **keywords: Any) -> None:
    pixels = _pixels(channels)
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels, mode).save(path, **keywords)


def _tiff(path: Path, channels: int, **keywords: Any) -> None:
    import tifffile

    tifffile.imwrite(path, _pixels(channels).astype(np.uint16) * 257, **keywords)


def _paged(path: Path) -> None:
    import tifffile

    with tifffile.TiffWriter(path) as out:
        out.write(_pixels(3), photometric="rgb", compression="zlib")
        out.write(_pixels(3)[::2, ::2], photometric="rgb", subfiletype=1)


def _layered(path: Path) -> None:
    from retouchgpt.core.geometry import Box
    from retouchgpt.photo.layers import Layer, save_layers

    photo = Photo(None, _pixels(3), "TIFF", "RGB")
    layer = Layer("acne", Box(8, 8, 24, 20), np.ones((12, 16), bool))
    save_layers(photo, 255 - photo.pixels, [layer], path)


def _heif(path: Path, bits: int) -> None:
    pixels = _pixels(3) if bits == 8 else widened(_pixels(3).astype(np.uint16) << (bits - 8), bits)
    kind = FORMATS[path.suffix]
    icc = profiles.made(profiles.DISPLAY_P3)
    heif.write(path, pixels, kind, bits=bits, alpha=None, grey=False, icc=icc, exif=_exif(), xmp=b"<x/>")


_part = functools.partial
SOURCES: dict[str, Callable[[Path], object]] = {
    "rgb.jpg": _part(_pillow, channels=3, icc_profile=profiles.made(profiles.ADOBE_RGB), exif=_exif()),
    "progressive.jpg": _part(_pillow, channels=3, progressive=True, subsampling=2),
    "cmyk.jpg": _part(_pillow, channels=4, mode="CMYK"),
    "rgba.png": _part(_pillow, channels=4),
    "palette.png": lambda p: Image.fromarray(_pixels(3)).quantize(32).save(p),
    "deep.png": lambda p: cv2.imwrite(str(p), _pixels(4).astype(np.uint16) * 257),
    "eight.tif": _part(_pillow, channels=3, exif=_exif()),
    "zip.tif": _part(_tiff, channels=3, photometric="rgb", compression="zlib"),
    "lzw.tif": lambda p: cv2.imwrite(str(p), _pixels(3).astype(np.uint16) * 257),
    "ink.tif": _part(_tiff, channels=4, photometric="separated"),
    "lab.tif": _part(_tiff, channels=3, photometric="cielab"),
    "copied.tif": _paged,
    "two.jpg": lambda p: Image.fromarray(_pixels(3)).save(
        p, "MPO", save_all=True, append_images=[Image.fromarray(_pixels(3))], exif=_exif()
    ),
    "layered.tif": _layered,
    "lossless.webp": _part(_pillow, channels=4, lossless=True, icc_profile=profiles.made(profiles.DISPLAY_P3)),
    "lossy.webp": _part(_pillow, channels=3, quality=80),
    "eight.heic": _part(_heif, bits=8),
    "deep.heic": _part(_heif, bits=10),
    "eight.avif": _part(_heif, bits=8),
    "deep.avif": _part(_heif, bits=12),
}


@functools.cache
def source(name: str) -> bytes:
    """One whole file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        SOURCES[name](path)
        return path.read_bytes()


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """Cut short, with bytes or bits changed anywhere or in the header, a piece taken out, doubled or zeroed, or a
    number of the header set to an extreme."""
    out, way = bytearray(whole), int(rng.integers(0, 8))
    first, last = (int(v) for v in sorted(rng.integers(0, len(whole), 2)))
    head = min(len(whole), 300)
    if way == 0:
        return whole[: max(last, 1)]
    if way == 1:
        return whole[:first] + whole[last:]
    if way == 2:
        return whole[:last] + whole[first:]
    if way == 3:
        last = min(last, first + 64)
        out[first:last] = bytes(last - first)
    elif way == 4:
        value = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)[int(rng.integers(0, 5))]
        at = int(rng.integers(0, max(head - 4, 1)))
        out[at : at + 4] = value.to_bytes(4, "big" if rng.integers(0, 2) else "little")
    else:
        reach = head if way == 5 else len(whole)
        for at in rng.integers(0, reach, rng.integers(1, 10)):
            out[at] = out[at] ^ (1 << int(rng.integers(0, 8))) if way == 6 else int(rng.integers(0, 256))
    return bytes(out)


def play(number: int, seed: int, folder: Path) -> str:
    """Damage, open, and where it opens edit and save: "refused" or "read". Raises what is a fault of ours."""
    rng = np.random.default_rng((seed, number))
    name = tuple(SOURCES)[number % len(SOURCES)]
    path, out = folder / name, folder / f"out{Path(name).suffix}"
    path.write_bytes(damaged(source(name), rng))
    try:
        photo = open_photo(path)
        if photo.pixels.size > 3 << 22:  # a claim that its data somehow bears out: reading it was the test
            return "read"
        edited = photo.pixels.copy()
        edited[4:12, 4:12] = np.iinfo(edited.dtype).max // 2
        save_photo(photo, edited, out, overwrite=True, note="remove the acne")
        return "read"
    except RetouchError as error:
        if len(str(error).splitlines()) != 1:
            raise AssertionError(f"a message of several lines: {error}") from error
        return "refused"


Player = Callable[[int, int, Path], str]


@dataclass
class Tally:
    """counts: refused and read. faults: number of an image and what it did. slowest_s: processor time of one image.
    peak_mb: most memory that a process held."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[int, str]] = field(default_factory=list)
    slowest_s: float = 0.0
    peak_mb: float = 0.0

    def line(self) -> str:
        said = ", ".join(f"{n} {what}" for what, n in sorted(self.counts.items()))
        return (
            f"{said}; {len(self.faults)} faults; slowest image {self.slowest_s:.2f} s of processor time; "
            f"peak memory {self.peak_mb:.0f} MB"
        )


def run(numbers: Sequence[int], seed: int = 0, player: Player = play) -> Tally:
    """Play the images of these numbers in processes of their own, so that nothing they do stops the run."""
    tally, left = Tally(), list(numbers)
    context = multiprocessing.get_context("spawn")
    while left:
        chunk = left[:CHUNK]
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_child, args=(chunk, seed, player, there))
        process.start()
        there.close()
        done = _listen(here, tally)
        process.join()
        if done < len(chunk):
            what = "a hang" if process.exitcode == -24 else f"a crash (exit code {process.exitcode})"
            tally.faults.append((chunk[done], what))
            done += 1
        left = left[done:]
    return tally


def _listen(pipe: Any, tally: Tally) -> int:
    """Take in a child's reports until it ends; how many images it finished."""
    done = 0
    while True:
        try:
            number, what, seconds, peak = pipe.recv()
        except EOFError:
            return done
        done += 1
        tally.slowest_s, tally.peak_mb = max(tally.slowest_s, seconds), max(tally.peak_mb, peak)
        if what in ("refused", "read"):
            tally.counts[what] += 1
        else:
            tally.faults.append((number, what))


def _child(numbers: Sequence[int], seed: int, player: Player, pipe: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            before = time.process_time()
            soft = int(before) + LIMIT_S + 1  # past it the system ends this process, whatever code it is in
            resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
            try:
                what = player(number, seed, Path(folder))
            except Exception as error:
                what = f"{type(error).__name__}: {error}".splitlines()[0]
            peak = _peak_mb()
            if peak > MEMORY / 2**20:
                what = f"memory of {peak:.0f} MB"
            pipe.send((number, what, time.process_time() - before, peak))


def _peak_mb() -> float:
    """Most memory that this process has held. What getrusage tells on Linux counts the parent's at the fork as well."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="retouchgpt.evaluation.fuzz", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="play the image of this number alone, in this process")
    options = parser.parse_args(arguments)
    if options.only is not None:
        with tempfile.TemporaryDirectory() as folder:
            print(play(options.only, options.seed, Path(folder)))
        return 0
    tally = run(range(options.count), options.seed)
    for number, what in tally.faults:
        print(f"image {number} ({tuple(SOURCES)[number % len(SOURCES)]}): {what}")
    print(tally.line())
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
