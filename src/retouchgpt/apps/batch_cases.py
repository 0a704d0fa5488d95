"""Which photos a batch has, and where each result goes."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from retouchgpt.core.errors import BadData
from retouchgpt.photo.files import FORMATS

from . import batch_places as places
from .batch_worker import Case


def folder_cases(inputs: Sequence[str], instruction: str, out: str | Path) -> Iterator[Case]:
    """Photos of files, folders (their sub-folders kept) and globs, each with its place under `out`."""
    out, taken = str(out), set[str]()
    for given in inputs:
        for source, place in _found(str(given), out):
            target = _free(places.join(out, place), taken)
            taken.add(target)
            yield Case(source, instruction, target)


def _found(given: str, out: str) -> Iterator[tuple[str, str]]:
    """Photos of one input, each with its path below `out`."""
    if places.is_folder(given):
        found = places.below(given)
    elif not glob.has_magic(given) or places.exists(given):
        yield given, places.name(given)
        return
    else:
        found = places.matching(given)
    mine = f"{places.key(out).rstrip('/')}/"
    yield from ((source, place) for source, place in found if _is_photo(source, mine))


def _is_photo(place: str, mine: str) -> bool:
    """Whether a file is meant: not what this batch wrote, nor what is hidden."""
    path = PurePosixPath(place)
    known = path.suffix.lower() in FORMATS and not path.name.startswith(".")
    return known and not places.key(place).startswith(mine)


def _free(place: str, taken: set[str]) -> str:
    """The place, or with a number when another input of this batch has it already."""
    number, free, suffix = 2, place, PurePosixPath(place).suffix
    while free in taken:
        free, number = f"{place.removesuffix(suffix)}_{number}{suffix}", number + 1
    return free


def manifest_cases(manifest: str | Path, out: str | Path) -> list[Case]:
    """Cases of a JSON-lines manifest; relative paths start at the manifest's folder, relative outs at `out`.

    Raises BadData naming the line that is wrong, or two that write to one place.
    """
    manifest, out = str(manifest), str(out)
    try:
        with places.fetched(manifest) as path:
            lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"cannot read the manifest {manifest}: {error}") from error
    folder = manifest.rpartition("/")[0] if places.is_remote(manifest) else str(Path(places.local(manifest)).parent)
    cases: list[Case] = []
    taken: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        case = _case(line, f"{manifest}, line {number}", folder, out)
        if case.out in taken:
            raise BadData(f"{manifest}: lines {taken[case.out]} and {number} both write to {case.out}.")
        taken[case.out] = number
        cases.append(case)
    return cases


def _case(line: str, where: str, folder: str, out: str) -> Case:
    try:
        row = json.loads(line)
        image, turns = str(row["image"]), tuple(dict(turn) for turn in row.get("turns", ()))
        instruction = "; ".join(str(t["text"]) for t in turns) if turns else str(row["instruction"])
        target = str(row.get("out") or places.name(image))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData(f'{where}: not {{"image": PATH, "instruction": TEXT, "out": PATH}} ({error})') from error
    return Case(places.join(folder, image), instruction, places.join(out, target), turns)


def remaining(cases: Iterable[Case], log: Path) -> list[Case]:
    """The cases without an outcome in the log; a last line that a kill cut short is cut off."""
    seen = set()
    if log.exists():
        with log.open("rb+") as stream:
            data = stream.read()
            whole = data[: data.rfind(b"\n") + 1]
            stream.truncate(len(whole))
        for line in whole.decode("utf-8", "replace").splitlines():
            try:
                row = json.loads(line)
                seen.add((row["image"], row["instruction"], row["out"]))
            except (ValueError, KeyError, TypeError):
                continue
    return [c for c in cases if c.key not in seen]
