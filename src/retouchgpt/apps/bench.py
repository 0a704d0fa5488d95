"""`retouchgpt bench`: quality on painted faces, or speed."""

from __future__ import annotations

import argparse
from pathlib import Path

from retouchgpt.core.errors import BadData


def run(options: argparse.Namespace) -> int:
    out = Path(options.out) if options.out else None
    if options.what == "speed":
        from retouchgpt.evaluation.speed import run as measure

        print(measure(options.weights, out=out, doc=Path(options.doc) if options.doc else None))
        return 0
    if not options.faces:
        raise BadData("name a folder of aligned faces: --faces FOLDER (index.json, landmarks.npz, ID.jpg).")
    from retouchgpt.evaluation.benchmark import run as judge

    plain = Path(options.plain) if options.plain else None
    result = judge(
        Path(options.faces), options.weights, limit=options.limit, out=out, plain=plain, native=options.native
    )
    print(result.table())
    return 0
