"""Finds the words of the lexicon in a text: kinds, places, verbs, strengths, sides, and words outside the job."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from . import lexicon
from .lexicon import PAIRS, SINGLE, forms, kind_phrases
from .phrasing import plain_words
from .scope import outside_phrases
from .spelling import SHORT_FORMS, Speller, Token, tokenise
from .strengths import word_strengths

OUTSIDE_PREFIX = "outside:"
"""A place that is none of ours is written as this and the reason."""
LOCATED = frozenset({"background", "clothes", "body", "accessories", "features", "hair"})
"""Reasons whose words are places or things; an imperfection there is not ours."""
BOTH = "both"
"""Stands before a pair's name when no side is given: `both cheek`."""
NEGATIONS = frozenset(["not", "dont", "never", "doesnt", "wont", "shouldnt", "mustnt", "cannot", "cant", "wouldnt"])
AFTER_NOT = frozenset(
    [
        "the",
        "a",
        "an",
        "her",
        "his",
        "my",
        "their",
        "your",
        "this",
        "that",
        "these",
        "those",
        "on",
        "in",
        "around",
        "at",
        "any",
        "near",
        "under",
    ]
)
CLAUSE_MARKS = frozenset({*",.;!?:()", "and", "but", "so", "then", "because", "just", "only", "when", "while", "if"})
WISHES = frozenset({"want", "need", "wish", "like", "let", "have"})
LESSENING = frozenset(
    re.split(
        r"\|",
        "no|remove|get|take|erase|delete|soften|reduce|fade|less|see|any|has|there|have|clear|lose|wants|than|zap",
    )
)
"""Words after which "more freckles" asks for none to be added."""
BARE_NOT = frozenset({"do not", "not"})
BARE = ("left", "right")

KIND, PLACE, SIDE, OUT, STRENGTH, THESE, FRAME = "kind", "place", "side", "out", "strength", "these", "frame"
REMOVE, SOFTEN, CLEAN, KEEP, EXCEPT, KEPT, FOND, SEE, ADD, TOUCH = (
    "remove",
    "soften",
    "clean",
    "keep",
    "except",
    "kept",
    "fond",
    "see",
    "add",
    "touch",
)
OWNERS = ("the", "her", "his", "my", "their", "your")
VERBS = frozenset({REMOVE, SOFTEN, CLEAN, KEEP, EXCEPT, KEPT, FOND, ADD})
NEUTRAL = "neutral"
NEUTRAL_PHRASES = (
    "why not|why dont you|why dont we|why do not you|right next to|from scratch|right below|right above|"
    "right under|right beside|id like|would like|i like to|like to|like it if|"
    "go easy|going easy|makeup artist|make up artist|love to see|stand out|stands out|stick out|sticks out|jump out|"
    "jumps out|upside "
    "down|calm down please|right now|right away|all right|right here|alright|on the other hand|no problem|no rush|"
    "no worries|"
    "do not worry|dont worry|if you dont mind|"
    "by the way|no idea|i do|do you|do not|would do|will do|go ahead|lets go|here we go|take a look|"
    "take your time|not too|not sure|no doubt|"
    "if possible|the shoot|this shoot|is it possible|what about|how about|going to|it looks like|so much|"
    "very much|too much trouble|do i|do we|"
    "in no time|cover photo|the cover|front cover|work of art|broke up|a million|not at all|or so|and so on|"
    "to do|you do|smile for|out of the|"
    "off the record|under the sun|good light|as good as|in the wind|this weekend|so long|nothing else|"
    "less is more|a lot of people|right before|i go|"
    "we go|go to|going out|look out|came out|come out|comes out|find out|turned out|shot this|how do|"
    "keep it natural|keep things natural|keep it real|keep it subtle|keep it simple|keep it short|keep in mind|"
    "kind regards|best regards|not for|in the back of|no one|cut hair"
)
THINGS_AFTER = frozenset({*OWNERS, "this", "that", "these", "those", "a", "an", "our"})
WITHOUT = "without"
QUALITIES = frozenset(
    {*OWNERS, "of", "these", "those", "skin", "facial", "visible", "remaining", "other", "single", "last", "small",
     "little", "tiny", "minor", "kinds", "sorts"}
)  # fmt: skip
"""Words between a quantifier and what it quantifies."""


