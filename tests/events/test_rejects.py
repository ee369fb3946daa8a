"""Every reason of the contract that one event can give, and what a reject carries."""

from typing import Any

import pytest

from events import decode_record
from events.canonical import MAX_BYTES, decode
from events.files import Kind
from events.reject import REASONS, Reject
from schemas.events import EVENT_TYPES
from tests.events.samples import GEN, NOWHERE, event, raw

LONG = "x" * 129


def data(**said: Any) -> dict[str, Any]:
    return {"visit_number": "V1", **said}


# Reason, what is wrong, the event, the pointers named.
BAD: list[tuple[str, str, Any, tuple[str, ...]]] = [
    ("malformed", "a list", [], ()),
    ("malformed", "a scalar", "discharge", ()),
    ("malformed", "type is a number", event(type=1), ("/type",)),
    ("malformed", "data is a list", event(data=[]), ("/data",)),
    ("malformed", "data is a text", event(data="V1"), ("/data",)),
    ("malformed", "base64", event(without="data", data_base64="e30"), ("/data_base64",)),
    ("malformed", "base64 list", event(without="data", data_base64="W10="), ("/data_base64",)),
    ("malformed", "base64 number", event(without="data", data_base64=5), ("/data_base64",)),
    ("malformed", "id is a number", event(id=1), ("/id",)),
    ("malformed", "id too long", event(id=LONG), ("/id",)),
    ("malformed", "id with a control character", event(id="a\nb"), ("/id",)),
    ("malformed", "source is a list", event(source=["a"]), ("/source",)),
    ("malformed", "subject is a number", event(subject=123), ("/subject",)),
    ("malformed", "subject too long", event(subject="GEN|" + "1" * 253), ("/subject",)),
    ("malformed", "subject with a line end", event(subject="GEN|1\n"), ("/subject",)),
    ("malformed", "lane", event(lane="fast"), ("/lane",)),
    ("malformed", "facility", event(facility={"id": "GEN"}), ("/facility",)),
    ("malformed", "visit number", event(data={"visit_number": 1}), ("/data/visit_number",)),
    (
        "malformed",
        "visit number long",
        event(data=data(visit_number=LONG)),
        ("/data/visit_number",),
    ),
    ("malformed", "disposition", event(data=data(disposition=1)), ("/data/disposition",)),
    (
        "malformed",
        "disposition's code",
        event(data=data(disposition={"code": 1})),
        ("/data/disposition/code", "/data/disposition"),
    ),
    ("malformed", "pcp", event(data=data(pcp="Dr X")), ("/data/pcp",)),
    ("malformed", "is_pcp", event(data=data(pcp={"is_pcp": "yes"})), ("/data/pcp/is_pcp",)),
    ("malformed", "sequence", event(data=data(sequence="1")), ("/data/sequence",)),
    ("malformed", "sequence", event(data=data(sequence=2**63)), ("/data/sequence",)),
    (
        "malformed",
        "list_type",
        event("medication.list_recorded", data={"list_type": "HOME", "entries": []}),
        ("/data/list_type",),
    ),
    (
        "malformed",
        "dose",
        event(
            "medication.ordered",
            data={"order_id": "O", "entry": {"name": "a", "dose": {"value": "25"}}},
        ),
        ("/data/entry/dose/value",),
    ),
    (
        "malformed",
        "birth date",
        event("patient.updated", data={"birth_date": "1 Feb 1950"}),
        ("/data/birth_date",),
    ),
    (
        "malformed",
        "preference",
        event("patient.preference_changed", data={"outreach": "decline_all"}),
        ("/data/outreach",),
    ),
    (
        "malformed",
        "consent",
        event("patient.consent_changed", data={"scope": "part2", "state": "maybe"}),
        ("/data/state",),
    ),
    ("malformed", "retired", event("patient.merged", data={"retired": "M2"}), ("/data/retired",)),
    (
        "malformed",
        "answers",
        event("task.completed", data={"task_id": "T", "answers": {"medicines": False}}),
        ("/data/answers",),
    ),
    ("unsupported-version", "v2", event(type="care.discharge.recorded.v2"), ("/type",)),
    ("unsupported-version", "CloudEvents 0.3", event(specversion="0.3"), ("/specversion",)),
    ("unknown-type", "misspelt", event(type="care.discharge.recordet.v1"), ("/type",)),
    ("unknown-type", "no version", event(type="care.discharge.recorded"), ("/type",)),
    ("missing-patient", "none", event(without="subject"), ("/subject",)),
    ("missing-patient", "null", event(subject=None), ("/subject",)),
    ("missing-patient", "empty", event(subject=""), ("/subject",)),
    ("missing-patient", "no bar", event(subject="MRN123"), ("/subject",)),
    ("missing-patient", "no authority", event(subject="|MRN123"), ("/subject",)),
    ("missing-patient", "no identifier", event(subject="GEN| "), ("/subject",)),
    ("missing-visit", "none", event(data={}), ("/data/visit_number",)),
    ("missing-visit", "no data", event(without="data"), ("/data/visit_number",)),
    ("missing-visit", "null", event(data={"visit_number": None}), ("/data/visit_number",)),
    ("missing-visit", "blank", event(data={"visit_number": " "}), ("/data/visit_number",)),
    (
        "missing-visit",
        "moved",
        event("patient.visit_moved", data={"from": "GEN|M2"}),
        ("/data/visit_number",),
    ),
    ("missing-field", "id", event(without="id"), ("/id",)),
    ("missing-field", "source", event(source=""), ("/source",)),
    ("missing-field", "type", event(without="type"), ("/type",)),
    ("missing-field", "facility", event(without="facility"), ()),
    ("missing-field", "appointment", event("appointment.booked"), ("/data/appointment_id",)),
    ("missing-field", "task", event("task.released", data={}), ("/data",)),
    ("missing-field", "task's kind", event("task.released", data=data()), ("/data",)),
    ("missing-field", "gap of a release", event("task.released", data={"gap_id": "G"}), ("/data",)),
    ("missing-field", "actor", event("task.accepted", data={"task_id": "T"}), ("/data/actor",)),
    ("missing-field", "to", event("task.reassigned", data={"task_id": "T"}), ("/data/to",)),
    ("missing-field", "retired", event("patient.merged", data={}), ("/data/retired",)),
    ("missing-field", "from", event("patient.visit_moved"), ("/data/from",)),
    (
        "missing-field",
        "identifier",
        event("patient.identifiers_moved", data={"from": "GEN|M2"}),
        ("/data/identifier",),
    ),
    (
        "missing-field",
        "list_type and entries",
        event("medication.list_recorded", data={}),
        ("/data/list_type", "/data/entries"),
    ),
    (
        "missing-field",
        "neither name nor code",
        event("medication.ordered", data={"order_id": "O", "entry": {"route": "oral"}}),
        ("/data/entry",),
    ),
    ("missing-field", "order", event("medication.changed", data={}), ("/data/order_id",)),
    (
        "missing-field",
        "scope",
        event("patient.consent_changed", data={"state": "granted"}),
        ("/data/scope",),
    ),
    ("missing-field", "kind", event("document.received", data={}), ("/data/kind",)),
    ("missing-field", "result of nothing", event("result.final", data={}), ("/data",)),
    ("bad-time", "none", event(without="time"), ("/time",)),
    ("bad-time", "null", event(time=None), ("/time",)),
    ("bad-time", "blank", event(time=""), ("/time",)),
    ("bad-time", "a number", event(time=1791309600), ("/time",)),
    ("bad-time", "no date", event(time="2026-02-30T00:00:00Z"), ("/time",)),
    ("bad-time", "recorded", event(recordedtime="soon"), ("/recordedtime",)),
    ("bad-time", "received", event(receivedtime="soon"), ("/receivedtime",)),
    ("bad-time", "in data", event(data=data(discharged_at="20261006")), ("/data/discharged_at",)),
    ("bad-time", "number in data", event(data=data(discharged_at=1)), ("/data/discharged_at",)),
    (
        "bad-time",
        "in a list",
        event(
            "medication.list_recorded",
            data={"list_type": "PCP", "entries": [{"name": "a", "started_at": "2019"}]},
        ),
        ("/data/entries/0/started_at",),
    ),
    ("bad-time", "zone not known", event(facility="MID", time="2026-10-06T14:00:00"), ("/time",)),
    (
        "bad-time",
        "no facility, no offset",
        event("patient.died", without="facility", time="2026-10-06T14:00:00"),
        ("/time",),
    ),
    ("bad-time", "too far ahead", event(time="2026-10-08T00:00:00Z"), ("/time",)),
    (
        "self-merge",
        "merge",
        event("patient.merged", data={"retired": "GEN|MRN123"}),
        (),
    ),
    ("self-merge", "unmerge", event("patient.unmerged", data={"retired": "GEN|MRN123"}), ()),
    (
        "self-merge",
        "visit moved nowhere",
        event("patient.visit_moved", data=data(**{"from": "GEN|MRN123"})),
        (),
    ),
    (
        "identity-conflict",
        "merge across authorities",
        event("patient.merged", data={"retired": "MID|MRN123"}),
        (),
    ),
]


