"""What the embedded runtime shows of itself, and what its log shows of it from outside."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.core.instants import DAY, HOUR, MINUTE, SECOND
from orchestrator.ops import health, metrics
from orchestrator.ops.lag import Judge, Sample
from orchestrator.ops.look_embedded import EmbeddedLook
from orchestrator.ops.names import METRICS, WORKLIST
from orchestrator.ops.sampler import families
from orchestrator.ops.work import Work
from orchestrator.stream import inflow
from orchestrator.stream.clock import ManualClock
from orchestrator.stream.embedded import Pace, Runtime
from orchestrator.stream.sqlite_log import Log
from schemas.topics import BACKFILL, DEAD_LETTER
from tests.ops.test_names import assert_as_promised
from tests.stream.fakes import (
    FACILITIES,
    PARTITIONS,
    SITE_KEY,
    admitted,
    new_log,
    opened,
    product,
    send,
)
from tests.stream.running import PACE, settle

DISCHARGED = "care.discharge.recorded.v1"


class Seen:
    """A runtime on a clock that the test moves, with what it shows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log, self.clock = new_log(folder)
        self.outside = Log.open(folder, clock=self.clock)
        opened.append(self.outside)
        self.look = EmbeddedLook(self.outside, "care")
        self.judge = Judge(60 * SECOND, 60 * SECOND)
        self.start()

    def start(self) -> None:
        self.runtime = Runtime(self.log, product, FACILITIES, SITE_KEY, PACE)
        self.work = Work(self.clock)
        self.runtime.status.observers.append(self.work)
        self.runtime.status.enter("running")
        shown = metrics.RuntimeMetrics(self.runtime.status, self.clock, self.work)
        self.registry = metrics.registry("embedded", "P0", shown)

    def sample(self) -> Sample:
        seen = self.look.look()
        return self.judge.judge(seen.readings, seen.at, seen.cluster, seen.bounds, seen.deadlines)

    def text(self) -> str:
        return generate_latest(self.registry).decode()

    def values(self, name: str) -> dict[tuple[str, ...], float]:
        """The series of *name* by their labels in alphabetical order."""
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
            if sample.name == name
        }


@pytest.fixture
def seen(tmp_path: Path) -> Seen:
    return Seen(tmp_path)


def discharge(number: int, **more: Any) -> dict[str, Any]:
    """A discharge home, two hours before the test's clock begins."""
    return admitted(
        number,
        type=DISCHARGED,
        data={"visit_number": f"V{number}", "disposition": "01"},
        **more,
    )


def by_place(sample: Sample) -> dict[tuple[str, int], tuple[int | None, str]]:
    return {
        (one.reading.topic, one.reading.partition): (one.lag, one.state) for one in sample.positions
    }


# Lag, from outside


def test_a_log_that_nobody_ever_read_is_unknown(seen: Seen) -> None:
    """Records lie there and no reader ever said where it is: not 0, and not current."""
    send(seen.log, admitted(1))

    sample = seen.sample()

    assert {one.state for one in sample.positions} == {"UNKNOWN"}
    assert not sample.current
    text = " ".join(family.name for family in families(sample))
    assert "group_lag" not in text
    assert "kafka_partition_latest_offset" in text


def test_a_reader_that_is_through_has_no_lag(seen: Seen) -> None:
    """In every partition, those where nothing ever was included."""
    send(seen.log, *(admitted(n) for n in range(50)))
    settle(seen.runtime)
    seen.clock.advance(DAY)

    sample = seen.sample()

    assert {one.state for one in sample.positions} == {"OK"}
    assert {one.lag for one in sample.positions} == {0}
    assert {one.seconds for one in sample.positions} == {0.0}


