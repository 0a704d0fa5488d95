"""The model hub's conventions for the engine: fetch by id, save as a folder, push, a card with metadata.

Nothing here is called in use: only a hub id given to from_pretrained, or push_to_hub, asks for the network, and neither
does where HF_HUB_OFFLINE is set.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open

from retouchgpt.core.errors import HubUnavailable, MissingExtra, OutputNotWritable, WeightsMissing
from retouchgpt.model.checkpoint import LLM, WEIGHTS, save_pretrained

if TYPE_CHECKING:
    from retouchgpt.model.network import RetouchNetwork

CARD, HUB_CARD = "MODEL_CARD.md", "README.md"
KEPT = ["*.json", "*.safetensors", "*.md", f"{LLM}/*.json", f"{LLM}/*.safetensors", f"{LLM}/*.txt"]
"""What is fetched: nothing that could be a pickle."""
METADATA = {
    "license": "apache-2.0",
    "library_name": "retouchgpt",
    "pipeline_tag": "image-to-image",
    "language": "en",
    "tags": ["face-retouching", "portrait", "interactive"],
}
USE = """
## Use

```python
from retouchgpt import RetouchGPT

model = RetouchGPT.from_pretrained("{repo}")
```
"""


class HubMixin:
    """save_pretrained and push_to_hub of an engine that came from a folder."""

    network: RetouchNetwork
    folder: Path | None = None

    def save_pretrained(self, folder: str | Path, *, repo_id: str | None = None) -> Path:
        """Write everything that from_pretrained reads, and a card with metadata, into a folder.

        The network is written as it is now, in the precision of the weights that it came from; the language beside it
        is copied. repo_id: named in the card. Raises WeightsMissing for an engine that was put together from parts,
        OutputNotWritable.
        """
        if self.folder is None:
            raise WeightsMissing("the parts that this engine was put together from")
        out = Path(folder)
        try:
            out.mkdir(parents=True, exist_ok=True)
            if out.resolve() != self.folder.resolve():
                _copy_language(self.folder, out)
            save_pretrained(self.network, out, dtype=_precision(self.folder / WEIGHTS))
            (out / HUB_CARD).write_text(card(self.folder, repo_id), encoding="utf-8")
        except OSError as error:
            raise OutputNotWritable(out, error.strerror or str(error)) from error
        return out

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        commit_message: str = "RetouchGPT weights",
        create_pr: bool = False,
        token: str | None = None,
    ) -> str:
        """Upload what save_pretrained writes; returns the commit's URL. Raises HubUnavailable, also when offline."""
        hub = _hub()
        if hub.constants.HF_HUB_OFFLINE:
            raise HubUnavailable(repo_id, "HF_HUB_OFFLINE is set")
        api = hub.HfApi(token=token)
        with tempfile.TemporaryDirectory(prefix="retouchgpt-hub-") as folder:
            self.save_pretrained(folder, repo_id=repo_id)
            try:
                api.create_repo(repo_id, private=private, exist_ok=True)
                done = api.upload_folder(
                    repo_id=repo_id, folder_path=folder, commit_message=commit_message, revision=revision,
                    create_pr=create_pr,
                )  # fmt: skip
            except (OSError, ValueError) as error:
                raise HubUnavailable(repo_id, _first_line(error)) from error
        return str(getattr(done, "commit_url", done))


def fetch(
    repo_id: str,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
) -> Path:
    """The folder of a hub id, from the cache where it is there. Raises HubUnavailable; offline: unless it is cached."""
    hub = _hub()
    try:
        place = hub.snapshot_download(
            repo_id, revision=revision, cache_dir=cache_dir, token=token, force_download=force_download,
            local_files_only=local_files_only or hub.constants.HF_HUB_OFFLINE, allow_patterns=KEPT,
            library_name="retouchgpt",
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise HubUnavailable(repo_id, _first_line(error)) from error
    return Path(place)


def card(source: Path, repo_id: str | None = None) -> str:
    """The hub's README: the card that lies with the weights, its metadata complete, and how to use it."""
    hub = _hub()
    own = next((source / name for name in (CARD, HUB_CARD) if (source / name).exists()), None)
    text = "# RetouchGPT\n\nNothing is known of these weights' training." if own is None else own.read_text("utf-8")
    made = hub.ModelCard(text, ignore_metadata_errors=True)
    made.data = hub.ModelCardData(**(METADATA | made.data.to_dict()))
    if repo_id is not None and "from_pretrained(" not in made.text:
        made.text = made.text.rstrip() + "\n" + USE.format(repo=repo_id)
    return str(made)


def _copy_language(source: Path, out: Path) -> None:
    """All but the network's own two files and the hub's card."""
    for path in sorted(source.iterdir()):
        if path.is_dir():
            shutil.copytree(path, out / path.name, dirs_exist_ok=True)
        elif path.name not in (WEIGHTS, HUB_CARD, "config.json"):
            shutil.copyfile(path, out / path.name)


def _precision(weights: Path) -> torch.dtype:
    """Of the first floating tensor of a file."""
    with safe_open(weights, "pt") as stream:
        kinds = (stream.get_tensor(name).dtype for name in stream.keys())  # noqa: SIM118 - it is no mapping
        return next((kind for kind in kinds if kind.is_floating_point), torch.float32)


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:  # pragma: no cover - comes with transformers
        raise MissingExtra("huggingface_hub", "train") from error
    return huggingface_hub


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