@pytest.mark.parametrize(
    ("reason", "what", "bad", "pointers"), BAD, ids=[f"{row[0]}-{row[1]}" for row in BAD]
)
def test_each_fault_has_its_reason_and_names_its_field(
    reason: str, what: str, bad: Any, pointers: tuple[str, ...]
) -> None:
    """The sender learns which field to mend and by which rule."""
    del what
    with pytest.raises(Reject) as caught:
        decode(raw(bad), GEN)
    assert caught.value.reason == reason
    assert caught.value.pointers == pointers


def test_every_reason_that_one_event_can_give_is_among_them() -> None:
    """The other three need more than one event: size, a repeat, or a defect of ours."""
    elsewhere = {"too-large", "duplicate-id-different-content", "handler-failed"}
    assert {row[0] for row in BAD} == REASONS - elsewhere


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_another_version_of_a_known_type_is_said_to_be_one(name: str) -> None:
    """Nothing of a version that we do not know is guessed."""
    for version in ("v2", "v99"):
        with pytest.raises(Reject) as caught:
            decode(raw(event(type=f"{name.rpartition('.')[0]}.{version}")), GEN)
        assert caught.value.reason == "unsupported-version"


def test_the_limit_is_a_mebibyte() -> None:
    """Exactly that is accepted, one byte more is not, and is not even read."""
    made = raw(event(data=data(pad="")))
    fits = made.replace(b'"pad": ""', b'"pad": "' + b"x" * (MAX_BYTES - len(made)) + b'"')
    assert len(fits) == MAX_BYTES
    assert decode(fits, GEN)["id"] == "GEN-1"
    with pytest.raises(Reject, match="too-large") as caught:
        decode(fits.replace(b"GEN-1", b"GEN-12"), GEN, receipt="2026-10-06T18:05:00Z")
    assert caught.value.receipt == "2026-10-06T18:05:00Z"


