"""Pictures and downloads of the web app, and what every answer of its server carries."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.responses import FileResponse, PlainTextResponse, Response
from starlette.background import BackgroundTask
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .web_desk import FILES, PUT_AWAY, Desks, line

HOSTS = ("127.0.0.1", "localhost")
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
"""Nothing is loaded from, or sent to, any other place; the page's own templates are compiled in the browser."""
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
PRIVATE = {"Cache-Control": "no-store, private"}


class Guard:
    """Security headers on every answer; a request that a page of another site makes is refused."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and urlsplit(origin).netloc != headers.get(b"host", b"").decode("latin-1"):
            await PlainTextResponse("requests from other sites are refused", 403)(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        await self.app(scope, receive, guarded)


def add_routes(app: FastAPI, desks: Desks) -> None:
    """Pictures on view and files to download, each by its desk's secret; the guards around everything."""

    @app.get("/picture/{token}/{name}")
    def picture(token: str, name: str) -> Response:
        desk = desks.find(token)
        found = desk.pictures.get(name) if desk else None
        if found is None:
            return PlainTextResponse(PUT_AWAY, 404, PRIVATE)
        return Response(found[1], media_type=found[0], headers=PRIVATE)

    @app.get("/download/{token}/{what}")
    def download(token: str, what: str) -> Response:
        desk = desks.find(token)
        if desk is None or what not in FILES:
            return PlainTextResponse(PUT_AWAY, 404, PRIVATE)
        try:
            with desks.turn if what == "layers" else nullcontext():
                path = desk.write(what)
        except Exception as error:
            return PlainTextResponse(line(error), 409, PRIVATE)
        return FileResponse(path, filename=path.name, headers=PRIVATE, background=BackgroundTask(_drop, path.parent))

    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS))
    app.add_middleware(Guard)


def _drop(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
