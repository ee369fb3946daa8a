"""Which topics intake reads, which are partitioned, and how long each is kept, in this runtime."""

from datetime import timedelta
from typing import Final

JOURNAL: Final = "care.journal.v1"
DEAD_LETTER: Final = "care.dead-letter.v1"
BACKFILL: Final = "care.backfill.v1"
LIVE_INPUTS: Final = (
    "care.admission.v1",
    "care.discharge.v1",
    "care.medication.v1",
    "care.appointment.v1",
    "care.patient.v1",
    "care.outcome.v1",
)
INPUTS: Final = (*LIVE_INPUTS, BACKFILL)
COMPACTED: Final = ("care.task.v1", "care.gap.v1", "care.patient-view.v1")
_KEYED: Final = frozenset((JOURNAL, *COMPACTED, "care.change.v1"))
_QUEUE: Final = "care.queue."


def is_keyed(topic: str) -> bool:
    """Journal and outputs are partitioned by patient; inputs and dead letters are one log each."""
    return topic in _KEYED or topic.startswith(_QUEUE)


def retention(topic: str) -> timedelta | None:
    """How long a record of *topic* is kept; ``None``: until a later one of its key."""
    if topic in COMPACTED:
        return None
    days = {JOURNAL: 120, "care.change.v1": 400, "care.audit.v1": 6 * 366}.get(topic, 30)
    return timedelta(days=days)


_TOPIC_OF_NOUN: Final = {
    "admission": "care.admission.v1",
    "discharge": "care.discharge.v1",
    "medication": "care.medication.v1",
    "appointment": "care.appointment.v1",
    "patient": "care.patient.v1",
    "result": "care.patient.v1",
    "document": "care.patient.v1",
    "referral": "care.patient.v1",
    "task": "care.outcome.v1",
}


def topic_of(event_type: str, lane: str) -> str | None:
    """The input topic of an event type, known in this version or not; ``None``: there is none."""
    words = event_type.split(".")
    if len(words) != 4 or words[0] != "care":
        return None
    topic = _TOPIC_OF_NOUN.get(words[1])
    return BACKFILL if topic is not None and lane == "backfill" else topic
