"""python -m retouchgpt.training RECIPE --data CACHE --out RUN: train, or go on with, one recipe."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from .recipe import read_recipe
from .trainer import Trainer


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.training", description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="painted cache, or index of pairs (.jsonl)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; an unfinished run in it goes on")
    parser.add_argument("--validation", type=Path, help="the same, of other faces")
    parser.add_argument("--start", help="folder of weights to begin from")
    parser.add_argument("--llm", help="folder or hub id of the frozen LLM")
    parser.add_argument("--text-encoder", help="folder or hub id of the fused IIP's text encoder")
    parser.add_argument("--size", help="preset of the network, instead of the recipe's")
    parser.add_argument("--crop", type=int, help="side of the crops in px, instead of the recipe's")
    parser.add_argument("--batch", type=int, help="crops a pass, all of them repaired if the recipe repairs any")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--tensorboard", action="store_true", default=None, help="also log there, with pictures")
    options = vars(parser.parse_args(arguments))
    place, data, out, validation = (options.pop(name) for name in ("recipe", "data", "out", "validation"))
    recipe = read_recipe(place, **options)
    if options["batch"] and recipe.repair_batch:
        recipe = replace(recipe, repair_batch=recipe.batch)
    print(Trainer(recipe, data, out, validation=validation).fit())


if __name__ == "__main__":
    main()
