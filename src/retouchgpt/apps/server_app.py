"""The HTTP application: routes only; what they do is in the sessions, the jobs and the pool."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Route

from retouchgpt import __version__
from retouchgpt.core.errors import RetouchError

from .server_guard import Guard
from .server_jobs import Jobs
from .server_limits import Access, Limits, Refusal, refusal_of
from .server_metrics import Metrics
from .server_pool import Pool
from .server_routes import routes
from .server_schemas import ErrorAnswer
from .server_sessions import Sessions

LOG = logging.getLogger("retouchgpt.server")
SWEEP_SECONDS = 10.0
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": text}
    for status, text in {
        400: "the request cannot be read",
        401: "the token is missing or wrong",
        403: "a page of another origin",
        404: "no such session, job or picture",
        408: "the body came too slowly",
        413: "the body or the photo is too large",
        422: "a field or the photo cannot be used",
        429: "busy: try again after Retry-After seconds",
        500: "our fault",
        504: "took too long",
    }.items()
}


class Service:
    """All that one server holds. folder: for uploads, sessions and jobs; engines: one a worker."""

    def __init__(self, engines: Sequence[Any], folder: Path, limits: Limits, threads: int = 1) -> None:
        self.limits, self.folder = limits, folder
        self.pool: Pool[Any] = Pool(engines, limits.waiting, threads, limits.request_seconds / 2)
        self.metrics = Metrics()
        self.sessions = Sessions(folder / "sessions", self.pool, limits)
        self.jobs = Jobs(folder / "jobs", self.pool, limits, self.metrics)
        self.metrics.watch("waiting", "Requests in line.", lambda: self.pool.waiting)
        self.metrics.watch("busy_workers", "Workers at work.", lambda: self.pool.busy)
        self.metrics.watch("sessions", "Open sessions.", lambda: len(self.sessions))
        self.metrics.watch("held_megapixels", "Pixels of all open sessions.", lambda: self.sessions.megapixels)
        self.metrics.watch("jobs", "Jobs kept.", lambda: len(self.jobs))

    async def close(self) -> None:
        """Finish what runs; keep the jobs, forget the sessions."""
        await self.jobs.close()
        await asyncio.to_thread(self.pool.close, self.limits.grace_seconds)
        self.sessions.close()


def create_app(service: Service, access: Access) -> FastAPI:
    """The application of one service. Its documentation is /openapi.json; no page loads anything from elsewhere."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        service.jobs.take_up()
        sweeper = asyncio.create_task(_sweep(service))
        try:
            yield
        finally:
            sweeper.cancel()
            await service.close()

    app = FastAPI(
        title="RetouchGPT",
        version=__version__,
        summary="Portrait retouching by plain language.",
        docs_url=None,
        redoc_url=None,
        lifespan=life,
        responses=ERRORS,
    )
    router = routes(service)
    app.state.routes = router.routes
    app.include_router(router)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RetouchError, _unusable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _our_fault)
    app.add_middleware(Guard, access=access, limits=service.limits, metrics=service.metrics)
    return app


async def _sweep(service: Service) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        service.sessions.expire()
        service.jobs.expire()


def answer(refusal: Refusal) -> JSONResponse:
    return JSONResponse(refusal.to_json(), refusal.status, headers=refusal.headers)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)
    return answer(error)


async def _unusable(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RetouchError)
    return answer(refusal_of(error))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Which field is wrong and why, without what was sent."""
    assert isinstance(error, RequestValidationError)
    rows = [f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors()[:5]]
    return answer(Refusal(422, "InvalidRequest", "; ".join(rows)))


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    kind = {400: "BadRequest", 404: "NotFound", 405: "MethodNotAllowed"}.get(error.status_code, "Error")
    refused = answer(Refusal(error.status_code, kind, str(error.detail)))
    refused.headers.update(error.headers or {})
    if error.status_code == 405:
        refused.headers["Allow"] = ", ".join(sorted(_methods(request)))
    return refused


def _methods(request: Request) -> set[str]:
    """What a path may be asked: the router names the methods of its first route only."""
    ours = [r for r in request.app.state.routes if isinstance(r, Route) and r.path_regex.match(request.url.path)]
    return {method for route in ours for method in route.methods or ()}


async def _our_fault(request: Request, error: Exception) -> JSONResponse:
    LOG.error("%s failed", request.url.path, exc_info=error)
    return answer(Refusal(500, "Internal", "something went wrong on our side; the server's log says what."))


def free(folder: Path) -> None:
    """Remove a temporary folder."""
    shutil.rmtree(folder, ignore_errors=True)
