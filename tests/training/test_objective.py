"""The objective through the trainer's own step: each term moves what it should, judges and what rests stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch

from retouchgpt.core.errors import BadData
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.data.cache import paint_ahead
from retouchgpt.model.checkpoint import LLM, shipped
from retouchgpt.model.imperfection import Selection
from retouchgpt.model.llm_embedding import build_language_model
from retouchgpt.model.network import Retouched
from retouchgpt.model.presets import TINY as SIZES
from retouchgpt.training.batches import Crop, PaintedCrops, collate
from retouchgpt.training.objective import judged_regions, lesson_of, step_losses
from retouchgpt.training.pupil import Lesson, Pupil, Shown
from retouchgpt.training.recipe import LossWeights, Recipe
from retouchgpt.training.speech import dialogue_of, sentences, spoken_answer, spoken_request
from retouchgpt.training.terms import IGNORED, Terms
from retouchgpt.training.trainer import Trainer

NONE = LossWeights(mask=0, dice=0, reconstruction=0, texture=0)
ALL = Recipe(
    name="one step", size="tiny", seed=3, crop=64, batch=2, repair_batch=2, steps=1, warmup=0, learning_rate=1e-2,
    ema=0.0, teacher_steps=0, predicted_masks=0.0, precision="no", workers=0, threads=1, perceptual="stand-in",
    losses=NONE,
)  # fmt: skip
"""Seed 3: both crops show something that is asked for."""


@pytest.fixture(scope="module")
def cache(faces_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint_ahead(faces_folder, tmp_path_factory.mktemp("cache"), 4, seed=9)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A small untrained LLM with the shipped tokenizer, a CLIP and a face embedder, each saved in its own folder."""
    from transformers import (
        AutoTokenizer,
        CLIPConfig,
        CLIPImageProcessor,
        CLIPModel,
        ViTConfig,
        ViTImageProcessor,
        ViTModel,
    )  # fmt: skip

    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("judges")
    tokenizer = AutoTokenizer.from_pretrained(shipped() / LLM)
    llm = build_language_model(replace(SIZES.language_model, vocabulary=len(tokenizer)))
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = small | {"vocab_size": len(tokenizer), "max_position_embeddings": 64, "eos_token_id": 2}
    vision = small | {"image_size": 32, "patch_size": 16}
    clip = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))
    for name, model in (("llm", llm), ("clip", clip), ("faces", ViTModel(ViTConfig(**vision)))):
        model.save_pretrained(place / name)  # type: ignore[operator]
    for name in ("llm", "clip"):
        tokenizer.save_pretrained(place / name)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32).save_pretrained(place / "clip")
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(place / "faces")
    return {name: str(place / name) for name in ("llm", "clip", "faces")}


def state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in module.state_dict().items()}


def step(recipe: Recipe, cache: Path, out: Path) -> tuple[set[str], dict[str, float]]:
    """Boxes whose weights one step of the trainer changed, and what it logged."""
    trainer = Trainer(recipe, cache, out)
    network = trainer._bare()
    with torch.no_grad():  # heads begin at zero, where nothing flows back
        for p in [*network.decoder.pixels.parameters(), *network.decoder.colours.parameters()]:
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(1)) * 0.05)
    before = dict(network.named_parameters())
    before = {k: v.detach().clone() for k, v in before.items()}
    logged = trainer._train_step(next(iter(trainer._loader())))
    changed = {k.split(".")[0] for k, v in network.named_parameters() if not torch.equal(v, before[k])}
    return changed, logged


