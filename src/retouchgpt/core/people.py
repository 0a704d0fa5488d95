"""Who is meant in a group photo, by number or by place: "face 2", "the woman on the right", "second from the left".

Places are the viewer's. Words for sex or age are not judged: a face is chosen by where it stands, and the answer names
its number. Pure text and numbers, no pictures.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

PERSON = (
    r"(?:face|person|man|woman|girl|boy|guy|lady|gentleman|one|kid|child|bride|groom|mother|father|mum|mom|dad|"
    r"grandmother|grandfather|friend|model)"
)
PLACE = (
    r"(?:(?:on|to|at) the (?:far )?(?:left|right)|in the (?:middle|cent(?:er|re))|"
    r"(?:first|second|third|fourth|fifth|\d+(?:st|nd|rd|th)) from the (?:left|right)|in (?:the )?(?:front|back))"
)
NUMBERS = r"\d+(?:\s*(?:,|and|&)\s*(?:face\s*)?\d+)*"
NUMBERED = rf"faces?\s*(?:number\s*|no\.?\s*|#\s*)?{NUMBERS}"
NAMED = rf"(?:{NUMBERED}|the (?:\w+ )?{PERSON} {PLACE}|(?:the )?(?:left|right)most {PERSON})"
EVERYONE = r"(?:everyone|everybody|all (?:of )?(?:the )?faces|both faces|all (?:of )?them|each face|all people)"
AHEAD = re.compile(rf"^\s*(?:for |on |with )?(?P<who>{NAMED}|{EVERYONE})\s*[:,-]\s*(?P<rest>\S.*)$", re.I | re.S)
BEHIND = re.compile(
    rf"^(?P<rest>.*\S)\s+(?:for|on|of|from|with)\s+(?P<who>{NAMED}|{EVERYONE})\s*[.!]*\s*$", re.I | re.S
)
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5}


class Addressed(NamedTuple):
    """who: the words that name the faces, "" for none. rest: the instruction without them."""

    who: str
    rest: str


def addressed(instruction: str) -> Addressed:
    """Split "face 2: remove the acne" or "remove the shine on the man on the left" into who and what."""
    for pattern in (AHEAD, BEHIND):
        found = pattern.match(instruction)
        if found:
            return Addressed(found["who"].strip(), found["rest"].strip())
    return Addressed("", instruction)


def who_is_meant(text: str, middles: Sequence[float], widths: Sequence[float]) -> tuple[int, ...]:
    """Indices from 0 of the faces that a text names; empty when it names none, or one that is not there.

    middles: x of each face's middle, px. widths: of each face, px, in the order of their numbers.
    """
    said, count = text.lower().strip(), len(middles)
    if re.fullmatch(EVERYONE, said):
        return tuple(range(count))
    if re.fullmatch(rf"{NUMBERED}|{NUMBERS}", said):
        wanted = [int(n) - 1 for n in re.findall(r"\d+", said)]
        return tuple(wanted) if all(0 <= n < count for n in wanted) else ()
    order = sorted(range(count), key=lambda i: middles[i])
    nth = re.search(r"(first|second|third|fourth|fifth|\d+)(?:st|nd|rd|th)? from the (left|right)", said)
    if nth:
        place = ORDINALS.get(nth[1]) or int(re.sub(r"\D", "", nth[1]) or 0)
        line = order if nth[2] == "left" else order[::-1]
        return (line[place - 1],) if 1 <= place <= count else ()
    if re.search(r"\b(middle|cent(er|re))\b", said):
        return (order[count // 2],) if count % 2 else ()
    for word, face in (("left", order[0]), ("right", order[-1])):
        if re.search(rf"\b{word}(most)?\b", said):
            return (face,)
    by_size = sorted(range(count), key=lambda i: -widths[i])
    if re.search(r"\b(front|largest|biggest|closest|nearest)\b", said):
        return (by_size[0],)
    return (by_size[-1],) if re.search(r"\b(back|smallest|farthest|furthest)\b", said) else ()
