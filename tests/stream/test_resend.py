"""What sending a dead letter again appends, and what it is called in the patient's gap."""

from typing import Any

import orjson
import pytest

from events.files import Record
from orchestrator.core.facts import parked_name
from orchestrator.core.instants import HOUR, written
from orchestrator.stream import retries
from orchestrator.stream.intake import dead_letter
from orchestrator.stream.keys import patient_key
from orchestrator.stream.publish import Row, sending_of
from orchestrator.stream.resend import Again, Lay, Letter, Parked, again, names, place_of
from tests.stream.fakes import FACILITIES, SITE_KEY, START, admitted

NOW = written(START + HOUR)
WHOLE = admitted(1)
HL7 = (
    "MSH|^~\\&|ADT|GEN|CARE|CARE|20261001080000-0400||ADT^A01^ADT_A01|M1|P|2.5.1\r"
    "EVN|A01|20261001080000-0400\r"
    "PID|1||MRN1^^^GEN^MR||Sedge^Ash\r"
    "PV1|1|I|4W^1^1^GEN|{admit_type}|||||||||||||||{visit}\r"
)


def hl7(visit: str) -> bytes:
    return HL7.format(admit_type="E", visit=visit).encode()


def key_of(text: str) -> str:
    return patient_key(SITE_KEY, text)


def pairs(**headers: str) -> list[tuple[str, bytes | None]]:
    return [(name, said.encode()) for name, said in headers.items()]


def letter(raw: bytes, **headers: str) -> Letter:
    return Letter(START, headers, raw, len(raw), pairs(**headers))


def sent(one: Letter, lay: Lay | None = None, **more: Any) -> Again:
    return again(one, lay, FACILITIES, key_of, receipt=NOW, **more)


def parked_names(row: Row) -> list[str]:
    """As intake reads them: nothing where the seal is not ours."""
    return [
        name.rpartition("\0")[2] for name in retries.read(row.headers, row.subject or "", key_of)
    ]


def test_an_event_goes_to_the_topic_of_its_type_as_it_was_sent() -> None:
    """Byte for byte, under the patient's key, and it says for whom it stands."""
    raw = orjson.dumps(WHOLE)
    found = sent(letter(raw, stage="publish"))

    assert found.reject is None
    assert [(row.topic, row.subject, row.value) for row in found.rows] == [
        ("care.admission.v1", "GEN|MRN1", raw)
    ]
    assert parked_names(found.rows[0]) == [WHOLE["id"]]


def test_a_mended_hl7_message_stands_for_the_one_that_was_refused() -> None:
    """Its content has another hash, so its event another id; the gap knows the first."""
    one = letter(hl7(""), stage="publish")
    (refused,) = sending_of(Record("f:1", "hl7v2", hl7("")), FACILITIES, NOW).rejects
    found = sent(one, replacement=hl7("V1"))

    assert refused.reason == "missing-visit"
    assert {row.topic for row in found.rows} == {"care.admission.v1", "care.patient.v1"}
    assert all(parked_names(row) == [refused.event_id] for row in found.rows)
    assert refused.event_id not in found.events


def test_line_ends_of_an_editor_are_those_of_segments() -> None:
    """LF or CRLF end a segment as well as CR does."""
    edited = hl7("V1").replace(b"\r", b"\r\n")
    assert sent(letter(hl7(""), stage="publish"), replacement=edited).reject is None


@pytest.mark.parametrize(
    ("replacement", "reason"),
    [
        (b"", "malformed"),
        (b"   \n", "malformed"),
        (b"no message", "malformed"),
        (orjson.dumps([WHOLE, WHOLE]), "malformed"),
        (hl7("V1") + hl7("V2"), "malformed"),
        (hl7(""), "missing-visit"),
        (b'{"resourceType": "Patient"}', "unknown-type"),
    ],
    ids=["empty", "blank", "text", "two events", "two messages", "as wrong", "FHIR"],
)
def test_what_a_door_would_refuse_is_refused_here_too(replacement: bytes, reason: str) -> None:
    """And nothing is appended."""
    found = sent(letter(hl7(""), stage="publish"), replacement=replacement)

    assert found.reject is not None
    assert (found.reject.reason, found.rows) == (reason, ())


