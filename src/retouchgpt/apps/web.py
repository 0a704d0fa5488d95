"""`retouchgpt web`: the web app on this computer's own address, for its own users, without any other network."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from retouchgpt.core.errors import MissingExtra, PortTaken

if TYPE_CHECKING:
    from fastapi import FastAPI

    from retouchgpt.session import RetouchGPT

HOST = "127.0.0.1"
TIDY_SECONDS = 30.0


@dataclass(frozen=True)
class Settings:
    """upload_mb: largest file. photos: how many are kept at once. keep_minutes: how long an unused one is kept."""

    upload_mb: int = 200
    photos: int = 8
    keep_minutes: float = 60.0


def quiet_gradio(folder: Path) -> None:
    """Tell Gradio, before it is imported, to report nothing, ask nothing and keep uploads in `folder`."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def create_app(model: RetouchGPT, folder: Path, settings: Settings | None = None) -> FastAPI:
    """The app over one model. folder: an empty one that only this user can read; uploads lie there while they are open.

    Raises MissingExtra without Gradio.
    """
    settings = settings or Settings()
    quiet_gradio(folder)
    try:
        import gradio as gr
        from fastapi import FastAPI
    except ImportError as error:
        raise MissingExtra("gradio", "web") from error
    from . import web_page
    from .web_desk import Desks
    from .web_routes import add_routes
    from .web_work import Work

    desks = Desks(folder, most=settings.photos, idle_seconds=60 * settings.keep_minutes)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tidying = asyncio.create_task(_tidy(desks))
        try:
            yield
        finally:
            tidying.cancel()
            with suppress(asyncio.CancelledError):
                await tidying
            desks.close_all()

    app = FastAPI(title="RetouchGPT", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    add_routes(app, desks)
    return gr.mount_gradio_app(
        app, web_page.build(Work(model, desks), desks), "/", theme=web_page.theme(), css=web_page.style(),
        footer_links=[], run_history=False, max_file_size=f"{settings.upload_mb}mb", server_name=HOST, ssr_mode=False,
        pwa=False, mcp_server=False, enable_monitoring=False, show_error=False,
    )  # fmt: skip


async def _tidy(desks: object) -> None:
    from .web_desk import Desks

    assert isinstance(desks, Desks)
    while True:
        await asyncio.sleep(TIDY_SECONDS)
        await asyncio.to_thread(desks.tidy)


def listen(port: int) -> socket.socket:
    """A socket on this computer's own address; 0 takes a free port. Raises PortTaken."""
    try:
        return socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        raise PortTaken(port, getattr(error, "strerror", None) or str(error)) from error


def run(options: argparse.Namespace) -> int:
    listener = listen(options.port)
    folder = Path(tempfile.mkdtemp(prefix="retouchgpt-web-"))
    # The server raises the signal again once it has ended in good order; uploads are then deleted before we go.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        quiet_gradio(folder)
        from retouchgpt.session import RetouchGPT

        model = RetouchGPT.from_pretrained(options.weights)
        app = create_app(model, folder, Settings(options.upload_mb, options.photos, options.keep_minutes))
        import uvicorn

        print(f"RetouchGPT listens on http://{HOST}:{listener.getsockname()[1]} (stop with Ctrl+C)", flush=True)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=5))
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        print("RetouchGPT has stopped; its copies of photos are deleted.", flush=True)
    finally:
        listener.close()
        shutil.rmtree(folder, ignore_errors=True)
    return 0
