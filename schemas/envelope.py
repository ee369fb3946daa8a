"""The envelope of every event: CloudEvents 1.0 with the contract's own attributes.

Each event type is a subclass that fixes ``type`` and ``data``; see :mod:`schemas.events`.
"""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from schemas.values import Data, Id, Instant, MaybeId, Said, Source, Subject, missing, said

Lane = Literal["live", "backfill", "test"]


class Event(Said):
    """
    One event as a publisher writes it.

    Attributes:
        needs_facility: The event is about a visit, and visit numbers are a facility's own.  What
            names a person, an order, an appointment or a task by itself needs none.
    """

    needs_facility: ClassVar[bool] = False

    specversion: Literal["1.0"] | None = None
    id: Id
    source: Source
    type: str
    time: Instant = Field(description="When it happened; what every rule counts from.")
    subject: Subject
    facility: MaybeId | None = Field(default=None, description="Else data.facility is read.")
    recordedtime: Instant | None = Field(
        default=None, description="When it was entered in the sending system; default: time."
    )
    receivedtime: Instant | None = Field(
        default=None, description="When it reached us; intake overwrites it."
    )
    lane: Lane | None = Field(default=None, description="Default: live.")
    data: Data


class VisitEvent(Event):
    """An event of one visit at one facility."""

    needs_facility: ClassVar[bool] = True

    @model_validator(mode="after")
    def _of_a_facility(self) -> Self:
        if not said(self.facility) and not said(self.data.facility):
            raise missing("facility")
        return self
