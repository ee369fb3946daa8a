"""Properties (c), (d) and (e) of design.md: what stands is derived, and nothing else decides it."""

import json
from collections.abc import Iterator
from random import Random

import pytest

import handlers
from orchestrator.core import step
from orchestrator.core.instants import DAY, HOUR, read
from orchestrator.core.patient import Patient
from orchestrator.core.plan import plan
from orchestrator.core.wanted import Plan
from orchestrator.stream.rounds import JournalRecord, Out
from tests.simulation.histories import Events, History, history
from tests.simulation.journal import (
    RULES,
    SETTINGS,
    Plain,
    Worker,
    accepted,
    batches,
    changes_of,
    is_clock,
    journal,
    micros,
    run_all,
    standing,
)
from tests.simulation.sizes import seeds
from tests.simulation.tale import Options

SUBJECTS = ("GEN|P1", "GEN|P2", "MID|P1")
NO_COMMANDS = Options(commands=False)
COMPACTED = ("care.task.v1", "care.gap.v1")


def _told(seed: int, options: Options | None = None) -> list[History]:
    return [history(Random(seed * 3 + n), options, subject) for n, subject in enumerate(SUBJECTS)]


def _first_copies(events: Events) -> Events:
    """Each event at its first receipt, as a set of facts has it."""
    known: dict[tuple[str, str], Plain] = {}
    for event in events:
        known.setdefault((event["source"], event["id"]), event)
    return list(known.values())


def _refold(subject: str, events: Events, now: int) -> dict[str, Plain]:
    """What all facts together amount to at *now*, by a patient of whom nothing was known."""
    patient = Patient(subject, "")
    told = [handlers.told(event, SETTINGS) for event in _first_copies(events)]
    stamp = max(micros(event["receivedtime"]) for event in events)
    changes = step.fact(patient, told, now, stamp, RULES)
    changes += step.clock(patient, now, RULES)
    return standing(changes)


def _anonymous(things: dict[str, Plain]) -> dict[str, Plain]:
    return {n: {k: v for k, v in t.items() if k != "patient_key"} for n, t in things.items()}


@pytest.mark.parametrize("seed", seeds(12))
def test_incremental_equals_a_full_refold_at_every_prefix(seed: int) -> None:
    """(c) After each live fact and each clock the same stands as if all came at once."""
    told = history(Random(seed), NO_COMMANDS)
    subject = told.events[0]["subject"]
    worker, seen, now = Worker(), [], 0
    for record in journal([told], Random(seed)):
        worker.run([record])
        value = json.loads(record.value)
        if is_clock(record):
            now = micros(value["at"])
        else:
            seen.append(value["event"])
            if value["event"].get("lane") == "backfill":
                continue  # backfill is planned once per clock, not per fact
        if seen:
            incremental = _anonymous(standing(changes_of(worker.published)))
            assert incremental == _anonymous(_refold(subject, seen, now)), record.offset


# Gaps that only the passing of time opens; `since` is the instant they do, or, of the first two,
# that of the visit that was lost later.
WITHOUT_A_VISIT = ("NO_PCP_APPOINTMENT", "PCP_APPT_OUT_OF_WINDOW")
BY_THE_CLOCK = (
    "TASK_OVERDUE",
    "TCM_CONTACT_WINDOW_MISSED",
    "APPT_OUTCOME_UNKNOWN",
    "TRANSFER_NOT_ARRIVED",
    "SNF_STATUS_UNKNOWN",
    "STALE_STAY",
)


@pytest.mark.parametrize("seed", seeds(12))
def test_nothing_fires_before_the_clock_has_passed_it(seed: int) -> None:
    """A fact moves no clock: what could still be contradicted by a late message is not claimed."""
    worker, now = Worker(), 0
    left: dict[str, int] = {}  # when the patient left, per transition
    for record in journal(_told(seed), Random(seed)):
        value, before = json.loads(record.value), len(worker.published)
        if is_clock(record):
            now = micros(value["at"])
        worker.run([record])
        for change in changes_of(worker.published[before:]):
            task, gap = change.get("task"), change.get("gap")
            if transition := change.get("transition"):
                left[transition["transition_id"]] = micros(transition["index_discharge_at"])
            if task and task["overdue"]:
                assert micros(task["due_at"]) <= now
            if gap and gap["status"] == "open" and gap["code"] in WITHOUT_A_VISIT:
                assert left[gap["transition_id"]] + DAY <= now, gap["code"]
            elif gap and gap["status"] == "open" and gap["code"] in BY_THE_CLOCK:
                assert micros(gap["since"]) <= now, gap["code"]


