"""What the speed benchmarks reckon with: fits, pairs, commands, tables; the GPU's on a stand-in; never a time."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from retouchgpt.core.errors import BadData
from retouchgpt.evaluation import gpu, speed
from retouchgpt.evaluation.clock import exponent, paired, python, timed
from retouchgpt.evaluation.rivals import paper_tflop
from retouchgpt.model.checkpoint import create


class StandIn:
    """The CPU in a card's place; counts how often it was waited for."""

    name, place, modes = "stand-in", "cpu", ("eager",)

    def __init__(self) -> None:
        self.waited = 0

    def wait(self) -> None:
        self.waited += 1

    def memory_gb(self) -> float:
        return 0.5


def test_the_gpu_run_reckons_shares_of_what_the_device_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "latency", lambda work, image, device, repeats: (work(image), device.wait(), 0.5)[2])
    monkeypatch.setattr(gpu, "peak_flops", lambda device: 1e9)
    monkeypatch.setattr(gpu, "bandwidth", lambda device: 1e9)
    device, network = StandIn(), create("tiny")
    result = gpu.measure(network, device, (1, 2), repeats=1)
    one, two = result["runs"]
    assert result["card"] == "stand-in"
    assert device.waited == 2
    assert (one["faces_a_second"], two["faces_a_second"]) == (2, 4)
    assert two["gflop"] == pytest.approx(2 * one["gflop"], rel=0.02)
    assert one["share_of_peak"] == pytest.approx(one["gflop"] / 0.5)
    assert one["share_of_roofline"] >= one["share_of_peak"]
    assert "| eager | 2 |" in gpu.table(result)
    json.dumps(result)


def test_latency_waits_for_the_device_in_every_run() -> None:
    device, image = StandIn(), torch.zeros(1)
    runs: list[Any] = []
    assert gpu.latency(runs.append, image, device, 4) >= 0
    assert device.waited == len(runs) == 7


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card here")
def test_without_a_card_one_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main([]) == 3
    said = capsys.readouterr().err
    assert "no CUDA card" in said
    assert said.count("\n") == 1


def test_an_exponent_is_that_of_the_power() -> None:
    sizes = [1, 4, 16]
    assert exponent(sizes, [3 * s**0.9 for s in sizes]) == pytest.approx(0.9)


def test_pairs_run_by_turns_and_timings_leave_the_first_run_out() -> None:
    order: list[str] = []
    paired(lambda: order.append("a"), lambda: order.append("b"), 2)
    assert "".join(order) == "ababab"
    assert timed(lambda: order.append("c"), 3).spread >= 0
    assert order.count("c") == 4


def test_a_process_of_its_own_tells_its_own_peak_and_its_failure() -> None:
    large = python("x = bytearray(300_000_000)")
    small = python("pass")
    assert small.peak_gb < 0.2 < 0.3 < large.peak_gb < 0.5
    with pytest.raises(subprocess.CalledProcessError) as caught:
        python("raise SystemExit('because')")
    assert b"because" in caught.value.stderr


def test_the_papers_size_needs_what_its_public_code_does() -> None:
    assert 2 < paper_tflop() < 12


def test_a_document_is_filled_between_its_markers_alone(tmp_path: Path) -> None:
    doc = tmp_path / "speed.md"
    doc.write_text("before\n" + "\nold\n".join(speed.MARKERS) + "\nafter\n")
    text = speed.filled(doc, "new\n")
    assert text == "before\n" + "\nnew\n".join(speed.MARKERS) + "\nafter\n"
    doc.write_text("no markers")
    with pytest.raises(BadData, match="no place"):
        speed.run(doc=doc)


def test_the_table_holds_every_part() -> None:
    timing, ran = {"seconds": 1.0, "spread": 0.1, "cpu": 2.0}, {"seconds": 3.0, "cpu": 2.0, "peak_gb": 1.0}
    result = {
        "machine": {
            "processor": "P", "cores": 2, "threads": 2, "instructions": "AVX", "bf16": True, "torch": "t",
            "python": "p", "peak_gflops": {"float32": 100.0, "bfloat16": 200.0},
        },
        "stages": {"whole, photo to answer": timing},
        "flops": {"Global": 40.0},
        "portraits": [{"megapixels": m, "network": 0.5} | ran for m in (12, 24)],
        "groups": [{"faces": 1, "total": 2.0}, {"faces": 4, "total": 8.0}],
        "batch": [
            {"workers": w, "cores": c, "photos": 100, "rate": r} | ran
            for w, c, r in ((1, 1, 1.0), (1, 2, 1.5), (2, 2, 3.0))
        ],
        "commands": {"--help": ran},
        "rivals": {"OpenCV bilateral": timing},
        "paper_tflop": {"network": 5.0, "LLM": 3.0},
        "means": [{"what": "bf16", "without": 2.0, "with": 1.0, "ratio": 2.0, "difference": "none", "kept": "yes"}],
    }  # fmt: skip
    result["exponents"] = speed.exponents(result)
    text = speed.table(result)
    for part in (
        "at 40, which is 20%",
        "3.00 times what one does on one core, 2.00 times",
        "| bf16 | 2.0000 | 1.0000 | 2.00",
        "24 MP portrait",
        "power 1.00",
    ):
        assert part in text
