"""Trains the small LLM of the LLM-based embedding on generated dialogues, with a tokenizer of our own.

    python -m retouchgpt.training.language recipes/language.yaml --out FOLDER

Writes a Hugging Face folder: config.json, model.safetensors (fp16), tokenizer.json. The nineteen embedded positions
(image token and prompts) hold random vectors here, since the network that makes the real ones is trained after and
against the frozen LLM. Loss on the assistant's turn alone (paper).
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from retouchgpt.core.errors import BadData
from retouchgpt.core.vocabulary import IMPERFECTION_ALIASES, REGION_ALIASES
from retouchgpt.data.dialogues import Dialogue, dialogue, dialogues
from retouchgpt.language.facts_text import facts_text, plan_text
from retouchgpt.language.prompt import PROMPT_TOKENS, opening, reply, request
from retouchgpt.language.reasons import DECLINE
from retouchgpt.model.llm_embedding import build_language_model
from retouchgpt.model.precision import autocast
from retouchgpt.model.presets import PRESETS
from retouchgpt.model.text_encoder import common_words

SPECIAL = ("<pad>", "<s>", "</s>")
IGNORED = -100


@dataclass(frozen=True)
class LanguageRecipe:
    """One run.

    size: preset whose `language_model` gives the sizes. steps, batch: optimiser steps and dialogues in each.
    learning_rate falls along a cosine to final_rate after `warmup` steps. plan_share: share of dialogues whose
    assistant's turn is the plan instead of the answer. repeat_share: share whose turn repeats the facts, which teaches
    copying early. tokenizer_dialogues, tokenizer_words: how many dialogues and common English words the tokenizer is
    built from. pool: batches that are sorted by length together. save_every: steps between checkpoints.
    """

    size: str = "compact"
    seed: int = 1
    steps: int = 1000
    batch: int = 32
    learning_rate: float = 2e-3
    final_rate: float = 1e-5
    warmup: int = 100
    weight_decay: float = 0.01
    clip: float = 1.0
    plan_share: float = 0.2
    repeat_share: float = 0.2
    tokenizer_dialogues: int = 30000
    tokenizer_words: int = 4000
    pool: int = 40
    save_every: int = 200
    precision: str = "bf16"


def read_language_recipe(path: str | Path, **changes: Any) -> LanguageRecipe:
    """A YAML file -> LanguageRecipe, with fields replaced. Raises BadData on a missing file or an unknown field."""
    import yaml

    try:
        data = yaml.safe_load(Path(path).read_text()) or {}
        return LanguageRecipe(**{**data, **{k: v for k, v in changes.items() if v is not None}})
    except FileNotFoundError as error:
        raise BadData(f"no such recipe: {path}. See the folder recipes.") from error
    except (TypeError, ValueError, yaml.YAMLError) as error:
        raise BadData(f"{path} is not a recipe for language: {error}") from error


def build_tokenizer(recipe: LanguageRecipe) -> Any:
    """Byte-level BPE over generated dialogues; digits stand alone so that counts are copied digit by digit."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    split = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(split)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=PRESETS[recipe.size].language_model.vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(recipe), trainer)
    pad, start, end = SPECIAL
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=pad, bos_token=start, eos_token=end)


