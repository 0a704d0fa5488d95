"""Text -> EditPlan: the grammar reads what is named, the learned heads on the frozen encoder judge what is not.

The grammar (lexicon, matching, clauses) settles kinds, places, strengths, sides and keep-lists exactly. Where it finds
nothing to hold on to, heads trained on generated requests say what is meant, or why it is declined.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from retouchgpt.core.plan import Edit, EditPlan, Keep
from retouchgpt.core.vocabulary import (
    ALL,
    IMPERFECTIONS,
    SOFTENED,
    SOFTENING_STRENGTH,
    TEMPORARY,
    mirror,
)

from . import matching as m
from .arranging import MARKS, arranged
from .clauses import GOVERNING, Clause, Group, Grouper, clauses
from .lexicon import CREASES, EVERYTHING, FRAGMENT, GENERIC, WRINKLES
from .matching import Item
from .questions import asks
from .reasons import DECLINE, PERMANENT_STAY
from .scope import CALL, CODE, FORGED, KNOWLEDGE, looks_foreign
from .spelling import Token, tokenise
from .strengths import SOFTENED_BY, factor

TEXT_LIMIT = 2000
"""Characters that are read."""
LINES = ("forehead_wrinkles", "crows_feet", "fine_lines")
REST = re.compile(
    r"\b(nothing else|leave (everything|all|the rest|anything) ?(else|as)?|everything else (as|stays)|"
    r"the rest (as|stays))\b"
)
UNDO = re.compile(
    r"^(\W|no|oh|oops|ups|ok|okay|please|wait|hmm|sorry|actually|nah|can you|could you|now)*\b(undo|revert|(take|"
    r"took) (it|that|this|"
    r"the last \w+) back|take back|"
    r"go (one |a )?(step )?back|step back|back one|one step back|cancel (that|this|it|the last)|roll (it |"
    r"that )?back|"
    r"(i )?(liked|preferred) (it|the one|that) (better )?before|(it|that|this|she|he) (was|looked) (much |way "
    r")?(better|nicer) before|undid)\b"
)
REDO = re.compile(
    r"^(\W|no|oh|ok|okay|please|wait|can you|could you|now)*\b(redo|do (it|that) again|(put|bring) (the|that|"
    r"this|my)? ?(last )?(change|edit|step)s? back|reapply|un ?undo|reinstate)\b"
)
RESET = re.compile(
    r"\b(start (over|again|afresh|from scratch)|reset|back to (the )?(original|start|beginning)|from scratch|"
    r"(discard|clear|undo|drop|remove|scrap|cancel|revert|forget) (all|every|everything)( of)?( the| my|"
    r" your)? ?(changes|change|edits|edit|steps|we did|you did|so far)|"
    r"undo (everything|all|it all)|revert (everything|all|to the original)|(the )?original (photo|picture|"
    r"image)? ?(back|again)|"
    r"(restore|show me|give me|i want) (me )?the original|begin again)\b"
)
BACK = re.compile(
    r"\b((put|bring|give|want|get)\b(?P<a>[^.,;]*?)\bback\b|restore (?!the original)(?P<b>[^.,;]+)|(?:bring|"
    r"put) back (?P<c>[^.,;]+)|"
    r"(?P<d>[^.,;]+) should come back)"
)
MADE_SOFTER = re.compile(
    r"\bmake (the|her|his|my|their|those|these|that) .*\b(weaker|less (strong|intense|visible))\b|\b(softer|lighter|"
    r"fainter|milder|subtler)\b|"
    r"\btone (it|them|that|this) down\b"
)


class Understanding:
    """Reads instructions. `judge` gives, for a text, a label (an intent or a key of reasons.DECLINE) and its
    probability; without one, texts that the grammar cannot read are declined."""

    def __init__(self, judge: Callable[[str], tuple[str, float]] | None = None) -> None:
        self.judge = judge

    @classmethod
    def load(cls, folder: str | Path) -> Understanding:
        """From a folder with language.safetensors and language.json. Raises WeightsMissing, WeightsAltered."""
        from .heads import Heads

        return cls(Heads.load(folder).judge)

    def plan(self, text: str) -> EditPlan:
        """The plan of one instruction by itself. Never raises; an empty line is declined."""
        text = text[:TEXT_LIMIT]
        if not text.strip():
            return declined("empty")
        if FORGED.search(text):
            return declined("command")
        raw = [t.text for t in tokenise(text)]
        if looks_foreign(text, raw):
            return declined("language")
        tokens = arranged(m.read(CALL.sub(" ", text)))
        items = m.match(tokens)
        said = " ".join(t.text for t in tokens)
        moved = _move(said, items)
        if moved is not None:
            return moved
        parts = clauses(tokens, items)
        grouper = Grouper(tokens, strengths_of(tokens, items))
        grouper.run(parts)
        return self._decide(text, said, tokens, items, parts, grouper)

    def _decide(
        self, text: str, said: str, tokens: list[Token], items: list[Item], parts: list[Clause], grouped: Grouper
    ) -> EditPlan:
        verbs = {i.type for i in items if i.type in m.VERBS}
        adjusted = _adjust(said, items, verbs)
        if adjusted is not None:
            return adjusted
        subject = any(i.type == m.FRAME and i.value == "subject" for i in items)
        _settle_sides(grouped.groups + grouped.bare, subject)
        reader = _Reader(grouped, said, subject)
        if KNOWLEDGE.search(said) and not (verbs & GOVERNING and subject_is_here(said)):
            return declined("talk")
        asked = asks(said, text, items, grouped)
        if asked and not grouped.outside:
            return reader.inspect()
        edits = reader.edits()
        if edits and not self._vetoed(text, verbs, grouped):
            return reader.retouch(edits)
        return self._no_edit(text, said, tokens, grouped, reader)

    def _vetoed(self, text: str, verbs: set[str], grouped: Grouper) -> bool:
        """Kinds are named but nothing is asked for, and the heads are sure that this is no request."""
        if grouped.outside and not verbs & GOVERNING:
            return True
        if verbs & GOVERNING or self.judge is None:
            return False
        label, sure = self.judge(text)
        return label in ("talk", "command") and sure > 0.9

    def _no_edit(self, text: str, said: str, tokens: list[Token], grouped: Grouper, reader: _Reader) -> EditPlan:
        outside = grouped.outside + reader.outside
        if CODE.search(text) and "background" not in outside:
            return declined("command")
        if outside:
            return declined(outside[0])
        if any(g.kinds == ["clean"] for g in grouped.bare):
            return reader.retouch(reader.clean())
        kept = reader.keep()
        if kept:
            return EditPlan("retouch", keep=kept, frame="subject" if reader.subject else "viewer")
        words = [t.text for t in tokens if t.text.isalpha()]
        if m.known_words(words) < 0.5:
            return declined("gibberish")
        if self.judge is None:
            return declined("gibberish")
        label, sure = self.judge(text)
        if label == "retouch":
            return reader.retouch(reader.clean()) if sure > 0.9 and reader.mentions_skin() else declined("gibberish")
        if label == "inspect" and sure > 0.6:
            return reader.inspect()
        if label in ("undo", "redo", "reset") and sure > 0.9:
            return EditPlan(label)
        return declined(label if label in DECLINE else "gibberish")


PLEA = frozenset({"please", "help", "thanks"})


def subject_is_here(said: str) -> bool:
    """Whether a text speaks of this face or picture."""
    return re.search(r"\b(my|her|his|this|the (photo|picture|face|image))\b", said) is not None


def declined(reason: str) -> EditPlan:
    """A plan that says no, for a key of reasons.DECLINE."""
    return EditPlan("decline", reason=DECLINE[reason])


def _move(said: str, items: Sequence[Item]) -> EditPlan | None:
    """Undo, redo and reset; None for anything else."""
    kinds = [i for i in items if i.type == m.KIND and i.value not in (EVERYTHING, GENERIC)]
    if kinds:
        return None
    if RESET.search(said):
        return EditPlan("reset")
    if REDO.search(said):
        return EditPlan("redo")
    return EditPlan("undo") if UNDO.search(said) or re.search(r"\b(go|step) back\W*$", said) else None


def _adjust(said: str, items: Sequence[Item], verbs: set[str]) -> EditPlan | None:
    """A change of earlier strengths: "a bit less", "put the mole back", "stronger on the nose"."""
    named = _named(items)
    back = BACK.search(said)
    down = re.search(r"\b(dial|scale|pull|roll|turn|tone|ease|hold)\b.*\bback\b", said)
    if down and named and "%" in said:
        return None  # "pull back the redness 25 %"
    if down and not back:
        gentle = re.search(r"\b(a (bit|little|touch|tad|notch)|slightly)\b", said)
        return EditPlan("adjust", named, factor=0.75 if gentle else 0.5)
    if back and (named or m.THESE in {i.type for i in items}):
        return EditPlan("adjust", named, factor=0.0)
    value = factor(said)
    if MADE_SOFTER.search(said) and any(i.type == m.KIND for i in items):
        return None  # "make the smile lines a touch softer" asks for a first edit as well as for a change of one
    strong_verbs = verbs & {m.REMOVE, m.KEEP, m.EXCEPT, m.KEPT, m.ADD}
    if (
        value is None
        or any(i.type == m.OUT for i in items)
        or re.search(r"\b(less|more) (visible|noticeable|obvious|pronounced)\b", said)
    ):
        return None
    if strong_verbs and not re.search(r"\b(stronger|weaker|not enough|too (much|strong))\b", said):
        return None
    less_kind = any(
        i.type == m.KIND and re.search(r"\b(less|softer|lighter|fainter)$", said[: _at(said, i)].strip()) for i in items
    )
    return None if less_kind or len(said.split()) > 14 else EditPlan("adjust", named, factor=value)


def _at(said: str, item: Item) -> int:
    """Where an item's first token stands in the joined words."""
    return len(" ".join(said.split(" ")[: item.first]))


