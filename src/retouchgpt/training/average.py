"""The mean of two sets of weights of which one went on from the other, a model soup (Wortsman et al., 2022).

    python -m retouchgpt.training.average EARLIER LATER OUT [--share 0.5]

Both are folders of released weights. What only the later one has counts as zero in the earlier, as it did when the
later run began. OUT gets the network and a recipe.json that tells of both; what else lies in OUT stays.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from retouchgpt.core.errors import BadData
from retouchgpt.model.checkpoint import WEIGHTS, from_pretrained, save_pretrained, sha256
from retouchgpt.model.network import RetouchNetwork


def average(earlier: RetouchNetwork, later: RetouchNetwork, share: float) -> RetouchNetwork:
    """The later network's configuration with (1 - share) of the earlier weights and `share` of its own, share in
    [0, 1]. Raises BadData where their shapes differ: such weights are not of one line."""
    if not 0 <= share <= 1:
        raise BadData(f"share must lie between 0 and 1, got {share}")
    known, out = earlier.state_dict(), {}
    for name, own in later.state_dict().items():
        before = known.get(name, torch.zeros_like(own))
        if before.shape != own.shape:
            raise BadData(f"{name} is {tuple(before.shape)} in one and {tuple(own.shape)} in the other")
        out[name] = own if not own.is_floating_point() else before.float() * (1 - share) + own.float() * share
    mean = RetouchNetwork(later.config)
    mean.load_state_dict(out)
    return mean.eval()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.training.average", description="Average two weights.")
    parser.add_argument("earlier", type=Path)
    parser.add_argument("later", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the later weights, 0 to 1 (default 0.5)")
    options = parser.parse_args(arguments)
    mean = average(from_pretrained(options.earlier), from_pretrained(options.later), options.share)
    try:
        recipe = json.loads((options.later / "recipe.json").read_text())
    except (OSError, ValueError) as error:
        raise BadData(f"{options.later} does not tell how its weights were trained: {error}") from error
    recipe["averaged"] = {"with": sha256(options.earlier / WEIGHTS), "share": options.share}
    save_pretrained(mean, options.out, dtype=torch.float16)
    (options.out / "recipe.json").write_text(json.dumps(recipe, indent=2) + "\n")


if __name__ == "__main__":
    main()
