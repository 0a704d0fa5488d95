"""Contract of the network: shapes, exactness outside the mask, saving, every preset."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from retouchgpt.core.errors import InvalidPlan, WeightsAltered, WeightsMismatch, WeightsMissing
from retouchgpt.core.plan import Edit, EditPlan, Keep
from retouchgpt.core.vocabulary import IMPERFECTIONS, REGIONS
from retouchgpt.model.area import pooled
from retouchgpt.model.checkpoint import create, from_pretrained, save_pretrained
from retouchgpt.model.image_encoder import local_contrast
from retouchgpt.model.imperfection import RUNS_HIGH, assured, given, present, select
from retouchgpt.model.inventory import PUBLIC_CODE, parameters_by_box, table
from retouchgpt.model.llm_embedding import DialogueTokens, build_language_model
from retouchgpt.model.network import Request, RetouchNetwork
from retouchgpt.model.presets import PAPER, PRESETS, TINY


def request(plan: EditPlan, size: int = 128, rows: int = 1, **extra: object) -> Request:
    def tile(matrix: object) -> torch.Tensor:
        return torch.as_tensor(matrix)[None].expand(rows, -1, -1)

    regions = torch.ones(rows, len(REGIONS), size, size)
    return Request(tile(plan.edit_matrix()), tile(plan.keep_matrix()), regions, **extra)  # type: ignore[arg-type]


def awake(network: RetouchNetwork) -> RetouchNetwork:
    """Heads start at zero; give every parameter a value, so that nothing is equal by accident."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(torch.randn(p.shape, generator=generator) * 0.05)
    return network.eval()


@pytest.fixture(scope="module")
def tiny() -> RetouchNetwork:
    return awake(create("tiny"))


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def test_shapes(tiny: RetouchNetwork, image: torch.Tensor) -> None:
    features = tiny.encode(image)
    assert features.tokens.shape == (1, 16, 6, 8, 8)
    assert tiny.find(features).shape == (1, len(IMPERFECTIONS), 64, 64)
    out = tiny(image, request(EditPlan("retouch", (Edit("all"),))))
    assert out.image.shape == image.shape
    assert out.mask.shape == (1, 1, 128, 128)
    assert out.control.alpha.shape == (1, 6, 8, 8, 16)


@torch.inference_mode()
def test_maps_know_the_place_and_a_mirrored_face_is_the_same_face(tiny: RetouchNetwork, image: torch.Tensor) -> None:
    features = tiny.encode(image)
    regions = torch.zeros(1, len(REGIONS), 32, 32)
    regions[:, REGIONS.index("left_eye"), 10:20, 10:20] = 1
    assert not torch.equal(tiny.find(features, regions), tiny.find(features, torch.zeros_like(regions)))
    other = torch.zeros_like(regions)
    other[:, REGIONS.index("right_eye")] = regions[:, REGIONS.index("left_eye")]
    assert torch.equal(tiny.find(features, regions), tiny.find(features, other))


@torch.inference_mode()
def test_a_look_from_both_sides_finds_the_same_on_a_mirrored_face(image: torch.Tensor) -> None:
    network, regions = awake(create("tiny")), torch.rand(1, len(REGIONS), 64, 64)
    sides = [(image, regions), (image.flip(-1), regions.flip(-1))]
    once = [network.look(*side) for side in sides]
    network.config = replace(network.config, mirrored=True)
    both = [network.look(*side) for side in sides]
    assert not torch.allclose(once[0][1], once[1][1].flip(-1), atol=1e-3)
    assert torch.allclose(both[0][1], both[1][1].flip(-1), atol=1e-5)
    mean = (once[0][1].logit() + once[1][1].flip(-1).logit()) / 2
    assert torch.allclose(both[0][1], mean.sigmoid(), atol=1e-5)
    assert torch.allclose(both[0][0].tokens, once[0][0].tokens, atol=1e-5), "the repair sees the image, not its mirror"
    wanted = request(EditPlan("retouch", (Edit("all"),)))._replace(regions=regions)
    assert torch.equal(network(image, wanted).image, network(image, wanted, *both[0]).image), "one way to look"


def test_only_maps_a_kind_can_be_looked_for_twice() -> None:
    with pytest.raises(InvalidPlan, match="mirrored"):
        replace(PAPER, mirrored=True)


def test_half_precision_keeps_statistics_that_it_cannot_hold(tmp_path: Path) -> None:
    network = awake(create("tiny"))
    state = network.state_dict()
    name = next(k for k in state if k.endswith("running_var"))
    state[name].fill_(3e6)
    back = from_pretrained(save_pretrained(network, tmp_path, dtype=torch.float16)).state_dict()
    assert torch.equal(back[name], state[name])
    assert all(torch.isfinite(v).all() for v in back.values() if v.is_floating_point())


