"""Dialogues derived from a pair's difference: places by hand, kinds by the shipped classifier, never at random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from retouchgpt.core.errors import WeightsMismatch, WeightsMissing
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.data.differences import (
    FEATURES,
    Component,
    DifferenceClassifier,
    components,
    dialogue_of,
    edits_of,
)
from retouchgpt.data.painter import PainterConfig, paint_kind
from retouchgpt.language.checking import check
from retouchgpt.training.differences import fit, labelled, recalls

STILL = PainterConfig(nothing=0.0, blur=(0.0, 0.0), noise=(0.0, 0.0), raw=1.0)


@pytest.fixture(scope="module")
def classifier() -> DifferenceClassifier:
    return DifferenceClassifier.load()


def test_components_by_hand(face: Any) -> None:
    after, landmarks = face
    before = after.copy()
    nose = landmarks[4].round().astype(int)
    for x, y, size, change in ((*nose, 6, -30), (100, 60, 20, 25)):
        patch = before[y : y + size, x : x + size].astype(int) + change
        before[y : y + size, x : x + size] = patch.clip(0, 255)
    found, labels = components(before, after, landmarks)
    assert len(found) == 2
    big, small = found
    assert abs(big.centre[0] - 109.5) < 1
    assert abs(big.centre[1] - 69.5) < 1
    assert 400 <= big.area < 560
    assert (big.cell, small.region) == ("top_left", "nose")
    assert labels[70, 110] == big.label
    assert all(c.features.shape == (FEATURES,) and np.isfinite(c.features).all() for c in found)
    assert big.features[0] > 0 > small.features[0], "lighter, and darker, than what it became"
    assert components(after, after, landmarks)[0] == []


def test_the_shipped_classifier_knows_what_was_painted(face: Any, classifier: DifferenceClassifier) -> None:
    right = total = 0
    for kind in ("moles", "freckles", "stray_hairs", "forehead_wrinkles", "redness", "dark_circles"):
        painted = paint_kind(*face, kind, seed=4, config=STILL)
        found, _ = components(painted.image, painted.clean, painted.landmarks)
        areas = dict.fromkeys(IMPERFECTIONS, 0)
        for component, said in zip(found, classifier.kinds(found), strict=True):
            if said is not None:
                areas[said] += component.area
        right += max(areas, key=lambda k: areas[k]) == kind
        total += 1
    assert right >= total - 1


def test_a_dialogue_asks_for_what_was_retouched(face: Any, classifier: DifferenceClassifier) -> None:
    painted = paint_kind(*face, "moles", seed=4, config=STILL)
    requests = questions = 0
    for seed in range(12):
        turn = dialogue_of(painted.image, painted.clean, painted.landmarks, classifier, np.random.default_rng(seed))
        assert not check(turn.answer, turn.facts), turn
        if turn.facts.intent == "inspect":
            questions += 1
            assert "moles" in {f.imperfection for f in turn.facts.found}
        elif len(turn.facts.edited) <= 4:
            requests += 1
            assert turn.facts.edited[0].imperfection == "moles", "the largest kind comes first"
    assert questions
    assert requests
    first, again = (
        dialogue_of(painted.image, painted.clean, painted.landmarks, classifier, np.random.default_rng(3)) for _ in "ab"
    )
    assert first == again


def test_nothing_retouched_is_answered_with_no(face: Any, classifier: DifferenceClassifier) -> None:
    turn = dialogue_of(face[0], face[0], face[1], classifier, np.random.default_rng(0))
    assert turn.facts.intent == "inspect"
    assert turn.facts.found == ()
    assert not check(turn.answer, turn.facts)


def test_many_kinds_and_places_are_asked_for_as_everything(face: Any, classifier: DifferenceClassifier) -> None:
    painted = paint_kind(*face, "freckles", seed=4, config=STILL)
    rng = np.random.default_rng(1)
    turn = dialogue_of(painted.image, painted.clean, painted.landmarks, classifier, rng, most=0)
    while turn.facts.intent != "retouch":
        turn = dialogue_of(painted.image, painted.clean, painted.landmarks, classifier, rng, most=0)
    assert [o.imperfection for o in turn.facts.edited] == list(IMPERFECTIONS)
    assert {o.region for o in turn.facts.edited} == {"face"}
    assert not check(turn.answer, turn.facts)


def part(region: str, cell: str, area: int) -> Component:
    return Component((0.0, 0.0), area, region, cell, np.zeros(FEATURES, np.float32), 1)


def test_groups_by_kind_and_place() -> None:
    found = [
        part("nose", "center", 5),
        part("chin", "bottom", 90),
        part("nose", "center", 7),
        part("nose", "center", 1),
    ]
    kinds = ["acne", "redness", "acne", None]
    assert {k: len(v) for k, v in edits_of(found, kinds, grid=False).items()} == {
        ("redness", "chin"): 1,
        ("acne", "nose"): 2,
    }
    assert list(edits_of(found, kinds, grid=True)) == [("redness", "bottom"), ("acne", "center")]


def test_classifier_learns_labels_and_its_file_is_strict(face: Any, tmp_path: Path) -> None:
    rng, rows = np.random.default_rng(0), []
    for kind in ("moles", "redness"):
        for seed in (1, 2):
            rows += labelled(paint_kind(*face, kind, seed=seed, config=STILL), rng)
    features, kinds = torch.from_numpy(np.stack([f for f, _ in rows])), torch.tensor([k for _, k in rows])
    assert set(kinds.tolist()) == {IMPERFECTIONS.index("moles"), IMPERFECTIONS.index("redness")}
    model = fit(features, kinds, steps=60)
    assert min(recalls(model, features, kinds).values()) > 0.8
    model.save(tmp_path / "d.safetensors", {"note": "test"})
    again = DifferenceClassifier.load(tmp_path / "d.safetensors")
    assert torch.equal(again(features), model(features))
    assert again.kinds([]) == []
    with pytest.raises(WeightsMissing):
        DifferenceClassifier.load(tmp_path / "none")
    (tmp_path / "bad").write_bytes(b"bad")
    with pytest.raises(WeightsMismatch):
        DifferenceClassifier.load(tmp_path / "bad")
