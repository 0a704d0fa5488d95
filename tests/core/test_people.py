"""Who is meant in a group photo."""

from __future__ import annotations

import pytest

from retouchgpt.core.people import addressed, who_is_meant

MIDDLES, WIDTHS = (500.0, 100.0, 900.0), (220.0, 180.0, 90.0)  # numbered by size: middle, left, right


@pytest.mark.parametrize(
    ("text", "who", "rest"),
    [
        ("face 2: remove the acne", "face 2", "remove the acne"),
        ("Faces 1 and 3: soften the shine", "Faces 1 and 3", "soften the shine"),
        ("the woman on the right: a bit less", "the woman on the right", "a bit less"),
        ("For the man on the far left, remove the moles.", "the man on the far left", "remove the moles."),
        ("everyone: clean up", "everyone", "clean up"),
        ("remove the shine on face 2", "face 2", "remove the shine"),
        ("Remove the acne on the left cheek for the girl in the middle.", "the girl in the middle",
         "Remove the acne on the left cheek"),
        ("remove the acne on the left cheek", "", "remove the acne on the left cheek"),
        ("remove the moles on the left", "", "remove the moles on the left"),
        ("clean up her face", "", "clean up her face"),
        ("remove everything on the face", "", "remove everything on the face"),
    ],
)  # fmt: skip
def test_who_and_what_are_told_apart(text: str, who: str, rest: str) -> None:
    assert addressed(text) == (who, rest)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2", (1,)),
        ("face 3", (2,)),
        ("faces 1 and 2", (0, 1)),
        ("face 4", ()),
        ("face 0", ()),
        ("the woman on the right", (2,)),
        ("the man on the far left", (1,)),
        ("the girl in the middle", (0,)),
        ("second from the right", (0,)),
        ("the third from the left", (2,)),
        ("the fifth from the left", ()),
        ("the one in front", (0,)),
        ("the man in the back", (2,)),
        ("all faces", (0, 1, 2)),
        ("the woman", ()),
        ("", ()),
    ],
)
def test_words_name_faces_by_number_and_place(text: str, meant: tuple[int, ...]) -> None:
    assert who_is_meant(text, MIDDLES, WIDTHS) == meant


def test_two_people_have_no_middle() -> None:
    assert who_is_meant("the one in the middle", MIDDLES[:2], WIDTHS[:2]) == ()
