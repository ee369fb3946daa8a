"""The person: demographics, identity, death, consent, preferences, needs.

Identity events are checked here only as far as one event can tell: who merges a person into
itself, or across authorities, has made a mistake that no later event repairs.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from schemas.envelope import Event, VisitEvent
from schemas.values import Code, Data, Id, Instant, Provider, Subject, open_words

BirthDate = Annotated[str, StringConstraints(pattern=r"^\d{4}(-\d\d(-\d\d)?)?$")]


class Person(Data):
    name: str | dict[str, Any] | None = None  # PID-5
    birth_date: BirthDate | None = None  # PID-7; FHIR date, so a year or month may be all
    phones: list[str | dict[str, Any]] | None = None  # PID-13
    language: Code | None = None  # PID-15
    address: str | dict[str, Any] | None = None  # PID-11
    caregivers: list[str | dict[str, Any]] | None = None  # NK1
    pcp: Provider | None = None  # PD1-4, ROL
    test_patient: bool | None = None


class Retirement(Data):
    retired: Subject  # MRG-1


class MovedVisit(Data):
    visit_number: Id  # the visit that moves: never null
    from_: Annotated[Subject, Field(alias="from")]


class MovedIdentifier(Data):
    identifier: Subject
    from_: Annotated[Subject, Field(alias="from")]


class Death(Data):
    died_at: Instant | None = Field(default=None, description="null takes the death back.")


class Consent(Data):
    # Closed, both: a consent that is read wrongly discloses.
    scope: Literal["part2", "sharing", "outreach"]
    state: Literal["granted", "revoked"]
    parties: list[str | dict[str, Any]] | None = None


class Preference(Data):
    # Closed: an unread "no" is a call that the patient asked us not to make.
    outreach: Literal["accept", "decline-calls", "decline-all"] | None = None
    channel: str | None = None
    hours: Any = None
    no_share_with: list[str | dict[str, Any]] | None = None
    language: Code | None = None


class Screening(Data):
    needs_: Annotated[list[str] | None, Field(alias="needs")] = open_words(
        "transport",
        "housing",
        "food",
        "utilities",
        "safety",
        "literacy",
        "financial",
        "caregiver",
    )
    functional_status: Code | None = None
    lives_alone: bool | None = None


def _two_of_one_authority(subject: str, other: str) -> None:
    if subject == other:
        raise PydanticCustomError("self_merge", "both identifiers are the same")
    # Plain medical record numbers never link across authorities (``design.md``, Identity): one
    # registration desk cannot retire another's number.
    if subject.partition("|")[0] != other.partition("|")[0]:
        raise PydanticCustomError("identity_conflict", "the identifiers have two authorities")


class PatientUpdated(Event):
    type: Literal["care.patient.updated.v1"]
    data: Person


class PatientMerged(Event):
    """``subject`` survives."""

    type: Literal["care.patient.merged.v1"]
    data: Retirement

    @model_validator(mode="after")
    def _of_two(self) -> Self:
        _two_of_one_authority(self.subject, self.data.retired)
        return self


class PatientUnmerged(Event):
    type: Literal["care.patient.unmerged.v1"]
    data: Retirement

    @model_validator(mode="after")
    def _of_two(self) -> Self:
        _two_of_one_authority(self.subject, self.data.retired)
        return self


class PatientVisitMoved(VisitEvent):
    """``subject`` is the right patient."""

    type: Literal["care.patient.visit_moved.v1"]
    data: MovedVisit

    @model_validator(mode="after")
    def _of_two(self) -> Self:
        _two_of_one_authority(self.subject, self.data.from_)
        return self


class PatientIdentifiersMoved(Event):
    """An un-merge from ``from`` and a merge into ``subject``."""

    type: Literal["care.patient.identifiers_moved.v1"]
    data: MovedIdentifier

    @model_validator(mode="after")
    def _of_two(self) -> Self:
        _two_of_one_authority(self.subject, self.data.from_)
        return self


class PatientDied(Event):
    type: Literal["care.patient.died.v1"]
    data: Death


class PatientConsentChanged(Event):
    type: Literal["care.patient.consent_changed.v1"]
    data: Consent


class PatientPreferenceChanged(Event):
    type: Literal["care.patient.preference_changed.v1"]
    data: Preference


class PatientScreened(Event):
    type: Literal["care.patient.screened.v1"]
    data: Screening
