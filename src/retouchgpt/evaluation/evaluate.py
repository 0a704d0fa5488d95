"""`retouchgpt evaluate`: every measure with its interval, by kind, skin tone, age and size, as Markdown and HTML.

Pictures, masks and answers are judged on painted validation faces, as in the bench; the row *input untouched* is
always there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from retouchgpt.core.errors import BadData, MissingExtra
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.data.native import by_kind
from retouchgpt.session.engine import RetouchGPT

from .answering import judge_answers, judge_tokens
from .cases import Case, Method, Painted, cases, painted_faces
from .groups import age_band, verdicts
from .masks import TRUE, counts, soft_overlap
from .methods import OURS, UNTOUCHED, Ours, at_heat, request, rows
from .metrics import Image, damage, error, fixed_pixels, locality, psnr, texture
from .recipe import EvaluationRecipe
from .sheets import strip
from .similarity import Distance, delta_e, lpips, ms_ssim, ssim
from .tally import Key, Tally

LARGEST_DB = 100.0


@dataclass
class Evaluation:
    """What was measured. notes: what a reader must know (what could not be measured, and why)."""

    recipe: EvaluationRecipe
    tally: Tally
    faces: int = 0
    requests: int = 0
    sheets: dict[str, list[Image]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)


def evaluate(
    folder: Path,
    recipe: EvaluationRecipe,
    engine: RetouchGPT | None,
    *,
    methods: Mapping[str, Method] | None = None,
    progress: bool = True,
) -> Evaluation:
    """Measure all of a recipe on a folder of aligned faces.

    engine: the model; None measures the given methods alone. methods: instead of the recipe's.
    Raises BadData on unusable faces or an unknown method, MissingExtra where LPIPS is asked for and cannot be had.
    """
    chosen = dict(methods) if methods is not None else chosen_methods(recipe, engine)
    result = Evaluation(recipe, Tally(recipe.draws), versions={} if engine is None else dict(engine.versions))
    distance = _lpips(recipe, result)
    faces = painted_faces(folder, limit=recipe.limit or None, paintings=recipe.paintings)
    ours = next((m for name, m in chosen.items() if name == OURS and isinstance(m, Ours)), None)
    known_age = False
    for face in tqdm(faces, unit="face", disable=not progress, desc="evaluate"):
        result.faces += 1
        known_age |= face.age is not None
        own = list(cases(face))
        for case in own:
            result.requests += 1
            for name, method in chosen.items():
                _measure(result, case, name, method, distance)
        if ours is not None and own:
            judge_masks(result.tally, ours, own[0])
            if engine is not None and recipe.answers:
                judge_answers(result.tally, engine, ours, own, recipe.absent)
    if not result.requests:
        raise BadData(f"{folder}: nothing visible was painted on its faces")
    if engine is not None and recipe.tokens:
        judge_tokens(result.tally, engine, recipe.tokens)
    if not known_age:
        result.notes.append("no age is told in the folder's index.json (a field `age` a face), so no table by age")
    return result


def chosen_methods(recipe: EvaluationRecipe, engine: RetouchGPT | None) -> dict[str, Method]:
    """The recipe's methods, *input untouched* first. Raises BadData on an unknown one."""
    every = rows(None) if engine is None else rows(engine.network, lambda plan: engine.dialogue(request(plan)))
    unknown = [m for m in recipe.methods if m not in every]
    if unknown:
        raise BadData(f"no method {unknown[0]!r}; one of: {'; '.join(every)}.")
    return {name: every[name] for name in dict.fromkeys((UNTOUCHED, *recipe.methods))}


def _lpips(recipe: EvaluationRecipe, result: Evaluation) -> Distance | None:
    if not recipe.lpips:
        return None
    try:
        return lpips("alex" if recipe.lpips == "auto" else recipe.lpips)
    except (MissingExtra, BadData) as error:
        if recipe.lpips != "auto":
            raise
        result.notes.append(f"LPIPS was not measured: {error}")
        return None


