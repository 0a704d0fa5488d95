"""How answers come about, on generated facts: by which way, true or not, how fast.

python -m retouchgpt.evaluation.answers [--cases 500] [--llm FOLDER] [--free] [--out REPORT.md]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from retouchgpt.data.dialogues import dialogue
from retouchgpt.language.answers import FREE, GUIDED, PLAIN, Answer, AnswerWriter
from retouchgpt.language.checking import check
from retouchgpt.model.checkpoint import LLM, shipped

SEED = 777
"""Of cases that no training run has seen."""


class AnswerCase(NamedTuple):
    """One generated case: the answer, its violations, seconds."""

    answer: Answer
    violations: list[str]
    seconds: float


def measure(writer: AnswerWriter, count: int) -> list[AnswerCase]:
    """Answer `count` generated cases."""
    out = []
    for index in range(count):
        turn = dialogue(SEED, index)
        start = time.perf_counter()
        answer = writer.write(turn.facts, turn.instruction)
        spent = time.perf_counter() - start
        out.append(AnswerCase(answer, check(answer.text, turn.facts), spent))
    return out


def report(cases: list[AnswerCase]) -> str:
    """Markdown: shares of the three ways, false answers, times, the first answers."""
    ways = Counter(c.answer.way for c in cases)
    times = sorted(c.seconds for c in cases)
    lines = ["| written | cases | share |", "|---|---|---|"]
    lines += [f"| {way} | {ways[way]} | {100 * ways[way] / len(cases):.1f} % |" for way in (FREE, GUIDED, PLAIN)]
    lines += [
        "",
        f"False or incomplete: {sum(bool(c.violations) for c in cases)} of {len(cases)}. "
        f"Median {1000 * times[len(times) // 2]:.0f} ms, 95 % below {1000 * times[int(0.95 * len(times))]:.0f} ms.",
        "",
        *(f"- {c.answer.text}" for c in cases[:10]),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.evaluation.answers", description=__doc__)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--llm", type=Path, help="folder of a causal LLM; default: the shipped one")
    parser.add_argument("--free", action="store_true", help="let the LLM write freely before it is guided")
    parser.add_argument("--out", type=Path, help="file to write; default: standard output")
    options = parser.parse_args(arguments)
    writer = AnswerWriter(options.llm or shipped() / LLM, free=True if options.free else None)
    text = report(measure(writer, options.cases))
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
