"""How a batch of crops is put to the LLM, to the text encoder and to whatever judges pictures by words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from retouchgpt.core.facts import Facts, Outcome
from retouchgpt.core.vocabulary import IMPERFECTIONS, spoken
from retouchgpt.language.prompt import reply, request
from retouchgpt.language.wording import compose
from retouchgpt.model.llm_embedding import DialogueTokens, tokenise
from retouchgpt.model.text_encoder import TextEncoder

from .batches import Crop
from .terms import IGNORED

TURN = "Assistant"


def asked_kinds(words: Tensor) -> list[str]:
    """Names of the asked kinds of one crop (12,)."""
    return [kind for kind, asked in zip(IMPERFECTIONS, words.tolist(), strict=True) if asked]


def spoken_request(words: Tensor) -> str:
    """A plain instruction for the asked kinds of one crop (12,), for the LLM to read."""
    return f"Please remove the {' and the '.join(spoken(kind) for kind in asked_kinds(words))}."


def spoken_answer(words: Tensor, painted: Tensor) -> str:
    """The true answer to that. painted: (12,), mask px of each kind that the instruction reaches."""
    done = [Outcome(kind, "face", 1.0, 0, int(painted[IMPERFECTIONS.index(kind)])) for kind in asked_kinds(words)]
    return compose(Facts("retouch", edited=tuple(done)), lambda options: options[0])


def sentences(words: Tensor) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """For each crop (B, 12) a sentence that fits its target and one that fits its source."""
    names = [" and ".join(spoken(kind) for kind in asked_kinds(row)) for row in words]
    return tuple(f"a face without {n}" for n in names), tuple(f"a face with {n}" for n in names)


def dialogue_of(tokenizer: Any, crop: Crop, rows: int, *, answered: bool) -> tuple[DialogueTokens, Tensor | None]:
    """The first `rows` requests for the LLM; `answered`: with the assistant's true turn after each, hidden from G_ctrl,
    and that turn's labels (B, L), IGNORED elsewhere."""
    requests = [spoken_request(words) for words in crop.words[:rows]]
    asked = tokenise(tokenizer, requests)
    if not answered:
        return asked, None
    painted = (crop.asked[:rows] > 0.5).sum((2, 3))
    turns = []
    for text, words, px in zip(requests, crop.words, painted, strict=False):
        turns.append((request(tokenizer, text, "", head=TURN), reply(tokenizer, spoken_answer(words, px))))
    length = max(len(before) + len(said) for before, said in turns)
    ids, attention, shown = (torch.zeros(rows, length, dtype=torch.long) for _ in range(3))
    labels = torch.full_like(ids, IGNORED)
    for row, (before, said) in enumerate(turns):
        end = len(before) + len(said)
        ids[row, :end] = torch.tensor([*before, *said])
        attention[row, :end] = 1
        shown[row, : int(asked.attention[row].sum())] = 1
        labels[row, len(before) : end] = torch.tensor(said)
    return DialogueTokens(asked.before, asked.after, ids, attention, shown), labels


class Reader:
    """f_txt of the batch's requests, read once each: pooled states (B, 1, D)."""

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder, self._known = encoder, {}  # type: ignore[var-annotated]

    def __call__(self, requests: Sequence[str]) -> Tensor:
        new = [r for r in dict.fromkeys(requests) if r not in self._known]
        if new:
            self._known.update(zip(new, self.encoder.encode(new).pooled(), strict=True))
        return torch.stack([self._known[r] for r in requests])[:, None]
