"""How many cores a process may use."""

from __future__ import annotations

import subprocess
import sys

import pytest

from retouchgpt.core.cores import usable_cores

SAID = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n" if sys.platform == "linux" else ""


def test_a_process_may_use_at_least_one_core() -> None:
    assert usable_cores() >= 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux binds a process to a core")
def test_a_process_bound_to_one_core_counts_one() -> None:
    code = SAID + "from retouchgpt.core.cores import usable_cores; print(usable_cores())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"
