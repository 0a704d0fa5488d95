"""Whether a text asks what there is, or whether something was done, instead of for a change.

A sentence decides for itself: "What is that on my nose? Remove "
                               "it." asks for an edit, "Did you remove the mole?" does not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import matching as m
from .clauses import GOVERNING, Group, Grouper
from .lexicon import ASKING
from .matching import Item

SEEN = re.compile(
    r"\b(see|notice|find|detect|list|count|describe|imperfections?|flaws?|marks?|retouched|improved|fixed|skin|"
    r"look|anything|inspect|check|analy[sz]e|spot|found|blemish|need|needs)\b"
)
ADVICE = re.compile(
    r"\b(can|could|should|would|needs? to) be (removed|retouched|fixed|improved|changed|edited|done)\b|"
    r"\b(would|should|could|can) (you|i|we) (retouch|remove|fix|improve|change|edit|correct|touch up|clean up)\b|"
    r"\bwhat (did|have|has) (you|been) (do|did|done|change|changed|remove|removed|edit|edited)\b"
)
WH = re.compile(r"^\W*(what|which|where|how many|how much|how bad|how|who|why is|why are|why did|why|whats|hows)\b")
WH_REQUEST = re.compile(
    r"^\W*(what about|how about|what if|why not|why dont|why do not|what an? |whats with|how would \w+( \w+)? look|"
    r"what would \w+( \w+)? look)\b"
)
OFF_ING = r"(removing|erasing|deleting|taking|getting rid|softening|retouching|fixing|changing|losing)"
DONE = re.compile(
    r"^(?:\W|so|and|ok|okay|hey|hi|wait|but|please)*(?:"
    r"(?:did|was|were)\b|(?:has|have|had) (?:you|they|it)\b|(?:has|have|had)\b.*\bbeen\b|"
    rf"(?:does|do|would|will|could|can|should|is|isnt|wouldnt) (?:it be better |you recommend |you suggest |you "
    rf"advise |you think )?{OFF_ING}\b|"
    r"(?:do|would) you (?:recommend|suggest|advise|think it|think (?:she|he|i|we) )|"
    r"(?:is|isnt|would|wouldnt) it (?:be )?(?:a good|a bad|good|bad|wise|better|best|necessary|advisable|safe|worth|"
    r"wrong|right|smart|nicer|weird)\b|"
    r"(?:is|are) (?!it\b|there\b|you\b|we\b)(?:(?:\w+ ){1,6})(?:gone|removed|erased|softened|retouched|fixed|"
    r"deleted|edited|still there)\b|"
    r"any(?:thing)? (?:[^?]* )?(?:you|youd|we|id|i) (?:would |d |should |could )?(?:fix|remove|retouch|change|"
    r"improve|edit|correct)\b|"
    r"should (?:i|we|she|he|they|the|her|his|my)\b|"
    r"(?:will|would) (?:the|her|his|my) (?:\w+ ){1,3}(?:be gone|be visible|be noticeable|still be there|disappear|"
    r"vanish|go away|stay|come back)\b)"
)
"""Openings of a question about an edit: whether it was made, or would be wise."""
IMPERATIVE = re.compile(
    r"^(\W|please|can you|could you|would you|will you|just|hey|now|first|ok|also|and)*(count|list|describe|tell me|"
    r"show me|"
    r"identify|name|report|point out|check|inspect|analy[sz]e|examine|assess|look (at|for)|find|locate|do you|can "
    r"you|let me know|"
    r"how)\b"
)
VERB_AFTER_AUX = re.compile(r"^\W*(is|are|does|do|has|have|did) (?!it (possible|ok|okay)|your|the|a |some)")


def asks(said: str, text: str, items: Sequence[Item], grouped: Grouper) -> bool:
    """Whether a text asks, instead of requesting. said: its words as read; text: as written."""
    types = {i.type for i in items}
    named = m.KIND in types or m.PLACE in types
    governed = [g for g in grouped.groups if g.mode in (*GOVERNING, m.KEEP) and g.kinds]
    governed += [g for g in grouped.bare if g.kinds != ["weak"]]
    lines = sentences(said)
    if governed and (named or "?" in text) and all(_about_an_edit(lines, g) for g in governed):
        return True
    wh = bool(WH.match(said)) and not WH_REQUEST.match(said)
    if wh and not any(g.kinds and g.mode in GOVERNING for g in grouped.groups):
        return bool(SEEN.search(said) or ADVICE.search(said)) or named
    if any(g.mode in GOVERNING and (g.kinds or g.places) for g in grouped.groups) or (
        grouped.bare and not VERB_AFTER_AUX.match(said)
    ):
        return False
    words = [w for w in said.split() if w.isalpha()]
    question = ("?" in text and not said.endswith("please ?")) or bool(
        words and words[0] in ASKING and words[:2] != ["do", "not"]
    )
    imperative = m.SEE in types and bool(IMPERATIVE.match(said))
    return (question or imperative) and (named or bool(SEEN.search(said)))


def sentences(said: str) -> list[tuple[str, str]]:
    """Sentences and their marks, numbered as clauses.clauses numbers them."""
    parts = re.split(r" ?([.;!?])(?: |$)", said)
    return [(parts[i], parts[i + 1] if i + 1 < len(parts) else "") for i in range(0, len(parts), 2)]


def _about_an_edit(lines: Sequence[tuple[str, str]], group: Group) -> bool:
    """Whether the sentence of a group's verb asks about an edit instead of for one."""
    line, mark = lines[min(group.sentence, len(lines) - 1)]
    if DONE.match(line) and not re.search(r"\b(please|thanks)\b", line):
        return True
    asked = WH.match(line) is not None and WH_REQUEST.match(line) is None
    return asked and (
        mark == "?"
        or re.match(r"^\W*(what|which|where|how many|why) \w* ?(did|do|does|have|has|was|were)\b", line) is not None
    )
