"""Schemathesis over the server's OpenAPI: whatever is sent, every answer is one that the schema tells of."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS

from retouchgpt.apps.server_app import Service, create_app
from retouchgpt.apps.server_limits import Access, Limits
from tests.serving import live, photo_of

EXAMPLES = 8
# that a file is a photo cannot be said in a schema, so a body that fits it may still be refused
CHECKED = [check for check in CHECKS.get_all() if check.__name__ != "positive_data_acceptance"]


def described() -> dict[str, Any]:
    """The OpenAPI of a server without workers."""
    with tempfile.TemporaryDirectory() as folder:
        return create_app(Service([], Path(folder), Limits()), Access()).openapi()


SCHEMA = schemathesis.openapi.from_dict(described())


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with live(tmp_path_factory.mktemp("serve"), Limits(sessions=1000, jobs=1000)) as address:
        yield address


@pytest.fixture(scope="module")
def session(url: str) -> str:
    """A session that exists, so that its routes are reached behind the 404."""
    return str(httpx.post(f"{url}/v1/sessions", files={"photo": photo_of()}).json()["id"])


@SCHEMA.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=1)
def test_every_answer_fits_the_schema(case: Any, url: str, session: str) -> None:
    parameters = dict(case.path_parameters or {})
    if case.method in ("GET", "POST") and len(str(parameters.get("session", ""))) % 2:
        case.path_parameters = parameters | {"session": session}
    case.call_and_validate(base_url=url, checks=CHECKED)


def test_all_routes_are_told(url: str) -> None:
    paths = httpx.get(f"{url}/openapi.json").json()["paths"]
    assert set(paths["/v1/sessions/{session}"]) == {"get", "delete"}
    assert sum(len(item) for item in paths.values()) == 17
