"""RetouchGPT: the model, its language and its faces, opened once; sessions come from it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from retouchgpt import __version__
from retouchgpt.core.errors import AgentMissing, BadSession
from retouchgpt.core.facts import Facts
from retouchgpt.core.plan import EditPlan
from retouchgpt.model import llama
from retouchgpt.model.agent import Agent, load_agent
from retouchgpt.model.checkpoint import LLM, WEIGHTS, from_pretrained, sha256, shipped
from retouchgpt.model.llm_embedding import DialogueTokens, tokenise
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.photo.colour import seen
from retouchgpt.photo.faces import LEAST_FACE_PX, FaceFinder, choose, shared_finder
from retouchgpt.photo.files import Photo, open_photo

from .hub import HubMixin, fetch
from .session import Session
from .steps import Pace

if TYPE_CHECKING:
    from PIL.Image import Image


class Planner(Protocol):
    """Anything that reads an instruction."""

    def plan(self, text: str) -> EditPlan: ...


class Writer(Protocol):
    """Anything that puts facts into words."""

    def answer(self, facts: Facts, instruction: str) -> str: ...


class RetouchGPT(HubMixin):
    """Open photos and retouch them by instruction. One object serves many photos, one thread at a time."""

    def __init__(
        self,
        network: RetouchNetwork,
        planner: Planner,
        writer: Writer,
        *,
        tokenizer: Any = None,
        finder: FaceFinder | None = None,
        versions: dict[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.network, self.planner, self.writer, self.tokenizer = network, planner, writer, tokenizer
        self._finder, self.folder = finder, folder
        self.versions = {"retouchgpt": __version__} | (versions or {})

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path | None = None,
        *,
        finder: FaceFinder | None = None,
        llm: str | Path | None = None,
        precision: str = "bf16",
        lora: str | Path | None = None,
        **hub: Any,
    ) -> RetouchGPT:
        """The default that ships inside the package, a folder of the same form, or a hub id.

        llm: another causal LLM (folder or hub id) that writes the answers, in `precision` (bf16, fp32), with the PEFT
        adapter in the folder `lora` if given; the network goes on reading the LLM that it was trained with. hub:
        revision, cache_dir, token, local_files_only, force_download, see hub.fetch. Raises WeightsMissing,
        WeightsAltered, WeightsMismatch, WeightsNotFinite or BadData; MissingExtra for what is not installed;
        HubUnavailable for a hub id
        that cannot be had.
        """
        from retouchgpt.language.answers import AnswerWriter
        from retouchgpt.language.understanding import Understanding

        place = weights_folder(folder, **hub)
        network = from_pretrained(place)
        own = AnswerWriter(*llama.load(place / LLM)) if llama.covers(place / LLM) else AnswerWriter(place / LLM)
        network.embedding.attach(own.model)
        writer = own if llm is None else AnswerWriter(llm, precision=precision, lora=lora)
        return cls(
            network,
            Understanding.load(place),
            writer,
            tokenizer=own.tokenizer,
            finder=finder,
            versions={"size": network.config.name, "weights_sha256": sha256(place / WEIGHTS)},
            folder=place,
        )

    def agent(self) -> Agent:
        """The agent that lies beside the weights. Raises AgentMissing or WeightsMismatch."""
        if self.folder is None:
            raise AgentMissing("a model that did not come from a folder")
        return load_agent(self.folder, self.versions.get("weights_sha256"))

    def pace(self, steps: int | None = None) -> Pace:
        """How a session walks: by the agent, or with `steps` by so many equal steps. Raises what `agent` raises."""
        if steps is not None:
            return Pace(None, steps).checked()
        agent = self.agent()
        return Pace(agent, agent.config.most).checked()

    @property
    def finder(self) -> FaceFinder:
        """The face finder; loaded when first needed."""
        if self._finder is None:
            self._finder = shared_finder()
        return self._finder

    def open(self, photo: str | Path | NDArray[Any] | Image | Photo, face: str = "largest") -> Session:
        """Find faces and look at them once.

        photo: a path, an array (H, W, 3) uint8 or uint16 RGB, a PIL image or an opened Photo. face: largest, all or a
        number from 1. Raises the errors of open_photo, NoFaceFound, FaceTooSmall and NoSuchFace.
        """
        start = time.perf_counter()
        opened = _as_photo(photo)
        timings = {"open": time.perf_counter() - start}
        start = time.perf_counter()
        found = self.finder.find(seen(opened.space, opened.pixels))
        faces = choose(found, face)
        others = [f for f in found if f.width_px >= LEAST_FACE_PX and all(f is not c for c in faces)]
        timings["faces"] = time.perf_counter() - start
        return Session(self, opened, faces, timings, others)

    def reopen(self, path: str | Path, photo: str | Path | None = None) -> Session:
        """A saved session with its undo and redo; `photo` where the file has moved.

        The pixels must be those that were saved. Other weights are allowed and said in the photo's notes. Raises
        BadSession, and what `open` raises.
        """
        from dataclasses import replace

        from . import saved

        data = saved.read(path)
        opened = open_photo(photo or data["photo"]["path"])
        if saved.pixel_hash(opened.pixels) != data["photo"]["sha256"]:
            raise BadSession(f"{opened.path} is not the photo that {path} was made with")
        before = (data.get("versions") or {}).get("weights_sha256")
        if before != self.versions.get("weights_sha256"):
            note = "the session was made with other weights, so its result may differ"
            opened = replace(opened, notes=(*opened.notes, note))
        faces = data["faces"]
        session = self.open(opened, str(faces[0]) if len(faces) == 1 else "all")
        session.restore(data)
        return session

    def understand(self, instruction: str, history: tuple[EditPlan, ...] = ()) -> EditPlan:
        """The plan of an instruction, after the plans in force and, last, the question of the turn just before."""
        from retouchgpt.language.dialogue import resolve

        return resolve(self.planner.plan(instruction), instruction, history)

    def answer(self, facts: Facts, instruction: str) -> str:
        """The answer in words, checked against the facts."""
        return self.writer.answer(facts, instruction)

    def dialogue(self, text: str) -> DialogueTokens | None:
        """The tokens that the LLM reads beside image and mask; None without a tokenizer."""
        return None if self.tokenizer is None else tokenise(self.tokenizer, [text])


def weights_folder(folder: str | Path | None, **hub: Any) -> Path:
    """The folder of the shipped weights (None), of a path, or of a hub id (hub: see hub.fetch)."""
    if folder is None:
        return shipped()
    path = Path(folder)
    if path.exists() or str(folder).count("/") != 1:
        return path
    return fetch(str(folder), **hub)


def _as_photo(photo: Any) -> Photo:
    if isinstance(photo, Photo):
        return photo
    if isinstance(photo, (str, Path)):
        return open_photo(photo)
    array = np.asarray(photo if isinstance(photo, np.ndarray) else photo.convert("RGB"))
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"a photo must be (H, W, 3) RGB, uint8 or uint16; got {array.dtype} {array.shape}")
    return Photo(path=None, pixels=array, format="PNG", mode="RGB")
