"""Batch jobs of the server: photos sent together, retouched in the background, an outcome for each.

A job is a folder: job.json, what came in, what goes out, and outcomes.jsonl. A server that is given a folder to keep
takes up its jobs where it stopped.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from .batch_worker import Case, Settings, Worker
from .server_limits import Limits, Refusal, busy, gone, without_path
from .server_metrics import Metrics
from .server_pool import Pool
from .server_sessions import check_megapixels, header_megapixels

SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "TIFF": ".tif", "WEBP": ".webp"}
PHOTO_SECONDS = 600.0
"""Longest that the background waits for one photo of a job, queueing included."""


@dataclass
class Job:
    """One job. names: the clients' names of the photos, as labels only. outcomes: by number from 1."""

    id: str
    folder: Path
    instruction: str
    face: str
    strength: float
    names: list[str]
    made: float
    outcomes: dict[int, dict[str, Any]] = field(default_factory=dict)
    deleted: bool = False

    def source(self, number: int) -> Path:
        return self.folder / "in" / f"{number:04d}"

    def target(self, number: int) -> Path:
        """Where a photo's result goes; the suffix is the photo's own format."""
        return self.folder / "out" / f"{number:04d}{_suffix(self.source(number))}"

    @property
    def done(self) -> bool:
        return len(self.outcomes) == len(self.names)

    def to_json(self) -> dict[str, Any]:
        state = "done" if self.done else "running"
        counts = {k: sum(o["outcome"] == k for o in self.outcomes.values()) for k in ("done", "unchanged", "refused")}
        photos = [self.outcomes[n] for n in sorted(self.outcomes)]
        return {"id": self.id, "state": state, "total": len(self.names), **counts, "photos": photos}


class Jobs:
    """The store and the runners; all on the event loop but the photos themselves, which the pool's workers do."""

    def __init__(
        self, folder: Path, pool: Pool[Any], limits: Limits, metrics: Metrics, clock: Callable[[], float] = time.time
    ) -> None:
        self.folder, self.pool, self.limits, self.metrics, self.clock = folder, pool, limits, metrics, clock
        self._jobs: dict[str, Job] = {}
        self._runners: dict[str, asyncio.Task[None]] = {}
        self._stopping = False
        folder.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        return len(self._jobs)

    def take_up(self) -> None:
        """Jobs that an earlier server left in the folder."""
        for path in sorted(self.folder.glob("*/job.json")):
            with suppress(ValueError, KeyError, TypeError, OSError):
                job = _read(path)
                self._jobs[job.id] = job
                self._start(job)

    def create(self, files: Sequence[tuple[str, IO[bytes]]], instruction: str, face: str, strength: float) -> Job:
        """Keep the photos and begin. Raises Refusal (413, 429)."""
        self.expire()
        if self._stopping or len(self._jobs) >= self.limits.jobs:
            raise busy("too many jobs are kept; delete one that is done", 30)
        if len(files) > self.limits.job_photos:
            raise Refusal(413, "TooManyPhotos", f"a job takes at most {self.limits.job_photos} photos.")
        key = secrets.token_urlsafe(18)
        names = [PurePosixPath(name.replace("\\", "/")).name[:200] or "photo" for name, _ in files]
        job = Job(key, self.folder / key, instruction, face, strength, names, self.clock())
        for part in ("in", "out"):
            (job.folder / part).mkdir(parents=True)
        for number, (_, stream) in enumerate(files, 1):
            with job.source(number).open("wb") as kept:
                shutil.copyfileobj(stream, kept)
        _write(job)
        self._jobs[key] = job
        self._start(job)
        return job

    def get(self, key: str) -> Job:
        """Raises Refusal (404)."""
        self.expire()
        if key not in self._jobs:
            raise gone("job")
        return self._jobs[key]

    def delete(self, job: Job) -> None:
        """Forget a job; the photo that a worker is at is finished first."""
        self._jobs.pop(job.id, None)
        job.deleted = True
        if job.id not in self._runners:
            shutil.rmtree(job.folder, ignore_errors=True)

    def expire(self) -> None:
        for job in list(self._jobs.values()):
            if job.done and job.made <= self.clock() - self.limits.job_seconds:
                self.delete(job)

    async def close(self) -> None:
        """Begin no further photo; wait for those that are being done."""
        self._stopping = True
        if self._runners:
            await asyncio.wait(list(self._runners.values()), timeout=self.limits.grace_seconds)

    def _start(self, job: Job) -> None:
        if not job.done:
            self._runners[job.id] = asyncio.get_running_loop().create_task(self._run(job))

    async def _run(self, job: Job) -> None:
        try:
            for number in range(1, len(job.names) + 1):
                if self._stopping or job.deleted:
                    return
                if number not in job.outcomes:
                    await self._photo(job, number)
        finally:
            self._runners.pop(job.id, None)
            if job.deleted:
                shutil.rmtree(job.folder, ignore_errors=True)

    async def _photo(self, job: Job, number: int) -> None:
        try:
            check_megapixels(header_megapixels(job.source(number)), self.limits)
            future = self.pool.submit(lambda engine: _retouch(job, number, engine), background=True)
            outcome = await asyncio.wait_for(asyncio.wrap_future(future), PHOTO_SECONDS)
        except asyncio.CancelledError:
            if self._stopping:  # the pool dropped it: the next server does it
                return
            raise
        except (Refusal, asyncio.TimeoutError) as error:
            if self._stopping:
                return
            outcome = {"outcome": "refused", "why": str(error) or "it took too long"}
        row = {"number": number, "name": job.names[number - 1], **outcome}
        with (job.folder / "outcomes.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
            log.flush()
            os.fsync(log.fileno())
        job.outcomes[number] = row
        self.metrics.photo(row["outcome"])


def _retouch(job: Job, number: int, engine: Any) -> dict[str, Any]:
    """One photo of a job, in a worker."""
    # resumed: the folder is this job's own, so a picture that is there was written before a stop
    settings = Settings(weights=None, face=job.face, strength=job.strength, threads=0, resumed=True)
    case = Case(str(job.source(number)), job.instruction, str(job.target(number)))
    outcome = Worker(settings, engine)(case)
    why = outcome.get("why")
    kept: dict[str, Any] = {k: outcome[k] for k in ("outcome", "answer", "notes") if k in outcome}
    return kept if why is None else kept | {"why": without_path(why, job.source(number))}


def _suffix(path: Path) -> str:
    from PIL import Image

    with suppress(Exception), Image.open(path) as image:
        return SUFFIXES.get(image.format or "", ".png")
    return ".png"


def _write(job: Job) -> None:
    head = {k: getattr(job, k) for k in ("id", "instruction", "face", "strength", "names", "made")}
    partial = job.folder / ".job.partial"
    partial.write_text(json.dumps(head))
    partial.replace(job.folder / "job.json")


def _read(path: Path) -> Job:
    job = Job(folder=path.parent, **json.loads(path.read_text()))
    log = path.parent / "outcomes.jsonl"
    for line in log.read_text().splitlines() if log.exists() else ():
        with suppress(ValueError, KeyError, TypeError):  # a line that a kill cut short
            row = json.loads(line)
            job.outcomes[int(row["number"])] = row
    return job
