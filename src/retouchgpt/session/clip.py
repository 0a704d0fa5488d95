"""Frames in, edited frames out, in order: faces followed, key frames looked at, corrections carried (video's inside).

At most KEY + 1 frames are held. A group is the frames from behind one key frame up to the next; its frames lie between
two looks and blend what both say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.errors import FaceTooSmall, NoSuchFace, UnusableInput
from retouchgpt.core.facts import Facts
from retouchgpt.core.geometry import Box
from retouchgpt.photo.composite import paste_all
from retouchgpt.photo.faces import LEAST_FACE_PX, Face, FaceFinder, choose, number
from retouchgpt.photo.frames import Frame
from retouchgpt.photo.segments import State
from retouchgpt.photo.tracking import Scenes, Track, Tracker
from retouchgpt.photo.video import as_stored, upright

from .carry import FADE, KEY, Key, Looker, Placed, at_key, between, facts_from_json

SEARCH = 3
"""Where no face is followed, every so many frames the whole picture is searched."""


class Edited(NamedTuple):
    """A frame that is done. mask: (H, W) bool, whole chroma cells in which samples may have changed; None for none."""

    frame: Frame
    mask: NDArray[np.bool_] | None


@dataclass
class Story:
    """What is known of one face over the clip. born, last: frame numbers. facts: of the key frame, number `told`, with
    the largest edit, `area` map px. edited: frames in which it was edited."""

    born: int
    first: bool
    last: int
    key: Key | None = None
    facts: Facts | None = None
    told: int = 0
    area: int = -1
    edited: int = 0


@dataclass
class _Pending:
    frame: Frame
    faces: dict[int, tuple[Face, int]]
    """By track: the face as stored in the file, and for how many frames it has been missing."""


@dataclass
class ClipSession:
    """Retouches the frames of one clip, given in order. which: the faces, as for photos, judged in each scene."""

    looker: Looker
    finder: FaceFinder
    which: str = "all"
    every: int = KEY
    stories: dict[int, Story] = field(default_factory=dict)
    refused: str = ""
    next_frame: int = 0
    seen_faces: int = 0

    def __post_init__(self) -> None:
        self.tracker, self.scenes = Tracker(self.finder), Scenes()
        self._pending: list[_Pending] = []
        self._chosen: set[int] = set()
        self._since, self._scene = self.every, 0
        self.most_held = 0

    def feed(self, frame: Frame) -> Iterator[Edited]:
        """Take the next frame; yields those that are done."""
        shown = upright(frame.rgb(8), frame.turn)
        if self.scenes.new(shown):
            yield from self._close()
            self._since, self._scene = self.every, frame.index
        elif not self.tracker.tracks and self._since % SEARCH == 0:
            self._since = self.every
        is_key = self._since >= self.every
        tracks = self.tracker.follow(shown, everywhere=is_key)
        self._meet(tracks, frame.index)
        placed = {t.number: (self._stored(t, frame), t.missing) for t in tracks if t.number in self._chosen}
        self._pending.append(_Pending(frame, placed))
        self.most_held = max(self.most_held, len(self._pending))
        self._since = 1 if is_key and self.tracker.tracks else self._since % self.every + 1
        self.next_frame = frame.index + 1
        if is_key or not placed:
            yield from self._group()

    def finish(self) -> Iterator[Edited]:
        """The frames still held at the clip's end."""
        yield from self._close()

    @property
    def resting(self) -> bool:
        """Whether no frame is held, so that `state` is all there is to go on with."""
        return not self._pending

    def _close(self) -> Iterator[Edited]:
        """The scene ends with the last frame held: it is looked at, and nobody is followed beyond."""
        yield from self._group()
        self.tracker.forget()
        for track in self._chosen:
            self.stories[track].key = None
        self._chosen = set()

    def _meet(self, tracks: tuple[Track, ...], index: int) -> None:
        """Choose among faces that came in, and note when each was seen."""
        for track in tracks:
            if track.number not in self.stories:
                self.seen_faces += 1
                self.stories[track.number] = Story(index, index == self._scene, index)
                self._consider(tracks)
            if track.missing == 0:
                self.stories[track.number].last = index

    def _consider(self, tracks: tuple[Track, ...]) -> None:
        here = [t for t in tracks if t.missing == 0]
        if self.which == "all":
            self._chosen |= {t.number for t in here if t.face.width_px >= LEAST_FACE_PX}
            self.refused = self.refused or str(FaceTooSmall(max(t.face.width_px for t in here), LEAST_FACE_PX))
            return
        if any(t.number in self._chosen for t in tracks):
            return
        ordered = sorted(here, key=lambda t: -t.face.width_px)
        faces = [t.face for t in ordered]
        try:
            wanted = choose(faces, self.which)
        except (NoSuchFace, FaceTooSmall) as error:
            self.refused = str(error)
            return
        self._chosen |= {t.number for t in ordered if any(t.face is w for w in wanted)}

    def _stored(self, track: Track, frame: Frame) -> Face:
        if not frame.turn:
            return track.face
        points = as_stored(track.face.landmarks, frame.turn, frame.extent)
        return number([points], frame.extent)[0]

    def _group(self) -> Iterator[Edited]:
        """Look at the last frame held, and let go of all that are held."""
        if not self._pending:
            return
        group, self._pending = self._pending, []
        last = group[-1]
        left = {t: self.stories[t].key for p in group for t in p.faces}
        right = {t: self._look(t, last) for t in left}
        for i, pending in enumerate(group, 1):
            placed = [
                self._place(pending, t, left[t], right[t], 1.0 if pending is last else i / len(group))
                for t in pending.faces
            ]
            yield self._edit(pending.frame, [p for p in placed if p is not None])
        followed = {t.number for t in self.tracker.tracks}
        for track, key in right.items():
            self.stories[track].key = (key or left[track]) if track in followed else None

    def _look(self, track: int, pending: _Pending) -> Key | None:
        face, missing = pending.faces.get(track, (None, 1))
        if face is None or missing:
            return None
        story = self.stories[track]
        pixels = pending.frame.rgb()
        key, facts, area = self.looker.key(pixels, face, pending.frame.index, story.key)
        if area > story.area:
            story.facts, story.told, story.area = facts, pending.frame.index, area
        return key

    def _place(self, pending: _Pending, track: int, left: Key | None, right: Key | None, along: float) -> Placed | None:
        face, missing = pending.faces[track]
        presence = self._presence(track, pending.frame.index, missing)
        if presence <= 0:
            return None
        if along == 1.0 and right is not None:
            placed = at_key(face, self.looker.size, right, presence)
        else:
            placed = between(pending.frame.rgb(), face, self.looker.size, left, right, along, presence)
        self.stories[track].edited += placed is not None
        return placed

    def _presence(self, track: int, index: int, missing: int) -> float:
        """How much of the correction is shown: less while a face comes in or is lost."""
        story = self.stories[track]
        coming = 1.0 if story.first else (index - story.born + 1) / FADE
        return float(np.clip(min(coming, 1 - missing / FADE), 0, 1))

    def _edit(self, frame: Frame, placed: list[Placed]) -> Edited:
        if not placed:
            return Edited(frame, None)
        before = frame.rgb(16)
        pasted = paste_all(before, [(p.correction, p.mask, p.alignment) for p in placed])
        inside = pasted.mask > 0
        if not inside.any():
            return Edited(frame, None)
        box = _around(inside)
        change = (pasted.pixels[box.slices].astype(np.float32) - before[box.slices]) / 65535
        frame.add(box, change)
        return Edited(frame, _cells(inside, frame.layout.cell))

    def state(self) -> State:
        """All that is needed to go on with the next frame; only where it is `resting`."""
        assert self.resting, "frames are held"
        values: dict[str, Any] = {
            "next_frame": self.next_frame, "since": self._since, "scene": self._scene, "chosen": sorted(self._chosen),
            "refused": self.refused, "seen_faces": self.seen_faces, "count": self.tracker.count,
            "usual": self.scenes.usual, "tracks": [], "stories": {},
        }  # fmt: skip
        arrays: dict[str, NDArray[Any]] = {}
        if self.scenes.last is not None:
            arrays["thumb"] = self.scenes.last
        for t in self.tracker.tracks:
            values["tracks"].append([t.number, list(t.speed), t.missing, t.face.width_px, list(t.face.box)])
            arrays[f"face{t.number}"] = t.face.landmarks
        for n, s in self.stories.items():
            facts = None if s.facts is None else s.facts.to_json()
            values["stories"][str(n)] = [s.born, s.first, s.last, s.told, s.area, s.edited, facts]
            if s.key is not None:
                arrays |= {f"key{n}_{name}": array for name, array in s.key.arrays().items()}
        return State(values, arrays)

    def restore(self, state: State) -> None:
        """Go on from a state. Raises KeyError or ValueError for one that is none."""
        v, arrays = state.values, state.arrays
        self.next_frame, self._since, self._scene = int(v["next_frame"]), int(v["since"]), int(v["scene"])
        self._chosen, self.refused, self.seen_faces = set(v["chosen"]), str(v["refused"]), int(v["seen_faces"])
        self.tracker.count, self.scenes.usual = int(v["count"]), float(v["usual"])
        self.scenes.last = arrays.get("thumb")
        self.tracker.tracks = [
            Track(n, Face(n, arrays[f"face{n}"], Box(*box), width), (speed[0], speed[1]), missing)
            for n, speed, missing, width, box in v["tracks"]
        ]
        for name, (born, first, last, told, area, edited, facts) in v["stories"].items():
            prefix = f"key{name}_"
            own = {k[len(prefix) :]: a for k, a in arrays.items() if k.startswith(prefix)}
            self.stories[int(name)] = Story(
                born, first, last, Key.of(own) if own else None,
                None if facts is None else facts_from_json(facts), told, area, edited,
            )  # fmt: skip

    def check(self) -> None:
        """Raises UnusableInput where faces were seen, but none that was asked for or large enough."""
        if self.seen_faces and not any(s.facts is not None for s in self.stories.values()):
            raise UnusableInput(self.refused or "no face in it could be looked at. Use a clip that shows one clearly.")


def _around(inside: NDArray[np.bool_]) -> Box:
    rows, columns = np.nonzero(inside.any(1))[0], np.nonzero(inside.any(0))[0]
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def _cells(inside: NDArray[np.bool_], cell: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask rounded out to whole chroma cells."""
    (height, width), (cw, ch) = inside.shape, cell
    if cell == (1, 1):
        return inside
    padded = np.pad(inside, ((0, -height % ch), (0, -width % cw)))
    whole = padded.reshape(padded.shape[0] // ch, ch, padded.shape[1] // cw, cw).any((1, 3))
    return whole.repeat(ch, 0).repeat(cw, 1)[:height, :width]
