"""The quality benchmark: imperfections painted on validation faces, by kind and skin tone, against known methods.

python -m retouchgpt.evaluation.benchmark FACES [--weights DIR] [--limit N] [--out DIR] [--plain RUN | --native]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from retouchgpt.core.errors import BadData
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.model.checkpoint import LLM, shipped
from retouchgpt.model.network import RetouchNetwork

from .cases import PORTRAIT, Case, Method, cases, painted_faces
from .methods import EDITABLE, OURS, OURS_PAINTED, false_edits, in_photo, rows, speech
from .metrics import Image, bootstrap, colour_shift, error, kept, levels, psnr, texture
from .sheets import strip

SHEET_ROWS = 5


@dataclass(frozen=True)
class Score:
    """One method on one case. before, after: summed error inside the asked mask. leak: mean change in levels outside
    the method's own mask. area: its mask over the true one. gain: dB. texture, kept: None where they do not apply.
    colour, lighter: of the skin where nothing was asked, delta E 2000 between its mean colours and change in L*."""

    kind: str
    tone: str
    before: float
    after: float
    kept: float | None
    leak: float
    area: float
    gain: float
    texture: float | None
    colour: float
    lighter: float


@dataclass
class BenchResult:
    """Scores of every method, and the false edits of ours (median share of skin changed by "remove the acne").

    native: of portraits in photos of 24 MP instead of 512 px crops.
    """

    scores: dict[str, list[Score]]
    false_acne: float | None = None
    faces: int = 0
    native: bool = False
    sheets: dict[str, list[Image]] = field(default_factory=dict)

    def table(self) -> str:
        """Markdown: all methods over all kinds, then ours by kind and by skin tone."""
        where = f", each a portrait of {PORTRAIT} px in a photo of 24 MP" if self.native else ""
        lines = [f"{self.faces} painted faces{where}, {len(next(iter(self.scores.values())))} requests.", ""]
        lines += [
            "| method | removal | 95 % | kept | leak | mask area | gain, dB | texture | colour |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        lines += [_row(name, s) for name, s in self.scores.items()]
        if OURS in self.scores:
            lines += ["", "| kind | n | " + " | ".join(self.scores) + " |", "|---|---|" + "---|" * len(self.scores)]
            for kind in IMPERFECTIONS:
                own = {n: [x for x in s if x.kind == kind] for n, s in self.scores.items()}
                if own[OURS]:
                    lines.append(
                        f"| {kind} | {len(own[OURS])} | " + " | ".join(f"{pooled(s):.2f}" for s in own.values()) + " |"
                    )
            lines += [
                "",
                f"{OURS}, by kind:",
                "",
                "| kind | kept | mask area | gain, dB | texture | colour |",
                "|---|---|---|---|---|---|",
            ]
            for kind in IMPERFECTIONS:
                own_scores = [x for x in self.scores[OURS] if x.kind == kind]
                if own_scores:
                    m = summary(own_scores)
                    lines.append(
                        f"| {kind} | {m['kept']:.3f} | {m['area']:.2f} | {m['gain']:.2f} | {m['texture']:.2f} "
                        f"| {m['colour']:.3f} |"
                    )
            shown = [name for name in (EDITABLE, OURS_PAINTED, OURS) if name in self.scores]
            lines += ["", "| skin tone (ITA) | n | " + " | ".join(shown) + " |", "|---|---|" + "---|" * len(shown)]
            for tone in dict.fromkeys(s.tone for s in self.scores[OURS]):
                groups = [[s for s in self.scores[name] if s.tone == tone] for name in shown]
                told = " | ".join(f"{over_kinds(group):.2f}" for group in groups)
                lines.append(f"| {tone} | {len(groups[-1])} | {told} |")
            lighter = [x.lighter for x in self.scores[OURS]] or [0.0]
            lines += [
                "",
                f"Skin where nothing was asked becomes lighter by {np.mean(lighter):+.3f} L* on average, "
                f"by {max(lighter):+.3f} at most.",
            ]
        if self.false_acne is not None:
            lines += [
                "",
                f'Unpainted faces, "remove the acne": the median face changes on {self.false_acne:.2%} of its skin.',
            ]
        return "\n".join(lines) + "\n"

    def to_json(self) -> dict[str, Any]:
        return {
            "faces": self.faces,
            "native": self.native,
            "false_acne": self.false_acne,
            "methods": {name: summary(s) for name, s in self.scores.items()},
            "kinds": {
                name: {k: pooled([x for x in s if x.kind == k]) for k in IMPERFECTIONS if any(x.kind == k for x in s)}
                for name, s in self.scores.items()
            },
            "scores": {name: [asdict(x) for x in s] for name, s in self.scores.items()},
        }


def pooled(scores: Sequence[Score]) -> float:
    """Removal of one kind: 1 - summed error after / before; nan without cases."""
    before = sum(s.before for s in scores)
    return 1 - sum(s.after for s in scores) / before if before else float("nan")


def over_kinds(scores: Sequence[Score]) -> float:
    """Removal over all kinds: the mean of each kind's, so that large areas do not drown small marks."""
    kinds = {s.kind for s in scores}
    return float(np.mean([pooled([s for s in scores if s.kind == k]) for k in kinds])) if kinds else float("nan")


