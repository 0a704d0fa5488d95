"""How kinds, places, numbers and lists are said in an answer. One place, so that writer and check speak alike."""

from __future__ import annotations

from collections.abc import Sequence

from retouchgpt.core.vocabulary import COUNTABLE, GRID_REGIONS

NOUNS: dict[str, tuple[tuple[str, str], ...]] = {
    "acne": (("blemish", "blemishes"), ("pimple", "pimples")),
    "freckles": (("freckle", "freckles"),),
    "spots": (("dark spot", "dark spots"),),
    "moles": (("mole", "moles"),),
    "scars": (("scar", "scars"),),
    "redness": (("redness", "redness"),),
    "dark_circles": (("dark circle", "dark circles"),),
    "forehead_wrinkles": (("forehead lines", "forehead lines"), ("forehead wrinkles", "forehead wrinkles")),
    "crows_feet": (("crow's feet", "crow's feet"),),
    "fine_lines": (("fine lines", "fine lines"),),
    "stray_hairs": (("stray hair", "stray hairs"),),
    "shine": (("shine", "shine"),),
}
"""Singular and plural of each kind, the first pair being the plain one."""

SINGULAR_MASS = frozenset({"redness", "shine"})
"""Kinds that take a singular verb."""

NUMBERS: tuple[str, ...] = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)

PLACES: dict[str, str] = {
    "face": "",
    "forehead": "on the forehead",
    "nose": "on the nose",
    "left_cheek": "on the left cheek",
    "right_cheek": "on the right cheek",
    "left_eye": "around the left eye",
    "right_eye": "around the right eye",
    "mouth": "around the mouth",
    "chin": "on the chin",
    "top": "in the upper part",
    "bottom": "in the lower part",
    "left": "on the left side",
    "right": "on the right side",
    "center": "in the center",
    "top_left": "in the upper left",
    "top_right": "in the upper right",
    "bottom_left": "in the lower left",
    "bottom_right": "in the lower right",
}
"""Where, as said in an answer; the whole face goes without saying."""

OWN_PLACE: dict[str, frozenset[str]] = {"forehead_wrinkles": frozenset({"forehead"})}
"""Places that a kind's own name says already."""

SIDED: frozenset[str] = frozenset(r for r in PLACES if "left" in r or "right" in r)

SIDE_NOTES: dict[str, tuple[str, ...]] = {
    "viewer": (
        "Left and right are as you see them in the photo.",
        "Sides are as you look at the photo.",
        "I mean left and right as you look at the picture.",
        "Left and right as you see them, that is.",
        "That's left and right as you look at it.",
    ),
    "subject": (
        "You gave the person's own side; here left and right are as you see them in the photo.",
        "I took your side as the person's own, and name it here as you look at the photo.",
    ),
}
"""Sentences that say whose left and right an answer uses: always the viewer's; `subject` when the user's were not."""


def number(count: int) -> str:
    """3 -> "three", 27 -> "27"."""
    return NUMBERS[count] if 0 <= count < len(NUMBERS) else str(count)


def noun(kind: str, count: int = 2, style: int = 0) -> str:
    """The kind's name in the right number; `style` chooses among its names."""
    names = NOUNS[kind]
    return names[style % len(names)][0 if count == 1 else 1]


def thing(kind: str, count: int, style: int = 0, article: str = "the", *, other: bool = False) -> str:
    """ "three blemishes", "one mole", "the redness": a measured amount of one kind. other: "three other blemishes"."""
    if kind in COUNTABLE and count > 0:
        return f"{number(count)} {'other ' if other else ''}{noun(kind, count, style)}"
    return f"{article} {noun(kind, 2, style)}".strip()


def place(kind: str, region: str) -> str:
    """Where, as words to put after the kind; empty when it goes without saying."""
    return "" if region in OWN_PLACE.get(kind, ()) else PLACES[region]


def one_dark_circle(kind: str, region: str) -> bool:
    """One eye has one dark circle."""
    return kind == "dark_circles" and region in ("left_eye", "right_eye")


def join(parts: Sequence[str], last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    if len(parts) <= 1:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def sentence(text: str) -> str:
    """First letter upper case, one full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:].rstrip(".") + "."


def is_sided(region: str) -> bool:
    """Whether naming this region names a side."""
    return region in SIDED


def region_order(region: str) -> int:
    """Named places first, the whole face last, so that a place never seems to hold what has none."""
    order = [*(r for r in PLACES if r not in ("face", *GRID_REGIONS)), *GRID_REGIONS, "face"]
    return order.index(region)
