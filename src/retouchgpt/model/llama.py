"""A small Llama and its tokenizer without the library that trained them: to import that costs more than a photo.

The same function, tensor for tensor, as transformers' LlamaForCausalLM on the same folder, of which it has the names;
tests compare them. What this does not cover (another family, scaled positions, several files, a chat template) is read
by transformers, see `covers`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retouchgpt.core.errors import WeightsMissing

CONFIG, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG = (
    "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
)  # fmt: skip
NEEDED = {"model_type": "llama", "hidden_act": "silu", "attention_bias": False, "mlp_bias": False}
"""What a configuration must say for this module to be its model."""

Cache = list[tuple[Tensor, Tensor]]
"""Keys and values of the tokens read so far, (B, key-value heads, N, head width), by layer."""


class Read(NamedTuple):
    """logits: (B, N, vocabulary). last_hidden_state: (B, N, D). hidden_states: that alone, where asked for.
    past_key_values: the cache, where asked for."""

    logits: Tensor
    last_hidden_state: Tensor
    hidden_states: tuple[Tensor, ...] | None
    past_key_values: Cache | None


class RMSNorm(nn.Module):
    """(..., D) -> the same, of root mean square 1 in float32, times a learned weight."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight, self.epsilon = nn.Parameter(torch.ones(width)), epsilon

    def forward(self, x: Tensor) -> Tensor:
        exact = x.float()
        exact = exact * torch.rsqrt(exact.pow(2).mean(-1, keepdim=True) + self.epsilon)
        return self.weight * exact.to(x.dtype)


