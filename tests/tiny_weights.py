"""A folder of weights for processes of their own: a tiny network beside the shipped language."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from retouchgpt.model.checkpoint import LLM, save_pretrained, shipped
from retouchgpt.model.presets import TINY
from tests.fakes import acne_network


def write(folder: Path) -> Path:
    """Weights that RetouchGPT.from_pretrained opens; language files are links."""
    llm = json.loads((shipped() / LLM / "config.json").read_text())
    language = replace(TINY.language_model, width=llm["hidden_size"], vocabulary=llm["vocab_size"])
    save_pretrained(acne_network(language_model=language), folder)
    for source in (shipped() / LLM, *shipped().glob("language.*")):
        (folder / source.name).symlink_to(source)
    return folder
