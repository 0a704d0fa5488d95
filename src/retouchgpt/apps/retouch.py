"""`retouchgpt retouch`: one photo, one instruction."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.errors import AgentMissing, OutputExists, OutputNotWritable
from retouchgpt.core.people import addressed
from retouchgpt.core.pixels import from_float
from retouchgpt.photo.colour import seen
from retouchgpt.photo.faces import Face, numbered
from retouchgpt.photo.files import FORMATS, Photo, check_output, open_photo, save_photo, whole
from retouchgpt.photo.layers import check_layers, save_layers
from retouchgpt.photo.quiet import quiet
from retouchgpt.session.result import Result, RetouchRequest, read_brush

from .progress import Stages

if TYPE_CHECKING:
    from retouchgpt.session import RetouchGPT
    from retouchgpt.session.session import Session


def run(options: argparse.Namespace) -> int:
    request = RetouchRequest(options.instruction, options.strength, options.face, options.brush).checked()
    out = Path(options.out) if options.out else default_out(Path(options.photo))
    threading.Thread(target=prepare).start()
    with Stages(quiet=options.quiet) as say:
        say("reading the photo")
        with quiet():
            photo = open_photo(options.photo)
        check_outputs(out, options)
        with quiet():
            brush = read_brush(request.brush, photo.pixels.shape[:2]) if request.brush else None
        say("loading the model")
        from retouchgpt.session import RetouchGPT

        model = RetouchGPT.from_pretrained(options.weights)
        say("finding faces")
        named = request.face == "largest" and addressed(request.instruction).who
        session = model.open(photo, "all" if named else request.face)
        pacing = set_pace(model, session, options.step_count) if options.steps else ()
        say("retouching")
        result = session.instruct(request.instruction, strength=request.strength, brush=brush)
        say("writing")
        notes = write(photo, result, out, options)
        if options.layers:
            note = None if options.no_note else request.instruction
            save_layers(photo, result.image, session.layers(), options.layers, overwrite=options.overwrite, note=note)
        if options.steps:
            notes = (*notes, *pacing, save_steps(photo, session.steps(), Path(options.steps), options.overwrite))
        if options.faces_out:
            save_numbered(photo, [looked.face for looked in session.faces], Path(options.faces_out), options.overwrite)
    print(result.answer)
    for note in notes:
        print(f"Note: {note}.")
    return 0


def prepare() -> None:
    """Import the engine, beside the reading of the photo; what is wrong with it is raised where it is used."""
    with suppress(Exception):
        importlib.import_module("retouchgpt.session.engine")


EQUAL_STEPS = 3
"""Made where no agent lies beside the weights and no number is given."""


def set_pace(model: RetouchGPT, session: Session, count: int | None = None) -> tuple[str, ...]:
    """Let the session walk in `count` equal steps, or as the agent decides; returns what the user should know."""
    try:
        session.walk(model.pace(count))
        return ()
    except AgentMissing:
        session.walk(model.pace(EQUAL_STEPS))
        return (f"no agent lies beside these weights, so up to {EQUAL_STEPS} equal steps were made",)


def save_steps(photo: Photo, steps: Sequence[NDArray[Any]], folder: Path, overwrite: bool) -> str:
    """x_r(1) ... x_r(n) as step_1.png ...; returns a note."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("step_*.png"):  # more steps of an earlier run must not stand among ours
        old.unlink()
    for number, pixels in enumerate(steps, 1):
        mode = photo.mode if photo.grey else "RGB"
        plain = Photo(path=None, pixels=pixels, format="PNG", mode=mode, alpha=photo.alpha, icc=photo.icc)
        save_photo(plain, pixels, folder / f"step_{number}.png", overwrite=overwrite)
    return f"{len(steps)} steps in {folder}" if steps else f"nothing was edited, so no step is in {folder}"


def default_out(photo: Path) -> Path:
    """PHOTO_retouched beside the photo, in its own format where that can be written."""
    suffix = photo.suffix if photo.suffix.lower() in FORMATS else ".png"
    return photo.with_name(f"{photo.stem}_retouched{suffix}")


def check_outputs(out: Path, options: argparse.Namespace) -> None:
    """Everything that will be written can be, before work begins, and nothing of it lands on another."""
    taken = {os.path.realpath(options.photo): "the photo"}
    for name in ("mask_out", "faces_out", "layers", "report"):
        if path := getattr(options, name):
            place = os.path.realpath(path)
            if place == os.path.realpath(out) or place in taken:
                raise OutputNotWritable(path, f"{taken.get(place, 'the result')} has this name", "Choose another name.")
            taken[place] = "another output"
    check_output(out, overwrite=options.overwrite)
    for picture in (options.mask_out, options.faces_out):
        if picture:
            check_output(picture, overwrite=options.overwrite)
    if options.layers:
        check_layers(options.layers, overwrite=options.overwrite)
    if options.report:
        check_text(Path(options.report), overwrite=options.overwrite)
    if options.steps:
        check_folder(Path(options.steps), overwrite=options.overwrite)


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """A folder for steps: its parent is there, and no step of an earlier run would be replaced or left among ours."""
    parent = folder if folder.exists() else folder.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise OutputNotWritable(folder, "the folder above it does not exist, or it is a file or read-only")
    old = sorted(folder.glob("step_*.png"))
    if old and not overwrite:
        raise OutputExists(old[0])


def check_text(path: Path, *, overwrite: bool) -> None:
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise OutputNotWritable(path, "the folder does not exist or is read-only")
    if path.exists() and not overwrite:
        raise OutputExists(path)


def write(photo: Photo, result: Result, out: Path, options: argparse.Namespace) -> tuple[str, ...]:
    """Photo, mask and report; returns what the user should know."""
    note = None if options.no_note else options.instruction
    saved = save_photo(photo, result.image, out, overwrite=options.overwrite, note=note)
    notes = (*photo.notes, *saved.notes)
    if options.mask_out:
        save_mask(result, Path(options.mask_out), overwrite=options.overwrite)
    if options.report:
        write_json(Path(options.report), result.report | {"notes": list(notes)})
    return notes


def save_mask(result: Result, out: Path, *, overwrite: bool = False) -> None:
    """The mask as a grey picture; any pixel that may have changed is at least 1."""
    grey = np.maximum(from_float(result.mask), (result.mask > 0).astype(np.uint8))
    photo = Photo(path=None, pixels=np.repeat(grey[..., None], 3, 2), format="PNG", mode="L")
    save_photo(photo, photo.pixels, out, overwrite=overwrite)


def save_numbered(photo: Photo, faces: Sequence[Face], out: Path, overwrite: bool) -> None:
    """A small copy of the photo with the faces' numbers."""
    picture = Photo(path=None, pixels=numbered(seen(photo.space, photo.pixels), faces), format="PNG", mode="RGB")
    save_photo(picture, picture.pixels, out, overwrite=overwrite)


def write_json(path: Path, data: Any) -> None:
    """JSON that appears whole or not at all."""
    with whole(path) as partial:
        partial.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
