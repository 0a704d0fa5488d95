"""Bounded workers with a bounded queue: what does not fit is turned away at once instead of waiting without end."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Generic, NamedTuple, TypeVar

from .server_limits import busy

Engine = TypeVar("Engine")
FAIR = 4
"""Every so many tasks the background is served first, so that a full server still moves its jobs on."""


class Task(NamedTuple):
    future: Future[Any]
    work: Callable[[Any], Any]


class Pool(Generic[Engine]):
    """One thread an engine. Requests wait in a bounded line; background work waits apart."""

    def __init__(
        self, engines: Sequence[Engine], waiting: int, threads: int = 1, longest_wait: float = float("inf")
    ) -> None:
        self.waiting_limit, self.longest_wait, self._threads = waiting, longest_wait, threads
        self._line: deque[Task] = deque()
        self._background: deque[Task] = deque()
        self._wake = threading.Condition()
        self._closed, self._taken = False, 0
        self.busy, self._seconds = 0, 1.0
        self._workers = [threading.Thread(target=self._run, args=(e,), name="retouch", daemon=True) for e in engines]
        for worker in self._workers:
            worker.start()

    @property
    def waiting(self) -> int:
        """Requests in line."""
        return len(self._line)

    @property
    def workers(self) -> int:
        return len(self._workers)

    def submit(self, work: Callable[[Engine], Any], *, background: bool = False) -> Future[Any]:
        """Run `work` with an engine when one is free. Raises Refusal (429) when the line is full or closed."""
        task = Task(Future(), work)
        with self._wake:
            if self._closed:
                raise busy("the server is stopping", 10)
            if not background:
                self._check_line()
            (self._background if background else self._line).append(task)
            self._wake.notify()
        return task.future

    def _check_line(self) -> None:
        """Raises Refusal where the line is full, or so slow that an answer would come too late anyway."""
        if len(self._line) >= self.waiting_limit or self.wait_seconds() > self.longest_wait:
            self._line = deque(t for t in self._line if not t.future.cancelled())
            if len(self._line) >= self.waiting_limit or self.wait_seconds() > self.longest_wait:
                raise busy("all workers are busy and the line is full", self.wait_seconds())

    def wait_seconds(self) -> float:
        """How long the line takes at the pace so far."""
        return self._seconds * (len(self._line) + self.busy) / max(len(self._workers), 1)

    def close(self, seconds: float) -> None:
        """Finish what runs and what waits in line, drop the background, for at most so many seconds."""
        with self._wake:
            self._closed = True
            dropped = list(self._background)
            self._background.clear()
            self._wake.notify_all()
        for task in dropped:
            task.future.cancel()
        end = time.monotonic() + seconds
        for worker in self._workers:
            worker.join(max(end - time.monotonic(), 0))

    def _next(self) -> Task | None:
        with self._wake:
            self._wake.wait_for(lambda: self._line or self._background or self._closed)
            if not self._line and not self._background:
                return None
            self._taken += 1
            background_first = self._background and (not self._line or self._taken % FAIR == 0)
            task = (self._background if background_first else self._line).popleft()
            self.busy += 1
            return task

    def _run(self, engine: Engine) -> None:
        import torch

        torch.set_num_threads(self._threads)
        while (task := self._next()) is not None:
            start = time.monotonic()
            if task.future.set_running_or_notify_cancel():
                _settle(task, engine)
                self._seconds += 0.1 * (time.monotonic() - start - self._seconds)
            with self._wake:
                self.busy -= 1
            del task  # a waiting worker must not keep the last photo alive


def _settle(task: Task, engine: Any) -> None:
    try:
        result = task.work(engine)
    except BaseException as error:
        task.future.set_exception(error)
    else:
        task.future.set_result(result)
