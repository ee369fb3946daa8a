"""The topics: names, keys, who writes and reads them, how long they keep (``contract.md`` 1).

The one list of them; creating topics, both runtimes and the export read it.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Final, Literal

MAX_MESSAGE_BYTES: Final = 2 * 1024 * 1024  # an accepted event of 1 MiB fits, and its dead letter
DEFAULT_MESSAGE_BYTES: Final = 1024 * 1024

TEAMS: Final = (
    "nurse-outreach",
    "scheduling",
    "pharmacy",
    "case-management",
    "social-work",
    "restricted",
    "operations",
)


@dataclass(frozen=True, slots=True)
class Topic:
    """
    One topic.

    Attributes:
        kind: Who owns its content: publishers (``input``), we for others (``output``), we for
            ourselves (``internal``).
        key: What its records are keyed by, in words.
        retention: ``None``: compacted, the newest record of a key is kept.
        append_time: The broker, not the sender, stamps its records; receipts are those stamps.
        partitioned: One journal's partition count and assignment; others are as the site likes.
    """

    name: str
    kind: Literal["input", "internal", "output"]
    key: str
    value: str
    written_by: tuple[str, ...]
    read_by: tuple[str, ...]
    retention: timedelta | None
    max_message_bytes: int = DEFAULT_MESSAGE_BYTES
    append_time: bool = False
    partitioned: bool = False

    @property
    def compacted(self) -> bool:
        return self.retention is None


_HOSPITALS: Final = ("gateway", "hospital systems")
_MONTH: Final = timedelta(days=30)


def _input(name: str, value: str, written_by: tuple[str, ...], *more_readers: str) -> Topic:
    return Topic(
        name,
        "input",
        "sender's",
        value,
        written_by,
        ("intake", *more_readers),
        _MONTH,
        max_message_bytes=MAX_MESSAGE_BYTES,
        append_time=True,
    )


def queue_topic(team: str) -> str:
    """The topic on which *team* hears of its tasks."""
    return f"care.queue.{team}.v1"


def _queue(team: str) -> Topic:
    return Topic(
        queue_topic(team),
        "output",
        "patient key",
        "task changes for one team, with the fields that team may see",
        ("decide",),
        ("that team's systems",),
        _MONTH,
        partitioned=True,
    )


_ALL: Final = (
    _input("care.admission.v1", "events care.admission.*", _HOSPITALS),
    _input("care.discharge.v1", "events care.discharge.*", _HOSPITALS),
    _input("care.medication.v1", "events care.medication.*", (*_HOSPITALS, "pharmacies")),
    _input("care.appointment.v1", "events care.appointment.*", (*_HOSPITALS, "practices")),
    _input(
        "care.patient.v1",
        "events care.patient.*, care.result.*, care.document.*, care.referral.*",
        _HOSPITALS,
    ),
    _input(
        "care.outcome.v1", "events care.task.*", ("worklist", "care teams' own systems"), "worklist"
    ),
    _input("care.backfill.v1", "any event, lane backfill", ("operators",)),
    Topic(
        "care.journal.v1",
        "internal",
        "patient key",
        "accepted events, clock, identity and other records, in the order that decides",
        ("intake", "decide"),
        ("decide",),
        timedelta(days=120),
        max_message_bytes=MAX_MESSAGE_BYTES,
        append_time=True,
        partitioned=True,
    ),
    Topic(
        "care.task.v1",
        "output",
        "task id",
        "the current task, whole",
        ("decide",),
        ("worklist", "care teams"),
        None,
        partitioned=True,
    ),
    *(_queue(team) for team in TEAMS),
    Topic(
        "care.gap.v1",
        "output",
        "gap id",
        "the current gap, whole",
        ("decide",),
        ("worklist", "dashboards"),
        None,
        partitioned=True,
    ),
    Topic(
        "care.patient-view.v1",
        "output",
        "patient key",
        "whom to call and what to know; a tombstone when nothing is open",
        ("decide",),
        ("worklist",),
        None,
        partitioned=True,
    ),
    Topic(
        "care.change.v1",
        "output",
        "patient key",
        "every change to a task, gap or transition, in order",
        ("decide",),
        ("worklist", "audit", "analytics"),
        timedelta(days=400),
        partitioned=True,
    ),
    Topic(
        "care.dead-letter.v1",
        "output",
        "original key",
        "the original bytes, with headers reason, stage, topic, partition, offset, error",
        ("all",),
        ("operators",),
        _MONTH,
        max_message_bytes=MAX_MESSAGE_BYTES,
    ),
    Topic(
        "care.audit.v1",
        "output",
        "actor",
        "who saw or did what; what became of each dead letter",
        ("worklist", "gateway"),
        ("worklist", "auditors"),
        timedelta(days=6 * 366),  # 45 CFR 164.316(b)(2): six years
    ),
)

TOPICS: Final[dict[str, Topic]] = {topic.name: topic for topic in _ALL}
INPUTS: Final = tuple(topic.name for topic in _ALL if topic.kind == "input")

BACKFILL: Final = "care.backfill.v1"
JOURNAL: Final = "care.journal.v1"
DEAD_LETTER: Final = "care.dead-letter.v1"

# By the second word of an event's type.
_OF_NOUN: Final = {
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


@lru_cache(maxsize=1_000)  # asked for every event
def topic_of(event_type: str, lane: str = "live") -> str | None:
    """
    The input topic for an event of *event_type*, whether or not its version is read here.

    ``None``: no topic takes it.
    """
    words = event_type.split(".")
    if len(words) != 4 or words[0] != "care":
        return None
    topic = _OF_NOUN.get(words[1])
    return BACKFILL if topic is not None and lane == "backfill" else topic
