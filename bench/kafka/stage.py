"""What the figures of the Kafka runtime share: a broker of their own, its topics, and workers.

Workers are processes of their own, so that their CPU time can be told from the broker's and from
whoever sends and reads.  ``python -m bench.kafka.stage BOOTSTRAP ROLE INSTANCE`` is one of them.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.feed import FACILITIES
from bench.speed import RULES
from orchestrator import log
from orchestrator.stream.kafka.broker import admin
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.site import Site
from orchestrator.stream.kafka.topic_settings import wanted
from orchestrator.stream.kafka.worker import ROLES, run
from orchestrator.stream.processor import Processor

SITE_KEY: Final = b"bench bench bench bench bench 32"
GROUP: Final = "bench"
PARTITIONS: Final = 12  # what a site gets that sets nothing
_ROOT: Final = Path(__file__).resolve().parents[2]
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Worker:
    """One role as a process."""

    def __init__(self, kafka: Kafka, role: str, instance: str, log_file: Path, level: str) -> None:
        self._command = [sys.executable, "-m", "bench.kafka.stage", kafka.bootstrap]
        self._command += [role, instance, level]
        self._log_file = log_file
        self.role = role
        self.start()

    def start(self) -> None:
        """Start it; again, after it ended."""
        with self._log_file.open("ab") as out:
            self._process = subprocess.Popen(self._command, cwd=_ROOT, stdout=out, stderr=out)

    def said(self, event: str) -> bool:
        """Whether its log has *event*."""
        return event in self._log_file.read_text(encoding="utf-8")

    def tail(self) -> str:
        """The end of its log."""
        return self._log_file.read_text(encoding="utf-8")[-3000:]

    def cpu_seconds(self) -> float:
        """User and system time so far, of all its threads."""
        text = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii")
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def waited_seconds(self) -> float:
        """How long its threads were ready and got no CPU: what other work on the machine costs."""
        waits = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(path.read_text(encoding="ascii").split()[1]) for path in waits) / 1e9

    def rss_bytes(self) -> int:
        """Memory that it holds now."""
        text = Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii")
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def stop(self, *, kill: bool = False) -> int:
        """End it; its exit code."""
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        return self._process.wait(30)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None


@contextmanager
def broker(bootstrap: str | None = None) -> Iterator[Kafka]:
    """An empty broker with the product's topics; *bootstrap*: one that is there and is nobody's."""
    from tests.kafka.broker import cluster
    from tests.kafka.world import no_topics

    if bootstrap:
        kafka = Kafka(bootstrap)
        asyncio.run(no_topics(kafka))
        asyncio.run(_create(kafka))
        yield kafka
        return
    with (
        TemporaryDirectory(prefix="care-bench-") as folder,
        cluster(Path(folder) / "cluster") as ours,
    ):
        kafka = Kafka(ours.bootstrap)
        asyncio.run(_create(kafka))
        yield kafka


@contextmanager
def workers(
    kafka: Kafka,
    names: tuple[str, ...] = ("a",),
    roles: tuple[str, ...] = ROLES,
    level: str = "warning",
) -> Iterator[list[Worker]]:
    """The *roles* of each named replica; killed in the end."""
    with TemporaryDirectory(prefix="care-bench-") as folder:
        running = [
            Worker(kafka, role, name, Path(folder) / f"{role}-{name}.log", level)
            for name in names
            for role in roles
        ]
        try:
            yield running
            for one in running:
                if not one.alive:
                    raise RuntimeError(f"{one.role} ended while it was measured:\n{one.tail()}")
        finally:
            for one in running:
                one.stop(kill=True)


async def _create(kafka: Kafka) -> None:
    async with admin(kafka) as there:
        await there.create(wanted(PARTITIONS, 1), 1)


def main() -> None:
    """One role until a signal comes."""
    bootstrap, name, instance, level = sys.argv[1:]
    log.configure(level="info" if level == "info" else "warning", form="json")
    (role,) = [one for one in ROLES if one == name]
    site = Site(
        kafka=Kafka(bootstrap),
        group=GROUP,
        partitions=PARTITIONS,
        replication=1,
        facilities=FACILITIES,
        site_key=SITE_KEY,
        processor=lambda store: Processor(store, RULES, FACILITIES, SITE_KEY),
        instance=instance,
    )
    sys.exit(run(site, role))


if __name__ == "__main__":
    main()
