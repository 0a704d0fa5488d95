"""One photo, many instructions: the engine and its sessions."""

from .engine import RetouchGPT
from .result import FaceResult, Result, RetouchRequest
from .session import Session

__all__ = ["FaceResult", "Result", "RetouchGPT", "RetouchRequest", "Session"]
