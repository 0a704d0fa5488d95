"""Each term of the objective against hand-computed cases and plain references."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.training.losses import (
    FLOOR_ERROR,
    TYPICAL_SHARE,
    USUAL_ERROR,
    dice_loss,
    kind_loss,
    mask_loss,
    repair_loss,
    ssim_map,
    texture_loss,
)


def test_repair_loss_is_one_untouched_and_zero_repaired() -> None:
    image, target = torch.full((1, 3, 64, 64), 0.2), torch.full((1, 3, 64, 64), 0.8)
    painted, beside = torch.ones(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)
    assert repair_loss(target, target, image, painted, beside) == 0
    assert float(repair_loss(image, target, image, painted, beside)) == pytest.approx(1, abs=0.01)
    half = (image + target) / 2
    assert float(repair_loss(half, target, image, painted, beside)) == pytest.approx(0.5, abs=0.01)


def test_repair_loss_ignores_what_lies_outside_both_regions() -> None:
    image, target = torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32)
    out = torch.zeros(1, 3, 32, 32)
    out[..., 20:] = 1
    painted, beside = torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    painted[..., :10] = 1
    beside[..., 10:20] = 1
    assert repair_loss(out, target, image, painted, beside) == 0


def test_a_false_edit_weighs_alike_beside_little_paint_and_beside_none() -> None:
    target = torch.full((3, 3, 64, 64), 0.8)
    image = target.clone()
    image[0, :, :2, :2] = 0.3  # 2 px of full difference: a small mole
    image[1, :, :40, :40] = 0.3  # 800: a face red all over
    painted = (image - target).abs().amax(1, keepdim=True).gt(0).float()
    beside = torch.zeros(3, 1, 64, 64)
    beside[:, :, 50:60, 50:60] = 1
    edited = torch.where(beside > 0, target - 0.1, image)  # 10 px of full difference, where nothing was to be done
    weight = [
        float(repair_loss(edited[i:j], target[i:j], image[i:j], painted[i:j], beside[i:j]))
        - float(repair_loss(image[i:j], target[i:j], image[i:j], painted[i:j], beside[i:j]))
        for i, j in ((0, 1), (1, 2), (2, 3))
    ]
    assert weight[0] == pytest.approx(weight[2], rel=1e-4) == pytest.approx(10 / (USUAL_ERROR + FLOOR_ERROR), rel=1e-4)
    assert weight[1] == pytest.approx(10 / (800 + FLOOR_ERROR), rel=1e-4)


def test_texture_loss_punishes_a_smear() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(1, 3, 64, 64, generator=generator)
    image = target.flip(-1)
    smear = torch.full_like(target, float(target.mean()))
    painted, beside = torch.ones(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)
    assert texture_loss(target, target, image, painted, beside) == 0
    assert texture_loss(smear, target, image, painted, beside) > 0.3


def usual(rows: int = 4) -> torch.Tensor:
    """A batch in which every kind covers about what it usually does."""
    target = torch.zeros(rows, len(IMPERFECTIONS), 128, 128)
    for kind, share in enumerate(TYPICAL_SHARE):
        target.view(rows, len(IMPERFECTIONS), -1)[0, kind, : round(share * rows * 128 * 128)] = 1
    return target


def test_mask_loss_falls_with_the_right_answer_and_weighs_small_kinds_alike() -> None:
    target = usual()
    good, bad = (target * 2 - 1) * 6, (target * 2 - 1) * -6
    none = torch.zeros_like(target)
    assert mask_loss(good, target, none) < 0.05 < 1 < mask_loss(bad, target, none)
    shape = float(mask_loss(good, target, none))
    missed = []
    for kind in range(len(IMPERFECTIONS)):
        logits = good.clone()
        logits[:, kind][target[:, kind] > 0] = -6
        missed.append(float(mask_loss(logits, target, none)) - shape)
    assert missed == pytest.approx([missed[0]] * len(missed), rel=0.05)


def test_clean_skin_pulls_alike_whether_or_not_the_batch_holds_the_kind() -> None:
    target = usual()
    empty = torch.zeros_like(target)
    heat = torch.full_like(target, -2.0)
    with_marks = heat.clone().requires_grad_()
    without = heat.clone().requires_grad_()
    mask_loss(with_marks, target, empty).backward()
    mask_loss(without, empty, empty).backward()
    assert with_marks.grad is not None
    assert without.grad is not None
    skin = target == 0
    torch.testing.assert_close(with_marks.grad[skin], without.grad[skin])


def test_mask_loss_is_silent_where_native_imperfections_may_lie() -> None:
    target = torch.zeros(1, len(IMPERFECTIONS), 32, 32)
    ignore = torch.ones_like(target)
    assert mask_loss(torch.full_like(target, 4.0), target, ignore) == 0
    target[..., :8, :] = 1
    assert mask_loss(torch.full_like(target, -4.0), target, ignore) > 1, "positives are never ignored"


def test_dice_loss_bounds() -> None:
    target = torch.zeros(1, 1, 64, 64)
    target[..., :32, :] = 1
    none = torch.zeros_like(target)
    assert float(dice_loss((target * 2 - 1) * 12, target, none)) == pytest.approx(0, abs=1e-3)
    assert float(dice_loss((1 - target * 2) * 12, target, none)) == pytest.approx(1, abs=1e-2)


def test_kind_loss_asks_only_which_mark_it_is() -> None:
    acne, spots, moles, redness = (IMPERFECTIONS.index(k) for k in ("acne", "spots", "moles", "redness"))
    target = torch.zeros(1, len(IMPERFECTIONS), 32, 32)
    target[:, spots, :8, :8] = 1
    target[:, redness] = 1
    none = torch.zeros_like(target)
    logits = torch.zeros_like(target)
    unsure = kind_loss(logits, target, none)
    usual = 5 * TYPICAL_SHARE[spots] * 32 * 32  # five kinds, of which four are absent
    assert float(unsure) == pytest.approx(64 * np.log(5) / usual, rel=1e-5)
    logits[:, redness] = 9
    logits[..., 8:, :] = torch.randn(24, 32)
    assert torch.equal(kind_loss(logits, target, none), unsure), "other kinds and clean skin say nothing"
    logits[:, acne] = 3
    assert kind_loss(logits, target, none) > unsure
    logits[:, spots] = 9
    assert kind_loss(logits, target, none) < 0.01 * unsure
    silent = none.clone()
    silent[:, moles, :8, :8] = 1
    assert kind_loss(logits, target, silent) == 0, "what may as well be a mole of the face's own"


def test_kind_loss_wants_both_kinds_where_two_are_painted() -> None:
    target = torch.zeros(1, len(IMPERFECTIONS), 16, 16)
    logits = torch.zeros_like(target, requires_grad=True)
    two = [IMPERFECTIONS.index(k) for k in ("acne", "scars")]
    target[:, two] = 1
    kind_loss(logits, target, torch.zeros_like(target)).backward()
    assert logits.grad is not None
    pull = -logits.grad.sum((0, 2, 3))
    assert (pull[two] > 0).all()
    assert pull[IMPERFECTIONS.index("moles")] < 0
    assert pull[IMPERFECTIONS.index("redness")] == 0


def test_ssim_agrees_with_scikit_image() -> None:
    from skimage.metrics import structural_similarity

    rng = np.random.default_rng(0)
    a = rng.random((48, 48)).astype(np.float32)
    b = np.clip(a + rng.normal(0, 0.1, a.shape), 0, 1).astype(np.float32)
    _, reference = structural_similarity(a, b, win_size=7, data_range=1.0, full=True, use_sample_covariance=False)
    ours = ssim_map(torch.from_numpy(a)[None, None], torch.from_numpy(b)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(ours[3:-3, 3:-3], reference[3:-3, 3:-3], atol=2e-4)