def _corpus(recipe: LanguageRecipe) -> Iterator[str]:
    words = [w for aliases in (IMPERFECTION_ALIASES, REGION_ALIASES) for names in aliases.values() for w in names]
    yield from (f" {w} {w.capitalize()}" for w in [*words, *DECLINE.values()] for _ in range(20))
    for rank, word in enumerate(common_words(recipe.tokenizer_words)):
        yield f" {word}" * max(1, recipe.tokenizer_words // (rank + 50))
    for turn in islice(dialogues(recipe.seed), recipe.tokenizer_dialogues):
        yield f"{turn.instruction}\n### Facts: {facts_text(turn.facts)}\n### Assistant: {turn.answer}"


def sequence(tokenizer: Any, turn: Dialogue, task: str = "answer") -> tuple[list[int], list[int]]:
    """Token ids after the prompts and their labels (the assistant's turn, IGNORED elsewhere).

    task: `answer`, `plan` (say what the instruction asks for) or `repeat` (say the facts once more).
    """
    facts = facts_text(turn.facts)
    if task == "plan":
        before, after = request(tokenizer, turn.instruction, "", head="Plan"), plan_text(turn.facts)
    elif task == "repeat":
        before, after = request(tokenizer, turn.instruction, facts, head="Repeat"), facts
    else:
        before, after = request(tokenizer, turn.instruction, facts), turn.answer
    said = reply(tokenizer, after)
    return before + said, [IGNORED] * len(before) + said


def _task(recipe: LanguageRecipe, roll: float) -> str:
    if roll < recipe.plan_share:
        return "plan"
    return "repeat" if roll < recipe.plan_share + recipe.repeat_share else "answer"


def batches(tokenizer: Any, recipe: LanguageRecipe, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches of like length: ids and labels, (batch, L), padded on the right."""
    generator = torch.Generator().manual_seed(recipe.seed)
    size = recipe.batch * recipe.pool
    while True:
        pool = []
        for i in range(start, start + size):
            task = _task(recipe, float(torch.rand((), generator=generator)))
            pool.append(sequence(tokenizer, dialogue(recipe.seed, i), task))
        pool.sort(key=lambda pair: len(pair[0]))
        for i in torch.randperm(recipe.pool, generator=generator).tolist():
            yield _padded(pool[i * recipe.batch : (i + 1) * recipe.batch], tokenizer.pad_token_id)
        start += size


def _padded(rows: list[tuple[list[int], list[int]]], pad: int) -> tuple[Tensor, Tensor]:
    length = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [pad] * (length - len(ids)) for ids, _ in rows])
    labels = torch.tensor([labels + [IGNORED] * (length - len(labels)) for _, labels in rows])
    return ids, labels


def language_loss(llm: nn.Module, tokenizer: Any, ids: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Mean cross-entropy of the assistant's tokens; ids, labels: (B, L)."""
    embed: nn.Module = llm.get_input_embeddings()  # type: ignore[operator]
    before, after = (embed(torch.tensor(part)).expand(len(ids), -1, -1) for part in opening(tokenizer))
    scale = embed.weight.detach().std() * torch.rand(len(ids), 1, 1, generator=generator) * 2  # type: ignore[operator, union-attr]
    foreign = torch.randn(len(ids), 1 + PROMPT_TOKENS, before.shape[2], generator=generator) * scale
    sequence = torch.cat([before, foreign[:, :1], after, foreign[:, 1:], embed(ids)], 1)
    hidden = llm.model(inputs_embeds=sequence, use_cache=False).last_hidden_state  # type: ignore[operator, union-attr]
    hidden = hidden[:, -ids.shape[1] : -1]
    wanted = labels[:, 1:] != IGNORED
    return F.cross_entropy(llm.lm_head(hidden[wanted]).float(), labels[:, 1:][wanted])  # type: ignore[operator]


def train_language(recipe: LanguageRecipe, folder: Path, tokenizer: Any = None) -> Path:
    """Train from scratch and write the folder. An existing tokenizer may be given, so that its vocabulary stays."""
    torch.manual_seed(recipe.seed)
    tokenizer = build_tokenizer(recipe) if tokenizer is None else tokenizer
    llm = build_language_model(PRESETS[recipe.size].language_model).train()
    optimiser = torch.optim.AdamW(
        llm.parameters(), recipe.learning_rate, betas=(0.9, 0.99), weight_decay=recipe.weight_decay
    )
    generator = torch.Generator().manual_seed(recipe.seed)
    stream = batches(tokenizer, recipe)
    began = time.monotonic()
    bar = tqdm(range(recipe.steps), desc="language", mininterval=5)
    for step in bar:
        for group in optimiser.param_groups:
            group["lr"] = _rate(recipe, step)
        with autocast("cpu", bf16=recipe.precision == "bf16"):
            loss = language_loss(llm, tokenizer, *next(stream), generator)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(llm.parameters(), recipe.clip)
        optimiser.step()
        if step % recipe.save_every == 0 and step:
            save_language(copy.deepcopy(llm), tokenizer, folder)
        if step % 20 == 0:
            bar.set_postfix(loss=f"{loss.item():.3f}", minutes=f"{(time.monotonic() - began) / 60:.1f}")
    return save_language(llm, tokenizer, folder)


def _rate(recipe: LanguageRecipe, step: int) -> float:
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    way = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.final_rate + (recipe.learning_rate - recipe.final_rate) * (1 + math.cos(math.pi * way)) / 2


def save_language(llm: nn.Module, tokenizer: Any, folder: Path) -> Path:
    """A Hugging Face folder with fp16 weights; its config asks for float32, since a CPU computes in that."""
    llm.config.bos_token_id, llm.config.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id  # type: ignore[union-attr]
    llm.config.pad_token_id = tokenizer.pad_token_id  # type: ignore[union-attr]
    llm.half().save_pretrained(folder)  # type: ignore[operator]
    tokenizer.save_pretrained(folder)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"dtype": "float16"', '"dtype": "float32"'))
    (folder / "generation_config.json").unlink(missing_ok=True)
    return folder


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.training.language", description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--tokenizer", type=Path, help="folder of a tokenizer to keep")
    parser.add_argument("--steps", type=int)
    options = parser.parse_args(arguments)
    tokenizer = None
    if options.tokenizer:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(options.tokenizer)
    train_language(read_language_recipe(options.recipe, steps=options.steps), options.out, tokenizer)


if __name__ == "__main__":
    main()