def test_a_dead_up_is_seen_by_its_growing_lag(seen: Seen) -> None:
    """Nothing of the runtime runs any more: the log alone tells, in records and in seconds."""
    send(seen.log, admitted(1))
    settle(seen.runtime)

    found = []
    for number in range(2, 5):
        send(seen.log, admitted(number))
        seen.clock.advance(10 * MINUTE)
        one = next(p for p in seen.sample().positions if p.reading.topic == "care.admission.v1")
        found.append((one.lag, round(one.seconds or 0), one.state))

    assert found == [(1, 600, "LAGGING"), (2, 1200, "STALLED"), (3, 1800, "STALLED")]


def test_deadlines_that_nobody_fires_are_counted_from_outside(seen: Seen) -> None:
    """A discharge whose call falls due while nothing runs: one patient, until it is fired."""
    send(seen.log, discharge(1), topic="care.discharge.v1")
    settle(seen.runtime)
    assert seen.sample().deadlines == 0

    seen.clock.advance(3 * DAY)
    assert seen.sample().deadlines == 1

    settle(seen.runtime)
    assert seen.sample().deadlines == 0


# Metrics, from inside


def test_every_series_is_a_promised_one(seen: Seen) -> None:
    """After all sorts of work: names, kinds, labels and buckets of the contract, no others."""
    send(seen.log, discharge(1), discharge(1), topic="care.discharge.v1")
    send(seen.log, {"id": "no event"}, admitted(2, lane="test"))
    settle(seen.runtime)
    seen.clock.advance(40 * DAY)
    settle(seen.runtime)

    text = seen.text()
    shown = assert_as_promised(text)
    lag = {family.name for family in families(seen.sample())}

    assert "_created" not in text
    # The rest need a fault, the sampler, or the worklist; they have tests of their own.
    assert set(METRICS) - shown - lag - set(WORKLIST) == {
        "care_stream_clock_held_seconds",
        "care_stream_publish_errors_total",
        "care_deadlines_held",
        "care_lag_sample_age_seconds",
        "care_task_retractions_total",
        "care_identity_handover_age_seconds",
    }


def test_handovers_are_counted_with_the_age_of_the_oldest(seen: Seen) -> None:
    """A patient who is neither here nor there for long is somebody's to look at."""
    from orchestrator.stream.rounds import JournalRecord, Round

    settle(seen.runtime)
    assert seen.values("care_identity_handovers") == {(): 0}
    assert seen.values("care_identity_handover_age_seconds") == {}

    now = seen.clock.now()
    record = JournalRecord(1, 0, now, "", b"")
    for partition, moving in ((1, {"a": now - 7 * SECOND}), (2, {"b": now, "c": now})):
        meta = orjson.dumps({"moving": moving})
        seen.work(partition, [record], Round((partition, meta)))

    assert seen.values("care_identity_handovers") == {(): 3}
    assert seen.values("care_identity_handover_age_seconds") == {(): 7}


def test_each_input_is_counted_once_with_what_became_of_it(seen: Seen) -> None:
    """Applied, repeated, ignored, parked by intake, parked by decide: all that landed."""
    send(seen.log, admitted(1), admitted(1), admitted(2), admitted(3, lane="test"))
    send(seen.log, {"id": "no event"}, admitted(2, time="2026-10-05T12:00:00-04:00"))
    send(seen.log, admitted(4), topic=BACKFILL)
    settle(seen.runtime)

    admission = "care.admission.v1"
    assert seen.values("care_stream_records_total") == {
        ("live", "applied", admission): 2,
        ("live", "duplicate", admission): 1,
        ("test", "ignored", admission): 1,
        ("live", "parked", admission): 2,
        ("backfill", "applied", BACKFILL): 1,
    }
    landed = sum(seen.log.end_offsets(topic)[0] for topic in (admission, BACKFILL))
    assert sum(seen.values("care_stream_records_total").values()) == landed
    letters = seen.values("care_dead_letters_total")
    assert sum(letters.values()) == seen.log.end_offsets(DEAD_LETTER)[0]
    assert ("duplicate-id-different-content", "decide", "care.journal.v1") in letters


