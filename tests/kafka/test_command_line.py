"""The commands for Kafka, run as an operator runs them."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient

from orchestrator.stream.kafka.connection import Kafka
from tests.kafka import world
from tests.kafka.test_worker import some_events

PROGRAM: Final = "from orchestrator.cli import main; main()"


def command(*words: str, **settings: str) -> tuple[list[str], dict[str, str]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CARE_")}
    return [sys.executable, "-c", PROGRAM, *words], {
        **kept,
        "PYTHONPATH": str(world.ROOT),
        **settings,
    }


def settings_of(kafka: Kafka) -> dict[str, str]:
    return {
        "CARE_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "CARE_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "CARE_PARTITIONS": "4",
        "CARE_REPLICATION": "1",
        "CARE_SITE_KEY": "0123456789abcdef0123456789abcdef",
    }


def ran(*words: str, **settings: str) -> tuple[int, str]:
    words_, environment = command(*words, **settings)
    done = subprocess.run(words_, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


async def test_topics_are_created_and_checked(kafka: Kafka) -> None:
    """A missing one is named and refused, by `worker` too; `create` makes it, `check` agrees."""
    settings = settings_of(kafka)
    client = AIOKafkaAdminClient(bootstrap_servers=kafka.servers)
    await client.start()
    await client.delete_topics(["care.gap.v1"])

    async def gone() -> bool:
        return "care.gap.v1" not in await client.list_topics()

    await world.until(gone, "deleted")
    await client.close()

    assert ran("topics", "check", **settings)[0] == 1
    code, text = ran("worker", **settings)
    assert (code, "care.gap.v1: missing" in text) == (1, True)
    code, text = ran("topics", "create", **settings)
    assert (code, text.splitlines()[0]) == (0, "care.gap.v1")
    assert ran("topics", "check", **settings)[0] == 0
    code, text = ran("topics", "check", **settings | {"CARE_PARTITIONS": "8"})
    assert (code, "care.journal.v1: 4 partitions, not 8" in text) == (1, True)


def test_without_a_broker_the_exit_code_says_so() -> None:
    """Away is 3, and what was tried is named; no setting at all is a mistake."""
    away = {
        "CARE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "CARE_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "CARE_SITE_KEY": "x" * 32,
    }
    assert ran("topics", "check", **away) == (
        3,
        "care-orchestrator: 127.0.0.1:1: nobody answers\n",
    )
    assert ran("worker", **away)[0] == 3
    assert ran("worker", CARE_SITE_KEY="x" * 32)[0] == 2
    assert ran("worker", CARE_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")[0] == 2


async def test_one_command_starts_both_halves_and_ends_them(kafka: Kafka, tmp_path: Path) -> None:
    """Events are decided on; SIGTERM ends both orderly; SIGKILL leaves no orphan."""
    await world.publish(kafka, some_events(1, 50))
    words, environment = command("worker", **settings_of(kafka), CARE_GROUP="both")

    def started() -> subprocess.Popen[bytes]:
        with (tmp_path / "worker.log").open("ab") as log:
            return subprocess.Popen(words, env=environment, stderr=log)

    worker = started()
    try:
        await world.until(lambda: _has_changes(kafka), "decided")
        worker.terminate()
        assert worker.wait(30) == 0, "a stop that took too long ends otherwise"

        worker = started()
        await world.until(lambda: _two_children(worker.pid), "both started")
        children = _children(worker.pid)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        await world.until(lambda: _none_of(children), "no orphan", 5)
    finally:
        worker.kill()
        worker.wait()


async def _has_changes(kafka: Kafka) -> bool:
    return bool(await world.read(kafka, "care.change.v1"))


async def _two_children(pid: int) -> bool:
    return len(_children(pid)) == 2


async def _none_of(pids: list[int]) -> bool:
    return not any(_is_running(pid) for pid in pids)


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in text.split()]


def _is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
