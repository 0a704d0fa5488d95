"""The video benchmark: painted faces moved and lit over time; how steady an edit is, carried and frame by frame.

python -m retouchgpt.evaluation.video FACES [--weights DIR] [--limit N] [--frames N] [--out DIR] [--document FILE]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from retouchgpt.core.plan import Edit, EditPlan
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.model.checkpoint import WEIGHTS, sha256
from retouchgpt.model.imperfection import Selection, given
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.photo.composite import to_model
from retouchgpt.photo.faces import FaceFinder, shared_finder
from retouchgpt.photo.frames import frame_of, rounded
from retouchgpt.photo.video import pyav
from retouchgpt.session.carry import Chooser, Looker, by_plan
from retouchgpt.session.clip import KEY, ClipSession, Edited
from retouchgpt.session.engine import weights_folder
from retouchgpt.session.face import LookedAt

from . import documents
from .cases import Painted, painted_faces
from .metrics import Image, Mask, visible

UNTOUCHED = "input untouched"
CLEAN = "never painted"
PLACE = "steadiness"
FRAMES = 24
SIDE = 448
"""Side of the clip's picture in px."""
GRAIN = 1.5
"""Standard deviation of each frame's own noise, 8-bit levels."""
PLAN = EditPlan("retouch", (Edit("all"),))


class Motion:
    """How a face of 512 px moves through a picture: head motion, a slow bending of the skin, and light.

    Points of the face are mapped forward in closed form, so a measure in the face's own frame needs no estimated flow.
    """

    def __init__(self, seed: int, side: int = SIDE, face: int = 512) -> None:
        rng = np.random.default_rng((0xC11B, seed))
        self._side, self._face = side, face
        self._phase = rng.uniform(0, 2 * np.pi, 8)
        self._pace = rng.uniform(0.12, 0.3, 8)

    def _wave(self, i: int, t: int) -> float:
        return float(np.sin(self._phase[i] + self._pace[i] * t))

    def _similar(self, t: int) -> NDArray[np.float64]:
        """(2, 3): face px -> picture px; shifts of up to 18 px, turns of up to 5 degrees, 4 % in size."""
        scale = 0.82 * self._side / self._face * (1 + 0.04 * self._wave(0, t))
        angle = np.radians(5) * self._wave(1, t)
        c, s = scale * np.cos(angle), scale * np.sin(angle)
        middle = np.array((self._side / 2 + 18 * self._wave(2, t), self._side / 2 + 12 * self._wave(3, t)))
        linear = np.array([[c, -s], [s, c]])
        return np.column_stack([linear, middle - linear @ np.array((self._face / 2, self._face / 2))])

    def _bend(self, points: NDArray[np.float64], t: int) -> NDArray[np.float64]:
        """Displacement of face points by expression, up to 4 face px, (N, 2)."""
        unit = points / self._face * 2 * np.pi
        dx = 3 * self._wave(4, t) * np.sin(unit[:, 1] + 1) + 1.5 * self._wave(5, t) * np.sin(2 * unit[:, 0])
        dy = 4 * self._wave(6, t) * np.sin(unit[:, 1] * 0.8 + unit[:, 0] * 0.5)
        return np.stack([dx, dy], 1)

    def place(self, points: NDArray[np.floating], t: int) -> NDArray[np.float64]:
        """Face points (N, 2) in picture px of frame t."""
        p = np.asarray(points, np.float64)
        m = self._similar(t)
        return (p + self._bend(p, t)) @ m[:, :2].T + m[:, 2]

    def render(self, face: NDArray[Any], t: int, *, border: int = cv2.BORDER_REFLECT) -> NDArray[np.float32]:
        """A map of the face, (512, 512) or (512, 512, 3), in the picture of frame t."""
        y, x = np.mgrid[0 : self._side, 0 : self._side] + 0.5
        back = cv2.invertAffineTransform(self._similar(t))
        aligned = np.stack([x.ravel(), y.ravel()], 1) @ back[:, :2].T + back[:, 2]
        points = aligned
        for _ in range(6):  # the bending is slight, so this settles to a hundredth of a px
            points = aligned - self._bend(points, t)
        at = (points - 0.5).reshape(self._side, self._side, 2).astype(np.float32)
        return cv2.remap(np.asarray(face, np.float32), at, None, cv2.INTER_CUBIC, borderMode=border)

    def face(self, picture: NDArray[Any], t: int) -> NDArray[np.float32]:
        """A picture of frame t in the face's own frame: where nothing but the face moves, nothing moves."""
        y, x = np.mgrid[0 : self._face, 0 : self._face] + 0.5
        at = self.place(np.stack([x.ravel(), y.ravel()], 1), t) - 0.5
        at = at.reshape(self._face, self._face, 2).astype(np.float32)
        return cv2.remap(np.asarray(picture, np.float32), at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)

    def light(self, t: int) -> NDArray[np.float32]:
        """(side, side, 1) gain of frame t: a slope that swings and a brightness that drifts."""
        y, x = (np.mgrid[0 : self._side, 0 : self._side] / self._side - 0.5).astype(np.float32)
        slope = x * self._wave(7, t) + y * self._wave(1, t + 5)
        return (1 + 0.25 * slope + 0.08 * np.float32(self._wave(3, t + 9)))[..., None]