def _named(items: Sequence[Item]) -> tuple[Edit, ...]:
    kinds = [str(i.value) for i in items if i.type == m.KIND]
    places = [p for i in items if i.type == m.PLACE for p in m.regions(str(i.value))] or ["face"]
    pairs = [(k, r) for kind in kinds for place in places for k, r in specific(kind, place)]
    return tuple(Edit(k, r) for k, r in dict.fromkeys(pairs))


def strengths_of(tokens: Sequence[Token], items: Sequence[Item]) -> dict[int, float]:
    """First token -> strength, of words and of numbers; "to 20 %" leaves 20 % standing."""
    out = {i.first: float(i.value) for i in items if i.type == m.STRENGTH}
    for n, token in enumerate(tokens):
        if not re.fullmatch(r"\d+(\.\d+)?", token.text):
            continue
        before = [t.text for t in tokens[max(0, n - 3) : n]]
        begins = max((i + 1 for i in range(n) if tokens[i].text in MARKS), default=0)
        stops = next((i for i in range(n, len(tokens)) if tokens[i].text in MARKS), len(tokens))
        near = [i for i in items if begins <= i.first < stops] or items
        percent = n + 1 < len(tokens) and tokens[n + 1].text == "%"
        value = float(token.text)
        named = any(w in ("strength", "intensity", "opacity", "level", "amount", "at") for w in before)
        if percent and value <= 100:
            left = "to" in before and "down" not in before[-1:]
            out[_clause_item(near, n)] = 1 - value / 100 if left and "up" not in before else value / 100
        elif named and value <= 1:
            out[_clause_item(near, n)] = value
        elif _stands_alone(tokens, n) and 1 < value <= 100 and any(i.type == m.KIND and i.last == n - 1 for i in items):
            out[_clause_item(near, n)] = value / 100
    return out


