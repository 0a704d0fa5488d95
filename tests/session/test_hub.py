"""Hub conventions, with a folder on this machine in the hub's place."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError

from retouchgpt.apps import cli
from retouchgpt.core.errors import HubUnavailable, WeightsMissing
from retouchgpt.model.checkpoint import WEIGHTS, save_pretrained, sha256, shipped
from retouchgpt.session import RetouchGPT, hub
from retouchgpt.session.engine import weights_folder
from tests import tiny_weights
from tests.fakes import Planner, Writer, acne_network


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_weights.write(tmp_path_factory.mktemp("hub") / "weights")


@pytest.fixture
def asked(weights: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the hub was asked for; it answers with the folder."""
    calls: list[dict[str, Any]] = []

    def snapshot_download(repo_id: str, **keywords: Any) -> str:
        calls.append({"repo_id": repo_id} | keywords)
        return str(weights)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return calls


def test_saved_and_reopened_is_the_same(weights: Path, tmp_path: Path) -> None:
    model = RetouchGPT.from_pretrained(weights)
    out = model.save_pretrained(tmp_path / "out")
    again = RetouchGPT.from_pretrained(out)
    assert again.versions == model.versions
    for name, value in model.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], value), name
    assert again.understand("remove the acne") == model.understand("remove the acne")
    assert not any(p.is_symlink() for p in out.rglob("*"))


def test_precision_stays_and_a_change_is_kept(weights: Path, tmp_path: Path) -> None:
    half = Path(shutil.copytree(weights, tmp_path / "half", symlinks=True))
    model = RetouchGPT.from_pretrained(weights)
    save_pretrained(model.network, half, dtype=torch.float16)
    model = RetouchGPT.from_pretrained(half)
    assert sha256(model.save_pretrained(tmp_path / "same") / WEIGHTS) == sha256(half / WEIGHTS)
    with torch.no_grad():
        model.network.imperfection.head.bias += 1
    changed = RetouchGPT.from_pretrained(model.save_pretrained(tmp_path / "changed"))
    assert changed.versions["weights_sha256"] != model.versions["weights_sha256"]


def test_a_hub_id_is_fetched_without_anything_that_could_be_a_pickle(asked: list[dict[str, Any]]) -> None:
    model = RetouchGPT.from_pretrained("someone/retouchgpt", revision="v1", local_files_only=True)
    assert model.versions["size"] == "tiny"
    (call,) = asked
    assert (call["repo_id"], call["revision"], call["local_files_only"]) == ("someone/retouchgpt", "v1", True)
    assert not any(p.rpartition(".")[2] in ("bin", "pt", "pkl", "pth", "*") for p in call["allow_patterns"])


def test_offline_asks_the_cache_only(asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    weights_folder("someone/retouchgpt")
    assert asked[0]["local_files_only"] is True
    with pytest.raises(HubUnavailable, match="HF_HUB_OFFLINE"):
        RetouchGPT.push_to_hub(SimpleNamespace(), "someone/retouchgpt")  # type: ignore[arg-type]


def test_a_hub_that_does_not_help_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def snapshot_download(repo_id: str, **keywords: Any) -> str:
        raise LocalEntryNotFoundError("not in the cache.\nmore lines")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert cli.main(["plan", "remove the acne", "--weights", "someone/nothing"]) == 3
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "someone/nothing" in said
    assert "not in the cache" in said


def test_push_uploads_a_folder_that_opens(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    class Api:
        def __init__(self, token: str | None = None) -> None:
            seen["token"] = token

        def create_repo(self, repo_id: str, **keywords: Any) -> None:
            seen["repo"] = (repo_id, keywords)

        def upload_folder(self, *, repo_id: str, folder_path: str, **keywords: Any) -> Any:
            shutil.copytree(folder_path, tmp_path / "uploaded")
            return SimpleNamespace(commit_url=f"https://hub.example/{repo_id}/commit/1")

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    model = RetouchGPT.from_pretrained(weights)
    url = model.push_to_hub("me/mine", private=True, token="not-a-real-one")
    assert url == "https://hub.example/me/mine/commit/1"
    assert seen["repo"] == ("me/mine", {"private": True, "exist_ok": True})
    assert RetouchGPT.from_pretrained(tmp_path / "uploaded").versions == model.versions
    card = huggingface_hub.ModelCard.load(tmp_path / "uploaded" / "README.md")
    assert card.data.to_dict() == hub.METADATA
    assert 'from_pretrained("me/mine")' in card.text


def test_the_shipped_card_keeps_its_words_and_gets_complete_metadata() -> None:
    made = huggingface_hub.ModelCard(hub.card(shipped(), "me/mine"))
    assert made.data.library_name == "retouchgpt"
    assert made.data.language == "en"
    assert "## Risks" in made.text
    assert made.text.count("from_pretrained(") == 1


def test_an_engine_of_parts_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="parts"):
        RetouchGPT(acne_network(), Planner(), Writer()).save_pretrained(tmp_path / "x")
    assert not (tmp_path / "x").exists()
