"""Admissions and discharges: what a hospital says about one visit (HL7 ADT, FHIR Encounter).

All of them may carry any field of the visit, because that is how feeds are: an A08 repeats what
the A01 said, and the A03 may be the first to name the attending.
"""

from typing import Annotated, Literal

from pydantic import Field

from schemas.envelope import VisitEvent
from schemas.facility import STAY_CLASSES
from schemas.values import Code, Data, Id, Instant, MaybeId, Provider, Said, open_words


class PendingResult(Said):
    """A result still to come when the patient leaves."""

    order_id: MaybeId | None = None
    code: Code | None = None


class Visit(Data):
    """One visit; PV1 and PV2 in HL7."""

    visit_number: Id  # a visit event is about one: never null
    class_: Annotated[str | None, Field(alias="class")] = open_words(*STAY_CLASSES)  # PV1-2
    admitted_at: Instant | None = None  # PV1-44
    discharged_at: Instant | None = None  # PV1-45
    disposition: Code | None = None  # PV1-36
    destination: Code | None = None  # PV1-37
    admit_type: Code | None = None  # PV1-4, table 0007
    admit_source: Code | None = None  # PV1-14, table 0023
    service: Code | None = None  # PV1-10
    location: Code | None = None  # PV1-3
    attending: Provider | None = None  # PV1-7
    pcp: Provider | None = None  # PD1-4, ROL
    diagnoses: list[Code] | None = None  # DG1
    payer: Code | None = None  # IN1
    account_number: MaybeId | None = None  # PID-18
    alternate_visit_numbers: list[Id] | None = None  # PV1-50
    previous_visit_number: MaybeId | None = None  # MRG-5, where the number changes (A06, A07, A50)


class PlannedAdmission(Visit):
    expected_at: Instant | None = None  # PV2-8
    planned: bool | None = None


class PendingDischarge(Visit):
    expected_at: Instant | None = None  # PV2-9


class Discharge(Visit):
    pending_results: list[PendingResult | str] | None = None


class Cancel(Visit):
    cancels_at: Instant | None = Field(
        default=None, description="The instant of the happening that is taken back."
    )


class AdmissionPlanned(VisitEvent):
    type: Literal["care.admission.planned.v1"]
    data: PlannedAdmission


class AdmissionOpened(VisitEvent):
    type: Literal["care.admission.opened.v1"]
    data: Visit


class AdmissionUpdated(VisitEvent):
    type: Literal["care.admission.updated.v1"]
    data: Visit


class AdmissionLeft(VisitEvent):
    """Leave of absence begins."""

    type: Literal["care.admission.left.v1"]
    data: Visit


class AdmissionReturned(VisitEvent):
    """Leave of absence ends."""

    type: Literal["care.admission.returned.v1"]
    data: Visit


class AdmissionCancelled(VisitEvent):
    """It did not happen."""

    type: Literal["care.admission.cancelled.v1"]
    data: Cancel


class DischargePending(VisitEvent):
    type: Literal["care.discharge.pending.v1"]
    data: PendingDischarge


class DischargeRecorded(VisitEvent):
    type: Literal["care.discharge.recorded.v1"]
    data: Discharge


class DischargeCorrected(VisitEvent):
    type: Literal["care.discharge.corrected.v1"]
    data: Discharge


class DischargeCancelled(VisitEvent):
    """It did not happen."""

    type: Literal["care.discharge.cancelled.v1"]
    data: Cancel
