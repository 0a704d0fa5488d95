"""The ablations: one base recipe, a variant for each part of the method that is left out, one table.

    python -m retouchgpt.evaluation.ablations recipes/ablations.yaml --data CACHE --faces FACES/val --out RUNS \
        [--only NAME ...] [--table docs/ablations.md]

Trains what is not trained yet, measures what is not measured yet (a second call goes on where the first one stopped)
and writes the table of what there is. All are measured on the same windows of painted faces that no variant has seen.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from retouchgpt.core.errors import BadData
from retouchgpt.core.geometry import Extent
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.model.agent import load_agent, neutral
from retouchgpt.model.checkpoint import LLM, from_pretrained, load_language_model, shipped
from retouchgpt.model.imperfection import places
from retouchgpt.model.network import RetouchNetwork
from retouchgpt.model.text_encoder import load_text_encoder
from retouchgpt.photo.regions import region_maps
from retouchgpt.training.batches import PLACE_STRIDE, Crop
from retouchgpt.training.objective import retouched
from retouchgpt.training.recipe import Recipe, recipe_from
from retouchgpt.training.reinforcement import Environment, ReinforcementRecipe, train_agent
from retouchgpt.training.speech import Reader, dialogue_of, spoken_request
from retouchgpt.training.state import AVERAGED, STATE, STEP
from retouchgpt.training.trainer import Trainer

from .cases import Case, make_case, painted_faces
from .methods import UNTOUCHED
from .metrics import Image, Mask, error, kept, psnr
from .tally import Tally

SHIPPED = "shipped"
"""Stands for the weights in the package where a recipe names a folder."""
FULL = "full"
STEPS, AGENT = "{} equal steps", "with reinforcement (agent)"
SCORES = "scores.json"
BEGIN, END = "<!-- ablations: begin -->", "<!-- ablations: end -->"


@dataclass(frozen=True)
class AblationRecipe:
    """base: fields of a training recipe. variants: name -> fields replaced in it, nested ones one by one; `full` is the
    one that keeps all. agent: fields of a reinforcement recipe, empty for none. faces: of the validation folder.
    window: side in px of the windows that are measured. draws: bootstrap resamplings of the faces."""

    base: dict[str, Any]
    variants: dict[str, dict[str, Any]]
    agent: dict[str, Any] = field(default_factory=dict)
    name: str = "ablations"
    faces: int = 16
    window: int = 256
    draws: int = 400

    def training(self, variant: str, steps: int | None = None) -> Recipe:
        """The recipe of one variant, `steps` of it where given."""
        fields = merged(self.base, self.variants[variant]) | {"name": variant}
        if steps is not None:
            fields |= {"steps": steps, "restart": steps}
        places_of = {"start": shipped(), "llm": shipped() / LLM}
        for name, folder in places_of.items():
            if fields.get(name) == SHIPPED:
                fields[name] = str(folder)
        return recipe_from(fields)


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes`, field by field in nested ones."""
    out = dict(base)
    for name, value in changes.items():
        both = isinstance(value, dict) and isinstance(out.get(name), dict)
        out[name] = merged(out[name], value) if both else value
    return out


def read_ablations(path: str | Path) -> AblationRecipe:
    """A YAML file -> AblationRecipe whose every variant parses. Raises BadData naming file and variant."""
    import yaml

    name = "the file"
    try:
        recipe = AblationRecipe(**yaml.safe_load(Path(path).read_text(encoding="utf-8")))
        for name in recipe.variants:
            recipe.training(name)
        name = "agent"
        ReinforcementRecipe(**recipe.agent)
    except FileNotFoundError as problem:
        raise BadData(f"no such recipe: {path}. See the folder recipes.") from problem
    except (OSError, TypeError, ValueError, AttributeError, yaml.YAMLError) as problem:
        raise BadData(f"{path} is not a recipe of ablations ({name}): {problem}") from problem
    if FULL not in recipe.variants:
        raise BadData(f"{path} has no variant {FULL!r}, which the others are compared with")
    return recipe


class Window(NamedTuple):
    """A case cut to what is measured. crop: one row. image, target: uint8 (S, S, 3); asked, there: (S, S); unasked:
    (S, S, 3), see Case."""

    face: str
    kind: str
    crop: Crop
    image: Image
    target: Image
    asked: Mask
    unasked: NDArray[np.float32]
    there: Mask


def windows(folder: Path, faces: int, side: int) -> Iterator[Window]:
    """A window around every painted kind of some validation faces. Raises BadData on unusable faces."""
    for face in painted_faces(folder, limit=faces, paintings=1):
        for kind in sorted({m.kind for m in face.painted.marks}):
            case = make_case(face, kind, "face")
            if case.asked.sum() >= 12:
                yield window(case, side)


