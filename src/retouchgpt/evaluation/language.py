"""How well instructions are understood, on instructions written by hand.

    python -m retouchgpt.evaluation.language tests/language/instructions.jsonl [--weights FOLDER] [--out REPORT.md]

Each line: {"category", "text", "plan"}; exact means intent, edits (kind, region, strength to 0.01), keep-list, what a
question is about, and an adjustment's factor are all as written, in any order. Reasons count apart.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from retouchgpt.core.errors import BadData
from retouchgpt.core.plan import EditPlan


class Case(NamedTuple):
    """One instruction with the plan that a person expects."""

    category: str
    text: str
    plan: EditPlan


class Verdict(NamedTuple):
    """One case's result. exact: the whole plan. intent: the intent alone. reason: declined for the right reason."""

    case: Case
    plan: EditPlan
    exact: bool
    intent: bool
    reason: bool
    milliseconds: float


def read_cases(path: Path) -> list[Case]:
    """Cases of a JSONL file. Raises BadData."""
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return [Case(row["category"], row["text"], EditPlan.from_json(row["plan"])) for row in rows]
    except (OSError, KeyError, ValueError) as error:
        raise BadData(f"{path}: not a file of instructions: {error}") from error


def essence(plan: EditPlan) -> tuple[Any, ...]:
    """What two plans must share to be equal."""
    edits = frozenset((e.imperfection, e.region, round(e.strength, 2)) for e in plan.edits)
    keep = frozenset((k.imperfection, k.region) for k in plan.keep)
    about = frozenset((k.imperfection, k.region) for k in plan.about)
    return plan.intent, edits, keep, about, round(plan.factor, 2) if plan.intent == "adjust" else 1.0


def judge(cases: Iterable[Case], understand: Callable[[str], EditPlan]) -> list[Verdict]:
    """Understand every case and compare."""
    out = []
    for case in cases:
        start = time.perf_counter()
        plan = understand(case.text)
        spent = (time.perf_counter() - start) * 1000
        exact = essence(plan) == essence(case.plan)
        reason = plan.intent != "decline" or plan.reason == case.plan.reason
        out.append(Verdict(case, plan, exact, plan.intent == case.plan.intent, reason, spent))
    return out


def wrongly_edited(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Cases outside the job, and questions, that would have been edited."""
    return [
        v for v in verdicts if v.case.plan.intent in ("decline", "inspect") and v.plan.intent in ("retouch", "adjust")
    ]


def report(verdicts: Sequence[Verdict]) -> str:
    """Markdown: a table by category, then the failures."""
    lines = ["| category | cases | exact plan | intent |", "|---|---|---|---|"]
    categories = list(dict.fromkeys(v.case.category for v in verdicts))
    for name, rows in [(c, [v for v in verdicts if v.case.category == c]) for c in categories] + [
        ("all", list(verdicts))
    ]:
        lines.append(f"| {name} | {len(rows)} | {_share(v.exact for v in rows)} | {_share(v.intent for v in rows)} |")
    declines = [v for v in verdicts if v.case.plan.intent == "decline" and v.plan.intent == "decline"]
    times = sorted(v.milliseconds for v in verdicts)
    lines += [
        "",
        f"Outside the job or a question, and yet edited: {len(wrongly_edited(verdicts))}. "
        f"Declined for the expected reason: {_share(v.reason for v in declines)}. "
        f"Time a sentence: median {times[len(times) // 2]:.1f} ms, longest {times[-1]:.1f} ms.",
        "",
    ]
    failures = [v for v in verdicts if not v.exact]
    lines += [f"{len(failures)} failures:" if failures else "No failures.", ""]
    for v in failures:
        lines += [
            f"- {v.case.category}: {v.case.text!r}",
            f"  - expected {_short(v.case.plan)}",
            f"  - got {_short(v.plan)}",
        ]
    return "\n".join(lines) + "\n"


def _share(values: Iterable[bool]) -> str:
    rows = list(values)
    return f"{100 * sum(rows) / len(rows):.1f} %" if rows else "none"


def _short(plan: EditPlan) -> str:
    edits = ", ".join(f"{e.imperfection}@{e.region}*{e.strength:g}" for e in plan.edits)
    keep = ", ".join(f"{k.imperfection}@{k.region}" for k in plan.keep)
    about = ", ".join(f"{k.imperfection}@{k.region}" for k in plan.about)
    factor = f" x{plan.factor:g}" if plan.intent == "adjust" else ""
    parts = [f"{plan.intent}{factor}", edits, f"keep {keep}" if keep else "", f"about {about}" if about else ""]
    return " | ".join(p for p in parts if p)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.evaluation.language", description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--weights", type=Path, help="folder with language.safetensors; default: the shipped ones")
    parser.add_argument("--out", type=Path, help="file to write; default: standard output")
    options = parser.parse_args(arguments)
    from retouchgpt.language.understanding import Understanding
    from retouchgpt.model.checkpoint import shipped

    understanding = Understanding.load(options.weights or shipped())
    understanding.plan("warm up")
    text = report(judge(read_cases(options.cases), understanding.plan))
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
