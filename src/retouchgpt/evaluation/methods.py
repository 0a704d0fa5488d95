"""The rows of the bench: what is to be beaten, and ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from retouchgpt.core.geometry import Box, Extent
from retouchgpt.core.plan import EditPlan
from retouchgpt.core.vocabulary import IMPERFECTIONS, spoken
from retouchgpt.model.checkpoint import LLM, load_language_model, shipped
from retouchgpt.model.imperfection import given
from retouchgpt.model.llm_embedding import DialogueTokens, tokenise
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.photo.composite import paste, to_model
from retouchgpt.photo.faces import Face
from retouchgpt.photo.regions import region_maps
from retouchgpt.session.face import LookedAt, look, repair, select
from retouchgpt.training.plain import UNet, load_plain

from .cases import Answer, Case, Method
from .metrics import Image, Mask

UNTOUCHED = "input untouched"
OURS = "ours"
OURS_PAINTED = "ours, true mask given"
EDITABLE = "a perfect repair of what may be edited"


def untouched(case: Case) -> Answer:
    return case.image, np.zeros(case.image.shape[:2])


def bilateral(case: Case) -> Answer:
    """OpenCV's bilateral filter wherever there is skin."""
    return _on_skin(case, cv2.bilateralFilter(case.image, 9, 40, 7))


def guided(case: Case) -> Answer:
    """Guided-filter smoothing of the skin with its finest texture put back."""
    image = case.image.astype(np.float32) / 255
    smooth = cv2.ximgproc.guidedFilter(image, image, 12, 0.004)
    fine = image - cv2.GaussianBlur(image, (0, 0), 1.2)
    return _on_skin(case, np.rint((smooth + 0.8 * fine).clip(0, 1) * 255).astype(np.uint8))


def _on_skin(case: Case, filtered: Image) -> Answer:
    skin = case.face.skin
    return np.where(skin[..., None], filtered, case.image), skin.astype(np.float32)


def telea(case: Case) -> Answer:
    """Inpainting by Telea (2004), told the true mask."""
    return _inpaint(case, cv2.INPAINT_TELEA)


def navier_stokes(case: Case) -> Answer:
    """Inpainting by Bertalmio et al. (2001), told the true mask."""
    return _inpaint(case, cv2.INPAINT_NS)


def _inpaint(case: Case, way: int) -> Answer:
    mask = case.asked.astype(np.uint8) * 255
    return cv2.inpaint(case.image, mask, 3, way), case.asked.astype(np.float32)


def biharmonic(case: Case) -> Answer:
    """Biharmonic inpainting (scikit-image), told the true mask; in the mask's box only, and not for large areas."""
    from skimage.restoration import inpaint_biharmonic

    out = case.image.copy()
    if case.asked.sum() > 6000:  # it would take minutes; Navier-Stokes stands in, as the table's note says
        return navier_stokes(case)
    count, labels = cv2.connectedComponents(cv2.dilate(case.asked.astype(np.uint8), np.ones((9, 9))))
    for i in range(1, count):
        box = _box(labels == i).grown(4).clipped(Extent(case.image.shape[1], case.image.shape[0]))
        patch, hole = case.image[box.slices], (case.asked & (labels == i))[box.slices]
        if hole.any() and not hole.all():
            filled = inpaint_biharmonic(patch, hole, channel_axis=2)
            out[box.slices][hole] = np.rint(filled[hole].clip(0, 1) * 255)
    return out, case.asked.astype(np.float32)


def _box(mask: Mask) -> Box:
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def request(plan: EditPlan) -> str:
    """A plan's edits as a person would write them, for the LLM to read."""
    parts = [
        f"the {spoken(e.imperfection)}" + ("" if e.region == "face" else f" on the {spoken(e.region)}")
        for e in plan.edits
    ]
    return f"Please remove {' and '.join(parts)}."


def speech(network: RetouchNetwork, folder: Path | None = None) -> Callable[[EditPlan], DialogueTokens]:
    """Attach the LLM of a weights folder (default: the one that ships) to a network; how a plan is put to it."""
    llm, tokenizer = load_language_model((folder or shipped()) / LLM)
    network.embedding.attach(llm)
    return lambda plan: tokenise(tokenizer, [request(plan)])


class Ours:
    """The shipped pipeline on an opened face: look once, then select, repair and paste a plan.

    speak: what the LLM is told of a plan; without it the network runs without its LLM.
    """

    def __init__(
        self,
        network: RetouchNetwork,
        *,
        true_mask: bool = False,
        speak: Callable[[EditPlan], DialogueTokens | None] | None = None,
    ) -> None:
        self.network, self.true_mask = network, true_mask
        self.speak = speak or (lambda plan: None)
        self._seen: tuple[int, LookedAt] | None = None

    def photo(self, case: Case) -> tuple[Image, Box]:
        """The photo that is retouched, and where in it the case's picture lies."""
        height, width = case.image.shape[:2]
        return case.image, Box(0, 0, width, height)

    def seen(self, case: Case) -> LookedAt:
        if self._seen is None or self._seen[0] != id(case.face):
            photo, box = self.photo(case)
            landmarks = np.asarray(case.face.painted.landmarks + np.array((box.x0, box.y0)), np.float32)
            self._seen = (id(case.face), look(self.network, photo, Face(1, landmarks, box, float(box.x1 - box.x0))))
        return self._seen[1]

    def __call__(self, case: Case) -> Answer:
        seen, (photo, box) = self.seen(case), self.photo(case)
        where = given(self._true(case, seen)) if self.true_mask else select(self.network, seen, case.plan, None)
        fixed = repair(self.network, seen, where, self.speak(case.plan))
        if fixed is None:
            return untouched(case)
        pasted = paste(photo, fixed.correction, fixed.mask, seen.alignment)
        return pasted.pixels[box.slices], pasted.mask[box.slices]

    def _true(self, case: Case, seen: LookedAt) -> torch.Tensor:
        photo, box = self.photo(case)
        kinds = np.zeros((len(IMPERFECTIONS), *seen.heat.shape[2:]), np.float32)
        for kind, alpha in case.alphas.items():
            whole = np.zeros(photo.shape[:2], np.float32)
            whole[box.slices] = alpha
            kinds[IMPERFECTIONS.index(kind)] = at_heat(whole, seen)
        return torch.from_numpy(kinds)[None]