def window(case: Case, side: int) -> Window:
    """The part of a case around the middle of what was asked."""
    rows, columns = np.nonzero(case.asked)
    corner = [int(np.clip(np.median(at) - side / 2, 0, n - side)) // PLACE_STRIDE * PLACE_STRIDE
              for at, n in zip((rows, columns), case.asked.shape, strict=True)]  # fmt: skip
    cut = slice(corner[0], corner[0] + side), slice(corner[1], corner[1] + side)
    image, target = (np.ascontiguousarray(x[cut]) for x in (case.image, case.target))
    regions = region_maps((case.face.painted.landmarks - corner[::-1]) / PLACE_STRIDE, _square(side // PLACE_STRIDE))
    words = torch.tensor([[float(kind == case.kind) for kind in IMPERFECTIONS]])
    small = cv2.resize(case.alphas[case.kind][cut], (side // 2, side // 2), interpolation=cv2.INTER_AREA)
    alpha = torch.from_numpy(small.astype(np.float32))[None, None]
    crop = Crop(
        _tensor(image), _tensor(target), words[:, :, None, None] * alpha, alpha * words[:, :, None, None] * 0,
        torch.ones_like(alpha), words, places(torch.from_numpy(regions[None])), torch.zeros_like(alpha),
        words,
    )  # fmt: skip
    asked, unasked, there = case.asked[cut], case.unasked[cut], case.there[cut]
    return Window(case.face.face_id, case.kind, crop, image, target, asked, unasked, there)


def _square(side: int) -> Extent:
    return Extent(side, side)


def _tensor(image: Image) -> Tensor:
    return torch.from_numpy(image.astype(np.float32).transpose(2, 0, 1)[None] / 255)


Retoucher = Callable[[Window, bool], Image]
"""A window, and whether the true mask is given -> its picture."""


def one_shot(network: RetouchNetwork, recipe: Recipe) -> Retoucher:
    """A variant as it was trained: with its LLM, its IIP, or without."""
    tokenizer: Any = None
    if recipe.llm:
        llm, tokenizer = load_language_model(recipe.llm)
        network.embedding.attach(llm)
    reader = None
    if recipe.located and not network.config.grounded:
        reader = Reader(load_text_encoder(recipe.text_encoder or None))

    def retouch(seen: Window, true_mask: bool) -> Image:
        text = None if reader is None else reader([spoken_request(seen.crop.words[0])])
        dialogue = None if tokenizer is None else dialogue_of(tokenizer, seen.crop, 1, answered=False)[0]
        image = retouched(
            network, seen.crop, painted_masks=true_mask, located=recipe.located, text=text, dialogue=dialogue
        )
        return _pixels(image)

    return retouch


def in_steps(environment: Environment, steps: int, agent: Any = None) -> Retoucher:
    """The full variant in equal steps, or in those that an agent chooses."""

    def retouch(seen: Window, true_mask: bool) -> Image:
        observation = environment.reset(seen.crop, painted=true_mask)
        for _ in range(steps):
            action = neutral(1) if agent is None else agent(observation).likeliest()
            observation, _ = environment.step(action)
        return _pixels(environment.image)

    return torch.no_grad()(retouch)


def _pixels(image: Tensor) -> Image:
    return np.rint(image[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)


def score(seen: Window, retouch: Retoucher | None) -> dict[str, Any]:
    """The measures of one window; None leaves it alone. Left and before are summed errors inside what was asked."""
    out, told = (seen.image, seen.image) if retouch is None else (retouch(seen, False), retouch(seen, True))
    return {
        "face": seen.face,
        "kind": seen.kind,
        "before": error(seen.image, seen.target, seen.asked),
        "left": error(out, seen.target, seen.asked),
        "left_true_mask": error(told, seen.target, seen.asked),
        "kept": kept(seen.image, out, seen.unasked, seen.there),
        "gain": psnr(out, seen.target) - psnr(seen.image, seen.target),
        "area": float((out != seen.image).any(2).sum()),
        "asked": float(seen.asked.sum()),
    }


def trained(run: Path, recipe: Recipe) -> bool:
    """Whether a run has come to its recipe's last step."""
    step = run / STATE / STEP
    return step.is_file() and json.loads(step.read_text())["step"] >= recipe.steps


def folder_of(out: Path, name: str) -> Path:
    return out / re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def run(
    recipe: AblationRecipe, data: Path, faces: Path, out: Path, *, only: tuple[str, ...] = (), steps: int | None = None
) -> None:
    """Train and measure what is missing. Raises BadData on unusable data or an unknown variant."""
    unknown = [name for name in only if name not in recipe.variants and name != AGENT]
    if unknown:
        raise BadData(f"no variant {unknown[0]!r}; one of {', '.join([*recipe.variants, AGENT])}")
    seen: list[Window] = []

    def measured(name: str, retoucher: Callable[[], Retoucher | None]) -> None:
        path = folder_of(out, name) / SCORES
        if path.is_file():
            return
        if not seen:
            seen.extend(windows(faces, recipe.faces, recipe.window))
        if not seen:
            raise BadData(f"{faces}: nothing visible was painted on its faces")
        retouch = retoucher()
        rows = [score(one, retouch) for one in tqdm(seen, desc=f"measuring {name}", unit="window")]
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(rows))
        partial.replace(path)

    measured(UNTOUCHED, lambda: None)
    for name in recipe.variants:
        if only and name not in only:
            continue
        training, place = recipe.training(name, steps), folder_of(out, name)
        if not trained(place, training):
            Trainer(training, data, place).fit()
        measured(name, lambda place=place, own=training: one_shot(from_pretrained(place / AVERAGED), own))  # type: ignore[misc]
    if recipe.agent and (not only or AGENT in only):
        _reinforced(recipe, data, out, measured, steps)


def _reinforced(
    recipe: AblationRecipe, data: Path, out: Path, measured: Callable[[str, Callable[[], Retoucher]], None],
    steps: int | None,
) -> None:  # fmt: skip
    """Equal steps and the agent, on the full variant."""
    training, rules = recipe.training(FULL, steps), ReinforcementRecipe(**recipe.agent)
    weights, place = folder_of(out, FULL) / AVERAGED, folder_of(out, AGENT)
    llm = Path(training.llm) if training.llm else None
    if not (place / "agent.safetensors").is_file():
        train_agent(rules, data, weights, place, llm=llm)

    def environment() -> Environment:
        network, speak = from_pretrained(weights), None
        if llm is not None:
            model, tokenizer = load_language_model(llm)
            network.embedding.attach(model)
            speak = lambda crop: dialogue_of(tokenizer, crop, len(crop.words), answered=False)[0]  # noqa: E731
        return Environment(network, rules, speak)

    for number in range(2, rules.most + 1):
        measured(STEPS.format(number), lambda number=number: in_steps(environment(), number))  # type: ignore[misc]
    measured(AGENT, lambda: in_steps(environment(), rules.most, load_agent(place)))


def table(recipe: AblationRecipe, out: Path, steps: int | None = None) -> str:
    """Markdown of what has been measured. Raises BadData where nothing has."""
    names = [UNTOUCHED, *recipe.variants, *(STEPS.format(n) for n in range(2, 10)), AGENT]
    tally, known = Tally(recipe.draws), []
    for name in names:
        path = folder_of(out, name) / SCORES
        if path.is_file():
            known.append(name)
            for row in json.loads(path.read_text()):
                add(tally, name, row)
    if not known:
        raise BadData(f"{out} holds no measured ablation")
    windows_seen = tally.cell((known[0],), "gain").values
    lines = [
        f"{windows_seen} windows of {recipe.faces} painted validation faces; each variant trained for "
        f"{steps or recipe.base['steps']} steps of {recipe.base['batch']} crops.",
        "",
        "| variant | removal | removal, true mask | unasked kept | gain, dB | changed / asked px |",
        "|---|---|---|---|---|---|",
    ]
    for name in known:
        removal, told = (tally.over([(name, k) for k in IMPERFECTIONS], m).text(2) for m in ("removal", "told"))
        rest = [tally.cell((name,), m).text(2, sign=m == "gain") for m in ("kept", "gain", "area")]
        lines.append(f"| {name} | {removal} | {told} | {' | '.join(rest)} |")
    missing = [n for n in [*recipe.variants, *([AGENT] if recipe.agent else [])] if n not in known]
    if missing:
        lines += ["", f"Not measured yet: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


def add(tally: Tally, name: str, row: dict[str, Any]) -> None:
    """One window's measures."""
    face, before = row["face"], row["before"]
    for measure, left in (("removal", row["left"]), ("told", row["left_true_mask"])):
        tally.add(face, [(name, row["kind"])], measure, before - left, before)
    tally.add(face, [(name,)], "area", row["area"], row["asked"])
    for measure in ("kept", "gain"):
        tally.add(face, [(name,)], measure, row[measure])


def put(page: Path, text: str) -> None:
    """Write a text between the markers of a page. Raises BadData where it has none."""
    try:
        before, rest = page.read_text(encoding="utf-8").split(BEGIN)
        _, after = rest.split(END)
    except (OSError, ValueError) as problem:
        raise BadData(f"{page} has no place for the table, between {BEGIN} and {END}") from problem
    page.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.evaluation.ablations", description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of a painted cache")
    parser.add_argument("--faces", type=Path, required=True, help="folder of validation faces")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[], help="variants by name; all without it")
    parser.add_argument("--steps", type=int, help="of training, instead of the recipe's")
    parser.add_argument("--table", type=Path, help="page that takes the table, between its markers")
    options = parser.parse_args(arguments)
    recipe = read_ablations(options.recipe)
    run(recipe, options.data, options.faces, options.out, only=tuple(options.only), steps=options.steps)
    text = table(recipe, options.out, options.steps)
    if options.table:
        put(options.table, text)
    print(text)


if __name__ == "__main__":
    main()