class Item(NamedTuple):
    """A phrase of the lexicon. first, last: its tokens, last included. value: kind, place, strength or reason."""

    type: str
    value: Any
    first: int
    last: int


_PRIORITY = (
    NEUTRAL,
    KIND,
    OUT,
    PLACE,
    FRAME,
    KEEP,
    EXCEPT,
    KEPT,
    SOFTEN,
    REMOVE,
    CLEAN,
    SEE,
    ADD,
    STRENGTH,
    FOND,
    TOUCH,
    THESE,
)


@lru_cache(maxsize=1)
def phrase_table() -> dict[tuple[str, ...], tuple[str, Any]]:
    """Phrase, as words, -> type and value; where two meanings meet the earlier of the priority counts."""
    table: dict[tuple[str, ...], tuple[int, str, Any]] = {}

    def put(phrase: str, kind: str, value: Any) -> None:
        rank = _PRIORITY.index(kind)
        for owner in (*OWNERS, "") if " the " in phrase else ("the",):
            words = tuple(phrase.replace(" the ", f" {owner} ").split())
            if words and (words not in table or table[words][0] > rank):
                table[words] = (rank, kind, value)

    for phrase, kind in kind_phrases().items():
        put(phrase, KIND, kind)
    for pair, names in PAIRS.items():
        for name in names.split("|"):
            for form in forms(name):
                put(form, PLACE, f"{BOTH} {pair}")
    for place, names in SINGLE.items():
        for name in names.split("|"):
            for form in forms(name):
                put(form, PLACE, place)
    for phrase, reason in outside_phrases().items():
        put(phrase, OUT, reason)
    lists = {
        KEEP: lexicon.KEEP,
        EXCEPT: lexicon.EXCEPT,
        KEPT: lexicon.KEPT,
        SOFTEN: lexicon.SOFTEN,
        REMOVE: f"{lexicon.REMOVE}|{WITHOUT}",
        CLEAN: lexicon.CLEAN,
        SEE: lexicon.SEE,
        ADD: lexicon.ADD,
        FOND: lexicon.FOND,
        TOUCH: lexicon.TOUCH,
        NEUTRAL: NEUTRAL_PHRASES,
    }
    for kind, phrases in lists.items():
        for phrase in phrases.split("|"):
            put(phrase, kind, phrase)
    for phrase in lexicon.OWN.split("|"):
        put(phrase, FRAME, "subject")
    for phrase in lexicon.VIEWER.split("|"):
        put(phrase, FRAME, "viewer")
    for phrase, value in word_strengths().items():
        put(phrase, STRENGTH, value)
    for word in lexicon.THESE:
        put(word, THESE, word)
    return {words: (kind, value) for words, (_, kind, value) in table.items()}


@lru_cache(maxsize=1)
def speller() -> Speller:
    """Puts words right; knows the lexicon's words and common English."""
    from retouchgpt.model.text_encoder import common_words

    ours = {word for phrase in phrase_table() for word in phrase if word.isalpha()}
    ours |= {
        "undo",
        "revert",
        "redo",
        "reset",
        "discard",
        "restore",
        "undid",
        "original",
        "stronger",
        "weaker",
        "again",
        "start",
        "over",
    }
    ours |= {"left", "right", "upper", "lower", "bottom", "please", "thanks", "strength"}
    plain = {w for phrase in phrase_table() for w in phrase}
    nouns = {w for phrase, (kind, _) in phrase_table().items() if kind in (KIND, PLACE) for w in phrase}
    return Speller(ours, nouns, {*common_words(30000), *plain, *SHORT_FORMS, *lexicon.OBJECTS, *lexicon.FRAGMENT})


