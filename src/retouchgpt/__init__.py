"""RetouchGPT: interactive, natural-language portrait retouching."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["RetouchGPT", "__version__"]

if TYPE_CHECKING:
    from .session import RetouchGPT


def __getattr__(name: str) -> Any:
    if name == "RetouchGPT":  # torch is loaded only when the model is asked for
        from .session import RetouchGPT

        return RetouchGPT
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
