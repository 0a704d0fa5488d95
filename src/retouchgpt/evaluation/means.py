"""Means to be fast, each against doing without it, by turns on one photo in one process; and what it changes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from retouchgpt.model.precision import autocast

from .clock import paired, timed

KEPT, NOT = "yes", "no"


def means(weights: str | None, repeats: int) -> list[dict[str, Any]]:
    """Rows of what was tried: processor seconds without and with it, ratio, difference, whether it is kept."""
    from retouchgpt.data.portrait import painted_astronaut
    from retouchgpt.session import RetouchGPT

    model, photo = RetouchGPT.from_pretrained(weights), painted_astronaut()
    face = _Face(model, photo)
    return [*face.rows(repeats), *_session(model, photo, repeats), _cache(model, repeats), _draft(photo, repeats)]


def row(what: str, pair: tuple[float, float, float], difference: str, kept: str) -> dict[str, Any]:
    """One line of the table."""
    without, with_, ratio = pair
    return {"what": what, "without": without, "with": with_, "ratio": ratio, "difference": difference, "kept": kept}


class _Face:
    """Encoding, finding and repairing one face, done otherwise in one respect at a time."""

    def __init__(self, model: Any, photo: Any) -> None:
        from retouchgpt.session.face import look, merged, select

        from .speed import INSTRUCTION

        self.network = model.network
        face = model.finder.find(photo.pixels)[0]
        self.seen = look(self.network, photo.pixels, face)
        plan, self.tokens = model.understand(INSTRUCTION), model.dialogue(INSTRUCTION)
        self.where = merged([select(self.network, self.seen, plan, None)])

    def corrected(
        self, network: Any = None, crop: Tensor | None = None, *, bf16: bool = True, mode: Any = None
    ) -> Tensor:
        """The correction of the face, looked at anew."""
        network = self.network if network is None else network
        crop = self.seen.crop if crop is None else crop
        with (mode or torch.inference_mode)(), autocast("cpu", bf16=bf16):
            features, _ = network.look(crop, self.seen.regions)
            return network.repair(crop, features, self.where, self.tokens).correction

    def rows(self, repeats: int) -> list[dict[str, Any]]:
        flat = copy.deepcopy(self.network).to(memory_format=torch.contiguous_format)
        flat_crop = self.seen.crop.contiguous()
        small = torch.ao.quantization.quantize_dynamic(copy.deepcopy(self.network), {torch.nn.Linear}, torch.qint8)
        return [
            self._row("bfloat16", lambda: self.corrected(bf16=False), repeats),
            self._row("channels last", lambda: self.corrected(flat, flat_crop), repeats),
            self._row("inference mode, against no_grad", lambda: self.corrected(mode=torch.no_grad), repeats),
            self._row("fused attention", self._plain_attention, repeats),
            self._decoder(repeats),
            self._int8(small, repeats),
            _threads(self.corrected, repeats),
        ]

    def _row(self, what: str, without: Callable[[], Tensor], repeats: int) -> dict[str, Any]:
        return row(what, paired(without, self.corrected, repeats), _levels(without(), self.corrected()), KEPT)

    def _plain_attention(self) -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):
            return self.corrected()

    def _decoder(self, repeats: int) -> dict[str, Any]:
        """The decoder around the mask alone, against the whole frame."""
        network, where = self.network, self.where
        with torch.inference_mode():
            features = network.encode(self.seen.crop)
            least = network.config.gate[0]

            def decoded(limit: float | None) -> Tensor:
                with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                    return network.decoder(self.seen.crop, features, features.tokens, where, limit)

            inside = torch.nn.functional.interpolate(where.mask, self.seen.crop.shape[-1]) > least
            difference = _levels(decoded(None) * inside, decoded(least) * inside)
            pair = paired(lambda: decoded(None), lambda: decoded(least), repeats)
        return row("decoder around the mask alone", pair, difference, KEPT)

    def _int8(self, small: Any, repeats: int) -> dict[str, Any]:
        difference = _levels(self.corrected(bf16=False), self.corrected(small, bf16=False))
        pair = paired(lambda: self.corrected(bf16=False), lambda: self.corrected(small, bf16=False), repeats)
        return row("int8 in linear layers, against float32", pair, difference, NOT)


def _levels(a: Tensor, b: Tensor) -> str:
    return f"{float((a.float() - b.float()).abs().max()) * 255:.2f} of 255 at most"


def _threads(work: Callable[[], Any], repeats: int) -> dict[str, Any]:
    """Two threads against one, by the clock: the only row that a busy machine spoils."""
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = timed(work, repeats).seconds
        torch.set_num_threads(2)
        two = timed(work, repeats).seconds
    finally:
        torch.set_num_threads(threads)
    return row("two threads (seconds by the clock)", (one, two, one / two), "rounding", KEPT)


def _session(model: Any, photo: Any, repeats: int) -> list[dict[str, Any]]:
    """What a session keeps of the photo, against looking at it for every instruction."""
    from .speed import SECOND

    sessions = [model.open(photo) for _ in range(repeats + 1)]
    pair = paired(lambda: model.open(photo).instruct(SECOND), lambda: sessions.pop().instruct(SECOND), repeats)
    return [row("features and heat maps kept by the session", pair, "none", KEPT)]


def _cache(model: Any, repeats: int) -> dict[str, Any]:
    """An answer's tokens read one after another, with and without keys and values kept."""
    llm = model.network.embedding.llm
    ids = torch.arange(20, 140)[None]

    @torch.inference_mode()
    def anew() -> Tensor:
        return torch.stack([llm(ids[:, :n], use_cache=False).logits[0, -1] for n in range(100, 121)])

    @torch.inference_mode()
    def kept() -> Tensor:
        name, past, out = _cache_name(llm), None, []
        for part in ids.split((100, *([1] * 20)), 1):
            read = llm(part, use_cache=True, **{name: past})
            past = getattr(read, name)
            out.append(read.logits[0, -1])
        return torch.stack(out)

    difference = f"{float((anew() - kept()).abs().max()):.1e} in logits"
    return row("keys and values of the answer's LLM kept", paired(anew, kept, repeats), difference, KEPT)


def _cache_name(llm: Any) -> str:
    from retouchgpt.language.llm import cache_word

    return cache_word(llm)


def _draft(photo: Any, repeats: int) -> dict[str, Any]:
    """For finding faces: a JPEG decoded small beside the whole one, against the whole one shrunk."""
    import io

    from PIL import Image

    from retouchgpt.photo.faces import LOOK_SIDE

    from .speed import grainy

    file = io.BytesIO()
    grainy(photo.pixels, 3464).save(file, "JPEG", quality=92)
    large = np.asarray(Image.open(file))

    def shrunk() -> Any:
        return cv2.resize(large, (LOOK_SIDE, LOOK_SIDE), interpolation=cv2.INTER_AREA)

    def drafted() -> Any:
        with Image.open(file) as image:
            image.draft("RGB", (LOOK_SIDE, LOOK_SIDE))
            return cv2.resize(np.asarray(image), (LOOK_SIDE, LOOK_SIDE), interpolation=cv2.INTER_AREA)

    difference = f"{np.abs(shrunk().astype(int) - drafted()).mean():.2f} of 255 on average"
    return row("draft decoding for finding faces, 12 MP", paired(shrunk, drafted, repeats), difference, NOT)
