"""Another LLM: any causal model by folder, its chat template, bf16, LoRA; small checkpoints made here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from retouchgpt.core.errors import BadData, WeightsMissing
from retouchgpt.core.facts import Facts, Outcome
from retouchgpt.language.answers import FREE, AnswerWriter
from retouchgpt.language.checking import check
from retouchgpt.language.llm import ADAPTER, load_llm
from retouchgpt.model.checkpoint import LLM, shipped
from retouchgpt.training.adapter import IGNORED, batch, train_adapter

FACTS = Facts("retouch", edited=(Outcome("acne", "left_cheek", 1.0, 3, 400),))
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<|a|>{% endif %}"
)


def checkpoint(folder: Path, kind: str, template: str | None) -> Path:
    """An untrained causal LLM of another family, saved as transformers saves it, with the shipped tokenizer's words."""
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel, Qwen2Config, Qwen2ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(shipped() / LLM)
    tokenizer.chat_template = template
    torch.manual_seed(0)
    size = len(tokenizer)
    if kind == "qwen2":
        config = Qwen2Config(vocab_size=size, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
                             num_key_value_heads=1, intermediate_size=48, max_position_embeddings=1024)  # fmt: skip
        model: torch.nn.Module = Qwen2ForCausalLM(config)
    else:
        model = GPT2LMHeadModel(GPT2Config(vocab_size=size, n_embd=32, n_layer=1, n_head=2, n_positions=1024))
    model.save_pretrained(folder)  # type: ignore[operator]
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("kind", "template"), [("qwen2", TEMPLATE), ("gpt2", TEMPLATE), ("gpt2", None)])
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_any_causal_llm_writes_and_never_falsely(
    kind: str, template: str | None, precision: str, tmp_path: Path
) -> None:
    writer = AnswerWriter(checkpoint(tmp_path, kind, template), precision=precision)
    assert next(writer.model.parameters()).dtype == {"bf16": torch.bfloat16, "fp32": torch.float32}[precision]
    assert writer.free == (template is not None)
    answer = writer.write(FACTS, "remove the acne on the left cheek")
    assert answer.way != FREE
    assert check(answer.text, FACTS) == []


def test_the_chat_template_is_what_the_llm_reads(tmp_path: Path) -> None:
    writer = AnswerWriter(checkpoint(tmp_path, "qwen2", TEMPLATE))
    said = writer.tokenizer.decode(writer.prompt(FACTS, "remove the acne"))
    assert said.startswith("<|user|>")
    assert said.endswith("<|a|>")
    assert "3 acne, left cheek" in said
    assert "remove the acne" in said


def test_lora_is_trained_saved_and_used_and_the_base_stays(tmp_path: Path) -> None:
    base = checkpoint(tmp_path / "base", "qwen2", TEMPLATE)
    before = (base / "model.safetensors").read_bytes()
    folder = train_adapter(base, tmp_path / "lora", rank=2, steps=3, size=2, rate=1e-2, precision="fp32")
    assert (folder / ADAPTER).is_file()
    assert (base / "model.safetensors").read_bytes() == before
    plain, adapted = AnswerWriter(base), AnswerWriter(base, lora=folder)
    ids = torch.tensor([plain.prompt(FACTS, "remove the acne")])
    with torch.inference_mode():
        assert not torch.allclose(plain.model(ids).logits, adapted.model(ids).logits)
    assert check(adapted.answer(FACTS, "remove the acne"), FACTS) == []


def test_lora_learns_the_answer_alone(tmp_path: Path) -> None:
    writer = AnswerWriter(checkpoint(tmp_path, "qwen2", TEMPLATE))
    ids, attention, labels = batch(writer, 5, 0, 2)
    assert ids.shape == attention.shape == labels.shape
    assert (labels[:, 0] == IGNORED).all()
    assert (labels[attention == 0] == IGNORED).all()
    known = labels != IGNORED
    assert (labels[known] == ids[known]).all()
    assert known.any(1).all()


def test_what_cannot_be_loaded_is_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing):
        load_llm(tmp_path / "none")
    with pytest.raises(BadData, match="bf16"):
        load_llm(tmp_path, precision="int4")
    base = checkpoint(tmp_path / "base", "gpt2", None)
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "adapter_model.bin").write_bytes(b"x")
    with pytest.raises(WeightsMissing):
        load_llm(base, lora=tmp_path / "pickled")
