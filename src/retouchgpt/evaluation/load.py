"""The load test of a server: many clients, each with photos of its own, and what must hold whatever the load.

python -m retouchgpt.evaluation.load http://127.0.0.1:8000 [--clients 32] [--requests 2000] [--out load.json]

A photo takes five requests: open a session, instruct, fetch the result, fetch the mask, delete. Outside the mask the
result must be the client's own photo to the bit, and every photo differs from all others, so a mix-up cannot pass. 429
is no error: the client waits as it is told and tries again.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import re
import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image

REQUESTS_A_PHOTO = 5
MARK = 64
"""Side of the pattern in the corner that tells photos apart, px."""
INSTRUCTION = "remove the acne"
MEMORY = re.compile(rb"^process_resident_memory_bytes (\S+)", re.M)


@dataclass
class Tally:
    """What all clients saw; guarded by its lock."""

    requests: int = 0
    turned_away: int = 0
    changed: int = 0
    photos: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    memory: list[tuple[int, float]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Client:
    """One client, one request at a time."""

    def __init__(self, url: str, tally: Tally, token: str | None = None) -> None:
        self._host, self._tally = urlsplit(url).netloc, tally
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def call(self, step: str, method: str, path: str, body: bytes | None = None, kind: str = "") -> bytes:
        """The body of a good answer; waits where the server is busy. Raises RuntimeError on any other answer."""
        headers = self._headers | ({"Content-Type": kind} if kind else {})
        while True:
            start = time.perf_counter()
            # a connection each: one that is kept may be closed by the server just as the next request is sent
            connection = http.client.HTTPConnection(self._host, timeout=300)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
            connection.close()
            with self._tally.lock:
                self._tally.requests += 1
                self._tally.turned_away += answer.status == 429
                self._tally.seconds.setdefault(step, []).append(time.perf_counter() - start)
            if answer.status != 429:
                break
            time.sleep(float(answer.headers["Retry-After"]))
        if answer.status >= 300:
            raise RuntimeError(f"{method} {step}: {answer.status}")
        return data

    def photo(self, picture: bytes, name: str) -> tuple[NDArray[Any], NDArray[Any], dict[str, Any]]:
        """One photo's whole way: result, mask, report."""
        body, kind = multipart(picture, name)
        state = json.loads(self.call("open", "POST", "/v1/sessions", body, kind))
        if state["name"] != name:
            raise RuntimeError("mixed up: a session of another name")
        base = f"/v1/sessions/{state['id']}"
        said = json.dumps({"instruction": INSTRUCTION}).encode()
        report = json.loads(self.call("instruct", "POST", f"{base}/instruct", said, "application/json"))
        result = decoded(self.call("result", "GET", f"{base}/result"))
        mask = decoded(self.call("mask", "GET", f"{base}/mask"))
        self.call("delete", "DELETE", base)
        return result, mask, report


def multipart(picture: bytes, name: str) -> tuple[bytes, str]:
    """A form with one photo: body and content type."""
    edge = f"edge-{os.urandom(12).hex()}"
    head = f'--{edge}\r\nContent-Disposition: form-data; name="photo"; filename="{name}"\r\n\r\n'
    return head.encode() + picture + f"\r\n--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"


def decoded(data: bytes) -> NDArray[Any]:
    return np.asarray(Image.open(io.BytesIO(data)))


def marked(base: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """The portrait with a pattern of the seed's own in its corner, far from the face."""
    out = base.copy()
    cells = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    out[:MARK, :MARK] = cells.repeat(MARK // 8, 0).repeat(MARK // 8, 1)
    return out


def own(photo: NDArray[Any], result: NDArray[Any], mask: NDArray[Any]) -> bool:
    """Whether a result is this photo outside its mask."""
    same = photo.shape == result.shape and photo.shape[:2] == mask.shape
    return same and bool((photo[mask == 0] == result[mask == 0]).all()) and not mask[:MARK, :MARK].any()


def run(
    url: str,
    *,
    clients: int = 32,
    requests: int = 2000,
    base: NDArray[np.uint8] | None = None,
    token: str | None = None,
) -> dict[str, Any]:
    """Load a server and return what was seen. base: a portrait, uint8 (H, W, 3); default: scikit-image's astronaut."""
    if base is None:
        import skimage.data

        base = skimage.data.astronaut()
    tally = Tally()
    photos = iter(range(-(-requests // REQUESTS_A_PHOTO)))
    start = time.perf_counter()
    threads = [threading.Thread(target=_client, args=(url, tally, photos, base, token)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        _watch_memory(url, tally, token)
        time.sleep(0.5)
    for thread in threads:
        thread.join()
    _watch_memory(url, tally, token)
    return summary(tally, clients, time.perf_counter() - start)


def _client(url: str, tally: Tally, photos: Any, base: NDArray[np.uint8], token: str | None) -> None:
    client = Client(url, tally, token)
    while True:
        with tally.lock:
            seed = next(photos, None)
        if seed is None:
            return
        try:
            picture = marked(base, seed)
            stream = io.BytesIO()
            Image.fromarray(picture).save(stream, "PNG", compress_level=1)
            result, mask, report = client.photo(stream.getvalue(), f"{seed}.png")
            trouble = None if own(picture, result, mask) else "mixed up: another photo came back"
        except Exception as error:
            trouble, report = f"{type(error).__name__}: {error}", {}
        with tally.lock:
            tally.photos += 1
            tally.changed += bool(report.get("changed"))
            if trouble:
                tally.errors[trouble] += 1


def _watch_memory(url: str, tally: Tally, token: str | None) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=300)
    connection.request("GET", "/metrics", headers={} if token is None else {"Authorization": f"Bearer {token}"})
    found = MEMORY.search(connection.getresponse().read())
    connection.close()
    if found:
        with tally.lock:
            tally.memory.append((tally.requests, float(found[1]) / 1e6))


def summary(tally: Tally, clients: int, seconds: float) -> dict[str, Any]:
    """Numbers of a run; memory in MB by quarters of the requests, seconds of answers by step."""
    quarters: list[list[float]] = [[], [], [], []]
    for done, megabytes in tally.memory:
        quarters[min(4 * done // max(tally.requests, 1), 3)].append(megabytes)
    return {
        "clients": clients,
        "requests": tally.requests,
        "photos": tally.photos,
        "changed": tally.changed,
        "turned_away_429": tally.turned_away,
        "errors": dict(tally.errors),
        "seconds": round(seconds, 1),
        "requests_a_second": round(tally.requests / seconds, 1),
        "memory_mb_by_quarter": [round(max(q), 1) if q else None for q in quarters],
        "median_seconds": {k: round(statistics.median(v), 3) for k, v in sorted(tally.seconds.items())},
        "longest_seconds": {k: round(max(v), 3) for k, v in sorted(tally.seconds.items())},
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m retouchgpt.evaluation.load", description="Load-test a server.")
    parser.add_argument("url")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--photo", help="portrait to send (default: scikit-image's astronaut)")
    parser.add_argument("--out", help="JSON file for the numbers")
    options = parser.parse_args()
    base = np.asarray(Image.open(options.photo).convert("RGB")) if options.photo else None
    token = os.environ.get("RETOUCHGPT_TOKEN") or None
    seen = run(options.url, clients=options.clients, requests=options.requests, base=base, token=token)
    text = json.dumps(seen, indent=2)
    print(text)
    if options.out:
        Path(options.out).write_text(text + "\n")
    return 1 if seen["errors"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
