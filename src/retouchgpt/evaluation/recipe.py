"""The recipe of an evaluation: every number of `retouchgpt evaluate`, in a YAML file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from retouchgpt.core.errors import BadData

METHODS: tuple[str, ...] = (
    "input untouched",
    "OpenCV bilateral on skin",
    "guided filter with texture return",
    "OpenCV Telea, true mask",
    "OpenCV Navier-Stokes, true mask",
    "ours, true mask given",
    "ours",
)


@dataclass(frozen=True)
class EvaluationRecipe:
    """One evaluation.

    paintings: of each face. methods: rows of the bench by name; *input untouched* is always one. draws: bootstrap
    resamplings of the faces. sheets: rows of pictures a kind. lpips: `auto` (measured where the package lpips is
    installed), `alex` or `vgg` (an error where it cannot be), or empty for off. answers: whether answers are judged.
    absent: requests a face for something that was not painted. tokens: generated dialogues on which the accuracy of the
    LLM's tokens is measured; 0 for none.
    """

    name: str = "evaluation"
    paintings: int = 1
    limit: int = 0
    methods: tuple[str, ...] = METHODS
    draws: int = 400
    sheets: int = 3
    lpips: str = "auto"
    answers: bool = True
    absent: int = 1
    tokens: int = 200

    def __post_init__(self) -> None:
        if min(self.paintings, self.draws) < 1 or min(self.limit, self.sheets, self.absent, self.tokens) < 0:
            raise ValueError("paintings and draws begin at 1, the other counts at 0")
        if self.lpips not in ("", "auto", "alex", "vgg"):
            raise ValueError(f"lpips is auto, alex, vgg or empty, not {self.lpips!r}")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def read_evaluation(path: str | Path | None, **changes: Any) -> EvaluationRecipe:
    """A YAML file (None: the defaults) with fields replaced. Raises BadData naming the file and what is wrong."""
    import yaml

    try:
        data = {} if path is None else yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        data.update({k: v for k, v in changes.items() if v is not None})
        if "methods" in data:
            data["methods"] = tuple(data["methods"])
        return EvaluationRecipe(**data)
    except FileNotFoundError as error:
        raise BadData(f"no such recipe: {path}. See the folder recipes.") from error
    except (OSError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise BadData(f"{path or 'the recipe'} is not a recipe of an evaluation: {error}") from error
