"""`retouchgpt batch`: many photos, an outcome for each; one bad photo never stops the rest."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Any

from retouchgpt.core.cores import usable_cores
from retouchgpt.core.errors import BadData
from retouchgpt.session.saved import read_script

from .batch_cases import folder_cases, manifest_cases, remaining
from .batch_journal import OUTCOMES, Journal
from .batch_worker import Case, Settings, Worker

__all__ = ["OUTCOMES", "Case", "Settings", "Worker", "folder_cases", "manifest_cases", "outcomes", "remaining", "run"]

_worker: Worker | None = None


def _start(settings: Settings) -> None:
    global _worker
    _worker = Worker(settings)


def _work(case: Case) -> dict[str, Any]:
    assert _worker is not None
    return _worker(case)


def run(options: argparse.Namespace) -> int:
    cases = cases_of(options)
    if not cases:
        raise BadData("no photos were found. Name photos (JPEG, PNG, TIFF, WebP, HEIC, AVIF), folders or globs.")
    counts = {"done": 0, "unchanged": 0, "refused": 0}
    with Journal(options.out, options.log) as journal:
        todo = journal.begin(cases, resume=options.resume)
        counts["refused"] = journal.refused
        for outcome in _progress(_outcomes(todo, options), len(todo)):
            journal.write(outcome)
            counts[outcome["outcome"]] += 1
    skipped = len(cases) - len(todo) - journal.refused
    print(", ".join(f"{n} {name}" for name, n in counts.items()) + (f", {skipped} from before" if skipped else ""))
    return 0


def cases_of(options: argparse.Namespace) -> list[Case]:
    """What the command line names. Raises BadData, BadSession."""
    if options.manifest:
        return manifest_cases(options.manifest, options.out)
    if options.script:
        turns = tuple(read_script(options.script))
        said = "; ".join(str(t["text"]) for t in turns)
        return [replace(c, turns=turns) for c in folder_cases(options.inputs, said, options.out)]
    return list(folder_cases(options.inputs, options.instruction, options.out))


def _outcomes(cases: Sequence[Case], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    if options.ray:
        from .batch_ray import outcomes as on_ray

        settings = Settings(options.weights, options.face, options.strength, 1, resumed=True, note=not options.no_note)
        return on_ray(cases, settings, options.ray, options.workers)
    workers = options.workers or 1
    threads = max(usable_cores() // workers, 1)
    shared = (options.weights, options.face, options.strength, threads)
    return outcomes(cases, Settings(*shared, resumed=True, note=not options.no_note), workers)


def outcomes(cases: Sequence[Case], settings: Settings, workers: int) -> Iterator[dict[str, Any]]:
    """The outcome of each case, as it is ready. A worker process that dies costs only the photo it was at."""
    if not cases:
        return
    if workers == 1:
        worker = Worker(settings)
        yield from (worker(case) for case in cases)
        return
    left = {case.key: case for case in cases}
    while left:
        try:
            for outcome in _pool(list(left.values()), settings, workers):
                left.pop((outcome["image"], outcome["instruction"], outcome["out"]))
                yield outcome
        except BrokenProcessPool:
            # which of the running photos killed its worker is unknown: try the first ones alone, one process each
            for case in list(left.values())[:workers]:
                yield _alone(case, settings)
                left.pop(case.key)


def _pool(cases: Sequence[Case], settings: Settings, workers: int) -> Iterator[dict[str, Any]]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(settings,)) as pool:
        queue = iter(cases)
        running: set[Future[dict[str, Any]]] = set()
        for case in queue:
            running.add(pool.submit(_work, case))
            if len(running) < 2 * workers:
                continue
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (f.result() for f in done)
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (f.result() for f in done)


def _alone(case: Case, settings: Settings) -> dict[str, Any]:
    try:
        return next(iter(_pool([case], settings, 1)))
    except BrokenProcessPool:
        return case.to_json() | {"outcome": "refused", "why": "the process that retouched this photo was killed"}


def _progress(items: Iterator[dict[str, Any]], total: int) -> Iterator[dict[str, Any]]:
    """Count, rate and time left on standard error, once the work has lasted two seconds."""
    from tqdm import tqdm

    return iter(tqdm(items, total=total, unit="photo", desc="retouching", file=sys.stderr, mininterval=0.5, delay=2))
