"""Configuration of the network: every size is these dataclasses with other numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from retouchgpt.core.errors import InvalidPlan
from retouchgpt.core.vocabulary import IMPERFECTIONS

SCALES = 6
"""Feature maps of the image encoder, and so tokens a position (paper: T = 6)."""


@dataclass(frozen=True)
class LanguageModelConfig:
    """The frozen LLM of the LLM-based embedding: a Llama by its sizes (built here) or any causal model (attached)."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    key_value_heads: int
    feed_forward: int
    context: int


ABSENT = {"local_contrast": 0.0, "imperfection_depth": 1, "places": False, "mutual": True, "pifm": True, "ratio": False,
          "opaque": False}  # fmt: skip
"""What a configuration written before these fields existed means."""


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of each box; B is the batch, positions are the token grid (image_size / strides[-1]) squared.

    channels, strides: of the six encoder maps, finest first; the last three share one stride, the token grid's.
    encoder_depth, decoder_depth: residual blocks at each map beside its one convolution (paper: 0).
    width, blocks, heads, feed_forward_ratio: of the latent retouching transformer R (paper: 512, 8, 8, 2).
    full_attention_every: each n-th block attends over all six scales, the others over pairs (paper: 2 of 8).
    window: side of the attention windows in tokens (paper: 16).
    control_grid: side of the grid on which G_ctrl decides; its maps are upsampled to the token grid.
    base_prompts, mask_prompts: prompt tokens for the LLM, learned and from the mask (paper: 9 and 9).
    grounded: heat maps a kind, selected by the plan (ours), or the paper's fused image-and-text sigmoid.
    learned_gate: each skip channel learns how much of it the mask replaces (ours); False replaces all (paper).
    correction_limit: bound of the predicted correction in [0, 1] units; 0 re-synthesises the image (paper).
    ratio: D also changes light by a factor (ours); it needs a bounded correction.
    opaque: how far D goes to the surrounding skin also depends on the kind (ours); it needs a bounded correction.
    gate: mask values (low, high) between which the edit fades in; below low no pixel changes.
    local_contrast: gain of the second input, each pixel against the skin around it (ours); 0 leaves it out (paper).
    imperfection_depth: residual blocks of the maps' finest level; the encoder has its own there (ours, grounded only).
    places: the imperfection maps are told where on the face they look (ours, grounded IIP only).
    mirrored: the maps are the mean of what is seen in the image and in its mirror image (ours, grounded IIP only); in
    use, not in training.
    mutual, pifm: the paper's mutual attention between pairs of scales, and its imperfection feature modification
    (alpha, beta, gamma, and the leaning of queries, keys and values by the mask); False for the ablations.
    assurance: a kind's heat counts so many times once it is above the gate (ours); see evaluation/calibrate.
    """

    name: str
    image_size: int
    channels: tuple[int, int, int, int, int, int]
    strides: tuple[int, int, int, int, int, int]
    encoder_depth: int
    decoder_depth: int
    width: int
    blocks: int
    heads: int
    feed_forward_ratio: float
    full_attention_every: int
    window: int
    control_grid: int
    base_prompts: int
    mask_prompts: int
    imperfection_width: int
    text_width: int
    grounded: bool
    learned_gate: bool
    correction_limit: float
    gate: tuple[float, float]
    local_contrast: float
    imperfection_depth: int
    places: bool
    mutual: bool
    pifm: bool
    ratio: bool
    opaque: bool
    language_model: LanguageModelConfig
    assurance: tuple[float, ...] = (1.0,) * len(IMPERFECTIONS)
    mirrored: bool = False

    def __post_init__(self) -> None:
        if len(self.channels) != SCALES or len(self.strides) != SCALES:
            raise InvalidPlan(f"channels and strides need {SCALES} numbers each")
        if len(set(self.strides[3:])) != 1:
            raise InvalidPlan(f"the last three strides must be equal, got {self.strides}")
        for name in ("ratio", "opaque"):
            if getattr(self, name) and not self.correction_limit:
                raise InvalidPlan(f"{name} needs a bounded correction: set correction_limit above 0")
        if self.mirrored and not self.grounded:
            raise InvalidPlan("mirrored needs maps a kind: set grounded, or leave mirrored out")
        if len(self.assurance) != len(IMPERFECTIONS) or min(self.assurance) < 1:
            raise InvalidPlan(f"assurance needs {len(IMPERFECTIONS)} numbers from 1 on, got {self.assurance}")
        if self.width % self.heads:
            raise InvalidPlan(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.image_size % (self.strides[-1] * self.window):
            raise InvalidPlan(
                f"image size {self.image_size} must be a multiple of window x stride {self.strides[-1] * self.window}"
            )

    @property
    def grid(self) -> int:
        """Side of the token grid."""
        return self.image_size // self.strides[-1]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> NetworkConfig:
        """Raises TypeError or InvalidPlan when a field is missing, unknown or inconsistent."""
        given = {**ABSENT, **data}
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        values["language_model"] = LanguageModelConfig(**values["language_model"])
        return cls(**values)