def summary(scores: Sequence[Score]) -> dict[str, float]:
    """All columns over some scores."""

    def median(values: list[float | None]) -> float:
        known = [v for v in values if v is not None]
        return float(np.median(known)) if known else float("nan")

    kept_values = [s.kept for s in scores if s.kept is not None]
    return {
        "removal": over_kinds(scores),
        "kept": float(np.mean(kept_values)) if kept_values else float("nan"),
        "leak": float(np.mean([s.leak for s in scores])),
        "area": median([s.area for s in scores]),
        "gain": float(np.mean([s.gain for s in scores])),
        "texture": median([s.texture for s in scores]),
        "colour": float(np.mean([s.colour for s in scores])),
    }


def _row(name: str, scores: Sequence[Score]) -> str:
    m = summary(scores)
    low, high = bootstrap(scores, over_kinds, draws=200)
    return (
        f"| {name} | {m['removal']:.3f} | {low:.2f} to {high:.2f} | {m['kept']:.3f} | {m['leak']:.3f} "
        f"| {m['area']:.2f} | {m['gain']:+.2f} | {m['texture']:.2f} | {m['colour']:.3f} |"
    )


def score(case: Case, method: Method) -> tuple[Score, Image, Any]:
    """One method on one case, with its picture and mask."""
    out, mask = method(case)
    outside = np.asarray(mask) == 0
    colour, lighter = colour_shift(case.image, out, case.face.skin & ~case.asked)
    return (
        Score(
            kind=case.kind,
            tone=case.face.tone,
            before=error(case.image, case.target, case.asked),
            after=error(out, case.target, case.asked),
            kept=kept(case.image, out, case.unasked, case.there),
            leak=float(levels(out, case.image)[outside].mean()) if outside.any() else 0.0,
            area=float((~outside).sum() / max(case.asked.sum(), 1)),
            gain=psnr(out, case.target) - psnr(case.image, case.target),
            texture=texture(out, case.target, case.asked),
            colour=colour,
            lighter=lighter,
        ),
        out,
        mask,
    )


def run(
    folder: Path,
    weights: str | Path | None = None,
    *,
    limit: int | None = None,
    out: Path | None = None,
    methods: Mapping[str, Method] | None = None,
    network: RetouchNetwork | None = None,
    plain: Path | None = None,
    native: bool = False,
    progress: bool = True,
) -> BenchResult:
    """Score all methods on the painted faces of a folder (the `val` split's, never seen in training).

    plain: run of training.plain, for a row of its own. native: the faces of the folder that are large enough, painted
    at 768 px and pasted into photos of 24 MP, for the untouched photo and ours only. Writes table.md, result.json and a
    sheet a kind into `out` where it is given. Raises BadData on unusable faces, or native and plain together.
    """
    if native and plain is not None:
        raise BadData("--native judges ours and the untouched photo only; leave out --plain.")
    if methods is None:
        network = RetouchNetwork.from_pretrained(weights) if network is None else network
        own = Path(weights) if weights else shipped()
        speak = speech(network, own) if (own / LLM).is_dir() else None
        methods = in_photo(network, speak) if native else rows(network, speak, plain)
    result = BenchResult({name: [] for name in methods}, native=native)
    false: list[float] = []
    faces = painted_faces(folder, limit=limit, side=PORTRAIT) if native else painted_faces(folder, limit=limit)
    last = ""
    for face in tqdm(faces, unit="face", disable=not progress, desc="bench"):
        result.faces += 1
        if network is not None and face.face_id != last:
            canvas = face.painted.canvas
            false.append(false_edits(network, canvas.image, canvas.landmarks, face.skin, "acne"))
            last = face.face_id
        for case in cases(face):
            for name, method in methods.items():
                value, picture, mask = score(case, method)
                result.scores[name].append(value)
                if name == OURS and len(result.sheets.setdefault(case.kind, [])) < SHEET_ROWS:
                    result.sheets[case.kind].append(strip(case, picture, mask))
    result.false_acne = float(np.median(false)) if false else None
    if out is not None:
        write(result, out)
    return result


def write(result: BenchResult, out: Path) -> None:
    """table.md, result.json and sheet_KIND.jpg."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.md").write_text(result.table())
    (out / "result.json").write_text(json.dumps(result.to_json(), indent=1) + "\n")
    for kind, strips in result.sheets.items():
        cv2.imwrite(str(out / f"sheet_{kind}.jpg"), np.vstack(strips)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.evaluation.benchmark", description=__doc__)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--weights")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plain", type=Path, help="run of training.plain, the plain U-Net, for a row of its own")
    parser.add_argument("--native", action="store_true", help="portraits of 768 px in photos of 24 MP")
    options = parser.parse_args(arguments)
    result = run(
        options.faces, options.weights, limit=options.limit, out=options.out, plain=options.plain, native=options.native
    )
    print(result.table())


if __name__ == "__main__":
    main()