PHOTO = Extent(6000, 4000)
"""A photo of 24 megapixels."""


class InPhoto(Ours):
    """Ours on a photo of 24 megapixels that holds the case's picture, unscaled, in its middle.

    Around it the colours of its edges go on. What comes back is the picture's place again.
    """

    def photo(self, case: Case) -> tuple[Image, Box]:
        height, width = case.image.shape[:2]
        x, y = (PHOTO.width - width) // 2, (PHOTO.height - height) // 2
        around = (y, PHOTO.height - height - y, x, PHOTO.width - width - x)
        photo = cv2.copyMakeBorder(case.image, *around, cv2.BORDER_REPLICATE)
        return np.asarray(photo, np.uint8), Box(x, y, x + width, y + height)


class Editable:
    """The target itself wherever the promises let ours edit: no network can do better without touching eyes, brows,
    lips, hair, beards or frames, under which some paint of the bench lies. Its mask is what it changed."""

    def __init__(self, ours: Ours) -> None:
        self.ours = ours

    def __call__(self, case: Case) -> Answer:
        seen, (photo, box) = self.ours.seen(case), self.ours.photo(case)
        nothing = np.zeros((*seen.allowed.shape, 3), np.float32)
        may = paste(photo, nothing, seen.allowed, seen.alignment, detail=False).mask[box.slices]
        wanted = case.target.astype(np.float32) - case.image
        out = np.rint(case.image + wanted * may[..., None]).astype(np.uint8)
        return out, (out != case.image).any(2).astype(np.float32)


class Plain:
    """The plain U-Net on the whole face; its mask is what it changed by half a level or more."""

    def __init__(self, network: UNet) -> None:
        self.network = network.eval()

    @torch.inference_mode()
    def __call__(self, case: Case) -> Answer:
        height, width = case.image.shape[:2]
        regions = region_maps(case.face.painted.landmarks, Extent(width, height))
        asked = (case.plan.edit_matrix() > 0).astype(np.float32)
        labels = (asked[:, :, None, None] * regions[None]).max(1)
        image = torch.from_numpy(case.image.astype(np.float32).transpose(2, 0, 1)[None] / 255)
        change = self.network(image, torch.from_numpy(labels)[None])
        out = np.rint((image + change).clamp(0, 1)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        return out, (out != case.image).any(2).astype(np.float32)


def at_heat(values: NDArray[np.floating], seen: LookedAt) -> NDArray[np.float32]:
    """A map of the photo (H, W) in [0, 1] at the place and size of the heat maps, (h, w)."""
    side = seen.heat.shape[-1]
    grey = np.rint(np.repeat(values[..., None], 3, 2) * 255).astype(np.uint8)
    crop = to_model(grey, seen.alignment, seen.crop.shape[-1])[..., 0]
    return cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)


def rows(
    network: RetouchNetwork | None,
    speak: Callable[[EditPlan], DialogueTokens | None] | None = None,
    plain: Path | None = None,
) -> Mapping[str, Method]:
    """All rows of the table, ours last. plain: run of training.plain. Raises BadData where it is none."""
    table: dict[str, Method] = {
        UNTOUCHED: untouched,
        "OpenCV bilateral on skin": bilateral,
        "guided filter with texture return": guided,
        "OpenCV Telea, true mask": telea,
        "OpenCV Navier-Stokes, true mask": navier_stokes,
        "biharmonic inpainting, true mask": biharmonic,
    }
    if plain is not None:
        unet, steps = load_plain(plain)
        table[f"plain U-Net, {steps} steps"] = Plain(unet)
    if network is not None:
        told = Ours(network, true_mask=True, speak=speak)
        table |= {EDITABLE: Editable(told), OURS_PAINTED: told, OURS: Ours(network, speak=speak)}
    return table


def in_photo(
    network: RetouchNetwork, speak: Callable[[EditPlan], DialogueTokens | None] | None = None
) -> Mapping[str, Method]:
    """The rows at native size: the untouched photo, the perfect repair and ours."""
    told = InPhoto(network, true_mask=True, speak=speak)
    return {
        UNTOUCHED: untouched,
        EDITABLE: Editable(told),
        OURS_PAINTED: told,
        OURS: InPhoto(network, speak=speak),
    }


def false_edits(network: RetouchNetwork, image: Image, landmarks: NDArray[np.floating], skin: Mask, kind: str) -> float:
    """Share of the skin that changes when an unpainted face is asked to lose `kind`."""
    from retouchgpt.core.plan import Edit

    height, width = image.shape[:2]
    seen = look(network, image, Face(1, np.asarray(landmarks, np.float32), Box(0, 0, width, height), float(width)))
    fixed = repair(network, seen, select(network, seen, EditPlan("retouch", (Edit(kind),)), None), None)
    if fixed is None or not skin.any():
        return 0.0
    out = paste(image, fixed.correction, fixed.mask, seen.alignment).pixels
    return float(((out != image).any(2) & skin).sum() / skin.sum())