def test_of_a_too_large_message_the_beginning_is_not_sent_as_the_whole() -> None:
    """The letter holds 64 KiB of it; only a replacement helps."""
    raw = orjson.dumps({**WHOLE, "extra": "x" * 1024 * 1024})
    (refused,) = sending_of(Record("f:1", "canonical", raw), FACILITIES, NOW).rejects
    kept = dead_letter(None, raw, refused, "publish", {})
    one = Letter(START, kept.headers, kept.value, int(kept.headers["size"]))

    found = sent(one)
    assert found.reject is not None
    assert found.reject.reason == "too-large"
    assert sent(one, replacement=orjson.dumps(WHOLE)).reject is None


def test_what_another_record_says_is_never_sent_for_it() -> None:
    """A log that was restored from a copy gives the same offsets to other patients' records."""
    place = {"stage": "intake", "topic": "care.admission.v1", "partition": "0", "offset": "7"}
    raw, other = orjson.dumps(WHOLE), orjson.dumps(admitted(2))
    found = sent(letter(raw, **place), Lay(other, []))
    assert [row.value for row in found.rows] == [raw]

    place |= {"stage": "decide", "topic": "care.journal.v1"}
    entry = orjson.dumps({"kind": "event", "event": admitted(2), "raw": other.decode()})
    found = sent(letter(raw, **place), Lay(entry, []))
    assert [row.subject for row in found.rows] == ["GEN|MRN1"]


def test_what_an_adapter_found_out_goes_with_it() -> None:
    """It stands in headers on a topic, and in the event in the journal; senders may not say it."""
    notes = {"unmapped": '["disposition"]'}
    raw = orjson.dumps(WHOLE)
    place = {"stage": "intake", "topic": "care.admission.v1", "partition": "0", "offset": "7"}
    (row,) = sent(letter(raw, **place), Lay(raw, pairs(**notes))).rows
    assert row.headers["unmapped"] == notes["unmapped"]

    place |= {"stage": "decide", "topic": "care.journal.v1"}
    event = {**WHOLE, "receivedtime": NOW, "lane": "live", "unmapped": ["disposition"]}
    entry = orjson.dumps({"kind": "event", "event": event, "raw": raw.decode()})
    (row,) = sent(letter(raw, **place), Lay(entry, [])).rows
    assert row.headers["unmapped"] == notes["unmapped"]
    assert parked_names(row) == [WHOLE["id"]]


def test_an_event_without_a_readable_id_is_called_by_its_content() -> None:
    """The gap's name for it and the letter's are one."""
    raw = orjson.dumps({**WHOLE, "id": 1})
    (refused,) = sending_of(Record("f:1", "canonical", raw), FACILITIES, NOW).rejects
    (_, told) = sending_of(Record("f:1", "canonical", raw), FACILITIES, NOW).letters

    assert refused.event_id is None
    entry = orjson.loads(told.value)
    assert names(letter(raw, stage="publish"), None, FACILITIES) == [
        Parked("GEN|MRN1", parked_name(entry["source"], entry["event_id"]))
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"topic": "care.admission.v1", "partition": "0"},
        {"topic": "care.admission.v1", "partition": "x", "offset": "1"},
        {"topic": "care.audit.v1", "partition": "0", "offset": "1"},
        {"topic": "__consumer_offsets", "partition": "0", "offset": "1"},
        {"topic": "care.admission.v1", "partition": "-1", "offset": "1"},
        {"topic": "care.admission.v1", "partition": "0", "offset": "9" * 20},
        {"topic": "care.admission.v1", "partition": "9" * 10, "offset": "1"},
    ],
)
def test_only_where_messages_come_in_is_looked(headers: dict[str, str]) -> None:
    """A letter's headers lead to no other topic."""
    assert place_of(headers) is None


def test_a_broker_s_letter_tells_what_lay_beside_it() -> None:
    """It keeps its sender's headers: enough where nothing lies at its place any more."""
    place = {"stage": "intake", "topic": "care.admission.v1", "partition": "0", "offset": "7"}
    beside = {f"ce_{name}": str(said) for name, said in WHOLE.items() if name != "data"}
    raw = orjson.dumps(WHOLE["data"])
    (row,) = sent(letter(raw, **beside, **place)).rows

    assert (row.topic, row.subject, row.value) == ("care.admission.v1", "GEN|MRN1", raw)
    assert {name for name in row.headers if name != "retries"} == set(beside)


