"""The commands that README.md and docs show: fenced ones, ones within a line, and Python blocks.

A synopsis, `retouchgpt x INPUT... [--a A] (-i TEXT | --manifest M) [--face all|N]`, stands for several commands: with
nothing optional, with everything, and with each alternative of each choice.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
PROGRAMS = ("retouchgpt", "python", "make", "pip", "curl", "docker", "ssh")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)
INLINE = re.compile(r"`([^`]+)`")
PIECE = re.compile(r""""[^"]*"|'[^']*'|[\[\]()|]|[^\s\[\]()|"']+|\s+""")


@dataclass
class Node:
    """A part of a synopsis. words: alternatives of one argument. parts: a sequence. choices: one of several."""

    words: list[str] = field(default_factory=list)
    parts: list[Node] = field(default_factory=list)
    choices: list[Node] = field(default_factory=list)
    optional: bool = False


def is_command(text: str) -> bool:
    return text.split(" ", 1)[0] in PROGRAMS


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Language and text of each fenced block."""
    yield from FENCE.findall(page.read_text())


def fenced(page: Path) -> list[str]:
    """Commands of the fenced blocks, each in one line, without what is said about it."""
    found: list[str] = []
    for language, text in blocks(page):
        lines = text.splitlines()
        if language == "python" or not lines or not (language == "bash" or is_command(lines[0])):
            continue
        for line in lines:
            told = re.split(r"\s{3,}|\s+# ", line.strip(), maxsplit=1)[0].rstrip("\\").strip()
            if line.startswith(" "):
                found[-1] += " " + told
            elif told:
                found.append(told)
    return found


def inline(page: Path) -> list[str]:
    """Commands within a line of prose or a table; those that say only a program's name are none."""
    text = FENCE.sub("", page.read_text())
    spans = (" ".join(span.split()) for span in INLINE.findall(text))
    return [s for s in spans if is_command(s) and " " in s]


def python(page: Path) -> list[str]:
    return [text for language, text in blocks(page) if language == "python"]


def variants(command: str) -> list[list[str]]:
    """The commands, each as arguments, that a shown one stands for; the first has everything optional."""
    bare = re.sub(r""""[^"]*"|'[^']*'""", "", command)
    if not re.search(r"[\[(|]|\.\.\.", bare):
        return [shlex.split(command)]
    pieces = [p for p in PIECE.findall(command) if p]
    tree, rest = _sequence(pieces, 0, "")
    assert rest == len(pieces), f"brackets do not match: {command}"
    found = [_fill(tree, optional=True)]
    found.append(_fill(tree, optional=False))
    for node in _walk(tree):
        for i in range(1, max(len(node.words), len(node.choices))):
            found.append(_fill(tree, optional=True, pick=(node, i)))
    return found


def _sequence(pieces: list[str], at: int, end: str) -> tuple[Node, int]:
    """Parse up to a closing bracket or the text's end."""
    out, fresh = Node(parts=[]), True
    options: list[Node] = []
    spaced = True  # whether the piece before was a space: `|` between spaces parts phrases, otherwise words
    while at < len(pieces) and pieces[at] != end:
        piece = pieces[at]
        if piece.isspace():
            fresh = spaced = True
        elif piece in "[(":
            inner, at = _sequence(pieces, at + 1, "]" if piece == "[" else ")")
            inner.optional = piece == "["
            out.parts.append(inner)
        elif piece == "|" and spaced:
            options.append(out)
            out = Node(parts=[])
        elif piece == "|":
            fresh = False
        else:
            word = re.sub(r"^(\w+)\.\.\.$", r"\1", piece.strip("\"'"))
            if word == "...":
                pass
            elif not fresh and out.parts and pieces[at - 1] == "|":
                out.parts[-1].words.append(word)
            else:
                out.parts.append(Node(words=[word]))
            spaced = False
        at += 1
    if options:
        out = Node(choices=[*options, out])
    return out, at


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for part in (*node.parts, *node.choices):
        yield from _walk(part)


def _fill(node: Node, *, optional: bool, pick: tuple[Node, int] | None = None) -> list[str]:
    """The arguments of a node; pick: a node and which of its alternatives it takes."""
    if node.optional and not optional:
        return []
    place = pick[1] if pick is not None and pick[0] is node else 0
    if node.words:
        return [node.words[place]]
    if node.choices:
        return _fill(node.choices[place], optional=optional, pick=pick)
    return [word for part in node.parts for word in _fill(part, optional=optional, pick=pick)]
