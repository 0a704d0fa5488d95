"""The routes: /health and /metrics, /v1/sessions, /v1/jobs."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Query, Response, UploadFile
from fastapi import Path as InPath
from fastapi.responses import FileResponse, StreamingResponse
from starlette.background import BackgroundTask

from retouchgpt import __version__
from retouchgpt.core.errors import RetouchError

from . import server_work as work
from .server_limits import Refusal, gone, refusal_of
from .server_schemas import Face, Health, Instruct, Instruction, JobState, Report, SessionState, Strength
from .server_sessions import Entry, begin, too_slow

if TYPE_CHECKING:
    from .server_app import Service

Key = Annotated[str, InPath(min_length=1, max_length=64, pattern="^[A-Za-z0-9_-]+$")]
Format = Literal["original", "png", "jpeg", "tiff", "webp"]
TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".tif": "image/tiff", ".webp": "image/webp"}
LAYERED = {".tif": "image/tiff", ".psd": "image/vnd.adobe.photoshop"}
BINARY = {"type": "string", "format": "binary"}
PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"description": "a picture", "content": {kind: {"schema": BINARY} for kind in TYPES.values()}}
}
LAYERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "layers", "content": {kind: {"schema": BINARY} for kind in LAYERED.values()}}
}
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "events: `accepted`, `word` (a string, several make the answer), then `result` (a Report) or "
        "`error` (as every error)",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
BEAT_SECONDS = 5.0
"""A waiting stream says so, or proxies cut it."""


def routes(service: Service) -> APIRouter:
    """All routes of a service."""
    router = APIRouter()
    _about(router, service)
    _sessions(router, service)
    _pictures(router, service)
    _jobs(router, service)
    return router


def _about(router: APIRouter, service: Service) -> None:
    @router.get("/health", tags=["about"])
    async def health() -> Health:
        """Whether the server takes requests. Needs no token."""
        pool = service.pool
        return Health(
            status="ok", version=__version__, workers=pool.workers, waiting=pool.waiting,
            sessions=len(service.sessions), jobs=len(service.jobs),
        )  # fmt: skip

    @router.get("/metrics", tags=["about"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Prometheus metrics."""
        return Response(service.metrics.text(), media_type=service.metrics.content_type)


def _sessions(router: APIRouter, service: Service) -> None:
    sessions = service.sessions

    @router.post("/v1/sessions", status_code=201, tags=["sessions"])
    async def open_session(
        photo: Annotated[UploadFile, File()], face: Annotated[Face, Form()] = "largest"
    ) -> SessionState:
        """Send a photo; its faces are looked at once. face: largest, all, a number from 1, or a place."""
        entry = sessions.reserve()
        try:
            await asyncio.to_thread(_keep, photo, entry.photo)
            sessions.hold(entry)
            entry.name = work.label(photo.filename)
            await _working(service, entry, lambda engine: begin(entry, engine, face, service.limits))
        except BaseException:
            sessions.delete(entry)
            raise
        service.metrics.photo("opened")
        return work.state(entry, sessions.expires_in(entry))

    @router.get("/v1/sessions/{session}", tags=["sessions"])
    async def show_session(session: Key) -> SessionState:
        """What the photo shows and which instructions are in force."""
        entry = sessions.get(session)
        return work.state(entry, sessions.expires_in(entry))

    @router.delete("/v1/sessions/{session}", status_code=204, tags=["sessions"])
    async def delete_session(session: Key) -> None:
        """Forget a session with its photo, now."""
        sessions.delete(sessions.get(session))

    @router.post("/v1/sessions/{session}/instruct", tags=["sessions"])
    async def instruct(session: Key, body: Instruct) -> Report:
        """Do what an instruction says."""
        entry = sessions.get(session)
        report = await _working(service, entry, lambda engine: work.instruct(entry, engine, body))
        return Report(**report)

    @router.post("/v1/sessions/{session}/instruct/stream", tags=["sessions"], response_class=Response, responses=EVENTS)
    async def instruct_and_stream(session: Key, body: Instruct) -> StreamingResponse:
        """The same as server-sent events; the answer comes word by word once it is known to be true."""
        entry = sessions.get(session)
        # what is refused at once has its own status; what fails later is an event
        report = await sessions.start(entry, lambda engine: work.instruct(entry, engine, body))
        return StreamingResponse(_events(report, entry, service), media_type="text/event-stream")

    async def moved(session: str, move: str) -> Report:
        entry = sessions.get(session)
        return Report(**await _working(service, entry, lambda engine: work.move(entry, engine, move)))

    @router.post("/v1/sessions/{session}/undo", tags=["sessions"])
    async def undo(session: Key) -> Report:
        """Take back the last change; the pixels are then what they were before."""
        return await moved(session, "undo")

    @router.post("/v1/sessions/{session}/redo", tags=["sessions"])
    async def redo(session: Key) -> Report:
        """Do again what was taken back."""
        return await moved(session, "redo")

    @router.post("/v1/sessions/{session}/reset", tags=["sessions"])
    async def reset(session: Key) -> Report:
        """Return to the photo as it was sent; can itself be undone."""
        return await moved(session, "reset")


