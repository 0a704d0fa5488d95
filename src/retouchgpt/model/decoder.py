"""D: the decoder with mask-gated skips (paper, part 7) and a bounded correction as its output (ours)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .area import Area, around, pooled, whole
from .config import SCALES, NetworkConfig
from .image_encoder import ImageFeatures
from .imperfection import KINDS, Selection
from .layers import stack, upsample, zero_conv
from .ratio import RatioHead, applied, log_bands, presence
from .surround import surround_small

CROPPED = 3
"""Maps, from the finest on, that are computed around the mask alone."""
SHARE_GAIN = 16.0
"""Gain of the weights a kind of the share, which starts where a sigmoid is flat."""
PIXELS_REACH = 2
"""Cells of the finest map around one, on which its pixels depend."""


class Decoder(nn.Module):
    """ImageFeatures, repaired tokens (B, W, 6, g, g), Selection -> (B, 3, size, size).

    At each scale the skip is f_i (1 - a M_i) + back_i(R_i M_i): encoder features outside the mask, the transformer's
    inside. a is 1 in the paper; with `learned_gate` each channel learns its own a in (0, 1), so that some go on
    carrying the texture to be kept. Each level adds its own colours to the output, as StyleGAN2's skip generator does.

    A correction is a tint, plus a share, learned a pixel and with `opaque` a kind, of the way to the surrounding skin,
    where an opaque mark hides it, plus, with `ratio`, the factor by which a mark that the skin shows through changed
    its light (ours).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        channels, strides = config.channels, config.strides
        self.factors = [strides[i + 1] // strides[i] for i in range(SCALES - 1)]
        self.limit, self.strides = config.correction_limit, strides
        self.reach = 1 + 2 * config.decoder_depth
        self.back = nn.ModuleList(nn.Conv2d(config.width, c, 1) for c in channels)
        self.descend = nn.ModuleList(nn.Conv2d(channels[i + 1], channels[i], 1) for i in range(SCALES - 1))
        self.kinds = nn.ModuleList(zero_conv(KINDS, c) for c in channels[:4]) if config.grounded else None
        self.levels = nn.ModuleList(stack(c, c, config.decoder_depth, norm=False) for c in channels)
        self.colours = nn.ModuleList(zero_conv(c, 3) for c in channels[1:4])
        self.pixels = zero_conv(channels[0], 3 * strides[0] ** 2, 3)
        self.hint = zero_conv(3 * strides[0] ** 2, channels[0])
        self.share = zero_conv(channels[0], strides[0] ** 2, 3)
        nn.init.constant_(self.share.bias, -3.0)  # type: ignore[arg-type]
        self.opaque = zero_conv(2 * KINDS, 1) if config.opaque else None
        self.ratio = RatioHead(channels[0]) if config.ratio else None
        self.gates = nn.ParameterList(torch.zeros(c) for c in channels) if config.learned_gate else None

    def forward(
        self, image: Tensor, features: ImageFeatures, repaired: Tensor, where: Selection, least: float | None = None
    ) -> Tensor:
        """least: mask value from which a pixel can change; with it the result is 0 where none can, at less cost."""
        at = self._areas(features, where.mask, least)
        pixels = at[0].finer(self.strides[0])
        around_it = surround_small(image, where.mask)
        way = pixels.of(upsample(around_it, self.strides[0]) - image)
        hint = self.hint(F.pixel_unshuffle(way, self.strides[0]))
        bands: Tensor | None = None
        if self.ratio is not None:
            bands = at[0].of(log_bands(F.avg_pool2d(image, self.strides[0]), around_it))
            hint = hint + self.ratio.hint(bands.flatten(1, 2))
        x: Tensor | None = None
        out: Tensor | None = None
        for i in reversed(range(SCALES)):
            x = self._level(i, x, features.maps[i], repaired[:, :, i], where, hint if i == 0 else None, at)
            if 1 <= i < 4:
                colour = self.colours[i - 1](x)
                out = colour if out is None else self._up(out, i, at) + colour
        assert x is not None
        assert out is not None
        fine = F.pixel_shuffle(self.pixels(x), self.strides[0]) if self.strides[0] > 1 else self.pixels(x)
        raw = fine + pixels.inside(at[1].finer(self.strides[1]), upsample(out, self.strides[1]))
        if self.limit:
            share = self.share(x)
            if self.opaque is not None:
                share = share + SHARE_GAIN * self.opaque(presence(at[0].of(where.kinds)))
            raw = raw + F.pixel_shuffle(share, self.strides[0]).sigmoid() * way
            if self.ratio is not None and bands is not None:
                log_ratio, more = (upsample(y, self.strides[0]) for y in self.ratio(x, at[0].of(where.kinds), bands))
                raw = raw * (1 + more) + applied(pixels.of(image), log_ratio)
            raw = self.limit * torch.tanh(raw / self.limit)
        if pixels == whole(image):
            return raw
        full = raw.new_zeros(image.shape)
        pixels.of(full)[:] = raw
        return full

    def _areas(self, features: ImageFeatures, mask: Tensor, least: float | None) -> list[Area]:
        """What of each map is computed: where a pixel can change, and what that depends on. Coarse maps are cheap."""
        at = [whole(m) for m in features.maps]
        # elsewhere than on a CPU to ask where the mask lies would stop the queue of work
        chosen = around(mask > least) if least is not None and mask.device.type == "cpu" else None
        if chosen is None:
            return at
        need = chosen.grown(1 + PIXELS_REACH, *features.maps[0].shape[-2:])  # enlarging the mask spreads it by a px
        for i in range(CROPPED):
            at[i] = need.grown(self.reach, *features.maps[i].shape[-2:])
            need = at[i].coarser(self.factors[i]).grown(1, *features.maps[i + 1].shape[-2:])
        return at

    def _up(self, x: Tensor, i: int, at: list[Area]) -> Tensor:
        """A map of the level above, enlarged to level i."""
        return at[i].inside(at[i + 1].finer(self.factors[i]), upsample(x, self.factors[i]))

    def _level(
        self, i: int, x: Tensor | None, skip: Tensor, repaired: Tensor, where: Selection, hint: Tensor | None,
        at: list[Area],
    ) -> Tensor:  # fmt: skip
        size, grid = skip.shape[-2:], repaired.shape[-2:]
        mask = at[i].of(pooled(where.mask, *size))
        gate = mask if self.gates is None else mask * self.gates[i].sigmoid()[None, :, None, None]
        token = size[1] // grid[1]
        tokens = at[i].coarser(token).grown(1, *grid)
        back = upsample(self.back[i](tokens.of(repaired * pooled(where.mask, *grid))), token)
        joined = at[i].of(skip) * (1 - gate) + at[i].inside(tokens.finer(token), back) * mask
        if x is not None:
            joined = joined + self._up(self.descend[i](x), i, at)
        if self.kinds is not None and i < 4:
            joined = joined + self.kinds[i](at[i].of(pooled(where.kinds, *size)))
        return self.levels[i](joined if hint is None else joined + hint)
