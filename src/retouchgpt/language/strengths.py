"""How much: the one table of strength words, for edits and for adjustments."""

from __future__ import annotations

import re

STRENGTHS: dict[str, float] = {
    "very slightly|very slight|very light|very lightly|very gently|ever so slightly|barely|the tiniest bit|"
    "a tiny bit|minimally": 0.2,
    "slightly|slight|subtly|subtle|gently|gentle|lightly|light|softly|a touch|a hint|a tad|a smidge|mildly|mild|"
    "delicately|just a touch|just a hint|minor|a notch|a trace|faintly": 0.3,
    "a bit|a little|a little bit|bit|somewhat|partly|partially|some of|moderately|moderate|to some extent|kind of": 0.4,
    "half|by half|in half|halfway|half way|50 50|half of": 0.5,
    "mostly|most of|heavily|strongly|a lot|greatly|significantly|considerably|drastically|largely|substantially|"
    "the majority of|nearly all of|dramatically": 0.8,
    "almost completely|almost entirely|nearly completely|almost all of|almost fully": 0.9,
    "completely|entirely|fully|totally|all the way|full strength|utterly|for good|altogether|100|without a trace|"
    "wholly|thoroughly|at full strength|completly": 1.0,
    "a quarter|by a quarter|one quarter|one fourth": 0.25,
    "a third|by a third|one third": 0.33,
    "two thirds|by two thirds": 0.67,
    "three quarters|by three quarters|three fourths": 0.75,
    "a fifth|one fifth": 0.2,
    "a tenth|one tenth|ten percent": 0.1,
    "twenty %": 0.2,
    "thirty %": 0.3,
    "forty %": 0.4,
    "fifty %": 0.5,
    "sixty %": 0.6,
    "seventy %": 0.7,
    "eighty %": 0.8,
    "ninety %": 0.9,
}
"""Words, separated by bars -> strength. What is said to be softened, reduced or toned down without more is halved."""

SOFTENED_BY = 0.5

FACTORS: tuple[tuple[str, float], ...] = (
    (r"\b(half as (strong|much)|halve (it|that|this)|cut (it|that) in half)\b", 0.5),
    (r"\b(twice as (strong|much)|double (it|that|the effect))\b", 2.0),
    (r"\btone (it|that|this) down (a (bit|little|touch|tad)|slightly)\b", 0.75),
    (r"\b(not (strong )?enough|still (see|visible|there)|needs more(?! [a-z])|i can still)\b", 1.5),
    (
        r"\b(a (little|tiny|wee) (bit )?|a (bit|touch|hint|tad|smidge|notch) |slightly |somewhat |"
        r"bit )(too (much|strong|heavy)|less|weaker|"
        r"softer|lighter|gentler|fainter|milder|subtler)\b",
        0.75,
    ),
    (
        r"\b(a (little|tiny|wee) (bit )?|a (bit|touch|hint|tad|smidge|notch) |slightly |somewhat |bit )(more|"
        r"stronger|harder|heavier|further)\b",
        1.25,
    ),
    (
        r"\b(much|far|way|a lot|lots) (too (much|strong|heavy)|less|weaker|softer|lighter|gentler|fainter|milder)\b",
        0.25,
    ),
    (r"\b(much|far|way|a lot|lots|even) (more|stronger|harder|heavier)\b", 2.0),
    (
        r"\b(too (much|strong|heavy|far|intense|harsh)|weaker|less strong|less intense|overdone|overdid|"
        r"less of (it|that)|"
        r"(ease|go easy|back|hold) (off|back|on)|tone (it|that) down|dial (it|that) (back|down)|softer|"
        r"lower the (strength|intensity|effect))\b",
        0.5,
    ),
    (
        r"\b(stronger|more of (it|that)|more intense|harder|go further|push it|more strongly|turn (it|that) up|"
        r"increase the "
        r"(strength|intensity|effect))\b",
        1.5,
    ),
    (r"\b(make|do|keep) (it|that|this) (look )?(a bit |a little )?more (subtle|natural|gentle|delicate)\b", 0.75),
    (r"^(and |but |now |ok |okay |please |just )*less( please| then| of it)?$", 0.5),
    (r"^(and |but |now |ok |okay |please |just )*more( please| then| of it)?$", 1.5),
)
"""Pattern of an adjustment -> what earlier strengths are multiplied by; the first that matches counts."""

PERCENT = re.compile(r"\b(to\s+(?:about\s+|around\s+)?)?(\d+(?:\.\d+)?) ?%( more| less| stronger| weaker)?")
RATIO = re.compile(r"\b(?:strength|intensity|opacity|level|amount|factor|value)\s*(?:of|at|to|=|:)?\s*(\d*\.?\d+)\b")


def factor(said: str) -> float | None:
    """The factor of an adjustment in normalised text; None when it is none."""
    percent = re.search(r"\b(\d+(?:\.\d+)?) ?% (more|less|stronger|weaker)\b", said)
    if percent:
        change = float(percent.group(1)) / 100
        return 1 + change if percent.group(2) in ("more", "stronger") else max(0.0, 1 - change)
    return next((value for pattern, value in FACTORS if re.search(pattern, said)), None)


def word_strengths() -> dict[str, float]:
    """Each strength phrase -> its strength."""
    return {phrase: value for phrases, value in STRENGTHS.items() for phrase in phrases.split("|")}
