"""The speed benchmark: stages, boxes, portraits, groups, a batch, rivals, with the machine's name, in one run.

retouchgpt bench speed [--out DIR] [--doc docs/speed.md]
"""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouchgpt.core.cores import usable_cores
from retouchgpt.core.errors import BadData

from .clock import Ran, Timing, command, exponent, peak_gflops, python, timed

INSTRUCTION = "Please remove the acne and the spots, but keep the moles."
SECOND = "Remove the spots on the forehead."
PORTRAITS = (12, 24, 50, 100)
"""Megapixels of the portraits that are opened, retouched, answered and saved."""
GROUPS = (1, 4, 16)
"""Faces of the groups, each of GROUP_MEGAPIXELS in all."""
GROUP_MEGAPIXELS = 12.0
BATCH = 100
MARKERS = ("<!-- speed -->", "<!-- end of speed -->")
FIRST = (
    "import sys; from retouchgpt import RetouchGPT; s = RetouchGPT.from_pretrained(sys.argv[2] or None)"
    ".open(sys.argv[1]); s.instruct(sys.argv[3])"
)


def run(weights: str | None = None, *, out: Path | None = None, doc: Path | None = None, repeats: int = 5) -> str:
    """Measure and return Markdown; with `out` also writes speed.json there, with `doc` fills a document's table.

    Raises BadData, before anything is measured, for a document without the markers.
    """
    from .means import means

    if doc is not None:
        filled(doc, "")
    result = measured(weights, repeats) | {"means": means(weights, repeats)}
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "speed.json").write_text(json.dumps(result, indent=2) + "\n")
    if doc is not None:
        doc.write_text(filled(doc, table(result)), encoding="utf-8")
    return table(result)


def filled(doc: Path, text: str) -> str:
    """A document with `text` between its markers."""
    before, start, rest = doc.read_text(encoding="utf-8").partition(MARKERS[0]) if doc.is_file() else ("", "", "")
    _, end, after = rest.partition(MARKERS[1])
    if not start or not end:
        raise BadData(f"{doc} has no place for the table: write {MARKERS[0]} and {MARKERS[1]} on lines of their own.")
    return f"{before}{start}\n{text}{end}{after}"


def measured(weights: str | None, repeats: int, *, sizes: tuple[int, ...] = PORTRAITS, batch: int = BATCH) -> Any:
    """All that is measured, as JSON."""
    from retouchgpt.data.portrait import painted_astronaut
    from retouchgpt.session import RetouchGPT

    model, photo = RetouchGPT.from_pretrained(weights), painted_astronaut()
    result: dict[str, Any] = {"machine": machine(), "stages": _rows(stages(model, photo, repeats))}
    result["flops"] = flops(weights)
    result["portraits"] = [portrait(weights, size) for size in sizes]
    result["groups"] = groups(model, photo.pixels)
    result["batch"] = batches(weights, photo.pixels, batch)
    result["commands"] = {
        "--help": min((command("--help") for _ in range(3)), key=lambda r: r.seconds)._asdict(),
        "import to first result": first_result(weights, photo.pixels)._asdict(),
    }
    result["exponents"] = exponents(result)
    return result | others(model, photo, repeats)