def _newest(outs: list[Out]) -> dict[tuple[str, str], bytes | None]:
    return {(o.topic, o.key): o.value for o in outs if o.topic in COMPACTED}


def _log(outs: list[Out]) -> list[Out]:
    """The records of the topics that keep everything."""
    return [o for o in outs if o.topic not in COMPACTED]


@pytest.mark.parametrize("seed", seeds(12))
def test_any_batching_publishes_the_same_records(seed: int) -> None:
    """(d) The same journal gives the same bytes, however it is cut and however little is cached."""
    records = journal(_told(seed), Random(seed))
    alone = run_all(records)
    worker = Worker(patients_in_memory=1)
    for batch in batches(records, Random(seed + 1)):
        worker.run(batch)
    assert _log(worker.published) == _log(alone)
    assert _newest(worker.published) == _newest(alone)


def _without_repeats(outs: list[Out]) -> list[tuple[str, str, bytes | None]]:
    return list(dict.fromkeys((o.topic, o.key, o.value) for o in outs))


@pytest.mark.parametrize("seed", seeds(12))
def test_any_crash_publishes_the_same_records(seed: int) -> None:
    """(d) Killed between decision and commit again and again, some records out or none."""
    rng = Random(seed)
    records = journal(_told(seed), Random(seed))
    worker, at = Worker(), 0
    while at < len(records):
        batch = next(batches(records[at:], rng))
        if rng.random() < 0.4:
            worker.crash(batch, published=rng.randint(0, 30))
        else:
            worker.run(batch)
            at += len(batch)
    assert _without_repeats(_log(worker.published)) == _without_repeats(_log(run_all(records)))


def _contents(found: Plan) -> list[tuple[str, str]]:
    return sorted(
        (wanted.id, json.dumps(wanted.content, sort_keys=True, default=str))
        for kind in (found.transitions, found.tasks, found.gaps)
        for wanted in kind
    )


def _patients(seed: int) -> Iterator[tuple[Patient, int, Random]]:
    """A patient as known at three instants of one history; the clock may lag behind the facts."""
    rng = Random(seed)
    told = history(rng, NO_COMMANDS)
    events = accepted(told.events)
    for last in sorted(rng.choices(range(len(events)), k=3)):
        now = read(events[last]["receivedtime"]) - rng.choice([0, 0, 1, 9, 80]) * HOUR
        patient = Patient(told.events[0]["subject"], "")
        facts = [handlers.told(e, SETTINGS) for e in _first_copies(events[: last + 1])]
        step.fact(patient, facts, now, now, RULES)
        yield patient, now, rng


@pytest.mark.parametrize("seed", seeds(15))
def test_plan_is_constant_until_its_wake(seed: int) -> None:
    """(e) Between now and the wake nothing can differ, up to the end of every window."""
    for patient, received, rng in _patients(seed):
        view, now = patient.view(RULES), received
        for _ in range(60):
            found = plan(view, RULES, now)
            if found.wake is None:
                break
            assert found.wake > now
            for at in (found.wake - 1, rng.randint(now, found.wake - 1)):
                assert _contents(plan(view, RULES, at)) == _contents(found)
            now = found.wake


def test_clocks_stand_where_they_are_true() -> None:
    """The journals these properties run on are ones that the runtime could have written."""
    for seed in range(20):
        records: list[JournalRecord] = journal(_told(seed), Random(seed))
        now = 0
        for record in records:
            value = json.loads(record.value)
            if is_clock(record):
                now = micros(value["at"])
            else:
                assert micros(value["event"]["receivedtime"]) >= now
        assert [r.stamp for r in records] == sorted(r.stamp for r in records)
