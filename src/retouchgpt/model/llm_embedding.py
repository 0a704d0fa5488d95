"""LBE: the LLM-based embedding (paper, part 4).

The sequence, in the paper's order: begin-of-sequence and "### Human: <Img>", one image token, "</Img> ", nine learned
base prompts and nine from the mask, the dialogue's text. A frozen causal LLM reads it; its last hidden states are the
imperfection prompts f_r, its next-token logits are the answer's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import LanguageModelConfig, NetworkConfig

BEFORE_IMAGE = "### Human: <Img>"
AFTER_IMAGE = "</Img> "
MASK_GRID = 16
"""Side of the pooled mask that P reads."""


class DialogueTokens(NamedTuple):
    """Token ids of one batch of dialogues. before, after: (n,), around the image token, begin-of-sequence included in
    `before`. text: (B, L), padded on the right. attention: (B, L), 1 for text, 0 for padding. shown: (B, L), 1 for what
    G_ctrl may see of it, which is not the assistant's turn; None: all of it."""

    before: Tensor
    after: Tensor
    text: Tensor
    attention: Tensor
    shown: Tensor | None = None


class Prompts(NamedTuple):
    """hidden: f_r, (B, N, llm width). attention: (B, N). logits: (B, N, vocabulary), or None without an LLM."""

    hidden: Tensor
    attention: Tensor
    logits: Tensor | None


def build_language_model(config: LanguageModelConfig) -> nn.Module:
    """An untrained Llama of these sizes, on the current default device."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocabulary,
            hidden_size=config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.key_value_heads,
            intermediate_size=config.feed_forward,
            max_position_embeddings=config.context,
            tie_word_embeddings=True,
        )
    )


def tokenise(tokenizer: Any, texts: list[str], *, limit: int = 128) -> DialogueTokens:
    """Instructions -> DialogueTokens with any Hugging Face tokenizer; texts longer than `limit` tokens are cut."""
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    before = start + tokenizer(BEFORE_IMAGE, add_special_tokens=False)["input_ids"]
    after = tokenizer(AFTER_IMAGE, add_special_tokens=False)["input_ids"]
    rows = [tokenizer(t, add_special_tokens=False)["input_ids"][:limit] or [after[-1]] for t in texts]
    length = max(map(len, rows))
    text = torch.tensor([row + [row[-1]] * (length - len(row)) for row in rows])
    attention = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    return DialogueTokens(torch.tensor(before), torch.tensor(after), text, attention)


class LanguageEmbedding(nn.Module):
    """P and the prompts around a frozen LLM, which is attached, not owned: it is saved in its own folder."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.language_model.width
        self.image = nn.Linear(config.width, width)
        self.base = nn.Parameter(torch.randn(config.base_prompts, width) * 0.02)
        self.mask_prompts, self.width = config.mask_prompts, width
        rank = min(width, 128)
        self.project = nn.Sequential(
            nn.Linear(MASK_GRID**2, rank), nn.GELU(), nn.Linear(rank, config.mask_prompts * width)
        )
        nn.init.normal_(self.project[2].weight, std=0.002)  # type: ignore[arg-type]
        self._llm: list[nn.Module] = []

    @property
    def llm(self) -> nn.Module | None:
        return self._llm[0] if self._llm else None

    def attach(self, llm: nn.Module) -> None:
        """Use this causal LLM, frozen. Raises ValueError when its width is not the configuration's."""
        width = llm.get_input_embeddings().weight.shape[1]  # type: ignore[operator]
        if width != self.width:
            raise ValueError(f"the LLM's width is {width}, the network expects {self.width}")
        self._llm = [llm.requires_grad_(False).eval()]

    def prompts(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """f_img (B, W, 6, g, g), M_s (B, 1, h, w) -> image token (B, 1, D), prompts (B, 18, D)."""
        image = self.image(tokens[:, :, -1].mean((-2, -1)))[:, None]
        pooled = F.adaptive_max_pool2d(mask, MASK_GRID).flatten(1)
        learned = self.base.expand(len(mask), -1, -1)
        return image, torch.cat([learned, self.project(pooled).view(len(mask), self.mask_prompts, -1)], 1)

    def forward(self, tokens: Tensor, mask: Tensor, dialogue: DialogueTokens | None) -> Prompts:
        """Without a dialogue or without an LLM the prompts themselves are f_r (the ablation "without LBE")."""
        image, prompts = self.prompts(tokens, mask)
        if dialogue is None or self.llm is None:
            hidden = torch.cat([image, prompts], 1)
            return Prompts(hidden, hidden.new_ones(hidden.shape[:2], dtype=torch.long), None)
        embed = self.llm.get_input_embeddings()  # type: ignore[operator]
        rows = len(mask)
        before, after = (embed(ids).expand(rows, -1, -1) for ids in (dialogue.before, dialogue.after))
        sequence = [part.to(before.dtype) for part in (before, image, after, prompts, embed(dialogue.text))]
        embedded = torch.cat(sequence, 1)
        known = embedded.shape[1] - dialogue.text.shape[1]
        attention = torch.cat([dialogue.attention.new_ones(rows, known), dialogue.attention], 1)
        out = self.llm(inputs_embeds=embedded, attention_mask=attention, output_hidden_states=True, use_cache=False)
        if dialogue.shown is not None:
            attention = torch.cat([attention[:, :known], dialogue.attention * dialogue.shown], 1)
        return Prompts(out.hidden_states[-1].to(mask.dtype), attention, out.logits)
