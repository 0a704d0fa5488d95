"""Training in shards on CPU processes. Accelerate shards on accelerators only, so here it is told that it may; all else
is its own and PyTorch's code: the wrapping by RetouchBlock, the gathering, the checkpoint."""

from __future__ import annotations

import sys

import accelerate
from accelerate.state import PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin


class Sharding(accelerate.Accelerator):
    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        for state in (PartialState, self.state):
            state._shared_state["distributed_type"] = DistributedType.FSDP
        self.state.fsdp_plugin = FullyShardedDataParallelPlugin(
            fsdp_version=2, auto_wrap_policy="transformer_based_wrap", reshard_after_forward=True,
            transformer_cls_names_to_wrap=["RetouchBlock"], state_dict_type="FULL_STATE_DICT",
        )  # fmt: skip


if __name__ == "__main__":
    accelerate.Accelerator = Sharding  # type: ignore[misc]
    from retouchgpt.training.__main__ import main

    main(sys.argv[1:])
