"""The ComfyUI node in a stand-in host that loads, checks and calls it as ComfyUI does."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from retouchgpt.core.errors import UnusableInput
from tests.serving import engine

FOLDER = Path(__file__).parents[2] / "comfyui"
KINDS = {"STRING": str, "FLOAT": float, "INT": int, "IMAGE": torch.Tensor, "MASK": torch.Tensor}


class Host:
    """Loads a folder of custom nodes by path, and calls a node with defaults filled in, under inference mode."""

    def __init__(self, folder: Path) -> None:
        name = f"custom_nodes_{folder.name}"
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec is not None
        assert spec.loader is not None
        self.module: ModuleType = importlib.util.module_from_spec(spec)
        sys.modules[name] = self.module
        spec.loader.exec_module(self.module)
        self.nodes: dict[str, type] = self.module.NODE_CLASS_MAPPINGS

    def call(self, name: str, **given: Any) -> tuple[Any, ...]:
        node: Any = self.nodes[name]
        inputs = self._checked(node, given)
        valid = node.VALIDATE_INPUTS(inputs["instruction"])
        if valid is not True:
            raise ValueError(valid)
        with torch.inference_mode():
            out = getattr(node(), node.FUNCTION)(**inputs)
        assert isinstance(out, tuple)
        assert len(out) == len(node.RETURN_TYPES) == len(node.RETURN_NAMES)
        for value, kind in zip(out, node.RETURN_TYPES, strict=True):
            assert isinstance(value, KINDS[kind])
        return out

    def _checked(self, node: Any, given: dict[str, Any]) -> dict[str, Any]:
        told, inputs = node.INPUT_TYPES(), dict(given)
        for name, row in (told["required"] | told["optional"]).items():
            options = row[1] if len(row) > 1 else {}
            if name not in inputs and name in told["required"]:
                inputs[name] = options["default"]
            if name in inputs:
                assert isinstance(inputs[name], KINDS[row[0]])
            if row[0] == "FLOAT":
                assert options["min"] <= inputs[name] <= options["max"]
        assert set(inputs) <= set(told["required"] | told["optional"])
        return inputs


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    loaded = Host(FOLDER)
    loaded.nodes["RetouchGPT"]._model = engine()  # type: ignore[attr-defined]
    yield loaded
    del sys.modules[loaded.module.__name__]


@pytest.fixture
def image(portrait: Any) -> torch.Tensor:
    """Two pictures, of values that no 8-bit file could hold."""
    one = torch.from_numpy(portrait).float() / 255
    return torch.stack([one, (one * 0.9 + 0.0123).clamp(0, 1)])


def test_a_batch_is_retouched_and_the_rest_is_untouched(host: Host, image: torch.Tensor) -> None:
    before = image.clone()
    out, mask, answer = host.call("RetouchGPT", image=image, instruction="remove the acne")
    assert (out.shape, out.dtype, mask.shape) == (image.shape, torch.float32, image.shape[:3])
    assert torch.equal(image, before), "the input is not written to"
    assert torch.equal(out[mask == 0], image[mask == 0])
    assert all((out[i] != image[i]).any() for i in range(2))
    assert 0 <= float(mask.min()) < float(mask.max()) <= 1
    assert answer.count("\n") == 1


def test_alpha_strength_and_nothing_to_do(host: Host, image: torch.Tensor) -> None:
    deep = torch.cat([image[:1], torch.rand(1, 512, 512, 1)], 3)
    out, _, _ = host.call("RetouchGPT", image=deep, instruction="remove the acne")
    assert torch.equal(out[..., 3], deep[..., 3])
    assert not torch.equal(out, deep)
    for more in ({"strength": 0.0}, {"instruction": "make her nose smaller"}):
        out, mask, _ = host.call("RetouchGPT", **({"image": deep, "instruction": "remove the acne"} | more))
        assert torch.equal(out, deep)
        assert not mask.any()


@pytest.mark.parametrize("shape", [(512, 512), (1, 512, 512), (2, 512, 512)])
def test_a_mask_keeps_the_edit_inside(shape: tuple[int, ...], host: Host, image: torch.Tensor) -> None:
    drawn = torch.zeros(shape)
    drawn[..., :230] = 1
    out, mask, _ = host.call("RetouchGPT", image=image, instruction="remove the acne", mask=drawn)
    assert torch.equal(out[:, :, 240:], image[:, :, 240:])
    assert mask.any()


def test_what_cannot_be_done_is_said(host: Host, image: torch.Tensor) -> None:
    blank = torch.full((1, 300, 300, 3), 0.5)
    out, mask, answer = host.call("RetouchGPT", image=blank, instruction="remove the acne")
    assert torch.equal(out, blank)
    assert not mask.any()
    assert answer.startswith("Left as it is: no face")
    with pytest.raises(UnusableInput, match="same size"):
        host.call("RetouchGPT", image=image, instruction="remove the acne", mask=torch.ones(1, 100, 100))
    for text, words in (("  ", "empty"), ("x" * 3000, "2000")):
        with pytest.raises(ValueError, match=words):
            host.call("RetouchGPT", image=image, instruction=text)


def test_the_folder_is_what_the_registry_wants_and_fetches_nothing() -> None:
    told = tomllib_of(FOLDER / "pyproject.toml")
    assert {"DisplayName", "PublisherId"} <= set(told["tool"]["comfy"])
    assert {"name", "version", "dependencies"} <= set(told["project"])
    names = {
        alias.name.split(".")[0]
        for path in FOLDER.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for alias in getattr(node, "names", ())
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert not names & {"subprocess", "urllib", "requests", "httpx", "huggingface_hub", "pip", "os"}


def tomllib_of(path: Path) -> dict[str, Any]:
    tomllib = pytest.importorskip("tomllib")
    return dict(tomllib.loads(path.read_text()))
