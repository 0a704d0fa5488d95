"""The network on a GPU: latency, throughput and share of the roofline, eager, compiled and as CUDA graphs, in one run.

python -m retouchgpt.evaluation.gpu [--weights FOLDER] [--batches 1,4,16] [--out gpu.json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from retouchgpt.core.errors import BadData, RetouchError
from retouchgpt.core.vocabulary import REGIONS
from retouchgpt.model.imperfection import given
from retouchgpt.model.network import RetouchNetwork

SIZE = 4096
"""Side of the matrices whose product stands for the most that the card does."""
MODES = {"eager": None, "compiled": "default", "CUDA graphs": "reduce-overhead"}


class Device(Protocol):
    """What is measured on: a CUDA card, or a stand-in in tests."""

    name: str
    place: str
    modes: tuple[str, ...]

    def wait(self) -> None:
        """Until all work that was given to it is done."""

    def memory_gb(self) -> float:
        """The most memory that was in use."""


class Cuda:
    """The first CUDA card. Raises BadData, in one line, where there is none."""

    def __init__(self) -> None:
        if not torch.cuda.is_available():
            raise BadData("there is no CUDA card that torch can use here; `retouchgpt bench speed` measures the CPU.")
        self.name, self.place, self.modes = torch.cuda.get_device_name(0), "cuda", tuple(MODES)

    def wait(self) -> None:
        torch.cuda.synchronize()

    def memory_gb(self) -> float:
        return torch.cuda.max_memory_allocated() / 1e9


def measure(network: RetouchNetwork, device: Device, batches: Sequence[int] = (1, 4, 16), repeats: int = 20) -> Any:
    """Latency, faces a second and share of the roofline for each way and number of faces, in bfloat16, as JSON.

    One pass is encoder, heat maps and repair of all of each face; the LLM reads nothing.
    """
    network = network.eval().to(device.place)
    peak, band = peak_flops(device), bandwidth(device)
    rows = []
    for faces in batches:
        image = torch.rand(faces, 3, *[network.config.image_size] * 2, device=device.place)
        image = image.contiguous(memory_format=torch.channels_last)
        flops, least = operations(network, image), traffic(network, image)
        roof = max(flops / peak, least / band)  # seconds that neither arithmetic nor memory could undercut
        for mode in device.modes:
            seconds = latency(one_way(network, mode, device), image, device, repeats)
            rows.append(
                {
                    "way": mode, "faces": faces, "seconds": seconds, "faces_a_second": faces / seconds,
                    "gflop": flops / 1e9, "share_of_peak": flops / seconds / peak, "share_of_roofline": roof / seconds,
                }
            )  # fmt: skip
    return {
        "card": device.name, "torch": torch.__version__, "peak_tflops": peak / 1e12, "bandwidth_gb_s": band / 1e9,
        "memory_gb": device.memory_gb(), "runs": rows,
    }  # fmt: skip


def one_pass(network: RetouchNetwork, image: Tensor) -> Tensor:
    """Faces (B, 3, S, S) -> their corrections."""
    side = image.shape[-1] // network.config.strides[0]
    features, heat = network.look(image, image.new_zeros(len(image), len(REGIONS), side, side))
    where = given(torch.ones_like(heat).reshape(len(image), -1, side, side))
    return network.repair(image, features, where).correction


def one_way(network: RetouchNetwork, mode: str, device: Device) -> Callable[[Tensor], Tensor]:
    """A pass in bfloat16, compiled or not."""

    def eager(image: Tensor) -> Tensor:
        return one_pass(network, image)

    compiled = eager if MODES[mode] is None else torch.compile(eager, mode=MODES[mode])

    def run(image: Tensor) -> Tensor:
        with torch.no_grad(), torch.autocast(device.place, torch.bfloat16):
            return compiled(image)

    return run


def latency(work: Callable[[Tensor], Any], image: Tensor, device: Device, repeats: int) -> float:
    """Median seconds of a pass, until the card has finished, after three that are not counted."""
    seconds = []
    for i in range(repeats + 3):
        start = time.perf_counter()
        work(image)
        device.wait()
        if i >= 3:
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def operations(network: RetouchNetwork, image: Tensor) -> float:
    """Floating-point operations of a pass."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        one_pass(network, image)
    return float(counter.get_total_flops())


def traffic(network: RetouchNetwork, image: Tensor) -> float:
    """The least bytes a pass moves: weights and the six maps once in bfloat16, image and correction in float32."""
    with torch.no_grad():
        maps = sum(m.numel() for m in network.encode(image).maps)
    return 2.0 * (sum(p.numel() for p in network.parameters()) + maps) + 2 * 4.0 * image.numel()


def peak_flops(device: Device, size: int = SIZE) -> float:
    """Operations a second of a large matrix product in bfloat16."""
    a, b = (torch.randn(size, size, device=device.place, dtype=torch.bfloat16) for _ in range(2))
    return 2.0 * size**3 / latency(lambda x: x @ b, a, device, 10)


def bandwidth(device: Device, size: int = SIZE) -> float:
    """Bytes a second of a copy, read and written."""
    a = torch.randn(size, size, device=device.place)
    b = torch.empty_like(a)
    return 2.0 * 4 * size**2 / latency(b.copy_, a, device, 10)


def table(result: dict[str, Any]) -> str:
    """As Markdown."""
    lines = [
        f"{result['card']}, torch {result['torch']}: {result['peak_tflops']:.0f} TFLOP/s in bfloat16 products, "
        f"{result['bandwidth_gb_s']:.0f} GB/s, {result['memory_gb']:.1f} GB used at most.",
        "", "| way | faces | ms | faces a second | of the peak | of the roofline |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [
        f"| {r['way']} | {r['faces']} | {r['seconds'] * 1e3:.1f} | {r['faces_a_second']:.0f} | "
        f"{r['share_of_peak']:.1%} | {r['share_of_roofline']:.1%} |"
        for r in result["runs"]
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.evaluation.gpu", description="The network on a GPU.")
    parser.add_argument("--weights", help="folder (default: those that ship)")
    parser.add_argument("--batches", default="1,4,16", help="numbers of faces at a time")
    parser.add_argument("--out", help="JSON file")
    options = parser.parse_args(arguments)
    try:
        device = Cuda()
        batches = [int(part) for part in options.batches.split(",")]
        result = measure(RetouchNetwork.from_pretrained(options.weights), device, batches)
    except RetouchError as error:
        print(f"retouchgpt: {error}", file=sys.stderr)
        return error.exit_code
    print(table(result))
    if options.out:
        Path(options.out).write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