def test_local_contrast_is_the_same_on_dark_and_light_skin() -> None:
    light = torch.full((1, 3, 128, 128), 0.8)
    light[..., 70:74, 70:74] = 0.4
    dark = (light + 0.05) * 0.3 - 0.05
    torch.testing.assert_close(local_contrast(light, 4.0), local_contrast(dark, 4.0), atol=1e-3, rtol=0)
    assert abs(float(local_contrast(light, 4.0)[..., 0, 0].max())) < 1e-5


@torch.inference_mode()
def test_nothing_changes_outside_the_mask(tiny: RetouchNetwork, image: torch.Tensor) -> None:
    heat = torch.zeros(1, len(IMPERFECTIONS), 64, 64)
    heat[:, 0, 20:30, 20:30] = 1
    out = tiny(image, request(EditPlan("retouch", (Edit("acne"),))), heat=heat)
    outside = (out.mask == 0).expand_as(image)
    assert 0 < (~outside).float().mean() < 0.1
    assert torch.equal(out.image[outside], image[outside])
    assert not torch.equal(out.image, image)


@torch.inference_mode()
def test_strength_scales_the_correction(tiny: RetouchNetwork, image: torch.Tensor) -> None:
    heat = torch.full((1, len(IMPERFECTIONS), 64, 64), 0.7)
    full = tiny(image, request(EditPlan("retouch", (Edit("acne"),))), heat=heat)
    half = tiny(image, request(EditPlan("retouch", (Edit("acne", strength=0.5),))), heat=heat)
    assert full.correction.abs().sum() > 0
    torch.testing.assert_close(half.correction, full.correction / 2)


@torch.inference_mode()
def test_tokens_of_another_image_do_not_leak_between_rows(tiny: RetouchNetwork) -> None:
    images = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(3))
    plan = EditPlan("retouch", (Edit("all"),))
    heat = torch.full((2, len(IMPERFECTIONS), 64, 64), 0.7)
    both = tiny(images, request(plan, rows=2), heat=heat).image
    alone = torch.cat([tiny(images[i : i + 1], request(plan), heat=heat[:1]).image for i in range(2)])
    assert not torch.equal(both, images)
    torch.testing.assert_close(both, alone, atol=1e-5, rtol=1e-4)


def heat_of(**kinds: float) -> torch.Tensor:
    heat = torch.zeros(1, len(IMPERFECTIONS), 4, 4)
    for kind, value in kinds.items():
        heat[:, IMPERFECTIONS.index(kind)] = value
    return heat


def masks(plan: EditPlan, heat: torch.Tensor, regions: torch.Tensor | None = None) -> torch.Tensor:
    q = request(plan, size=4)
    return select(heat, q.edit, q.keep, q.regions if regions is None else regions).mask


def test_selection_follows_kind_and_region() -> None:
    regions = torch.zeros(1, len(REGIONS), 4, 4)
    regions[:, REGIONS.index("left_cheek"), :, :2] = 1
    mask = masks(EditPlan("retouch", (Edit("acne", "left_cheek"),)), heat_of(acne=0.9, redness=1.0), regions)
    torch.testing.assert_close(mask[..., :2], torch.full((1, 1, 4, 2), 0.9))
    assert mask[..., 2:].abs().max() == 0


def test_freckles_that_no_one_named_leave_a_mole_alone_and_those_to_keep_do_not() -> None:
    heat = heat_of(moles=0.5, freckles=0.8)
    unnamed = masks(EditPlan("retouch", (Edit("moles"),)), heat)
    assert unnamed.min() == pytest.approx(0.5 * (1 - (RUNS_HIGH * 0.8 - 0.5) / 0.4))
    assert masks(EditPlan("retouch", (Edit("moles"),)), heat_of(moles=0.5, acne=0.8)).max() < 0.2
    assert masks(EditPlan("retouch", (Edit("moles"),), (Keep("freckles"),)), heat).max() == 0


def test_keep_wins_over_edit() -> None:
    assert masks(EditPlan("retouch", (Edit("all"),), (Keep("moles"),)), heat_of(moles=0.9)).max() == 0
    assert masks(EditPlan("retouch", (Edit("acne"),), (Keep("freckles"),)), heat_of(acne=0.6, freckles=0.9)).max() == 0


