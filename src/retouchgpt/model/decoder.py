"""D: the decoder with mask-gated skips (paper, part 7) and a bounded correction as its output (ours)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import SCALES, NetworkConfig
from .image_encoder import ImageFeatures
from .imperfection import KINDS, Selection
from .layers import stack, upsample, zero_conv
from .surround import surround


class Decoder(nn.Module):
    """ImageFeatures, repaired tokens (B, W, 6, g, g), Selection -> (B, 3, size, size).

    At each scale the skip is f_i (1 - a M_i) + back_i(R_i M_i): encoder features outside the mask, the transformer's
    inside. a is 1 in the paper; with `learned_gate` each channel learns its own a in (0, 1), so that some go on
    carrying the texture to be kept. Each level adds its own colours to the output, as StyleGAN2's skip generator does.

    A correction is a tint, where the skin shows through, plus a share, learned a pixel, of the way to the surrounding
    skin, where an opaque mark hides it (ours).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        channels, strides = config.channels, config.strides
        self.factors = [strides[i + 1] // strides[i] for i in range(SCALES - 1)]
        self.limit, self.strides = config.correction_limit, strides
        self.back = nn.ModuleList(nn.Conv2d(config.width, c, 1) for c in channels)
        self.descend = nn.ModuleList(nn.Conv2d(channels[i + 1], channels[i], 1) for i in range(SCALES - 1))
        self.kinds = nn.ModuleList(zero_conv(KINDS, c) for c in channels[:4]) if config.grounded else None
        self.levels = nn.ModuleList(stack(c, c, config.decoder_depth, norm=False) for c in channels)
        self.colours = nn.ModuleList(zero_conv(c, 3) for c in channels[1:4])
        self.pixels = zero_conv(channels[0], 3 * strides[0] ** 2, 3)
        self.hint = zero_conv(3 * strides[0] ** 2, channels[0])
        self.share = zero_conv(channels[0], strides[0] ** 2, 3)
        nn.init.constant_(self.share.bias, -3.0)  # type: ignore[arg-type]
        self.gates = nn.ParameterList(torch.zeros(c) for c in channels) if config.learned_gate else None

    def forward(self, image: Tensor, features: ImageFeatures, repaired: Tensor, where: Selection) -> Tensor:
        way = surround(image, where.mask) - image
        hint = self.hint(F.pixel_unshuffle(way, self.strides[0]))
        x: Tensor | None = None
        out: Tensor | None = None
        for i in reversed(range(SCALES)):
            x = self._level(i, x, features.maps[i], repaired[:, :, i], where, hint if i == 0 else None)
            if 1 <= i < 4:
                colour = self.colours[i - 1](x)
                out = colour if out is None else upsample(out, self.factors[i]) + colour
        assert x is not None
        assert out is not None
        fine = F.pixel_shuffle(self.pixels(x), self.strides[0]) if self.strides[0] > 1 else self.pixels(x)
        raw = fine + upsample(out, self.strides[1])
        if self.limit == 0:
            return raw
        share = F.pixel_shuffle(self.share(x), self.strides[0]).sigmoid()
        return self.limit * torch.tanh((raw + share * way) / self.limit)

    def _level(
        self, i: int, x: Tensor | None, skip: Tensor, repaired: Tensor, where: Selection, hint: Tensor | None
    ) -> Tensor:
        mask = F.adaptive_max_pool2d(where.mask, skip.shape[-2:])
        coarse = F.adaptive_max_pool2d(where.mask, repaired.shape[-2:])
        gate = mask if self.gates is None else mask * self.gates[i].sigmoid()[None, :, None, None]
        back = upsample(self.back[i](repaired * coarse), skip.shape[-1] // repaired.shape[-1])
        joined = skip * (1 - gate) + back * mask
        if x is not None:
            joined = joined + upsample(self.descend[i](x), self.factors[i])
        if self.kinds is not None and i < 4:
            joined = joined + self.kinds[i](F.adaptive_max_pool2d(where.kinds, skip.shape[-2:]))
        return self.levels[i](joined if hint is None else joined + hint)
