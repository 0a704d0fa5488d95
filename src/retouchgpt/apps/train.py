"""`retouchgpt train RECIPE ...`: hands over to the trainer."""

from __future__ import annotations

import argparse

from retouchgpt.core.errors import MissingExtra


def run(options: argparse.Namespace) -> int:
    try:
        import accelerate
    except ImportError as error:
        raise MissingExtra("accelerate", "train") from error
    del accelerate
    from retouchgpt.training.__main__ import main

    main(options.arguments)
    return 0
