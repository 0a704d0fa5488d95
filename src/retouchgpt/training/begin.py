"""What a run begins from: a fresh network, or the weights of an earlier configuration where they fit."""

from __future__ import annotations

import torch
from torch import Tensor

from retouchgpt.core.errors import BadData
from retouchgpt.model.checkpoint import create, from_pretrained
from retouchgpt.model.config import SCALES, NetworkConfig
from retouchgpt.model.network import RetouchNetwork

from .recipe import Recipe

STEM = "encoder.levels.0.0.conv.weight"


def begin(recipe: Recipe) -> RetouchNetwork:
    """A fresh network of the recipe's size, with its start's weights wherever name and shape agree.

    An encoder from before the second input goes on as it was: what the new channels add begins at zero. So does a box
    with fewer residual blocks, since a fresh block adds nothing. Raises BadData when nothing agrees or the recipe's
    changes of the network are none.
    """
    try:
        network = create(recipe.size, seed=recipe.seed, **recipe.network)
    except TypeError as error:
        raise BadData(f"the network of the recipe {recipe.name}: {error}") from error
    if not recipe.start:
        return network
    start = from_pretrained(recipe.start)
    if start.config == network.config and not recipe.takes:
        return start
    known, state = _deepened(start, network.config), network.state_dict()
    if known[STEM].shape[1] < state[STEM].shape[1] and known[STEM].shape[0] == state[STEM].shape[0]:
        wider = torch.zeros_like(state[STEM])
        wider[:, : known[STEM].shape[1]] = known[STEM]
        known[STEM] = wider
    taken = {k: v for k, v in known.items() if k in state and v.shape == state[k].shape}
    if recipe.takes:
        taken = {k: v for k, v in taken.items() if k.split(".")[0] in recipe.takes}
    if not taken:
        raise BadData(f"{recipe.start} holds nothing that a network of size {recipe.size} can begin from")
    network.load_state_dict(state | taken)
    return network


def _deepened(start: RetouchNetwork, config: NetworkConfig) -> dict[str, Tensor]:
    """Weights by the names that they have among more residual blocks, where a stack's norm comes later."""
    depths = {f"{box}.levels.{i}": f"{box}_depth" for box in ("encoder", "decoder") for i in range(SCALES)}
    known = dict(start.state_dict())
    for level, field in (depths | {"imperfection.refine.0": "imperfection_depth"}).items():
        norm, later = (f"{level}.{getattr(c, field) + 1}." for c in (start.config, config))
        if later > norm:
            known.update({later + n.removeprefix(norm): known.pop(n) for n in list(known) if n.startswith(norm)})
    return known