def test_a_mark_belongs_to_its_hottest_kind() -> None:
    assert masks(EditPlan("retouch", (Edit("acne"),)), heat_of(acne=0.4, moles=0.9)).max() == 0
    assert masks(EditPlan("retouch", (Edit("acne"),)), heat_of(acne=0.9, moles=0.4)).min() > 0.85


def test_a_mark_goes_to_one_kind_as_a_whole() -> None:
    heat = torch.zeros(1, len(IMPERFECTIONS), 12, 12)
    heat[:, IMPERFECTIONS.index("acne"), 4:8, 4:8] = 0.4  # the rim of the mole glows as acne too
    heat[:, IMPERFECTIONS.index("moles"), 5:7, 5:7] = 0.9
    for keeps in ((), (Keep("moles"),)):
        q = request(EditPlan("retouch", (Edit("acne"),), keeps), size=12)
        assert select(heat, q.edit, q.keep, q.regions).mask.max() == 0
    q = request(EditPlan("retouch", (Edit("moles"),)), size=12)
    assert select(heat, q.edit, q.keep, q.regions).mask.max() > 0.85


def test_brush_is_obeyed() -> None:
    q = request(EditPlan("retouch", (Edit("moles"),)), size=4)
    brush = torch.zeros(1, 1, 4, 4)
    brush[..., 1, 1] = 1
    mask = select(heat_of(moles=0.1), q.edit, q.keep, q.regions, brush).mask
    assert mask[0, 0, 1, 1] == 1
    assert mask.sum() == 1


@torch.inference_mode()
def test_instruction_reaches_pixels_through_the_llm(image: torch.Tensor) -> None:
    network = awake(create("tiny"))
    torch.manual_seed(0)
    network.embedding.attach(build_language_model(TINY.language_model))

    def look(ids: list[int]) -> torch.Tensor:
        text = torch.tensor([ids])
        dialogue = DialogueTokens(torch.tensor([1, 2]), torch.tensor([3]), text, torch.ones_like(text))
        where = given(torch.full((1, 12, 64, 64), 0.8))
        return network.repair(image, network.encode(image), where, dialogue).correction

    assert torch.equal(look([5, 6, 7]), look([5, 6, 7]))
    assert (look([5, 6, 7]) - look([9, 9, 7])).abs().max() > 1e-6


