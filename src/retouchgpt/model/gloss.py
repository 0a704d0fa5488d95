"""Shine that goes leaves skin, not grey: a highlight is white, and so is what is left of it (ours).

Where a highlight blew out, the photo holds no colour of the skin under it. Darkened as it is it becomes a grey patch,
which is what the repair learned from paint, where the skin's colour shows through. So as far as a correction darkens
shine, the result takes its hue and saturation from the skin around; light and dark, the pores, stay the correction's.
"""

from __future__ import annotations

from torch import Tensor

FULL_FALL = 0.15
"""Fall of luma, in [0, 1] units, from which the colour is that of the skin around alone; chosen on training faces."""
LUMA = (0.299, 0.587, 0.114)
DARK = 0.05
"""Least luma of the surroundings that says something of their colour."""


def recoloured(image: Tensor, correction: Tensor, shine: Tensor, around: Tensor) -> Tensor:
    """The correction with the colour of the skin around where it darkens shine.

    image, correction, around: (B, 3, H, W), the last the colour of the surrounding skin. shine: (B, 1, H, W), how much
    of the edit is shine's, in [0, 1]; where it is 0 the correction stays as it is.
    """
    out = image + correction
    before, after, beside = (_luma(x) for x in (image, out, around))
    fall = ((before - after) / FULL_FALL).clamp(0, 1)
    tinted = around * (after / beside.clamp_min(DARK))
    return correction + shine * fall * (tinted - out)


def _luma(x: Tensor) -> Tensor:
    return (x * x.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def asked(shine: Tensor, least: float) -> bool:
    """Whether any shine may be edited; where asking would stop an accelerator's queue, yes."""
    return shine.device.type != "cpu" or bool((shine.detach() > least).any())
