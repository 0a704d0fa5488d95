"""Open sessions of the server: a photo each, in a folder of its own, alone at a time, gone when asked or forgotten."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouchgpt.photo.files import open_photo

from .server_limits import Limits, Refusal, busy, gone

if TYPE_CHECKING:
    from retouchgpt.session import Result, RetouchGPT, Session

    from .server_pool import Pool


@dataclass
class Entry:
    """One client's session. folder: its files, under names that the server chose. result: of the last instruction."""

    id: str
    folder: Path
    used: float
    name: str = "photo"
    session: Session | None = None
    result: Result | None = None
    megapixels: float = 0.0
    deleted: bool = False
    alone: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0

    @property
    def photo(self) -> Path:
        return self.folder / "photo"

    @property
    def open(self) -> Session:
        assert self.session is not None
        return self.session


class Sessions:
    """The store. All methods but the work itself run on the event loop, so they need no lock."""

    def __init__(
        self, folder: Path, pool: Pool[Any], limits: Limits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder, self.pool, self.limits, self.clock = folder, pool, limits, clock
        self._entries: dict[str, Entry] = {}
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def megapixels(self) -> float:
        return sum(e.megapixels for e in self._entries.values())

    def reserve(self) -> Entry:
        """A new entry without a photo. Raises Refusal (429) when there are too many."""
        self.expire()
        if len(self._entries) >= self.limits.sessions:
            raise busy("too many sessions are open", self._next_expiry())
        key = secrets.token_urlsafe(18)
        entry = Entry(key, self.folder / key, self.clock())
        entry.folder.mkdir()
        self._entries[key] = entry
        return entry

    def hold(self, entry: Entry) -> None:
        """Count the photo that lies in the entry's folder against the limits. Raises Refusal (413, 429)."""
        size = header_megapixels(entry.photo)
        check_megapixels(size, self.limits)
        if self.megapixels + size > self.limits.held_megapixels:
            raise busy("the open sessions' photos fill the server's memory", self._next_expiry())
        entry.megapixels = size

    def get(self, key: str) -> Entry:
        """Raises Refusal (404)."""
        self.expire()
        entry = self._entries.get(key)
        if entry is None or entry.session is None:
            raise gone("session")
        entry.used = self.clock()
        return entry

    async def work(self, entry: Entry, task: Callable[[RetouchGPT], Any]) -> Any:
        """Run a task on the entry, alone, by a worker. Raises Refusal (429, 404, 504) and what the task raises.

        When time is up while the task runs, it runs on: the entry stays taken until it is through.
        """
        end = time.monotonic() + self.limits.request_seconds
        coming = await self.start(entry, task)
        try:
            return await asyncio.wait_for(coming, max(end - time.monotonic(), 0.001))
        except asyncio.TimeoutError as error:
            raise too_slow(self.limits) from error

    async def start(self, entry: Entry, task: Callable[[RetouchGPT], Any]) -> asyncio.Future[Any]:
        """`work` up to where the task waits for a worker; the result is yet to come."""
        await self._take(entry, time.monotonic() + self.limits.request_seconds)
        loop = asyncio.get_running_loop()
        try:
            if entry.deleted:
                raise gone("session")
            future = self.pool.submit(task)
        except BaseException:
            entry.alone.release()
            raise

        def through(_: Any) -> None:
            with suppress(RuntimeError):  # the loop may have ended
                loop.call_soon_threadsafe(self._release, entry)

        future.add_done_callback(through)
        return asyncio.wrap_future(future)

    async def _take(self, entry: Entry, end: float) -> None:
        if entry.waiting >= self.limits.waiting_per_session:
            raise busy("too many requests wait for this session", self.pool.wait_seconds())
        entry.waiting += 1
        try:
            await asyncio.wait_for(entry.alone.acquire(), max(end - time.monotonic(), 0.001))
        except asyncio.TimeoutError as error:
            raise too_slow(self.limits) from error
        finally:
            entry.waiting -= 1

    def _release(self, entry: Entry) -> None:
        entry.used = self.clock()
        entry.alone.release()
        if entry.deleted:
            self._forget(entry)

    def delete(self, entry: Entry) -> None:
        """Nobody finds it from now on; its files go when nothing runs on it any more."""
        self._entries.pop(entry.id, None)
        entry.deleted = True
        if not entry.alone.locked():
            self._forget(entry)

    def _forget(self, entry: Entry) -> None:
        entry.session = entry.result = None
        shutil.rmtree(entry.folder, ignore_errors=True)

    def expire(self) -> None:
        """Delete what nobody has used for a while."""
        late = self.clock() - self.limits.session_seconds
        for entry in list(self._entries.values()):
            if entry.used <= late and not entry.alone.locked():
                self.delete(entry)

    def expires_in(self, entry: Entry) -> float:
        """Seconds until an entry goes if nobody uses it."""
        return max(entry.used + self.limits.session_seconds - self.clock(), 0.0)

    def _next_expiry(self) -> float:
        return min((self.expires_in(e) for e in self._entries.values()), default=1.0)

    def close(self) -> None:
        for entry in list(self._entries.values()):
            self.delete(entry)
        shutil.rmtree(self.folder, ignore_errors=True)


def too_slow(limits: Limits) -> Refusal:
    text = f"no answer within {limits.request_seconds:g} s; an instruction that had begun is finished all the same."
    return Refusal(504, "TooSlow", text)


def header_megapixels(path: Path) -> float:
    """Size by the file's header, without decoding; 0 for a file that Pillow does not know, which open_photo judges."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                return image.size[0] * image.size[1] / 1e6
    except Image.DecompressionBombError:
        return float("inf")
    except Exception:
        return 0.0


def check_megapixels(size: float, limits: Limits) -> None:
    if size > limits.megapixels:
        text = f"the photo is larger than {limits.megapixels:g} megapixels, the server's limit. Scale it down."
        raise Refusal(413, "PhotoTooLarge", text)


def begin(entry: Entry, engine: RetouchGPT, face: str, limits: Limits) -> None:
    """Open the entry's photo and look at its faces; runs in a worker."""
    photo = open_photo(entry.photo)
    size = photo.extent.width * photo.extent.height / 1e6
    check_megapixels(size, limits)
    entry.megapixels = size
    entry.session = engine.open(photo, face)
