"""A clip and an instruction: read, retouched frame by frame, written part by part, joined at the end."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouchgpt.core.errors import NoFaceInVideo, OutputNotWritable, UnusableInput
from retouchgpt.core.people import EVERYONE, addressed
from retouchgpt.core.plan import EditPlan
from retouchgpt.photo.segments import Segments
from retouchgpt.photo.video import Clip, open_clip, upright
from retouchgpt.photo.video_out import (
    Coder,
    Coding,
    check_clip_output,
    check_streams,
    choose_coding,
    copy_clip,
    write_clip,
)

from .carry import Looker, by_plan
from .clip import ClipSession, Edited, Story
from .result import REPORT_VERSION, RetouchRequest

if TYPE_CHECKING:
    from .engine import RetouchGPT

PART = 120
"""Frames after which a part is closed at the next place where no frame is held."""
SAMPLE = 1 << 20
"""Bytes at either end of a clip by which a resumed run knows it again."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ClipResult:
    """What became of a clip. answer: in words. edited: frames in which something changed. faces: by number, as JSON.
    resumed: frames that an earlier run had done."""

    answer: str
    plan: EditPlan
    instruction: str
    clip: Clip
    frames: int
    edited: int
    faces: tuple[dict[str, Any], ...] = ()
    resumed: int = 0
    notes: tuple[str, ...] = ()
    versions: dict[str, str] | None = None

    @property
    def changed(self) -> bool:
        return self.edited > 0

    @property
    def report(self) -> dict[str, Any]:
        """The JSON report of a clip, see docs/video.md."""
        clip = self.clip
        return {
            "version": REPORT_VERSION,
            "clip": {
                "name": clip.path.name, "width": clip.extent.width, "height": clip.extent.height, "codec": clip.codec,
                "depth": clip.depth, "frames_a_second": float(clip.rate), "turned": clip.turn * 90,
            },
            "instruction": self.instruction,
            "plan": self.plan.to_json(),
            "answer": self.answer,
            "changed": self.changed,
            "frames": self.frames,
            "frames_edited": self.edited,
            "frames_resumed": self.resumed,
            "faces": list(self.faces),
            "versions": dict(self.versions or {}),
            "notes": list(self.notes),
        }  # fmt: skip


def retouch_clip(
    engine: RetouchGPT, clip: str | Path | Clip, instruction: str, out: str | Path, *, strength: float = 1.0,
    face: str = "all", lossless: bool = False, overwrite: bool = False, resume: bool = False,
    progress: Progress | None = None,
) -> ClipResult:  # fmt: skip
    """Retouch a clip by one instruction and write it to `out`, with its other streams, times and rotation.

    face: all, largest, a number or words, judged in each scene; words in the instruction ("face 2: ...") come first.
    resume: go on with the parts that an earlier run of the same work left. progress: called with frames done and
    frames expected (0 where unknown). A stopped run leaves its parts beside `out`, and `out` as it was.

    Raises the errors of open_clip and RetouchRequest.checked, OutputExists, OutputNotWritable, UnsupportedVideo,
    NoFaceInVideo, and NoSuchFace or FaceTooSmall's message as UnusableInput.
    """
    request = RetouchRequest(instruction, strength, face).checked()
    clip = clip if isinstance(clip, Clip) else open_clip(clip)
    out = Path(out)
    check_clip_output(out, clip, overwrite=overwrite)
    who, text = addressed(instruction) if face in ("all", "largest") else ("", instruction)
    everyone = not who or re.fullmatch(EVERYONE, who.lower())
    request = replace(request, face=("all" if who else face) if everyone else who)
    plan = engine.understand(text if who else instruction).scaled(strength)
    job = Job(engine, clip, plan, request, out)
    if plan.intent != "retouch" or not any(e.strength > 0 for e in plan.edits):
        return job.untouched(overwrite=overwrite)
    coding = choose_coding(clip, out, lossless=lossless)
    check_streams(clip, coding, out)
    return job.run(coding, overwrite=overwrite, resume=resume, progress=progress)