def test_what_cannot_be_read_goes_before_what_breaks_a_rule() -> None:
    """One reason for several faults, always the same; all are named."""
    with pytest.raises(Reject) as caught:
        decode(raw(event(id=5, data={}, without="time")), GEN)
    assert caught.value.reason == "malformed"
    assert set(caught.value.pointers) == {"/id", "/time", "/data/visit_number"}


def test_a_reject_says_whose_it_was() -> None:
    """So that a parked discharge of a known patient opens a gap with that patient."""
    with pytest.raises(Reject) as caught:
        decode(raw(event(data={}, without="facility") | {"data": {"facility": "GEN"}}), GEN)
    reject = caught.value
    assert (reject.subject, reject.facility, reject.event_id, reject.source, reject.receipt) == (
        "GEN|MRN123",
        "GEN",
        "GEN-1",
        "hospital/GEN/adt",
        "2026-10-06T18:02:03Z",
    )


@pytest.mark.parametrize(
    ("bad", "receipt", "expected"),
    [
        (event(type="x"), "2026-10-06T18:05:00Z", "2026-10-06T18:05:00Z"),
        (event(type="x"), None, "2026-10-06T18:02:03Z"),
        (event(type="x", without="receivedtime"), None, "2026-10-06T18:00:00Z"),
        (event(time="x", without="receivedtime"), None, None),
    ],
)
def test_a_rejects_receipt_is_ours_or_the_files(
    bad: Any, receipt: str | None, expected: str | None
) -> None:
    """As for an accepted event; without any time only the reader of the file can say."""
    with pytest.raises(Reject) as caught:
        decode(raw(bad), NOWHERE, receipt=receipt)
    assert caught.value.receipt == expected


def test_an_unreadable_subject_is_nobodys() -> None:
    """Better no gap than one with a patient who does not exist."""
    with pytest.raises(Reject) as caught:
        decode(raw(event(type="x", subject="MRN123", id=5, source=None, facility=7)), GEN)
    reject = caught.value
    assert reject.subject is reject.facility is reject.event_id is reject.source is None


@pytest.mark.parametrize("kind", ["fhir", "unknown"])
def test_what_is_not_read_yet_is_refused_aloud(kind: Kind) -> None:
    """Nothing that comes in disappears."""
    decoded = decode_record(kind, b"{}", GEN, receipt="2026-10-06T18:05:00Z")
    assert not decoded.events
    assert [reject.reason for reject in decoded.rejects] == [
        "unknown-type" if kind == "fhir" else "malformed"
    ]


def test_a_defect_of_ours_parks_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug stops no feed and loses no bytes, and its text, which may hold input, stays inside."""

    def bug(*_: object, **__: object) -> None:
        raise KeyError("CANARY")

    monkeypatch.setattr("events.canonical.decode", bug)
    (reject,) = decode_record("canonical", raw(event()), GEN).rejects
    assert reject.reason == "handler-failed"
    assert "CANARY" not in str(reject)