def _pictures(router: APIRouter, service: Service) -> None:
    sessions = service.sessions

    @router.get("/v1/sessions/{session}/result", tags=["pictures"], response_class=Response, responses=PICTURE)
    async def result(session: Key, format: Annotated[Format, Query()] = "original") -> FileResponse:
        """The photo under the instructions in force, at native size with its metadata; what a format could not hold is
        told in the header Retouch-Notes."""
        entry = sessions.get(session)
        path, notes = await _working(service, entry, lambda engine: work.picture(entry, engine, format))
        return _file(path, f"retouched{path.suffix}", {"Retouch-Notes": json.dumps(notes)}, once=True)

    @router.get("/v1/sessions/{session}/mask", tags=["pictures"], response_class=Response, responses=PICTURE)
    async def mask(session: Key) -> FileResponse:
        """A grey PNG of the photo's size; where it is 0 the result is the photo's own."""
        entry = sessions.get(session)
        path = await _working(service, entry, lambda engine: work.mask(entry, engine))
        return _file(path, "mask.png", {}, once=True)

    @router.get("/v1/sessions/{session}/layers", tags=["pictures"], response_class=Response, responses=LAYERS)
    async def layers(session: Key, format: Annotated[Literal["tif", "psd"], Query()] = "tif") -> FileResponse:
        """The photo with a layer and mask for each kind of edit, flattened the result; needs the extra `layers`."""
        entry = sessions.get(session)
        path = await _working(service, entry, lambda engine: work.layers(entry, engine, format))
        return _file(path, f"layers{path.suffix}", {}, once=True)


def _jobs(router: APIRouter, service: Service) -> None:
    jobs = service.jobs

    @router.post("/v1/jobs", status_code=202, tags=["jobs"])
    async def start_job(
        photos: Annotated[list[UploadFile], File(min_length=1)],
        instruction: Annotated[Instruction, Form()],
        face: Annotated[Face, Form()] = "all",
        strength: Annotated[Strength, Form()] = 1.0,
    ) -> JobState:
        """Send photos together; they are retouched in the background, an outcome for each."""
        files = [(photo.filename or "photo", photo.file) for photo in photos]
        return JobState(**jobs.create(files, instruction, face, strength).to_json())

    @router.get("/v1/jobs/{job}", tags=["jobs"])
    async def show_job(job: Key) -> JobState:
        """How far a job is."""
        return JobState(**jobs.get(job).to_json())

    @router.get("/v1/jobs/{job}/photos/{number}", tags=["jobs"], response_class=Response, responses=PICTURE)
    async def job_photo(job: Key, number: Annotated[int, InPath(ge=1, le=10_000)]) -> FileResponse:
        """A result; 404 where the photo is not done yet, was left unchanged or was refused."""
        found = jobs.get(job)
        if found.outcomes.get(number, {}).get("outcome") != "done":
            raise gone("result")
        path = found.target(number)
        return _file(path, f"{number:04d}{path.suffix}", {})

    @router.delete("/v1/jobs/{job}", status_code=204, tags=["jobs"])
    async def delete_job(job: Key) -> None:
        """Stop a job and forget it with its photos."""
        jobs.delete(jobs.get(job))


async def _working(service: Service, entry: Entry, task: Any) -> Any:
    """Sessions.work with the package's errors as answers that hide the server's paths."""
    try:
        return await service.sessions.work(entry, task)
    except RetouchError as error:
        raise refusal_of(error, entry.photo) from error


async def _events(coming: asyncio.Future[dict[str, Any]], entry: Entry, service: Service) -> AsyncIterator[str]:
    yield _event("accepted", {"session": entry.id})
    end = time.monotonic() + service.limits.request_seconds
    while not coming.done() and time.monotonic() < end:
        await asyncio.wait([coming], timeout=min(BEAT_SECONDS, max(end - time.monotonic(), 0.001)))
        if not coming.done():
            yield ": at work\n\n"
    if not coming.done():
        coming.cancel()
        yield _event("error", too_slow(service.limits).to_json())
        return
    try:
        report = coming.result()
    except RetouchError as error:
        yield _event("error", refusal_of(error, entry.photo).to_json())
    except Exception:
        yield _event("error", Refusal(500, "Internal", "something went wrong on our side.").to_json())
    else:
        for n, word in enumerate(report["answer"].split(" ")):
            yield _event("word", word if n == 0 else f" {word}")
        yield _event("result", report)


def _event(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def _keep(upload: UploadFile, path: Path) -> None:
    with path.open("wb") as kept:
        shutil.copyfileobj(upload.file, kept)


def _file(path: Path, name: str, headers: dict[str, str], *, once: bool = False) -> FileResponse:
    after = BackgroundTask(path.unlink, missing_ok=True) if once else None
    return FileResponse(
        path, media_type=(TYPES | LAYERED)[path.suffix], filename=name, headers=headers, background=after
    )