class Attention(nn.Module):
    """Causal attention with rotary positions and shared keys and values: (B, N, D) -> the same."""

    def __init__(self, width: int, heads: int, shared: int, head_width: int) -> None:
        super().__init__()
        self.head_width, self.groups = head_width, heads // shared
        self.q_proj = nn.Linear(width, heads * head_width, bias=False)
        self.k_proj, self.v_proj = (nn.Linear(width, shared * head_width, bias=False) for _ in range(2))
        self.o_proj = nn.Linear(heads * head_width, width, bias=False)

    def forward(
        self, x: Tensor, places: tuple[Tensor, Tensor], visible: Tensor | None, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """visible: (B or 1, 1, N, read + N) bool, or None: all that was read before, and itself."""
        q, k, v = (
            project(x).unflatten(-1, (-1, self.head_width)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = _turned(q, places), _turned(k, places)
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        keys, values = (t.repeat_interleave(self.groups, 1) for t in (k, v))
        causal = visible is None and q.shape[2] > 1
        out = F.scaled_dot_product_attention(q, keys, values, attn_mask=visible, is_causal=causal)
        return self.o_proj(out.transpose(1, 2).flatten(2)), (k, v)


class Feed(nn.Module):
    """SwiGLU: (B, N, D) -> the same."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """Attention and feed-forward, each behind its norm and added."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        width, heads = config["hidden_size"], config["num_attention_heads"]
        head_width = config.get("head_dim") or width // heads
        self.self_attn = Attention(width, heads, config.get("num_key_value_heads") or heads, head_width)
        self.mlp = Feed(width, config["intermediate_size"])
        self.input_layernorm, self.post_attention_layernorm = (RMSNorm(width, config["rms_norm_eps"]) for _ in range(2))

    def forward(self, x: Tensor, places: Any, visible: Tensor | None, past: Any) -> tuple[Tensor, Any]:
        attended, past = self.self_attn(self.input_layernorm(x), places, visible, past)
        x = x + attended
        return x + self.mlp(self.post_attention_layernorm(x)), past


class Stack(nn.Module):
    """Token embeddings, layers, last norm."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config["vocab_size"], config["hidden_size"])
        self.layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        self.norm = RMSNorm(config["hidden_size"], config["rms_norm_eps"])
        self.head_width: int = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        self.theta = float((config.get("rope_parameters") or {}).get("rope_theta", config.get("rope_theta", 1e4)))

    def forward(
        self, *, inputs_embeds: Tensor, attention_mask: Tensor | None = None, past_key_values: Cache | None = None,
        use_cache: bool = False,
    ) -> Read:  # fmt: skip
        """See Llama.forward; without logits."""
        x, read = inputs_embeds, 0 if past_key_values is None else past_key_values[0][0].shape[2]
        visible = _visible(x.shape[1], read, attention_mask)
        places = self._places(read, x)
        cache: Cache = []
        for i, layer in enumerate(self.layers):
            x, kept = layer(x, places, visible, None if past_key_values is None else past_key_values[i])
            cache.append(kept)
        x = self.norm(x)
        return Read(x.new_empty(0), x, (x,), cache if use_cache else None)

    def _places(self, read: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine of each position's angles, (N, head width)."""
        steps = torch.arange(0, self.head_width, 2, dtype=torch.float32, device=like.device) / self.head_width
        at = torch.arange(read, read + like.shape[1], device=like.device)[:, None].float() * (1.0 / self.theta**steps)
        angles = torch.cat([at, at], -1)
        return angles.cos().to(like.dtype), angles.sin().to(like.dtype)


class Llama(nn.Module):
    """A causal LLM. config: as in the folder's config.json."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.model = Stack(config)
        self.lm_head = nn.Linear(config["hidden_size"], config["vocab_size"], bias=False)
        if config.get("tie_word_embeddings"):
            self.lm_head.weight = self.model.embed_tokens.weight

    def get_input_embeddings(self) -> nn.Embedding:
        return self.model.embed_tokens

    def forward(
        self, input_ids: Tensor | None = None, *, inputs_embeds: Tensor | None = None,
        attention_mask: Tensor | None = None, past_key_values: Cache | None = None, use_cache: bool = False,
        output_hidden_states: bool = False,
    ) -> Read:  # fmt: skip
        """Token ids (B, N), or embeddings (B, N, D). attention_mask: (B, read + N), 0 for padding; None: no padding."""
        if inputs_embeds is None:
            assert input_ids is not None, "token ids or embeddings"
            inputs_embeds = self.model.embed_tokens(input_ids)
        out = self.model(
            inputs_embeds=inputs_embeds, attention_mask=attention_mask, past_key_values=past_key_values,
            use_cache=use_cache,
        )  # fmt: skip
        shown = out.hidden_states if output_hidden_states else None
        return out._replace(logits=self.lm_head(out.last_hidden_state), hidden_states=shown)


def _turned(x: Tensor, places: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions: each pair of a head's two halves turned by its place's angle."""
    first, second = x.chunk(2, -1)
    return x * places[0] + torch.cat([-second, first], -1) * places[1]


def _visible(count: int, read: int, attention: Tensor | None) -> Tensor | None:
    padded = attention is not None and not bool(attention.all())
    if not padded and (read == 0 or count == 1):
        return None
    rows = torch.arange(read, read + count)[:, None]
    seen = (torch.arange(read + count) <= rows)[None, None]
    return seen & attention[:, None, None].bool() if padded and attention is not None else seen


class Words:
    """A byte-level tokenizer from its tokenizer.json, called as transformers' are."""

    chat_template = None

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        said = json.loads((folder / TOKENIZER_CONFIG).read_text())
        self.bos_token_id, self.eos_token_id = (
            self._tokenizer.token_to_id(said[n]) if said.get(n) else None for n in ("bos_token", "eos_token")
        )

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids}

    def decode(self, ids: list[int], skip_special_tokens: bool = False) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=skip_special_tokens))


def covers(folder: Path) -> bool:
    """Whether a folder holds what this module can read; if not, transformers does."""
    if not all((folder / name).is_file() for name in (CONFIG, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG)):
        return False
    try:
        config, said = (json.loads((folder / name).read_text()) for name in (CONFIG, TOKENIZER_CONFIG))
    except ValueError:
        return False
    rope = (config.get("rope_parameters") or {}).get("rope_type", "default")
    plain = all(config.get(name, value) == value for name, value in NEEDED.items()) and "model_type" in config
    other = said.get("chat_template") or (folder / "chat_template.jinja").exists()
    return plain and rope == "default" and not config.get("rope_scaling") and not other


def load(folder: Path) -> tuple[Llama, Words]:
    """The LLM of a folder that `covers` accepts, frozen, in float32. Raises WeightsMissing."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = json.loads((folder / CONFIG).read_text())
        model = Llama(config)
        state = {name: value.float() for name, value in load_file(folder / WEIGHTS).items()}
        if config.get("tie_word_embeddings"):
            state["lm_head.weight"] = state["model.embed_tokens.weight"]
        model.load_state_dict(state, strict=True, assign=True)
        return model.eval().requires_grad_(False), Words(folder)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise WeightsMissing(folder) from error
