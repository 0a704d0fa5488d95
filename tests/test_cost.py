"""What a photo costs, without a clock: operations and parameters by box, calls and full-frame work on a fixed photo.

A change here is a change of cost: let it be one that was meant.
"""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from retouchgpt.core.vocabulary import REGIONS
from retouchgpt.model.checkpoint import create
from retouchgpt.model.imperfection import given
from retouchgpt.model.inventory import parameters_by_box
from retouchgpt.model.presets import COMPACT
from retouchgpt.photo.composite import paste_all
from retouchgpt.photo.files import open_photo, save_photo
from retouchgpt.session import RetouchGPT
from tests.fakes import Planner, Writer, acne_network

PARAMETERS = {
    "encoder": 3089312, "tokens": 381504, "imperfection": 640236, "embedding": 357248, "control": 161312,
    "transformer": 459104, "decoder": 3315745,
}  # fmt: skip
FLOPS = {
    "ImageEncoder": 21919432704, "GroundedImperfection": 9395240960, "LanguageEmbedding": 704512, "Control": 58503168,
    "LatentTransformer": 5322571776, "Decoder": 24086577152,
}  # fmt: skip


def test_parameters_by_box_are_as_they_were() -> None:
    assert parameters_by_box(COMPACT) == PARAMETERS


def counted(side: int) -> dict[str, int]:
    """Operations by box with a mask over the top left part of the finest map, of this side, without an LLM."""
    network = create("compact").eval()
    counter = FlopCounterMode(display=False, depth=2)
    kinds = torch.zeros(1, 12, 256, 256)
    kinds[..., :side, :side] = 1
    image = torch.zeros(1, 3, 512, 512)
    with counter, torch.no_grad():
        features = network.encode(image)
        network.find(features)
        network.repair(image, features, given(kinds))
    counts = {name: sum(kinds.values()) for name, kinds in counter.get_flop_counts().items()}
    return {name: int(counts[name]) for name in FLOPS}


def test_operations_by_box_are_as_they_were() -> None:
    assert counted(256) == FLOPS


def test_a_small_mask_costs_the_decoder_a_third_at_most() -> None:
    assert counted(48)["Decoder"] < FLOPS["Decoder"] / 3


def test_a_look_costs_encoder_and_maps_twice_since_it_looks_at_the_mirror_image_too() -> None:
    network = create("compact").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.look(torch.zeros(1, 3, 512, 512), torch.zeros(1, len(REGIONS), 64, 64))
    once = FLOPS["ImageEncoder"] + FLOPS["GroundedImperfection"]
    assert 2 * once <= counter.get_total_flops() < 2.01 * once


def test_a_photo_is_encoded_once_however_much_is_said(monkeypatch: pytest.MonkeyPatch, portrait: Any) -> None:
    engine, calls = RetouchGPT(acne_network(), Planner(), Writer()), Counter[str]()
    for name in ("encode", "find", "repair"):
        work = getattr(engine.network, name)

        def once(*given_: Any, name: str = name, work: Any = work, **named: Any) -> Any:
            calls[name] += 1
            return work(*given_, **named)

        monkeypatch.setattr(engine.network, name, once)
    session = engine.open(portrait)
    session.instruct("remove the acne")
    session.instruct("remove the acne")
    assert calls == {"encode": 1, "find": 1, "repair": 2}


def test_a_repair_of_a_large_photo_allocates_the_result_its_mask_and_little_more() -> None:
    from retouchgpt.core.geometry import Similarity

    pixels = np.full((3000, 4000, 3), 90, np.uint8)
    mask = np.zeros((128, 128), np.float32)
    mask[40:60, 40:60] = 1
    correction = np.repeat(mask[..., None] * 0.1, 3, 2)
    tracemalloc.start()
    pasted = paste_all(pixels, [(correction, mask, Similarity(0.1, 0.0, 0.0, 0.0))])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (pasted.pixels != pixels).any()
    assert most < pixels.nbytes + 4 * pixels.shape[0] * pixels.shape[1] + 30e6, "a float copy of the frame is 144 MB"


def test_a_changed_jpeg_is_coded_only_around_its_change(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("jpeglib")
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 255, (640, 960, 3), dtype=np.uint8), (0, 0), 2)
    Image.fromarray(picture).save(tmp_path / "in.jpg", quality=92)
    photo = open_photo(tmp_path / "in.jpg")
    after = photo.pixels.copy()
    after[100:140, 200:260] //= 2
    coded: list[tuple[int, int]] = []
    save = Image.Image.save

    def counting(image: Image.Image, *where: Any, **options: Any) -> None:
        coded.append(image.size)
        save(image, *where, **options)

    monkeypatch.setattr(Image.Image, "save", counting)
    save_photo(photo, after, tmp_path / "out.jpg")
    assert coded == [(80, 48)], "the coding units, 16 px each, that hold the change"


def test_what_is_heavy_to_import_stays_unloaded(tmp_path: Path, portrait: Any) -> None:
    Image.fromarray(portrait).save(tmp_path / "in.png")
    shown = (
        "print(sorted(n for n in ('torch', 'numpy', 'cv2', 'transformers', 'matplotlib', 'sympy') if n in sys.modules))"
    )
    parse = f"import sys; from retouchgpt.apps.cli import parser; parser(); {shown}"
    first = (
        "import sys; from retouchgpt import RetouchGPT; "
        f"RetouchGPT.from_pretrained().open(sys.argv[1]).instruct('remove the acne'); {shown}"
    )
    for code, loaded in ((parse, "[]"), (first, "['cv2', 'numpy', 'torch']")):
        line = [sys.executable, "-c", code, str(tmp_path / "in.png")]
        assert subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip() == loaded
