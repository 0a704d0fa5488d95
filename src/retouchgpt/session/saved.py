"""Sessions on disk: what was said and done, never the photo's pixels.

A saved session is one JSON object: the photo's path, size and SHA-256, the faces that were open, the weights' hash, and
every state of the undo list as turns (text, plan, faces, the user's mask). Reopening replays it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retouchgpt.core.errors import BadSession, InvalidPlan
from retouchgpt.core.plan import EditPlan
from retouchgpt.photo.files import whole

if TYPE_CHECKING:
    from .session import Turn

FORMAT = 1
"""Version of the file; raised when old files can no longer be read."""
MASK_LIMIT = 500_000_000
"""Most pixels that a stored mask may claim."""


def pixel_hash(pixels: NDArray[Any]) -> str:
    """SHA-256 of a photo's upright pixels, their type and shape."""
    head = f"{pixels.dtype.str}{pixels.shape}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def exact(plan: EditPlan) -> EditPlan:
    """A plan as it will be read back: strengths to four decimals."""
    return EditPlan.from_json(plan.to_json())


def quantised(brush: NDArray[np.floating]) -> NDArray[np.float32]:
    """A mask (H, W) in [0, 1] in steps of 1/255, which is what is stored."""
    return (np.rint(np.asarray(brush, np.float32).clip(0, 1) * 255) / 255).astype(np.float32)


def turn_to_json(turn: Turn) -> dict[str, Any]:
    """A turn; its mask as deflated bytes in base64."""
    out: dict[str, Any] = {"text": turn.text, "plan": turn.plan.to_json()}
    if turn.faces:
        out["faces"] = list(turn.faces)
    if turn.brush is not None:
        levels = np.rint(turn.brush * 255).astype(np.uint8)
        packed = base64.b64encode(zlib.compress(levels.tobytes(), 9)).decode()
        out["brush"] = {"shape": list(levels.shape), "deflate": packed}
    return out


def turn_from_json(row: Any) -> Turn:
    """Inverse of `turn_to_json`. Raises BadSession saying what is wrong."""
    from .session import Turn

    try:
        faces = tuple(int(f) for f in row.get("faces", ()))
        brush = None if row.get("brush") is None else _mask(row["brush"])
        plan = EditPlan.from_json(row["plan"])
        if plan.intent != "retouch" or any(f < 1 for f in faces):
            raise BadSession("a turn that is no retouch, or for a face below 1")
        return Turn(str(row["text"]), plan, brush, faces)
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error, InvalidPlan) as error:
        raise BadSession(f"a turn that cannot be read ({error})") from error


def _mask(row: Any) -> NDArray[np.float32]:
    height, width = (int(v) for v in row["shape"])
    if not 0 < height * width <= MASK_LIMIT:
        raise ValueError(f"a mask of {height} x {width}")
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(base64.b64decode(row["deflate"], validate=True), height * width + 1)
    if len(data) != height * width:
        raise ValueError("a mask of another size than it says")
    return (np.frombuffer(data, np.uint8).reshape(height, width) / 255).astype(np.float32)


def states_to_json(states: Sequence[tuple[Turn, ...]]) -> tuple[list[dict[str, Any]], list[list[int]]]:
    """Turns once each, and every state as places in that list."""
    turns: list[Turn] = []
    rows = []
    for state in states:
        for turn in state:
            if not any(turn is t for t in turns):
                turns.append(turn)
        rows.append([next(i for i, t in enumerate(turns) if t is turn) for turn in state])
    return [turn_to_json(t) for t in turns], rows


def write(path: str | Path, data: dict[str, Any]) -> Path:
    """JSON that appears whole or not at all. Raises OutputNotWritable."""
    path = Path(path)
    with whole(path) as partial:
        partial.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return path


def read(path: str | Path) -> dict[str, Any]:
    """A saved session, checked. Raises BadSession naming the file and what is wrong."""
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict) or data["format"] != FORMAT:
            raise BadSession(f"format {data.get('format')!r}, this version reads {FORMAT}")
        turns = tuple(turn_from_json(row) for row in data["turns"])
        for name in ("states", "ahead"):
            data[name] = [tuple(turns[_place(i, len(turns))] for i in state) for state in data[name]]
        photo = data["photo"]
        if not data["states"] or not isinstance(photo["path"], str) or not isinstance(photo["sha256"], str):
            raise BadSession("no states or no photo")
        data["faces"] = [int(f) for f in data["faces"]]
    except OSError as error:
        raise BadSession(f"cannot read {path}: {error.strerror}") from error
    except BadSession as error:
        raise BadSession(f"{path}: {error.detail}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadSession(f"{path}: {error.__class__.__name__} {error}") from error
    return data


def _place(i: Any, count: int) -> int:
    if not isinstance(i, int) or isinstance(i, bool) or not 0 <= i < count:
        raise BadSession(f"a state with turn {i!r} of {count}")
    return i


def read_script(path: str | Path) -> list[dict[str, Any]]:
    """The turns of an exported script, each checked. Raises BadSession naming the file."""
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT or not data["turns"]:
            raise BadSession(f"format {data['format']!r} with {len(data['turns'])} turns")
        for row in data["turns"]:
            turn_from_json(row)
        return list(data["turns"])
    except OSError as error:
        raise BadSession(f"cannot read {path}: {error.strerror}") from error
    except BadSession as error:
        raise BadSession(f"{path}: {error.detail}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadSession(f"{path}: {error.__class__.__name__} {error}") from error


def script(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """The turns in force, for other photos. Raises BadSession where one has a mask drawn by hand on this photo."""
    if any(t.brush is not None for t in turns):
        raise BadSession("a mask drawn by hand fits its own photo only, so this session cannot become a script")
    return [turn_to_json(replace(t, brush=None)) for t in turns]
