"""An evaluation as Markdown and as one HTML page with its pictures."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from retouchgpt.core.errors import BadData
from retouchgpt.core.vocabulary import IMPERFECTIONS, spoken

from .evaluate import ANSWERS, MEASURES, Evaluation, summary
from .groups import AGE_BANDS, SIZES
from .methods import OURS, UNTOUCHED
from .metrics import ITA_GROUPS
from .tally import Cell, Key


class Measure(NamedTuple):
    """A column: its title, what it is, decimals, and whether it is averaged over kinds instead of over requests."""

    title: str
    meaning: str
    decimals: int = 3
    over_kinds: bool = False


COLUMNS: dict[str, Measure] = {
    "psnr": Measure("PSNR, dB", "peak signal-to-noise ratio to the target, whole 512 px crop, at most 100", 2),
    "ssim": Measure("SSIM", "structural similarity to the target, Gaussian window of 11 px", 4),
    "ms_ssim": Measure("MS-SSIM", "the same over five scales", 4),
    "lpips": Measure("LPIPS", "learned perceptual distance to the target; 0 is equal", 4),
    "delta_e": Measure("delta E", "mean CIEDE2000 to the target over the asked pixels", 2, True),
    "texture": Measure("texture", "fine detail's energy in the asked pixels over the target's; 0 is plastic", 2),
    "removal": Measure("removal", "1 - error to the target in the asked pixels / the input's", 3, True),
    "fix": Measure("fix share", "share of the asked pixels whose error fell to half or below", 3, True),
    "damage": Measure("damage", "mean change in 8-bit levels where nothing was asked"),
    "locality": Measure("locality", "share of all change that lies within 3 px of what was asked"),
    "gone": Measure("asked gone", "share of the asked marks whose error fell to half or below"),
    "stayed": Measure("unasked kept", "share of the other marks that changed by no more than half of themselves"),
    "selectivity": Measure("selectivity", "harmonic mean of the two: 0 for doing nothing and for removing everything"),
}
ANSWER_ROWS: dict[str, str] = {
    "understood": "requests understood as meant",
    "truthful": "answers without a false or missing claim, by the measured facts",
    "present": "what was painted and asked for: said to be done",
    "absent": "what was not painted: said not to be there (a face may have its own)",
    "tokens": "tokens of the reference answer that the LLM ranks first",
}
STRIP = "before, target, after, mask, difference times eight"


class Table(NamedTuple):
    """A heading, a line about it, column titles and rows of text."""

    heading: str
    about: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def tables(result: Evaluation) -> list[Table]:
    """Every table that has a row."""
    made = [_methods(result), _selectivity(result), _kinds(result), _masks(result), _answers(result)]
    made += [_groups(result, "tone", "By skin tone (ITA)", [name for name, _ in ITA_GROUPS])]
    made += [_groups(result, "age", "By age", [name for name, _ in AGE_BANDS]), _sizes(result)]
    return [t for t in made if t.rows]


def figure(result: Evaluation, key: Key, measure: str) -> Cell:
    """One figure under a key that names a method last."""
    if measure == "selectivity":
        return result.tally.harmonic(key, "gone", "stayed")
    if COLUMNS[measure].over_kinds and key[0] != "kind":
        parts = [("kind", k, key[-1]) if key[0] == "all" else (*key, k) for k in IMPERFECTIONS]
        return result.tally.over(parts, measure)
    return result.tally.cell(key, measure)


def _row(result: Evaluation, names: Sequence[str], key: Key, measures: Sequence[str]) -> tuple[str, ...]:
    return (*names, *(figure(result, key, m).text(COLUMNS[m].decimals) for m in measures))


def _methods(result: Evaluation) -> Table:
    measures = [m for m in MEASURES if any(figure(result, k, m).values for k in result.tally.under("all"))]
    rows = [_row(result, [k[1]], k, measures) for k in result.tally.under("all")]
    about = "Means over requests; delta E, removal and fix share are means over kinds. In brackets: 95 % of bootstrap."
    return Table("Methods", about, ("method", *(COLUMNS[m].title for m in measures)), rows)


def _selectivity(result: Evaluation) -> Table:
    measures = ("gone", "stayed", "selectivity")
    rows = [_row(result, [k[1]], k, measures) for k in result.tally.under("all")]
    return Table("Selectivity", "By single marks.", ("method", *(COLUMNS[m].title for m in measures)), rows)


def _shown(result: Evaluation) -> list[str]:
    """The methods of the tables by group: nothing done, and ours (or whatever there is)."""
    names = [k[1] for k in result.tally.under("all")]
    return [n for n in names if n in (UNTOUCHED, OURS)] if OURS in names else names


def _kinds(result: Evaluation) -> Table:
    measures = ("psnr", "delta_e", "texture", "removal", "fix", "damage", "locality", "gone", "stayed")
    rows = []
    for kind in IMPERFECTIONS:
        for name in _shown(result):
            cell = result.tally.cell(("kind", kind, name), "psnr")
            if cell.values:
                rows.append(_row(result, [spoken(kind), name, str(cell.values)], ("kind", kind, name), measures))
    return Table("By kind", "", ("kind", "method", "requests", *(COLUMNS[m].title for m in measures)), rows)


def _masks(result: Evaluation) -> Table:
    rows = []
    for kind in IMPERFECTIONS:
        for name in (UNTOUCHED, OURS):
            iou = result.tally.cell(("mask", kind, name), "iou")
            if iou.values:
                precision = result.tally.precision(("mask", kind, name), "precision")
                rows.append((spoken(kind), name, str(iou.values), iou.text(), precision.text()))
    about = (
        "Heat maps before any instruction. Places where the unpainted face may have a mark of its own are left out. "
        "An empty mask scores the share of such places as average precision."
    )
    return Table("Masks", about, ("kind", "method", "faces", "soft IoU", "average precision"), rows)


def _answers(result: Evaluation) -> Table:
    rows = []
    for measure in ANSWERS:
        for name in (UNTOUCHED, OURS):
            cell = result.tally.cell(("tokens" if measure == "tokens" else "answer", name), measure)
            if cell.values:
                rows.append((ANSWER_ROWS[measure], name, str(cell.values), cell.text()))
    return Table("Answers", "", ("what", "method", "cases", "share"), rows)


def _groups(result: Evaluation, group: str, heading: str, order: Sequence[str]) -> Table:
    measures = ("psnr", "removal", "fix", "damage", "gone", "stayed", "selectivity")
    rows = []
    for part in order:
        for name in _shown(result):
            cell = result.tally.cell((group, part, name), "psnr")
            if cell.values:
                rows.append(_row(result, [part, name, str(cell.values)], (group, part, name), measures))
    return Table(heading, "", (group, "method", "requests", *(COLUMNS[m].title for m in measures)), rows)


def _sizes(result: Evaluation) -> Table:
    rows = []
    for part, _ in SIZES:
        for name in _shown(result):
            cell = result.tally.cell(("size", part, name), "gone")
            if cell.values:
                rows.append(_row(result, [part, name, str(cell.values)], ("size", part, name), ("gone", "stayed")))
    about = "Diameter of a mark in the 512 px crop."
    return Table("By size", about, ("size", "method", "asked marks", "asked gone", "unasked kept"), rows)


def markdown(result: Evaluation) -> str:
    """All tables and what the columns mean."""
    lines = [f"# {result.recipe.name}", "", opening(result), ""]
    for table in tables(result):
        lines += [f"## {table.heading}", ""] + ([table.about, ""] if table.about else [])
        lines += [_line(table.columns), _line(["---"] * len(table.columns)), *map(_line, table.rows), ""]
    lines += ["## What the columns mean", ""]
    lines += [f"- *{m.title}*: {m.meaning}." for m in COLUMNS.values()]
    return "\n".join(lines) + "\n"


def opening(result: Evaluation) -> str:
    """What was measured on how much, and what could not be."""
    versions = ", ".join(f"{k} {v[:12]}" for k, v in result.versions.items())
    said = [f"{result.faces} painted faces, {result.requests} requests.", *(f"Note: {n}." for n in result.notes)]
    return " ".join(([f"{versions}."] if versions else []) + [s.replace("..", ".") for s in said])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
body{color:#222;background:#fff}
table{border-collapse:collapse;font-size:13px;margin:.5rem 0 1.5rem;display:block;overflow-x:auto}
th,td{padding:.25rem .6rem;border-bottom:1px solid #ddd;text-align:left;white-space:nowrap}
th{border-bottom:2px solid #888}tr.untouched td{color:#777}img{max-width:100%;border:1px solid #ddd}
figure{margin:1rem 0}figcaption{font-size:13px;color:#555}"""


