"""Real imperfections, for eyes: sheets of what the shipped weights do to them.

`python -m retouchgpt.evaluation.real FACES --out DIR`: each row before, after, mask and difference x8, in a window in
which the marks can be judged. What numbers can tell, and the answers, stand in DIR/real.json, verdicts by eye go to
`verdicts`. With `--hard` the sheets are of whole faces of difficult sorts, some made so: grey, small, coded as JPEG 40.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from retouchgpt.core.errors import BadData, NoFaceFound
from retouchgpt.core.vocabulary import IMPERFECTIONS

from .metrics import Image
from .portraits import Portraits, Retouched, retouched

if TYPE_CHECKING:
    from retouchgpt.session import RetouchGPT, Session

PANEL, ROWS = 300, 4
WHOLE = (0.1, 0.08, 0.94, 0.92)
HARD_INSTRUCTIONS = ("Clean up.", "Remove the spots.")
LOW_SIDE, LOW_QUALITY = 192, 40


class Window(NamedTuple):
    """A part of the crop: x0, y0, x1, y1 in [0, 1]."""

    x0: float
    y0: float
    x1: float
    y1: float

    def of(self, image: Any) -> Any:
        """That part of an (H, W, ...) array."""
        height, width = image.shape[:2]
        rows = slice(round(self.y0 * height), round(self.y1 * height))
        return image[rows, round(self.x0 * width) : round(self.x1 * width)]

    def square(self) -> Window:
        """The smallest square around it that lies in the crop."""
        side = max(self.x1 - self.x0, self.y1 - self.y0)
        x0, y0 = (
            min(max((low + high - side) / 2, 0), 1 - side) for low, high in ((self.x0, self.x1), (self.y0, self.y1))
        )
        return Window(x0, y0, x0 + side, y0 + side)


@dataclass(frozen=True)
class RealCase:
    """One thing asked of one face. goes, stays: what should happen, in words."""

    face: str
    kind: str
    instruction: str
    goes: str
    stays: str
    window: Window

    @property
    def key(self) -> str:
        return f"{self.face} {self.kind}"


@dataclass(frozen=True)
class Counts:
    """What needs no eye. edited_px: pixels that differ; share: of the editable skin. change: their mean absolute
    change, in levels of 255. in_window: share of them in the case's window. outside: pixels that differ where no skin
    may be edited."""

    edited_px: int
    share: float
    change: float
    in_window: float
    outside: int


def real_cases() -> list[RealCase]:
    """The cases that come with the package."""
    return [RealCase(**{**c, "window": Window(*c["window"])}) for c in _data()["cases"]]


def hard_faces() -> dict[str, list[str]]:
    """Ids by what makes a face hard."""
    faces: dict[str, list[str]] = _data()["hard"]
    return faces


def _data() -> Any:
    return json.loads(files("retouchgpt.evaluation").joinpath("data/real.json").read_text())


def counted(done: Retouched, window: Window) -> Counts:
    """Counts of one retouched face."""
    changed, edited = done.changed, int(done.changed.sum())
    difference = np.abs(done.after.astype(np.int16) - done.before.astype(np.int16)).mean(2)
    return Counts(
        edited,
        round(edited / max(int(done.editable.sum()), 1), 4),
        round(float(difference[changed].mean()), 2) if edited else 0.0,
        round(float(window.of(changed).sum()) / max(edited, 1), 3),
        int((changed & ~done.editable).sum()),
    )


def row(done: Retouched, window: Window, label: str) -> Image:
    """Before, after, mask and difference x8 around a window, side by side, (PANEL, 4 PANEL, 3)."""
    change = (128 + 8 * (done.after.astype(np.int16) - done.before.astype(np.int16))).clip(0, 255).astype(np.uint8)
    mask = np.repeat(np.rint(done.mask * 255).astype(np.uint8)[..., None], 3, 2)
    parts = [cv2.resize(window.square().of(x), (PANEL, PANEL), interpolation=cv2.INTER_CUBIC)
             for x in (done.before, done.after, mask, change)]  # fmt: skip
    strip = np.ascontiguousarray(np.hstack(parts))
    for colour, width in (((0, 0, 0), 3), ((255, 255, 0), 1)):
        cv2.putText(strip, label, (5, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, width, cv2.LINE_AA)
    return strip


def answered(engine: RetouchGPT, session: Session, instruction: str) -> str:
    """The answer to an instruction that `retouched` has just put in force, to the first face."""
    from retouchgpt.session.session import facts_of

    plan = engine.understand(instruction)
    return engine.answer(facts_of(session.faces[0], session.render().repairs[0], plan), instruction)


def made_hard(image: Image, sort: str) -> Image:
    """The face as its sort needs it: others are so by themselves."""
    if sort == "black and white":
        return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    if sort == "low resolution":
        return cv2.resize(image, (LOW_SIDE, LOW_SIDE), interpolation=cv2.INTER_AREA)
    if sort == f"JPEG {LOW_QUALITY}":
        coded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, LOW_QUALITY])[1]
        return np.ascontiguousarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1])
    return image


def write_sheets(rows: Sequence[Image], out: Path, name: str) -> None:
    """ROWS rows a PNG: name_00.png and so on."""
    for start in range(0, len(rows), ROWS):
        path = out / f"{name}_{start // ROWS:02}.png"
        cv2.imwrite(str(path), np.vstack(rows[start : start + ROWS])[..., ::-1])


def run_cases(engine: RetouchGPT, portraits: Portraits, cases: Sequence[RealCase], out: Path) -> dict[str, Any]:
    """Sheets by kind, and the counts by case."""
    told: dict[str, Any] = {}
    for kind in IMPERFECTIONS:
        rows = []
        for case in (c for c in cases if c.kind == kind):
            session = engine.open(portraits.read(case.face))
            done = retouched(engine, session, case.instruction)
            told[case.key] = asdict(counted(done, case.window)) | {
                "answer": answered(engine, session, case.instruction)
            }
            rows.append(row(done, case.window, case.key))
        write_sheets(rows, out, kind)
    return told


def run_hard(engine: RetouchGPT, portraits: Portraits, faces: dict[str, list[str]], out: Path) -> dict[str, Any]:
    """A sheet a sort and instruction, and the counts by sort, face and instruction."""
    told: dict[str, Any] = {}
    for sort, ids in faces.items():
        rows: dict[str, list[Image]] = {text: [] for text in HARD_INSTRUCTIONS}
        for face in ids:
            for text, done in _under_all(engine, made_hard(portraits.read(face), sort)):
                told[f"{sort}, {face}, {text}"] = asdict(counted(done, Window(*WHOLE)))
                rows[text].append(row(done, Window(*WHOLE), f"{face} {text}"))
        for text, strips in rows.items():
            write_sheets(strips, out, f"hard_{sort}_{text}".lower().replace(" ", "_").strip("."))
    return told


def _under_all(engine: RetouchGPT, image: Image) -> Iterator[tuple[str, Retouched]]:
    try:
        session = engine.open(image)
    except NoFaceFound:
        return
    for text in HARD_INSTRUCTIONS:
        yield text, retouched(engine, session, text)


def main(arguments: Sequence[str] | None = None) -> int:
    from retouchgpt.session import RetouchGPT

    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="retouchgpt.evaluation.real", description=about)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/real"))
    parser.add_argument("--weights")
    parser.add_argument("--hard", action="store_true")
    parser.add_argument("--only", nargs="*", help="kinds, or with --hard sorts")
    options = parser.parse_args(arguments)
    portraits, engine = Portraits(options.faces), RetouchGPT.from_pretrained(options.weights)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.hard:
        faces = {k: v for k, v in hard_faces().items() if not options.only or k in options.only}
        told = run_hard(engine, portraits, faces, options.out)
    else:
        cases = [c for c in real_cases() if not options.only or c.kind in options.only]
        missing = sorted({c.face for c in cases if c.face not in portraits})
        if missing:
            raise BadData(f"{options.faces} lacks {', '.join(missing)}; give the folder that holds val and train.")
        told = run_cases(engine, portraits, cases, options.out)
    path = options.out / ("hard.json" if options.hard else "real.json")
    path.write_text(json.dumps({"versions": engine.versions, "counts": told}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