def _clause_item(items: Sequence[Item], token: int) -> int:
    """The first token of the item nearest before a number (or after it), which carries the number's strength."""
    before = [i.first for i in items if i.first <= token]
    after = [i.first for i in items if i.first > token]
    return before[-1] if before else after[0] if after else token


def _stands_alone(tokens: Sequence[Token], n: int) -> bool:
    return n + 1 == len(tokens) or not (tokens[n + 1].text.isalpha() or tokens[n + 1].text in (")", "."))


def _settle_sides(groups: Sequence[Group], subject: bool) -> None:
    """Bare sides: joined with a pair named in the same sentence, dropped when that has its side already, else a grid
    column."""
    for group in groups:
        near = [g for g in groups if g.sentence == group.sentence]
        group.places = list(group.where)
        pairs = [p for g in near for p in g.where if p.startswith(m.BOTH)]
        sided = [p for g in near for p in g.where if p.startswith(("left_", "right_"))]
        group.places += [p for p in group.lead if p.startswith("side ") and p not in group.places]
        sides = [p.split()[1] for p in group.places if p.startswith("side ")]
        if not sides:
            continue
        rest = [p for p in group.places if not p.startswith("side ")]
        if pairs:
            pair = pairs[0].split()[1]
            for g in near:
                g.places = [f"{sides[0]}_{pair}" if p == pairs[0] else p for p in g.where]
            rest = [f"{sides[0]}_{pair}" if p == pairs[0] else p for p in rest] or [f"{sides[0]}_{pair}"]
        elif sided and group.kinds and not rest:
            rest = [f"{sides[0]}_{sided[0].split('_', 1)[1]}"]
        elif not sided:
            rest += sides
        group.places = rest


