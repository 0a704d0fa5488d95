"""A session: one photo, looked at once, many instructions; undo is replay."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.errors import BadSession, NoSuchFace
from retouchgpt.core.facts import Facts, Finding
from retouchgpt.core.people import addressed
from retouchgpt.core.pixels import differing
from retouchgpt.core.plan import Edit, EditPlan
from retouchgpt.core.vocabulary import ALL, IMPERFECTIONS, spoken
from retouchgpt.language.dialogue import adjusted
from retouchgpt.model.imperfection import Selection
from retouchgpt.photo.colour import colourless
from retouchgpt.photo.composite import EDGE, Pasted, paste_all, to_photo
from retouchgpt.photo.faces import Face, meant
from retouchgpt.photo.files import Photo
from retouchgpt.photo.layers import Layer, Part, split

from . import saved
from .face import LookedAt, Repair, look, merged, placed, repair, select
from .fading import pictures
from .findings import outcomes
from .result import FaceResult, Result, RetouchRequest
from .steps import Pace, repair_in_steps

if TYPE_CHECKING:
    from .engine import RetouchGPT

UNCHANGED_INTENTS = ("inspect", "decline")


@dataclass(frozen=True)
class Turn:
    """One applied instruction: its text, its plan, the user's mask at photo size or None, and the numbers of the faces
    that it is for, or none for all of them."""

    text: str
    plan: EditPlan
    brush: NDArray[np.float32] | None = None
    faces: tuple[int, ...] = ()

    def concerns(self, face: int) -> bool:
        """Whether the face of this number is meant."""
        return not self.faces or face in self.faces


@dataclass(frozen=True)
class Rendered:
    """A replayed history: pixels, edit mask, each face's repair, and the steps that led to it."""

    pixels: NDArray[Any]
    mask: NDArray[np.float32]
    repairs: tuple[Repair | None, ...]
    trails: tuple[tuple[Repair, ...], ...]


