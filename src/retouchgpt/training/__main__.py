"""python -m retouchgpt.training RECIPE --data CACHE --out RUN: train, or go on with, one recipe."""

from __future__ import annotations

import argparse
from pathlib import Path

from .recipe import read_recipe
from .trainer import Trainer


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.training", description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of a painted cache")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; an unfinished run in it goes on")
    parser.add_argument("--validation", type=Path, help="folder of a painted cache of other faces")
    parser.add_argument("--start", help="folder of weights to begin from")
    parser.add_argument("--llm", help="folder or hub id of the frozen LLM")
    parser.add_argument("--steps", type=int)
    options = parser.parse_args(arguments)
    recipe = read_recipe(options.recipe, start=options.start, llm=options.llm, steps=options.steps)
    weights = Trainer(recipe, options.data, options.out, validation=options.validation).fit()
    print(weights)


if __name__ == "__main__":
    main()
