"""A real Apache Kafka for tests: its released jars, KRaft, on free ports, in a folder of its own.

Tests that stop or pause brokers need a `cluster` of their own, with one node or three; the others
share the one of the fixture (`conftest.py`), or that which ``KAFKA_BOOTSTRAP_SERVERS`` names.
"""

import fcntl
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

BOOTSTRAP: Final = "KAFKA_BOOTSTRAP_SERVERS"
HERE: Final = Path(__file__).resolve().parent
POM: Final = HERE / "pom.xml"
JARS: Final = HERE / ".jars"
# Below those that the system gives to whoever connects: a broker that comes back after a while
# must find its port free.
PORTS: Final = range(20_000, 32_000)
START_S: Final = 60.0
_JVM: Final = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

# What one node alone cannot have three of, and what makes tests short.
_PROPERTIES: Final = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}/log
auto.create.topics.enable=false
num.partitions=12
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.backoff.ms=500
log.retention.check.interval.ms=1000
"""


class NoKafka(Exception):
    """There is no broker and none can be had on this machine; says what is missing."""


class BrokerFailed(Exception):
    """A broker ended or does not answer, though all is there that it needs."""


def jars() -> str:
    """
    The class path of the broker; Maven fetches it the first time.

    Raises:
        NoKafka: No Java or Maven, or Maven could not fetch it.
    """
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            raise NoKafka(f"no {tool}, and {BOOTSTRAP} is not set")
    done = JARS / f"done-{int(POM.stat().st_mtime)}"
    # Workers of pytest-xdist ask at the same time.
    with (HERE / ".jars.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _fetch()
            done.touch()
    return f"{JARS}/*"


def _fetch() -> None:
    shutil.rmtree(JARS, ignore_errors=True)
    command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={JARS}"]
    fetched = subprocess.run(command, capture_output=True, text=True, check=False)
    if fetched.returncode:
        raise NoKafka(f"Maven could not fetch Kafka:\n{fetched.stdout[-2000:]}")


class Node:
    """One broker process, which is its cluster's controller, too."""

    def __init__(self, number: int, folder: Path, port: int, controller_port: int) -> None:
        self.number = number
        self.folder = folder
        self.port = port
        self.controller_port = controller_port
        self.process: subprocess.Popen[bytes] | None = None

    def format(self, properties: str, cluster_id: str) -> None:
        """Make the folder of a node that has none yet."""
        self.folder.mkdir(parents=True)
        self._settings.write_text(properties, encoding="ascii")
        command = ["java", *_JVM, "-cp", jars(), "kafka.tools.StorageTool", "format"]
        command += ["-t", cluster_id, "-c", str(self._settings)]
        subprocess.run(command, check=True, capture_output=True)

    @property
    def _settings(self) -> Path:
        return self.folder / "server.properties"

    def start(self) -> None:
        """Start it; `wait` for it afterwards."""
        assert self.process is None, "it runs"
        command = ["java", *_JVM, "-cp", jars(), "kafka.Kafka", str(self._settings)]
        with (self.folder / "broker.out").open("ab") as out:
            # A session of its own: Ctrl-C is for the test, not for its broker.
            self.process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )

    def wait(self) -> None:
        """Until it answers."""
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if self.process is None or self.process.poll() is not None:
                break
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        text = (self.folder / "broker.out").read_text(errors="replace")[-2000:]
        raise BrokerFailed(f"broker {self.number} did not start:\n{text}")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal: SIGSTOP and SIGCONT, for one."""
        assert self.process is not None, "it is not running"
        self.process.send_signal(number)

    def stop(self, *, kill: bool = False) -> None:
        """End it, orderly or not; starting it again finds its log."""
        if self.process is None:
            return
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process = None


class Cluster:
    """Brokers that belong together."""

    def __init__(self, folder: Path, nodes: int = 1) -> None:
        ports = _free_ports(2 * nodes)
        self.nodes = [
            Node(number, folder / f"node-{number}", ports[number - 1], ports[nodes + number - 1])
            for number in range(1, nodes + 1)
        ]
        self.replication = min(3, nodes)
        voters = ",".join(f"{n.number}@127.0.0.1:{n.controller_port}" for n in self.nodes)
        for node in self.nodes:
            properties = _PROPERTIES.format(
                node=node.number,
                voters=voters,
                port=node.port,
                controller_port=node.controller_port,
                folder=node.folder,
                replicas=self.replication,
                in_sync=max(1, self.replication - 1),
            )
            node.format(properties, "dGVzdC1vZi1jYXJlLTAwMQ")

    @property
    def bootstrap(self) -> str:
        """What clients connect to."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.wait()

    def stop(self) -> None:
        # Without a majority of controllers no node can leave orderly.
        for node in self.nodes:
            node.stop(kill=len(self.nodes) > 1)


@contextmanager
def cluster(folder: Path, nodes: int = 1) -> Iterator[Cluster]:
    """A running cluster of our own; gone with its data afterwards."""
    made = Cluster(folder, nodes)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    # Two test processes choose at the same time, each at random among thousands.
    free = []
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                free.append(port)
        if len(free) == count:
            break
    return free
