"""A server for tests: the real application with a tiny network, and a finder that knows one face.

`python -m tests.serving --port 8123` serves it as a process of its own, for tests of signals and load.
"""

from __future__ import annotations

import argparse
import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouchgpt.apps.server_limits import Access, Limits
from retouchgpt.core.geometry import Extent
from retouchgpt.core.plan import EditPlan
from retouchgpt.photo.faces import Face, number
from retouchgpt.session import RetouchGPT
from tests.fakes import PLANS, Writer, acne_network

LANDMARKS = Path(__file__).parent / "fixtures" / "astronaut_landmarks.npy"
SIDE = 512


class OneFace:
    """The astronaut's mesh wherever a photo is not of one colour."""

    def find(self, rgb: NDArray[np.uint8]) -> list[Face]:
        if rgb.std() < 1:
            return []
        height, width = rgb.shape[:2]
        mesh = np.load(LANDMARKS).astype(np.float32) / SIDE * np.array((width, height), np.float32)
        return number([mesh], Extent(width, height))


class Anything:
    """Plans for any text: the fakes', and no for the rest. slow: seconds that a plan takes."""

    def __init__(self, slow: float = 0.0) -> None:
        self.slow = slow

    def plan(self, text: str) -> EditPlan:
        time.sleep(self.slow)
        return PLANS.get(text) or EditPlan("decline", reason="that is outside the job")


class Engine(RetouchGPT):
    """Plans as they are, without dialogue memory."""

    def understand(self, instruction: str, history: tuple[EditPlan, ...] = ()) -> EditPlan:
        return self.planner.plan(instruction)


def engine(slow: float = 0.0) -> RetouchGPT:
    return Engine(acne_network(), Anything(slow), Writer(), finder=OneFace())


def photo_of(seed: int = 0, *, side: int = SIDE, kind: str = "PNG", **options: Any) -> bytes:
    """The astronaut with a pattern of the seed's own in a corner, as a file."""
    import skimage.data

    pixels = skimage.data.astronaut().copy()
    marks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    pixels[:64, :64] = cv2.resize(marks, (64, 64), interpolation=cv2.INTER_NEAREST)
    return encoded(pixels if side == SIDE else cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA), kind)


def encoded(pixels: NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def pixels_of(data: bytes) -> NDArray[Any]:
    return np.asarray(Image.open(io.BytesIO(data)))


@contextmanager
def live(folder: Path, limits: Limits, *, engines: int = 1) -> Iterator[str]:
    """A server in a thread of this process; its URL."""
    import uvicorn

    from retouchgpt.apps.server_app import Service, create_app

    app = create_app(Service([engine() for _ in range(engines)], folder, limits), Access())
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", server_header=False))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(60)


def main() -> None:
    from retouchgpt.apps.server import serve

    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--slow", type=float, default=0.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--queue", type=int, default=32)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    limits = Limits(workers=options.workers, waiting=options.queue)
    engines = [engine(options.slow) for _ in range(options.workers)]
    serve(engines, limits, Access(None, options.work), "127.0.0.1", options.port)


if __name__ == "__main__":
    main()