def read(text: str) -> list[Token]:
    """Tokens of a text, put right and in plain words (see phrasing.py)."""
    said = " ".join(t.text for t in speller()(tokenise(text)))
    return as_tokens(plain_words(said).split())


def as_tokens(words: Iterable[str]) -> list[Token]:
    """Words -> tokens numbered one after the other."""
    return [Token(word, i, i + 1) for i, word in enumerate(words)]


def match(tokens: list[Token]) -> list[Item]:
    """The longest phrases, left to right, with sides joined to their places."""
    words = [t.text for t in tokens]
    table, longest = phrase_table(), 7
    items: list[Item] = []
    i = 0
    while i < len(words):
        grid = _grid(words, i)
        size = next((n for n in range(min(longest, len(words) - i), 0, -1) if tuple(words[i : i + n]) in table), 0)
        if grid is not None and grid.last - i + 1 >= size:
            items.append(grid)
            i = grid.last + 1
        elif words[i] in lexicon.WORSEN and _kind_follows(words, i + 1):
            items.append(Item(ADD, words[i], i, i))
            i += 1
        elif size:
            kind, value = table[tuple(words[i : i + size])]
            kind, value = _in_context(kind, value, words, i)
            if kind == EXCEPT and words[i] in ("everything", "all", "anything"):
                items.append(Item(KIND, lexicon.EVERYTHING, i, i))
                items.append(Item(kind, value, i + 1, i + size - 1))
            else:
                items.append(Item(kind, value, i, i + size - 1))
            i += size
        else:
            i += 1
    placed = _elsewhere([_placed(item) for item in items], words)
    kept = _negated(placed, words)
    return _sided([item for item in kept if item.type != NEUTRAL], words)


def _elsewhere(items: list[Item], words: list[str]) -> list[Item]:
    """Adds the places that are none of ours to the kinds before them: "the spots on the banana"."""
    alone = [i for i in items if not (i.type == FRAME and i.first == i.last)]  # "the lines on her screen"
    covered = {i for item in alone for i in range(item.first, item.last + 1)}
    kinds = [item.last for item in items if item.type == KIND]
    out = list(items)
    for i, word in enumerate(words):
        if word not in ("on", "in", "off", "from", "onto") or i + 2 >= len(words) or words[i + 1] not in THINGS_AFTER:
            continue
        noun = next((n for n in range(i + 2, len(words)) if words[n] not in lexicon.QUALITY), len(words))
        near = any(k < i and not CLAUSE_MARKS & set(words[k:i]) for k in kinds)
        if noun == len(words) or noun in covered or not near or not words[noun].isalpha():
            continue
        if words[noun] not in lexicon.OBJECTS | lexicon.PASSING and speller().is_known(words[noun]):
            out.append(Item(PLACE, f"{OUTSIDE_PREFIX}background", noun, noun))
    return sorted(out, key=lambda item: item.first)


def _negated(items: list[Item], words: list[str]) -> list[Item]:
    """A verb of removing under a negation keeps: "do not ever remove", "I don't want my freckles removed"."""
    harmless = [i for i in items if i.type in (KEEP, KEPT, EXCEPT) or (i.type == NEUTRAL and i.value not in BARE_NOT)]
    covered = {i for item in harmless for i in range(item.first, item.last + 1)}
    out = []
    for item in items:
        if item.type in (REMOVE, SOFTEN, CLEAN, TOUCH):
            start = item.first
            while start > 0 and words[start - 1] not in CLAUSE_MARKS:
                start -= 1
            said = [i for i in range(start, item.first) if words[i] in NEGATIONS and i not in covered]
            between = [k for k in items if k.type == KIND and said and said[-1] < k.first < item.first]
            wanted = bool(said) and WISHES & set(words[said[-1] : item.first])
            if said and not between:
                item = item._replace(type=KEEP if _named_after(items, item, words) else KEPT)
            elif said and wanted:
                item = item._replace(type=KEPT)
        if item.type != TOUCH:
            out.append(item)
    return out


