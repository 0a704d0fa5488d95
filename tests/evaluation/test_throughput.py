"""The cost of a photo: pictures of the asked size, and a fit that finds what it was made from."""

from __future__ import annotations

from typing import Any

import pytest

from retouchgpt.evaluation.throughput import Cost, fit, picture, table


@pytest.mark.parametrize(("faces", "megapixels"), [(1, 0.1), (2, 0.3), (8, 0.5)])
def test_pictures_have_their_size_and_faces_side_by_side(faces: int, megapixels: float, portrait: Any) -> None:
    made = picture(portrait, faces, megapixels)
    assert made.shape[0] * made.shape[1] / 1e6 == pytest.approx(megapixels, rel=0.02)
    assert made.shape[1] / made.shape[0] == pytest.approx(faces if faces < 3 else faces / 4, rel=0.02)


def test_the_fit_finds_the_cost_of_a_face_and_of_a_megapixel() -> None:
    costs = [Cost(f, m, 0.0, 0.5 + 0.7 * f, 0.0, 0.1 * m, True) for f, m in ((1, 1.0), (1, 12.0), (4, 3.0), (8, 12.0))]
    found = fit(costs)
    assert [found[k] for k in ("fixed", "face", "megapixel")] == pytest.approx([0.5, 0.7, 0.1])
    assert found["largest_relative_error"] == pytest.approx(0, abs=1e-9)
    rows = [c._asdict() | {"total": c.total, "photos_a_core_hour": 3600 / c.total} for c in costs]
    assert "| 8 | 12.0 |" in table({"photos": rows, "fit": found})
