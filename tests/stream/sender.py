"""A hospital that sends to a log which may be killed at any time, and remembers what it sent."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import orjson

from orchestrator.core.instants import DAY
from orchestrator.stream import failpoints, inflow, log_file
from orchestrator.stream.clock import ManualClock, SpeedClock
from orchestrator.stream.sqlite_log import Log
from schemas.topics import BACKFILL, INPUTS
from tests.stream.fakes import PARTITIONS, START
from tests.stream.hospital_events import drawn

ROOT: Final = Path(__file__).parents[2]
# A day passes in less than twenty seconds; the longest run stays below the journal's 120 days.
SPEED: Final = 5_000
# Older than their topic keeps them, so that there is something to prune.
OLD_INPUTS: Final = 30

Plan = str  # of failpoints


class Sender:
    """Everything it sent, apart from the system under test."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.events: list[tuple[str, dict[str, Any]]] = []  # landed, repeats included
        self.unreadable: list[bytes] = []
        self.kills: Counter[str] = Counter()
        log_file.create(folder, PARTITIONS, SpeedClock(START, SPEED).written)
        long_ago = START - 60 * DAY
        with Log.open(folder, clock=ManualClock(long_ago)) as log:
            self._send(log, OLD_INPUTS, long_ago)

    @property
    def accepted(self) -> Counter[tuple[str, str]]:
        """How often each event must stand in the journal."""
        live = [event for _, event in self.events if event.get("lane") != "test"]
        return Counter((event["source"], event["id"]) for event in live)

    def send(self, count: int) -> None:
        """Some new events, some repeats, some that nobody can read."""
        with Log.open(self.folder) as log:
            self._send(log, count, START)

    def _send(self, log: Log, count: int, before: int) -> None:
        with log.transaction() as transaction:
            for _ in range(count):
                draw = self.random.random()
                if draw < 0.05:
                    raw = b"unreadable %d" % len(self.unreadable)
                    self.unreadable.append(raw)
                    transaction.append("care.discharge.v1", None, raw)
                    continue
                topic, event = drawn(self.random, len(self.events), before=before)
                if draw < 0.15 and self.events:
                    topic, event = self.random.choice(self.events)
                elif draw < 0.18 and self.events:
                    # The same name with other content: parked by decide.
                    earlier = self.random.choice(self.events)[1]
                    event |= {name: earlier[name] for name in ("id", "source", "subject")}
                elif draw < 0.22:
                    event["lane"] = "test"
                elif draw < 0.27:
                    topic = BACKFILL
                transaction.append(topic, None, orjson.dumps(event))
                self.events.append((topic, event))

    def start(self, plan: Plan = "") -> "subprocess.Popen[bytes]":
        """``up`` as a process of its own."""
        environment = {**os.environ, failpoints.VARIABLE: plan}
        command = [sys.executable, "-m", "tests.stream.up_process", str(self.folder)]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE)

    def run_until_killed(self, plan: Plan) -> None:
        """Start ``up`` with *plan*; it must die of it."""
        with self.start(plan) as process:
            try:
                _, errors = process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise AssertionError(f"{plan} was never reached") from None
        assert process.returncode == -signal.SIGKILL, errors.decode()
        self.kills[plan.partition("=")[0]] += 1

    def settle(self) -> None:
        """Run ``up`` until everything is taken in and some deadlines have passed; then stop it."""
        with self.start() as process:
            deadline = time.monotonic() + 60
            while not self._is_taken_in():
                assert process.poll() is None, "up ended by itself"
                assert time.monotonic() < deadline, "up does not come to rest"
                time.sleep(0.1)
            time.sleep(2)
            process.terminate()
            assert process.wait(5) == 0

    def _is_taken_in(self) -> bool:
        with Log.open(self.folder) as log:
            return all(log.end_offsets(t) == log.committed(inflow.READER, t) for t in INPUTS)
