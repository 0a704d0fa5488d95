"""Sorts the phrases of an instruction into groups: which kinds, where, and what is to happen to them."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import matching as m
from .lexicon import EVERYTHING, OBJECTS, QUALITY
from .matching import Item
from .spelling import Token

SENTENCE_ENDS = frozenset(".;!?")
CLAUSE_ENDS = frozenset({",", ":", "-", "->", "(", ")", "[", "]", "/"})
CONJUNCTIONS = frozenset(
    [
        "and",
        "but",
        "then",
        "while",
        "whereas",
        "plus",
        "also",
        "or",
        "so",
        "because",
        "yet",
        "though",
        "although",
        "however",
        "only",
        "elsewhere",
        "anyway",
    ]
)
DETERMINERS = frozenset(
    [
        "the",
        "a",
        "an",
        "any",
        "her",
        "his",
        "my",
        "their",
        "that",
        "this",
        "those",
        "these",
        "some",
        "every",
        "each",
        "all",
        "your",
        "its",
        "our",
    ]
)
WEAK_CLEAN = frozenset(
    [
        "do",
        "treat",
        "handle",
        "deal with",
        "address",
        "attend to",
        "correct",
        "edit",
        "work on",
        "perfect",
        "magic",
        "nicer",
        "taken care of",
        "take care of",
        "clear skin",
        "smooth skin",
        "improve",
        "improved",
        "sort out",
        "prettier",
        "spotless",
        "pristine",
        "clean",
    ]
)
"""Verbs that ask for a clean-up only together with skin, a place or a kind."""
NOT_FOR_KINDS = frozenset({"talk", "command", "makeup", "add"})
"""Reasons whose words take the kinds beside them along: "write a poem about acne"."""
PARTICLES = frozenset({"down", "out", "off", "away", "gone", "be out", "go", "goes", "no", "less", "lower", "cut"})
GOVERNING = frozenset({m.REMOVE, m.SOFTEN, m.CLEAN})


@dataclass
class Clause:
    """Part of a sentence between marks and conjunctions. opener: the mark or word before it. others: its words
    that belong to no phrase."""

    items: list[Item]
    opener: str
    sentence: int
    words: list[str]
    others: list[str] = field(default_factory=list)

    def has(self, *types: str) -> bool:
        return any(item.type in types for item in self.items)


@dataclass
class Group:
    """Kinds and places that belong together. mode: a verb's type, "" while unknown. scope: number of its verb.
    only: nothing else is wanted. source: the group that shares its places with this one."""

    kinds: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    mode: str = ""
    scope: int = -1
    sentence: int = 0
    strength: float | None = None
    determined: bool = False
    lifted: bool = False
    out: str = ""
    lead: list[str] = field(default_factory=list)
    clause: int = 0
    only: bool = False
    source: Group | None = None

    @property
    def where(self) -> list[str]:
        """Its own places, else those that were named ahead of it."""
        return self.places or self.lead


def clauses(tokens: list[Token], items: list[Item]) -> list[Clause]:
    """Cut the tokens at marks and conjunctions that no phrase covers."""
    covered = {i: item for item in items for i in range(item.first, item.last + 1)}
    out: list[Clause] = [Clause([], "", 0, [])]
    sentence = 0
    for i, token in enumerate(tokens):
        item = covered.get(i)
        if item is not None:
            if i == item.first:
                out[-1].items.append(item)
            out[-1].words.append(token.text)
        elif token.text in SENTENCE_ENDS or _numbers_list(tokens, i):
            sentence += 1
            out.append(Clause([], token.text, sentence, []))
        elif token.text in CLAUSE_ENDS or token.text in CONJUNCTIONS:
            out.append(Clause([], token.text, sentence, []))
        else:
            out[-1].words.append(token.text)
            out[-1].others.append(token.text)
    return [c for c in out if c.items or c.words]


def _numbers_list(tokens: list[Token], i: int) -> bool:
    return tokens[i].text.isdigit() and i + 1 < len(tokens) and tokens[i + 1].text in (".", ")")


class Grouper:
    """Walks the clauses once and gathers groups."""

    def __init__(self, tokens: list[Token], strengths: dict[int, float]) -> None:
        self.tokens, self.strengths = tokens, strengths
        self.groups: list[Group] = []
        self.bare: list[Group] = []
        self.outside: list[str] = []
        self.scope, self.mode, self.sentence, self.verb = 0, "", 0, ""
        self.scope_strengths: dict[int, list[tuple[int, float]]] = {}
        self.lead: list[str] = []
        self.near: list[str] = []
        self.used: list[Item] = []
        self.number = 0
        self.others: dict[int, list[str]] = {}

    def run(self, parts: list[Clause]) -> None:
        """Gather all clauses, then hand strengths and places round."""
        for number, clause in enumerate(parts):
            if clause.sentence != self.sentence:
                self.sentence, self.mode, self.lead = clause.sentence, "", []
            if clause.opener == ":" and number and clause.has(m.KIND):
                self._head(parts[number - 1])
            self.number = number
            self.others.setdefault(clause.sentence, []).extend(clause.others)
            self._clause(clause, number)
            for group in self.groups:
                group.clause = group.clause or number
        self._share_strengths()

    def _clause(self, clause: Clause, number: int) -> None:
        verbs = [i for i in clause.items if i.type in m.VERBS]
        kinds = [i for i in clause.items if i.type == m.KIND]
        reasons = [str(i.value) for i in clause.items if i.type == m.OUT]
        first_group = len(self.groups)
        if (
            self.mode in (m.KEEP, m.EXCEPT)
            and (clause.opener == "only" or clause.words[:1] in (["just"], ["instead"]))
            and not verbs
        ):
            self.scope, self.mode = self.scope + 1, m.REMOVE
        free: list[Group] = []
        current: Group | None = None
        opened, self.near, claimed = False, [], False
        mine: set[int] = set()
        for n, item in enumerate(clause.items):
            if item.type == m.KEEP and self._closes(clause, n, free):
                item = item._replace(type=m.KEPT)
            if item.type in m.VERBS:
                ahead = _follow(clause.items[n + 1 :])
                free = [
                    g
                    for g in free
                    if (g.mode != m.EXCEPT or EVERYTHING in g.kinds) and (g.scope not in mine or g.mode != m.KEEP)
                ]
                if (
                    opened
                    and not ahead
                    and self.mode in GOVERNING
                    and (item.type == m.CLEAN or item.value in PARTICLES)
                ):
                    self._phrasal(item)
                    if item.type == m.CLEAN and item.value not in WEAK_CLEAN and self.bare:
                        self.bare[-1].kinds = ["clean"]  # "do a retouch"
                    continue
                self._open(item, [] if ahead and item.type != m.KEPT else free, clause)
                if not ahead and not (free and item.type in (m.KEPT, *GOVERNING)):
                    self._refer(item, clause)
                claimed = bool(free) and not ahead and item.type in GOVERNING
                current = free[-1] if free and not ahead and item.type in GOVERNING else None
                mine.add(self.scope)
                opened, free = True, free if item.type == m.EXCEPT else []
            elif item.type == m.KIND:
                if current is None or current.places:
                    current = self._new()
                    current.determined = self._determined(item)
                    free.append(current)
                current.kinds.append(str(item.value))
            elif item.type in (m.PLACE, m.SIDE):
                self._place(item, clause, current, kinds, opened)
        made = self.groups[first_group:]
        if clause.opener == "only" or {"just", "only"} & set(clause.words[:2]):
            for group in made:
                group.only = True
        self._mark_outside(clause, verbs, kinds, reasons, made)
        strength = next((self.strengths[i.first] for i in clause.items if i.first in self.strengths), None)
        if strength is not None:
            self._strengthen(clause, strength, made, kinds)
        if claimed:
            self.scope += 1  # "acne out, redness 40 %": the verb's own clause ends its reach

    def _head(self, clause: Clause) -> None:
        """ "just do the eyes: dark circles, bags": a place in a header without kinds holds for what follows."""
        places = [_place_name(i) for i in clause.items if i.type in (m.PLACE, m.SIDE)]
        if clause.has(m.CLEAN) and not clause.has(m.KIND) and places:
            self.lead = [p for p in places if not p.startswith(m.OUTSIDE_PREFIX)]
            self.bare = [g for g in self.bare if g.sentence != clause.sentence]
            self.mode = m.REMOVE

    def _phrasal(self, particle: Item) -> None:
        """ "take the shine down": a verb with its particle may be of another type than the verb alone."""
        both = m.phrase_table().get((*self.verb.split(), str(particle.value)), ("",))[0]
        if both not in GOVERNING or both == self.mode:
            return
        for group in self.groups:
            if group.scope == self.scope and group.mode == self.mode:
                group.mode = both
        self.mode = both

    def _closes(self, clause: Clause, n: int, free: list[Group]) -> bool:
        """Whether a verb of keeping ends its clause after kinds that no verb governs: "moles and freckles: keep"."""
        ends = n == len(clause.items) - 1 and clause.words[-1] in str(clause.items[n].value).split()
        waiting = [g for g in self.groups if g.kinds and not g.mode and g.sentence == clause.sentence]
        return ends and bool(free or waiting)

    def _mark_outside(
        self, clause: Clause, verbs: list[Item], kinds: list[Item], reasons: list[str], made: list[Group]
    ) -> None:
        adding = any(v.type == m.ADD for v in verbs) and self._adds(clause, kinds)
        if adding or set(reasons) & NOT_FOR_KINDS:
            for group in made:
                group.out = "add" if adding else reasons[0]
        self.outside += [*(["add"] if adding and not reasons else []), *reasons]

    def _adds(self, clause: Clause, kinds: list[Item]) -> bool:
        things = [i for i in clause.items if i.type == m.PLACE and i.value == m.OUTSIDE_PREFIX + "accessories"]
        return bool(kinds or things) and not any(i.type in (m.CLEAN, m.REMOVE) for i in clause.items)

    def _new(self) -> Group:
        group = Group(mode=self.mode, scope=self.scope, sentence=self.sentence, places=[])
        group.lead = self.near or list(self.lead)
        self.groups.append(group)
        return group

    def _determined(self, item: Item) -> bool:
        back = [self.tokens[i].text for i in range(max(0, item.first - 3), item.first)]
        for word in reversed(back):
            if word in DETERMINERS:
                return True
            if word in CONJUNCTIONS or word in CLAUSE_ENDS or word in SENTENCE_ENDS:
                return False
        return False

    def _open(self, item: Item, free: list[Group], clause: Clause) -> None:
        """A verb: kinds before it that no verb governs are its own, and it governs what follows."""
        self.scope += 1
        self.verb = str(item.value)
        self.mode = item.type if item.type != m.KEPT else ""
        mode = m.KEEP if item.type == m.KEPT else item.type
        if mode not in (m.KEEP, *GOVERNING) or (mode == m.KEEP and item.type != m.KEPT) or not free:
            return
        earlier = [g for g in self.groups if g.sentence == clause.sentence and not g.mode]
        for group in [*free, *earlier]:
            group.mode, group.scope = mode, self.scope

    def _refer(self, item: Item, clause: Clause) -> None:
        """A verb without kinds: it means what was named before, or only a place."""
        places = [_place_name(i) for i in _near(item, clause.items) if i not in self.used]
        places = [p for p in places if p != "face"] or places
        pointing = clause.has(m.THESE)
        if item.type in (m.KEEP, m.EXCEPT, m.KEPT):
            self._keep_reference(item, places, pointing, clause)
            return
        if item.type not in GOVERNING:
            return
        open_groups = [g for g in self.groups if g.kinds and (not g.mode or (pointing and g.mode in (m.FOND, m.SEE)))]
        plain = [g for g in open_groups if g.mode != m.FOND]
        open_groups = plain or open_groups
        ours = [p for p in places if p != "face" and not p.startswith(m.OUTSIDE_PREFIX)]
        if open_groups and pointing and ours and not any(g.where for g in open_groups):
            for group in open_groups:  # "I have acne. Remove it from my chin."
                group.places, group.mode, group.scope = list(ours), item.type, self.scope
        elif open_groups and not [p for p in places if p != "face"]:
            for group in open_groups:
                group.mode, group.scope = item.type, self.scope
                group.strength = None if group.clause != self.number else group.strength
        else:
            text = str(item.value)
            weak = item.type != m.CLEAN or (text in WEAK_CLEAN and not places)
            kind = "weak" if weak or clause.has(m.OUT) or (not places and self._strange_object(item)) else "clean"
            self.bare.append(Group([kind], places, item.type, self.scope, clause.sentence))

    def _strange_object(self, verb: Item) -> bool:
        """Whether a clean-up is asked of something that is no face or photo: "fix her posture"."""
        words = [t.text for t in self.tokens[verb.last + 1 : verb.last + 5]]
        while words and words[0] in ("up", "just", "please", "only", "a"):
            words = words[1:]
        if len(words) < 2 or words[0] not in DETERMINERS:
            return False
        noun = next((w for w in words[1:] if w not in QUALITY), "")
        known = noun in OBJECTS or noun.removesuffix("s") in OBJECTS or not noun.isalpha()
        ours = m.phrase_table().get((noun,), ("",))[0] in (m.KIND, m.PLACE, m.THESE)
        return not known and not ours and m.speller().is_known(noun)

    def _keep_reference(self, item: Item, places: list[str], pointing: bool, clause: Clause) -> None:
        named = [g for g in self.groups if g.kinds]
        ones = pointing or "one" in clause.words or "ones" in clause.words
        places = [p for p in places if p != "face"]
        if places and named and (item.type == m.EXCEPT or ones):
            self.groups.append(Group(list(named[-1].kinds), places, m.KEEP, self.scope, clause.sentence))
        elif places:
            self.groups.append(Group([EVERYTHING], places, m.KEEP, self.scope, clause.sentence))
        elif item.type == m.KEPT and not ones:
            for group in named:
                if not group.mode and group.sentence == clause.sentence:
                    group.mode, group.scope = m.KEEP, self.scope
        elif ones and named:
            free = [g for g in named if g.mode in ("", m.FOND)] or named[-1:]
            for group in free[-1:]:
                group.mode, group.scope = m.KEEP, self.scope

    def _place(self, item: Item, clause: Clause, current: Group | None, kinds: list[Item], opened: bool) -> None:
        if not kinds and any(i.type == m.KEPT and i.first > item.last for i in clause.items):
            return  # "the chin stays as it is"
        value = _place_name(item)
        preposition = self.tokens[item.first - 1].text if item.first else ""
        if item.first > 1 and preposition in DETERMINERS:
            preposition = self.tokens[item.first - 2].text
        if current is not None:
            current.places.append(value)
            current.lifted = current.lifted or preposition in ("from", "off")
            self._distribute(current)
        elif any(k.first > item.last for k in kinds):
            self.near = [*self.near, value]
        elif clause.has(m.OUT) or opened:
            return
        else:
            self._place_alone(item, value, clause)

    def _place_alone(self, item: Item, value: str, clause: Clause) -> None:
        """A place without kinds, before any verb: more of the place before, or the place of what follows."""
        previous = [g for g in self.groups if g.sentence == clause.sentence and g.kinds]
        strange = value.startswith(m.OUTSIDE_PREFIX)
        if strange and not (previous and any(p.startswith(m.OUTSIDE_PREFIX) for p in previous[-1].places)):
            self.outside.append(value.removeprefix(m.OUTSIDE_PREFIX))
        elif not previous and self.bare and clause.opener in ("only", "just") and not self.bare[-1].places:
            self.bare[-1].places = [value]
        elif previous and clause.opener not in (".", ";") and not strange:
            if not previous[-1].places:
                previous[-1].places = list(previous[-1].lead) if clause.opener in ("and", ",", "or", "/") else []
            previous[-1].places.append(value)
            self.used.append(item)
            self._distribute(previous[-1])
        elif not strange:
            self.lead = [*self.lead, value]

    def _distribute(self, group: Group) -> None:
        """ "acne and scars on both cheeks": the place holds for both, unless "the scars" stand for themselves."""
        for other in reversed(self.groups[: self.groups.index(group)]):
            strange = other.places and other.source is not group
            if other.sentence != group.sentence or other.mode != group.mode or strange:
                return
            if group.determined and not group.lifted:
                return
            other.places, other.lifted, other.source = list(group.places), True, group

    def _strengthen(self, clause: Clause, strength: float, made: list[Group], kinds: list[Item]) -> None:
        mine = [g for g in self.groups if g.scope == self.scope and g.sentence == clause.sentence]
        for group in made or mine:
            group.strength = strength if group.strength is None else group.strength
        first = min((i.first for i in kinds), default=10**6)
        where = next((i.first for i in clause.items if i.first in self.strengths), first)
        self.scope_strengths.setdefault(self.scope, []).append((int(where < first), strength))
        for group in self.bare:
            if group.scope == self.scope:
                group.strength = strength

    def _share_strengths(self) -> None:
        """A strength before the kinds, or after the last of them, holds for all that its verb governs."""
        for scope, said in self.scope_strengths.items():
            mine = [g for g in self.groups if g.scope == scope and g.mode in GOVERNING]
            if len(said) != 1 or not mine:
                continue
            if said[0][0] or mine[-1].strength is not None:
                for group in mine:
                    group.strength = said[0][1] if group.strength is None else group.strength


def _follow(items: list[Item]) -> bool:
    """Whether a kind comes before the next verb."""
    for item in items:
        if item.type == m.KIND:
            return True
        if item.type in m.VERBS and item.value not in PARTICLES:
            return False
    return False


def _near(verb: Item, items: list[Item]) -> list[Item]:
    """The places between a verb and the next, or, where there are none, those before it."""
    after = [i for i in items if i.first > verb.last]
    stop = next((i.first for i in after if i.type in m.VERBS and i.value not in PARTICLES), 10**6)
    places = [i for i in after if i.type in (m.PLACE, m.SIDE) and i.first < stop]
    return places or [i for i in items if i.type in (m.PLACE, m.SIDE) and i.first < verb.first]


def _place_name(item: Item) -> str:
    return str(item.value) if item.type == m.PLACE else f"side {item.value}"