class _Reader:
    """Turns groups into the parts of a plan."""

    def __init__(self, grouped: Grouper, said: str, subject: bool) -> None:
        self.grouped, self.said, self.subject = grouped, said, subject
        self.outside: list[str] = []

    def retouch(self, edits: Sequence[Edit]) -> EditPlan:
        keep = self.keep()
        note = PERMANENT_STAY if any(g.kinds == ["clean"] for g in self._requests()) else ""
        merged: dict[tuple[str, str], float] = {}
        for edit in edits:
            key = (edit.imperfection, edit.region)
            merged[key] = max(merged.get(key, 0.0), edit.strength)
        whole = {r for (k, r), s in merged.items() if k == ALL and s == 1.0}
        kept = {k: s for k, s in merged.items() if k[0] == ALL or not (whole & {"face", k[1]})}
        named = {kind for g in self._requests() for kind in g.kinds}
        stays = {(k.imperfection, k.region) for k in keep if k.imperfection in named}
        final = tuple(Edit(k, r, s) for (k, r), s in kept.items() if (k, r) not in stays)
        return EditPlan("retouch", final, keep, reason=note, frame="subject" if self.subject else "viewer")

    def inspect(self) -> EditPlan:
        about: dict[tuple[str, str], None] = {}
        for group in self.grouped.groups:
            places = self._regions(group)
            for kind in group.kinds or [EVERYTHING]:
                for place in places:
                    about.update(dict.fromkeys(self._named(kind, place)))
        for place in self.grouped.lead if not about else ():
            about.update(dict.fromkeys((ALL, self._seen(r)) for r in m.regions(place)))
        about.pop((ALL, "face"), None)
        frame = "subject" if self.subject else "viewer"
        return EditPlan("inspect", about=tuple(Keep(k, r) for k, r in about), frame=frame)

    def edits(self) -> list[Edit]:
        """What is to go. Kinds without any verb count only when nothing else is asked for."""
        out: list[Edit] = []
        for group in self._requests():
            if group.kinds == ["clean"]:
                out += self.clean(group)
                continue
            places = self._regions(group)
            strength = group.strength if group.strength is not None else SOFTENED_BY if group.mode == m.SOFTEN else 1.0
            for kind in group.kinds:
                if kind == GENERIC:
                    out += self.clean(group)
                    continue
                for place in places:
                    out += [Edit(k, r, strength) for k, r in self._named(kind, place)]
        return out

    def _requests(self) -> list[Group]:
        groups = [g for g in self.grouped.groups if g.kinds and not g.out and self._ours(g)]
        asked = [g for g in groups if g.mode in GOVERNING]
        bare = [g for g in self.grouped.bare if g.kinds == ["clean"] and self._ours(g)]
        if bare and not asked and not self.grouped.outside:
            return bare
        if not asked and all(g.kinds == ["weak"] and not g.where for g in self.grouped.bare):
            loose = [g for g in groups if not g.mode]
            asked = [g for g in loose if g.only] or [g for g in loose if self._is_fragment(g)]
        loose = [g for g in groups if not g.mode and g.where]
        for group in asked:
            if not group.where:
                group.places = next((g.where for g in loose if set(g.kinds) == set(group.kinds)), [])
        there = re.search(r"\bthere\b", self.said) is not None
        for group in asked:
            if there and not group.where:
                named_places = [g.where for g in self.grouped.groups if g.where and g is not group]
                group.places = named_places[-1] if named_places else list(self.grouped.lead)
        named = [g for g in self.grouped.groups if g not in asked and g.kinds and g.mode in ("",)]
        if (
            any(EVERYTHING in g.kinds and not g.where for g in asked)
            and re.search(r"\b(all of (it|them)|the lot)\b", self.said)
            and named
        ):
            return [*[g for g in asked if EVERYTHING not in g.kinds], *named]
        return asked

    def _is_fragment(self, group: Group) -> bool:
        """Whether a kind without a verb stands in words that ask ("two zits on the chin, please"), and not in a
        statement ("we talked about her zits")."""
        said = self.grouped.others.get(group.sentence, [])
        return bool(PLEA & set(said)) or all(
            w in FRAGMENT or not w.isalpha() or not m.speller().is_known(w) for w in said
        )

    def _ours(self, group: Group) -> bool:
        reasons = [p.removeprefix(m.OUTSIDE_PREFIX) for p in group.where if p.startswith(m.OUTSIDE_PREFIX)]
        ours = [p for p in group.where if not p.startswith(m.OUTSIDE_PREFIX)]
        self.outside += [r for r in reasons if r not in self.outside]
        return not reasons or bool(ours)

    def clean(self, group: Group | None = None) -> list[Edit]:
        """The default retouch: temporary imperfections go, lines and circles are softened, permanent marks stay."""
        group = group or next((g for g in self.grouped.bare if g.kinds == ["clean"]), Group())
        strength = 1.0 if group.strength is None else group.strength
        regions = self._regions(group)
        temporary = [Edit(k, r, strength) for r in regions for k in IMPERFECTIONS if k in TEMPORARY]
        softened = [Edit(k, r, strength * SOFTENING_STRENGTH) for r in regions for k in IMPERFECTIONS if k in SOFTENED]
        return temporary + softened

    def keep(self) -> tuple[Keep, ...]:
        out: dict[tuple[str, str], None] = {}
        for group in self.grouped.groups:
            if group.mode not in (m.KEEP, m.EXCEPT) or not self._ours(group):
                continue
            for kind in group.kinds or [EVERYTHING]:
                for place in self._regions(group):
                    out.update(dict.fromkeys(self._named(kind, place)))
        out.pop((ALL, "face"), None)
        return tuple(Keep(k, r) for k, r in out)

    def mentions_skin(self) -> bool:
        return bool(
            re.search(r"\b(skin|face|complexion|photo|picture|portrait|image|selfie|headshot|pic)\b", self.said)
        )

    def _regions(self, group: Group) -> list[str]:
        found = [r for p in dict.fromkeys(group.where) for r in m.regions(p)]
        specific_ones = [r for r in found if r != "face"]
        return list(dict.fromkeys(specific_ones or found or ["face"]))

    def _named(self, kind: str, place: str) -> list[tuple[str, str]]:
        return [(k, self._seen(r)) for k, r in specific(kind, place)]

    def _seen(self, region: str) -> str:
        return mirror(region) if self.subject else region


def specific(kind: str, region: str) -> list[tuple[str, str]]:
    """A kind of the lexicon in a region -> kinds of the vocabulary: the place says which lines are meant."""
    if kind in (EVERYTHING, GENERIC):
        return [(ALL, region)]
    if kind in ("dark_circles", "crows_feet") and region in ("left", "right"):
        return [(kind, f"{region}_eye")]
    if kind not in (WRINKLES, CREASES):
        return [(kind, region)]
    if region in ("forehead", "top"):
        return [("forehead_wrinkles", region)]
    if region in ("left_eye", "right_eye"):
        return [("crows_feet", region)]
    if region == "face" and kind == WRINKLES:
        return [(line, region) for line in LINES]
    return [("fine_lines", region)]
