"""`retouchgpt batch`: many photos, an outcome for each; one bad photo never stops the rest.

Each photo's outcome is one line of outcomes.jsonl, written when its picture is safely on disk, so that a killed run
can go on where it stopped.
"""

from __future__ import annotations

import argparse
import glob
import json
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from retouchgpt.core.errors import BadData, OutputNotWritable, RetouchError
from retouchgpt.photo.files import FORMATS
from retouchgpt.session.saved import read_script

OUTCOMES = "outcomes.jsonl"


@dataclass(frozen=True)
class Case:
    """One photo of a batch; serialisable. turns: a script to replay in place of an instruction, see Session.script."""

    image: str
    instruction: str
    out: str
    turns: tuple[dict[str, Any], ...] = ()

    def to_json(self) -> dict[str, str]:
        return {"image": self.image, "instruction": self.instruction, "out": self.out}


@dataclass(frozen=True)
class Settings:
    """What all photos of a batch share; serialisable. resumed: a picture that is there already was written by the run
    that was stopped between its picture and its outcome line, so it is done. note: XMP says how a photo was edited."""

    weights: str | None
    face: str
    strength: float
    threads: int
    resumed: bool = False
    note: bool = True


class Worker:
    """Retouches cases one after another with one model; the same class here, in other processes and on a cluster."""

    def __init__(self, settings: Settings) -> None:
        import torch

        from retouchgpt.session import RetouchGPT

        torch.set_num_threads(settings.threads)
        self.settings = settings
        self.model = RetouchGPT.from_pretrained(settings.weights)

    def __call__(self, case: Case) -> dict[str, Any]:
        """The outcome of one case; never raises for a photo's sake."""
        outcome = case.to_json()
        try:
            return outcome | self._retouch(case)
        except RetouchError as error:
            return outcome | {"outcome": "refused", "why": str(error)}
        except Exception as error:
            return outcome | {
                "outcome": "refused",
                "why": f"unexpected {type(error).__name__}: {error}".splitlines()[0],
            }

    def _retouch(self, case: Case) -> dict[str, Any]:
        from retouchgpt.photo.files import check_output, open_photo, save_photo
        from retouchgpt.session.result import RetouchRequest
        from retouchgpt.session.saved import turn_from_json

        request = RetouchRequest(case.instruction, self.settings.strength, self.settings.face).checked()
        turns = [turn_from_json(row) for row in case.turns]
        photo = open_photo(case.image)
        out = Path(case.out)
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.exists() and self.settings.resumed:
            return {"outcome": "done", "answer": "", "notes": ["the picture was written by the run before this one"]}
        check_output(out)
        session = self.model.open(photo, request.face)
        result = session.replay(turns) if turns else session.instruct(request.instruction, strength=request.strength)
        if not result.changed:
            return {"outcome": "unchanged", "why": result.answer}
        saved = save_photo(photo, result.image, out, note=case.instruction if self.settings.note else None)
        return {"outcome": "done", "answer": result.answer, "notes": [*photo.notes, *saved.notes]}


_worker: Worker | None = None


def _start(settings: Settings) -> None:
    global _worker
    _worker = Worker(settings)


def _work(case: Case) -> dict[str, Any]:
    assert _worker is not None
    return _worker(case)


