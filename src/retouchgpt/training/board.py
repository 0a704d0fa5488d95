"""TensorBoard: the terms by name, and before / retouched / target / mask of fixed crops. An extra, and it says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from retouchgpt.core.errors import MissingExtra

from .batches import Crop

FOLDER = "tensorboard"


class Board:
    """An open event file in a run's folder."""

    def __init__(self, out: Path) -> None:
        """Raises MissingExtra where TensorBoard is not installed."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtra("tensorboard", "tensorboard") from error
        self.writer: Any = SummaryWriter(str(out / FOLDER))

    def add(self, step: int, values: dict[str, float], group: str = "loss") -> None:
        for name, value in values.items():
            self.writer.add_scalar(f"{group}/{name}", value, step)

    def picture(self, step: int, sheet: Tensor) -> None:
        """sheet: (3, H, W) in [0, 1]."""
        self.writer.add_image("before, retouched, target, mask", sheet, step)
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()


def sheet(crop: Crop, image: Tensor) -> Tensor:
    """A row a crop: before, retouched, target and asked mask, (3, B H, 4 W) in [0, 1]."""
    mask = F.interpolate(crop.asked.amax(1, keepdim=True), image.shape[-2:], mode="bilinear").expand(-1, 3, -1, -1)
    rows = torch.cat([crop.image, image, crop.target, mask], 3)
    return torch.cat(list(rows), 1).clamp(0, 1).cpu()
