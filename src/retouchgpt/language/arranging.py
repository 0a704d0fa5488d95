"""Puts a request's parts in the grammar's order: corrections, labels ("acne: remove"), lists and exceptions.

Works on tokens and on the phrases found among them; what it cannot place it leaves as it was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import matching as m
from .matching import Item
from .spelling import Token

ENDS = frozenset(".;!?")
MARKS = ENDS | frozenset(",:-()/") | {"->"}
YES = frozenset({"yes", "yep", "yeah", "ok", "okay", "please", "sure", "do", "x"})
NO = frozenset(
    re.split(
        r"\|",
        "no|nope|never|dont|nothing|none|not|leave|keep|stay|stays|should stay|fine|nah|do not|no thanks|ignore|skip",
    )
)
CORRECTION = re.compile(
    r" (?:[,.;-] )*(?:\b(?:no wait|oh wait|wait no|wait|no sorry|sorry no|sorry|oops|i mean|i meant|or rather|make "
    r"that|"
    r"correction|scratch that|strike that|actually|hmm|hm|no|uh|er|well)\b(?: [,.;-])*(?: |$))+"
)
"""What goes before is taken back, if it follows a mark; what comes after stands in its place."""
TAKES_BACK = re.compile(
    r"\b(?:wait|sorry|oops|mean|meant|rather|make that|correction|scratch|strike|actually)\b|[,.;-] no [,.;-]"
)


def arranged(tokens: list[Token]) -> list[Token]:
    """The tokens in the order that the grammar reads."""
    for step in (_answered, _corrected, _listed, _labelled, _bracketed, _excepted):
        tokens = m.as_tokens(step([t.text for t in tokens]))
    return tokens


def _items(words: Sequence[str]) -> list[Item]:
    return m.match(m.as_tokens(words))


def _types(words: Sequence[str]) -> set[str]:
    return {i.type for i in _items(words)}


def _corrected(words: list[str]) -> list[str]:
    """ "the left cheek, sorry, the right cheek" -> "the right cheek"; "X... the mole, I mean" stays."""
    said = " ".join(words)
    for found in reversed(list(CORRECTION.finditer(said))):
        if found.start() == 0 or not TAKES_BACK.search(found.group()) or not re.search(r"[,.;-]", found.group()[:3]):
            continue
        before, after = said[: found.start()].split(), said[found.end() :].split()
        stop = next((i for i, w in enumerate(after) if w in ENDS or w == ","), len(after))
        new = _items(after[:stop])
        if not before or not new or {i.type for i in new} & m.VERBS:
            continue
        old = _items(before)
        placed = [i for i in new if i.type in (m.PLACE, m.SIDE)]
        kinds = [i for i in new if i.type == m.KIND]
        if kinds:
            at = [i for i in old if i.type == m.KIND]
            last = before if placed or not at else before[: at[-1].last + 1] + before[at[-1].last + 1 :]
            if at:
                tail = [] if placed else last[at[-1].last + 1 :]
                last = last[: at[-1].first] + after[kinds[0].first : stop] + tail
                return _corrected(last + after[stop:])
        elif placed:
            at = [i for i in old if i.type in (m.PLACE, m.SIDE)]
            if at:
                tail = before[at[-1].last + 1 :]
                return _corrected(before[: at[-1].first] + after[placed[0].first : stop] + tail + after[stop:])
    return words


def _answered(words: list[str]) -> list[str]:
    """ "wrinkles? gone. moles? stay." -> "wrinkles: gone. moles: stay."."""
    out = list(words)
    for i, word in enumerate(words):
        if word != "?":
            continue
        start = max((n + 1 for n in range(i) if words[n] in ENDS), default=0)
        stop = next((n for n in range(i + 1, len(words)) if words[n] in ENDS or words[n] == ","), len(words))
        before, after = words[start:i], words[i + 1 : stop]
        if 0 < len(before) <= 3 and 0 < len(after) <= 3 and m.KIND in _types(before) and not m.VERBS & _types(before):
            types = _types(after)
            if types & m.VERBS and m.KIND not in types and not {"any", "is", "are"} & set(before):
                out[i] = ":"
    return out


def _listed(words: list[str]) -> list[str]:
    """ "Remove: 1. acne 2. moles" -> "remove acne, moles": a header's verb holds for every numbered or dashed item."""
    out: list[str] = []
    headed = False
    i = 0
    while i < len(words):
        word, following = words[i], words[i + 1] if i + 1 < len(words) else ""
        numbered = word.isdigit() and following in (".", ")") and (i == 0 or not words[i - 1].isdigit())
        dashed = word == ";" and following in ("-", "->")
        if headed and (numbered or dashed):
            out += [","]
            i += 2
            continue
        if word == ":":
            start = max((n + 1 for n, w in enumerate(out) if w in ENDS), default=0)
            types = _types(out[start:])
            opens = following in ("-", ";", "->") or following.isdigit()
            headed = bool(types & m.VERBS) and m.KIND not in types and opens
        out.append(word)
        i += 1
    return [w for n, w in enumerate(out) if not (w == "," and n and out[n - 1] in (":", ","))]