def _named_after(items: list[Item], verb: Item, words: list[str]) -> bool:
    """Whether a kind or place follows a verb in its clause, or none goes before it."""
    end = next((i for i in range(verb.last + 1, len(words)) if words[i] in CLAUSE_MARKS), len(words))
    start = next((i + 1 for i in range(verb.first - 1, -1, -1) if words[i] in CLAUSE_MARKS), 0)
    near = [i for i in items if i.type in (KIND, PLACE, SIDE)]
    after = any(verb.last < i.first < end for i in near)
    return after or not any(start <= i.first < verb.first and i.type == KIND for i in near)


def _placed(item: Item) -> Item:
    """Things that are not ours become places that are not ours."""
    if item.type == OUT and item.value in LOCATED:
        return item._replace(type=PLACE, value=OUTSIDE_PREFIX + item.value)
    return item


def _in_context(kind: str, value: Any, words: list[str], i: int) -> tuple[str, Any]:
    """Words that are verbs at the start of a request and nouns elsewhere."""
    starts = i == 0 or words[i - 1] in {"and", "please", ",", ".", ";", "to", "you", "then", "just", "!", "but"}
    followed = i + 1 < len(words) and words[i + 1] in {"the", "her", "his", "my", "it", "that", "this", "their", "down"}
    if (
        kind == KIND
        and words[i] in {"cut", "flush", "scratch", "pit", "line", "bag", "mark", "spot", "bump"}
        and starts
        and followed
    ):
        return (SOFTEN if words[i] == "cut" else NEUTRAL), words[i]
    if (
        kind == KIND
        and value == lexicon.GENERIC
        and i
        and words[i - 1] in {"is", "are", "look", "looks", "seem", "seems"}
    ):
        return NEUTRAL, value  # "those hairs are distracting"
    if kind == KIND and words[i - 1 : i] == ["more"] and not LESSENING & set(words[:i]):
        return OUT, "add"  # "more freckles, please"
    if kind == KIND and value == lexicon.GENERIC and _all_of(words, i):
        return kind, lexicon.EVERYTHING
    if kind == KEEP and str(value).endswith(" with") and i and words[i - 1] in NEGATIONS:
        return NEUTRAL, value
    if words[i] == "kept" and kind == KEEP and (i + 1 == len(words) or words[i + 1] in CLAUSE_MARKS):
        return KEPT, value
    if kind == EXCEPT and value == "not" and not _excepts(words[i + 1 : i + 3]):
        return NEUTRAL, value
    return kind, value


def _kind_follows(words: list[str], i: int) -> bool:
    """Whether a named kind begins within three words from i."""
    table = phrase_table()
    for n in range(i, min(i + 3, len(words))):
        found = [table.get(tuple(words[n : n + size]), ("", "")) for size in (3, 2, 1)]
        kind = next((value for type_, value in found if type_ == KIND), None)
        if kind is not None:
            return kind not in (lexicon.GENERIC, lexicon.EVERYTHING)
    return False


def _all_of(words: list[str], i: int) -> bool:
    """Whether "all", "every" or "any" quantifies the word at i: "all her remaining skin flaws"."""
    for word in reversed(words[max(0, i - 4) : i]):
        if word in ("all", "every", "any", "each"):
            return True
        if word not in QUALITIES:
            return False
    return False


def _excepts(following: list[str]) -> bool:
    """Whether what follows a "not" can be kept: "not the moles", "not on the nose", "not freckles"."""
    table = phrase_table()
    if not following:
        return False
    named = any(table.get(tuple(following[:n]), ("",))[0] in (KIND, PLACE) for n in (1, 2))
    return named or following[0] in AFTER_NOT


