"""``worker`` as operators see it: one door for its processes, and what its end looks like."""

import asyncio
import os
import signal
from http.client import HTTPException
from pathlib import Path
from typing import Final

from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.leaving import FAILED, STUCK
from schemas.topics import INPUTS
from tests.kafka import world
from tests.kafka.broker import cluster
from tests.kafka.test_lag import settings
from tests.kafka.test_worker import some_events
from tests.ops.processes import Process, process, until
from tests.ops.test_names import assert_as_promised

LAG: Final = "kafka_consumergroup_group_lag"
# What a worker without partitions to recover, deadlines to fire or faults to tell cannot have.
SHOWN: Final = {
    "care_build_info",
    "care_deadlines_backlog",
    "care_deadlines_early_total",
    "care_stream_batch_seconds",
    "care_stream_clock_age_seconds",
    "care_stream_clock_jumps_total",
    "care_stream_commit_age_seconds",
    "care_stream_partitions_owned",
    "care_stream_rebalances_total",
    "care_stream_records_total",
    "care_stream_recovery_progress_ratio",
    "care_stream_recovery_seconds",
    "care_task_changes_total",
    "care_gap_changes_total",
    "care_event_to_task_seconds",
}


def worker(folder: Path, kafka: Kafka, name: str = "worker") -> "Process":
    return Process(
        folder, name, "worker", "--instance", name, **settings(kafka, CARE_REPLICATION="1")
    )


def status_of(one: Process) -> str:
    return str(one.ready()[1]["status"])


def counted(one: Process) -> float:
    return one.value("care_stream_records_total") or 0


def child_of(one: Process, role: str) -> int:
    """The process of one role, as the system knows it."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if parent == one.running.pid and role.encode() in words:
                return int(entry.name)
    raise AssertionError(f"no {role}")


async def test_a_running_worker_is_scraped_at_one_door(kafka: Kafka, tmp_path: Path) -> None:
    """Both roles in one exposition, each input counted once, ready with its checks."""
    await world.publish(kafka, some_events(11, 200))
    running = worker(tmp_path, kafka)
    try:
        await asyncio.to_thread(until, lambda: status_of(running) == "ready")
        await asyncio.to_thread(until, lambda: counted(running) == 200)
        await asyncio.to_thread(until, lambda: running.value("care_stream_clock_age_seconds"))
        shown = assert_as_promised(running.text())
        status, body = running.ready()
        healthz = running.ask("/healthz")[0]
        owned = running.value("care_stream_partitions_owned")
        code = await asyncio.to_thread(running.stop)
    finally:
        running.kill()

    assert shown >= SHOWN
    assert not any(name.startswith("kafka_") for name in shown)  # lag is told from outside
    assert (status, healthz, owned, code) == (200, 200, 4, 0)
    assert body["runtime"] == "kafka"
    names = {check["name"] for check in body["checks"]}
    assert names == {"log", "partitions", "recovery", "clock", "policy"}


async def test_a_killed_role_takes_the_door_down_and_lag_grows(
    kafka: Kafka, tmp_path: Path
) -> None:
    """Half a worker would only look like one: the parent ends; the sampler goes on."""
    await world.publish(kafka, some_events(12, 30))
    running = worker(tmp_path, kafka)
    try:
        with process(tmp_path, "lag", "lag", "--serve", **settings(kafka)) as lag:
            await asyncio.to_thread(until, lambda: counted(running) == 30)
            await asyncio.to_thread(until, lambda: lag.value(LAG) == 0)
            os.kill(child_of(running, "decide"), signal.SIGKILL)
            await asyncio.to_thread(running.running.wait, 30)
            await world.publish(kafka, some_events(13, 20, first=5000))
            await asyncio.to_thread(until, lambda: (lag.value(LAG) or 0) >= 20)
            seconds = lag.value(f"{LAG}_seconds")
            topics = {t for t in INPUTS if lag.value(LAG, topic=t)}
    finally:
        running.kill()

    assert running.running.returncode != 0
    assert len(topics) > 1
    assert seconds
    assert seconds > 0


def bad_of(running: Process) -> set[str]:
    """What stands in the way, by name."""
    checks = running.ready()[1]["checks"]
    return {check["name"] for check in checks if check["status"] == "not-ready"}


class Supervised:
    """A worker as it runs everywhere: started again when it ends."""

    def __init__(self, folder: Path, kafka: Kafka) -> None:
        self._folder = folder
        self._kafka = kafka
        self.running = worker(folder, kafka)
        self.ends: list[int] = []

    def is_back(self) -> bool:
        """Whether it works; what stands in the way is printed, for when a test gives up."""
        code = self.running.running.poll()
        if code is not None:
            self.ends.append(code)
            left = [one for one in self.running.logged() if one["event"] == "worker.exited"]
            print(code, left)  # noqa: T201 - the same
            name = f"worker-{len(self.ends)}"
            self.running = worker(self._folder, self._kafka, name)
        if not self.running.serves:
            return False
        try:
            body = self.running.ready()[1]
        except (OSError, HTTPException):  # it is just ending
            return False
        print([check for check in body["checks"] if check["status"] != "ready"])  # noqa: T201
        return body["status"] in ("ready", "degraded")


def test_brokers_that_are_away_make_it_not_ready_and_not_dead(tmp_path: Path) -> None:
    """
    Restarting the worker would not bring them back; once they are, it is ready again.

    By itself, or, where Faust gave its recovery up meanwhile, by ending with a code that says so.
    """
    with cluster(tmp_path / "cluster") as ours:
        kafka = Kafka(ours.bootstrap)
        asyncio.run(world.fresh_topics(kafka))
        supervised = Supervised(tmp_path, kafka)
        running = supervised.running
        try:
            until(lambda: status_of(running) == "ready")
            # Only then do its clocks ask the brokers.
            until(lambda: running.value("care_stream_clock_age_seconds"))
            ours.stop()
            until(lambda: "log" in bad_of(running))
            away = running.ready()
            healthz = running.ask("/healthz")[0]
            ours.start()
            # The session may have ended meanwhile: a rebalance, a recovery, the next clock.
            until(supervised.is_back, 300)
        finally:
            supervised.running.kill()

    assert (away[0], away[1]["status"], healthz) == (503, "not-ready", 200)
    # 3: it was started again, and the brokers were not back yet.
    assert set(supervised.ends) <= {FAILED, STUCK, 3}, "it left in order, and in vain"
