"""Cleans what people type: one alphabet, no markup, no control characters, and known words put right."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

SHORT_FORMS: dict[str, str] = {
    "pls": "please",
    "plz": "please",
    "plez": "please",
    "thx": "thanks",
    "ty": "thanks",
    "tysm": "thanks",
    "u": "you",
    "ur": "your",
    "r": "are",
    "n": "and",
    "w": "with",
    "w/": "with",
    "w/o": "without",
    "cud": "could",
    "wud": "would",
    "teh": "the",
    "hte": "the",
    "da": "the",
    "lft": "left",
    "rite": "right",
    "rgt": "right",
    "rt": "right",
    "centre": "center",
    "colour": "color",
    "gonna": "going to",
    "wanna": "want to",
    "loose": "lose",
    "lins": "lines",
    "chick": "cheek",
    "chicks": "cheeks",
    "form": "from",
    "fore head": "forehead",
    "cant": "cannot",
    "rmv": "remove",
    "rmve": "remove",
    "rem": "remove",
    "del": "delete",
    "prolly": "probably",
    "cuz": "because",
    "bc": "because",
    "tho": "though",
    "thru": "through",
    "ya": "you",
    "wi": "with",
    "wit": "with",
    "frm": "from",
    "fr": "for",
    "n't": "not",
    "im": "i am",
    "percent": "%",
    "pct": "%",
    "&": "and",
    "+": "and",
    "aswell": "as well",
    "abit": "a bit",
    "alot": "a lot",
    "undr": "under",
    "abt": "about",
    "bf": "before",
    "b4": "before",
}
"""Short forms of chats, spellings that are words themselves, British spellings."""

CONTRACTIONS: frozenset[str] = frozenset(
    re.split(
        r"\s+",
        "dont doesnt didnt wont wouldnt cant couldnt shouldnt mustnt neednt isnt arent wasnt werent hasnt "
        "havent hadnt aint im ive id ill youre youve youd youll hes shes its hed shed theyre theyve theyd "
        "theyll were weve wed thats theres heres wheres whats whos hows lets yall",
    )
)
"""Words without their apostrophe, which are no typing errors: "wouldnt" is not "would"."""
WORD = re.compile(r"\d+(?:\.\d+)?|[a-z]+|%|->|[.,;:!?()\[\]/\-]")
TAG = re.compile(r"<[^<>]{0,200}>")


class Token(NamedTuple):
    """A word or mark of the cleaned text; start, end: characters of the original text."""

    text: str
    start: int
    end: int


def clean(text: str) -> str:
    """One case, one form of quotes and dashes; controls, markup and pictograms become blanks. Keeps the length."""
    out = []
    for c in _blank_tags(text):
        plain = _plain(c)
        out.append(plain if len(plain) == 1 else " ")
    return "".join(out).lower()


def _blank_tags(text: str) -> str:
    return TAG.sub(lambda m: " " * len(m.group()), text)


@lru_cache(maxsize=4096)
def _plain(c: str) -> str:
    if c in "\u2018\u2019\u02bc`\u00b4":
        return "'"
    if c in "\u2013\u2014\u2212":
        return "-"
    if c in "\n\r\u2022\u2192":
        return ";"
    base = unicodedata.normalize("NFKD", c)[:1]
    return base if base.isascii() and base.isprintable() else " "


def tokenise(text: str) -> list[Token]:
    """Words and marks; apostrophes vanish ("crow's" -> crows), hyphens between letters part words."""
    cleaned = clean(text)
    out: list[Token] = []
    for match in WORD.finditer(cleaned.replace("&", ",").replace("+", ",")):
        word, start, end = match.group(), match.start(), match.end()
        glued = start >= 2 and cleaned[start - 1] == "'" and out and out[-1].end == start - 1 and word.isalpha()
        if glued:
            out[-1] = Token(out[-1].text + word, out[-1].start, end)
        elif word == "-" and 0 < start < len(cleaned) - 1 and cleaned[start - 1].isalnum() and cleaned[end].isalnum():
            continue
        else:
            out.append(Token(word, start, end))
    return out


class Speller:
    """Puts unknown words right by the nearest word of the lexicon."""

    def __init__(self, lexicon: Iterable[str], nouns: Iterable[str], known: Iterable[str]) -> None:
        self.nouns = frozenset(nouns)
        self.lexicon = sorted({w for w in lexicon if len(w) >= 4})
        self.short = frozenset(w for w in lexicon if len(w) < 4)
        self.known = frozenset(known) | frozenset(self.lexicon) | self.short | CONTRACTIONS

    def __call__(self, tokens: list[Token]) -> list[Token]:
        """The tokens with short forms spelt out and unknown words put right."""
        out: list[Token] = []
        for token in tokens:
            words = self.word(token.text).split()
            out += [Token(word, token.start, token.end) for word in words]
        return out

    def word(self, word: str) -> str:
        """One word put right; a word that is known, or near to none, stays."""
        if word in SHORT_FORMS:
            return SHORT_FORMS[word]
        if not word.isalpha() or len(word) < 3 or word in self.known:
            return word
        return self._nearest(word) if len(word) > 3 else self._without_vowel(word)

    def _without_vowel(self, word: str) -> str:
        """ "drk", "acn", "mol": a word of four letters that lacks one."""
        near = [w for w in self.lexicon if len(w) == 4 and w[0] == word[0] and distance(word, w, 1) == 1]
        return min(near, key=lambda w: (w not in self.nouns, w)) if near else word

    @lru_cache(maxsize=4096)  # noqa: B019  (one speller lives as long as the process)
    def _nearest(self, word: str) -> str:
        for repeated in (r"(.)\1{2,}", r"(.)\1$"):
            squeezed = re.sub(repeated, r"\1", word)
            if squeezed in self.known:
                return squeezed
        for cut in range(3, len(word) - 1):
            if word[:cut] in self.lexicon and word[cut:] in self.known and len(word[cut:]) > 2:
                return f"{word[:cut]} {word[cut:]}"
        allowed = 1 if len(word) < 6 else 2
        near = [w for w in self.lexicon if abs(len(w) - len(word)) <= allowed]
        scored = [(distance(word, w, allowed), w[0] != word[0], w not in self.nouns, w) for w in near]
        scored = [s for s in scored if s[0] <= (1 if s[1] else allowed)]  # two slips seldom spare no first letter
        return min(scored)[-1] if scored else word

    def is_known(self, word: str) -> bool:
        """Whether the word is English as far as we can tell."""
        return word in self.known


def distance(a: str, b: str, limit: int) -> int:
    """Edits (insert, delete, replace, swap neighbours) from a to b; more than `limit` reads as limit + 1."""
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
        rows.append(row)
    return rows[-1][-1]
