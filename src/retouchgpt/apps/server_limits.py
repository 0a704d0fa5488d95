"""What the server allows itself and its clients, and how it says no."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retouchgpt.core.errors import PhotoTooLarge, RetouchError


@dataclass(frozen=True)
class Limits:
    """Bounds of one server. Bytes, megapixels (millions of pixels) and seconds.

    workers: photos at a time. waiting: requests that may wait for a worker. in_flight: requests being received or
    answered at all. held_megapixels: photos of all open sessions together, which is what memory goes to.
    """

    workers: int = 1
    waiting: int = 32
    in_flight: int = 128
    body_bytes: int = 64_000_000
    megapixels: float = 50.0
    held_megapixels: float = 400.0
    sessions: int = 64
    waiting_per_session: int = 8
    session_seconds: float = 900.0
    request_seconds: float = 60.0
    upload_seconds: float = 60.0
    jobs: int = 16
    job_photos: int = 200
    job_seconds: float = 86_400.0
    grace_seconds: float = 60.0


@dataclass(frozen=True)
class Access:
    """Who may talk to the server. token: what `Authorization: Bearer` must carry, or None on loopback alone."""

    token: str | None = None
    work: Path | None = None


class Refusal(Exception):
    """A request that is turned down: HTTP status, a word for programs, a line for people."""

    def __init__(self, status: int, kind: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.message, self.retry_after = status, kind, message, retry_after

    @property
    def headers(self) -> dict[str, str]:
        out = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return out | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})

    def to_json(self) -> dict[str, dict[str, str]]:
        return {"error": {"kind": self.kind, "message": self.message}}


def busy(what: str, retry_after: float) -> Refusal:
    """429: come back later."""
    seconds = int(min(max(retry_after, 1), 60))
    return Refusal(429, "Busy", f"{what}; try again in {seconds} s.", retry_after=seconds)


def gone(what: str) -> Refusal:
    """404, the same for what never was, was deleted and has expired."""
    return Refusal(404, "NotFound", f"there is no such {what}: it never was, was deleted, or has expired.")


def refusal_of(error: RetouchError, hidden: Path | None = None) -> Refusal:
    """An error of the package as an answer; the server's own path of the file is not told."""
    status = 413 if isinstance(error, PhotoTooLarge) else 422 if error.exit_code == 3 else 500
    return Refusal(status, type(error).__name__, without_path(str(error), hidden))


def without_path(message: str, hidden: Path | None, name: str = "the photo") -> str:
    """One line in which the server's path reads `name`."""
    line = " ".join(message.split())
    return line.replace(str(hidden), name) if hidden is not None else line
