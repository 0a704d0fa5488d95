"""The words of the system: imperfections, regions, the 3x3 grid, and their everyday names.

Order matters: the index of an imperfection is its heat-map channel, the index of a region its region-map channel.
Left and right are the viewer's (paper's figure).
"""

from __future__ import annotations

IMPERFECTIONS: tuple[str, ...] = (
    "acne",
    "freckles",
    "spots",
    "moles",
    "scars",
    "redness",
    "dark_circles",
    "forehead_wrinkles",
    "crows_feet",
    "fine_lines",
    "stray_hairs",
    "shine",
)
"""The twelve imperfections; nine are the paper's, `moles`, `scars`, `redness` and `shine` are ours."""

ALL = "all"
"""Stands for each of `IMPERFECTIONS` wherever an imperfection is named."""

NAMED_REGIONS: tuple[str, ...] = (
    "face",
    "forehead",
    "nose",
    "left_cheek",
    "right_cheek",
    "left_eye",
    "right_eye",
    "mouth",
    "chin",
)

GRID_REGIONS: tuple[str, ...] = (
    "top_left",
    "top",
    "top_right",
    "left",
    "center",
    "right",
    "bottom_left",
    "bottom",
    "bottom_right",
)
"""The paper's 3x3 grid over the face crop, row by row."""

REGIONS: tuple[str, ...] = NAMED_REGIONS + GRID_REGIONS

TEMPORARY: frozenset[str] = frozenset({"acne", "redness", "stray_hairs", "shine"})
"""Gone after "clean up" without more."""

SOFTENED: frozenset[str] = frozenset({"dark_circles", "forehead_wrinkles", "crows_feet", "fine_lines"})
"""Softened (half strength) after "clean up" without more."""

PERMANENT: frozenset[str] = frozenset({"moles", "freckles", "scars", "spots"})
"""Part of the person: only an instruction that names them, or "everything", removes them."""

SOFTENING_STRENGTH = 0.5

COUNTABLE: frozenset[str] = frozenset({"acne", "freckles", "spots", "moles", "scars", "stray_hairs"})
"""Kinds whose separate marks are counted; the others are areas."""

DISPLAY_NAMES: dict[str, tuple[str, str]] = {
    "acne": ("blemish", "acne"),
    "freckles": ("freckle", "freckles"),
    "spots": ("dark spot", "dark spots"),
    "moles": ("mole", "moles"),
    "scars": ("scar", "scars"),
    "redness": ("redness", "redness"),
    "dark_circles": ("dark circle", "dark circles"),
    "forehead_wrinkles": ("forehead wrinkle", "forehead wrinkles"),
    "crows_feet": ("crow's feet", "crow's feet"),
    "fine_lines": ("fine line", "fine lines"),
    "stray_hairs": ("stray hair", "stray hairs"),
    "shine": ("shine", "shine"),
}
"""Singular and collective name of each imperfection in an answer."""

IMPERFECTION_ALIASES: dict[str, tuple[str, ...]] = {
    "acne": (
        "pimple",
        "pimples",
        "zit",
        "zits",
        "blemish",
        "blemishes",
        "breakout",
        "breakouts",
        "whitehead",
        "whiteheads",
        "blackhead",
        "blackheads",
        "pustule",
        "pustules",
        "papule",
        "papules",
        "acne marks",
        "pimpels",
    ),
    "freckles": ("freckle", "freckling", "ephelides"),
    "spots": (
        "spot",
        "age spots",
        "sun spots",
        "sunspots",
        "liver spots",
        "dark spots",
        "brown spots",
        "dark marks",
        "hyperpigmentation",
        "pigmentation",
        "sun damage",
    ),
    "moles": ("mole", "beauty mark", "beauty marks", "beauty spot", "birthmark", "nevus", "nevi"),
    "scars": ("scar", "scarring", "pockmarks", "acne scars", "pitted skin"),
    "redness": ("red patches", "rosacea", "flush", "blotchiness", "red skin", "ruddiness", "irritation"),
    "dark_circles": (
        "dark circle",
        "eye bags",
        "bags",
        "under-eye bags",
        "bags under the eyes",
        "panda eyes",
        "under eye circles",
        "shadows under the eyes",
        "tired eyes",
    ),
    "forehead_wrinkles": ("forehead lines", "worry lines", "frown lines", "brow lines", "forehead creases"),
    "crows_feet": ("crow's feet", "crows feet", "crow feet", "eye wrinkles", "lines around the eyes"),
    "fine_lines": (
        "fine line",
        "laugh lines",
        "smile lines",
        "nasolabial folds",
        "nasolabial lines",
        "marionette lines",
        "lines around the mouth",
        "creases",
    ),
    "stray_hairs": (
        "stray hair",
        "flyaways",
        "flyaway",
        "loose hair",
        "loose strands",
        "fragmented hair",
        "hair on the face",
    ),
    "shine": ("shiny", "shininess", "oil", "oily", "oily skin", "greasy", "glare", "hot spots", "sweat"),
}

REGION_ALIASES: dict[str, tuple[str, ...]] = {
    "face": ("skin", "whole face", "entire face", "everywhere", "complexion"),
    "forehead": ("brow area", "temple", "between the brows"),
    "nose": ("nose bridge", "nostrils", "tip of the nose"),
    "left_cheek": ("left side of the face", "left cheekbone"),
    "right_cheek": ("right side of the face", "right cheekbone"),
    "left_eye": ("under the left eye", "left eyelid", "left under-eye"),
    "right_eye": ("under the right eye", "right eyelid", "right under-eye"),
    "mouth": ("lips area", "around the lips", "upper lip", "around the mouth"),
    "chin": ("jaw", "jawline", "lower face"),
    "top_left": ("upper left",),
    "top": ("upper part", "upper area"),
    "top_right": ("upper right",),
    "left": ("left side", "left area"),
    "center": ("centre", "middle"),
    "right": ("right side", "right area"),
    "bottom_left": ("lower left",),
    "bottom": ("lower part", "lower area"),
    "bottom_right": ("lower right",),
}

MIRRORED: dict[str, str] = {
    "left_cheek": "right_cheek",
    "right_cheek": "left_cheek",
    "left_eye": "right_eye",
    "right_eye": "left_eye",
    "top_left": "top_right",
    "top_right": "top_left",
    "left": "right",
    "right": "left",
    "bottom_left": "bottom_right",
    "bottom_right": "bottom_left",
}
"""The region across the face's middle line; a region without a side is its own mirror (see `mirror`)."""


def mirror(region: str) -> str:
    """The region across the middle line of the face; `nose`, `chin` and other unsided regions map to themselves."""
    return MIRRORED.get(region, region)


def expand(imperfection: str) -> tuple[str, ...]:
    """`all` -> each imperfection in channel order, any other name -> itself alone."""
    return IMPERFECTIONS if imperfection == ALL else (imperfection,)


def spoken(name: str) -> str:
    """A word of the vocabulary as a person writes it: `left_cheek` -> "left cheek"."""
    return DISPLAY_NAMES[name][1] if name in DISPLAY_NAMES else name.replace("_", " ")
