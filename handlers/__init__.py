"""Translation: an accepted event to what the core is told.  Pure; one row per event type.

`HANDLERS` is the contents page: which module reads which event.  An event that no rule reads yet
(medication, results, documents, referrals) is still journalled and shown on the
patient's timeline.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from handlers import appointments, codes, commands, envelope, identity, people, visits
from handlers.envelope import Said
from orchestrator.core.facts import Told
from schemas.facilities import Facilities

HANDLERS: Final[Mapping[str, Callable[[Said], Told]]] = {
    "care.admission.planned.v1": visits.planned,
    "care.admission.opened.v1": visits.opened,
    "care.admission.updated.v1": visits.updated,
    "care.admission.left.v1": visits.left,
    "care.admission.returned.v1": visits.returned,
    "care.admission.cancelled.v1": visits.admission_cancelled,
    "care.discharge.pending.v1": visits.pending,
    "care.discharge.recorded.v1": visits.recorded,
    "care.discharge.corrected.v1": visits.corrected,
    "care.discharge.cancelled.v1": visits.discharge_cancelled,
    **{f"care.appointment.{what}.v1": appointments.appointment for what in appointments.STATUS},
    "care.patient.updated.v1": people.updated,
    "care.patient.died.v1": people.died,
    "care.patient.consent_changed.v1": people.consent_changed,
    "care.patient.preference_changed.v1": people.preference_changed,
    **dict.fromkeys(identity.TITLES, identity.said_of_records),
    **{f"care.task.{what}.v1": commands.command for what in commands.TITLES},
}

TITLES: Final = {
    "medication.list_recorded": "Medication list received",
    "medication.ordered": "Medication ordered",
    "medication.changed": "Medication changed",
    "medication.stopped": "Medication stopped",
    "medication.dispensed": "Medication dispensed",
    "patient.screened": "Needs screened",
    "result.final": "Result reported",
    "document.received": "Document received",
    "referral.created": "Referral made",
}


def told(event: Mapping[str, Any], facilities: Facilities) -> Told:
    """
    Translate one accepted event.

    Args:
        event: As ``events`` made it: normalised times, a receipt.
        facilities: For code maps.

    Returns:
        Its facts or its command; a repeat gives the same.
    """
    said = envelope.said(event, facilities)
    handler = HANDLERS.get(event["type"])
    if handler is not None:
        found = handler(said)
    else:
        family, name = event["type"].split(".")[1:3]
        found = said.told(TITLES.get(f"{family}.{name}") or "Message received", [])
    if "identifiers" in said.data:
        found = replace(found, marks=identity.marks(said))
    if "retries" in event:
        found = replace(found, retries=tuple(event["retries"]))
    return found


def unmapped_fields(event: Mapping[str, Any], facilities: Facilities) -> list[str]:
    """The fields whose codes nothing maps, each a reason for the gap ``DATA_QUALITY``."""
    found = list(event.get("unmapped") or ())
    flags = event.get("timeflags") or {}
    found += [name.removeprefix("data.") for name in flags if "UNREADABLE" in flags[name]]
    data = event["data"]
    if "visit_number" in data and not event["type"].startswith("care.task."):
        facility = facilities.get(event.get("facility") or data.get("facility") or "")
        found += [name for name in codes.unmapped(data, facility) if name not in found]
    return found
