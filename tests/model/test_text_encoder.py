"""The frozen text encoders."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from retouchgpt.core.errors import WeightsMissing
from retouchgpt.model.checkpoint import sha256
from retouchgpt.model.text_encoder import MINILM_SHA256, TextEncoder, load_text_encoder, minilm_folder


@pytest.fixture(scope="module")
def minilm() -> TextEncoder:
    return load_text_encoder(verify=False)


def test_the_packaged_weights_are_the_public_release() -> None:
    assert sha256(minilm_folder() / "model.safetensors") == MINILM_SHA256


def test_states_do_not_depend_on_the_padding(minilm: TextEncoder) -> None:
    alone = minilm.encode(["remove the acne"])
    batch = minilm.encode(["remove the acne", "please remove all of the freckles on the nose and on the chin"])
    n = int(alone.attention.sum())
    assert alone.states.shape == (1, n, minilm.width)
    assert int(batch.attention[0].sum()) == n
    torch.testing.assert_close(batch.states[0, :n], alone.states[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(batch.pooled()[0], alone.pooled()[0], atol=1e-4, rtol=1e-4)


def test_like_texts_lie_nearer_than_unlike_ones(minilm: TextEncoder) -> None:
    pooled = minilm.encode(["erase the pimples", "get rid of zits", "what a lovely sunny day"]).pooled()
    same, other = torch.cosine_similarity(pooled[:1], pooled[1:]).tolist()
    assert same > other + 0.1


def test_any_t5_by_folder(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

    words = {w: i for i, w in enumerate(["<pad>", "</s>", "<unk>", "remove", "the", "acne"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    fast.save_pretrained(tmp_path)
    T5EncoderModel(
        T5Config(vocab_size=len(words), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    ).save_pretrained(tmp_path)
    encoder = load_text_encoder(tmp_path)
    assert encoder.width == 16
    assert encoder.encode(["remove the acne"]).states.shape == (1, 3, 16)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="nowhere"):
        load_text_encoder(tmp_path / "nowhere")
