"""The web page: its parts, its look, and which event of `Work` each part starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from importlib.resources import files
from typing import Any

import gradio as gr

from retouchgpt.photo.files import FORMATS

from . import web_view as view
from .web_desk import Desks
from .web_work import SUGGESTED, Work

QUEUE = 32
"""Requests that may wait; one more is told to come back."""
LOOKERS = 4
"""Users who are shown another part of their photo at once."""
Parts = dict[str, gr.blocks.Block]


def build(work: Work, desks: Desks) -> gr.Blocks:
    """The page, ready to be mounted."""
    with gr.Blocks(title="RetouchGPT", analytics_enabled=False, delete_cache=(300, 900), fill_width=True) as page:
        parts = _parts(desks)
        _events(work, parts)
    page.queue(max_size=QUEUE, default_concurrency_limit=1)
    return page


def theme() -> gr.themes.Base:
    """Fonts of the user's own system, and text that is dark enough on light and light enough on dark."""
    fonts = ("system-ui", "sans-serif")
    base = gr.themes.Base(primary_hue="blue", neutral_hue="gray", font=fonts, font_mono=("ui-monospace", "monospace"))
    return base.set(
        body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="*neutral_300",
        block_label_text_color="*neutral_700", block_label_text_color_dark="*neutral_200",
        block_title_text_color="*neutral_700", block_title_text_color_dark="*neutral_200",
        block_info_text_color="*neutral_600", block_info_text_color_dark="*neutral_300",
        input_placeholder_color="*neutral_600", input_placeholder_color_dark="*neutral_300",
        button_primary_background_fill="#1d4ed8", button_primary_background_fill_dark="#1d4ed8",
        button_primary_background_fill_hover="#1e40af", button_primary_background_fill_hover_dark="#1e40af",
        checkbox_border_color="*neutral_500", checkbox_border_color_dark="*neutral_400",
        button_primary_text_color="white", button_primary_text_color_dark="white",
    )  # fmt: skip


def style() -> str:
    """The page's own CSS."""
    return _asset("style.css")


def _asset(name: str) -> str:
    return (files("retouchgpt.apps") / "web_assets" / name).read_text(encoding="utf-8")


def _parts(desks: Desks) -> Parts:
    parts: Parts = {"desk": gr.State(None, delete_callback=desks.close)}
    gr.HTML(
        "<h1>RetouchGPT</h1><p>Drop a portrait and say what should go. Everything stays on this computer.</p>",
        elem_classes="rg-title",
    )
    parts["photo"] = gr.File(label="Photo", file_types=list(FORMATS), height=150, elem_id="photo")
    parts["status"] = gr.HTML('<p role="status">No photo yet.</p>', elem_classes="rg-status", elem_id="status")
    with gr.Column(visible=False) as parts["work"]:
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                _picture_parts(parts)
            with gr.Column(scale=2, min_width=320):
                _dialogue_parts(parts)
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                _found_parts(parts)
            with gr.Column(scale=2, min_width=320):
                _edit_parts(parts)
    return parts


def _picture_parts(parts: Parts) -> None:
    parts["place"] = gr.Dropdown([view.WHOLE], value=view.WHOLE, label="Look at", elem_id="place")
    parts["viewer"] = gr.HTML(
        {}, html_template='<div class="rg-viewer"></div>', js_on_load=_asset("viewer.js"), elem_id="viewer"
    )
    with gr.Row():
        for way, words in (("undo", "Undo"), ("redo", "Redo"), ("reset", "Start over")):
            parts[way] = gr.Button(words, size="md", min_width=80, elem_id=way)
    parts["walk"] = gr.Checkbox(label="Retouch in steps, looking again after each", elem_id="walk")
    parts["step"] = gr.Radio([], label="Step on view", visible=False, elem_id="step")


def _dialogue_parts(parts: Parts) -> None:
    parts["faces"] = gr.CheckboxGroup([], label="Faces that an instruction is for", visible=False, elem_id="faces")
    parts["chat"] = gr.Chatbot(
        label="Dialogue", height=320, render_markdown=False, feedback_options=None, buttons=[], elem_id="chat"
    )
    parts["text"] = gr.Textbox(
        label="What should be done?", placeholder="Remove the acne on the left cheek, keep the freckles.", lines=1,
        max_lines=4, max_length=2000, submit_btn="Retouch", elem_id="text",
    )  # fmt: skip
    with gr.Row():
        for i in range(SUGGESTED):
            parts[f"hint{i}"] = gr.Button("", size="sm", min_width=120, elem_classes="rg-hint")


def _found_parts(parts: Parts) -> None:
    parts["found"] = gr.CheckboxGroup([], label="Found: tick what should go", elem_id="found")
    parts["percent"] = gr.Slider(5, 100, value=100, step=5, label="Strength of what is ticked, in per cent")
    parts["remove"] = gr.Button("Remove what is ticked", variant="primary", elem_id="remove")


def _edit_parts(parts: Parts) -> None:
    with gr.Accordion("Edits and their strength", open=True):
        parts["edits"] = gr.HTML(
            [], html_template='<div class="rg-edits"></div>', js_on_load=_asset("edits.js"), elem_id="edits"
        )
    with gr.Accordion("Download", open=True):
        parts["files"] = gr.HTML("", elem_id="files")


def _events(work: Work, parts: Parts) -> None:
    turn = ("desk", "chat", "place")
    outputs = [part for name, part in parts.items() if name not in ("undo", "redo", "reset", "remove", "percent")]

    def on(event: Any, act: Callable[..., Iterator[dict[str, Any]]], inputs: Sequence[str], **options: Any) -> None:
        event(
            _by_part(act, parts),
            [parts[n] for n in inputs],
            outputs,
            api_visibility="private",
            show_progress="hidden",
            **({"concurrency_limit": 1, "concurrency_id": "model"} | options),
        )

    def of(name: str, kind: str) -> Any:
        return getattr(parts[name], kind)

    on(of("photo", "upload"), work.open, ("photo", "desk"))
    on(of("text", "submit"), work.say, (*turn, "text", "faces"))
    for i in range(SUGGESTED):
        on(of(f"hint{i}", "click"), work.say, (*turn, f"hint{i}", "faces"))
    on(of("remove", "click"), work.remove, (*turn, "found", "percent"))
    on(of("edits", "weighed"), work.weigh, turn)
    on(of("edits", "dropped"), work.drop, turn)
    on(of("viewer", "painted"), work.paint, turn)
    for way in ("undo", "redo", "reset"):
        on(of(way, "click"), work.move(way), turn)
    on(of("walk", "input"), work.walk, (*turn, "walk"))
    on(of("step", "input"), work.see, ("desk", "place", "step"))
    on(of("place", "input"), work.look, ("desk", "place"), concurrency_id="look", concurrency_limit=LOOKERS)


def _by_part(act: Callable[..., Iterator[dict[str, Any]]], parts: Parts) -> Callable[..., Iterator[dict[Any, Any]]]:
    """An event whose updates go by name, for Gradio, which wants them by component."""

    @wraps(act)
    def run(*arguments: Any) -> Iterator[dict[Any, Any]]:
        for updates in act(*arguments):
            yield {parts[name]: value for name, value in updates.items()}

    return run
