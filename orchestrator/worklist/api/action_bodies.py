"""The bodies of actions: what may be said with each."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from orchestrator.worklist.api.bodies import Body
from orchestrator.worklist.instants import micros

BULK_MAX: Final = 100

Text = Annotated[str, Field(min_length=1, max_length=4000)]
Name = Annotated[
    str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")
]
Reached = Literal["patient", "caregiver", "voicemail", "no-answer", "wrong-number", "bot"]
Answers = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=64)],
        Annotated[str, Field(max_length=1000)] | None,
    ],
    Field(max_length=50),
]


def _readable(text: str) -> str:
    micros(text)
    return text


Instant = Annotated[
    str, AfterValidator(_readable), Field(json_schema_extra={"format": "date-time"})
]


class OnBehalf(Body):
    on_behalf_of: Name | None = Field(
        default=None, description="For a team's own system: who did it."
    )


class Accept(OnBehalf):
    """Nothing need be said."""


class Release(OnBehalf):
    reason: Text | None = None


class Contact(OnBehalf):
    outcome: Name | None = None
    reached: Reached | None = None
    answers: Answers | None = None
    note: Text | None = None


class Attempt(Contact):
    at: Instant | None = Field(default=None, description="When it was tried; not in the future.")


class Complete(Contact):
    accepted_discrepancies: Annotated[list[Name], Field(max_length=100)] | None = None
    appointment_id: Name | None = None


class Reject(OnBehalf):
    reason: Text
    note: Text | None = None


class Reassign(OnBehalf):
    to: Name = Field(description="A team or an actor.")
    reason: Text | None = None


class Note(OnBehalf):
    note: Text


class BulkItem(Body):
    task_id: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:-]+$")]
    version: Annotated[int, Field(ge=1)]


def _once(items: list[BulkItem]) -> list[BulkItem]:
    if len({item.task_id for item in items}) < len(items):
        raise ValueError("a task stands twice")
    return items


class Bulk(OnBehalf):
    action: Literal["accept", "release", "reassign"]
    items: Annotated[
        list[BulkItem], AfterValidator(_once), Field(min_length=1, max_length=BULK_MAX)
    ]
    to: Name | None = None
    reason: Text | None = None


class Acknowledge(OnBehalf):
    note: Text | None = None
