"""`retouchgpt evaluate`: all measures of a recipe, or the steps of the agent, with intervals."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from retouchgpt.core.errors import BadData


def run(options: argparse.Namespace) -> int:
    from retouchgpt.evaluation.evaluate import evaluate
    from retouchgpt.evaluation.recipe import read_evaluation
    from retouchgpt.evaluation.report import markdown, write
    from retouchgpt.session import RetouchGPT

    if not options.faces:
        raise BadData("name a folder of aligned faces: --faces FOLDER (index.json, landmarks.npz, ID.jpg).")
    recipe = read_evaluation(options.recipe, limit=options.limit)
    engine = RetouchGPT.from_pretrained(options.weights)
    result = evaluate(Path(options.faces), recipe, engine, progress=sys.stderr.isatty())
    if options.out:
        write(result, Path(options.out))
    print(markdown(result), end="")
    return 0
