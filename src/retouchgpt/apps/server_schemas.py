"""What goes in and out of the server, as OpenAPI tells it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from retouchgpt.session.result import INSTRUCTION_LIMIT

Instruction = Annotated[str, Field(min_length=1, max_length=INSTRUCTION_LIMIT, examples=["remove the acne"])]
Face = Annotated[str, Field(min_length=1, max_length=200, examples=["largest", "all", "1", "the woman on the right"])]
Strength = Annotated[float, Field(ge=0, le=1)]


class Instruct(BaseModel):
    """One turn. strength multiplies every edit's own. brush: a picture of the photo's size in base64, white where
    edits may happen."""

    model_config = ConfigDict(extra="forbid", strict=True)

    instruction: Instruction
    strength: Strength = 1.0
    brush: Annotated[str, Field(max_length=50_000_000)] | None = None


class Error(BaseModel):
    kind: str
    message: str


class ErrorAnswer(BaseModel):
    """Why a request was turned down: a word for programs and a line for people."""

    error: Error


class Found(BaseModel):
    imperfection: str
    region: str
    count: int
    area_px: int
    confidence: float


class SessionState(BaseModel):
    """An open session. faces: boxes (x0, y0, x1, y1) in photo px. steps: the instructions in force, oldest first."""

    id: str
    name: str
    width: int
    height: int
    faces: list[list[int]]
    found: list[Found]
    steps: list[str]
    notes: list[str]
    expires_in_seconds: float


class Report(BaseModel):
    """What an instruction gave; the fields of docs/report.md."""

    model_config = ConfigDict(extra="allow")

    version: int
    instruction: str
    answer: str
    changed: bool
    mask_area_px: int
    plan: dict[str, Any]
    faces: list[dict[str, Any]]
    steps: list[str]


class JobPhoto(BaseModel):
    """number: from 1, as sent. why: for unchanged and refused."""

    number: int
    name: str
    outcome: Literal["done", "unchanged", "refused"]
    answer: str | None = None
    why: str | None = None
    notes: list[str] = []


class JobState(BaseModel):
    id: str
    state: Literal["running", "done"]
    total: int
    done: int
    unchanged: int
    refused: int
    photos: list[JobPhoto]


class Health(BaseModel):
    status: Literal["ok"]
    version: str
    workers: int
    waiting: int
    sessions: int
    jobs: int
