"""From a training run to weights that ship: fp16, hashed, judged, with recipe, log, data listing and model card.

    python -m retouchgpt.evaluation.release RUN FACES OUT --data FACES_OF_TRAINING [--commit HASH] [--earlier RUN ...]

FACES is the validation folder of the bench; the heat maps are calibrated on the training faces. What already lies in
OUT beside the network (the LLM, the language heads) stays. Earlier runs are those whose weights this run went on from;
a folder of released weights stands for all of theirs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from retouchgpt.core.errors import BadData
from retouchgpt.model.checkpoint import WEIGHTS, from_pretrained, save_pretrained, sha256
from retouchgpt.model.presets import PRESETS
from retouchgpt.training.trainer import AVERAGED, LOG

from .benchmark import run as judge
from .calibrate import apply, calibrate

LOGGED = 50
"""Steps of the log that ship, at most."""
CARD = """---
license: apache-2.0
library_name: retouchgpt
pipeline_tag: image-to-image
tags: [face-retouching, portrait, interactive]
---
# RetouchGPT compact

The default model of the package: {parameters:.1f} M parameters in the retouching network, stored in half precision
(SHA-256 of `model.safetensors`: `{digest}`), beside a small Llama of our own that writes the answers and heads on a
frozen all-MiniLM-L6-v2 that read the instructions.

## Intended use

Removing named skin imperfections from portraits on instruction, for people who may edit the photo. Not for deciding
anything about a person, not for medical use, not for changing who somebody is: shapes, skin colour, hair, eyes, lips
and teeth are never edited.

## Training data

{faces} aligned faces ({listing}), on which imperfections were painted with known kind, place and mask; the faces are
official head shots from a public-data collection under the MIT licence and synthetic faces under the MIT licence. No
professional retouches and no FFHQ were used. {steps} steps in {stages} stages on {crops} crops of 128 to 256 px, on
two CPU cores; every stage's numbers are in `recipe.json`, the last stage's log is `training_log.jsonl`.

## Results

Written by `python -m retouchgpt.evaluation.release`, on painted validation faces; columns as in docs/benchmark.md.

{table}
## Risks

- The figures are on painted imperfections. On real skin it finds less than on paint, and takes some permanent marks for
  temporary ones; look before you deliver.
- Faces of the training set are mostly adult, frontal and evenly lit. Profiles, children, heavy make-up, strong side
  light and skin under 60 px of face width were seen little or not at all.
- Tones are balanced only as far as the table by skin tone shows.
- A retouched portrait shows a person as they did not look. Say so where it matters.

## Licence

Apache-2.0, like the code.
"""


def release(
    run: Path,
    faces: Path,
    out: Path,
    earlier: Sequence[Path] = (),
    *,
    data: Path | None = None,
    commit: str = "",
    limit: int | None = None,
) -> None:
    """Write network, recipe, log, data listing, bench result and card into `out`. Raises BadData on a bad run."""
    recipe, log = read_run(run)
    network = from_pretrained(run / AVERAGED)
    # what a mask must reach before it edits, and how it is looked for, is no weight: today's preset decides
    preset = PRESETS[network.config.name]
    network.config = replace(network.config, gate=preset.gate, mirrored=preset.mirrored)
    chosen = calibrate(network, data) if data is not None else None
    if chosen is not None:
        apply(network, chosen)
    save_pretrained(network, out, dtype=torch.float16)
    result = judge(faces, out, limit=limit, out=run / "bench")
    history = [*(s for folder in earlier for s in stages(folder)), stage(recipe, log)]
    listing, count = data_listing(data)
    effective = stage(recipe, log) | {
        "earlier": history[:-1],
        "commit": commit,
        "data_sha256": listing,
        "logit_shifts": chosen.shifts if chosen is not None else {},
    }
    (out / "recipe.json").write_text(a_stage_a_line(effective))
    (out / "training_log.jsonl").write_text("".join(json.dumps(e) + "\n" for e in thinned(log)))
    card = CARD.format(
        parameters=sum(p.numel() for p in network.parameters()) / 1e6,
        digest=sha256(out / WEIGHTS),
        faces=count or "941",
        listing=f"listing SHA-256 `{listing[:16]}`" if listing else "not listed",
        steps=sum(s["trained_steps"] for s in history),
        stages=len(history),
        crops=sum(s["trained_steps"] * s["batch"] for s in history),
        table=result.table(),
    )
    (out / "MODEL_CARD.md").write_text(card)


def read_run(run: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Recipe and log of a run. Raises BadData when it is none."""
    try:
        recipe = json.loads((run / "recipe.json").read_text())
        log = [json.loads(line) for line in (run / LOG).read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise BadData(f"{run} is not a training run: {error}") from error
    return recipe, log


def thinned(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All validations of a log, and of its steps LOGGED at most, a multiple of 25 apart, each loss to five digits."""
    every = 25 * math.ceil(max(entry["step"] for entry in log) / LOGGED / 25)
    kept = (entry for entry in log if "validation" in entry or entry["step"] % every == 0)
    return [{k: v if k == "time" else _short(v) for k, v in entry.items()} for entry in kept]


def _short(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def a_stage_a_line(effective: dict[str, Any]) -> str:
    """recipe.json: the last stage's numbers a line each, and each earlier stage, however many there are, on one."""
    last = json.dumps({k: v for k, v in effective.items() if k != "earlier"}, indent=2)
    lines = ",\n    ".join(json.dumps(earlier) for earlier in effective["earlier"])
    return f'{last.removesuffix("}").rstrip()},\n  "earlier": [\n    {lines}\n  ]\n}}\n'


def stage(recipe: dict[str, Any], log: list[dict[str, Any]]) -> dict[str, Any]:
    """A run's numbers, how far it came, and no paths."""
    kept = {k: v for k, v in recipe.items() if k not in ("start", "llm")}
    return kept | {"trained_steps": max(entry["step"] for entry in log)}


def stages(folder: Path) -> list[dict[str, Any]]:
    """The stages that stand behind a folder: of a run its own, of released weights all that their recipe.json tells.

    Raises BadData where it is neither.
    """
    if not (folder / WEIGHTS).is_file():
        return [stage(*read_run(folder))]
    try:
        told = json.loads((folder / "recipe.json").read_text())
        return [*told.pop("earlier"), told]
    except (OSError, ValueError, KeyError) as error:
        raise BadData(f"{folder} does not tell how its weights were trained: {error}") from error


def data_listing(folder: Path | None) -> tuple[str, int]:
    """SHA-256 over the ids of a faces folder's index, and how many there are; ("", 0) without a folder."""
    if folder is None:
        return "", 0
    try:
        ids = [entry["id"] for entry in json.loads((folder / "index.json").read_text())]
    except (OSError, ValueError, KeyError) as error:
        raise BadData(f"{folder} is not a folder of faces: {error}") from error
    return hashlib.sha256("\n".join(ids).encode()).hexdigest(), len(ids)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.evaluation.release", description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("faces", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--commit", default="")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--earlier", type=Path, nargs="*", default=[])
    options = parser.parse_args(arguments)
    release(
        options.run,
        options.faces,
        options.out,
        options.earlier,
        data=options.data,
        commit=options.commit,
        limit=options.limit,
    )


if __name__ == "__main__":
    main()
