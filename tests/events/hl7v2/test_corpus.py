"""Every HL7 message of the shared example data ends as events, as ignored, or as a typed reject.

The tables are frozen: a change in what becomes of real messages is a decision, not a side effect.
"""

import json
from collections import Counter
from typing import Any

import pytest

from events import canonical
from events.hl7v2 import Hl7Result
from events.reject import REASONS
from tests.events.hl7v2 import corpus
from tests.events.hl7v2.builders import GEN, NO_ZONES, read

# Long after the last message, as if all had reached the runtime at once: fewer are too far ahead.
LATE = "2030-01-01T00:00:00Z"

# Of the FHIR-Converter's messages most have an MSH-7 of 1989 and events of 2015 to 2029: as files
# they are parked by the letter (ruling 33).
AS_FILES = {
    "admission.opened": 1,
    "admission.opened + patient.updated": 427,
    "admission.opened + patient.updated + patient.died": 1,
    "admission.updated": 4,
    "admission.updated + patient.updated": 7,
    "admission.updated + patient.updated + patient.died": 1,
    "appointment.booked": 3,
    "appointment.cancelled": 2,
    "appointment.entered_in_error": 1,
    "appointment.no_show": 1,
    "appointment.rescheduled": 2,
    "discharge.cancelled": 1,
    "discharge.recorded": 5,
    "patient.merged": 7,
    "patient.merged + patient.merged": 1,
    "patient.updated": 6,
    "patient.updated + patient.died": 1,
    "ignored ACK": 29,
    "ignored ADT^A09": 1,
    "ignored ADT^A10": 2,
    "ignored ADT^A15": 1,
    "ignored ADT^A26": 1,
    "ignored ADT^A29": 1,
    "ignored ADT^A41": 1,
    "ignored ADT^A60": 2,
    "bad-time": 35,
    "identity-conflict": 4,
    "malformed": 30,
    "missing-patient": 23,
    "missing-visit": 60,
    "unknown-type": 736,
    "unsupported-version": 1,
}
IN_THE_RUNTIME = {
    "admission.cancelled + patient.died": 2,
    "admission.opened": 2,
    "admission.opened + patient.updated": 446,
    "admission.opened + patient.updated + patient.died": 3,
    "admission.planned + patient.died": 1,
    "admission.planned + patient.updated + patient.died": 1,
    "admission.updated": 4,
    "admission.updated + patient.died": 1,
    "admission.updated + patient.updated": 7,
    "admission.updated + patient.updated + patient.died": 2,
    "appointment.booked": 3,
    "appointment.cancelled": 2,
    "appointment.entered_in_error": 1,
    "appointment.no_show": 1,
    "appointment.rescheduled": 2,
    "discharge.cancelled": 1,
    "discharge.cancelled + patient.died": 1,
    "discharge.pending + patient.died": 2,
    "discharge.recorded": 5,
    "discharge.recorded + patient.updated + patient.died": 1,
    "patient.merged": 7,
    "patient.merged + patient.merged": 1,
    "patient.updated": 6,
    "patient.updated + patient.died": 3,
    "ignored ACK": 29,
    "ignored ADT^A09": 1,
    "ignored ADT^A10": 2,
    "ignored ADT^A15": 1,
    "ignored ADT^A26": 1,
    "ignored ADT^A29": 1,
    "ignored ADT^A41": 1,
    "ignored ADT^A60": 2,
    "identity-conflict": 5,
    "malformed": 30,
    "missing-patient": 23,
    "missing-visit": 60,
    "unknown-type": 736,
    "unsupported-version": 1,
}
OURS = {"timeflags", "unmapped", "stamps"}  # beside what a publisher may send


def outcome(result: Hl7Result) -> str:
    """One word for what became of a message."""
    words = [event["type"].removeprefix("care.").removesuffix(".v1") for event in result.events]
    words += [reject.reason for reject in result.rejects]
    words += [f"ignored {result.ignored}"] if result.ignored else []
    return " + ".join(words)


def outcomes(receipt: str | None) -> Counter[str]:
    return Counter(outcome(read(raw, receipt)) for _, raw in corpus.messages())


@pytest.fixture(autouse=True)
def _corpus() -> None:
    corpus.need_corpus()


@pytest.mark.parametrize(
    ("receipt", "expected"), [(None, AS_FILES), (LATE, IN_THE_RUNTIME)], ids=["files", "runtime"]
)
def test_each_message_ends_in_a_known_way(receipt: str | None, expected: dict[str, int]) -> None:
    """
    The counts by outcome are those that were looked at, and no message is a bug of ours.
    """
    found = outcomes(receipt)

    assert expected == dict(found)
    assert "handler-failed" not in found


@pytest.mark.parametrize("receipt", [None, LATE], ids=["files", "runtime"])
def test_events_are_those_that_a_publisher_would_have_sent(receipt: str | None) -> None:
    """
    Written out and read again as canonical JSON, each event is accepted and comes out the same.
    """
    for _, raw in corpus.messages():
        for event in read(raw, receipt).events:
            said = {name: value for name, value in event.items() if name not in OURS}

            assert canonical.decode(json.dumps(said).encode(), GEN) == said


def test_rejects_are_typed_and_say_whose_they_are() -> None:
    """
    A reject has a reason of the contract, and the patient's name where PID-3 could be read.
    """
    with_patient = 0
    for _, raw in corpus.messages():
        for reject in read(raw, LATE).rejects:
            assert reject.reason in REASONS
            assert reject.detail
            assert reject.receipt == LATE
            with_patient += reject.subject is not None
    assert with_patient > 0


def test_the_same_bytes_give_the_same_events() -> None:
    """
    Nothing is remembered from one message to the next, so order and repeats do not matter.
    """
    sample = corpus.messages()[:300]
    forth = [read(raw).events for _, raw in sample]
    back = [read(raw).events for _, raw in reversed(sample)]

    assert forth == back[::-1]


def test_ids_tell_messages_apart_that_reuse_a_control_id() -> None:
    """
    Messages with one MSH-10 and other content are other events (data/README.md trap 3).
    """
    ids: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for _, raw in corpus.messages():
        for event in read(raw, LATE).events:
            ids.setdefault((event["source"], event["id"]), []).append(event)

    for same in ids.values():
        first, *rest = ({k: v for k, v in event.items() if k != "receivedtime"} for event in same)
        stamps = set(first.get("stamps", ()))
        for other in rest:
            assert {k: v for k, v in first.items() if k not in stamps} == {
                k: v for k, v in other.items() if k not in stamps
            }


def test_local_times_need_a_zone() -> None:
    """
    Without a facilities file nobody knows the zone, so a time without an offset is no time.
    """
    zoned = outcomes(LATE)
    unzoned = Counter(outcome(read(raw, LATE, NO_ZONES)) for _, raw in corpus.messages())

    assert unzoned["bad-time"] > zoned["bad-time"]
    assert "handler-failed" not in unzoned