SEES = {"encoder", "imperfection"}
EACH: list[tuple[str, dict[str, float], Callable[[set[str]], bool]]] = [
    ("mask", {"mask": 1.0}, lambda boxes: boxes == SEES),
    ("dice", {"mask": 1e-9, "dice": 1.0}, lambda boxes: boxes == SEES),
    ("kind", {"mask": 1e-9, "kind": 1.0}, lambda boxes: boxes == SEES),
    *((name, {name: 1.0}, lambda boxes: "decoder" in boxes and not boxes & SEES)
      for name in ("reconstruction", "pixels", "texture", "ssim", "adversarial", "perceptual", "text", "identity")),
    ("language", {"language": 1.0}, lambda boxes: boxes == {"embedding"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "weights", "right"), EACH, ids=[e[0] for e in EACH])
def test_each_term_moves_what_it_should(
    name: str, weights: dict[str, float], right: Callable[[set[str]], bool], cache: Path, folders: dict[str, str],
    tmp_path: Path,
) -> None:  # fmt: skip
    recipe = replace(
        ALL, losses=replace(NONE, **weights), llm=folders["llm"], clip_model=folders["clip"],
        identity_model=folders["faces"], repair_batch=0 if "mask" in weights else 2,
    )  # fmt: skip
    changed, logged = step(recipe, cache, tmp_path)
    assert right(changed), changed
    assert logged[name] != 0
    assert set(logged) - {"loss", "norm", "critic"} == set(weights)
    expected = sum(weights[k] * logged[k] for k in weights)
    assert logged["loss"] == pytest.approx(expected, rel=1e-5)
    assert ("critic" in logged) == (name == "adversarial")


def test_together_they_are_one_sum_and_all_that_judges_stays(
    cache: Path, folders: dict[str, str], tmp_path: Path
) -> None:
    weights = LossWeights(**dict.fromkeys(LossWeights().named, 0.5))
    recipe = replace(
        ALL, losses=weights, llm=folders["llm"], clip_model=folders["clip"], identity_model=folders["faces"],
        rests=("encoder",),
    )  # fmt: skip
    trainer = Trainer(recipe, cache, tmp_path)
    judges, network = trainer.judges, trainer._bare()
    assert judges.critic is not None
    assert judges.identity is not None
    assert network.embedding.llm is not None
    frozen = [judges.text.model, judges.identity, network.embedding.llm, network.encoder]  # type: ignore[union-attr]
    before, critic = [state(x) for x in frozen], state(judges.critic.network)
    logged = trainer._train_step(next(iter(trainer._loader())))
    assert set(logged) == {"loss", "norm", "critic", *weights.named}
    assert logged["loss"] == pytest.approx(0.5 * sum(logged[k] for k in weights.named), rel=1e-4)
    for module, was in zip(frozen, before, strict=True):
        now = module.state_dict()
        assert all(torch.equal(now[k], v) for k, v in was.items())
    assert any(not torch.equal(judges.critic.network.state_dict()[k], v) for k, v in critic.items())
    assert judges.names["perceptual"] == "gradient-pyramid stand-in"


def test_a_term_without_its_judge_or_an_unknown_box_is_named(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(BadData, match="the term text has a weight but nothing that judges it"):
        Trainer(replace(ALL, losses=replace(NONE, text=1.0)), cache, tmp_path)
    with pytest.raises(BadData, match="the term kind compares maps a kind"):
        Trainer(replace(ALL, losses=replace(NONE, kind=1.0), network={"grounded": False}), cache, tmp_path)
    with pytest.raises(BadData, match="blockz"):
        Trainer(replace(ALL, losses=LossWeights(), network={"blockz": 3}), cache, tmp_path)


def test_the_assistants_turn_is_true_labelled_and_hidden_from_the_control(cache: Path) -> None:
    from transformers import AutoTokenizer

    words = torch.zeros(12)
    words[0] = words[3] = 1
    assert spoken_request(words) == "Please remove the acne and the moles."
    painted = torch.zeros(12)
    painted[0] = 40
    said = spoken_answer(words, painted)
    assert "blemish" in said
    assert "mole" in said
    assert said != spoken_answer(words, painted.flip(0))
    crops = PaintedCrops(cache, crop=64, stride=2, seed=3)
    batch = Crop(*(torch.stack(x) for x in zip(*(crops[i] for i in range(3)), strict=True)))
    tokenizer = AutoTokenizer.from_pretrained(shipped() / LLM)
    tokens, labels = dialogue_of(tokenizer, batch, 3, answered=True)
    assert labels is not None
    assert tokens.shown is not None
    for row in range(3):
        shown = tokenizer.decode(tokens.text[row][tokens.shown[row] == 1])
        assert shown == spoken_request(batch.words[row])
        told = tokens.text[row][labels[row] != IGNORED]
        assert torch.equal(told, labels[row][labels[row] != IGNORED])
        painted = (batch.asked[row] > 0.5).sum((1, 2))
        assert tokenizer.decode(told[:-1]).strip() == spoken_answer(batch.words[row], painted)
        assert not (tokens.shown[row].bool() & (labels[row] != IGNORED)).any()
    wanted, unwanted = sentences(batch.words)
    assert all(a.replace("without", "with") == b for a, b in zip(wanted, unwanted, strict=True))


def test_rows_are_dealt_out_like_cards() -> None:
    recipe = Recipe(name="deal", batch=8, repair_batch=6, accumulate=2, predicted_masks=0.25, unnamed_masks=0.4)
    whole = lesson_of(recipe, 10**6)
    assert (whole.repairs, whole.predicted, whole.unnamed) == (12, 3, 5)
    parts = [lesson_of(recipe, 10**6, slot, 4) for slot in range(4)]
    rows = [range(slot, 16, 4) for slot in range(4)]
    repaired = [list(r)[: p.repairs] for r, p in zip(rows, parts, strict=True)]
    assert sorted(chain.from_iterable(repaired)) == list(range(12))
    assert sorted(chain.from_iterable(r[: p.predicted] for r, p in zip(repaired, parts, strict=True))) == [0, 1, 2]
    nameless = (r[len(r) - p.unnamed :] for r, p in zip(repaired, parts, strict=True))
    assert sorted(chain.from_iterable(nameless)) == [7, 8, 9, 10, 11]


def test_predicted_masks_are_raised_evenly_over_the_rows(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    pupil = Pupil(replace(SIZES, image_size=64)).eval()
    batch = collate([PaintedCrops(cache, crop=64, stride=SIZES.strides[0], seed=3)[i] for i in range(3)])
    every = batch._replace(words=torch.ones_like(batch.words), region=torch.ones_like(batch.region))
    masks: list[torch.Tensor] = []
    repair = pupil.repair

    def watched(image: torch.Tensor, features: Any, where: Selection, dialogue: Any) -> Retouched:
        masks.append(where.kinds.clone())
        return repair(image, features, where, dialogue)

    monkeypatch.setattr(pupil, "repair", watched)
    for shift in (0.0, 2.0):
        pupil(every, Lesson(repairs=3, predicted=3, shift=shift))
    plain, raised = (m.logit() for m in masks)
    for row, expected in enumerate((0.0, 1.0, 2.0)):
        assert torch.allclose(raised[row] - plain[row], torch.full_like(plain[row], expected), atol=1e-3)
    recipe = Recipe(name="shift", mask_shift=0.7)
    assert lesson_of(recipe, 0).shift == 0.7


def test_a_repair_is_judged_where_something_asked_was_and_not_where_a_mark_may_be() -> None:
    zeros = torch.zeros(1, 12, 8, 8)
    image, target = torch.full((1, 3, 16, 16), 0.5), torch.full((1, 3, 16, 16), 0.5)
    image[..., 0:4, 0:4] = 0.2  # what was asked
    ignore, listed, words = zeros.clone(), zeros[:, :1].clone(), torch.zeros(1, 12)
    words[:, 3], ignore[:, 3, 0:2, 4:6], ignore[:, 5, 0:2, 6:8], listed[..., 4:6, 0:2] = 1, 1, 1, 1
    crop = Crop(image, target, zeros, ignore, torch.ones(1, 1, 8, 8), words, torch.zeros(1, 7, 2, 2), listed, words)
    changed, beside = judged_regions(crop, torch.ones(1, 1, 16, 16))
    assert changed.sum() == 16
    assert beside[..., 0:4, 8:12].sum() == 0, "the face may have a mark of the asked kind of its own"
    assert beside[..., 0:4, 12:16].all(), "one of another kind is to stay"
    assert beside[..., 8:12, 0:4].sum() == 0, "an eye has looked there"
    assert beside.sum() == 16 * 16 - 3 * 16


def test_a_crop_tells_what_its_whole_face_has(cache: Path) -> None:
    crops = PaintedCrops(cache, crop=64, stride=2, seed=3)
    beyond = 0
    for i in range(8):
        sample, crop = crops._sample(i // 4)[0], crops[i]
        assert {k for k, has in zip(IMPERFECTIONS, crop.has, strict=True) if has} == set(sample.alphas)
        assert not crop.kinds[crop.has == 0].any()
        beyond += sum(float(not m.any()) for m in crop.kinds[crop.has == 1])
    assert beyond, "of some kinds the crop itself shows none"


def test_heat_of_a_kind_that_the_face_has_none_of_counts_as_little_as_the_recipe_says() -> None:
    zeros, none = torch.zeros(1, 12, 8, 8), torch.zeros(1, 1, 8, 8)
    picture, has = torch.zeros(1, 3, 16, 16), torch.zeros(1, 12)
    has[:, 3] = 1
    looked = none.clone()
    looked[..., 0, 0] = 1

    def loss(kind: int, absent: float, place: tuple[int, int] = (4, 4), listed: torch.Tensor = none) -> float:
        logits = torch.full((1, 12, 8, 8), -30.0)
        logits[:, kind, place[0], place[1]] = 2
        crop = Crop(picture, picture, zeros, zeros, none + 1, has, torch.zeros(1, 7, 2, 2), listed, has)
        weights = replace(NONE, mask=1.0)
        recipe = replace(ALL, losses=weights, real_weight=2.0, absent_weight=absent)
        return float(step_losses(Shown((logits,), None, None, None), crop, recipe, Terms(NONE))[0]["mask"])

    assert loss(3, 0.2) == pytest.approx(loss(3, 1.0)), "the face has some"
    assert loss(5, 0.2) == pytest.approx(0.2 * loss(5, 1.0), rel=1e-3)
    assert loss(5, 0.0) == pytest.approx(0, abs=1e-6)
    assert loss(5, 0.0, (0, 0), looked) == pytest.approx(loss(5, 1.0, (0, 0), looked)), "an eye has looked there"
