"""Damaged files of every format are refused by one of our errors, in one line, or read; nothing else happens."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from retouchgpt.evaluation import fuzz


@pytest.mark.parametrize("name", fuzz.SOURCES)
def test_damaged_files_are_refused_or_read(name: str, tmp_path: Path) -> None:
    place = tuple(fuzz.SOURCES).index(name)
    outcomes = [fuzz.play(place + i * len(fuzz.SOURCES), 1, tmp_path) for i in range(30)]
    assert set(outcomes) <= {"refused", "read"}
    assert "refused" in outcomes, "the damage is real"


def test_whole_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "damaged", lambda whole, rng: whole)
    assert [fuzz.play(i, 0, tmp_path) for i in range(len(fuzz.SOURCES))] == ["read"] * len(fuzz.SOURCES)


def misbehaving(number: int, seed: int, folder: Path) -> str:
    if number == 2:
        os.abort()
    if number == 4:
        raise KeyError("field")
    return "read"


def test_the_memory_of_the_process_that_started_it_does_not_count() -> None:
    held = np.ones(fuzz.MEMORY + (64 << 20), np.uint8)  # more than an image may take
    tally = fuzz.run(range(2), player=misbehaving)
    assert tally.counts == {"read": 2}, tally.faults
    assert tally.peak_mb < held.nbytes / 2**20


def test_a_crash_and_an_error_are_told_and_the_rest_goes_on() -> None:
    tally = fuzz.run(range(6), player=misbehaving)
    assert tally.counts == {"read": 4}
    assert [n for n, _ in tally.faults] == [2, 4]
    assert "crash" in tally.faults[0][1]
    assert "KeyError" in tally.faults[1][1]
    assert "2 faults" in tally.line()
