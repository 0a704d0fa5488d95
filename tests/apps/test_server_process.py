"""The server as a process: load from many clients, and a stop that finishes what runs."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from retouchgpt.apps import cli
from retouchgpt.apps.server_limits import Limits
from retouchgpt.evaluation import load
from tests.serving import live, photo_of

ROOT = Path(__file__).parents[2]


def test_many_clients_get_their_own_photos_and_nothing_but_429(tmp_path: Path) -> None:
    with live(tmp_path, Limits(waiting=2, sessions=64), engines=2) as url:
        seen = load.run(url, clients=8, requests=60)
    assert seen["errors"] == {}
    assert (seen["photos"], seen["changed"]) == (12, 12)
    assert seen["requests"] == 60 + seen["turned_away_429"]
    assert seen["memory_mb_by_quarter"][-1] > 0


def test_the_load_test_sees_a_mix_up(portrait: Any) -> None:
    one, other = load.marked(portrait, 1), load.marked(portrait, 2)
    mask = np.zeros(portrait.shape[:2], np.uint8)
    assert load.own(one, one, mask)
    assert not load.own(one, other, mask)
    assert not load.own(one, one[1:], mask)
    mask[:] = 255
    assert not load.own(one, other, mask), "a mask over everything hides nothing"


@contextmanager
def process(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.serving", "--port", str(port), *arguments]
    running = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(f"{url}/health")
                break
            except httpx.ConnectError:
                assert running.poll() is None, running.stderr.read() if running.stderr else b""
                time.sleep(0.1)
        yield running, url
    finally:
        running.kill()
        running.wait()
        if running.stderr:
            running.stderr.close()


def test_sigterm_finishes_what_runs(tmp_path: Path) -> None:
    with process("--slow", "1", "--work", str(tmp_path)) as (running, url):
        session = httpx.post(f"{url}/v1/sessions", files={"photo": photo_of()}, timeout=60).json()["id"]
        files = [("photos", (f"{n}.png", photo_of(n))) for n in range(6)]
        form = {"instruction": "remove the acne"}
        job = httpx.post(f"{url}/v1/jobs", files=files, data=form, timeout=60).json()["id"]
        answers: list[httpx.Response] = []

        def ask() -> None:
            answers.append(httpx.post(f"{url}/v1/sessions/{session}/instruct", json=form, timeout=60))

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(0.5)  # long enough to be sent, too short to be answered
        running.send_signal(signal.SIGTERM)
        asking.join(60)
        assert running.wait(60) == 0
    assert answers[0].status_code == 200
    assert answers[0].json()["changed"]
    rows = [json.loads(line) for line in (tmp_path / "jobs" / job / "outcomes.jsonl").read_text().splitlines()]
    assert 1 <= len(rows) < 6
    assert all(row["outcome"] == "done" for row in rows)
    assert not (tmp_path / "sessions").exists()
    assert not list(tmp_path.rglob("*.partial"))


def test_an_open_address_without_a_token_is_refused_before_anything_loads(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RETOUCHGPT_TOKEN", raising=False)
    assert cli.main(["serve", "--host", "0.0.0.0"]) == 3
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "--token-file" in said
