"""Hand-drawn parts: their masks, the counting, and that not even a network that edits everything reaches into them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retouchgpt.core.errors import BadData
from retouchgpt.core.geometry import Extent
from retouchgpt.evaluation.portraits import retouched
from retouchgpt.evaluation.protected import HAIRS, PARTS, POLYGONS, Row, against, part_masks, read_shapes, table
from retouchgpt.language.understanding import Understanding
from retouchgpt.model.checkpoint import shipped
from retouchgpt.session import RetouchGPT
from tests.fakes import Writer
from tests.planted import planted_network

ROOT = Path(__file__).parents[2]
SQUARE = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]


def test_forty_faces_are_drawn_inside_their_crops() -> None:
    faces = read_shapes(ROOT / POLYGONS)
    assert len(faces) == 40
    for shapes in faces.values():
        assert {"eyes", "brows", "lips"} <= set(shapes)
        for own in shapes.values():
            points = np.array([p for s in own for p in (s["line"] if isinstance(s, dict) else s)])
            assert points.min() >= 0
            assert points.max() <= 1
    assert sum("beard" in s for s in faces.values()) >= 8
    assert sum("glasses" in s for s in faces.values()) >= 8


def test_a_polygon_covers_its_pixels_and_a_stroke_its_width() -> None:
    masks = part_masks({"lips": [SQUARE], "glasses": [{"line": [[0.1, 0.5], [0.9, 0.5]], "width": 0.05}]}, 100)
    ys, xs = np.nonzero(masks["lips"])
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == pytest.approx((25, 75, 25, 75), abs=1)
    assert masks["lips"].sum() == pytest.approx(2500, rel=0.05)
    assert masks["glasses"][:, 50].sum() == pytest.approx(5, abs=1)


def test_edits_count_inside_parts_and_stray_hairs_may_lie_in_hair_alone() -> None:
    changed = np.zeros((10, 10), bool)
    changed[2, 3:6] = True
    masks = {"hair": np.ones((10, 10), bool), "beard": np.zeros((10, 10), bool), "brows": changed.copy()}
    assert against(changed, masks, "everything") == {"hair": 3, "beard": 0, "brows": 3}
    assert against(changed, masks, HAIRS) == {"hair": 0, "beard": 0, "brows": 3}


def test_the_table_sums_over_instructions_and_names_the_worst() -> None:
    rows = [Row("a", "acne", "hair", 50, 2), Row("a", "moles", "hair", 50, 5), Row("b", "moles", "hair", 30, 0)]
    rows.append(Row("a", "acne", "eyes", 9, 0))
    told = table(rows).splitlines()
    assert told[2] == "| eyes | 1 | 9 | 0 | 0 | - | - |"
    assert told[3] == "| hair | 2 | 80 | 7 | 1 | moles 5 | a 7 |"


@pytest.mark.parametrize("text", ["{", '{"faces": {"a": {"ears": []}}}', '{"other": 1}'])
def test_unusable_drawings_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(BadData):
        read_shapes(path)


def test_a_network_that_edits_all_skin_stays_out_of_the_astronauts_parts(portrait: Any) -> None:
    shapes = json.loads((ROOT / POLYGONS).read_text())["astronaut"]
    masks = part_masks(shapes, portrait.shape[0])
    assert set(masks) < set(PARTS)
    engine = RetouchGPT(planted_network(), Understanding.load(shipped()), Writer())
    done = retouched(engine, engine.open(portrait), "Remove everything.")
    assert done.changed.sum() > 0.3 * done.editable.sum() > 1000
    assert against(done.changed, masks, "everything") == dict.fromkeys(masks, 0)
    assert not done.changed[~done.editable].any()
    assert Extent(*done.editable.shape[::-1]) == Extent(512, 512)
