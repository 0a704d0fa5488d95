"""The server in process, with a tiny network: sessions, pictures, jobs, limits, access, errors that tell nothing."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

from retouchgpt.apps.server import check_exposure, token_of
from retouchgpt.apps.server_app import Service, create_app
from retouchgpt.apps.server_limits import Access, Limits, Refusal
from retouchgpt.apps.server_pool import Pool
from retouchgpt.core.errors import BadData
from tests.serving import encoded, engine, photo_of, pixels_of

TOKEN = "a-token-for-the-tests"


def served(
    folder: Path, limits: Limits | None = None, token: str | None = None, model: Any = None
) -> tuple[Service, TestClient]:
    service = Service([model or engine()], folder, limits or Limits())
    return service, TestClient(create_app(service, Access(token)), raise_server_exceptions=False)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, TestClient]]:
    service, client = served(tmp_path_factory.mktemp("serve"))
    with client:
        yield service, client


@pytest.fixture
def client(running: tuple[Service, TestClient]) -> TestClient:
    return running[1]


def opened(client: TestClient, photo: bytes, **fields: Any) -> str:
    answer = client.post("/v1/sessions", files={"photo": ("me.png", photo)}, data=fields)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def instruct(client: TestClient, session: str, text: str = "remove the acne", **more: Any) -> Any:
    return client.post(f"/v1/sessions/{session}/instruct", json={"instruction": text} | more)


def test_a_session_from_photo_to_result_and_away(client: TestClient, portrait: Any) -> None:
    answer = client.post("/v1/sessions", files={"photo": ("../../me.png", photo_of(1))})
    state = answer.json()
    assert state["name"] == "me.png"
    assert (state["width"], state["height"], len(state["faces"])) == (512, 512, 1)
    assert {f["imperfection"] for f in state["found"]} == {"acne"}
    url = f"/v1/sessions/{state['id']}"
    report = instruct(client, state["id"]).json()
    assert report["changed"]
    assert report["answer"].startswith("retouch acne:face:")
    before, after = pixels_of(photo_of(1)), pixels_of(client.get(f"{url}/result").content)
    mask = pixels_of(client.get(f"{url}/mask").content)
    assert mask.shape == before.shape[:2]
    assert (after != before).any()
    assert np.array_equal(after[mask == 0], before[mask == 0])
    for kind, first in (("tif", b"II"), ("psd", b"8BPS")):
        layered = client.get(f"{url}/layers", params={"format": kind})
        assert (layered.status_code, layered.content[: len(first)]) == (200, first)
        if kind == "tif":
            assert np.array_equal(tifffile.imread(io.BytesIO(layered.content)), after)
    assert client.get(url).json()["steps"] == ["remove the acne"]
    assert client.post(f"{url}/undo").json()["changed"] is False
    assert np.array_equal(pixels_of(client.get(f"{url}/result").content), before)
    assert np.array_equal(tifffile.imread(io.BytesIO(client.get(f"{url}/layers").content)), before)
    assert client.post(f"{url}/redo").json()["changed"] is True
    assert client.post(f"{url}/reset").json()["changed"] is False
    assert client.delete(url).status_code == 204
    for path in (url, f"{url}/result", f"{url}/mask", f"{url}/layers"):
        assert client.get(path).status_code == 404


def test_pictures_in_other_formats_say_what_was_lost(client: TestClient) -> None:
    session = opened(client, photo_of(2, kind="JPEG"))
    own = client.get(f"/v1/sessions/{session}/result")
    assert (own.headers["content-type"], own.content[:3]) == ("image/jpeg", b"\xff\xd8\xff")
    assert json.loads(own.headers["retouch-notes"])
    for kind, head in (("png", b"\x89PNG"), ("tiff", b"II*\0"), ("webp", b"RIFF")):
        other = client.get(f"/v1/sessions/{session}/result", params={"format": kind})
        assert (other.headers["content-type"], other.content[:4]) == (f"image/{kind}", head)
    assert client.get(f"/v1/sessions/{session}/result", params={"format": "gif"}).status_code == 422


def test_a_stream_tells_the_answer_word_by_word_and_ends_with_the_report(client: TestClient) -> None:
    session = opened(client, photo_of(3))
    with client.stream(
        "POST", f"/v1/sessions/{session}/instruct/stream", json={"instruction": "remove the acne"}
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        blocks = [b.split("\n") for b in "".join(answer.iter_text()).split("\n\n") if b and not b.startswith(":")]
    events = [(b[0].removeprefix("event: "), json.loads(b[1].removeprefix("data: "))) for b in blocks]
    assert events[0] == ("accepted", {"session": session})
    assert events[-1][0] == "result"
    assert "".join(data for name, data in events if name == "word") == events[-1][1]["answer"]
    assert client.post(f"/v1/sessions/{session}/instruct/stream", json={"instruction": ""}).status_code == 422


def test_a_brush_keeps_the_edit_inside(client: TestClient) -> None:
    session = opened(client, photo_of(4))
    drawn = np.zeros((512, 512), np.uint8)
    drawn[:, :230] = 255
    brush = base64.b64encode(encoded(drawn)).decode()
    assert instruct(client, session, brush=brush).json()["changed"]
    after = pixels_of(client.get(f"/v1/sessions/{session}/result").content)
    assert np.array_equal(after[:, 240:], pixels_of(photo_of(4))[:, 240:])
    small = base64.b64encode(encoded(drawn[:100])).decode()
    text = base64.b64encode(b"no picture").decode()
    for bad, word in ((small, "512x100"), ("%%%", "base64"), ("é", "base64"), (text, "not an image")):
        answer = instruct(client, session, brush=bad)
        assert answer.status_code == 422
        assert word in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("photo", "status", "kind"),
    [
        (b"hello", 422, "NotAnImage"),
        (b"", 422, "NotAnImage"),
        (photo_of()[:5000], 422, "CorruptPhoto"),
        (encoded(np.full((300, 300, 3), 90, np.uint8)), 422, "NoFaceFound"),
        (photo_of(side=256), 422, "FaceTooSmall"),
        (encoded(np.zeros((8000, 8000), np.uint8)), 413, "PhotoTooLarge"),
        (encoded(np.zeros((20_000, 20_000), np.uint8)), 413, "PhotoTooLarge"),
    ],
)
def test_photos_that_cannot_be_used(photo: bytes, status: int, kind: str, running: tuple[Service, TestClient]) -> None:
    service, client = running
    before = len(service.sessions), sorted(service.folder.rglob("*"))
    answer = client.post("/v1/sessions", files={"photo": photo})
    assert (answer.status_code, answer.json()["error"]["kind"]) == (status, kind)
    assert str(service.folder) not in answer.text
    assert (len(service.sessions), sorted(service.folder.rglob("*"))) == before


def test_wrong_requests_have_one_shape_and_echo_nothing(client: TestClient) -> None:
    session = opened(client, photo_of(5))
    wrong = [
        instruct(client, session, "x", strength=2),
        instruct(client, session, "x", strength="1"),
        instruct(client, session, "secret " * 400),
        instruct(client, session, "x", path="/etc/passwd"),
        client.post(f"/v1/sessions/{session}/instruct", content=b"{"),
        client.post("/v1/sessions", files={"photo": photo_of()}, data={"face": "7"}),
    ]
    for answer in wrong:
        assert answer.status_code == 422, answer.text
        assert set(answer.json()["error"]) == {"kind", "message"}
        assert "secret" not in answer.text
    assert client.get("/v1/sessions/unknown").status_code == 404
    assert client.get("/v1/sessions/..%2f..%2fetc").status_code in (404, 422)
    assert client.get("/nothing").status_code == 404
    assert client.put("/v1/sessions").status_code == 405


def test_our_own_fault_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = engine()
    _, client = served(tmp_path, model=model)
    with client:
        session = opened(client, photo_of())

        def broken(text: str) -> None:
            raise ZeroDivisionError("/a/path/of/ours")

        monkeypatch.setattr(model.planner, "plan", broken)
        answer = instruct(client, session)
        assert (answer.status_code, answer.json()["error"]["kind"]) == (500, "Internal")
        assert "path" not in answer.text
        assert "Traceback" not in answer.text
        with client.stream("POST", f"/v1/sessions/{session}/instruct/stream", json={"instruction": "x"}) as events:
            said = "".join(events.iter_text())
        assert "event: error" in said
        assert "path" not in said


def test_the_token_opens_and_nothing_else_does(tmp_path: Path) -> None:
    _, client = served(tmp_path, token=TOKEN)
    with client:
        assert client.get("/health").status_code == 200
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Authorization": "Bearer é"}):
            answer = client.get("/metrics", headers={k: v.encode() for k, v in headers.items()})
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert client.get("/openapi.json", headers={k: v.encode() for k, v in headers.items()}).status_code == 401
        good = {"Authorization": f"Bearer {TOKEN}"}
        assert client.get("/metrics", headers=good).status_code == 200
        assert client.get("/metrics", headers=good | {"Origin": "https://evil.example"}).status_code == 403
        assert "access-control-allow-origin" not in client.get("/metrics", headers=good).headers


def test_without_a_token_only_loopback_names_are_answered(client: TestClient) -> None:
    assert client.get("/metrics", headers={"Host": "evil.example"}).status_code == 403
    assert client.get("/metrics", headers={"Host": "127.0.0.1:8000"}).status_code == 200
    assert client.options("/v1/sessions", headers={"Origin": "https://evil.example"}).status_code == 403


def test_an_open_address_needs_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RETOUCHGPT_TOKEN", raising=False)
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):
        with pytest.raises(BadData, match="token"):
            check_exposure(host, None)
        check_exposure(host, TOKEN)
    for host in ("127.0.0.1", "::1", "localhost"):
        check_exposure(host, None)
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert token_of(SimpleNamespace(token_file=str(file))) == TOKEN
    file.write_text("short")
    with pytest.raises(BadData, match="at least 16"):
        token_of(SimpleNamespace(token_file=str(file)))
    with pytest.raises(BadData, match="cannot read"):
        token_of(SimpleNamespace(token_file=str(tmp_path / "none")))
    assert token_of(SimpleNamespace(token_file=None)) is None


def test_bodies_are_bounded_with_and_without_a_length(tmp_path: Path) -> None:
    _, client = served(tmp_path, Limits(body_bytes=100_000))
    with client:
        answer = client.post("/v1/sessions", files={"photo": bytes(200_000)})
        assert (answer.status_code, answer.json()["error"]["kind"]) == (413, "BodyTooLarge")

        def endless() -> Iterator[bytes]:
            yield b'--x\r\nContent-Disposition: form-data; name="photo"; filename="p"\r\n\r\n'
            for _ in range(10):
                yield bytes(50_000)

        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        answer = client.post("/v1/sessions", content=endless(), headers=headers)
        assert (answer.status_code, answer.json()["error"]["kind"]) == (413, "BodyTooLarge")


def test_a_slow_body_is_cut_off(tmp_path: Path) -> None:
    service, client = served(tmp_path, Limits(upload_seconds=0.05))
    sent: list[Any] = []

    async def never() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/sessions", "raw_path": b"", "query_string": b"", "root_path": "",
        "headers": [(b"host", b"localhost"), (b"content-type", b"multipart/form-data; boundary=x")],
        "http_version": "1.1", "scheme": "http", "server": ("localhost", 80), "client": ("localhost", 1),
    }  # fmt: skip
    asyncio.run(client.app(scope, never, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 408
    service.pool.close(1)


def test_a_full_line_answers_429_and_recovers(tmp_path: Path) -> None:
    model = engine()
    service, client = served(tmp_path, Limits(waiting=1), model=model)
    with client:
        sessions = [opened(client, photo_of(n)) for n in range(3)]
        free, at_work = threading.Event(), threading.Event()
        plan = model.planner.plan

        def held(text: str) -> Any:
            at_work.set()
            free.wait(30)
            return plan(text)

        model.planner.plan = held  # type: ignore[method-assign]
        answers: dict[int, Any] = {}
        threads = [
            threading.Thread(target=lambda n=n: answers.update({n: instruct(client, sessions[n])})) for n in (0, 1)
        ]
        threads[0].start()
        assert at_work.wait(30)
        threads[1].start()
        wait_until(lambda: service.pool.waiting == 1)
        refused = instruct(client, sessions[2])
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        free.set()
        for thread in threads:
            thread.join(30)
        assert [answers[n].status_code for n in (0, 1)] == [200, 200]
        assert instruct(client, sessions[2]).status_code == 200


def wait_until(true: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_time_is_up_and_the_session_is_there_again_afterwards(tmp_path: Path) -> None:
    model = engine()
    service, client = served(tmp_path, Limits(request_seconds=30), model=model)
    with client:
        session = opened(client, photo_of())
        service.sessions.limits = replace(service.limits, request_seconds=0.2)
        free = threading.Event()
        plan = model.planner.plan

        def held(text: str) -> Any:
            free.wait(30)
            return plan(text)

        model.planner.plan = held  # type: ignore[method-assign]
        answer = instruct(client, session)
        assert (answer.status_code, answer.json()["error"]["kind"]) == (504, "TooSlow")
        second = instruct(client, session)
        assert second.status_code == 504, "the first still has the session"
        free.set()
        service.sessions.limits = replace(service.limits, request_seconds=30)
        assert instruct(client, session, "what do you see?").status_code == 200
        assert client.get(f"/v1/sessions/{session}").json()["steps"] == ["remove the acne"]


def test_sessions_expire_and_are_bounded_in_number_and_pixels(tmp_path: Path) -> None:
    service, client = served(tmp_path, Limits(sessions=2, held_megapixels=0.6))
    now = [0.0]
    service.sessions.clock = lambda: now[0]
    with client:
        first, second = (opened(client, photo_of(n)) for n in (1, 2))
        assert client.post("/v1/sessions", files={"photo": photo_of()}).status_code == 429
        now[0] = 800.0
        assert client.get(f"/v1/sessions/{second}").status_code == 200
        now[0] = 1000.0
        assert client.get(f"/v1/sessions/{first}").status_code == 404
        assert client.get(f"/v1/sessions/{second}").json()["expires_in_seconds"] == 900
        assert [p.name for p in service.sessions.folder.iterdir()] == [second]
        opened(client, photo_of())
        now[0] = 1800.0
        service.sessions.limits = replace(service.limits, sessions=9)
        assert client.get(f"/v1/sessions/{second}").status_code == 200
        refused = client.post("/v1/sessions", files={"photo": photo_of()})
        assert refused.status_code == 429
        assert "memory" in refused.json()["error"]["message"]


def finished(client: TestClient, job: str) -> dict[str, Any]:
    wait_until(lambda: client.get(f"/v1/jobs/{job}").json()["state"] == "done")
    return dict(client.get(f"/v1/jobs/{job}").json())


def test_a_job_has_an_outcome_for_every_photo(running: tuple[Service, TestClient]) -> None:
    service, client = running
    photos = {"a.jpg": photo_of(1, kind="JPEG"), "/x/b.png": b"no", "c": photo_of(3)}
    files = [("photos", row) for row in photos.items()]
    answer = client.post("/v1/jobs", files=files, data={"instruction": "remove the acne"})
    assert answer.status_code == 202, answer.text
    job = answer.json()["id"]
    state = finished(client, job)
    assert (state["total"], state["done"], state["refused"]) == (3, 2, 1)
    assert [p["name"] for p in state["photos"]] == ["a.jpg", "b.png", "c"]
    assert "not an image" in state["photos"][1]["why"]
    assert str(service.folder) not in json.dumps(state)
    assert client.get(f"/v1/jobs/{job}/photos/1").headers["content-type"] == "image/jpeg"
    third = pixels_of(client.get(f"/v1/jobs/{job}/photos/3").content)
    assert np.array_equal(third[:64, :64], pixels_of(photo_of(3))[:64, :64])
    assert [client.get(f"/v1/jobs/{job}/photos/{n}").status_code for n in (0, 2, 4)] == [422, 404, 404]
    assert client.delete(f"/v1/jobs/{job}").status_code == 204
    assert client.get(f"/v1/jobs/{job}").status_code == 404
    assert not list(service.jobs.folder.iterdir())


def test_unchanged_photos_of_a_job_say_why(client: TestClient) -> None:
    answer = client.post("/v1/jobs", files={"photos": photo_of()}, data={"instruction": "make her nose smaller"})
    (photo,) = finished(client, answer.json()["id"])["photos"]
    assert photo["outcome"] == "unchanged"
    assert "shapes" in photo["why"]


def test_jobs_go_on_after_a_restart_and_repeat_nothing(tmp_path: Path) -> None:
    model = engine()
    service, client = served(tmp_path, model=model)
    looked: list[int] = []
    plan = model.planner.plan
    at_second, free = threading.Event(), threading.Event()

    def held(text: str) -> Any:
        looked.append(1)
        if len(looked) == 2:
            at_second.set()
            free.wait(30)
        return plan(text)

    model.planner.plan = held  # type: ignore[method-assign]
    with client:
        files = [("photos", (f"{n}.png", photo_of(n))) for n in range(4)]
        job = client.post("/v1/jobs", files=files, data={"instruction": "remove the acne"}).json()["id"]
        assert at_second.wait(30)
        threading.Timer(0.2, free.set).start()
    # stopping finished the photo that was being done, and began no other
    assert len(looked) == 2
    lines = (service.jobs.folder / job / "outcomes.jsonl").read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == [1, 2]
    _, again = served(tmp_path, model=model)
    with again:
        assert finished(again, job)["done"] == 4
        assert np.array_equal(
            pixels_of(again.get(f"/v1/jobs/{job}/photos/4").content)[:64, :64], pixels_of(photo_of(3))[:64, :64]
        )
    assert len(looked) == 4


def test_jobs_are_bounded(tmp_path: Path) -> None:
    _, client = served(tmp_path, Limits(jobs=1, job_photos=2))
    with client:
        files = [("photos", (str(n), b"no")) for n in range(3)]
        assert client.post("/v1/jobs", files=files, data={"instruction": "x"}).status_code == 413
        first = client.post("/v1/jobs", files=files[:1], data={"instruction": "x"})
        finished(client, first.json()["id"])
        assert client.post("/v1/jobs", files=files[:1], data={"instruction": "x"}).status_code == 429


def test_metrics_count_routes_and_carry_no_ids(client: TestClient) -> None:
    session = opened(client, photo_of())
    instruct(client, session)
    text = client.get("/metrics").text
    assert 'retouchgpt_requests_total{method="POST",route="/v1/sessions/{session}/instruct",status="200"}' in text
    assert "process_resident_memory_bytes" in text
    assert session not in text


def test_the_pool_serves_the_background_now_and_then_and_drains(tmp_path: Path) -> None:
    order: list[str] = []
    gate = threading.Event()
    pool: Pool[None] = Pool([None], waiting=8)
    first = pool.submit(lambda _: gate.wait(30))
    wait_until(lambda: pool.busy == 1)
    tasks = [pool.submit(lambda _, n=n: order.append(f"front {n}")) for n in range(6)]
    tasks += [pool.submit(lambda _, n=n: order.append(f"back {n}"), background=True) for n in range(2)]
    tasks += [pool.submit(lambda _: None) for _ in range(2)]
    with pytest.raises(Refusal, match="line is full"):
        pool.submit(lambda _: None)
    gate.set()
    for task in (first, *tasks):
        task.result(30)
    assert order[0] == "front 0"
    assert order.index("back 0") < order.index("front 5")
    pool.close(10)
    with pytest.raises(Refusal, match="stopping"):
        pool.submit(lambda _: None)


def test_pictures_in_use_are_never_half_read(client: TestClient) -> None:
    """Result and mask of one session at once, from several threads, are whole and the same."""
    session = opened(client, photo_of(9))
    instruct(client, session)
    got: list[bytes] = []

    def fetch() -> None:
        got.append(client.get(f"/v1/sessions/{session}/result").content)

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(got) == 4
    assert len({pixels_of(g).tobytes() for g in got}) == 1