@torch.inference_mode()
def test_padding_changes_nothing(image: torch.Tensor) -> None:
    network = awake(create("tiny"))
    network.embedding.attach(build_language_model(TINY.language_model))
    where = given(torch.full((1, 12, 64, 64), 0.8))

    def look(text: list[int], attention: list[int]) -> torch.Tensor:
        dialogue = DialogueTokens(torch.tensor([1]), torch.tensor([2]), torch.tensor([text]), torch.tensor([attention]))
        return network.repair(image, network.encode(image), where, dialogue).correction

    torch.testing.assert_close(look([5, 6], [1, 1]), look([5, 6, 6, 6], [1, 1, 0, 0]), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("name", ["tiny", "compact"])
def test_saved_and_reloaded_equal(name: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    network = awake(create(name))
    save_pretrained(network, tmp_path)
    again = from_pretrained(tmp_path)
    assert again.config == network.config
    for key, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key


def test_paper_builds_on_meta_beside_the_public_code() -> None:
    counts = {box: count / 1e6 for box, count in parameters_by_box(PAPER).items()}
    print("\n" + table(PAPER))
    assert counts["encoder"] == pytest.approx(PUBLIC_CODE["encoder"], abs=0.05)
    for box in ("imperfection", "transformer", "decoder"):  # docs/paper.md explains what is left
        assert counts[box] == pytest.approx(PUBLIC_CODE[box], rel=0.15), box


def test_paper_llm_has_seven_billion_parameters_on_meta() -> None:
    with torch.device("meta"):
        llm = build_language_model(PAPER.language_model)
    assert sum(p.numel() for p in llm.parameters()) / 1e9 == pytest.approx(6.6, abs=0.1)


def test_fused_prediction_runs_at_tiny_size(image: torch.Tensor) -> None:
    network = awake(
        RetouchNetwork(
            replace(TINY, grounded=False, learned_gate=False, correction_limit=0.0, ratio=False, opaque=False)
        )
    )
    out = network(image, request(EditPlan("retouch", (Edit("all"),)), text=torch.randn(1, 5, 384)))
    assert out.image.shape == image.shape
    with pytest.raises(TypeError, match="fused"):
        network.find(network.encode(image))


def test_bad_weights_are_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(WeightsMissing):
        from_pretrained(tmp_path)
    save_pretrained(create("tiny"), tmp_path)
    weights = tmp_path / "model.safetensors"
    original = weights.read_bytes()
    weights.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    with pytest.raises(WeightsAltered):
        from_pretrained(tmp_path)
    weights.write_bytes(original)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(WeightsMismatch, match="format 99"):
        from_pretrained(tmp_path)


def test_wrong_image_shape_is_named(tiny: RetouchNetwork) -> None:
    with pytest.raises(ValueError, match=r"\(1, 3, 100, 100\)"):
        tiny.encode(torch.rand(1, 3, 100, 100))


def test_presets_are_consistent() -> None:
    for name, preset in PRESETS.items():
        assert preset.name == name
        assert type(preset).from_json(preset.to_json()) == preset


@pytest.mark.parametrize("box", [(0, 5, 0, 7), (20, 31, 40, 64), (60, 64, 1, 3), (0, 64, 0, 64)])
@torch.inference_mode()
def test_a_repair_around_the_mask_alone_is_the_whole_repair(box: tuple[int, int, int, int]) -> None:
    network = create("tiny").eval()
    for name, value in network.named_parameters():
        if name.startswith("decoder"):
            value.normal_(0, 0.1, generator=torch.Generator().manual_seed(len(name)))
    image = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    kinds = torch.zeros(1, 12, 64, 64)
    kinds[:, 3, box[0] : box[1], box[2] : box[3]] = 0.8
    where, features = given(kinds), network.encode(image)
    whole = network.decoder(image, features, features.tokens, where)
    near = network.decoder(image, features, features.tokens, where, network.config.gate[0])
    corrections = [network.compose(image, d, where, None, None).correction for d in (whole, near)]
    assert float(corrections[0].abs().max()) > 0.01
    assert float((corrections[0] - corrections[1]).abs().max()) < 1e-6


@torch.inference_mode()
def test_pooling_by_whole_cells_is_adaptive_pooling() -> None:
    x = torch.rand(2, 3, 48, 64)
    for size in ((48, 64), (24, 32), (6, 4), (7, 9), (96, 64)):
        assert torch.equal(pooled(x, *size), torch.nn.functional.adaptive_max_pool2d(x, size))


@torch.inference_mode()
def test_what_the_ablations_leave_out_has_no_effect(image: torch.Tensor) -> None:
    kinds = torch.rand(1, len(IMPERFECTIONS), 64, 64, generator=torch.Generator().manual_seed(2))
    whole, plain = (awake(create("tiny", pifm=pifm)) for pifm in (True, False))
    features = whole.encode(image)
    mask = torch.nn.functional.adaptive_max_pool2d(kinds.amax(1, keepdim=True), 8)
    control = whole.control(whole.embedding(features.tokens, mask, None), mask, (8, 8))
    for network, same in ((whole, False), (plain, True)):
        a = network.transformer(features.tokens, mask, control)
        b = network.transformer(features.tokens, 1 - mask, control.scaled(0.0, 2.0, 0.0))
        assert torch.allclose(a, b, atol=1e-5) == same
    fewer, more = (sum(p.numel() for p in create("tiny", mutual=m).transformer.parameters()) for m in (False, True))
    assert fewer < more
    assert create("tiny", mutual=False)(image, request(EditPlan("retouch", (Edit("all"),)))).image.shape == image.shape


GATE = (0.1, 0.25)
ONCE = (1.0,) * len(IMPERFECTIONS)


def ramp(*kinds: str) -> torch.Tensor:
    """Heat from 0 to 1 from left to right in some kinds, none in the others, (1, 12, 64, 64)."""
    heat = torch.zeros(1, len(IMPERFECTIONS), 64, 64)
    for kind in kinds:
        heat[:, IMPERFECTIONS.index(kind)] = torch.linspace(0, 1, 64)
    return heat


def test_assurance_raises_a_kind_above_the_gate_and_moves_no_edge() -> None:
    heat = ramp("spots", "redness")
    spots, redness = IMPERFECTIONS.index("spots"), IMPERFECTIONS.index("redness")
    sure = [2.0 if kind == "spots" else 1.0 for kind in IMPERFECTIONS]
    out = assured(given(heat), sure, GATE)
    assert torch.equal(out.kinds[:, redness], heat[:, redness])
    assert torch.equal(out.kinds[:, spots] > GATE[0], heat[:, spots] > GATE[0])
    over = heat[:, spots] >= GATE[1]
    assert torch.allclose(out.kinds[:, spots][over], (2 * heat[:, spots][over]).clamp(max=1))
    assert (out.kinds[:, spots].diff() >= 0).all()
    assert torch.equal(out.mask, out.kinds.amax(1, keepdim=True))
    assert torch.equal(assured(given(heat), ONCE, GATE).kinds, heat)
    assert torch.equal(out.told, heat), "an answer goes by what was found"
    assert torch.equal(assured(out, sure, GATE).told, heat)


def test_look_alikes_that_were_both_asked_count_together_in_the_place_of_the_hotter() -> None:
    heat = ramp("spots", "redness")
    spots, acne = IMPERFECTIONS.index("spots"), IMPERFECTIONS.index("acne")
    heat[:, acne] = heat[:, spots] * 0.5
    out = assured(given(heat), ONCE, GATE)
    over = heat[:, spots] >= GATE[1]
    assert torch.allclose(out.kinds[:, spots][over], (1.5 * heat[:, spots][over]).clamp(max=1))
    assert torch.equal(out.mask > GATE[0], given(heat).mask > GATE[0])
    others = [i for i in range(len(IMPERFECTIONS)) if i != spots]
    assert torch.equal(out.kinds[:, others], heat[:, others]), "and redness is no look-alike"


@pytest.mark.parametrize(("hottest", "edited"), [(0.16, False), (0.24, True), (0.4, True)])
def test_a_kind_that_hardly_shows_anywhere_is_not_edited(hottest: float, edited: bool) -> None:
    redness = IMPERFECTIONS.index("redness")
    heat = ramp("stray_hairs") * hottest + ramp("redness")
    out = present(given(heat), GATE)
    assert bool((out.kinds[:, IMPERFECTIONS.index("stray_hairs")] > GATE[0]).any()) is edited
    assert torch.equal(out.kinds[:, redness], heat[:, redness]), "what does show is edited as ever"
    assert torch.equal(out.mask, out.kinds.amax(1, keepdim=True))


def test_faint_look_alikes_that_were_both_asked_show_together() -> None:
    assert (present(given(ramp("acne", "spots") * 0.16), GATE).mask > GATE[0]).any()
    assert not (present(given(ramp("acne") * 0.16), GATE).mask > GATE[0]).any()


@torch.inference_mode()
def test_a_plan_leaves_out_what_hardly_shows(image: torch.Tensor) -> None:
    network = awake(create("tiny"))
    plan, features = request(EditPlan("retouch", (Edit("spots"),))), network.encode(image)
    low, high = network.config.gate
    heat = torch.full((1, len(IMPERFECTIONS), 64, 64), low + 0.05 * (high - low))
    assert not (network.select(features, plan, heat).mask > low).any()
    heat[..., 40:, :] = 1.0
    assert (network.select(features, plan, heat).mask[..., :40, :] > low).any(), "it shows elsewhere"


@torch.inference_mode()
def test_a_plan_is_repaired_with_the_assurance_of_the_configuration(image: torch.Tensor) -> None:
    network = awake(create("tiny"))
    plan = request(EditPlan("retouch", (Edit("spots"),)))
    features = network.encode(image)
    heat = torch.linspace(0, 0.6, 64).expand(1, len(IMPERFECTIONS), 64, 64)
    plain = network.select(features, plan, heat)
    network.config = replace(network.config, assurance=(3.0,) * len(IMPERFECTIONS))
    sure = network.select(features, plan, heat)
    assert torch.equal(sure.kinds, assured(plain, (3.0,) * len(IMPERFECTIONS), network.config.gate).kinds)
    assert (sure.mask > plain.mask).any()
    assert torch.equal(sure.strength, plain.strength)


def test_assurance_survives_saving_and_old_configurations_have_none(tmp_path: Path) -> None:
    sure = tuple(1 + 0.5 * (i % 2) for i in range(len(IMPERFECTIONS)))
    save_pretrained(create("tiny", assurance=sure), tmp_path)
    assert from_pretrained(tmp_path).config.assurance == sure
    config = tmp_path / "config.json"
    data = json.loads(config.read_text())
    del data["network"]["assurance"]
    config.write_text(json.dumps(data))
    assert from_pretrained(tmp_path).config.assurance == (1.0,) * len(IMPERFECTIONS)


@pytest.mark.parametrize("wrong", [(1.0,), (0.5, *(1.0,) * (len(IMPERFECTIONS) - 1))])
def test_assurance_needs_a_number_a_kind_from_one_on(wrong: tuple[float, ...]) -> None:
    with pytest.raises(InvalidPlan, match="assurance needs 12 numbers from 1 on"):
        replace(TINY, assurance=wrong)
