"""What the same photo costs by other means, in the same run: filters, the paper's size, a plain U-Net."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from retouchgpt.model.imperfection import given
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.training.plain import KINDS, unet_like

from .clock import Timing, timed

PAPER_LLM_TFLOP = 3.7
"""The paper's LLM of 7 billion parameters on about 270 tokens; it is reckoned, not run."""


def tflop(work: Any) -> float:
    """10^12 operations of some work, counted as it runs."""
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        work()
    return counter.get_total_flops() / 1e12


def paper_pass(network: RetouchNetwork, image: Tensor) -> None:
    """The paper's retouching network on one face, its LLM left out."""
    features = network.encode(image)
    network.imperfection(features, torch.zeros(1, 16, network.config.text_width, device=image.device))
    side = image.shape[-1] // network.config.strides[0]
    network.repair(image, features, given(torch.ones(1, 12, side, side, device=image.device)))


def paper_tflop() -> float:
    """Operations of the paper's size at 512 px, counted on the meta device, without its LLM."""
    from retouchgpt.model.presets import PAPER

    with torch.device("meta"):
        network = RetouchNetwork(PAPER)
        image = torch.empty(1, 3, PAPER.image_size, PAPER.image_size)
        return tflop(lambda: paper_pass(network, image))


def rivals(pixels: NDArray[np.uint8], mask: NDArray[np.float32], parameters: int, repeats: int) -> dict[str, Timing]:
    """Seconds of each rival on one photo: filters at the photo's size, networks on one face of 512 px in float32.

    mask: (H, W), our edit's, for the inpainting.
    """
    from retouchgpt.model.checkpoint import create

    hole = (mask > 0.5).astype(np.uint8)
    image = torch.rand(1, 3, 512, 512).contiguous(memory_format=torch.channels_last)
    labels = torch.ones(1, KINDS, 512, 512).contiguous(memory_format=torch.channels_last)
    unet = unet_like(parameters).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    out = {
        "OpenCV bilateral": timed(lambda: cv2.bilateralFilter(pixels, 9, 40, 9), repeats),
        "OpenCV Telea in our mask": timed(lambda: cv2.inpaint(pixels, hole, 3, cv2.INPAINT_TELEA), repeats),
    }
    with torch.inference_mode():
        out["plain U-Net of as many parameters"] = timed(lambda: unet(image, labels), repeats)
        paper = create("paper").eval()
        out["paper's size, without its LLM"] = timed(lambda: paper_pass(paper, image), 1, warm=False)
    return out
