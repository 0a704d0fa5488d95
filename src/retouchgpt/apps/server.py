"""`retouchgpt serve`: sessions and batch jobs over HTTP."""

from __future__ import annotations

import argparse
import ipaddress
import os
import signal
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retouchgpt.core.cores import usable_cores
from retouchgpt.core.errors import BadData, MissingExtra, OutputNotWritable

TOKEN = "RETOUCHGPT_TOKEN"
SHORTEST_TOKEN = 16


def run(options: argparse.Namespace) -> int:
    try:
        import fastapi
        import prometheus_client
        import python_multipart
        import uvicorn
    except ImportError as error:
        raise MissingExtra(error.name or "fastapi", "server") from error
    del fastapi, python_multipart, prometheus_client, uvicorn
    from .server_limits import Access, Limits

    access = Access(token_of(options), Path(options.work) if options.work else None)
    check_exposure(options.host, access.token)
    limits = Limits(
        workers=options.workers,
        waiting=options.queue,
        body_bytes=options.max_body * 1_000_000,
        megapixels=options.max_megapixels,
        sessions=options.max_sessions,
        session_seconds=options.session_minutes * 60,
        request_seconds=options.request_seconds,
    )
    from retouchgpt.session import RetouchGPT

    engines = [RetouchGPT.from_pretrained(options.weights) for _ in range(limits.workers)]
    serve(engines, limits, access, options.host, options.port)
    return 0


def token_of(options: argparse.Namespace) -> str | None:
    """The token of a file or of the environment; never of an argument, which other users of a machine can read.

    Raises BadData when it cannot be read or is too short.
    """
    if options.token_file:
        try:
            token = Path(options.token_file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadData(f"cannot read the token file {options.token_file}: {error}.") from error
    else:
        token = os.environ.get(TOKEN, "").strip()
        if not token:
            return None
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise BadData(f"the token must be at least {SHORTEST_TOKEN} printable ASCII characters without a space.")
    return token


def check_exposure(host: str, token: str | None) -> None:
    """Raises BadData for an address that others can reach, without a token."""
    if token is None and not _loopback(host):
        raise BadData(f"{host} can be reached by others: name a --token-file, set {TOKEN}, or listen on 127.0.0.1.")


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(engines: Sequence[Any], limits: Any, access: Any, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM; then take no more, finish what runs, and return. Raises OutputNotWritable."""
    import uvicorn

    from .server_app import Service, create_app, free

    threads = max(usable_cores() // limits.workers, 1)
    kept = access.work is not None
    folder = access.work if kept else Path(tempfile.mkdtemp(prefix="retouchgpt-serve-"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        service = Service(engines, folder, limits, threads)
    except OSError as error:
        raise OutputNotWritable(folder, error.strerror or str(error)) from error
    config = uvicorn.Config(
        create_app(service, access),
        host=host,
        port=port,
        timeout_graceful_shutdown=int(limits.grace_seconds),
        timeout_keep_alive=5,
        server_header=False,
        log_level="warning",
    )
    if threading.current_thread() is threading.main_thread():
        # the server stops by itself and then raises the signal again: by then all is done, and the exit code is 0
        signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        uvicorn.Server(config).run()
    finally:
        if not kept:
            free(folder)
