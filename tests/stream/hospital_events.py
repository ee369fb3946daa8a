"""What a small hospital might send, drawn from a seed; each event complete and valid."""

import random
from typing import Any

from orchestrator.core.instants import read, written
from tests.stream.fakes import START

HOUR_US = 3_600_000_000
ANSWERS = dict.fromkeys(
    ("understanding", "medicines", "appointment", "help_at_home", "education_given"), "yes"
)


def drawn(rng: random.Random, number: int, *, before: int = START) -> tuple[str, dict[str, Any]]:
    """
    One event and the topic of its type.

    Args:
        before: It happened in the 60 hours before this instant, so that 24 and 48 hour deadlines
            pass soon after, before and while it is read.
    """
    patient = rng.randrange(40)
    kind = rng.choice(_KINDS)
    at = written(before - rng.randrange(60 * HOUR_US) // 1_000_000 * 1_000_000)
    event = {
        "specversion": "1.0",
        "id": f"GEN-{number:06}",
        "source": "hospital/GEN/adt",
        "type": f"care.{kind}.v1",
        "time": at,
        "subject": f"GEN|MRN{patient}",
        "facility": "GEN",
        "data": _data(rng, kind, f"V{patient}-{rng.randrange(2)}", at),
    }
    return _TOPICS[kind.partition(".")[0]], event


_KINDS = (
    *["admission.opened"] * 3,
    "admission.updated",
    *["discharge.recorded"] * 6,
    "discharge.cancelled",
    *["appointment.booked"] * 2,
    "appointment.cancelled",
    "patient.updated",
    "task.completed",
    "task.attempted",
)
_TOPICS = {
    "admission": "care.admission.v1",
    "discharge": "care.discharge.v1",
    "appointment": "care.appointment.v1",
    "patient": "care.patient.v1",
    "task": "care.outcome.v1",
}


def _data(rng: random.Random, kind: str, visit: str, at: str) -> dict[str, Any]:
    if kind.startswith("admission"):
        return {"visit_number": visit, "class": "INPATIENT", "admitted_at": at}
    if kind == "discharge.recorded":
        disposition = {"code": rng.choice(["01", "01", "03", "06", "ZZ"])}
        return {"visit_number": visit, "disposition": disposition}
    if kind.startswith("appointment"):
        starts = read(at) + rng.randrange(10 * 24) * HOUR_US
        return {
            "appointment_id": f"A{rng.randrange(30)}",
            "starts_at": written(starts),
            "modality": "in-person",
            "provider": {"is_pcp": True, "name": "Dr. A"},
        }
    if kind.startswith("task"):
        task = {"visit_number": visit, "kind": "CALL_48H", "actor": "n1", "role": "rn"}
        if kind == "task.completed":
            return {**task, "outcome": "ok", "reached": "patient", "answers": ANSWERS}
        return {**task, "reached": "no-answer"}
    if kind == "patient.updated":
        return {"name": {"family": "Doe"}, "phones": [f"555-01{rng.randrange(100):02}"]}
    return {"visit_number": visit}