class Session:
    """Instructions on one photo. Made by RetouchGPT.open; not shared between threads."""

    def __init__(
        self, engine: RetouchGPT, photo: Photo, faces: list[Face], timings: dict[str, float],
        others: Sequence[Face] = (),
    ) -> None:  # fmt: skip
        """faces: those that an instruction means when it names none. others: further ones, looked at when named."""
        self.engine, self.photo = engine, photo
        self._others, self._asked = list(others), tuple(face.index for face in faces)
        self._opening = dict(timings)
        self._grey = photo.grey or colourless(photo.pixels)
        start = time.perf_counter()
        self.faces: list[LookedAt] = [look(engine.network, photo.pixels, face, photo.space) for face in faces]
        self._opening["encode"] = time.perf_counter() - start
        self._states: list[tuple[Turn, ...]] = [()]
        self._ahead: list[tuple[Turn, ...]] = []
        self._rendered: tuple[tuple[Turn, ...], Rendered] | None = None
        self._question: EditPlan | None = None
        self._pace: Pace | None = None

    @property
    def found(self) -> tuple[Finding, ...]:
        """What the photo shows, over all opened faces."""
        return tuple(f for face in self.faces for f in face.found)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The instructions in force, oldest first."""
        return self._states[-1]

    @property
    def plan_history(self) -> tuple[EditPlan, ...]:
        """Their plans."""
        return tuple(t.plan for t in self.turns)

    def instruct(self, instruction: str, *, strength: float = 1.0, brush: NDArray[np.floating] | None = None) -> Result:
        """Do what an instruction says.

        strength: in [0, 1], multiplies every edit's own. brush: (H, W) in [0, 1] at the photo's size; edits then happen
        inside it and nowhere else. Among several faces "face 2: ..." or "... on the man on the left" means those alone.
        Raises EmptyInstruction, InstructionTooLong, InvalidPlan or NoSuchFace.
        """
        RetouchRequest(instruction, strength).checked()
        start = time.perf_counter()
        who, text = self._addressed(instruction)
        mine = [t for t in self.turns if not who or set(t.faces or self._numbers) & set(who)]
        asked = () if self._question is None else (self._question,)
        plan = self.engine.understand(text, (*(t.plan for t in mine), *asked))
        self._question = plan if plan.intent == "inspect" else None
        understood = time.perf_counter() - start
        mask = None if brush is None else saved.quantised(brush)
        plan = plan if mask is None else where_painted(plan)
        if plan.intent == "retouch":
            self._retouch(Turn(text, saved.exact(plan.scaled(strength)), mask, who))
        elif plan.intent == "adjust":
            self._push(_adjusted(self.turns, plan, who, self._numbers))
        elif plan.intent in ("undo", "redo", "reset"):
            return self._move(plan, instruction, understood)
        return self._result(plan, instruction, {"understand": understood}, who)

    @property
    def _numbers(self) -> tuple[int, ...]:
        return tuple(f.face.index for f in self.faces)

    def _addressed(self, instruction: str) -> tuple[tuple[int, ...], str]:
        """Numbers of the faces that an instruction names, () for all that are open, and the rest of it."""
        who, rest = addressed(instruction)
        everyone = sorted([*(f.face for f in self.faces), *self._others], key=lambda face: face.index)
        if not who or (len(everyone) == 1 and not who.lower().startswith("face")):
            return () if self._numbers == self._asked else self._asked, instruction
        places = meant(who, everyone)
        if not places:
            raise NoSuchFace(who, len(everyone))
        numbers = tuple(everyone[i].index for i in places)
        self._open([face for face in self._others if face.index in numbers])
        return numbers, rest

    def _open(self, faces: list[Face]) -> None:
        """Look at further faces. What was said before meant those that were open then, and goes on to."""
        if not faces:
            return
        before, tied = self._numbers, dict[int, Turn]()

        def tie(state: tuple[Turn, ...]) -> tuple[Turn, ...]:
            return tuple(tied.setdefault(id(t), t if t.faces else replace(t, faces=before)) for t in state)

        self._states, self._ahead = [tie(s) for s in self._states], [tie(s) for s in self._ahead]
        self._others = [face for face in self._others if all(face is not f for f in faces)]
        new = [look(self.engine.network, self.photo.pixels, face, self.photo.space) for face in faces]
        self.faces = sorted([*self.faces, *new], key=lambda looked: looked.face.index)
        self._rendered = None

    def undo(self) -> Result:
        """Take back the last change; the image is then bit-identical to what it was before."""
        return self._move(EditPlan("undo"), "undo", 0.0)

    def redo(self) -> Result:
        """Do again what was taken back."""
        return self._move(EditPlan("redo"), "redo", 0.0)

    def reset(self) -> Result:
        """Back to the photo as it was opened; can itself be undone."""
        return self._move(EditPlan("reset"), "reset", 0.0)

    def replay(self, turns: Sequence[Turn]) -> Result:
        """Add turns as they were planned elsewhere, one state each: a script, see `script`.

        Raises NoSuchFace when one is for a face that is not open.
        """
        for turn in turns:
            self._check_faces(turn)
        for turn in turns:
            self._retouch(turn)
        texts = "; ".join(t.text for t in turns)
        return self._result(_joined(turns), texts, {})

    def revise(self, turns: Sequence[Turn], instruction: str) -> Result:
        """Put these turns in force instead of those before, as one change; session.revision makes them.

        instruction: the change in words. The answer is about the turns that are new, or about all when none is; with no
        turns left this is `reset`. Raises NoSuchFace or BadSession.
        """
        for turn in turns:
            self._check_faces(turn)
        if not turns:
            return self.reset()
        told = [t for t in turns if not any(t is before for before in self.turns)] or list(turns)
        self._question = None
        self._push(tuple(turns))
        return self._retold(told, instruction)

    def _retold(self, told: Sequence[Turn], instruction: str) -> Result:
        """The result, with an answer about these turns, to each face about its own."""
        who = () if any(not t.faces for t in told) else tuple(sorted({f for t in told for f in t.faces}))
        own = {n: _joined([t for t in told if t.concerns(n)]) for n in self._numbers}
        return self._result(_joined(told), instruction, {}, who, own)

    def script(self) -> list[dict[str, Any]]:
        """The turns in force as JSON, to replay on other photos: a manifest line's "turns" for `batch`.

        Raises BadSession where a turn has a mask drawn by hand.
        """
        return saved.script(self.turns)

    def export(self, path: str | Path) -> Path:
        """Write `script` to a file that `retouchgpt batch --script` replays. Raises BadSession, OutputNotWritable."""
        return saved.write(path, {"format": saved.FORMAT, "turns": self.script()})

    def save(self, path: str | Path) -> Path:
        """Write what was said and done, with undo and redo, as JSON without pixels; see RetouchGPT.reopen.

        Raises BadSession for a photo that did not come from a file, OutputNotWritable.
        """
        if self.photo.path is None:
            raise BadSession("the photo did not come from a file, so it could not be found again")
        turns, rows = saved.states_to_json([*self._states, *self._ahead])
        count = len(self._states)
        photo = {
            "path": str(self.photo.path.resolve()),
            "sha256": saved.pixel_hash(self.photo.pixels),
            "width": self.photo.extent.width,
            "height": self.photo.extent.height,
        }
        return saved.write(
            path,
            {
                "format": saved.FORMAT,
                "photo": photo,
                "faces": list(self._numbers),
                "versions": self.engine.versions,
                "turns": turns,
                "states": rows[:count],
                "ahead": rows[count:],
            },
        )

    def restore(self, data: dict[str, Any]) -> None:
        """Take the states of a saved session, see saved.read. Raises NoSuchFace."""
        for state in (*data["states"], *data["ahead"]):
            for turn in state:
                self._check_faces(turn)
        self._states, self._ahead = list(data["states"]), list(data["ahead"])

    def _check_faces(self, turn: Turn) -> None:
        strange = [f for f in turn.faces if f not in self._numbers]
        if strange:
            raise NoSuchFace(str(strange[0]), len(self.faces))
        if turn.brush is not None and turn.brush.shape != self.photo.pixels.shape[:2]:
            raise BadSession("a mask of another size than the photo")

    def _retouch(self, turn: Turn) -> None:
        """A new turn; a correction ("no, the other side") takes the last turn's place."""
        before = self.turns[:-1] if turn.plan.replaces else self.turns
        self._push((*before, turn))

    def _push(self, state: tuple[Turn, ...]) -> None:
        self._states.append(state)
        self._ahead.clear()

    def _move(self, plan: EditPlan, instruction: str, understood: float) -> Result:
        done = False
        if plan.intent == "undo" and len(self._states) > 1:
            self._ahead.append(self._states.pop())
            done = True
        elif plan.intent == "redo" and self._ahead:
            self._states.append(self._ahead.pop())
            done = True
        elif plan.intent == "reset" and self.turns:
            self._push(())
            done = True
        result = self._result(plan, instruction, {"understand": understood})
        return result if done else replace(result, answer=NOTHING_TO[plan.intent])

    def walk(self, pace: Pace | None) -> None:
        """From now on retouch in steps x_r(1), x_r(2), ... at this pace; None: at once. `again` shows the change."""
        self._pace, self._rendered = pace, None

    @property
    def walks(self) -> bool:
        """Whether it retouches in steps."""
        return self._pace is not None

    def again(self, instruction: str) -> Result:
        """What is in force, done once more at the pace of now; no state is added. instruction: why, in words."""
        if not self.turns:
            return self._result(EditPlan("inspect"), instruction, {})
        return self._retold(self.turns, instruction)

    @property
    def step_count(self) -> int:
        """n of x_r(1) ... x_r(n); 0 where nothing is edited."""
        return max(map(len, self.render().trails), default=0)

    def step(self, number: int) -> NDArray[Any]:
        """x_r(number), the photo after a step from 1 to `step_count`, (H, W, 3) of its own type.

        The last one is the session's image. A face that was done earlier stays as it was.
        """
        return self._pasted([t[min(number, len(t)) - 1] if t else None for t in self.render().trails]).pixels

    def steps(self) -> list[NDArray[Any]]:
        """x_r(1) ... x_r(n); empty where nothing is edited."""
        return [self.step(number) for number in range(1, self.step_count + 1)]

    def _pasted(self, repairs: Sequence[Repair | None]) -> Pasted:
        found = [(f, r) for f, r in zip(self.faces, repairs, strict=True) if r is not None]
        parts = [placed(f, r, grey=self._grey) for f, r in found]
        return paste_all(self.photo.pixels, parts, space=self.photo.space)

    def render(self) -> Rendered:
        """The photo under the instructions in force, replayed from its own pixels."""
        if self._rendered is not None and self._rendered[0] is self.turns:
            return self._rendered[1]
        trails = tuple(self._trail(face) for face in self.faces)
        repairs = tuple(trail[-1] if trail else None for trail in trails)
        pasted = self._pasted(repairs)
        rendered = Rendered(pasted.pixels, pasted.mask, repairs, trails)
        self._rendered = (self.turns, rendered)
        return rendered

    def selected(self) -> NDArray[np.float32]:
        """What the edits in force select, (H, W) in [0, 1] at the photo's size, before their strength.

        Given back as a brush (revision.with_mask) it selects the same; painted on, it is a mask corrected by hand.
        """
        out, size = np.zeros(self.photo.pixels.shape[:2], np.float32), self.engine.network.config.image_size
        for face, repaired in zip(self.faces, self.render().repairs, strict=True):
            if repaired is not None:
                mask = cv2.resize(repaired.kinds.max(0), (size, size), interpolation=cv2.INTER_LINEAR)
                np.maximum(out, to_photo(mask, face.alignment, self.photo.extent), out=out)
        return out

    def layers(self) -> tuple[Layer, ...]:
        """What the instructions in force change, a layer for each kind and face, see photo.layers."""
        rendered, size = self.render(), self.engine.network.config.image_size
        parts = [
            Part(
                spoken(kind) + (f" (face {face.face.index})" if len(self.faces) > 1 else ""),
                repaired.kinds[k], face.alignment, size,
            )
            for face, repaired in zip(self.faces, rendered.repairs, strict=True) if repaired is not None
            for k, kind in enumerate(IMPERFECTIONS) if repaired.kinds[k].max() > EDGE
        ]  # fmt: skip
        return split(self.photo.pixels, rendered.pixels, parts)

    def _trail(self, face: LookedAt) -> tuple[Repair, ...]:
        """A face's repair under the turns in force, step by step; empty where nothing is to be done."""
        turns = [t for t in self.turns if t.concerns(face.face.index)]
        if not turns:
            return ()
        network, size = self.engine.network, self.engine.network.config.image_size

        def choose(seen: LookedAt) -> Selection:
            return merged(
                [
                    select(network, seen, turn.plan, None if turn.brush is None else _to_face(turn.brush, seen, size))
                    for turn in turns
                ]
            )

        tokens = self.engine.dialogue(turns[-1].text)
        if self._pace is not None:
            return tuple(repair_in_steps(network, face, choose, tokens, self._pace))
        once = repair(network, face, choose(face), tokens)
        return () if once is None else (once,)

    def _result(
        self, plan: EditPlan, instruction: str, timings: dict[str, float], who: tuple[int, ...] = (),
        own: Mapping[int, EditPlan] | None = None,
    ) -> Result:  # fmt: skip
        """who: faces that the answer is about, () for all. own: a plan for each face's number, where they differ."""
        start = time.perf_counter()
        rendered = self.render()
        timings = self._opening | timings | {"retouch": time.perf_counter() - start}
        start = time.perf_counter()
        others = EditPlan("inspect")
        plans = {n: plan if not who or n in who else others for n in self._numbers} | dict(own or {})
        told = tuple(
            self._tell(face, r, plans[face.face.index], instruction)
            for face, r in zip(self.faces, rendered.repairs, strict=True)
        )
        timings["answer"] = time.perf_counter() - start
        self._opening = dict.fromkeys(self._opening, 0.0)
        heard = [t for t in told if not who or t.index in who]
        answer = told[0].answer if len(told) == 1 else " ".join(f"Face {t.index}: {t.answer}" for t in heard)
        return Result(
            image=rendered.pixels,
            mask=rendered.mask,
            answer=answer,
            plan=plan,
            faces=told,
            changed=bool(differing(self.photo.pixels, rendered.pixels).any()) if rendered.mask.any() else False,
            instruction=instruction,
            photo=self._about_photo(),
            timings=timings,
            versions=self.engine.versions,
            notes=self.photo.notes,
            steps=tuple(t.text for t in self.turns),
        )

    def _tell(self, face: LookedAt, repaired: Repair | None, plan: EditPlan, instruction: str) -> FaceResult:
        facts = facts_of(face, repaired, plan)
        answer = self.engine.answer(facts, instruction)
        box = face.face.box
        return FaceResult(face.face.index, (box.x0, box.y0, box.x1, box.y1), face.face.width_px, facts, answer)

    def _about_photo(self) -> dict[str, Any]:
        photo = self.photo
        return {
            "name": photo.path.name if photo.path else "",
            "width": photo.extent.width,
            "height": photo.extent.height,
            "format": photo.format,
            "mode": photo.mode,
            "depth": photo.depth,
            "faces_opened": len(self.faces),
        }


