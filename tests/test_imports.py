"""The house: one import direction, light values, nothing heavy for --help, no network."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "retouchgpt"
ALLOWED: dict[str, set[str]] = {
    "core": set(),
    "model": {"core"},
    "photo": {"core", "model"},
    "language": {"core", "model"},
    "session": {"core", "model", "photo", "language"},
    "apps": {"core", "model", "photo", "language", "session", "data", "training", "evaluation"},
    "data": {"core", "model", "photo", "language", "session"},
    "training": {"core", "model", "photo", "language", "session", "data"},
    "evaluation": {"core", "model", "photo", "language", "session", "data", "training"},
    "weights": set(),
}


def imported(path: Path) -> set[str]:
    """Packages of the house that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = path.relative_to(SOURCE.parent).parts[:-1]
            root = ".".join(base[: len(base) - node.level + 1]) if node.level else ""
            names = [".".join(filter(None, (root, node.module)))]
        for name in names:
            parts = name.split(".")
            if parts[0] == "retouchgpt" and len(parts) > 1:
                found.add(parts[1])
    return found


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_import_direction(package: str) -> None:
    files = list((SOURCE / package).rglob("*.py"))
    assert files
    for path in files:
        wrong = imported(path) - ALLOWED[package] - {package}
        assert not wrong, f"{path.relative_to(SOURCE)} imports {', '.join(sorted(wrong))}"


def test_every_package_has_a_rule() -> None:
    packages = {p.name for p in SOURCE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert packages == set(ALLOWED)


def modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import retouchgpt",
        "from retouchgpt.core import vocabulary, plan, geometry, pixels, facts, errors",
        "from retouchgpt.apps.cli import parser; parser().format_help()",
    ],
)
def test_values_and_help_load_nothing_heavy(code: str) -> None:
    heavy = {"torch", "transformers", "mediapipe", "cv2", "skimage", "gradio"}
    assert not heavy & modules_after(code)


def test_no_pickle_in_what_ships() -> None:
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        assert "pickle.load" not in text, path
        assert "torch.load(" not in text, path
