"""No value of a message in any text about it: rejects go to logs, answers and headers."""

import logging

import pytest

from events.hl7v2 import context, decode
from tests.events.hl7v2.builders import GEN, adt, identities, read, segment, siu

CANARY = "XQZCANARY"

FIELDS = {n: f"{CANARY}{n}^{CANARY}^{CANARY}" for n in range(1, 60)}


def full_of_canaries(trigger: str, keep: dict[str, dict[int, str]]) -> bytes:
    """A message in which each field is a canary but those of *keep*."""
    names = ("EVN", "PID", "PV1", "PV2", "MRG", "PD1", "ROL", "NK1", "DG1", "IN1")
    segments = [segment(name, FIELDS | keep.get(name, {})) for name in names]
    header = adt(trigger, msh=keep.get("MSH")).split(b"\r")[0].decode()
    return "\r".join([header, *segments]).encode()


FAULTS: dict[str, bytes] = {
    "no MSH": CANARY.encode(),
    "MSH-1": f"MSH{CANARY}".encode(),
    "MSH-2": f"MSH|{CANARY}|".encode(),
    "type": adt("A01", msh={9: f"{CANARY}^{CANARY}"}),
    "trigger": adt("A01", msh={9: f"ADT^{CANARY}"}),
    "processing": adt("A01", msh={11: CANARY}),
    "version": adt("A01", msh={12: CANARY}),
    "control id": adt("A01", msh={10: CANARY * 50}),
    "bytes": adt("A01", msh={18: CANARY}, pid={5: CANARY}) + b"|\xff\xfe",
    "control bytes": adt("A01", pid={5: CANARY + "\x00"}),
    "too large": adt("A01", pid={5: CANARY * 200_000}),
    "segments": adt("A01", *[CANARY[:3] + "|"] * 2000),
    "fields": adt("A01", f"{CANARY[:3]}|" + f"{CANARY}|" * 600),
    "repetitions": adt("A01", pid={13: f"{CANARY}~" * 300}),
    "two": adt("A01") + b"\r" + adt("A01", pid={5: CANARY}),
    "times": full_of_canaries("A03", {"MSH": {7: CANARY}, "PID": {3: "1"}}),
    "ahead": full_of_canaries("A01", {"PV1": {44: "20991231"}, "PID": {3: "1"}}),
    "no patient": full_of_canaries("A01", {"PID": {3: f"^^^{CANARY}"}}),
    "bad patient": full_of_canaries("A01", {"PID": {3: f"{CANARY}\\F\\^^^{CANARY}\\F\\"}}),
    "no visit": full_of_canaries("A01", {"PV1": {19: "", 50: ""}, "PID": {18: ""}}),
    "bad visit": full_of_canaries("A01", {"PV1": {19: CANARY + "\t" + CANARY}}),
    "self-merge": identities("A40", segment("PID", {3: CANARY}), f"MRG|{CANARY}"),
    "conflict": identities("A40", segment("PID", {3: CANARY}), f"MRG|{CANARY}^^^{CANARY}"),
    "no retired": identities("A40", segment("PID", {3: CANARY, 5: CANARY}), f"MRG||{CANARY}"),
    "no mrg": identities("A40", segment("PID", {3: CANARY})),
    "one pid": identities("A24", segment("PID", {3: CANARY})),
    "no prior": identities("A50", segment("PID", {3: CANARY}), f"PV1||I|||||||||||||||||{CANARY}"),
    "appointment": siu("S12", sch={1: "", 2: "", 3: CANARY}, pid={5: CANARY}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_reject_names_fields_never_values(fault: str) -> None:
    """
    Reason, detail, place and every form in which Python prints the reject.
    """
    found = read(FAULTS[fault])
    assert found.rejects, fault
    for refused in found.rejects:
        shown = [refused.reason, refused.detail, refused.place, str(refused), repr(refused)]
        shown += [repr(refused.args), repr(refused.__cause__), repr(refused.pointers)]
        shown += [repr(refused.__context__), repr(refused.__traceback__)]
        assert not [text for text in shown if text and CANARY in text], fault


@pytest.fixture
def _broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of ours that stumbles over a value."""

    def stumble(*_: object) -> str:
        raise ValueError(f"cannot handle {CANARY}")

    monkeypatch.setattr(context, "_facility_of", stumble)


@pytest.mark.usefixtures("_broken")
def test_a_bug_of_ours_is_parked_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    """
    handler-failed, with the exception's class alone; the bytes are the caller's to keep.
    """
    caplog.set_level(logging.DEBUG)
    found = decode(adt("A01", pid={5: CANARY}), GEN)
    (refused,) = found.rejects

    assert (refused.reason, refused.detail) == ("handler-failed", "ValueError")
    assert CANARY not in repr(refused) + caplog.text


def test_doubts_and_flags_name_fields() -> None:
    """
    They become subjects of gaps and labels of counters.
    """
    for trigger in ("A01", "A03", "A08", "A31"):
        raw = full_of_canaries(trigger, {"PID": {3: "1"}, "EVN": {1: "", 2: "20261006"}})
        for event in read(raw).events:
            assert CANARY not in repr(event.get("unmapped")) + repr(event.get("timeflags"))


def test_an_ignored_message_is_named_by_our_own_words() -> None:
    """
    The name is counted in a metric; what a sender wrote into an ACK's trigger is not.
    """
    assert read(adt("A01", msh={9: f"ACK^{CANARY}"})).ignored == "ACK"