def _segments(words: Sequence[str], ends: frozenset[str]) -> list[list[str]]:
    """Words cut after marks; each segment but perhaps the last ends with its mark."""
    out: list[list[str]] = [[]]
    for word in words:
        out[-1].append(word)
        if word in ends:
            out.append([])
    return [s for s in out if s]


def _labelled(words: list[str]) -> list[str]:
    """ "acne: remove, freckles: keep, redness: half; moles no" -> "remove acne, keep freckles, ..."."""
    out: list[str] = []
    ends = ENDS | {",", "but"}
    for segment in _segments(words, ends):
        body, mark = (segment[:-1], segment[-1:]) if segment[-1] in ends else (segment, [])
        out += _label(body) + mark
    return out


def _label(body: list[str]) -> list[str]:
    cut = next((i for i, w in enumerate(body) if w in (":", "-", "->", "=")), None)
    if cut is None:
        short = (
            len(body) > 1
            and (body[-1] in YES | NO)
            and body[-1] not in ("do", "not", "please", "stay", "stays", "fine")
        )
        cut = len(body) - 1 if short and body[-1] in ("yes", "no", "nope", "yep", "yeah", "never") else None
        left, right = (body[:cut], body[cut:]) if cut is not None else (body, [])
    else:
        left, right = body[:cut], body[cut + 1 :]
    pointing = {"both", "all", "them", "it", "these", "those"} & set(right)
    if not left or not right or cut is None or pointing:
        return body
    before, after = _items(left), _items(right)
    named = [i for i in before if i.type in (m.KIND, m.PLACE)]
    if not named or {i.type for i in before} & m.VERBS or any(i.type in (m.KIND, m.PLACE, m.OUT) for i in after):
        return body
    said = " ".join(right)
    if said in NO:
        return ["keep", *left]
    if said in YES:
        return ["remove", *left] if any(i.type == m.KIND for i in before) else body
    types = [i.type for i in after]
    verbs = [t for t in types if t in m.VERBS]
    if types == [m.STRENGTH] and any(i.type == m.KIND for i in before):
        return ["soften", *right, *left]
    if verbs and len(right) <= 4 and verbs[0] in (m.REMOVE, m.SOFTEN, m.KEEP) and any(i.type == m.KIND for i in before):
        return [*right, *left]
    return body


def _bracketed(words: list[str]) -> list[str]:
    """ "forehead (shine), nose (redness)" and "nose - blackheads, chin - scar" -> one sentence for each place."""
    said = " ".join(words)
    label = r"(?:^|(?<=[,;:] ))((?:the |her |his |my )?(?:\w+ ){1,2})"
    for pattern in (
        label + r"\( ([^()]{1,60}) \)(?: [,;](?: and)?| and)?",
        label + r"- ([^,;.!?()-]{1,60}?)(?= [,;.]|$)(?: [,;](?: and)?)?",
    ):
        found = list(re.finditer(pattern, said))
        if len(found) > 1 and all(_place_alone(f[1]) and m.KIND in _types(f[2].split()) for f in found):
            return re.sub(pattern, r"; \1: \2 ;", said).split()
    return words


def _place_alone(text: str) -> bool:
    items = _items(text.split())
    return bool(items) and all(i.type in (m.PLACE, m.SIDE) for i in items)


def _excepted(words: list[str]) -> list[str]:
    """ "all the moles but the one on the chin" -> "all the moles except the one on the chin"."""
    for i, word in enumerate(words):
        if (
            word != "but"
            or words[i - 1 : i] in (["all"], ["everything"], ["anything"])
            or i == 0
            or i + 1 == len(words)
        ):
            continue
        start = max((n + 1 for n in range(i) if words[n] in ENDS), default=0)
        stop = next((n for n in range(i + 1, len(words)) if words[n] in MARKS), len(words))
        wide = {"all", "every", "everything", "each", "any", "anything", "everywhere", "anywhere", "whole"}
        rest = words[i + 1 : stop]
        named = {item.type for item in _items(rest)}
        if (
            wide & set(words[start:i])
            and named & {m.KIND, m.PLACE, m.SIDE}
            and not named & (m.VERBS | {m.STRENGTH, m.SEE})
        ):
            return [*words[:i], "except", *words[i + 1 :]]
    return words
