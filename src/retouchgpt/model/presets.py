"""The named sizes: `tiny` for tests, `compact` ships, `paper` has the paper's numbers."""

from __future__ import annotations

from .config import LanguageModelConfig, NetworkConfig

TINY = NetworkConfig(
    name="tiny",
    image_size=128,
    channels=(8, 8, 16, 16, 16, 16),
    strides=(2, 4, 8, 16, 16, 16),
    encoder_depth=1,
    decoder_depth=1,
    width=16,
    blocks=2,
    heads=2,
    feed_forward_ratio=2.0,
    full_attention_every=2,
    window=4,
    control_grid=4,
    base_prompts=9,
    mask_prompts=9,
    imperfection_width=8,
    text_width=384,
    grounded=True,
    learned_gate=True,
    correction_limit=0.6,
    gate=(0.15, 0.5),
    local_contrast=4.0,
    imperfection_depth=0,
    places=True,
    mutual=True,
    pifm=True,
    ratio=True,
    opaque=True,
    language_model=LanguageModelConfig(
        vocabulary=512, width=32, layers=1, heads=2, key_value_heads=2, feed_forward=64, context=256
    ),
)

COMPACT = NetworkConfig(
    name="compact",
    image_size=512,
    channels=(32, 64, 128, 128, 128, 128),
    strides=(2, 4, 8, 16, 16, 16),
    encoder_depth=2,
    decoder_depth=2,
    width=96,
    blocks=3,
    heads=3,
    feed_forward_ratio=2.0,
    full_attention_every=3,
    window=8,
    control_grid=8,
    base_prompts=9,
    mask_prompts=9,
    imperfection_width=32,
    text_width=384,
    grounded=True,
    learned_gate=True,
    correction_limit=0.6,
    gate=(0.10, 0.25),
    local_contrast=4.0,
    imperfection_depth=1,
    places=True,
    mutual=True,
    pifm=True,
    ratio=True,
    opaque=True,
    language_model=LanguageModelConfig(
        vocabulary=2048, width=256, layers=5, heads=8, key_value_heads=4, feed_forward=640, context=512
    ),
    mirrored=True,
)

PAPER = NetworkConfig(
    name="paper",
    image_size=512,
    channels=(64, 128, 256, 512, 512, 512),
    strides=(1, 2, 4, 8, 8, 8),
    encoder_depth=0,
    decoder_depth=1,
    width=512,
    blocks=8,
    heads=8,
    feed_forward_ratio=2.0,
    full_attention_every=4,
    window=16,
    control_grid=16,
    base_prompts=9,
    mask_prompts=9,
    imperfection_width=512,
    text_width=1024,
    grounded=False,
    learned_gate=False,
    correction_limit=0.0,
    gate=(0.0, 1.0),
    local_contrast=0.0,
    imperfection_depth=1,
    places=False,
    mutual=True,
    pifm=True,
    ratio=False,
    opaque=False,
    language_model=LanguageModelConfig(
        vocabulary=32000, width=4096, layers=32, heads=32, key_value_heads=32, feed_forward=11008, context=2048
    ),
)

PRESETS: dict[str, NetworkConfig] = {preset.name: preset for preset in (TINY, COMPACT, PAPER)}
