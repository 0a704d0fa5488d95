"""The speed benchmark: stages, whole portraits and memory, with the machine's name. Medians of a few runs.

retouchgpt bench speed [--out DIR]
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

INSTRUCTION = "Please remove the acne and the spots, but keep the moles."
PORTRAITS = (12, 24, 50)
"""Megapixels of the portraits that are opened, retouched, answered and saved."""


def run(weights: str | None = None, *, out: Path | None = None, repeats: int = 5) -> str:
    """Measure and return Markdown; with `out` also writes speed.json there."""
    result: dict[str, Any] = {"machine": machine(), "stages": stages(weights, repeats)}
    result["flops"] = flops(weights)
    result["portraits"] = [portrait(weights, size) for size in PORTRAITS]
    result["help_s"] = _timed(lambda: _command("--help"), 5)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "speed.json").write_text(json.dumps(result, indent=2) + "\n")
    return table(result)


def machine() -> dict[str, Any]:
    """Processor, cores, memory, versions."""
    import torch

    name = platform.processor() or "unknown"
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        name = models[0] if models else name
    return {
        "processor": name,
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "bf16": bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def stages(weights: str | None, repeats: int) -> dict[str, float]:
    """Seconds by stage for one face of a 1024 px photo, and for a second instruction on an open session."""
    from retouchgpt.data.portrait import painted_astronaut
    from retouchgpt.photo.composite import paste_all
    from retouchgpt.session import RetouchGPT
    from retouchgpt.session.face import look, merged, repair, select

    start = time.perf_counter()
    model = RetouchGPT.from_pretrained(weights)
    load = time.perf_counter() - start
    photo = painted_astronaut()
    face = model.finder.find(photo.pixels)[0]
    plan = model.understand(INSTRUCTION)
    seen = look(model.network, photo.pixels, face)
    where = merged([select(model.network, seen, plan, None)])
    tokens = model.dialogue(INSTRUCTION)
    fixed = repair(model.network, seen, where, tokens)
    session = model.open(photo)
    facts = session.instruct(INSTRUCTION).faces[0].facts
    measured: dict[str, Callable[[], Any]] = {
        "faces": lambda: model.finder.find(photo.pixels),
        "understand": lambda: model.planner.plan(INSTRUCTION),
        "look (align, encode, find)": lambda: look(model.network, photo.pixels, face),
        "select": lambda: select(model.network, seen, plan, None),
        "repair (LLM, control, transformer, decoder)": lambda: repair(model.network, seen, where, tokens),
        "answer": lambda: model.answer(facts, INSTRUCTION),
        "whole, photo to answer": lambda: model.open(photo).instruct(INSTRUCTION),
        "second instruction": lambda: session.instruct("Remove the spots on the forehead."),
    }
    if fixed is not None:
        placed = [(fixed.correction, fixed.mask, seen.alignment)]
        measured["composite"] = lambda: paste_all(photo.pixels, placed)
    return {"load": load} | {name: _timed(work, repeats) for name, work in measured.items()}


def flops(weights: str | None) -> dict[str, float]:
    """GFLOP by box for one 512 px face, the LLM on the instruction included."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from retouchgpt.model.imperfection import given
    from retouchgpt.session import RetouchGPT

    model = RetouchGPT.from_pretrained(weights)
    network, size = model.network, model.network.config.image_size
    image, side = torch.rand(1, 3, size, size), size // network.config.strides[0]
    counter = FlopCounterMode(display=False, depth=2)
    with counter, torch.no_grad():
        features = network.encode(image)
        network.find(features)
        network.repair(image, features, given(torch.rand(1, 12, side, side)), model.dialogue(INSTRUCTION))
    counts = {name: sum(kinds.values()) / 1e9 for name, kinds in counter.get_flop_counts().items()}
    return {name: value for name, value in counts.items() if name == "Global" or "." not in name}


def portrait(weights: str | None, megapixels: int) -> dict[str, float]:
    """One portrait of that size as JPEG, from file to file by the command, in a process of its own."""
    import cv2
    from PIL import Image

    from retouchgpt.data.portrait import painted_astronaut

    small: NDArray[np.uint8] = painted_astronaut().pixels
    side = round((megapixels * 1e6) ** 0.5)
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "in.jpg", Path(folder) / "out.jpg"
        Image.fromarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)).save(path, quality=92)
        arguments = ["retouch", str(path), "-i", INSTRUCTION, "-o", str(out), "--quiet"]
        if weights:
            arguments += ["--weights", weights]
        start = time.perf_counter()
        peak = _command(*arguments)
        return {"megapixels": side * side / 1e6, "seconds": time.perf_counter() - start, "peak_gb": peak}


def _command(*arguments: str) -> float:
    """Run the command line in another process; returns its peak memory in GB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    code = "import sys; from retouchgpt.apps.cli import main; sys.exit(main(sys.argv[1:]))"
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, stdout=subprocess.DEVNULL)
    return max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1e6


def _timed(work: Callable[[], Any], repeats: int) -> float:
    """Median seconds of some runs, after one that is not counted."""
    work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def table(result: dict[str, Any]) -> str:
    """Markdown of all that was measured."""
    m = result["machine"]
    lines = [
        f"{m['processor']}, {m['cores']} cores, {m['instructions']}, bfloat16 {'yes' if m['bf16'] else 'no'}, "
        f"torch {m['torch']}, Python {m['python']}.",
        "",
        "| stage, one face of a 1024 px photo | seconds |",
        "|---|---|",
    ]
    lines += [f"| {name} | {value:.3f} |" for name, value in result["stages"].items()]
    lines += [f"| command --help | {result['help_s']:.3f} |", "", "| box | GFLOP |", "|---|---|"]
    lines += [f"| {'all' if name == 'Global' else name} | {value:.1f} |" for name, value in result["flops"].items()]
    lines += ["", "| portrait, file to file, model loading included | seconds | peak memory, GB |", "|---|---|---|"]
    lines += [f"| {p['megapixels']:.0f} MP | {p['seconds']:.1f} | {p['peak_gb']:.2f} |" for p in result["portraits"]]
    return "\n".join(lines) + "\n"
