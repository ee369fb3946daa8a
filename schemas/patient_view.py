"""``care.patient-view.v1``: whom to call and what to know, while something is open.

Keyed by the patient key of the name that survives; a tombstone when nothing is open.
"""

from typing import Any

from pydantic import Field

from schemas.tasks import PatientKey, Version
from schemas.transitions import Score, Stay
from schemas.values import Published, UtcInstant


class Preferences(Published):
    """What the patient wants of us; each as it was said last."""

    outreach: str | None
    channel: str | None
    hours: Any
    no_share_with: list[Any] | None
    language: Any


class PatientAppointment(Published):
    """One appointment (FHIR Appointment), as it stands."""

    appointment_id: str
    starts_at: UtcInstant | None
    ends_at: UtcInstant | None
    provider: Any
    service: Any
    modality: str | None
    status: str | None


class PatientView(Published):
    """One patient with something open."""

    patient_key: PatientKey
    version: Version = Field(description="Grows for ever, over tombstones too.")
    patient: str = Field(description="The surviving identifier, authority|identifier.")
    aliases: list[str]
    facilities: list[str] = Field(description="Of the stays and transitions: who may see it.")
    name: Any = Field(description="As it was sent.")
    birth_date: str | None
    phones: list[Any]
    language: Any
    address: Any
    caregivers: list[Any]
    pcp: Any
    preferences: Preferences | None
    died_at: UtcInstant | None
    test_patient: bool
    masks: list[str] = Field(description="Fields that consent withholds.")
    stays: list[Stay]
    appointments: list[PatientAppointment]
    medications: dict[str, Any]
    medication_issues: list[Any]
    scores: list[Score]
    updated_at: UtcInstant = Field(description="When we knew.")