NOTHING_TO = {
    "undo": "There is nothing to undo; the photo is as it was opened.",
    "redo": "There is nothing to redo.",
    "reset": "The photo already is as it was opened.",
}


def facts_of(face: LookedAt, repaired: Repair | None, plan: EditPlan) -> Facts:
    """What may be said of one face after one turn."""
    asked: tuple[Edit, ...] = plan.edits if plan.intent == "retouch" else ()
    if repaired is None:
        kinds = np.zeros(face.heat.shape[1:], np.float32)
        edited = outcomes(asked, kinds, np.zeros(kinds.shape[1:], bool), face.regions[0].numpy(), face.photo_px)
    else:
        side, crop = repaired.kinds.shape[-1], face.crop[0].permute(1, 2, 0).numpy()
        seen = pictures(crop, repaired.correction, face.allowed, side)
        regions, heat = face.regions[0].numpy(), face.heat[0].float().numpy()
        edited = outcomes(asked, repaired.kinds, repaired.changed, regions, face.photo_px, seen, heat)
    kept = tuple(f for f in face.found if any(_covers(k.imperfection, k.region, f) for k in plan.keep))
    about = tuple((k.imperfection, k.region) for k in plan.about)
    return Facts(
        intent=plan.intent,
        found=face.found,
        edited=edited,
        kept=kept,
        declined=plan.reason if plan.intent == "decline" else "",
        frame=plan.frame,
        note="" if plan.intent == "decline" else plan.reason,
        about=about,
    )