def page(result: Evaluation, pictures: dict[str, str]) -> str:
    """One HTML page. pictures: kind -> address of its sheet."""
    escape: Callable[[str], str] = html.escape
    parts = [f"<h1>{escape(result.recipe.name)}</h1><p>{escape(opening(result))}</p>"]
    for table in tables(result):
        head = "".join(f"<th>{escape(c)}</th>" for c in table.columns)
        body = "".join(
            f"<tr{' class=untouched' if UNTOUCHED in row else ''}>{''.join(f'<td>{escape(c)}</td>' for c in row)}</tr>"
            for row in table.rows
        )
        parts.append(
            f"<h2>{escape(table.heading)}</h2><p>{escape(table.about)}</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )
    if pictures:
        parts.append(f"<h2>Pictures</h2><p>Each row: {STRIP}.</p>")
    parts += [
        f'<figure><img src="{escape(src)}" alt="{escape(spoken(kind))}: {STRIP}">'
        f"<figcaption>{escape(spoken(kind))}</figcaption></figure>"
        for kind, src in pictures.items()
    ]
    meaning = "".join(f"<dt>{escape(m.title)}</dt><dd>{escape(m.meaning)}</dd>" for m in COLUMNS.values())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(result.recipe.name)}</title>'
        f"<style>{STYLE}</style><body>{''.join(parts)}<h2>What the columns mean</h2><dl>{meaning}</dl></body></html>\n"
    )


def write(result: Evaluation, out: Path) -> list[Path]:
    """report.md, report.html, result.json and sheet_KIND.jpg. Raises BadData where they cannot be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        pictures = {}
        for kind, strips in sorted(result.sheets.items()):
            name = f"sheet_{kind}.jpg"
            if strips and cv2.imwrite(str(out / name), np.vstack(strips)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88]):
                pictures[kind] = name
        texts = {
            "report.md": markdown(result),
            "report.html": page(result, pictures),
            "result.json": json.dumps(summary(result), indent=1) + "\n",
        }
        for name, text in texts.items():
            partial = out / f".{name}.partial"
            partial.write_text(text, encoding="utf-8")
            partial.replace(out / name)
    except OSError as error:
        raise BadData(f"cannot write the evaluation into {out}: {error.strerror or error}") from error
    return [out / name for name in texts]
