"""The painter's sheets and speed, on the public-domain portrait."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retouchgpt.data.showcase import CELL, COLUMNS, samples_of, sheet, speed


def test_a_sheet_shows_clean_skin_then_paintings(face: Any) -> None:
    row = sheet(*face, "moles")
    assert row.shape == (CELL, CELL * COLUMNS, 3)
    cells = np.split(row.astype(int), COLUMNS, 1)
    for painted in cells[1:]:
        assert np.abs(painted - cells[0]).max() > 20
    assert not np.array_equal(cells[1], cells[2])
    assert np.array_equal(sheet(*face, "moles"), row)


def test_speed_counts_coding_as_well(face: Any) -> None:
    measured = speed([face])
    assert 0 < measured.cached < measured.painted


def test_speed_paints_what_training_would(faces_folder: Path) -> None:
    crops = samples_of(faces_folder, 2)
    assert [image.shape for image, _ in crops] == [(512, 512, 3)] * 2
    with pytest.raises(ValueError, match="at least one"):
        speed([])