@dataclass(frozen=True)
class PaintedClip:
    """A painted face in motion. Frames are made when asked for, always the same bytes."""

    face: Painted
    motion: Motion
    frames: int
    seed: int

    def picture(self, t: int) -> Image:
        """Frame t with everything painted."""
        return self._develop(self.face.painted.image, t)

    def target(self, t: int) -> Image:
        """Frame t without anything painted, under the same grain."""
        return self._develop(self.face.painted.clean, t)

    def _develop(self, image: Image, t: int) -> Image:
        lit = self.motion.render(image, t) * self.motion.light(t)
        grain = np.random.default_rng((self.seed, t)).normal(0, GRAIN, lit.shape)
        return np.rint((lit + grain).clip(0, 255)).astype(np.uint8)

    @property
    def asked(self) -> Mask:
        """Where painted marks are visible, in the face's own frame."""
        return visible(self.face.painted.image, self.face.painted.clean)

    def choose(self, seen: LookedAt, t: int) -> Selection:
        """The painted marks' own masks in frame t, for a network that is told where they are."""
        import torch

        side = seen.heat.shape[-1]
        kinds = np.zeros((len(IMPERFECTIONS), side, side), np.float32)
        for kind in {m.kind for m in self.face.painted.marks}:
            alpha = self.face.painted.alpha(lambda mark, k=kind: mark.kind == k)  # type: ignore[misc]
            there = self.motion.render(alpha, t, border=cv2.BORDER_CONSTANT).clip(0, 1)
            grey = np.rint(np.repeat(there[..., None], 3, 2) * 255).astype(np.uint8)
            crop = to_model(grey, seen.alignment, seen.crop.shape[-1])[..., 0]
            kinds[IMPERFECTIONS.index(kind)] = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
        return given(torch.from_numpy(kinds)[None])


def retouched(
    clip: PaintedClip, looker: Looker, finder: FaceFinder, every: int
) -> Iterator[NDArray[np.float32]]:  # fmt: skip
    """The clip's frames as the video pipeline gives them back in 16 bits, before any coding; in 8-bit levels."""
    av = pyav()
    session = ClipSession(looker, finder, "largest", every)
    for t in range(clip.frames):
        picture = av.VideoFrame.from_ndarray(clip.picture(t).astype(np.uint16) * 257, format="rgb48le")
        yield from (_levels(done) for done in session.feed(frame_of(picture, t, t, 1, 0)))
    yield from (_levels(done) for done in session.finish())


def _levels(done: Edited) -> NDArray[np.float32]:
    return done.frame.rgb().astype(np.float32) / 257


@dataclass
class Steadiness:
    """One method on one clip. warped: mean change from frame to frame inside the marks, in the face's own frame, the
    clip's own change of light divided out, 8-bit levels. flicker: the same of what the method added. removal: 1 - error
    to the target / the input's own. unrounded: warped before the frames were rounded to 8 bits."""

    warped: float
    flicker: float
    removal: float
    unrounded: float


def measure(clip: PaintedClip, frames: Sequence[NDArray[Any]]) -> Steadiness:
    """Steadiness of a method's frames, (H, W, 3) in 8-bit levels, rounded first as the samples of a clip are."""
    asked, steps, after, before = clip.asked, [], 0.0, 0.0
    last: list[NDArray[Any]] = []
    for t, out in enumerate(frames):
        pictures = (rounded(out), clip.picture(t), clip.target(t), out)
        here, own, clean, fine = (clip.motion.face(x / clip.motion.light(t), t)[asked] for x in pictures)
        now = [here, here - own, fine]
        if last:
            steps.append([float(np.abs(a - b).mean()) for a, b in zip(now, last, strict=True)])
        last = now
        after += float(np.abs(here - clean).sum())
        before += float(np.abs(own - clean).sum())
    warped, flicker, unrounded = np.mean(steps, 0)
    return Steadiness(float(warped), float(flicker), 1 - after / before, float(unrounded))