def machine() -> dict[str, Any]:
    """Processor, cores, versions, and the most that matrix products reach on it."""
    import torch

    from retouchgpt.model.precision import computes_bfloat16

    name = platform.processor() or "unknown"
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        name = models[0] if models else name
    return {
        "processor": name,
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "bf16": computes_bfloat16("cpu"),
        "peak_gflops": {name: peak_gflops(name) for name in ("float32", "bfloat16")},
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def stages(model: Any, photo: Any, repeats: int) -> dict[str, Timing]:
    """Each stage of one face of a 1024 px photo, and the whole; files are the photo as JPEG."""
    from retouchgpt.photo.composite import paste_all
    from retouchgpt.photo.files import open_photo, save_photo
    from retouchgpt.session.face import look, merged, repair, select

    network, face = model.network, model.finder.find(photo.pixels)[0]
    plan, tokens = model.understand(INSTRUCTION), model.dialogue(INSTRUCTION)
    seen = look(network, photo.pixels, face)
    where = merged([select(network, seen, plan, None)])
    fixed = repair(network, seen, where, tokens)
    session = model.open(photo)
    facts = session.instruct(INSTRUCTION).faces[0].facts
    boxes = _boxes(network, seen, where, tokens)
    with tempfile.TemporaryDirectory() as folder:
        path, target = Path(folder) / "in.jpg", Path(folder) / "out.jpg"
        Image.fromarray(photo.pixels).save(path, quality=92)
        opened = open_photo(path)
        edited = model.open(opened).instruct(INSTRUCTION).image
        work: dict[str, Callable[[], Any]] = {
            "open": lambda: open_photo(path),
            "faces": lambda: model.finder.find(photo.pixels),
            "understand": lambda: model.planner.plan(INSTRUCTION),
            "look (align, encode, find)": lambda: look(network, photo.pixels, face),
            "select": lambda: select(network, seen, plan, None),
            **boxes,
            "repair (LLM, control, transformer, decoder)": lambda: repair(network, seen, where, tokens),
            "answer": lambda: model.answer(facts, INSTRUCTION),
            "save": lambda: save_photo(opened, edited, target, overwrite=True),
            "whole, photo to answer": lambda: model.open(photo).instruct(INSTRUCTION),
        }
        if fixed is not None:
            placed = [(fixed.correction, fixed.mask, seen.alignment)]
            work["composite"] = lambda: paste_all(photo.pixels, placed)
        out = {name: timed(once, repeats) for name, once in work.items()}
    open_ones = [model.open(photo) for _ in range(repeats + 1)]
    for session in open_ones:
        session.instruct(INSTRUCTION)
    out["second instruction"] = timed(lambda: open_ones.pop().instruct(SECOND), repeats)
    return out


def _boxes(network: Any, seen: Any, where: Any, tokens: Any) -> dict[str, Callable[[], Any]]:
    """The paper's boxes one by one, each on what the one before gave."""
    import torch

    from retouchgpt.model.area import pooled
    from retouchgpt.session.face import fast

    def inside(work: Callable[[], Any]) -> Callable[[], Any]:
        def once() -> Any:
            with torch.inference_mode(), fast(network):
                return work()

        return once

    features, grid = seen.features, tuple(seen.features.tokens.shape[-2:])
    prompts = inside(lambda: network.embedding(features.tokens, where.mask, tokens))()
    control = inside(lambda: network.control(prompts, where.mask, grid))()
    coarse = pooled(where.mask, *grid)
    repaired = inside(lambda: network.transformer(features.tokens, coarse, control))()
    least = network.config.gate[0]
    return {
        "box: encoder": inside(lambda: network.encode(seen.crop)),
        "box: IIP": inside(lambda: network.find(features, seen.regions)),
        "box: LLM": inside(lambda: network.embedding(features.tokens, where.mask, tokens)),
        "box: control": inside(lambda: network.control(prompts, where.mask, grid)),
        "box: transformer": inside(lambda: network.transformer(features.tokens, coarse, control)),
        "box: decoder": inside(lambda: network.decoder(seen.crop, features, repaired, where, least)),
    }


def flops(weights: str | None) -> dict[str, float]:
    """GFLOP by box for one 512 px face, all of it to be repaired, the LLM on the instruction included."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from retouchgpt.core.vocabulary import REGIONS
    from retouchgpt.model.imperfection import given
    from retouchgpt.session import RetouchGPT

    model = RetouchGPT.from_pretrained(weights)
    network, size = model.network, model.network.config.image_size
    image, side = torch.rand(1, 3, size, size), size // network.config.strides[0]
    counter = FlopCounterMode(display=False, depth=2)
    with counter, torch.no_grad():
        features, _ = network.look(image, torch.zeros(1, len(REGIONS), side, side))
        network.repair(image, features, given(torch.ones(1, 12, side, side)), model.dialogue(INSTRUCTION))
    counts = {name: sum(kinds.values()) / 1e9 for name, kinds in counter.get_flop_counts().items()}
    return {name: value for name, value in counts.items() if name == "Global" or "." not in name}


def portrait(weights: str | None, megapixels: float) -> dict[str, Any]:
    """One portrait of that size as JPEG, from file to file by the command, in a process of its own."""
    from retouchgpt.data.portrait import painted_astronaut

    side = round((megapixels * 1e6) ** 0.5)
    with tempfile.TemporaryDirectory() as folder:
        path, out, report = (Path(folder) / name for name in ("in.jpg", "out.jpg", "report.json"))
        grainy(painted_astronaut().pixels, side).save(path, quality=92)
        arguments = ["retouch", str(path), "-i", INSTRUCTION, "-o", str(out), "--report", str(report), "--quiet"]
        ran = command(*arguments, *(["--weights", weights] if weights else []))
        timings = json.loads(report.read_text())["timings"]
    return {"megapixels": side * side / 1e6} | ran._asdict() | {"network": timings["encode"] + timings["retouch"]}


def grainy(small: NDArray[np.uint8], side: int) -> Image.Image:
    """A square portrait enlarged, with a camera's grain, so that it codes and decodes like a photo."""
    rng = np.random.default_rng(0)
    large = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
    for y in range(0, side, 256):
        strip = large[y : y + 256]
        strip[:] = np.rint((strip + rng.normal(0, 3, strip.shape)).clip(0, 255)).astype(np.uint8)
    return Image.fromarray(large)


def groups(model: Any, pixels: NDArray[np.uint8]) -> list[dict[str, Any]]:
    """Photos of several faces, each opened, retouched, answered and saved in this process."""
    from .throughput import measure, picture

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for faces in GROUPS:
            path = Path(folder) / "group.jpg"
            Image.fromarray(picture(pixels, faces, GROUP_MEGAPIXELS)).save(path, quality=92)
            measure(model, path)
            cost = measure(model, path)
            rows.append(cost._asdict() | {"total": cost.total})
    return rows


def batches(weights: str | None, pixels: NDArray[np.uint8], count: int) -> list[dict[str, Any]]:
    """A folder of photos by `batch`, with one worker on one core, one on all, and two; model loading included."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        for i in range(count):
            Image.fromarray(np.roll(pixels, i, 1)).save(photos / f"{i:03}.jpg", quality=92)
        for workers, one_core in ((1, True), (1, False), (2, False)):
            out = Path(folder) / f"out{len(rows)}"
            rest = ["--workers", str(workers), *(["--weights", weights] if weights else [])]
            ran = command("batch", str(photos), "--out", str(out), "-i", INSTRUCTION, *rest, one_core=one_core)
            cores = 1 if one_core else usable_cores()
            told = {"workers": workers, "cores": cores, "photos": count}
            rows.append(told | ran._asdict() | {"rate": count / ran.seconds})
    return rows


def first_result(weights: str | None, pixels: NDArray[np.uint8]) -> Ran:
    """From `import retouchgpt` to the first result, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.png"
        Image.fromarray(cv2.resize(pixels, (512, 512), interpolation=cv2.INTER_AREA)).save(path)
        return python(FIRST, str(path), weights or "", INSTRUCTION)


def exponents(result: dict[str, Any]) -> dict[str, float]:
    """How processor seconds grow: as pixels, and as faces, to this power."""
    photos, groups_ = result["portraits"], result["groups"]
    return {
        "pixels": exponent([p["megapixels"] for p in photos], [p["cpu"] for p in photos]),
        "faces": exponent([g["faces"] for g in groups_], [g["total"] for g in groups_]),
    }


def others(model: Any, photo: Any, repeats: int) -> dict[str, Any]:
    """Rivals on the same photo, and operations of the paper's size."""
    from .rivals import PAPER_LLM_TFLOP, paper_tflop, rivals

    parameters = sum(p.numel() for p in model.network.parameters())
    found = rivals(photo.pixels, model.open(photo).instruct(INSTRUCTION).mask, parameters, repeats)
    return {"rivals": _rows(found), "paper_tflop": {"network": paper_tflop(), "LLM, reckoned": PAPER_LLM_TFLOP}}


def _rows(timings: dict[str, Timing]) -> dict[str, dict[str, float]]:
    return {name: timing._asdict() for name, timing in timings.items()}


def table(result: dict[str, Any]) -> str:
    """Markdown of all that was measured."""
    m, whole = result["machine"], result["stages"]["whole, photo to answer"]
    peak, gflop = m["peak_gflops"], result["flops"]["Global"]
    best = peak["bfloat16" if m["bf16"] else "float32"]
    lines = [
        f"{m['processor']}, {m['cores']} cores, {m['threads']} threads, {m['instructions']}, bfloat16 "
        f"{'yes' if m['bf16'] else 'no'}, torch {m['torch']}, Python {m['python']}. Matrix products reach "
        f"{peak['float32']:.0f} GFLOP/s in float32, {peak['bfloat16']:.0f} in bfloat16; one face, photo to answer, "
        f"runs at {gflop / whole['seconds']:.0f}, which is {gflop / whole['seconds'] / best:.0%}.",
        "", "| stage, one face of a 1024 px photo | seconds | spread | CPU seconds |", "|---|---|---|---|",
    ]  # fmt: skip
    lines += [f"| {n} | {t['seconds']:.3f} | {t['spread']:.3f} | {t['cpu']:.3f} |" for n, t in result["stages"].items()]
    lines += ["", "| box, the whole face repaired | GFLOP |", "|---|---|"]
    lines += [f"| {'all' if name == 'Global' else name} | {value:.1f} |" for name, value in result["flops"].items()]
    lines += ["", "| command in a process of its own | seconds | CPU seconds | peak memory, GB |", "|---|---|---|---|"]
    lines += [_ran(name, row) for name, row in result["commands"].items()]
    lines += [
        _ran(f"{p['megapixels']:.0f} MP portrait (its network {p['network']:.2f} s)", p) for p in result["portraits"]
    ]
    lines += [_ran(f"batch of {b['photos']}, workers: {b['workers']}, cores: {b['cores']}", b) for b in result["batch"]]
    single, one, two = (b["rate"] for b in result["batch"])
    lines += [
        "",
        f"Two workers do {two / single:.2f} times what one does on one core, {two / one:.2f} times what one does that "
        "has all cores to itself.",
        "",
    ]
    lines += [f"| faces in {GROUP_MEGAPIXELS:.0f} MP | CPU seconds |", "|---|---|"]
    lines += [f"| {g['faces']} | {g['total']:.2f} |" for g in result["groups"]]
    e = result["exponents"]
    lines += ["", f"CPU seconds grow as pixels to the power {e['pixels']:.2f}, as faces to the power {e['faces']:.2f}."]
    lines += ["", "| the same photo by | seconds | CPU seconds | ours is faster by |", "|---|---|---|---|"]
    lines += [
        f"| {n} | {t['seconds']:.3f} | {t['cpu']:.3f} | {t['cpu'] / whole['cpu']:.2f} |"
        for n, t in result["rivals"].items()
    ]
    paper = sum(result["paper_tflop"].values())
    lines += [
        "",
        f"The paper's size needs {paper:.1f} TFLOP a face with its LLM, {paper * 1e3 / gflop:.0f} times ours.",
    ]
    if "means" in result:
        lines += ["", "| means | CPU seconds without | with | ratio | difference | kept |", "|---|---|---|---|---|---|"]
        lines += [
            f"| {r['what']} | {r['without']:.4f} | {r['with']:.4f} | {r['ratio']:.2f} "
            f"| {r['difference']} | {r['kept']} |"
            for r in result["means"]
        ]
    return "\n".join(lines) + "\n"


def _ran(name: str, row: dict[str, Any]) -> str:
    return f"| {name} | {row['seconds']:.2f} | {row['cpu']:.2f} | {row['peak_gb']:.2f} |"
