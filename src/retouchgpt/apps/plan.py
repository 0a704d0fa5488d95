"""`retouchgpt plan`: what an instruction is understood as."""

from __future__ import annotations

import argparse
import json
import sys

from retouchgpt.core.plan import EditPlan
from retouchgpt.core.vocabulary import spoken


def run(options: argparse.Namespace) -> int:
    from retouchgpt.language.understanding import Understanding
    from retouchgpt.session.engine import weights_folder

    understanding = Understanding.load(weights_folder(options.weights))
    lines = (line.rstrip("\r\n") for line in sys.stdin) if options.instruction == "-" else [options.instruction]
    for line in lines:
        plan = understanding.plan(line)
        print(json.dumps(plan.to_json()) if options.json else in_words(plan), flush=True)
    return 0


def in_words(plan: EditPlan) -> str:
    """A plan as a person would say it."""
    if plan.intent == "decline":
        return f"Declined: {plan.reason}"
    if plan.intent == "inspect":
        about = ", ".join(f"{spoken(k.imperfection)} on the {spoken(k.region)}" for k in plan.about)
        return f"Look for {about or 'imperfections'}; nothing is edited."
    if plan.intent == "adjust":
        return f"Multiply the strength of the last edit by {plan.factor:g}."
    if plan.intent != "retouch":
        return plan.intent.capitalize() + "."
    edits = "; ".join(
        f"remove {spoken(e.imperfection)} on the {spoken(e.region)}"
        + ("" if e.strength == 1 else f" at {e.strength:.0%}")
        for e in plan.edits
    )
    keep = ", ".join(f"{spoken(k.imperfection)} on the {spoken(k.region)}" for k in plan.keep)
    text = edits or "remove nothing"
    return text[0].upper() + text[1:] + (f"; keep {keep}" if keep else "") + "."