@dataclass
class VideoResult:
    """Steadiness of every method on every clip."""

    frames: int
    scores: dict[str, list[Steadiness]] = field(default_factory=dict)
    sheets: list[Image] = field(default_factory=list)

    def means(self) -> dict[str, dict[str, float]]:
        """Means over clips; `over` is the warped difference over the input's own."""
        own = [s.warped for s in self.scores[UNTOUCHED]]
        return {
            name: {
                "warped": float(np.mean([s.warped for s in scores])),
                "over": float(np.mean([s.warped / o for s, o in zip(scores, own, strict=True)])),
                "unrounded": float(np.mean([s.unrounded / o for s, o in zip(scores, own, strict=True)])),
                "flicker": float(np.mean([s.flicker for s in scores])),
                "removal": float(np.mean([s.removal for s in scores])),
            }
            for name, scores in self.scores.items()
        }

    def table(self) -> str:
        """Markdown."""
        lines = [
            f"{len(self.scores[UNTOUCHED])} painted faces, {self.frames} frames each.", "",
            "| method | warped difference | over the input's | before rounding to 8 bits | flicker | removal |",
            "|---|---|---|---|---|---|",
        ]  # fmt: skip
        for name, m in self.means().items():
            lines.append(
                f"| {name} | {m['warped']:.3f} | {m['over']:.3f} | {m['unrounded']:.3f} "
                f"| {m['flicker']:.3f} | {m['removal']:+.3f} |"
            )
        return "\n".join(lines) + "\n"


def lookers(network: RetouchNetwork, clip: PaintedClip) -> dict[str, tuple[Looker, int]]:
    """Methods: each with its looker and the frames from one look to the next."""
    ways: dict[str, Chooser] = {"": by_plan(network, PLAN), ", true mask given": clip.choose}
    table = {}
    for name, chooser in ways.items():
        table[f"frame by frame{name}"] = (Looker(network, chooser, PLAN, kept=0.0), 1)
        table[f"ours{name}"] = (Looker(network, chooser, PLAN), KEY)
    return table


def run(
    folder: Path, weights: str | Path | None = None, *, limit: int | None = 2, frames: int = FRAMES,
    out: Path | None = None, network: RetouchNetwork | None = None, finder: FaceFinder | None = None,
    progress: bool = True,
) -> VideoResult:  # fmt: skip
    """Measure all methods on clips made from a folder of aligned faces (see data.cache.Faces).

    Writes video.md, video.json and a sheet a clip into `out` where it is given. Raises BadData on unusable faces.
    """
    network = RetouchNetwork.from_pretrained(weights) if network is None else network
    finder = shared_finder() if finder is None else finder
    result = VideoResult(frames)
    faces = painted_faces(folder, limit=limit, paintings=1, offset=50_000)
    for seed, face in enumerate(tqdm(faces, unit="clip", disable=not progress, desc="bench")):
        clip = PaintedClip(face, Motion(seed), frames, seed)
        shown: dict[str, list[NDArray[Any]]] = {UNTOUCHED: [clip.picture(t) for t in range(frames)]}
        shown[CLEAN] = [clip.target(t) for t in range(frames)]
        for name, (looker, every) in lookers(network, clip).items():
            shown[name] = list(retouched(clip, looker, finder, every))
        for name, pictures in shown.items():
            result.scores.setdefault(name, []).append(measure(clip, pictures))
        result.sheets.append(sheet(shown, frames))
    if out is not None:
        write(result, out)
    return result


def sheet(shown: dict[str, list[NDArray[Any]]], frames: int, columns: int = 5) -> Image:
    """Frames across, methods down; each method's change below its picture, eightfold."""
    rows = []
    times = np.linspace(0, frames - 1, columns).round().astype(int)
    for name, pictures in shown.items():
        rows.append(np.hstack([pictures[t] for t in times]))
        if name != UNTOUCHED:
            rows.append(np.hstack([128 + 8 * (pictures[t].astype(np.float32) - shown[UNTOUCHED][t]) for t in times]))
    return np.rint(np.vstack(rows).clip(0, 255)).astype(np.uint8)


def write(result: VideoResult, out: Path) -> None:
    """video.md, video.json and video_N.jpg."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "video.md").write_text(result.table())
    (out / "video.json").write_text(json.dumps({"frames": result.frames, "methods": result.means()}, indent=1) + "\n")
    for i, picture in enumerate(result.sheets):
        cv2.imwrite(str(out / f"video_{i}.jpg"), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.evaluation.video", description=__doc__)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--weights")
    parser.add_argument("--limit", type=int, default=2)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--document", type=Path, help=f"put the table between its marks <!-- {PLACE} -->")
    options = parser.parse_args(arguments)
    if options.document:
        documents.check(options.document, PLACE)
    result = run(options.faces, options.weights, limit=options.limit, frames=options.frames, out=options.out)
    found = f"{result.table()}\nWeights of SHA-256 {sha256(weights_folder(options.weights) / WEIGHTS)[:12]}."
    print(found)
    if options.document:
        documents.put(options.document, PLACE, found)


if __name__ == "__main__":
    main()
