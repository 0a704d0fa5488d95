"""The light Llama against transformers' own, on the same small folder: the same numbers, the same words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from retouchgpt.core.errors import WeightsMissing
from retouchgpt.model import llama
from retouchgpt.model.checkpoint import LLM, shipped


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained Llama with shared keys and values, as transformers saves it, beside the shipped tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("llama")
    torch.manual_seed(3)
    config = LlamaConfig(vocab_size=2048, hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, intermediate_size=64, tie_word_embeddings=True)  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in (llama.TOKENIZER, llama.TOKENIZER_CONFIG):
        shutil.copy(shipped() / LLM / name, folder / name)
    return folder


@torch.inference_mode()
@pytest.mark.parametrize("autocast", [False, True])
def test_it_reads_as_transformers_does(folder: Path, autocast: bool) -> None:
    from transformers import AutoModelForCausalLM

    ours, theirs = llama.load(folder)[0], AutoModelForCausalLM.from_pretrained(folder).eval()
    embedded = torch.randn(2, 11, 48, generator=torch.Generator().manual_seed(0))
    whole = torch.ones(2, 11, dtype=torch.long)
    padded = whole.clone()
    padded[1, 8:] = 0
    for attention in (None, whole, padded):
        keywords = {"inputs_embeds": embedded, "attention_mask": attention, "output_hidden_states": True}
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            got, wanted = ours(**keywords), theirs(**keywords, use_cache=False)
        kept = whole.bool() if attention is None else attention.bool()
        assert got.logits.dtype == wanted.logits.dtype
        for a, b in ((got.logits, wanted.logits), (got.hidden_states[-1], wanted.hidden_states[-1])):
            assert float((a.float() - b.float())[kept].abs().max()) <= (2e-2 if autocast else 1e-6)


@torch.inference_mode()
def test_reading_on_from_its_cache_is_reading_at_once(folder: Path) -> None:
    model = llama.load(folder)[0]
    ids = torch.arange(40, 52)[None]
    whole, past = model(ids).logits, None
    for part in ids.split((6, 1, 4, 1), 1):
        out = model(part, past_key_values=past, use_cache=True)
        past = out.past_key_values
    assert float((out.logits[:, -1] - whole[:, -1]).abs().max()) < 1e-5
    assert past is not None
    assert past[0][0].shape[2] == 12


def test_its_tokenizer_has_the_same_words(folder: Path) -> None:
    from transformers import AutoTokenizer

    ours, theirs = llama.load(folder)[1], AutoTokenizer.from_pretrained(folder)
    assert (ours.bos_token_id, ours.eos_token_id) == (theirs.bos_token_id, theirs.eos_token_id)
    for text in ("Please remove 12 moles!\n### Facts: 3 acne", " don't", "naïve - two  spaces", "", "<s> what"):
        ids = theirs(text, add_special_tokens=False)["input_ids"]
        assert ours(text, add_special_tokens=False)["input_ids"] == ids
        assert ours(text)["input_ids"] == theirs(text)["input_ids"]
        assert ours.decode(ids, skip_special_tokens=True) == theirs.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (llama.CONFIG, {"model_type": "qwen2"}),
        (llama.CONFIG, {"attention_bias": True}),
        (llama.CONFIG, {"rope_parameters": {"rope_type": "llama3"}}),
        (llama.TOKENIZER_CONFIG, {"chat_template": "{{ messages }}"}),
    ],
)
def test_what_it_cannot_read_it_leaves_to_transformers(folder: Path, tmp_path: Path, name: str, change: dict) -> None:
    assert llama.covers(folder)
    assert not llama.covers(tmp_path)
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / name).write_text(json.dumps(json.loads((tmp_path / name).read_text()) | change))
    assert not llama.covers(tmp_path)


def test_broken_weights_are_said(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / llama.WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(WeightsMissing):
        llama.load(tmp_path)
