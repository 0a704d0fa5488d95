"""Does the agent pay? Agents of several seeds against equal steps and one-shot, on painted validation faces.

    python -m retouchgpt.evaluation.stepwise FACES --agents RUN [RUN ...] [--weights DIR] [--limit N] [--out DIR]

Each RUN is a folder that training.reinforcement wrote. The best fixed number of steps is chosen in hindsight, on these
very faces, which favours it over the agent.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from retouchgpt.core.errors import BadData
from retouchgpt.core.plan import EditPlan
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.model.agent import load_agent
from retouchgpt.model.checkpoint import LLM, WEIGHTS, from_pretrained, sha256, shipped
from retouchgpt.model.llm_embedding import DialogueTokens
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.photo.composite import paste
from retouchgpt.session.face import LookedAt, select
from retouchgpt.session.steps import Pace, repair_in_steps
from retouchgpt.training.reinforcement import LOG

from .cases import Case, cases, painted_faces
from .methods import UNTOUCHED, Ours, speech
from .metrics import Image, damage, error, psnr
from .tally import Cell, Tally

STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""97.5 % quantiles of Student's t for 1 to 10 degrees of freedom."""
ONE_SHOT = "one step (one-shot)"
AGENT = "agent, seed "


def paces(agents: Sequence[Path], most: int, weights: str | None = None) -> dict[str, Pace | None]:
    """Everything that is compared, by name; None leaves the photo alone. Raises AgentMissing or WeightsMismatch."""
    table: dict[str, Pace | None] = {UNTOUCHED: None, ONE_SHOT: Pace(None, 1)}
    table |= {f"{n} equal steps": Pace(None, n) for n in range(2, most + 1)}
    for number, folder in enumerate(agents):
        agent = load_agent(folder, weights)
        table[f"{AGENT}{number}"] = Pace(agent, agent.config.most)
    return table


def compare(
    folder: Path, network: RetouchNetwork, table: Mapping[str, Pace | None], *, limit: int | None = None,
    draws: int = 400, speak: Callable[[EditPlan], DialogueTokens | None] | None = None, progress: bool = True,
) -> Tally:  # fmt: skip
    """Removal, gain, damage and steps of every pace on every request. Raises BadData on unusable faces."""
    tally, ours, found = Tally(draws), Ours(network, speak=speak), False
    for face in tqdm(painted_faces(folder, limit=limit, paintings=1), unit="face", disable=not progress, desc="steps"):
        for case in cases(face):
            found = True
            seen = ours.seen(case)
            for name, pace in table.items():
                picture, steps = walk(ours, seen, case, pace)
                key = [("steps", name), ("steps", name, case.kind)]
                before = error(case.image, case.target, case.asked)
                tally.add(face.face_id, key, "removal", before - error(picture, case.target, case.asked), before)
                gain = psnr(picture, case.target) - psnr(case.image, case.target)
                for measure, value in (("gain", gain), ("damage", damage(case.image, picture, case.asked))):
                    tally.add(face.face_id, key, measure, value)
                tally.add(face.face_id, key, "steps", float(steps))
    if not found:
        raise BadData(f"{folder}: nothing visible was painted on its faces")
    return tally


def walk(ours: Ours, seen: LookedAt, case: Case, pace: Pace | None) -> tuple[Image, int]:
    """The picture after the last step, and how many there were."""
    if pace is None:
        return case.image, 0

    def choose(now: LookedAt):  # type: ignore[no-untyped-def]
        return select(ours.network, now, case.plan, None)

    trail = repair_in_steps(ours.network, seen, choose, ours.speak(case.plan), pace)
    if not trail:
        return case.image, 0
    return paste(case.image, trail[-1].correction, trail[-1].mask, seen.alignment).pixels, len(trail)


def removal(tally: Tally, name: str) -> Cell:
    """Mean over kinds."""
    return tally.over([("steps", name, kind) for kind in IMPERFECTIONS], "removal")


