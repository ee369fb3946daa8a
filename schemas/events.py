"""Every event type of the contract, in one registry and one discriminated union.

``EVENT`` reads any event by its ``type``; ``EVENT_TYPES`` says what a type is: its model, whether
it needs a facility, which of its fields are instants.  A new type is a class in the module of its
topic and a line in ``AnyEvent``; everything else (export, topics, decoding) follows.
"""

import re
from typing import Annotated, Final, Literal, NamedTuple, get_args

from pydantic import Field, TypeAdapter

from schemas.appointment_events import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentCheckedIn,
    AppointmentEnteredInError,
    AppointmentFulfilled,
    AppointmentNoShow,
    AppointmentRescheduled,
)
from schemas.clinical_events import DocumentReceived, ReferralCreated, ResultFinal
from schemas.command_events import (
    TaskAccepted,
    TaskAttempted,
    TaskCompleted,
    TaskNoted,
    TaskReassigned,
    TaskRejected,
    TaskReleased,
)
from schemas.envelope import Event
from schemas.medication_events import (
    Entry,
    MedicationChanged,
    MedicationDispensed,
    MedicationListRecorded,
    MedicationOrdered,
    MedicationStopped,
)
from schemas.patient_events import (
    PatientConsentChanged,
    PatientDied,
    PatientIdentifiersMoved,
    PatientMerged,
    PatientPreferenceChanged,
    PatientScreened,
    PatientUnmerged,
    PatientUpdated,
    PatientVisitMoved,
)
from schemas.values import MaybeId, Said
from schemas.visit_events import (
    AdmissionCancelled,
    AdmissionLeft,
    AdmissionOpened,
    AdmissionPlanned,
    AdmissionReturned,
    AdmissionUpdated,
    DischargeCancelled,
    DischargeCorrected,
    DischargePending,
    DischargeRecorded,
)

AnyEvent = Annotated[
    AdmissionPlanned
    | AdmissionOpened
    | AdmissionUpdated
    | AdmissionLeft
    | AdmissionReturned
    | AdmissionCancelled
    | DischargePending
    | DischargeRecorded
    | DischargeCorrected
    | DischargeCancelled
    | MedicationListRecorded
    | MedicationOrdered
    | MedicationChanged
    | MedicationStopped
    | MedicationDispensed
    | AppointmentBooked
    | AppointmentRescheduled
    | AppointmentCancelled
    | AppointmentCheckedIn
    | AppointmentFulfilled
    | AppointmentNoShow
    | AppointmentEnteredInError
    | PatientUpdated
    | PatientMerged
    | PatientUnmerged
    | PatientVisitMoved
    | PatientIdentifiersMoved
    | PatientDied
    | PatientConsentChanged
    | PatientPreferenceChanged
    | PatientScreened
    | ResultFinal
    | DocumentReceived
    | ReferralCreated
    | TaskAccepted
    | TaskReleased
    | TaskAttempted
    | TaskCompleted
    | TaskRejected
    | TaskReassigned
    | TaskNoted,
    Field(discriminator="type"),
]

EVENT: Final[TypeAdapter[AnyEvent]] = TypeAdapter(AnyEvent)

_VERSION: Final = re.compile(r"\.v\d{1,9}", re.ASCII)


class EventType(NamedTuple):
    """What the code that reads events must know of a type."""

    name: str  # ``care.discharge.recorded.v1``
    model: type[Event]
    needs_facility: bool
    times: tuple[str, ...]  # fields of ``data`` that are instants
    ids: tuple[str, ...]  # fields of ``data`` that are ids and may be left out
    entry_times: tuple[str, ...]  # the same of each medication entry in ``entry`` or ``entries``

    @property
    def noun(self) -> str:
        return self.name.split(".")[1]


def field_names(model: type[Said]) -> tuple[str, ...]:
    """The fields of *model* as they are written on the wire."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _instants(model: type[Said]) -> tuple[str, ...]:
    # The house rule that names of instants end in ``_at`` is what this stands on; a test holds it.
    return tuple(name for name in field_names(model) if name.endswith("_at"))


def _optional_ids(model: type[Said]) -> tuple[str, ...]:
    return tuple(
        field.alias or name
        for name, field in model.model_fields.items()
        if field.annotation == (MaybeId | None)
    )


def _event_type(model: type[Event]) -> EventType:
    (name,) = get_args(model.model_fields["type"].annotation)
    data = model.model_fields["data"].annotation
    assert isinstance(data, type)
    assert issubclass(data, Said)
    has_entries = {"entry", "entries"} & set(data.model_fields)
    entry_times = _instants(Entry) if has_entries else ()
    return EventType(
        name, model, model.needs_facility, _instants(data), _optional_ids(data), entry_times
    )


EVENT_TYPES: Final[dict[str, EventType]] = {
    known.name: known for known in map(_event_type, get_args(get_args(AnyEvent)[0]))
}
_UNVERSIONED: Final = frozenset(name.rpartition(".")[0] for name in EVENT_TYPES)


def unread_type(name: str) -> Literal["unsupported-version", "unknown-type"]:
    """Why a *name* that is not in ``EVENT_TYPES`` cannot be read: its version, or all of it."""
    known, _, version = name.rpartition(".")
    if known in _UNVERSIONED and _VERSION.fullmatch("." + version):
        return "unsupported-version"
    return "unknown-type"
