"""What an eye said of the real cases: `python -m retouchgpt.evaluation.verdicts` writes docs/real.md from the verdicts.

A pass is one look at the sheets of `retouchgpt.evaluation.real`, all of them, with the hash of the weights that made
them. Passes are added, never rewritten, so that weights can be compared.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from retouchgpt.core.errors import BadData
from retouchgpt.core.vocabulary import IMPERFECTIONS, spoken

from .real import RealCase, real_cases

WORDS = ("gone", "better", "left", "harmed")
"""Of what was asked: not to be found any more; clearly fainter or fewer; about as before; something was spoiled."""
WORST = 10
VERDICTS, PAGE = Path("benchmarks/real_verdicts.json"), Path("docs/real.md")


@dataclass(frozen=True)
class Verdict:
    """One case of one pass: one of WORDS, and what was seen."""

    word: str
    note: str = ""


@dataclass(frozen=True)
class Pass:
    """One look at all cases. weights: SHA-256 of model.safetensors. worst: keys of the ten worst, worst first."""

    weights: str
    date: str
    verdicts: dict[str, Verdict]
    worst: tuple[str, ...]

    def share(self, *words: str) -> float:
        """Of the cases, how many got one of these words."""
        return sum(v.word in words for v in self.verdicts.values()) / max(len(self.verdicts), 1)


def read_passes(path: Path, cases: Sequence[RealCase]) -> list[Pass]:
    """Passes, oldest first. Raises BadData where a case is missing or strange, or a word is none of WORDS."""
    try:
        passes = [
            Pass(
                p["weights"], p["date"],
                {k: Verdict(*v) for k, v in p["verdicts"].items()}, tuple(p["worst"]),
            )
            for p in json.loads(path.read_text())["passes"]
        ]  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData(f"{path} does not hold verdicts: {error!r}") from error
    known = {case.key for case in cases}
    for one in passes:
        strange = set(one.verdicts) ^ known
        if strange:
            raise BadData(
                f"{path}: the pass of {one.date} and the list of cases differ in {', '.join(sorted(strange))}"
            )
        wrong = sorted({v.word for v in one.verdicts.values()} - set(WORDS))
        if wrong:
            raise BadData(f"{path}: verdicts are {', '.join(WORDS)}, not {', '.join(wrong)}")
        if len(one.worst) != WORST or not set(one.worst) <= known:
            raise BadData(f"{path}: the pass of {one.date} needs the {WORST} worst cases")
    return passes


def page(passes: Sequence[Pass], cases: Sequence[RealCase]) -> str:
    """docs/real.md."""
    last = passes[-1]
    by_key = {case.key: case for case in cases}
    lines = [
        "# Real imperfections",
        "",
        f"{len(cases)} imperfections that no one painted, in {len({c.face for c in cases})} unpainted faces, one",
        "request each; judged by eye on before, after, mask and difference x8 of",
        "`python -m retouchgpt.evaluation.real FACES --out DIR`. The list stands in",
        "`src/retouchgpt/evaluation/data/real.json`, the verdicts in `benchmarks/real_verdicts.json`; this page is",
        "made of both by `python -m retouchgpt.evaluation.verdicts`. The photos are not ours to publish.",
        "",
        "*gone*: not to be found any more. *better*: clearly fainter or fewer. *left*: about as before. *harmed*:",
        "something that should have stayed was spoiled.",
        "",
        "| weights | looked at | gone | better | left | harmed | gone or better |",
        "|---|---|---|---|---|---|---|",
        *map(_total, passes),
        "",
        f"## By kind, weights {last.weights[:8]}",
        "",
        "| kind | cases | gone | better | left | harmed |",
        "|---|---|---|---|---|---|",
        *_kinds(last, by_key),
        "",
        "## The ten worst",
        "",
        "| face | request | verdict | what is seen |",
        "|---|---|---|---|",
        *(_told(by_key[k], last.verdicts[k]) for k in last.worst),
        "",
        "## All",
        "",
        "| face | request | should go | should stay | verdict | what is seen |",
        "|---|---|---|---|---|---|",
        *(_full(c, last.verdicts[c.key]) for c in cases),
    ]
    return "\n".join(lines) + "\n"


def _total(one: Pass) -> str:
    counts = Counter(v.word for v in one.verdicts.values())
    share = f"{one.share('gone', 'better'):.0%}"
    return f"| {one.weights[:8]} | {one.date} | {' | '.join(str(counts[w]) for w in WORDS)} | {share} |"


def _kinds(one: Pass, cases: dict[str, RealCase]) -> list[str]:
    out = []
    for kind in IMPERFECTIONS:
        counts = Counter(v.word for k, v in one.verdicts.items() if cases[k].kind == kind)
        if counts:
            out.append(f"| {spoken(kind)} | {sum(counts.values())} | {' | '.join(str(counts[w]) for w in WORDS)} |")
    return out


def _told(case: RealCase, verdict: Verdict) -> str:
    return f"| {case.face} | {case.instruction} | {verdict.word} | {verdict.note} |"


def _full(case: RealCase, verdict: Verdict) -> str:
    told = (case.face, case.instruction, case.goes, case.stays, verdict.word, verdict.note)
    return f"| {' | '.join(told)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="retouchgpt.evaluation.verdicts", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("verdicts", type=Path, nargs="?", default=VERDICTS)
    parser.add_argument("--out", type=Path, default=PAGE)
    options = parser.parse_args(arguments)
    cases = real_cases()
    options.out.write_text(page(read_passes(options.verdicts, cases), cases))
    return 0


if __name__ == "__main__":
    sys.exit(main())