def over_seeds(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half-width of its 95 % interval by Student's t; nan for fewer than two seeds."""
    if len(values) < 2:
        return float(np.mean(values)), float("nan")
    quantile = STUDENT[min(len(values) - 1, len(STUDENT)) - 1]
    return float(np.mean(values)), float(quantile * np.std(values, ddof=1) / len(values) ** 0.5)


def report(tally: Tally) -> str:
    """Markdown: a row a pace, then agent over seeds against the best fixed number of steps and one-shot."""
    names = [k[1] for k in tally.under("steps") if len(k) == 2]
    lines = ["| pace | removal | gain, dB | outside damage | steps |", "|---|---|---|---|---|"]
    for name in names:
        cells = [tally.cell(("steps", name), m) for m in ("gain", "damage", "steps")]
        rest = f"{cells[0].text(2, sign=True)} | {cells[1].text()} | {cells[2].text(2)}"
        lines.append(f"| {name} | {removal(tally, name).text()} | {rest} |")
    fixed = {n: removal(tally, n).value for n in names if not n.startswith(AGENT) and n != UNTOUCHED}
    seeds = [removal(tally, n).value for n in names if n.startswith(AGENT)]
    best = max(fixed, key=lambda n: fixed[n])
    lines += ["", f"Best fixed number of steps, chosen in hindsight: {best}, removal {fixed[best]:.3f}."]
    if seeds:
        mean, half = over_seeds(seeds)
        spread = "one seed, no interval" if np.isnan(half) else f"95 % over {len(seeds)} seeds: +- {half:.3f}"
        lines.append(
            f"Agent: removal {mean:.3f} ({spread}); {mean - fixed[best]:+.3f} against the best fixed number, "
            f"{mean - fixed[ONE_SHOT]:+.3f} against one-shot."
        )
    return "\n".join(lines) + "\n"


def curve(runs: Sequence[Path]) -> list[list[tuple[int, float]]]:
    """Each run's learning curve: update and the return of its likeliest actions on fixed crops. Raises BadData."""
    out = []
    for run in runs:
        try:
            entries = [json.loads(line) for line in (run / LOG).read_text().splitlines()]
        except (OSError, ValueError) as problem:
            raise BadData(f"{run} is not a run of reinforcement: {problem}") from problem
        out.append([(int(e["update"]), float(e["validation"]["return"])) for e in entries if "validation" in e])
    return out


def drawing(curves: Sequence[Sequence[tuple[int, float]]], equal: Sequence[float] = ()) -> str:
    """Learning curves as SVG; `equal` draws dashed lines, the returns of 1, 2, ... equal steps."""
    points = [p for c in curves for p in c]
    if not points:
        raise BadData("no run has been validated yet, so there is no learning curve")
    values = [v for _, v in points] + list(equal)
    low, high, last = min(values), max(values), max(u for u, _ in points)
    span = max(high - low, 1e-6)

    def place(update: float, value: float) -> str:
        return f"{60 + 520 * update / last:.1f},{260 - 230 * (value - low) / span:.1f}"

    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="600" height="300" font-family="sans-serif" font-size="11">',
        '<rect width="600" height="300" fill="#fff"/><path d="M60 30V260H580" fill="none" stroke="#888"/>',
        f'<text x="55" y="34" text-anchor="end">{high:.3f}</text>',
        f'<text x="55" y="264" text-anchor="end">{low:.3f}</text>',
        f'<text x="580" y="276" text-anchor="end">{last} updates</text>',
        '<text x="60" y="20">return on fixed crops; dashed: 1, 2, ... equal steps</text>',
    ]
    for number, value in enumerate(equal, 1):
        a, b = place(0, value), place(last, value)
        parts.append(f'<path d="M{a} L{b}" stroke="#999" stroke-dasharray="4 4" fill="none"/>')
        parts.append(f'<text x="583" y="{float(b.split(",")[1]) + 4:.1f}" fill="#777">{number}</text>')
    for c in curves:
        parts.append(f'<polyline points="{" ".join(place(*p) for p in c)}" fill="none" stroke="#06c"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def equal_returns(run: Path) -> list[float]:
    """Returns of 1, 2, ... equal steps on the run's fixed crops."""
    first = json.loads((run / LOG).read_text().splitlines()[0])
    return [first["equal"][n]["return"] for n in sorted(first["equal"], key=int)]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.evaluation.stepwise", description=__doc__)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--agents", type=Path, nargs="*", default=[])
    parser.add_argument("--weights", type=Path, default=shipped())
    parser.add_argument("--most", type=int, default=4, help="equal steps at most")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--out", type=Path, help="folder for steps.md and curve.svg")
    options = parser.parse_args(arguments)
    table = paces(options.agents, options.most, sha256(options.weights / WEIGHTS))
    network = from_pretrained(options.weights)
    speak = speech(network, options.weights) if (options.weights / LLM).is_dir() else None
    text = report(compare(options.faces, network, table, limit=options.limit, speak=speak))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "steps.md").write_text(text)
        if options.agents:
            (options.out / "curve.svg").write_text(drawing(curve(options.agents), equal_returns(options.agents[0])))
    print(text)


if __name__ == "__main__":
    main()
