"""Facts -> the answer, written by an LLM and checked; a false or incomplete answer never gets out.

Three ways: *guided* (constrained decoding: the LLM chooses among true answers, token by token, in a trie of them, so
that numbers, kinds and sides come from the facts), *free* (the LLM writes what it likes), *plain* (the first of the
true answers, without an LLM). The small LLM is guided; another one writes freely and is guided when its answer fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from retouchgpt.core.facts import Facts

from .checking import check
from .facts_text import facts_text
from .llm import cache_word, ends, load_llm
from .prompt import PROMPT_TOKENS, opening, request
from .wording import compose, plain

LONGEST = 160
"""Tokens of a free answer."""
VARIANTS = 10
"""True answers among which a guided one is chosen; few, since of many the LLM takes its favourite time and again."""
FREE, GUIDED, PLAIN = "free", "guided", "plain"
CHAT_TASK = (
    "You tell a person what was done to their portrait. Write two or three short sentences, only what the facts say, "
    "with every count and place. Facts: "
)


class Answer(NamedTuple):
    """text; way: free, guided or plain."""

    text: str
    way: str


class AnswerWriter:
    """Puts facts into words with a causal LLM: the shipped one, or any other by folder or hub id.

    model, tokenizer: also used by the network, whose embedding reads the same frozen LLM. free: let the LLM write
    freely before it is guided; None: only an LLM with a chat template. precision, lora: see llm.load_llm.
    """

    def __init__(
        self,
        llm: str | Path | nn.Module,
        tokenizer: Any = None,
        *,
        free: bool | None = None,
        precision: str = "fp32",
        lora: str | Path | None = None,
    ) -> None:
        if isinstance(llm, nn.Module):
            self.model, self.tokenizer = llm.eval(), tokenizer
        else:
            self.model, self.tokenizer = load_llm(llm, precision=precision, lora=lora)
        self.ends, self.cache = ends(self.model, self.tokenizer), cache_word(self.model)
        self.ours = getattr(self.tokenizer, "chat_template", None) is None
        self.free = not self.ours if free is None else free

    def answer(self, facts: Facts, instruction: str) -> str:
        """The checked answer to one instruction."""
        return self.write(facts, instruction).text

    def stream(self, facts: Facts, instruction: str) -> Iterator[str]:
        """The checked answer word by word; nothing is shown before it is known to be true."""
        return words(self.answer(facts, instruction))

    @torch.inference_mode()
    def write(self, facts: Facts, instruction: str) -> Answer:
        """The answer and the way by which it came about."""
        start = self._start(facts, instruction)
        if self.free:
            text = self._free(start)
            if not check(text, facts):
                return Answer(text, FREE)
        text = self._guided(start, variants(facts, instruction))
        return Answer(text, GUIDED) if not check(text, facts) else Answer(plain(facts), PLAIN)

    def _start(self, facts: Facts, instruction: str) -> Tensor:
        """Embeddings before the answer, (1, N, D): our sequence, or the chat template of another model."""
        embed: nn.Module = self.model.get_input_embeddings()  # type: ignore[operator]
        if not self.ours or self.tokenizer.bos_token_id is None:
            return embed(torch.tensor([self.prompt(facts, instruction)]))
        before, after = (embed(torch.tensor([part])) for part in opening(self.tokenizer))
        text = embed(torch.tensor([request(self.tokenizer, instruction, facts_text(facts))]))
        return torch.cat([before, self._still(1, embed), after, self._still(PROMPT_TOKENS, embed), text], 1)

    def prompt(self, facts: Facts, instruction: str) -> list[int]:
        """Token ids that another LLM reads before its answer: by its chat template, or as plain text without one."""
        if self.ours:
            return list(self.tokenizer(f"{CHAT_TASK}{facts_text(facts)}\nAnswer:")["input_ids"])
        said = [{"role": "user", "content": f"{CHAT_TASK}{facts_text(facts)}\nThey wrote: {instruction}"}]
        text = self.tokenizer.apply_chat_template(said, add_generation_prompt=True, tokenize=False)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _still(self, count: int, embed: nn.Module) -> Tensor:
        """Neutral embeddings where the network's own would stand: the answer tells measured facts, not impressions."""
        return torch.zeros(1, count, embed.weight.shape[1], dtype=embed.weight.dtype)  # type: ignore[arg-type, union-attr, call-overload, index]

    def _free(self, start: Tensor) -> str:
        ids: list[int] = []
        past, logits = self._read(start, None)
        while len(ids) < LONGEST:
            token = int(logits.argmax())
            if token in self.ends:
                break
            ids.append(token)
            past, logits = self._read_tokens([token], past)
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _guided(self, start: Tensor, options: Sequence[str]) -> str:
        """The best path through a trie of the options: the LLM decides wherever they part."""
        lead = " " if self.ours else ""
        end = self.ends[0]
        rows = [[*self.tokenizer(lead + o, add_special_tokens=False)["input_ids"], end] for o in options]
        past, logits = self._read(start, None)
        depth, read = 0, 0
        while len(rows) > 1:
            choices = sorted({row[depth] for row in rows})
            if len(choices) > 1:
                if depth > read:  # tokens that were never in doubt are read at once
                    past, logits = self._read_tokens(rows[0][read:depth], past)
                    read = depth
                chosen = choices[int(logits[choices].argmax())]
                rows = [row for row in rows if row[depth] == chosen]
            depth += 1
        return str(self.tokenizer.decode(rows[0][:-1], skip_special_tokens=True)).strip()

    def _read_tokens(self, tokens: list[int], past: Any) -> tuple[Any, Tensor]:
        embed: nn.Module = self.model.get_input_embeddings()  # type: ignore[operator]
        return self._read(embed(torch.tensor([tokens])), past)

    def _read(self, embedded: Tensor, past: Any) -> tuple[Any, Tensor]:
        """Feed embeddings (1, N, D); the cache and the next token's logits (vocabulary,)."""
        out = self.model(inputs_embeds=embedded, use_cache=True, **{self.cache: past})
        return getattr(out, self.cache), out.logits[0, -1]


def words(answer: str) -> Iterator[str]:
    """A checked answer word by word, each with the space before it."""
    for n, word in enumerate(answer.split(" ")):
        yield word if n == 0 else f" {word}"


def variants(facts: Facts, instruction: str, count: int = VARIANTS) -> list[str]:
    """True answers in different words; the same for the same facts and instruction."""
    seed = [len(instruction), *instruction.encode()[:64]]
    rng = np.random.default_rng(seed)

    def pick(options: Sequence[str]) -> str:
        return options[int(rng.integers(len(options)))]

    return list(dict.fromkeys(compose(facts, pick) for _ in range(count)))
