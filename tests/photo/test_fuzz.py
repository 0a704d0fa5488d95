"""Damaged files of every format are refused by one of our errors, in one line, or read; nothing else happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from retouchgpt.core.errors import RetouchError
from retouchgpt.photo.files import open_photo

EIGHT = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (48, 64, 4), dtype=np.uint8), (0, 0), 2)
DEEP = EIGHT.astype(np.uint16) * 257
SOURCES: dict[str, Callable[[Path], object]] = {
    "rgb.jpg": lambda p: Image.fromarray(EIGHT[..., :3]).save(p, icc_profile=b"profile" * 9),
    "cmyk.jpg": lambda p: Image.fromarray(EIGHT, "CMYK").save(p),
    "rgba.png": lambda p: Image.fromarray(EIGHT).save(p),
    "palette.png": lambda p: Image.fromarray(EIGHT[..., :3]).quantize(32).save(p),
    "deep.png": lambda p: cv2.imwrite(str(p), DEEP),
    "zip.tif": lambda p: tifffile.imwrite(p, DEEP[..., :3], photometric="rgb", compression="zlib"),
    "lzw.tif": lambda p: cv2.imwrite(str(p), DEEP[..., :3]),
    "ink.tif": lambda p: tifffile.imwrite(p, DEEP, photometric="separated"),
    "lossless.webp": lambda p: Image.fromarray(EIGHT).save(p, lossless=True),
}


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """Cut short, with bytes changed anywhere or in the header, or with a piece taken out."""
    out, way = bytearray(whole), rng.integers(0, 4)
    if way == 0:
        return whole[: rng.integers(1, len(whole))]
    if way == 3:
        first, last = sorted(rng.integers(0, len(whole), 2))
        return whole[:first] + whole[last:]
    reach = len(whole) if way == 1 else min(len(whole), 300)
    for at in rng.integers(0, reach, rng.integers(1, 10)):
        out[at] = rng.integers(0, 256)
    return bytes(out)


@pytest.mark.parametrize("name", SOURCES)
def test_damaged_files_are_refused_or_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    SOURCES[name](path)
    whole, rng = path.read_bytes(), np.random.default_rng(1)
    lines: list[int] = []
    for _ in range(120):
        path.write_bytes(damaged(whole, rng))
        try:
            open_photo(path)
        except RetouchError as error:
            lines.append(len(str(error).splitlines()))
    assert len(lines) > 20, "the damage is real"
    assert set(lines) == {1}
