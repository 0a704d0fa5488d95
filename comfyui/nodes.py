"""The node: a portrait and a sentence in; the portrait, the mask and a true answer out. Nothing is downloaded."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from retouchgpt import RetouchGPT
from retouchgpt.core.errors import FaceTooSmall, NoFaceFound, UnusableInput
from retouchgpt.core.pixels import from_float, to_float
from retouchgpt.session.result import INSTRUCTION_LIMIT


class Retouch:
    """Removes what an instruction names from every picture of a batch.

    IMAGE (B, H, W, C) float in [0, 1], C 3 or 4, alpha kept; MASK (B, H, W), (1, H, W) or (H, W), white where edits may
    happen. Gives IMAGE, MASK (B, H, W) of what changed, and the answers, one line a picture. Where the mask is 0 the
    values are the input's own. A picture without a face large enough is passed on, and the answer says so.
    """

    CATEGORY = "image/retouch"
    FUNCTION = "retouch"
    RETURN_TYPES = ("IMAGE", "MASK", "STRING")
    RETURN_NAMES = ("image", "mask", "answer")
    DESCRIPTION = "Portrait retouching by plain language: only what you name changes, pores stay."
    _model: ClassVar[RetouchGPT | None] = None

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:
        text = {"multiline": True, "default": "Please remove the acne.", "tooltip": "What goes, what stays, and where."}
        share = {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.05, "tooltip": "Of every edit."}
        who = {"default": "all", "tooltip": 'largest, all, a number from 1, or "the woman on the right".'}
        return {
            "required": {"image": ("IMAGE",), "instruction": ("STRING", text), "strength": ("FLOAT", share)},
            "optional": {"mask": ("MASK",), "face": ("STRING", who)},
        }

    @classmethod
    def VALIDATE_INPUTS(cls, instruction: str) -> bool | str:
        if not instruction.strip():
            return "The instruction is empty: say what to remove."
        if len(instruction) > INSTRUCTION_LIMIT:
            return f"The instruction has more than {INSTRUCTION_LIMIT} characters."
        return True

    def retouch(
        self,
        image: torch.Tensor,
        instruction: str,
        strength: float = 1.0,
        mask: torch.Tensor | None = None,
        face: str = "all",
    ) -> tuple[torch.Tensor, torch.Tensor, str]:
        brushes = _brushes(mask, image)
        pictures = [
            _one(self.model(), picture, instruction, strength, brush, face)
            for picture, brush in zip(image.detach().cpu().float().numpy(), brushes, strict=True)
        ]
        results, masks, answers = zip(*pictures, strict=True)
        return _tensor(results, image), _tensor(masks, image), "\n".join(answers)

    @classmethod
    def model(cls) -> RetouchGPT:
        """The weights that ship in the package, loaded once."""
        if Retouch._model is None:
            Retouch._model = RetouchGPT.from_pretrained()
        return Retouch._model


def _one(
    model: RetouchGPT,
    picture: NDArray[np.float32],
    instruction: str,
    strength: float,
    brush: NDArray[np.float32] | None,
    face: str,
) -> tuple[NDArray[np.float32], NDArray[np.float32], str]:
    """One picture (H, W, C): result, mask (H, W), answer."""
    pixels = from_float(picture[..., :3], np.uint16)
    try:
        result = model.open(pixels, face).instruct(instruction, strength=strength, brush=brush)
    except (NoFaceFound, FaceTooSmall) as error:
        return picture, np.zeros(picture.shape[:2], np.float32), f"Left as it is: {error}"
    out = picture.copy()
    changed = (result.image != pixels).any(2)
    out[changed, :3] = to_float(result.image[changed])
    return out, np.where(changed, result.mask, 0).astype(np.float32), result.answer


def _brushes(mask: torch.Tensor | None, image: torch.Tensor) -> list[NDArray[np.float32] | None]:
    """A mask for each picture. Raises UnusableInput when it does not fit."""
    count, height, width = image.shape[:3]
    if mask is None:
        return [None] * count
    each = mask.detach().cpu().float().reshape(-1, *mask.shape[-2:])
    if each.shape[-2:] != (height, width) or len(each) not in (1, count):
        raise UnusableInput(
            f"the mask is {tuple(each.shape)}, the pictures {(count, height, width)}: make them the same size."
        )
    return list(each.expand(count, -1, -1).numpy())


def _tensor(arrays: tuple[NDArray[np.float32], ...], like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.stack(arrays)).to(like.device)