def test_deadlines_fired_are_counted_with_their_delay_and_never_early(seen: Seen) -> None:
    """A call that nobody made: fired at the next clock, as late as that clock was."""
    send(seen.log, discharge(1), topic="care.discharge.v1")
    settle(seen.runtime)
    requested = seen.values("care_task_changes_total")
    assert requested["task.requested", "CALL_48H"] == 1
    assert seen.values("care_deadlines_fired_total") == {}

    seen.clock.advance(2 * DAY)
    settle(seen.runtime)

    assert seen.values("care_deadlines_fired_total")["CALL_48H",] == 1
    # Due two days after a discharge of two hours ago: two hours before this clock.
    assert seen.values("care_deadline_fire_delay_seconds_sum")["CALL_48H",] == 2 * 3600
    assert seen.values("care_deadlines_early_total") == {(): 0}
    assert seen.values("care_task_changes_total")["task.overdue", "CALL_48H"] == 1
    assert seen.values("care_gap_changes_total")["gap.opened", "TASK_OVERDUE"] >= 1


def test_a_clock_ahead_of_its_own_record_is_told_as_early(seen: Seen) -> None:
    """The alarm works: a deadline is early if its instant lies after the clock's append time."""
    from orchestrator.stream.rounds import DEADLINE, JournalRecord, Made, Round

    change = {"change": "task.overdue", "at": "2026-10-06T18:00:01Z"}
    stamp = seen.clock.now()  # 18:00:00
    records = [JournalRecord(0, 0, stamp, "clock", b"")]
    seen.work(0, records, Round((0, b""), made=[Made(change, DEADLINE)]))

    assert seen.values("care_deadlines_early_total") == {(): 1}


def test_withdrawn_tasks_are_counted_by_reason(seen: Seen) -> None:
    """The discharge is cancelled: its tasks go, and the code of why is a label."""
    send(seen.log, discharge(1), topic="care.discharge.v1")
    settle(seen.runtime)
    seen.clock.advance(HOUR)
    cancel = admitted(2, 1, type="care.discharge.cancelled.v1", data={"visit_number": "V1"})
    send(seen.log, cancel, topic="care.discharge.v1")
    settle(seen.runtime)

    retracted = seen.values("care_task_retractions_total")
    assert retracted["CALL_48H", "DISCHARGE_CANCELLED"] == 1


def test_events_told_late_are_counted(seen: Seen) -> None:
    """More than an hour after the fact, as the contract's lateness begins."""
    send(seen.log, admitted(1), admitted(2, time="2026-10-06T17:30:00Z"))
    settle(seen.runtime)

    assert seen.values("care_stream_late_records_total") == {("care.admission.v1",): 1}


def test_event_to_task_is_measured_from_the_receipt(seen: Seen) -> None:
    """Not from the hospital's time: how long we took, not how late they told us."""
    send(seen.log, discharge(1), topic="care.discharge.v1")
    seen.clock.advance(7 * SECOND)
    settle(seen.runtime)

    changes = sum(
        count
        for labels, count in seen.values("care_task_changes_total").items()
        if labels[0].startswith("task.")
    )
    assert seen.values("care_event_to_task_seconds_count") == {("live", "published"): changes}
    assert seen.values("care_event_to_task_seconds_sum") == {("live", "published"): 7 * changes}


