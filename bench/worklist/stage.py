"""A worklist to be measured: a log with a hundred thousand open tasks, and the product over it.

The log is what the embedded runtime makes of that many discharges, so that actions on its tasks are
decided, published, projected and shown by the same code as at a site.
"""

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson

from orchestrator.stream import embedded
from orchestrator.stream.processor import Processor
from orchestrator.stream.rules import rules
from orchestrator.stream.sqlite_log import Log
from orchestrator.worklist.access.tokens import signed, site_signing_key
from schemas.facilities import Facilities
from schemas.policy import load_policies
from schemas.topics import topic_of
from tests.worklist.world import happened

SITE_KEY: Final = b"bench bench bench bench bench 32"
FACILITIES: Final = Facilities.parse("default: {zone: America/New_York}\n")
PLACES: Final = 5
PARTITIONS: Final = 12
TASKS_EACH: Final = 3  # of a discharge home: call, visit, reconciliation
AT_ONCE: Final = 1_000
FAMILIES: Final = ("Bluestem", "Wildrye", "Sedge", "Fescue", "Timothy", "Foxtail", "Brome")
GIVEN: Final = ("Fern", "Ash", "Rowan", "Linden", "Hazel", "Juniper", "Alder", "Willow")
READY_S: Final = 300.0
MAIN: Final = "from orchestrator.cli import main; main()"


def discharged(number: int, draw: random.Random) -> list[dict[str, Any]]:
    """What the hospital says of one patient who has gone home."""
    ago = draw.uniform(0.5, 46)
    person = {
        "name": {"family": draw.choice(FAMILIES), "given": [draw.choice(GIVEN), f"N{number}"]},
        "birth_date": f"19{draw.randrange(30, 99)}-{draw.randrange(1, 13):02}-{number % 28 + 1:02}",
        "phones": [f"+1-212-555-{number % 10_000:04}"],
        "language": "en",
    }
    visit = {"visit_number": f"V{number}"}
    return happened(
        f"F{number % PLACES}",
        number,
        ("patient.updated", ago + 48, person),
        ("admission.opened", ago + 48, {**visit, "class": "INPATIENT"}),
        ("discharge.recorded", ago, {**visit, "disposition": "01"}),
    )


def append(log: Log, events: list[dict[str, Any]]) -> None:
    """Publish *events*."""
    with log.transaction() as transaction:
        for event in events:
            topic = topic_of(event["type"])
            assert topic is not None
            transaction.append(topic, None, orjson.dumps(event))


def fill(folder: Path, tasks: int) -> None:
    """Make the log of *folder* with so many open tasks; one that is there already is kept."""
    done = folder / "staged"
    if done.exists() and done.read_text() == str(tasks):
        return
    draw = random.Random(1)
    in_force = rules(load_policies(None), FACILITIES)
    with embedded.opened(
        folder,
        lambda store: Processor(store, in_force, FACILITIES, SITE_KEY),
        FACILITIES,
        SITE_KEY,
        partitions=PARTITIONS,
    ) as runtime:
        patients = -(-tasks // TASKS_EACH)
        for begin in range(0, patients, AT_ONCE):
            events: list[dict[str, Any]] = []
            for number in range(begin, min(begin + AT_ONCE, patients)):
                events += discharged(number, draw)
            append(runtime.log, events)
            while runtime.turn():
                pass
    done.write_text(str(tasks))


class Product:
    """``up`` as a process: decides, projects and serves."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, port: int) -> None:
        self.process, self.folder = process, folder
        self.url = f"http://127.0.0.1:{port}"
        self._key = site_signing_key(folder)

    def token(self, name: str, role: str, teams: list[str], facilities: list[str]) -> str:
        """A token of this site."""
        claims = {"sub": name, "roles": [role], "teams": teams, "facilities": facilities}
        return signed(self._key, "care-orchestrator", claims, 24 * 3600)[0]

    def rss_bytes(self) -> int:
        """Memory that it holds now."""
        text = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii")
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self) -> float:
        """User and system time so far, of all its threads."""
        text = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def product(folder: Path, command: str = "up", **settings: str) -> Iterator[Product]:
    """
    The product over the log of *folder*, its read model up to date.

    Args:
        command: ``worklist`` where others decide.
        settings: Beside those of a site over one folder.
    """
    said, port = folder / "up.log", _free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CARE_")},
        "CARE_DATA_DIR": str(folder),
        "CARE_SITE_KEY": SITE_KEY.decode(),
        "CARE_PARTITIONS": str(PARTITIONS),
        "CARE_WORKLIST_PORT": str(port),
        "CARE_OPS_PORT": "0",
        "CARE_LOG_FORMAT": "json",
        **settings,
    }
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, command], env=environment, stdout=out, stderr=out
        )
    try:
        _wait_for(process, said, port)
        yield Product(process, folder, port)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def _wait_for(process: subprocess.Popen[bytes], said: Path, port: int) -> None:
    """Until it serves there and its read model is up to date."""
    end, missing = time.monotonic() + READY_S, True
    while missing:
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the product did not start:\n{said.read_text()[-3000:]}")
        time.sleep(0.1)
        lines = said.read_text().splitlines()
        told = [json.loads(line) for line in lines if line[:1] + line[-1:] == "{}"]
        serves = any(one.get("port") == port for one in told)
        missing = not serves or all(one["event"] != "projection.caught_up" for one in told)


if __name__ == "__main__":
    fill(Path(sys.argv[1]), int(sys.argv[2]))
