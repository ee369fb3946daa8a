"""A bug of ours meets one record: nothing is lost, nobody else waits, nothing private gets out."""

import json
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

import handlers
from orchestrator.core.facts import Told
from tests.simulation.histories import history
from tests.simulation.journal import Worker, changes_of, is_clock, journal
from tests.simulation.tale import Options

CANARY = "CANARY-7731-DOE"


def run_with_a_failing_handler(monkeypatch: pytest.MonkeyPatch, seed: int) -> tuple[Worker, str]:
    """Two patients; the first record of one of them makes its handler raise with a name in it."""
    real = handlers.told
    subjects = ("GEN|P1", "GEN|P2")
    told = [history(Random(seed + n), Options(), who) for n, who in enumerate(subjects)]
    poisoned = told[0].events[0]["id"]

    def told_or_raises(event: dict[str, Any], facilities: Any) -> Told:
        if event["subject"] == subjects[0] and event["id"] == poisoned:
            raise ValueError(f"cannot read {CANARY} of {event['subject']}")
        return real(event, facilities)

    monkeypatch.setattr(handlers, "told", told_or_raises)
    worker = Worker()
    for record in journal(told, Random(seed)):
        worker.run([record])
    return worker, poisoned


def assert_failure_is_parked_and_others_go_on(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """The record goes to the dead letters, its patient gets a gap, the other patient all theirs."""
    with monkeypatch.context() as planted, capture_logs():
        worker, poisoned = run_with_a_failing_handler(planted, seed)
    letters = [o for o in worker.published if o.topic == "care.dead-letter.v1"]
    assert [json.loads(o.value or b"{}")["id"] for o in letters] == [poisoned]
    assert all(o.headers and o.headers["reason"] == "handler-failed" for o in letters)
    changes = changes_of(worker.published)
    parked = [c["gap"] for c in changes if c.get("gap", {}).get("code") == "EVENT_PARKED"]
    assert {g["patient"] for g in parked} == {"GEN|P1"}
    alone = Worker()
    other = history(Random(seed + 1), Options(), "GEN|P2")
    known = {e["id"] for e in other.events}
    heard = [c for c in changes if c["patient"] == "GEN|P2" and c["change"] == "event.recorded"]
    for record in journal([other], Random(seed)):
        if not is_clock(record):
            alone.run([record])
    assert {c["event"]["id"] for c in heard} == known


def assert_failure_tells_nothing_private(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Neither the dead letter's headers nor the log repeat what the exception said."""
    with monkeypatch.context() as planted, capture_logs() as logged:
        worker, _ = run_with_a_failing_handler(planted, seed)
    headers = [json.dumps(o.headers) for o in worker.published if o.headers]
    assert headers
    assert not any(CANARY in header for header in headers)
    told = [{k: v for k, v in line.items() if k != "exc_info"} for line in logged]
    assert CANARY not in json.dumps(told, default=str)


@pytest.mark.parametrize("seed", [0, 5])
def test_failing_record_is_parked_and_others_go_on(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """A record that our code cannot take is kept whole, told of, and blocks nobody."""
    assert_failure_is_parked_and_others_go_on(monkeypatch, seed)


def test_failure_tells_nothing_private(monkeypatch: pytest.MonkeyPatch) -> None:
    """No patient data in headers or logs, whatever an exception carries."""
    assert_failure_tells_nothing_private(monkeypatch, 0)
