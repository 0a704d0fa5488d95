"""Faces of a clip from frame to frame: who is who, who comes and goes, where a new scene begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.geometry import Box, Extent

from .faces import Face, FaceFinder

COAST = 6
"""Frames that a face may be missing before its track ends."""
SAME = 0.6
"""Mean distance of landmarks, in face widths, under which two faces may be one."""
ROOM = 0.7
"""Share of a face's width around it in which it is looked for in the next frame."""
THUMB = (48, 27)
CUT = 0.09
"""Mean difference of two thumbnails (of 1) from which a new scene may begin."""
JUMP = 4.0
"""How many times the scene's usual difference that has to be."""


@dataclass(frozen=True)
class Track:
    """One face over time. number: from 1, in order of appearing, never given twice. face: where it was last seen,
    upright px. speed: px a frame. missing: frames since it was last seen."""

    number: int
    face: Face
    speed: tuple[float, float] = (0.0, 0.0)
    missing: int = 0


class Tracker:
    """Follows faces through the frames of one clip in order."""

    def __init__(self, finder: FaceFinder) -> None:
        self.finder = finder
        self.tracks: list[Track] = []
        self.count = 0

    def forget(self) -> None:
        """A new scene: nobody is followed on."""
        self.tracks = []

    def follow(self, rgb: NDArray[np.uint8], *, everywhere: bool) -> tuple[Track, ...]:
        """The tracks in the next frame, upright uint8 (H, W, 3). Faces that were missing so far come in only where it
        is looked at `everywhere`."""
        extent = Extent(rgb.shape[1], rgb.shape[0])
        found = self.finder.find(rgb) if everywhere else self._nearby(rgb, extent)
        pairs = matched([_ahead(t) for t in self.tracks], found)
        after = []
        for i, track in enumerate(self.tracks):
            if i in pairs:
                after.append(_seen(track, found[pairs[i]]))
            elif track.missing < COAST:
                after.append(replace(track, face=_ahead(track), missing=track.missing + 1))
        if everywhere:
            for face in (f for j, f in enumerate(found) if j not in pairs.values()):
                self.count += 1
                after.append(Track(self.count, replace(face, index=self.count)))
        self.tracks = after
        return tuple(after)

    def _nearby(self, rgb: NDArray[np.uint8], extent: Extent) -> list[Face]:
        """Faces found around where the tracks should be by now."""
        found: list[Face] = []
        for track in self.tracks:
            face = _ahead(track)
            box = face.box.grown(round(ROOM * face.width_px)).clipped(extent)
            if min(box.extent) < 16:
                continue
            for near in self.finder.find(np.ascontiguousarray(rgb[box.slices])):
                moved = shifted(near, box.x0, box.y0)
                if all(_distance(moved, other) > SAME / 2 for other in found):
                    found.append(moved)
        return found


def matched(expected: Sequence[Face], found: Sequence[Face]) -> dict[int, int]:
    """Places in `expected` -> places in `found` of the same face, nearest pairs first."""
    costs = sorted(
        (_distance(a, b) + abs(float(np.log(b.width_px / a.width_px))), i, j)
        for i, a in enumerate(expected)
        for j, b in enumerate(found)
        if _distance(a, b) < SAME
    )
    pairs: dict[int, int] = {}
    for _, i, j in costs:
        if i not in pairs and j not in pairs.values():
            pairs[i] = j
    return pairs


def shifted(face: Face, dx: float, dy: float) -> Face:
    """The face moved by so many px."""
    box = Box(*(round(v + d) for v, d in zip(face.box, (dx, dy, dx, dy), strict=True)))
    return replace(face, landmarks=face.landmarks + np.array((dx, dy), np.float32), box=box)


def _distance(a: Face, b: Face) -> float:
    """Mean distance of landmarks in widths of the larger face."""
    apart = np.hypot(*(a.landmarks - b.landmarks).T).mean()
    return float(apart / max(a.width_px, b.width_px, 1.0))


def _ahead(track: Track) -> Face:
    return shifted(track.face, *track.speed)


def _seen(track: Track, face: Face) -> Track:
    """The track at a new place; its speed follows by halves, so that one bad mesh does not throw it off."""
    moved = (face.landmarks - track.face.landmarks).mean(0) / (track.missing + 1)
    speed = tuple(float(0.5 * old + 0.5 * new) for old, new in zip(track.speed, moved, strict=True))
    return Track(track.number, replace(face, index=track.number), (speed[0], speed[1]))


class Scenes:
    """Tells where a new scene begins, by thumbnails whose brightness is evened out (a flash is no new scene)."""

    def __init__(self) -> None:
        self.last: NDArray[np.float32] | None = None
        self.usual = 0.0

    def new(self, rgb: NDArray[Any]) -> bool:
        """Whether a scene begins with this frame, (H, W, 3) uint8; the clip's first frame begins none."""
        thumb = cv2.resize(rgb, THUMB, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        before, self.last = self.last, thumb
        if before is None:
            return False
        gain = (before.mean() + 0.02) / (thumb.mean() + 0.02)
        difference = float(np.abs(thumb * gain - before).mean())
        cut = difference > CUT and difference > JUMP * self.usual
        if not cut:
            self.usual = difference if self.usual == 0 else 0.8 * self.usual + 0.2 * difference
        return cut
