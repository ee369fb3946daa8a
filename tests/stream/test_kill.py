"""``up`` is killed at every kill point, many times, and nothing is lost, doubled or changed.

The process is the real loop with the product's processor over the real log, on a speeded clock.
``KILL_HITS=20`` makes the long run: so many hits per point instead of one.  Which kill point of
``reliability.md`` §2.3 is which place in this loop: `failpoints`.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from orchestrator.stream import export, failpoints, inflow, log_file
from orchestrator.stream.memory_store import MemoryStore
from orchestrator.stream.rounds import Out
from orchestrator.stream.sqlite_log import Log, Record
from orchestrator.stream.store import LogStore
from schemas.topics import DEAD_LETTER, INPUTS, JOURNAL, TOPICS
from tests.stream.fakes import PARTITIONS, product
from tests.stream.hospital_events import drawn
from tests.stream.sender import ROOT, Sender

HITS: Final = int(os.environ.get("KILL_HITS", "1"))
LOOP_POINTS: Final = [
    name
    for name in failpoints.POINTS
    if name.split(".")[0] in {"intake", "decide", "clock", "start", "prune"}
]
SCHEMA_PASSES: Final = 12  # tables and indexes
# With a kill some moments after the place: inside the commit and its fsync.
IN_COMMIT: Final = ["intake.commit", "decide.commit"]
# Passed once in a start, or not with each batch.
RARE: Final = ("start", "prune", "clock")


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Sender:
    """One log through all kills of this module: wounds would add up."""
    return Sender(tmp_path_factory.mktemp("kills") / "data", seed=3)


@pytest.mark.parametrize("point", LOOP_POINTS)
def test_up_is_killed_at(point: str, sender: Sender) -> None:
    """It dies there, and starts again from whatever it left."""
    for _ in range(HITS):
        sender.send(40)
        passes = 1 if point.startswith(RARE) else sender.random.randint(1, 4)
        sender.run_until_killed(f"{point}=kill@{passes}")


@pytest.mark.parametrize("point", IN_COMMIT)
def test_up_is_killed_inside_the_commit_of(point: str, sender: Sender) -> None:
    """At a random instant of the write and its fsync."""
    for _ in range(HITS * 3):
        sender.send(40)
        delay = sender.random.uniform(0.00001, 0.003)
        sender.run_until_killed(f"{point}=kill:{delay:.6f}@{sender.random.randint(1, 4)}")


def test_up_is_killed_while_it_recovers(sender: Sender) -> None:
    """Three times in a row, before it has done anything."""
    for _ in range(HITS):
        for point in ("start.opened", "start.checked", "intake.read"):
            sender.send(3)
            sender.run_until_killed(f"{point}=kill@1")


def test_up_is_killed_while_it_stops(sender: Sender) -> None:
    """SIGTERM, and SIGKILL before the drain is over."""
    for _ in range(HITS):
        sender.send(40)
        with sender.start("stop.draining=kill@1") as process:
            _wait_until_ready(process)
            time.sleep(sender.random.uniform(0, 0.2))
            process.terminate()
            process.communicate(timeout=10)
        assert process.returncode == -signal.SIGKILL
        sender.kills["stop.draining"] += 1


def test_up_is_killed_at_random_instants(sender: Sender) -> None:
    """From outside, wherever it is."""
    for _ in range(HITS * 2):
        sender.send(60)
        with sender.start() as process:
            time.sleep(sender.random.uniform(0.4, 1.2))
            process.kill()
            process.communicate(timeout=10)


def test_a_sender_that_was_killed_sends_again(sender: Sender, tmp_path: Path) -> None:
    """Not knowing what landed it repeats everything, and repeats have no effect."""
    for _ in range(HITS):
        for point in ("publish.commit", "publish.committed"):
            first = 900_000 + len(sender.events)
            events = [drawn(sender.random, first + n) for n in range(30)]
            file = tmp_path / "events.ndjson"
            file.write_bytes(b"\n".join(orjson.dumps(event) for _, event in events))
            command = [
                *(sys.executable, "-m", "tests.stream.publish_process"),
                *(str(sender.folder), str(file)),
            ]
            killed = _run(command, f"{point}=kill@1")
            assert killed.returncode == -signal.SIGKILL
            assert killed.stdout == b"", "nothing is said to be sent before it is known"
            sender.kills[point] += 1
            again = _run(command, "")
            assert (again.returncode, again.stdout) == (0, b"30\n")
            # Killed before the commit it landed once, killed after it twice.
            sender.events += events * (2 if point == "publish.committed" else 1)


def test_after_all_kills_nothing_is_lost_doubled_or_changed(sender: Sender) -> None:
    """The log against what was sent, and against an undisturbed run of its own journal."""
    sender.send(40)
    sender.settle()
    with Log.open(sender.folder) as log:
        log_file.check_pages(log.connection, log.where)
        decided = [LogStore(log).position(p) for p in range(PARTITIONS)]
        journal = list(export.records(log, JOURNAL))
        _assert_every_input_is_there_once(sender, log, journal)
        _assert_published_as_undisturbed(
            log, [r for r in journal if r.offset < decided[r.partition]]
        )
        _assert_one_content_per_version(log)
        _assert_something_happened(log)
    assert sum(sender.kills.values()) >= HITS * (len(LOOP_POINTS) + 3 * len(IN_COMMIT))


def _assert_every_input_is_there_once(sender: Sender, log: Log, journal: list[Record]) -> None:
    events = [v["event"] for v in map(_value, journal) if v["kind"] == "event"]
    assert Counter((e["source"], e["id"]) for e in events) == sender.accepted

    letters = [r for r in _all(log, DEAD_LETTER) if r.headers["stage"] == "intake"]
    assert sorted(r.value or b"" for r in letters) == sorted(sender.unreadable)
    assert len({(r.headers["topic"], r.headers["offset"]) for r in letters}) == len(letters)

    accounts = log.accounts()
    for topic in INPUTS:
        (landed,), (taken,) = log.end_offsets(topic), log.committed(inflow.READER, topic)
        results = [n for (name, _, _), n in accounts.items() if name == topic]
        assert landed == taken == sum(results)
    by_result: Counter[str] = Counter()
    for (_, _, result), number in accounts.items():
        by_result[result] += number
    assert by_result["journalled"] == len(events)
    assert by_result["parked"] == len(sender.unreadable)
    assert by_result["ignored"] == len(sender.events) - len(events)


def _assert_published_as_undisturbed(log: Log, journal: list[Record]) -> None:
    store = MemoryStore()
    processor = product(store)
    for record in export.journal(export.line(r) for r in journal):
        store.commit(processor.process(record.partition, [record]))
    expected: dict[tuple[str, int], list[Out]] = {}
    for out in store.published:
        partition = (out.partition or 0) if TOPICS[out.topic].partitioned else 0
        expected.setdefault((out.topic, partition), []).append(out)

    # Dead letters of all partitions lie in one log, so their order is that of the commits.
    parked = expected.pop((DEAD_LETTER, 0), [])
    letters = [r for r in _all(log, DEAD_LETTER) if r.headers["stage"] == "decide"]
    assert sorted(map(_parked, parked)) == sorted(map(_parked, letters))
    assert parked, "without clashing ids the run did not test what decide parks"

    for topic in (t for t in log.topics() if t not in {*INPUTS, JOURNAL, DEAD_LETTER}):
        for partition in range(PARTITIONS):
            outs = [(o.key, o.value) for o in expected.pop((topic, partition), [])]
            found = log.read(topic, partition, 0, 1_000_000)
            assert [(r.key, r.value) for r in found] == [outs[r.offset] for r in found]
            assert log.end_offsets(topic)[partition] == len(outs)
            # Of a compacted topic the superseded may be gone, of the others nothing is.
            assert {r.key: r.value for r in found} == dict(outs)
            assert TOPICS[topic].compacted or len(found) == len(outs)
    assert expected == {}


def _assert_one_content_per_version(log: Log) -> None:
    seen: dict[tuple[str, int], bytes | None] = {}
    for name, thing in (("care.task.v1", "task_id"), ("care.gap.v1", "gap_id")):
        for record in _all(log, name):
            value = _value(record)
            assert seen.setdefault((value[thing], value["version"]), record.value) == record.value
    assert seen


def _assert_something_happened(log: Log) -> None:
    """A run in which nothing was repeated, due or withdrawn would prove nothing."""
    changes = Counter(_value(record)["change"] for record in _all(log, "care.change.v1"))
    assert changes["task.requested"] > 20
    assert changes["task.overdue"] > 0
    assert changes["gap.opened"] > 0
    events = [v["event"] for v in map(_value, _all(log, JOURNAL)) if v["kind"] == "event"]
    assert len(events) > len({(e["source"], e["id"]) for e in events}), "dedup_hits"


@pytest.mark.parametrize("passes", range(1, SCHEMA_PASSES + 1, 11 if HITS == 1 else 1))
def test_a_log_whose_making_was_killed_is_made_anew(tmp_path: Path, passes: int) -> None:
    """Half a schema is no schema."""
    command = [sys.executable, "-m", "tests.stream.up_process", str(tmp_path / "data")]
    killed = _run(command, f"schema.creating=kill@{passes}")
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    sender = Sender(tmp_path / "data", seed=4)
    with Log.open(sender.folder) as log:
        assert log.partitions == PARTITIONS
        assert log.end_offsets("care.admission.v1") != [0]


def test_a_stop_under_load_takes_less_than_three_seconds(tmp_path: Path) -> None:
    """SIGTERM in the middle of a backlog: exit code 0, soon, and the rest is done next time."""
    sender = Sender(tmp_path / "data", seed=5)
    for _ in range(20):
        sender.send(200)
    with sender.start() as process:
        _wait_until_ready(process)
        before = time.monotonic()
        process.terminate()
        assert process.wait(10) == 0
        assert time.monotonic() - before < 3
        assert process.stderr is not None
        assert b"process.stopped" in process.stderr.read()


def _wait_until_ready(process: "subprocess.Popen[bytes]") -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if b"process.ready" in line:
            return
    raise AssertionError("up ended before it was ready")


def _run(command: list[str], plan: str) -> "subprocess.CompletedProcess[bytes]":
    environment = {**os.environ, failpoints.VARIABLE: plan}
    return subprocess.run(
        command, cwd=ROOT, env=environment, check=False, capture_output=True, timeout=60
    )


def _all(log: Log, topic: str) -> list[Record]:
    return [
        record for p in range(log.partitions_of(topic)) for record in log.read(topic, p, 0, 10**6)
    ]


def _value(record: Record) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(record.value or b"")
    return value


def _parked(letter: Out | Record) -> tuple[str, bytes, list[tuple[str, str]]]:
    return letter.key or "", letter.value or b"", sorted((letter.headers or {}).items())
