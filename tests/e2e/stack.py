"""The services of `docker-compose.yml` as processes of this machine, started by hand.

Command lines, settings, scripts and the broker's properties are the file's own; only addresses and
paths that exist in containers alone are put in place of each other (`Stack.here`).
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from orchestrator.cli.app import NAME
from orchestrator.stream.kafka.connection import Kafka, Security
from tests.deploy import compose
from tests.deploy.compose import ROOT, Service
from tests.e2e import broker_tools
from tests.kafka.broker import _free_ports

START_S: Final = 180.0
BIN: Final = Path(sys.executable).parent
# The doors of the broker in the file, which one machine cannot open twice.
DOORS: Final = (9092, 19092, 9094, 9093)
# What goes on until it is ended, beside the broker.
PROCESSES: Final = ("intake", "decide", "lag", "worklist")


class Stack:
    """The product on this machine; *folder* holds its data, secrets and logs."""

    def __init__(
        self, folder: Path, secrets: Path, settings: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.folder = folder
        self.secrets = secrets
        self.incoming = folder / "care-data/in"
        self.settings = settings  # what this site has changed in the file
        self.services = compose.services()
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.ended: list[tuple[str, int]] = []  # unasked: process, exit code
        self._of: dict[str, str] = {}  # process -> its service
        self._asked = threading.Lock()
        self._over = threading.Event()
        self._supervisor: threading.Thread | None = None
        self.doors = dict(zip(DOORS, _free_ports(len(DOORS)), strict=True))
        self.ops: dict[str, int] = {}  # process -> port of its metrics
        (self.pages,) = _free_ports(1)  # of the worklist; in the file 8000
        self._bin = broker_tools.bin_folder(folder / "bin")
        self.incoming.mkdir(parents=True)
        properties = (ROOT / "deploy/kafka/server.properties").read_text(encoding="utf-8")
        for inside, outside in self.doors.items():
            properties = properties.replace(f":{inside}", f":{outside}")
        self._properties = folder / "server.properties"
        self._properties.write_text(self._paths(properties), encoding="utf-8")

    def here(self, service: Service, text: str) -> str:
        """What *text* of the file means on this machine."""
        if text == "/in" or text.startswith("/in/"):
            return f"{self.incoming}{text[3:]}"
        for target, name in service.mounted("configs").items():
            if target == text:
                source = compose.load()["configs"][name]["file"]
                return str(ROOT / source)
        for volume in service.raw.get("volumes", []):
            if text == volume.split(":")[1] and not volume.startswith("."):
                return str(self.folder / volume.split(":")[0])
        name, _, port = text.partition(":")
        if port == service.environment.get("CARE_OPS_PORT", "8012") and name in self.ops:
            return f"127.0.0.1:{self.ops[name]}"
        text = text.replace("127.0.0.1:9094", f"127.0.0.1:{self.doors[9094]}")
        return self._paths(text.replace("kafka:9092", f"localhost:{self.doors[9092]}"))

    def _paths(self, text: str) -> str:
        return (
            text.replace("//kafka:", "//localhost:")
            .replace("/var/lib/kafka/data", str(self.folder / "kafka"))
            .replace("/run/secrets", str(self.secrets))
            .replace("/opt/kafka/bin", str(self._bin))
            .replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - of its container
        )

    def environment(self, service: Service, process: str) -> dict[str, str]:
        """The service's own settings, and nothing of this machine's."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CARE_", "KAFKA_"))}
        kept["PATH"] = f"{BIN}:{kept['PATH']}"
        given = {name: self.here(service, v) for name, v in service.environment.items()}
        for path, name in service.mounted("secrets").items():
            # In a container they are found in /run/secrets by their name.
            setting = f"{Path(path).name.upper()}_FILE"
            if setting.startswith("CARE_") and setting not in given:
                given[setting] = str(self.secrets / name)
        if "CARE_OPS_PORT" in given:
            self.ops.setdefault(process, _free_ports(1)[0])
            given["CARE_OPS_PORT"] = str(self.ops[process])
        if "CARE_WORKLIST_PORT" in given:
            given["CARE_WORKLIST_PORT"] = str(self.pages)
        if service.raw["image"].startswith("apache/kafka"):
            given["KAFKA_BIN"] = str(self._bin)
            given["KAFKA_PROPERTIES"] = str(self._properties)
            given["KAFKA_LOCAL"] = f"127.0.0.1:{self.doors[9094]}"
            given["SECRETS"] = str(self.secrets)
        return {**kept, **given, **self.settings}

    def start(self, name: str, process: str | None = None) -> None:
        """Start a service; *process* names a further replica of it."""
        service, process = self.services[name], process or name
        self._of[process] = name
        with (self.folder / f"{process}.log").open("ab") as out:
            self.running[process] = subprocess.Popen(
                [self.here(service, word) for word in service.words],
                cwd=self.folder,
                env=self.environment(service, process),
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(
        self,
        name: str,
        *words: str,
        extra: Mapping[str, str] = MappingProxyType({}),
        given: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """
        Run a service that ends.

        Args:
            words: Stand for its command, as with `compose run`.
            extra: Settings beside its own.
        """
        service = self.services[name]
        command = service.words
        if words:
            command = [*service.raw.get("entrypoint", [NAME]), *words]
        return self._done(service, command, {**self.environment(service, name), **extra}, given)

    def run_in(self, name: str, words: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in the container of a service, as `compose exec` does."""
        service = self.services[name]
        return self._done(service, words, self.environment(service, name))

    def run_raw(
        self, name: str, words: list[str], given: bytes
    ) -> subprocess.CompletedProcess[bytes]:
        """The same, or a program beside a service that stands; bytes in and out."""
        service = self.services[name]
        return subprocess.run(
            [self.here(service, word) for word in words],
            cwd=self.folder,
            env=self.environment(service, name),
            input=given,
            capture_output=True,
            check=False,
        )

    def _done(
        self, service: Service, words: list[str], environment: dict[str, str], given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.here(service, word) for word in words],
            cwd=self.folder,
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )

    def healthy(self, process: str, service: str | None = None) -> bool:
        """Whether the service's own health check says so."""
        of = self.services[service or process]
        test = [self.here(of, word) for word in of.raw["healthcheck"]["test"][1:]]
        environment = self.environment(of, process)
        done = subprocess.run(
            test, cwd=ROOT, env=environment, capture_output=True, timeout=60, check=False
        )
        return done.returncode == 0

    def wait(self, process: str, service: str | None = None) -> None:
        """Until it is healthy; one that does not get so is shown with its log."""
        end = time.monotonic() + START_S
        while not self.healthy(process, service):
            assert time.monotonic() < end, self.log(process)
            time.sleep(0.3)

    def log(self, process: str) -> str:
        """The end of what it wrote."""
        return (self.folder / f"{process}.log").read_text(errors="replace")[-4000:]

    def end(self, process: str, how: signal.Signals = signal.SIGTERM) -> int:
        """End it; the exit code."""
        with self._asked:
            ended = self.running.pop(process)
        ended.send_signal(how)
        return ended.wait(60)

    def supervise(self) -> None:
        """Start again what ends unasked, as `restart: unless-stopped` says."""
        if self._supervisor is None:
            self._supervisor = threading.Thread(target=self._start_again)
            self._supervisor.start()

    def _start_again(self) -> None:
        while not self._over.wait(0.5):
            with self._asked:
                for process, one in list(self.running.items()):
                    if one.poll() is not None:
                        self.ended.append((process, one.returncode))
                        self.start(self._of[process], process)

    def up(self) -> None:
        """What `docker compose up` does, in the order of `depends_on`."""
        self.supervise()
        self.start("kafka")
        self.wait("kafka")
        for name in ("access", "topics"):
            done = self.run(name)
            assert done.returncode == 0, done.stdout + done.stderr
        for name in PROCESSES:
            self.start(name)
        for name in PROCESSES:
            self.wait(name)

    def kafka(self, user: str = "care") -> Kafka:
        """The broker as a client of *user* reaches it."""
        password = (self.secrets / f"{user}_kafka_password").read_text(encoding="ascii").strip()
        ca = self.secrets / "kafka_ca.pem"
        security = Security("SASL_SSL", "SCRAM-SHA-512", user, password, ca)
        return Kafka(f"localhost:{self.doors[9092]}", security)

    def down(self) -> None:
        """End everything, however it stands."""
        self._over.set()
        if self._supervisor is not None:
            self._supervisor.join()
        for process in reversed(list(self.running)):
            self.running[process].kill()
            self.running[process].wait()
        self.running.clear()


@contextmanager
def stack(
    folder: Path, secrets: Path, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Stack]:
    """
    The product with a site's *settings*, running; gone afterwards.

    Raises:
        NoKafka: The broker cannot be had on this machine.
    """
    made = Stack(folder, secrets, settings)
    try:
        made.up()
        yield made
    finally:
        made.down()


def metrics(port: int) -> Mapping[str, Any]:
    """What a process tells Prometheus: metric family -> samples."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    return {family.name: family.samples for family in text_string_to_metric_families(text)}