@dataclass
class Job:
    """One clip on its way."""

    engine: RetouchGPT
    clip: Clip
    plan: EditPlan
    request: RetouchRequest
    out: Path

    def untouched(self, *, overwrite: bool) -> ClipResult:
        """Nothing to edit: the file is copied, and the first face found answers for itself."""
        session = self._session()
        for frame in self.clip.pictures():
            if self.engine.finder.find(upright(frame.rgb(8), frame.turn)):
                for _ in (*session.feed(frame), *session.finish()):
                    pass
                break
            if frame.index >= 50:
                break
        notes = copy_clip(self.clip, self.out, overwrite=overwrite)
        return self._result(session, 0, 0, (*self.clip.notes, *notes))

    def run(self, coding: Coding, *, overwrite: bool, resume: bool, progress: Progress | None) -> ClipResult:
        """Retouch, write parts, join them."""
        session, parts = self._session(), Segments(self.out)
        try:
            done = parts.begin(self._about(coding), resume=resume)
            edited = 0
            if done:
                state = parts.state(done - 1)
                session.restore(state)
                edited = int(state.values["edited"])
            resumed = session.next_frame
            edited = self._parts(session, parts, done, coding, edited, progress)
            self._check(session, parts)
            if edited == 0:
                notes = copy_clip(self.clip, self.out, overwrite=overwrite)
            else:
                written = write_clip(self.clip, coding, parts.packets(), self.out, overwrite=overwrite)
                notes = (*coding.notes, *written)
        except OSError as error:
            raise OutputNotWritable(self.out, error.strerror or str(error)) from error
        parts.remove()
        return self._result(session, edited, resumed, (*self.clip.notes, *notes))

    def _check(self, session: ClipSession, parts: Segments) -> None:
        """Raises UnusableInput where no face could be looked at; its parts are of no use then."""
        try:
            if session.seen_faces == 0:
                raise NoFaceInVideo(self.clip.path, session.next_frame)
            session.check()
        except UnusableInput:
            parts.remove()
            raise

    def _parts(
        self, session: ClipSession, parts: Segments, number: int, coding: Coding, edited: int, progress: Progress | None
    ) -> int:
        """All frames that are left, a part after another; returns in how many something changed."""
        coder, writer, length = Coder(self.clip, coding), parts.writer(number), 0
        try:
            for done in self._edited(session):
                if done is None:  # no frame is held: a part may end here
                    if length < PART:
                        continue
                    self._end(coder, writer, session, edited)
                    number, length = number + 1, 0
                    coder, writer = Coder(self.clip, coding), parts.writer(number)
                    continue
                for packet in coder.code(done.frame):
                    writer.add(packet)
                edited, length = edited + (done.mask is not None), length + 1
                if progress is not None:
                    progress(done.frame.index + 1, self.clip.frames)
            if length:
                self._end(coder, writer, session, edited)
        finally:
            writer.close()
        return edited

    def _edited(self, session: ClipSession) -> Iterator[Edited | None]:
        """Frames as they are done; None whenever no frame is held."""
        for frame in self.clip.pictures(session.next_frame):
            yield from session.feed(frame)
            if session.resting:
                yield None
        yield from session.finish()

    def _end(self, coder: Coder, writer: Any, session: ClipSession, edited: int) -> None:
        for packet in coder.finish():
            writer.add(packet)
        state = session.state()
        writer.finish(state._replace(values=state.values | {"edited": edited}))

    def _session(self) -> ClipSession:
        engine = self.engine
        tokens = engine.dialogue(self.request.instruction)
        looker = Looker(engine.network, by_plan(engine.network, self.plan), self.plan, tokens)
        return ClipSession(looker, engine.finder, self.request.face)

    def _about(self, coding: Coding) -> dict[str, Any]:
        """What a run to resume must agree in."""
        return {
            "clip": fingerprint(self.clip.path), "plan": self.plan.to_json(), "request": asdict(self.request),
            "coding": [coding.coder, coding.pix_fmt, [list(o) for o in coding.options]],
            "versions": dict(self.engine.versions),
        }  # fmt: skip

    def _result(self, session: ClipSession, edited: int, resumed: int, notes: tuple[str, ...]) -> ClipResult:
        told = {n: s for n, s in session.stories.items() if s.facts is not None}
        faces = tuple(self._face(n, s) for n, s in told.items())
        return ClipResult(
            answer=self._answer(faces, edited, session.next_frame),
            plan=self.plan,
            instruction=self.request.instruction,
            clip=self.clip,
            frames=session.next_frame,
            edited=edited,
            faces=faces,
            resumed=resumed,
            notes=notes,
            versions=self.engine.versions,
        )

    def _face(self, number: int, story: Story) -> dict[str, Any]:
        assert story.facts is not None
        facts = story.facts.to_json()
        return {
            "index": number,
            "first_frame": story.born,
            "last_frame": story.last,
            "frames_edited": story.edited,
            "told_of_frame": story.told,
            "found": list(facts["found"]),
            "edited": list(facts["edited"]),
            "kept": list(facts["kept"]),
            "answer": self.engine.answer(story.facts, self.request.instruction),
        }

    def _answer(self, faces: tuple[dict[str, Any], ...], edited: int, frames: int) -> str:
        """Each face's answer as measured on one frame, and in how many frames something changed."""
        if not faces:
            return self.plan.reason or "Nothing was edited."
        several = " ".join(f"Face {f['index']}: {f['answer']}" for f in faces)
        said = str(faces[0]["answer"]) if len(faces) == 1 else several
        if self.plan.intent != "retouch":
            return said
        if edited == 0:
            return f"{said} No frame was changed."
        return f"{said} Counts are of one frame a face; {edited} of {frames} frames were changed."


def fingerprint(path: Path) -> str:
    """Knows a file again without reading all of it: its size and both its ends."""
    digest = hashlib.sha256(str(path.stat().st_size).encode())
    with path.open("rb") as stream:
        digest.update(stream.read(SAMPLE))
        stream.seek(max(path.stat().st_size - SAMPLE, 0))
        digest.update(stream.read(SAMPLE))
    return digest.hexdigest()
