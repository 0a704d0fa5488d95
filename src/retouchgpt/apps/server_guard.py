"""The door: who may come in, how much they may bring and how long they may take. Plain ASGI, before any route."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from .server_limits import Access, Limits, Refusal, busy
from .server_metrics import Metrics

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

OPEN = frozenset({"/health"})
"""Paths that need no token."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "testserver"})
SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]


class Guard:
    """Wraps an ASGI application; every answer that leaves has passed here."""

    def __init__(self, app: Any, access: Access, limits: Limits, metrics: Metrics) -> None:
        self.app, self.access, self.limits, self.metrics = app, access, limits, metrics
        self._in_flight = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        visit = _Visit(scope, receive, send, self.limits)
        self._in_flight += 1
        try:
            self._check(scope)
            await self.app(scope, visit.receive, visit.send)
        except Refusal as refusal:
            await visit.refuse(refusal)
        finally:
            self._in_flight -= 1
            route = getattr(scope.get("route"), "path", "none")
            self.metrics.answered(route, scope["method"], visit.status, time.perf_counter() - visit.start)

    def _check(self, scope: Message) -> None:
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        if scope["path"] not in OPEN:
            self._check_token(headers)
        if self._in_flight > self.limits.in_flight:
            raise busy("too many requests at a time", 1)
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.limits.body_bytes:
            raise too_large(self.limits)

    def _check_token(self, headers: dict[str, str]) -> None:
        host = headers.get("host", "")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            raise Refusal(403, "ForeignOrigin", "pages of other origins may not call this server.")
        if self.access.token is None:
            # Without a token a page could still reach a loopback server through a name that it points here.
            if (urlsplit(f"//{host}").hostname or "") not in LOOPBACK:
                raise Refusal(403, "ForeignHost", "without a token this server answers to localhost only.")
            return
        given = headers.get("authorization", "")
        expected = f"Bearer {self.access.token}"
        if not hmac.compare_digest(given.encode(), expected.encode()):
            raise Refusal(401, "NotAuthorised", "send the server's token as `Authorization: Bearer TOKEN`.")


def too_large(limits: Limits) -> Refusal:
    return Refusal(413, "BodyTooLarge", f"the body is larger than the server's limit, {limits.body_bytes / 1e6:g} MB.")


class _Visit:
    """One request: counts what comes in and swaps the answer when a limit was passed."""

    def __init__(self, scope: Message, receive: Receive, send: Send, limits: Limits) -> None:
        self.start, self.status = time.perf_counter(), 499
        self._receive, self._send, self._limits = receive, send, limits
        self._left, self._complete, self._started = limits.body_bytes, False, False
        self._refused: Refusal | None = None

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        left = self.start + self._limits.upload_seconds - time.perf_counter()
        try:
            message = await asyncio.wait_for(self._receive(), max(left, 0.001))
        except asyncio.TimeoutError:
            slow = f"the body did not arrive within {self._limits.upload_seconds:g} s."
            self._refused = Refusal(408, "UploadTooSlow", slow)
            raise self._refused from None
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._left < 0:
                self._refused = too_large(self._limits)
                raise self._refused
        return message

    async def send(self, message: Message) -> None:
        if self._refused is not None and not self._started:
            # whatever the application made of a body that broke off, this is the reason
            await self.refuse(self._refused)
            return
        if self._refused is not None:
            return
        if message["type"] == "http.response.start":
            self._started, self.status = True, message["status"]
            message = {**message, "headers": [*message.get("headers", []), *SECURITY]}
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        if self._started:
            return
        self._started, self.status, self._refused = True, refusal.status, refusal
        body = json.dumps(refusal.to_json()).encode()
        told = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
        headers = [(k.lower().encode(), v.encode()) for k, v in (told | refusal.headers).items()]
        await self._send({"type": "http.response.start", "status": refusal.status, "headers": [*headers, *SECURITY]})
        await self._send({"type": "http.response.body", "body": body})
