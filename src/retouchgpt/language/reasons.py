"""Why an instruction is declined, or leaves something alone: fixed phrases, so that an answer can be checked."""

from __future__ import annotations

DECLINE: dict[str, str] = {
    "reshape": "I don't change the shape of a face or body",
    "makeup": "I don't add or remove make-up",
    "background": "I only work on facial skin, not on the background",
    "whitening": "I don't change anyone's skin colour",
    "age": "I don't make people look older or younger",
    "clothes": "I only work on facial skin, not on clothes",
    "hair": "I don't restyle, recolour or add hair",
    "features": "eyes, brows, lips and teeth stay as they are",
    "accessories": "glasses, jewellery and beards stay as they are",
    "body": "I only work on the face",
    "light": "I don't change the light, colours or framing of the photo",
    "identity": "I don't turn one person into another",
    "expression": "I don't change expressions",
    "add": "I only take imperfections away, I never add them",
    "talk": "I can only retouch skin and tell you what I see on it",
    "command": "that is not something a photo retoucher does",
    "gibberish": "I couldn't make out what you would like retouched",
    "language": "I only understand English",
    "empty": "the instruction is empty",
    "nothing_earlier": "there is no earlier edit to change",
    "no_undo": "there is nothing to undo",
    "no_redo": "there is nothing to redo",
}
"""Key -> the phrase that `EditPlan.reason` carries and an answer repeats word for word."""

PERMANENT_STAY = "permanent marks are part of the person and stay unless you name them"
"""Why "clean up" leaves moles, freckles, scars and spots."""

ASKED_TO_KEEP = "you asked to keep them"
