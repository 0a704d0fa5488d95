"""What is chosen on training faces before weights ship: shifts of the heat, and how surely each kind is repaired."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.evaluation import calibrate
from retouchgpt.evaluation.cases import Case, cases, painted_faces
from retouchgpt.evaluation.methods import Ours
from tests.fakes import acne_network


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> Ours:
    monkeypatch.setattr(calibrate, "speech", lambda network: None)
    return Ours(acne_network())


@pytest.fixture(scope="module")
def case(faces_folder: Path) -> Case:
    return next(cases(next(painted_faces(faces_folder, paintings=1))))


def test_the_pair_of_least_error_is_chosen_and_set_for_each_kind_that_was_painted(
    ours: Ours, faces_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted = {c.kind for face in painted_faces(faces_folder, paintings=1, offset=2_000_000) for c in cases(face)}
    first = min(painted)

    def errors(ours: Ours, case: Case, seen: Any, shift: float, assurance: float) -> tuple[float, float]:
        best = (0.5, 2.0) if case.kind == first else (-1.0, 1.0)
        return abs(shift - best[0]) + abs(assurance - best[1]), 3.0 * (assurance > 1.5) * (case.kind != first)

    monkeypatch.setattr(calibrate, "errors_left", errors)
    before = ours.network.get_parameter("imperfection.head.bias").clone()
    chosen = calibrate.calibrate(ours.network, faces_folder, limit=3, progress=False)
    calibrate.apply(ours.network, chosen)
    moved = ours.network.get_parameter("imperfection.head.bias") - before
    wanted = {k: ((0.5, 2.0) if k == first else (-1.0, 1.0)) if k in painted else (0.0, 1.0) for k in IMPERFECTIONS}
    assert torch.allclose(moved, torch.tensor([wanted[k][0] for k in IMPERFECTIONS]))
    assert ours.network.config.assurance == tuple(wanted[k][1] for k in IMPERFECTIONS)


@pytest.mark.parametrize(("lost", "chosen"), [(6.0, max), (10.0, min)])
def test_what_changes_elsewhere_counts_by_half(
    ours: Ours, faces_folder: Path, monkeypatch: pytest.MonkeyPatch, lost: float, chosen: Any
) -> None:
    def errors(ours: Ours, case: Case, seen: Any, shift: float, assurance: float) -> tuple[float, float]:
        return 10 - 4 * shift, 10 + lost * shift

    monkeypatch.setattr(calibrate, "errors_left", errors)
    found = calibrate.calibrate(ours.network, faces_folder, limit=1, progress=False)
    assert set(found.shifts.values()) == {0.0, chosen(calibrate.SHIFTS)}


def test_of_even_pairs_the_one_that_leaves_least_of_what_was_asked_is_taken() -> None:
    asked, elsewhere = np.array([90.0, 80.0, 60.0, 50.0]), np.array([0.0, 20.0, 61.5, 100.0])
    assert calibrate.best_pair(asked, elsewhere) == 2, "90, 90, 90.75 and 100 in all"


def test_an_untouched_photo_leaves_all_of_what_was_asked(
    ours: Ours, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "repair", lambda *given: None)
    asked, elsewhere = calibrate.errors_left(ours, case, ours.seen(case))
    assert asked == abs(case.image.astype(float) - case.target.astype(float)).sum(2)[case.asked].sum() > 0
    assert elsewhere < 0.05 * asked, "paint too faint to count as asked"


def test_shift_and_assurance_act_on_the_asked_kind(ours: Ours, case: Case) -> None:
    looked = ours.seen(case)
    seen = replace(looked, heat=torch.full_like(looked.heat, 0.4))
    alone = seen.heat.clone()
    alone[:, IMPERFECTIONS.index(case.kind)] = 0
    plain = calibrate.errors_left(ours, case, seen)
    assert calibrate.errors_left(ours, case, seen, shift=1.0) != plain
    assert calibrate.errors_left(ours, case, seen, assurance=2.0) != plain
    untouched = calibrate.errors_left(ours, case, replace(seen, heat=alone), 1.0, 2.0)
    assert untouched == calibrate.errors_left(ours, case, replace(seen, heat=alone)), "no heat, no edit"
