"""`retouchgpt video`: one clip, one instruction."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from retouchgpt.photo.video import open_clip
from retouchgpt.photo.video_out import CONTAINERS, check_clip_output
from retouchgpt.session.result import RetouchRequest

from .retouch import check_text, write_json


def run(options: argparse.Namespace) -> int:
    RetouchRequest(options.instruction, options.strength, options.face).checked()
    clip = open_clip(options.clip)
    out = Path(options.out) if options.out else default_out(Path(options.clip))
    check_clip_output(out, clip, overwrite=options.overwrite)
    if options.report:
        check_text(Path(options.report), overwrite=options.overwrite)
    from retouchgpt.session import RetouchGPT
    from retouchgpt.session.video import retouch_clip

    model = RetouchGPT.from_pretrained(options.weights)
    with Bar(clip.frames, quiet=options.quiet) as bar:
        try:
            result = retouch_clip(
                model, clip, options.instruction, out, strength=options.strength, face=options.face,
                lossless=options.lossless, overwrite=options.overwrite, resume=options.resume, progress=bar,
            )  # fmt: skip
        except KeyboardInterrupt:
            bar.close()
            print(f"retouchgpt: stopped after {bar.done} frames; --resume goes on from there.", file=sys.stderr)
            return 130
    if options.report:
        write_json(Path(options.report), result.report)
    print(result.answer)
    for note in result.notes:
        print(f"Note: {note}.")
    return 0


def default_out(clip: Path) -> Path:
    """CLIP_retouched beside the clip, in its own container where that can be written."""
    suffix = clip.suffix if clip.suffix.lower() in CONTAINERS else ".mkv"
    return clip.with_name(f"{clip.stem}_retouched{suffix}")


class Bar:
    """Frames done, on standard error."""

    def __init__(self, frames: int, *, quiet: bool) -> None:
        from tqdm import tqdm

        self.done = 0
        self._bar: Any = tqdm(
            total=frames or None, unit="frame", desc="retouching", file=sys.stderr, delay=2, mininterval=0.5,
            disable=True if quiet else None, leave=False,
        )  # fmt: skip

    def __call__(self, done: int, frames: int) -> None:
        self._bar.update(done - self.done)
        self.done = done

    def close(self) -> None:
        self._bar.close()

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