def test_a_clock_held_by_lag_names_the_input_that_holds_it(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More lies in a topic than the gate takes in: the clock waits on purpose, and says so."""
    monkeypatch.setattr(inflow, "GATE_RECORDS", 1)
    settle(seen.runtime)
    seen.runtime.pace = Pace(intake_records=1)
    seen.clock.advance(HOUR)
    send(seen.log, *(admitted(n) for n in range(30)))
    seen.runtime.turn()
    seen.clock.advance(5 * SECOND)
    seen.runtime.turn()

    held = seen.values("care_stream_clock_held_seconds")
    asked = health.of_runtime(seen.runtime.status, seen.clock, "P0")
    settle(seen.runtime)

    assert held == {("0", "care.admission.v1"): 5}
    assert (asked.status, asked.ready) == ("degraded", True)
    assert seen.values("care_stream_clock_held_seconds") == {}


def test_a_jump_of_the_machines_time_is_counted_and_holds(seen: Seen) -> None:
    """Deadlines wait on purpose; `/readyz` says why."""
    settle(seen.runtime)
    seen.clock.jump(40 * DAY)
    settle(seen.runtime)

    assert seen.values("care_stream_clock_jumps_total") == {(): 1}
    assert set(seen.values("care_deadlines_held")) == {("clock-jump",)}
    checks = {c.name: c for c in health.of_runtime(seen.runtime.status, seen.clock, "P0").checks}
    assert (checks["clock"].status, checks["clock"].detail) == ("degraded", "held: clock-jump")


def test_series_do_not_grow_with_patients(tmp_path: Path) -> None:
    """Twenty patients or three hundred: the same series, of configuration words alone."""
    series = []
    for number in (20, 300):
        seen = Seen(tmp_path / str(number))
        send(seen.log, *(discharge(n) for n in range(number)), topic="care.discharge.v1")
        settle(seen.runtime)
        seen.clock.advance(3 * DAY)
        settle(seen.runtime)
        series.append({one.split(" ")[0] for one in seen.text().splitlines() if one[0] != "#"})

    assert series[0] == series[1]
    assert "MRN" not in " ".join(series[0])


def test_clock_and_commit_ages_are_there_for_each_partition(seen: Seen) -> None:
    """The watermark's age grows while no clock comes; before the first it is absent, not 0."""
    assert seen.values("care_stream_clock_age_seconds") == {}
    settle(seen.runtime)
    seen.clock.advance(9 * SECOND)

    ages = seen.values("care_stream_clock_age_seconds")
    assert ages == {(str(p),): 9.0 for p in range(PARTITIONS)}
    assert len(seen.values("care_stream_commit_age_seconds")) == PARTITIONS


# Health


def test_a_full_disk_is_not_ready_and_alive(seen: Seen) -> None:
    """Restarting would not make room: `/healthz` stays 200, `/readyz` names the disk."""
    seen.runtime.status.unavailable = "LogFull"

    found = health.of_runtime(seen.runtime.status, seen.clock, "P0")

    assert found.alive
    assert not found.ready
    bad = {check.name for check in found.checks if check.status == "not-ready"}
    assert bad == {"log", "disk"}


def test_a_loop_that_stands_is_not_alive(seen: Seen) -> None:
    """Whoever restarts processes may restart this one."""
    settle(seen.runtime)
    assert health.of_runtime(seen.runtime.status, seen.clock, "P0").alive
    seen.runtime.status.turned -= health.ALIVE_S + 1
    found = health.of_runtime(seen.runtime.status, seen.clock, "P0")
    assert not found.alive
    assert found.body("1", "embedded")["status"] == "not-ready"


def test_a_recovery_is_not_ready_and_tells_its_progress(seen: Seen) -> None:
    """A worker that reads its state is waited for, not killed."""
    from orchestrator.stream.status import Progress

    seen.runtime.status.enter("recovering")
    seen.runtime.status.recovery = Progress(640, 1000)

    found = health.of_runtime(seen.runtime.status, seen.clock, "P0")

    (recovery,) = [check for check in found.checks if check.name == "recovery"]
    assert (found.alive, found.ready) == (True, False)
    assert (recovery.status, recovery.progress) == ("not-ready", 0.64)
    assert recovery.since is not None
    assert seen.values("care_stream_recovery_progress_ratio") == {(): 0.64}


def test_restarted_it_shows_the_same_state(seen: Seen) -> None:
    """Gauges come from the log, not from what this process happened to see."""
    send(seen.log, discharge(1), topic="care.discharge.v1")
    settle(seen.runtime)
    before = by_place(seen.sample()), seen.values("care_stream_clock_age_seconds")
    seen.start()
    settle(seen.runtime)

    assert (by_place(seen.sample()), seen.values("care_stream_clock_age_seconds")) == before
    assert isinstance(seen.clock, ManualClock)
