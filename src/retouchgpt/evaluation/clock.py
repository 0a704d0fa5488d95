"""Measuring time: medians with their spread, processor seconds, pairs by turns, and what a machine can do at most."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Timing(NamedTuple):
    """Of several runs: median and largest less smallest of the clock's seconds, median of the processor's seconds."""

    seconds: float
    spread: float
    cpu: float


class Ran(NamedTuple):
    """A command in a process of its own: seconds by the clock and of the processor, peak memory in GB."""

    seconds: float
    cpu: float
    peak_gb: float


LAST_WORDS = (
    "import atexit, os\n"
    "def _last():\n"
    "    if os.path.exists('/proc/self/status'):\n"
    "        open(os.environ['RETOUCHGPT_BENCH_STATUS'], 'w').write(open('/proc/self/status').read())\n"
    "atexit.register(_last)\n"
)
"""With it a process writes what the system says of it when it ends."""


def timed(work: Callable[[], Any], repeats: int, *, warm: bool = True) -> Timing:
    """Time some runs, after one that is not counted."""
    if warm:
        work()
    rows = []
    for _ in range(repeats):
        clock, cpu = time.perf_counter(), time.process_time()
        work()
        rows.append((time.perf_counter() - clock, time.process_time() - cpu))
    clocks, cpus = zip(*rows, strict=True)
    return Timing(statistics.median(clocks), max(clocks) - min(clocks), statistics.median(cpus))


def paired(before: Callable[[], Any], after: Callable[[], Any], repeats: int) -> tuple[float, float, float]:
    """Processor seconds of two ways by turns, so that a busy machine slows both alike: medians, and their ratio."""
    before(), after()
    rows = [(timed(before, 1, warm=False).cpu, timed(after, 1, warm=False).cpu) for _ in range(repeats)]
    a, b = (statistics.median(column) for column in zip(*rows, strict=True))
    return a, b, a / max(b, 1e-9)


ONE_CORE = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"


def python(code: str, *arguments: str) -> Ran:
    """Run Python code in another process. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as folder:
        status = Path(folder) / "status"
        line = [sys.executable, "-c", LAST_WORDS + code, *arguments]
        environment = os.environ | {"RETOUCHGPT_BENCH_STATUS": str(status)}
        start = time.perf_counter()
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
        assert process.stderr is not None
        with process.stderr as stream:
            errors = stream.read()
        _, ended, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(ended)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, line, stderr=errors)
        said = dict(row.split(":", 1) for row in status.read_text().splitlines()) if status.exists() else {}
    # what the system says of a child counts the parent's memory that it began with
    peak = int(said["VmHWM"].split()[0]) * 1024 / 1e9 if "VmHWM" in said else usage.ru_maxrss * 1024 / 1e9
    return Ran(seconds, usage.ru_utime + usage.ru_stime, peak)


def command(*arguments: str, one_core: bool = False) -> Ran:
    """Run the command line in another process, on any core or on one alone (Linux only)."""
    code = "import sys; from retouchgpt.apps.cli import main; sys.exit(main(sys.argv[1:]))"
    return python((ONE_CORE if one_core else "") + code, *arguments)


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """p of the best fit costs = c sizes^p, by least squares of logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def peak_gflops(dtype: str) -> float:
    """The most that matrix products of this type reach here, in 10^9 operations a second: of a few runs the best."""
    import torch

    size = 1024
    a, b = (torch.randn(size, size).to(getattr(torch, dtype)) for _ in range(2))
    best = math.inf
    for _ in range(8):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9