def _measure(result: Evaluation, case: Case, name: str, method: Method, distance: Distance | None) -> None:
    """All measures of one method on one case, under every key that it counts for."""
    out, mask = method(case)
    tally, face = result.tally, case.face
    keys = [("all", name), ("kind", case.kind, name), ("tone", face.tone, name)]
    if (band := age_band(face.age)) is not None:
        keys.append(("age", band, name))
    for measure, value, weight in measures(case, out, distance):
        tally.add(face.face_id, keys, measure, value, weight)
        for key in keys[2:]:  # an average over kinds needs each kind's own sums
            tally.add(face.face_id, [(*key, case.kind)], measure, value, weight)
    for verdict in verdicts(case, out):
        side = "gone" if verdict.asked else "stayed"
        more: list[Key] = [("size", verdict.size, name)]
        tally.add(face.face_id, keys + more, side, float(verdict.right))
    if name == OURS and len(result.sheets.setdefault(case.kind, [])) < result.recipe.sheets:
        result.sheets[case.kind].append(strip(case, out, mask))


def measures(case: Case, out: Image, distance: Distance | None) -> list[tuple[str, float | None, float]]:
    """(measure, numerator, denominator) of one picture."""
    asked = case.asked
    before, pixels = error(case.image, case.target, asked), float(asked.sum())
    same = np.array_equal(out, case.target)
    values: list[tuple[str, float | None, float]] = [
        ("psnr", min(psnr(out, case.target), LARGEST_DB), 1.0),
        ("ssim", 1.0 if same else ssim(out, case.target), 1.0),
        ("ms_ssim", 1.0 if same else ms_ssim(out, case.target), 1.0),
        ("delta_e", delta_e(out, case.target, asked), pixels),
        ("texture", texture(out, case.target, asked), 1.0),
        ("removal", before - error(out, case.target, asked), before),
        ("fix", float(fixed_pixels(case.image, out, case.target, asked)), pixels),
        ("damage", damage(case.image, out, asked), 1.0),
        ("locality", locality(case.image, out, asked), 1.0),
    ]
    if distance is not None:
        values.append(("lpips", distance(out, case.target), 1.0))
    return values


def judge_masks(tally: Tally, ours: Ours, case: Case) -> None:
    """Heat maps of all kinds against what was painted, where the face has no candidate of its own."""
    face: Painted = case.face
    seen = ours.seen(case)
    skin = cv2.resize(seen.allowed, seen.heat.shape[:1:-1], interpolation=cv2.INTER_AREA) > TRUE
    painted = {m.kind for m in face.painted.marks}
    for k, kind in enumerate(IMPERFECTIONS):
        truth = np.zeros(seen.heat.shape[2:], np.float32)
        if kind in painted:
            truth = at_heat(face.painted.alpha(lambda m, kind=kind: m.kind == kind), seen)  # type: ignore[misc]
        native = at_heat(by_kind(face.painted.ignore, kind).astype(np.float32), seen) > TRUE
        where = skin & ~(native & (truth < 0.05))
        heat = seen.heat[0, k].float().numpy()
        for name, values in ((OURS, heat), (UNTOUCHED, np.zeros_like(heat))):
            key = ("mask", kind, name)
            if kind in painted:
                tally.add(face.face_id, [key], "iou", *soft_overlap(values[where], truth[where]))
            tally.add_counts(face.face_id, key, "precision", counts(values[where], truth[where]))


def summary(result: Evaluation) -> dict[str, Any]:
    """All figures as JSON: key, measure, value, interval, count."""
    tally, rows_ = result.tally, []
    for key in tally.under():
        for measure in (*MEASURES, "gone", "stayed", "iou", "precision", *ANSWERS):
            cell = tally.precision(key, measure) if measure == "precision" else tally.cell(key, measure)
            if cell.values:
                low, high = (None if np.isnan(v) else round(v, 6) for v in (cell.low, cell.high))
                rows_.append({"key": list(key), "measure": measure, "value": round(cell.value, 6), "low": low,
                              "high": high, "values": cell.values})  # fmt: skip
    return {
        "recipe": result.recipe.to_json(),
        "versions": result.versions,
        "faces": result.faces,
        "requests": result.requests,
        "notes": result.notes,
        "figures": rows_,
    }


MEASURES = (
    "psnr", "ssim", "ms_ssim", "lpips", "delta_e", "texture", "removal", "fix", "damage", "locality",
)  # fmt: skip
ANSWERS = ("understood", "truthful", "present", "absent", "tokens")