def _grid(words: list[str], i: int) -> Item | None:
    """A cell of the 3x3 grid, or a bare side: "upper left corner", "bottom part", "left side", "right"."""
    j, vertical, side = i, "", ""
    for _ in range(2):
        if j < len(words) and not vertical and words[j] in lexicon.VERTICAL:
            vertical, j = lexicon.VERTICAL[words[j]], j + 1
        elif j < len(words) and not side and words[j] in BARE:
            side, j = words[j], j + 1
    if j == i or (side and not vertical and _no_side(words, i)):
        return None
    ended = j < len(words) and words[j] in lexicon.GRID_ENDS
    j += ended
    whole = len(words) > j + 2 and words[j] == "of" and words[j + 2] in lexicon.WHOLES
    if not vertical:
        return Item(SIDE, side, i, j - 1) if not ended else Item(SIDE, f"{side} area", i, j - 1)
    if not side and not ended and not whole and words[i] != "top" and words[i] != "bottom":
        return None
    return Item(PLACE, f"{vertical}_{side}" if side else vertical, i, j + 2 if whole else j - 1)


def _no_side(words: list[str], i: int) -> bool:
    """ "is there any acne left?", "it is gone, right?": words for a rest and for agreement, not for a side."""
    ends = i + 1 == len(words) or words[i + 1] in {"?", ".", "!", ",", "over", "alone", "behind"}
    if not ends or i == 0:
        return False
    if words[i] == "right":
        return words[i - 1] == ","
    named = words[i - 1] in {
        "the",
        "her",
        "his",
        "my",
        "own",
        "on",
        "to",
        "at",
        "in",
        "from",
        "of",
        "and",
        "or",
        "upper",
    }
    return not named and bool({"?", "any", "anything", "still", "nothing"} & set(words))


def _sided(items: list[Item], words: list[str]) -> list[Item]:
    """Join sides with the place that follows: "left cheek", "right side of the nose", "left and right cheek"."""
    out: list[Item] = []
    sides: list[Item] = []
    for item in items:
        if item.type == SIDE:
            if sides and item.first - sides[-1].last > 2:
                out += sides
                sides = []
            sides.append(item)
            continue
        if sides and item.type == PLACE and item.first - sides[-1].last <= 4 and _only_small(words, sides[-1], item):
            out.append(_join(sides, item))
            sides = []
            continue
        if sides and item.type not in (STRENGTH, THESE):
            out += sides
            sides = []
        out.append(item)
    return sorted([*out, *sides], key=lambda item: item.first)


def _only_small(words: list[str], side: Item, place: Item) -> bool:
    small = {"of", "the", "her", "his", "my", "their", "under", "lower", "upper", "own", "small", "outer", "inner"}
    return all(w in small for w in words[side.last + 1 : place.first])


def _join(sides: list[Item], place: Item) -> Item:
    names = [str(s.value).split()[0] for s in sides]
    if str(place.value).startswith(BOTH):
        pair = str(place.value).split()[1]
        value = f"{names[0]}_{pair}" if len(set(names)) == 1 else place.value
    elif place.value == "face":
        area = "area" in str(sides[-1].value)
        value = f"{names[0]}_cheek" if area else names[0]
    else:
        value = place.value
    return Item(PLACE, value, sides[0].first, place.last)


def regions(place: str) -> tuple[str, ...]:
    """A place's regions; a place that is not ours has none."""
    if place.startswith(OUTSIDE_PREFIX):
        return ()
    if place.startswith("side "):
        return (place.split()[1],)
    if place.startswith(BOTH):
        pair = place.split()[1]
        return (f"left_{pair}", f"right_{pair}")
    return ("forehead", "nose") if place == "t zone" else (place,)


def known_words(words: Iterable[str]) -> float:
    """Share of the words that are English as far as we can tell."""
    spelled = [w for w in words if w.isalpha()]
    return sum(speller().is_known(w) for w in spelled) / len(spelled) if spelled else 0.0
