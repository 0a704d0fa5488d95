"""A batch on an existing Ray cluster, through Ray Data: the same worker class, the same outcomes.

Ray starts a lost worker again and repeats its block. The repeated worker finds the pictures that were already written
and counts them as done, so every photo has one picture and one outcome.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from retouchgpt.core.errors import BadData, MissingExtra

from .batch_worker import Case, Settings, Worker

BLOCK = 16
"""Most photos a block: what is repeated when a worker is lost."""
RETRIES = 3
LOST = "the process that retouched this photo was lost each time"


class RayWorker:
    """Worker behind Ray Data's rows of text."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._worker = Worker(Settings(**settings))

    def __call__(self, row: dict[str, str]) -> dict[str, str]:
        case = json.loads(row["case"])
        case["turns"] = tuple(case["turns"])
        return {"outcome": json.dumps(self._worker(Case(**case)))}


def outcomes(cases: Sequence[Case], settings: Settings, address: str, workers: int | None) -> Iterator[dict[str, Any]]:
    """The outcome of each case, as it is ready. address: of the cluster, `auto`, or `local` for one on this machine.

    workers: actors, of settings.threads cores each; None takes the whole cluster. Raises MissingExtra or BadData.
    """
    if not cases:
        return
    ray = connect(address)
    cores = int(ray.cluster_resources().get("CPU", 1))
    workers = workers or max(cores // max(settings.threads, 1), 1)
    left = {case.key: case for case in cases}
    # what is lost with its block is tried once more, one photo a block, so that a bad photo costs only itself
    for block, retries in ((min(max(len(cases) // (4 * workers), 1), BLOCK), RETRIES), (1, 0)):
        for outcome in _pass(ray, list(left.values()), settings, workers, block, retries) if left else ():
            if left.pop((outcome["image"], outcome["instruction"], outcome["out"]), None) is not None:
                yield outcome
    yield from (case.to_json() | {"outcome": "refused", "why": LOST} for case in left.values())


def connect(address: str) -> Any:
    """The ray module, connected. Raises MissingExtra, or BadData when nobody answers at the address."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the user's machines
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtra("ray", "batch") from error
    if not ray.is_initialized():
        try:
            ray.init(address=None if address == "local" else address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            first = (str(error).splitlines() or [""])[0]
            raise BadData(f"no Ray cluster at {address}: {first}") from error
    return ray


def _pass(
    ray: Any, cases: Sequence[Case], settings: Settings, workers: int, block: int, retries: int
) -> Iterator[dict[str, Any]]:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1
    rows = [{"case": json.dumps(asdict(case))} for case in cases]
    data = ray.data.from_items(rows, override_num_blocks=max(-(-len(rows) // block), 1))
    done = data.map(
        RayWorker,
        fn_constructor_args=(asdict(settings),),
        compute=ray.data.ActorPoolStrategy(size=min(workers, len(rows))),
        num_cpus=max(settings.threads, 1),
        max_task_retries=retries,
    )
    for row in done.iter_rows():
        yield json.loads(row["outcome"])
