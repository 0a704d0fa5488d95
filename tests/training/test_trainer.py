"""The trainer on a tiny network: learns, stops, resumes to the same losses, keeps its last good checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from retouchgpt.core.errors import BadData, MissingExtra
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.data.cache import PaintedCache, paint_ahead
from retouchgpt.data.native import GLOSS, MARK, RED
from retouchgpt.model.checkpoint import create, from_pretrained, save_pretrained
from retouchgpt.model.imperfection import given
from retouchgpt.photo.regions import eye_distance
from retouchgpt.training.batches import BESIDE_AREA, PaintedCrops, _maps, collate, packed, unpacked
from retouchgpt.training.begin import begin
from retouchgpt.training.recipe import OPTIMISERS, LossWeights, Recipe, read_recipe
from retouchgpt.training.trainer import FromStep, Trainer, rate

RECIPES = Path(__file__).parents[2] / "recipes"
TINY = Recipe(
    name="tiny", size="tiny", crop=64, batch=2, repair_batch=1, steps=6, restart=6, warmup=2, learning_rate=1e-3,
    teacher_steps=3, precision="no", validate_every=100, save_every=3, workers=0, threads=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def cache(faces_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint_ahead(faces_folder, tmp_path_factory.mktemp("cache"), 4, seed=9)


def losses(out: Path, name: str = "loss") -> list[float]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


def test_crops_are_a_pure_function_of_their_index(cache: Path) -> None:
    first, second = (PaintedCrops(cache, crop=64, stride=2, seed=3) for _ in range(2))
    for index in (0, 1, 17):
        for a, b in zip(first[index], second[index], strict=True):
            assert torch.equal(a, b)
    assert not torch.equal(first[0].image, first[2].image)


def test_target_differs_from_the_image_only_under_the_asked_mask(cache: Path) -> None:
    crops = PaintedCrops(cache, crop=128, stride=2, seed=5, augment=False)
    touched = 0
    for index in range(24):
        crop = crops[index]
        changed = (crop.image - crop.target).abs().amax(0) > 10 / 255  # a mask leaves out what is fainter
        asked = (crop.kinds * crop.words[:, None, None] * crop.region).amax(0)
        near = torch.nn.functional.max_pool2d(asked[None, None], 9, 1, 4)
        near = torch.nn.functional.interpolate(near, scale_factor=2)[0, 0] > 0.01
        assert not (changed & ~near).any()
        touched += int(changed.any())
    assert touched > 5


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_the_next_twenty_losses_are_the_same_after_a_resume(cache: Path, tmp_path: Path, optimiser: str) -> None:
    """Bit for bit, with the discriminator, and averaged weights and discriminator end alike."""
    recipe = replace(
        TINY, steps=23, restart=23, save_every=100, losses=LossWeights(adversarial=0.1), optimiser=optimiser
    )
    whole = Trainer(recipe, cache, tmp_path / "whole")
    whole.fit()
    half = Trainer(recipe, cache, tmp_path / "halved")
    train = half._train_step

    def stop_after_three(crop):  # type: ignore[no-untyped-def]
        half.stopping = half.step == 2
        return train(crop)

    half._train_step = stop_after_three  # type: ignore[method-assign]
    half.fit()
    assert len(losses(tmp_path / "halved")) == 3
    rest = Trainer(recipe, cache, tmp_path / "halved")
    assert all(torch.equal(a, b) for a, b in zip(half.averaged.parameters(), rest.averaged.parameters(), strict=True))
    rest.fit()
    assert len(losses(tmp_path / "whole")) == 23
    assert losses(tmp_path / "whole") == losses(tmp_path / "halved")
    a, b = (from_pretrained(tmp_path / run / "averaged").state_dict() for run in ("whole", "halved"))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert whole.judges.critic is not None
    assert rest.judges.critic is not None
    first, second = whole.judges.critic.state(), rest.judges.critic.state()
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_a_run_from_before_the_exact_averages_goes_on(cache: Path, tmp_path: Path) -> None:
    Trainer(replace(TINY, steps=2), cache, tmp_path).fit()
    (tmp_path / "state" / "averaged.safetensors").unlink()
    later = Trainer(TINY, cache, tmp_path)
    saved = from_pretrained(tmp_path / "averaged").state_dict()
    assert later.step == 2
    assert all(torch.equal(v, saved[k]) for k, v in later.averaged.state_dict().items())


def test_a_checkpoint_of_another_recipe_is_named(cache: Path, tmp_path: Path) -> None:
    Trainer(TINY, cache, tmp_path).save()
    with pytest.raises(BadData, match=r"state cannot be gone on from: .*own recipe"):
        Trainer(replace(TINY, network={"width": 8}), cache, tmp_path)


LINEAR = replace(
    TINY, batch=4, repair_batch=2, seeing_rate=0.0, predicted_masks=0.5, teacher_steps=0, unnamed_masks=0.5,
    losses=LossWeights(dice=0.0),
)  # fmt: skip
"""What is a mean over rows: no batch statistics, no Dice."""


def test_two_passes_a_step_are_one_of_twice_the_size(cache: Path, tmp_path: Path) -> None:
    whole = Trainer(LINEAR, cache, tmp_path / "whole")
    halves = replace(LINEAR, batch=2, repair_batch=1, accumulate=2)
    parts = Trainer(halves, cache, tmp_path / "parts")
    whole.fit()
    parts.fit()
    for name in ("loss", "norm"):
        assert losses(tmp_path / "whole", name) == pytest.approx(losses(tmp_path / "parts", name), rel=2e-3), name
    begun = dict(create("tiny", seed=0).named_parameters())
    for (name, a), b in zip(whole._bare().named_parameters(), parts._bare().parameters(), strict=True):
        if name.startswith("decoder"):
            assert (a - b).abs().mean() < 0.05 * (a - begun[name]).abs().mean() + 1e-6, name


def test_processes_and_passes_share_a_steps_crops() -> None:
    recipe = replace(TINY, batch=4, accumulate=2)
    alone = list(FromStep(3, recipe))
    both = [list(FromStep(3, recipe, process, 2)) for process in range(2)]
    assert [len(x) for x in both] == [len(FromStep(3, recipe, p, 2)) for p in range(2)]
    assert sorted(both[0][:4] + both[1][:4]) == sorted(alone[:8]) == list(range(24, 32))
    assert both[0][:4] == [24, 28, 26, 30], "its two passes, each every fourth crop"


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_checkpoint(cache: Path, tmp_path: Path) -> None:
    trainer = Trainer(TINY, cache, tmp_path)
    trainer.save()
    with torch.no_grad():
        next(trainer.network.parameters()).fill_(float("nan"))
    with pytest.raises(BadData, match="not a number at step 0"):
        trainer.fit()
    assert all(torch.isfinite(v).all() for v in from_pretrained(tmp_path / "averaged").state_dict().values())


def test_a_full_disk_keeps_the_last_good_checkpoint(cache: Path, tmp_path: Path) -> None:
    """A real refusal of the kernel: files may only grow to 20 kB for a while."""
    import resource

    trainer = Trainer(TINY, cache, tmp_path)
    trainer.save()
    kept = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    trainer.step = 5
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(BadData, match=r"cannot write the checkpoint in .*last good one is kept") as caught:
            trainer.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == kept
    assert Trainer(TINY, cache, tmp_path).step == 0


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_shard_is_named_in_one_line(cache: Path, tmp_path: Path, workers: int) -> None:
    (tmp_path / "cache").mkdir()
    shard = tmp_path / "cache" / "damaged.shard"
    whole = next(cache.glob("*.shard")).read_bytes()
    shard.write_bytes(whole[:1000] + bytes(len(whole) - 1000))
    with pytest.raises(BadData, match=r"damaged\.shard") as caught:
        Trainer(replace(TINY, workers=workers), tmp_path / "cache", tmp_path / "run").fit()
    assert "\n" not in str(caught.value)
    shard.write_bytes(whole[:7])
    with pytest.raises(BadData, match=r"damaged\.shard"):
        Trainer(TINY, tmp_path / "cache", tmp_path / "run")


def test_tensorboard_takes_terms_and_pictures(cache: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe = replace(TINY, steps=2, validate_every=2, tensorboard=True)
    trainer = Trainer(recipe, cache, tmp_path, validation=cache)
    whole = trainer.validate
    trainer.validate = lambda: whole(1)  # type: ignore[method-assign]
    trainer.fit()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {"loss/mask", "loss/reconstruction", "loss/loss"} <= set(tags["scalars"])
    assert any(t.startswith("removal, painted masks") for t in tags["scalars"])
    assert [e.value for e in events.Scalars("loss/loss")] == pytest.approx(losses(tmp_path))
    (picture,) = events.Images(tags["images"][0])
    assert (picture.width, picture.height) == (4 * 64, 4 * 64)


def test_tensorboard_that_is_not_installed_is_named(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtra, match=r"retouchgpt\[tensorboard\]"):
        Trainer(replace(TINY, tensorboard=True), cache, tmp_path).fit()


def test_the_papers_recipe_makes_a_step_at_the_tiny_size(cache: Path, tmp_path: Path) -> None:
    """Its objective (L1 masks at every scale, smooth L1, SSIM, perceptual, adversarial) on the fused form."""
    recipe = read_recipe(
        RECIPES / "paper.yaml", size="tiny", network={"grounded": False, "places": False}, crop=64, steps=1, workers=0,
        precision="no", threads=1, perceptual="stand-in", batch=2,
    )  # fmt: skip
    assert (recipe.learning_rate, recipe.betas, recipe.losses.mask, recipe.losses.adversarial) == (
        2e-4, (0.9, 0.99), 10, 0.1,
    )  # fmt: skip
    network = from_pretrained(Trainer(recipe, cache, tmp_path).fit())
    assert not network.config.grounded
    logged = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[0])
    assert {"mask", "pixels", "ssim", "perceptual", "adversarial"} <= set(logged)
    assert "reconstruction" not in logged
    paper = read_recipe(RECIPES / "paper.yaml")
    assert (paper.size, paper.batch, paper.steps, paper.crop) == ("paper", 1, 400_000, 512)


def test_empty_cache_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="empty"):
        Trainer(TINY, tmp_path, tmp_path / "run")


def test_every_recipe_parses_and_bad_ones_are_named(tmp_path: Path) -> None:
    for name in ("compact", "compact-repair", "compact-both", "compact-listed", "compact-joint", "paper"):
        assert read_recipe(RECIPES / f"{name}.yaml").name == name
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x\nstepz: 3\n")
    with pytest.raises(BadData, match="stepz"):
        read_recipe(bad)
    for line, said in (
        ("mask_form: l3", "mask_form"),
        ("precision: fp32", "precision"),
        ("optimiser: sgd", "optimiser"),
        ("accumulate: 0", "accumulate"),
        ("losses: {kapa: 1}", "kapa"),
    ):
        bad.write_text(f"name: x\n{line}\n")
        with pytest.raises(BadData, match=said):
            read_recipe(bad)
    with pytest.raises(BadData, match="no such recipe"):
        read_recipe(tmp_path / "none.yaml")


def test_muon_on_shards_is_refused(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, "_sharded", property(lambda self: True))
    with pytest.raises(BadData, match="muon wants whole weights"):
        Trainer(replace(TINY, optimiser="muon"), cache, tmp_path)


def test_rate_warms_up_falls_and_restarts() -> None:
    recipe = Recipe(name="r", steps=200, restart=100, warmup=10, learning_rate=1.0, final_rate=0.1)
    rates = [rate(s, recipe) for s in range(200)]
    assert rates[0] < rates[9] == pytest.approx(1.0)
    assert rates[99] < 0.11 < 0.9 < rates[100]
    assert np.argmin(rates[10:]) in (89, 189)


def test_what_rests_does_not_change(cache: Path, tmp_path: Path) -> None:
    start = create("tiny", seed=3)
    save_pretrained(start, tmp_path / "start")
    recipe = replace(TINY, start=str(tmp_path / "start"), seeing_rate=0.0, repair_batch=2, ema=0.0)
    after = from_pretrained(Trainer(recipe, cache, tmp_path / "run").fit()).state_dict()
    changed = {k.split(".")[0] for k, v in start.state_dict().items() if not torch.equal(v, after[k])}
    assert "decoder" in changed
    assert not changed & {"encoder", "imperfection"}


def test_boxes_may_rest_and_may_begin_elsewhere(cache: Path, tmp_path: Path) -> None:
    start = create("tiny", seed=3)
    save_pretrained(start, tmp_path / "start")
    recipe = replace(TINY, start=str(tmp_path / "start"), takes=("encoder",), rests=("encoder",), ema=0.0)
    trainer = Trainer(recipe, cache, tmp_path / "run")
    known, began = start.state_dict(), {k: v.clone() for k, v in trainer._bare().state_dict().items()}
    assert {k.split(".")[0] for k, v in began.items() if torch.equal(v, known[k]) and v.unique().numel() > 1} == {
        "encoder"
    }
    after = from_pretrained(trainer.fit()).state_dict()
    changed = {k.split(".")[0] for k, v in began.items() if not torch.equal(v, after[k])}
    assert "encoder" not in changed
    assert {"imperfection", "decoder"} <= changed


def test_a_deeper_network_begins_as_the_shallow_one_that_it_goes_on_from(tmp_path: Path) -> None:
    start = create("tiny", seed=3)
    for p in start.parameters():  # heads begin at zero, where all networks are alike
        torch.nn.init.normal_(p, std=0.1)
    save_pretrained(start, tmp_path / "start")
    deeper = {"encoder_depth": 3, "decoder_depth": 2, "imperfection_depth": 2}
    network = begin(replace(TINY, start=str(tmp_path / "start"), network=deeper)).eval()
    assert sum(p.numel() for p in network.parameters()) > sum(p.numel() for p in start.parameters())
    start.eval()
    image, kinds = torch.rand(1, 3, 128, 128), torch.rand(1, 12, 64, 64)
    with torch.no_grad():
        seen = [n.find(n.encode(image)) for n in (start, network)]
        made = [n.repair(image, n.encode(image), given(kinds)).image for n in (start, network)]
    assert seen[0].std() > 0.01
    assert (made[0] - image).abs().max() > 0.01
    assert torch.allclose(*seen, atol=1e-5)
    assert torch.allclose(*made, atol=1e-5)


def test_a_batch_packed_for_its_way_is_the_batch(cache: Path) -> None:
    crops = PaintedCrops(cache, crop=64, stride=2, seed=3)
    few = [crops[i] for i in range(6)]
    whole, small = collate(few), packed(few)
    sizes = [sum(x.nbytes for x in batch) for batch in (whole, small)]
    assert sizes[1] < 0.42 * sizes[0]
    for name, a, b in zip(whole._fields, whole, unpacked(small), strict=True):
        assert a.dtype == b.dtype
        assert (a - b).abs().max() <= (1 / 4096 if name in ("image", "target", "places") else 1 / 509), name


def test_the_soft_rim_of_a_native_red_or_glossy_area_is_silent_too_but_not_that_of_a_mark(cache: Path) -> None:
    painted = PaintedCache(cache)[0]
    height, width = painted.image.shape[:2]
    bits = np.zeros((height, width), np.uint8)
    bits[height // 2 - 2 : height // 2 + 2, width // 2 - 2 : width // 2 + 2] = RED | GLOSS | MARK
    fine = width // 2
    whole = (slice(0, height), slice(0, width))
    ignore = _maps(replace(painted, ignore=bits), whole, np.ones((height, width), np.float32), fine)[1]
    reach = round(BESIDE_AREA * eye_distance(painted.landmarks) / 2)
    middle = fine // 2
    for kind, beside in (("redness", 1), ("shine", 1), ("acne", 0), ("dark_circles", 0)):
        silent = ignore[middle, :, IMPERFECTIONS.index(kind)]
        assert silent[middle + reach] == beside, kind
        assert silent[middle + reach + 3] == 0, kind


@pytest.mark.parametrize("side", [128, 98, 160])
def test_a_hair_one_pixel_wide_and_a_faint_rim_are_in_the_masks(cache: Path, side: int) -> None:
    painted = PaintedCache(cache)[0]
    alpha, delta = np.zeros((side, side), np.uint8), np.zeros((side, side, 3), np.int16)
    alpha[20:80, 41], delta[20:80, 41] = 255, -30
    hair = {"stray_hairs": alpha}, {"stray_hairs": delta}
    rim = np.full((side, side), 255, np.uint8), np.full((side, side, 3), 3, np.int16)
    alphas = hair[0] | {"redness": rim[0], "spots": rim[0]}
    deltas = hair[1] | {"redness": rim[1], "spots": rim[1]}
    sample = replace(
        painted, image=np.zeros((side, side, 3), np.uint8), ignore=np.zeros((side, side), np.uint8),
        alphas=alphas, deltas=deltas,
    )  # fmt: skip
    whole = (slice(0, side), slice(0, side))
    kinds = _maps(sample, whole, np.ones((side, side), np.float32), 64)[0]
    hairs, redness, spots = (kinds[..., IMPERFECTIONS.index(k)] for k in ("stray_hairs", "redness", "spots"))
    column = int((41 + 0.5) * 64 / side)
    rows = slice(int(26 * 64 / side), int(72 * 64 / side))
    assert (hairs[rows, column - 1 : column + 2].max(1) > 0.9).all(), "averaged it would be half gone"
    assert not hairs[:, : column - 1].any()
    assert not hairs[:, column + 2 :].any()
    assert (hairs[rows] > 0).sum(1).max() <= 2
    assert np.allclose(redness, 2 / 3), "three levels of a red area can be seen"
    assert np.allclose(spots, 1 / 6), "of a compact mark hardly"
