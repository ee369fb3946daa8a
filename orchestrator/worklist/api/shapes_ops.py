"""The shapes of what operators and data stewards are answered, for the OpenAPI document."""

from typing import Any, Literal

from pydantic import Field

from orchestrator.worklist.api.shapes import FreshnessShape, Shape
from schemas.values import UtcInstant


class Reader(Shape):
    """One partition and one group that reads it; null is not known."""

    group: str
    topic: str
    partition: int
    offset: int | None
    end: int
    lag: int | None
    lag_s: float | None
    state: Literal["OK", "LAGGING", "STALLED", "UNKNOWN"]


class Lag(Shape):
    sampled_at: UtcInstant | None
    readers: list[Reader]


class Deadlines(Shape):
    sampled_at: UtcInstant | None
    backlog: int | None = Field(description="Passed and not fired; null: the log does not tell.")


class Feed(Shape):
    """How one facility's feed speaks."""

    facility: str
    heard_at: UtcInstant | None
    expected_interval_s: float | None
    dead_letters_24h: int
    silent: bool


class Feeds(Shape):
    items: list[Feed]
    freshness: FreshnessShape


class DeadLetter(Shape):
    """A message that could not be taken, without what stood in it."""

    id: str
    at: UtcInstant
    reason: str
    stage: str
    type: str | None = Field(description="An event's type, or MSH-9, where it is one.")
    topic: str
    offset: str | None
    error: str | None
    facility: str | None
    size: int
    status: Literal["open", "retried", "discarded"]
    tries: int = Field(description="How often somebody sent it again.")
    decided_at: UtcInstant | None
    decided_by: str | None
    purpose: str | None = Field(description="Why it was put away.")


class LetterEdit(Shape):
    """What somebody made of a letter; its bytes are read as those of a letter are."""

    id: str
    at: UtcInstant
    by: str
    size: int


class OneDeadLetter(DeadLetter):
    edits: list[LetterEdit]


class Retried(Shape):
    """What became of a letter that was sent again."""

    id: str
    result: Literal["accepted", "ignored", "refused", "pending"]
    reason: str | None
    detail: str | None
    changes: int
    tasks_changed: int
    dead_letter: str | None = Field(description="The new letter, where deciding refused it.")


class Discarded(Shape):
    id: str
    status: Literal["discarded"]
    reason: str


class Job(Shape):
    """Something that runs longer than a request."""

    id: str
    kind: str
    state: Literal["running", "done", "stopped", "failed"]
    progress: float = Field(ge=0, le=1)
    done: int
    total: int
    started_at: UtcInstant
    ended_at: UtcInstant | None
    result: dict[str, Any] | None
    reason: str | None


class ReasonCount(Shape):
    reason: str
    count: int
    oldest: UtcInstant


class DeadLetters(Shape):
    items: list[DeadLetter]
    next: str | None
    counts: list[ReasonCount]
    freshness: FreshnessShape


class DeadLetterBytes(Shape):
    id: str
    value_base64: str
    size: int
    cut: bool = Field(description="Only the first 64 KiB are kept.")
