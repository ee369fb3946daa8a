"""What hospitals send that cannot be taken, and the log on which its dead letters lie."""

import os
import pty
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import orjson

from orchestrator.core.instants import HOUR, written
from orchestrator.stream.clock import RealClock
from orchestrator.stream.sqlite_log import Log
from schemas.topics import topic_of
from tests.cli.conftest import bare_environment

START: Final = [sys.executable, "-c", "from orchestrator.cli import main; main()"]
WAIT_S: Final = 120.0
PARTITIONS: Final = "2"
COLUMNS: Final = 80
# Nothing of these may ever be printed, or logged.
NAME: Final = "Zwetschgenbaum"
NUMBER: Final = "MRN-4711-KANARI"


def discharge(number: int, **more: Any) -> dict[str, Any]:
    """A discharge of two hours ago."""
    data = {"visit_number": f"V{number}", "disposition": {"code": "01"}}
    return {
        "id": f"GEN-{number}",
        "source": "hospital/GEN/adt",
        "type": "care.discharge.recorded.v1",
        "time": written(RealClock().now() - 2 * HOUR),
        "subject": f"GEN|{NUMBER}{number}",
        "facility": "GEN",
        "data": data | more,
    }


def without_visit(number: int) -> dict[str, Any]:
    event = discharge(number, note=NAME)
    return {**event, "data": {**event["data"], "visit_number": None}}


def file_of(folder: Path, name: str, *events: dict[str, Any]) -> Path:
    path = folder / name
    path.write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in events))
    return path


def facilities(folder: Path) -> Path:
    path = folder / "facilities.yaml"
    path.write_text("GEN: {zone: America/New_York}\n", encoding="utf-8")
    return path


def deeds(folder: Path) -> list[dict[str, Any]]:
    """All that is on record."""
    with Log.open(folder) as log:
        rows = [
            row
            for number in range(log.partitions_of("care.audit.v1"))
            for row in log.read("care.audit.v1", number, 0, 999)
        ]
    return [orjson.loads(row.value or b"") for row in sorted(rows, key=lambda row: row.stamp)]


def lying(folder: Path, topic: str) -> list[bytes]:
    """The values of one of those topics that have one partition."""
    with Log.open(folder) as log:
        return [row.value or b"" for row in log.read(topic, 0, 0, 9_999)]


@contextmanager
def up(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``care-orchestrator up`` over the log in *folder*, once it decides on what comes."""
    settings = {"CARE_WORKLIST_PORT": "0", "CARE_OPS_PORT": "0", "CARE_PARTITIONS": PARTITIONS}
    probe = discharge(900)
    with Log.open(folder) as log:
        log.append(topic_of(probe["type"], "live") or "", None, orjson.dumps(probe))
    with (folder.parent / "up.err").open("wb") as err:
        running = subprocess.Popen(
            [*START, "up", "--data-dir", str(folder)], env=bare_environment(settings), stderr=err
        )
    try:
        until(lambda: running.poll() is not None or _has_decided(folder))
        assert running.poll() is None, "`up` has ended"
        yield running
    finally:
        running.terminate()
        running.wait(WAIT_S)


def _has_decided(folder: Path) -> bool:
    with Log.open(folder) as log:
        return sum(log.end_offsets("care.change.v1")) > 0


def until(holds: Any) -> None:
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)


def on_terminal(
    folder: Path, *words: str, out: Path | None = None, **settings: str
) -> tuple[int, str]:
    """
    Run a command whose output is a terminal; its exit code, and what was seen.

    Args:
        out: Where results go instead, as with ``> FILE``.
    """
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, COLUMNS))
    seen: list[bytes] = []

    def look() -> None:
        while True:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # the other end is closed
                return
            if not part:
                return
            seen.append(part)

    environment = bare_environment({"TERM": "xterm", **settings})
    with ExitStack() as stack:
        stdout = theirs if out is None else stack.enter_context(out.open("wb"))
        running = subprocess.Popen(
            [*START, *words], cwd=folder, env=environment,
            stdout=stdout, stderr=theirs, stdin=theirs,
        )  # fmt: skip
    os.close(theirs)
    looking = threading.Thread(target=look)
    looking.start()
    code = running.wait(WAIT_S)
    looking.join(WAIT_S)
    os.close(ours)
    return code, b"".join(seen).decode()