def sealed(**said: Any) -> str:
    return orjson.dumps(said).decode()


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        "5",
        "null",
        "[[1]]",
        '["E1"]',
        sealed(names=["E1"]),
        sealed(names=["E1"], seal="0" * 32),
        sealed(names=["E1"], seal="\u00e9"),
        sealed(names=["E1"], seal=5),
        sealed(names=[["E1"]], seal="0" * 32),
        sealed(names="E1", seal="0" * 32),
        sealed(names=["E1"], seal=key_of("E1")),
        retries.header(["E1"], "GEN|MRN2", key_of)["retries"],
        retries.header(["E1"], "GEN|MRN1", lambda text: patient_key(b"another key", text))[
            "retries"
        ],
    ],
)
def test_nobody_else_can_say_what_a_message_stands_for(header: str) -> None:
    """It closes a patient's gap; whoever may write to a topic could say it, too."""
    assert retries.read({"retries": header}, "GEN|MRN1", key_of) == []


def test_what_we_say_is_read() -> None:
    """For this patient, with this site's key."""
    told = retries.header(["GEN/ADT\0E1"], "GEN|MRN1", key_of)
    assert retries.read(told, "GEN|MRN1", key_of) == ["GEN/ADT\0E1"]


PLACE = {"stage": "intake", "topic": "care.admission.v1", "partition": "0", "offset": "7"}


@pytest.mark.parametrize("gone", [False, True], ids=["from its place", "from the letter"])
@pytest.mark.parametrize(
    "more",
    [[("ce_subject", b"GEN|MRN2")], [("CE_Subject", b"GEN|MRN2")], [("ce_name", b"\xff")]],
    ids=["twice", "twice, otherwise written", "no text"],
)
def test_headers_that_name_nobody_for_sure_are_refused_again(
    more: list[tuple[str, bytes | None]], gone: bool
) -> None:
    """Intake refused it because a doubled header could name another patient: so does this."""
    beside = pairs(**{f"ce_{name}": str(said) for name, said in WHOLE.items() if name != "data"})
    beside += more
    raw = orjson.dumps(WHOLE["data"])
    one = Letter(START, PLACE, raw, len(raw), [*beside, *pairs(**PLACE)])
    found = sent(one, None if gone else Lay(raw, beside))

    assert found.reject is not None
    assert (found.reject.reason, found.rows) == ("malformed", ())


def test_history_is_sent_as_history() -> None:
    """A mended event of the backfill says nothing of its lane: its topic did."""
    place = {**PLACE, "topic": "care.backfill.v1"}
    one = letter(orjson.dumps({**WHOLE, "time": None}), **place)
    found = sent(one, replacement=orjson.dumps(WHOLE))
    assert [row.topic for row in found.rows] == ["care.backfill.v1"]

    entry = {"kind": "event", "event": {**WHOLE, "lane": "backfill", "receivedtime": NOW}}
    raw = orjson.dumps(WHOLE)
    lay = Lay(orjson.dumps({**entry, "raw": raw.decode()}), [])
    one = letter(raw, **{**PLACE, "topic": "care.journal.v1", "stage": "decide"})
    found = sent(one, lay, replacement=raw)
    assert [row.topic for row in found.rows] == ["care.backfill.v1"]


def test_whose_message_it_was_is_told_when_it_was_another_s() -> None:
    """The gap stands with whom the bad message named; what is mended goes to whom it is about."""
    one = letter(orjson.dumps({**WHOLE, "data": []}), **PLACE)
    row, told = sent(one, replacement=orjson.dumps(admitted(2))).rows

    assert (row.subject, parked_names(row)) == ("GEN|MRN2", [])
    assert (told.topic, told.subject, parked_names(told)) == (
        "care.patient.v1", "GEN|MRN1", [WHOLE["id"]],
    )  # fmt: skip
    assert retries.mended_of(told.value) == "GEN|MRN1"
