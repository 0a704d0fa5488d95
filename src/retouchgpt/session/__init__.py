"""One photo, many instructions: the engine and its sessions. Engine, and torch with it, are loaded when asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .result import FaceResult, Result, RetouchRequest

if TYPE_CHECKING:
    from .engine import RetouchGPT
    from .session import Session

__all__ = ["FaceResult", "Result", "RetouchGPT", "RetouchRequest", "Session"]


def __getattr__(name: str) -> Any:
    if name == "RetouchGPT":
        return import_module(".engine", __name__).RetouchGPT
    if name == "Session":
        return import_module(".session", __name__).Session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