def run(options: argparse.Namespace) -> int:
    out = Path(options.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritable(out, error.strerror or str(error)) from error
    if options.manifest:
        cases = manifest_cases(Path(options.manifest), out)
    elif options.script:
        turns = tuple(read_script(options.script))
        said = "; ".join(str(t["text"]) for t in turns)
        cases = [replace(c, turns=turns) for c in folder_cases(options.inputs, said, out)]
    else:
        cases = list(folder_cases(options.inputs, options.instruction, out))
    if not cases:
        raise BadData("no photos were found. Name photos (JPEG, PNG, TIFF, WebP, HEIC, AVIF), folders or globs.")
    log = out / OUTCOMES
    if log.exists() and not options.resume:
        raise BadData(f"{log} exists: an earlier run wrote here. Pass --resume to go on, or choose another --out.")
    todo = remaining(cases, log)
    threads = max((os.cpu_count() or 1) // options.workers, 1)
    settings = Settings(options.weights, options.face, options.strength, threads, options.resume, not options.no_note)
    counts = {"done": 0, "unchanged": 0, "refused": 0}
    with log.open("a") as stream:
        for outcome in _progress(outcomes(todo, settings, options.workers), len(todo)):
            stream.write(json.dumps(outcome, ensure_ascii=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
            counts[outcome["outcome"]] += 1
    skipped = len(cases) - len(todo)
    print(", ".join(f"{n} {name}" for name, n in counts.items()) + (f", {skipped} from before" if skipped else ""))
    return 0


def outcomes(cases: Sequence[Case], settings: Settings, workers: int) -> Iterator[dict[str, Any]]:
    """The outcome of each case, as it is ready. A worker process that dies costs only the photo it was at."""
    if not cases:
        return
    if workers == 1:
        worker = Worker(settings)
        yield from (worker(case) for case in cases)
        return
    left = list(cases)
    while left:
        try:
            for outcome in _pool(left, settings, workers):
                left = [c for c in left if c.image != outcome["image"] or c.out != outcome["out"]]
                yield outcome
        except BrokenProcessPool:
            # which of the running photos killed its worker is unknown: try the first ones alone, one process each
            for case in left[:workers]:
                yield _alone(case, settings)
            left = left[workers:]


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
    from tqdm import tqdm

    return iter(tqdm(items, total=total, unit="photo", desc="retouching", file=sys.stderr, mininterval=0.5, delay=2))


def folder_cases(inputs: Sequence[str], instruction: str, out: Path) -> Iterator[Case]:
    """Photos of files, folders (their sub-folders kept) and globs, each with its place under `out`."""
    taken: set[Path] = set()
    for given in inputs:
        path = Path(given)
        if path.is_dir():
            found = [(p, p.relative_to(path)) for p in sorted(path.rglob("*")) if _is_photo(p, out)]
        elif path.exists() or not glob.has_magic(given):
            found = [(path, Path(path.name))]
        else:
            found = [
                (p, Path(p.name))
                for p in map(Path, sorted(glob.glob(given, recursive=True)))  # noqa: PTH207 - a user's pattern may be absolute
                if _is_photo(p, out)
            ]
        for source, place in found:
            target = _free(out / place, taken)
            taken.add(target)
            yield Case(str(source), instruction, str(target))


def _is_photo(path: Path, out: Path) -> bool:
    return path.suffix.lower() in FORMATS and path.is_file() and out.resolve() not in path.resolve().parents


def _free(path: Path, taken: set[Path]) -> Path:
    """The path, or with a number when another input of this batch has it already."""
    number, free = 2, path
    while free in taken:
        free, number = path.with_name(f"{path.stem}_{number}{path.suffix}"), number + 1
    return free


def manifest_cases(manifest: Path, out: Path) -> list[Case]:
    """Cases of a JSON-lines manifest; relative paths start at the manifest's folder, relative outs at `out`.

    Raises BadData naming the line that is wrong.
    """
    try:
        lines = manifest.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"cannot read the manifest {manifest}: {error}") from error
    cases = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            image, turns = Path(row["image"]), tuple(dict(turn) for turn in row.get("turns", ()))
            instruction = "; ".join(str(t["text"]) for t in turns) if turns else str(row["instruction"])
            target = Path(row.get("out") or image.name)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadData(
                f'{manifest}, line {number}: not {{"image": PATH, "instruction": TEXT, "out": PATH}} ({error})'
            ) from error
        cases.append(Case(str(manifest.parent / image), instruction, str(out / target), turns))
    return cases


def remaining(cases: Sequence[Case], log: Path) -> list[Case]:
    """The cases without an outcome in the log; a line that a kill cut short does not count."""
    seen = set()
    if log.exists():
        whole = []
        for line in log.read_text().splitlines():
            try:
                row = json.loads(line)
                seen.add((row["image"], row["instruction"], row["out"]))
                whole.append(line)
            except (ValueError, KeyError, TypeError):
                continue
        log.write_text("".join(line + "\n" for line in whole))
    return [c for c in cases if (c.image, c.instruction, c.out) not in seen]
