"""The further terms: every one changes what it should, whatever judges stays frozen, weights and names are right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from retouchgpt.core.errors import BadData
from retouchgpt.model.imperfection import given
from retouchgpt.training.discriminator import Critic, PatchDiscriminator, hinge_real_fake, patch_weight
from retouchgpt.training.judges import ClipJudge, FaceEmbedder
from retouchgpt.training.objective import weighted
from retouchgpt.training.perceptual import STAND_IN, GradientPyramid
from retouchgpt.training.recipe import LossWeights
from retouchgpt.training.terms import IGNORED, Photos, Terms, identity_loss, language_term, text_loss
from tests.fakes import acne_network


class ColourJudge:
    """A stand-in for an image and text encoder: the space is the mean colour inside the region."""

    def __init__(self) -> None:
        self.words = {"red": (1.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0)}
        self.weight = nn.Parameter(torch.eye(3), requires_grad=False)

    def image(self, image: Tensor, alpha: Tensor) -> Tensor:
        mean = (image * alpha).sum((2, 3)) / alpha.sum((2, 3))
        return torch.nn.functional.normalize(mean @ self.weight, dim=1)

    def text(self, sentences: Sequence[str]) -> Tensor:
        return torch.tensor([self.words[s] for s in sentences])


def embedder() -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(nn.Conv2d(3, 8, 5, 4), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten())


@pytest.fixture
def photos() -> Photos:
    torch.manual_seed(0)
    source, target = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    region = torch.zeros(2, 1, 64, 64)
    region[:, :, 16:40, 16:40] = 1
    retouched = ((source + target) / 2).requires_grad_()
    return Photos(retouched, target, source, region, ("green", "green"), ("red", "red"))


def every_term() -> Terms:
    weights = LossWeights(adversarial=0.1, perceptual=1.0, text=0.01, language=1.0, identity=0.5)
    torch.manual_seed(1)
    return Terms(
        weights, critic=Critic(PatchDiscriminator(8, 2)), perceptual=GradientPyramid(), text=ColourJudge(),
        identity=embedder(),
    )  # fmt: skip


def test_every_photo_term_moves_the_photo_and_no_judge(photos: Photos) -> None:
    terms = every_term()
    found = terms(photos)
    assert list(found) == ["adversarial", "perceptual", "text", "identity"]
    for name, value in found.items():
        assert value.shape == ()
        (gradient,) = torch.autograd.grad(value, photos.retouched, retain_graph=True)
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() > 0, name
    total = weighted(found, terms.weights)
    total.backward()
    judges = [*terms.critic.network.parameters(), *terms.identity.parameters(), terms.text.weight]  # type: ignore[union-attr]
    assert all(p.grad is None for p in judges)
    expected = sum(terms.weights.named[k] * float(v) for k, v in found.items())
    assert float(total) == pytest.approx(expected, rel=1e-5)


def test_terms_reach_the_network_that_retouches_and_the_frozen_llm_stays() -> None:
    """Through a tiny network: the decoder, G_ctrl and P learn; a frozen language model and encoder do not."""
    from retouchgpt.model.llm_embedding import DialogueTokens, build_language_model

    network = acne_network()
    network.embedding.attach(build_language_model(network.config.language_model))
    with torch.no_grad():
        nn.init.normal_(network.control.to_maps.weight, std=0.1)
        for block in network.transformer.blocks:
            nn.init.normal_(block.attention.project.weight, std=0.1)
    network.requires_grad_(True)
    network.encoder.requires_grad_(False)
    network.embedding.llm.requires_grad_(False)
    torch.manual_seed(2)
    image = torch.rand(1, 3, 128, 128)
    text = torch.randint(3, 100, (1, 6))
    dialogue = DialogueTokens(torch.tensor([1, 5]), torch.tensor([6]), text, torch.ones_like(text))
    out = network.repair(image, network.encode(image), given(torch.rand(1, 12, 64, 64)), dialogue)
    assert out.logits is not None
    labels = torch.full((1, out.logits.shape[1]), IGNORED)
    labels[:, -3:] = text[:, 3:]
    region = torch.ones(1, 1, 128, 128)
    photos = Photos(out.image, torch.rand_like(image), image, region, ("green",), ("red",), out.logits, labels)
    terms = every_term()
    found = terms(photos)
    assert set(found) == {"adversarial", "perceptual", "text", "language", "identity"}
    for name, value in found.items():
        network.zero_grad(set_to_none=True)
        value.backward(retain_graph=True)
        moved = {
            box
            for box, part in network.named_children()
            if any(p.grad is not None and p.grad.any() for p in part.parameters())
        }
        expected = {"embedding"} if name == "language" else {"embedding", "control", "transformer", "decoder"}
        assert expected <= moved, name
        assert "encoder" not in moved
        assert all(p.grad is None for p in network.embedding.llm.parameters())


def test_hinge_by_hand_and_only_edited_patches_count() -> None:
    real, fake = torch.tensor([[[[2.0, 0.5]]]]), torch.tensor([[[[-2.0, 0.25]]]])
    both, first = torch.ones(1, 1, 1, 2), torch.tensor([[[[1.0, 0.0]]]])
    assert hinge_real_fake(real, fake, both) == pytest.approx((0 + (0.5 + 1.25)) / 2)
    assert hinge_real_fake(real, fake, first) == 0
    region = torch.zeros(1, 1, 8, 16)
    region[..., :3, :3] = 1
    assert patch_weight(region, real).tolist() == [[[[1.0, 0.0]]]]


def test_critic_learns_to_tell_and_is_spectrally_normal() -> None:
    torch.manual_seed(3)
    critic = Critic(PatchDiscriminator(8, 2), rate=5e-3)
    real, fake = torch.rand(4, 3, 32, 32) * 0.2 + 0.7, torch.rand(4, 3, 32, 32) * 0.2
    fake.requires_grad_()
    region = torch.ones(4, 1, 32, 32)
    losses = [float(critic.learn(real, fake, region)) for _ in range(25)]
    assert losses[-1] < 0.7 * losses[0]
    assert fake.grad is None
    assert critic.judge(real, region) < critic.judge(fake, region)
    critic.network.eval()
    for module in critic.network.modules():
        if isinstance(module, nn.Conv2d):
            assert torch.linalg.matrix_norm(module.weight.flatten(1), 2) < 1.3


def test_language_by_hand_on_the_assistants_turn_alone() -> None:
    logits = torch.zeros(1, 4, 5)
    logits[0, 1, 3] = 2.0
    labels = torch.tensor([[IGNORED, IGNORED, 3, IGNORED]])
    assert float(language_term(logits, labels)) == pytest.approx(math.log(4 + math.exp(2)) - 2)
    assert language_term(logits, torch.full((1, 4), IGNORED)) == 0


def test_text_prefers_the_wanted_sentence(photos: Photos) -> None:
    green, red = torch.zeros(2, 3, 64, 64), torch.zeros(2, 3, 64, 64)
    green[:, 1], red[:, 0] = 1, 1
    judge = ColourJudge()
    assert (
        text_loss(judge, photos._replace(retouched=green)) < 0.01 < 1 < text_loss(judge, photos._replace(retouched=red))
    )
    with pytest.raises(BadData, match="sentence for every photo"):
        text_loss(judge, photos._replace(unwanted=()))


def test_identity_is_zero_for_the_same_photo(photos: Photos) -> None:
    judge = embedder()
    assert float(identity_loss(judge, photos.source, photos.source)) == pytest.approx(0, abs=1e-6)
    assert identity_loss(judge, photos.retouched, photos.source) > 0


def test_a_term_without_its_judge_is_refused_and_weight_zero_is_not_computed(photos: Photos) -> None:
    for name in ("adversarial", "perceptual", "text", "identity"):
        with pytest.raises(BadData, match=f"the term {name} has a weight"):
            Terms(LossWeights(**{name: 1.0}))
    assert Terms(LossWeights())(photos) == {}
    assert every_term().names["perceptual"] == STAND_IN
    assert "language" not in Terms(LossWeights(language=1.0))(photos), "no LLM, no term"


def test_clip_by_folder_gives_a_gradient_and_looks_where_told(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

    words = {"<pad>": 0, "acne": 1, "clear": 2, "skin": 3, "</s>": 4}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<pad>", eos_token="</s>"
    ).save_pretrained(tmp_path)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(5)
    config = CLIPConfig(
        text_config=small | {"vocab_size": 8, "max_position_embeddings": 16, "eos_token_id": 4, "projection_dim": 8},
        vision_config=small | {"image_size": 32, "patch_size": 16, "projection_dim": 8}, projection_dim=8,
    )  # fmt: skip
    CLIPModel(config).save_pretrained(tmp_path)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32).save_pretrained(tmp_path)
    judge = ClipJudge.load(tmp_path)
    torch.manual_seed(0)
    image = torch.rand(2, 3, 48, 48, requires_grad=True)
    left, right = torch.zeros(2, 1, 48, 48), torch.zeros(2, 1, 48, 48)
    left[..., :24], right[..., 24:] = 1, 1
    assert not torch.allclose(judge.image(image, left), judge.image(image, right), atol=1e-4)
    photos = Photos(image, image.detach(), image.detach(), left, ("clear skin",) * 2, ("acne skin",) * 2)
    text_loss(judge, photos).backward()
    assert image.grad is not None
    assert image.grad.abs().max() > 0
    assert all(p.grad is None for p in judge.model.parameters())
    with_alpha = judge.model
    with_alpha.vision_model.embeddings.patch_embedding_alpha = nn.Conv2d(1, 16, 16, 16, bias=False).requires_grad_(
        False
    )
    told = judge.image(image, left), judge.image(image, right)
    assert not torch.allclose(*told, atol=1e-5)
    assert torch.allclose(told[0].norm(dim=1), torch.ones(2))
    assert not with_alpha.vision_model.embeddings.patch_embedding._forward_hooks
    with pytest.raises(BadData, match="not a folder of a CLIP"):
        ClipJudge.load(tmp_path / "none")


def test_a_face_embedder_by_folder_gives_a_gradient(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    torch.manual_seed(6)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ViTModel(ViTConfig(image_size=32, patch_size=16, **small)).save_pretrained(tmp_path)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    judge = FaceEmbedder.load(tmp_path)
    before, after = torch.rand(2, 3, 48, 48), torch.rand(2, 3, 48, 48, requires_grad=True)
    identity_loss(judge, after, before).backward()
    assert after.grad is not None
    assert after.grad.abs().max() > 0
    assert all(p.grad is None for p in judge.model.parameters())
    with pytest.raises(BadData, match="not a folder of an image model"):
        FaceEmbedder.load(tmp_path / "none")


def test_a_critic_goes_on_exactly() -> None:
    def learn(critic: Critic, seed: int) -> float:
        torch.manual_seed(seed)
        return float(critic.learn(torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16), torch.ones(2, 1, 16, 16)))

    torch.manual_seed(7)
    first = Critic(PatchDiscriminator(8, 2))
    learn(first, 0)
    second = Critic(PatchDiscriminator(8, 2))
    second.load({k: v.clone() for k, v in first.state().items()})
    assert [learn(first, s) for s in (1, 2)] == [learn(second, s) for s in (1, 2)]
