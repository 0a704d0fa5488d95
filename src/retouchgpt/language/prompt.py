"""The text around the LLM's embeddings, in the paper's order, with our line of facts before the assistant's turn.

BOS "### Human: <Img>" [image] "</Img> " [18 prompts] instruction "\\n### Facts: ...\\n### Assistant:" " answer" EOS
"""

from __future__ import annotations

from typing import Any

from retouchgpt.model.llm_embedding import AFTER_IMAGE, BEFORE_IMAGE

PROMPT_TOKENS = 18
INSTRUCTION_LIMIT = 128
"""Tokens of an instruction that the LLM reads; longer ones are cut."""


def opening(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Token ids before and after the image token."""
    before = [tokenizer.bos_token_id, *_ids(tokenizer, BEFORE_IMAGE)]
    return before, _ids(tokenizer, AFTER_IMAGE)


def request(tokenizer: Any, instruction: str, facts_line: str, head: str = "Facts") -> list[int]:
    """Token ids from the instruction to "### Assistant:"."""
    said = _ids(tokenizer, " ".join(instruction.split()))[:INSTRUCTION_LIMIT]
    return said + _ids(tokenizer, f"\n### {head}: {facts_line}\n### Assistant:" if facts_line else f"\n### {head}:")


def reply(tokenizer: Any, text: str) -> list[int]:
    """Token ids of the assistant's turn, end-of-sequence included."""
    return [*_ids(tokenizer, f" {text}"), tokenizer.eos_token_id]


def _ids(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]
