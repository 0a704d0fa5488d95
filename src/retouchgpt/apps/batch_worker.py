"""What retouches the photos of a batch: the same class in this process, in others, on a cluster and in the server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouchgpt.core.errors import RetouchError, UnusableInput

from . import batch_places as places

if TYPE_CHECKING:
    from retouchgpt.photo.files import Photo
    from retouchgpt.session import RetouchGPT


@dataclass(frozen=True)
class Case:
    """One photo of a batch; serialisable. image, out: paths, or URLs that fsspec knows (s3://, gs://, file://).
    turns: a script to replay in place of an instruction, see Session.script."""

    image: str
    instruction: str
    out: str
    turns: tuple[dict[str, Any], ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells this case from all others."""
        return self.image, self.instruction, self.out

    def to_json(self) -> dict[str, str]:
        return {"image": self.image, "instruction": self.instruction, "out": self.out}


@dataclass(frozen=True)
class Settings:
    """What all photos of a batch share; serialisable.

    threads: of each worker; 0 leaves them as they are. resumed: a picture that is already there was written by this
    batch, by a run or a worker that was stopped between its picture and its outcome line, so it is done. note: XMP says
    how a photo was edited.
    """

    weights: str | None
    face: str
    strength: float
    threads: int
    resumed: bool = False
    note: bool = True


class Worker:
    """Retouches cases one after another with one model."""

    def __init__(self, settings: Settings, model: RetouchGPT | None = None) -> None:
        import torch

        from retouchgpt.session import RetouchGPT

        if settings.threads:
            torch.set_num_threads(settings.threads)
        self.settings = settings
        self.model = RetouchGPT.from_pretrained(settings.weights) if model is None else model

    def __call__(self, case: Case) -> dict[str, Any]:
        """The outcome of one case; never raises for a photo's sake."""
        outcome: dict[str, Any] = dict(case.to_json())
        try:
            return outcome | self._retouch(case)
        except RetouchError as error:
            return outcome | {"outcome": "refused", "why": str(error)}
        except Exception as error:
            why = f"unexpected {type(error).__name__}: {error}".splitlines()[0]
            return outcome | {"outcome": "refused", "why": why}

    def _retouch(self, case: Case) -> dict[str, Any]:
        from retouchgpt.photo.files import check_output, save_photo
        from retouchgpt.session.result import RetouchRequest
        from retouchgpt.session.saved import turn_from_json

        request = RetouchRequest(case.instruction, self.settings.strength, self.settings.face).checked()
        turns = [turn_from_json(row) for row in case.turns]
        with places.fetched(case.image) as source, places.stored(case.out) as target:
            photo = _opened(case.image, source)
            if self.settings.resumed and places.exists(case.out):
                return {"outcome": "done", "answer": "", "notes": [BEFORE]}
            check_output(target)
            session = self.model.open(photo, request.face)
            result = session.replay(turns) if turns else session.instruct(case.instruction, strength=request.strength)
            if not result.changed:
                return {"outcome": "unchanged", "why": result.answer}
            note = case.instruction if self.settings.note else None
            saved = save_photo(photo, result.image, target, note=note)
            return {"outcome": "done", "answer": result.answer, "notes": [*photo.notes, *saved.notes]}


def _opened(place: str, source: Path) -> Photo:
    """The photo of a case. Raises what open_photo raises, telling of the case's place instead of a temporary file."""
    from retouchgpt.photo.files import open_photo
    from retouchgpt.photo.quiet import quiet

    try:
        with quiet():
            return open_photo(source)
    except RetouchError as error:
        if not places.is_remote(place):
            raise
        raise UnusableInput(str(error).replace(str(source), place)) from error


BEFORE = "the picture was written before this run, or by a worker that was lost before it could say so"