def where_painted(plan: EditPlan) -> EditPlan:
    """A plan whose places give way to a painted mask, which alone says where: each kind once, at its strongest."""
    strengths: dict[str, float] = {}
    for edit in plan.edits:
        strengths[edit.imperfection] = max(edit.strength, strengths.get(edit.imperfection, 0.0))
    return replace(plan, edits=tuple(Edit(kind, "face", strength) for kind, strength in strengths.items()))


def _joined(turns: Sequence[Turn]) -> EditPlan:
    """All that several turns edit and keep, as one plan."""
    edits = tuple(e for t in turns for e in t.plan.edits)
    return EditPlan("retouch", edits, tuple(k for t in turns for k in t.plan.keep))


def _covers(kind: str, region: str, finding: Finding) -> bool:
    """Whether a kind and region of a plan take in a finding; a grid cell takes in what the report says of the face."""
    return (kind in (ALL, finding.imperfection)) and region in ("face", finding.region)


def _adjusted(
    turns: tuple[Turn, ...], plan: EditPlan, who: tuple[int, ...], everyone: tuple[int, ...]
) -> tuple[Turn, ...]:
    """The turns with the strengths that an adjustment means multiplied, see language.dialogue.adjusted; a turn for more
    faces than those meant is split."""
    parts: list[Turn] = []
    for turn in turns:
        faces = turn.faces or everyone
        mine = tuple(f for f in faces if not who or f in who)
        rest = tuple(f for f in faces if f not in mine)
        parts += [turn] if not rest or not mine else [replace(turn, faces=rest), replace(turn, faces=mine)]
    chosen = [i for i, t in enumerate(parts) if not who or set(t.faces or everyone) <= set(who)]
    plans = adjusted([parts[i].plan for i in chosen], plan)
    for i, new in zip(chosen, plans, strict=True):
        parts[i] = replace(parts[i], plan=saved.exact(new))
    return tuple(parts)


def _to_face(brush: NDArray[np.float32], face: LookedAt, size: int) -> NDArray[np.float32]:
    """A photo-sized mask in a face's model frame."""
    scale = face.alignment.scale
    soft = cv2.GaussianBlur(brush, (0, 0), 0.4 / scale) if scale < 0.8 else brush
    return cv2.warpAffine(soft, face.alignment.centre_matrix, (size, size), flags=cv2.INTER_LINEAR)
