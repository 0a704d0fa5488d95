"""The painter's sheets and speed, on the public-domain portrait."""

from __future__ import annotations

from typing import Any

import numpy as np

from retouchgpt.data.showcase import CELL, COLUMNS, sheet, speed


def test_a_sheet_shows_clean_skin_then_paintings(face: Any) -> None:
    row = sheet(*face, "moles")
    assert row.shape == (CELL, CELL * COLUMNS, 3)
    cells = np.split(row.astype(int), COLUMNS, 1)
    for painted in cells[1:]:
        assert np.abs(painted - cells[0]).max() > 20
    assert not np.array_equal(cells[1], cells[2])
    assert np.array_equal(sheet(*face, "moles"), row)


def test_speed_counts_coding_as_well(face: Any) -> None:
    measured = speed(*face, samples=1)
    assert 0 < measured.cached < measured.painted
