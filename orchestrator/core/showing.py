"""The patient view: whom to call and what to know, for as long as something is open.

Only what care teams need is published, and it goes again when nothing is open any more: the
topic then holds a tombstone.  The version grows for ever, over tombstones too.
"""

from hashlib import blake2b
from typing import Any, Final, NamedTuple

from orchestrator.core import picture
from orchestrator.core.cells import AppointmentCell
from orchestrator.core.instants import written
from orchestrator.core.marks import visit_of
from orchestrator.core.masking import is_masked
from orchestrator.core.patient import Patient
from orchestrator.core.policy import Rules
from orchestrator.core.reconcile import Ledger
from orchestrator.core.view import View
from orchestrator.core.wanted import TERMINAL

PREFERENCES: Final = ("outreach", "channel", "hours", "no_share_with", "language")


class Showing(NamedTuple):
    """One view to publish under the key of *whose*; ``None``: nothing is open any more."""

    whose: Patient
    view: dict[str, Any] | None


def showings(patient: Patient, rules: Rules, now: int) -> list[Showing]:
    """
    What of *patient* is to be published after a step, changed in its ledgers in place.

    Args:
        patient: Nothing follows without a plan; what that saw is used up.
        now: The clock, for stays that are stale.
    """
    seen, patient.seen = patient.seen, None
    if seen is None or seen.facilities:
        return []  # nothing new; a feed, not a person
    is_open, found = _open(patient.ledger), []
    if patient.others:
        others = patient.others.values()
        # Who was joined is known under another name now.
        found = [Showing(one, None) for one in others if _ends(one)]
        is_open = is_open or any(_open(one.ledger) for one in others)
    if not is_open:
        return [*found, Showing(patient, None)] if _ends(patient) else found
    content = _content(patient, seen, rules, now)
    digest = blake2b(repr(content).encode(), digest_size=12).hexdigest()
    version, shown = patient.ledger.shown
    if shown == digest:
        return found
    patient.ledger.shown = (version + 1, digest)
    patient.ledger_dirty = True
    view = {**content, "version": version + 1, "updated_at": written(max(now, patient.at))}
    return [*found, Showing(patient, view)]


def _ends(patient: Patient) -> bool:
    version, shown = patient.ledger.shown
    if shown:
        patient.ledger.shown = (version, "")
        patient.ledger_dirty = True
    return bool(shown)


def _open(ledger: Ledger) -> bool:
    return (
        any(row["status"] != "closed" for row in ledger.transitions.values())
        or any(row["status"] not in TERMINAL for row in ledger.tasks.values())
        or any(row["status"] == "open" for row in ledger.gaps.values())
    )


def _content(patient: Patient, seen: View, rules: Rules, now: int) -> dict[str, Any]:
    facilities = {row["facility"] for row in patient.ledger.transitions.values()}
    facilities |= {stay.facility for stay in seen.stays}
    aliases: list[str] = []
    if patient.others:
        aliases = sorted(name for name in patient.others if visit_of(name) is None)
        for one in patient.others.values():
            facilities |= {row["facility"] for row in one.ledger.transitions.values()}
    masked = any(is_masked(stay, seen) for stay in seen.stays)
    preferences = {name: seen.said(name) for name in PREFERENCES}
    died = seen.said("died_at")
    return {
        "patient_key": patient.key,
        "patient": patient.subject,
        "aliases": aliases,
        "facilities": sorted(facilities),
        "name": seen.said("name"),
        "birth_date": seen.said("birth_date"),
        "phones": seen.said("phones") or [],
        "language": seen.said("language"),
        "address": seen.said("address"),
        "caregivers": seen.said("caregivers") or [],
        "pcp": seen.said("pcp"),
        "preferences": preferences if any(preferences.values()) else None,
        "died_at": None if died is None else written(died),
        "test_patient": bool(seen.said("test_patient")),
        "masks": ["appointments", "stays"] if masked else [],
        "stays": picture.stays(seen, rules, now),
        "appointments": [_appointment(cell) for cell in seen.appointments],
        "medications": {},
        "medication_issues": [],
        "scores": [],
    }


def _appointment(cell: AppointmentCell) -> dict[str, Any]:
    said = {name: held.value for name, held in cell.said.items()}
    times = {
        name: None if said.get(name) is None else written(said[name])
        for name in ("starts_at", "ends_at")
    }
    rest = {name: said.get(name) for name in ("provider", "service", "modality", "status")}
    return {"appointment_id": cell.appointment, **times, **rest}
