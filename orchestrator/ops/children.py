"""One operators' door for a process and its children: asked, it asks them, and adds up.

``worker`` without a role is three processes on one port.  Each child serves at a socket in a
folder that only this user can enter; series that two of them have are summed, except those that
say which program it is and since when.
"""

import http.client
import os
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from orchestrator.ops import http as door
from orchestrator.ops import server
from orchestrator.ops.names import BUILD

# Not CARE_…: no setting, only said from parent to child.
FOLDER: Final = "ORCHESTRATOR_OPS_FOLDER"
ASK_S: Final = 5.0
_SMALLEST: Final = frozenset({BUILD, "process_start_time_seconds"})
_RANK: Final = ("not-ready", "degraded", "ready")


class _Connection(http.client.HTTPConnection):
    """HTTP over a socket of the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ASK_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ASK_S)
        self.sock.connect(str(self._path))


def own_socket(role: str) -> socket.socket | None:
    """The socket at which a child of *role* is asked; ``None``: this process is no child."""
    folder = os.environ.get(FOLDER)
    return None if folder is None else server.at_path(Path(folder) / role)


@contextmanager
def folder() -> Iterator[Path]:
    """The folder of the children's sockets; children that are started meanwhile know it."""
    with tempfile.TemporaryDirectory(prefix="care-ops-") as made:
        os.environ[FOLDER] = made
        try:
            yield Path(made)
        finally:
            del os.environ[FOLDER]


def app(sockets: Sequence[Path], runtime: str) -> door.App:
    """The door of the parent of those who serve at *sockets*."""

    def answer(path: str) -> door.Answer:
        if path not in ("/metrics", "/healthz", "/readyz"):
            return door.Answer(404, door.TEXT, b"not found\n")
        answers = [asked(one, path) for one in sockets]
        if path == "/metrics":
            texts = [body.decode() for status, body in answers if status == 200]
            return door.Answer(200, CONTENT_TYPE_PLAIN_0_0_4, summed(texts))
        status = max(status for status, _ in answers)
        if path == "/healthz":
            alive = b'{"status":"alive"}\n' if status == 200 else b'{"status":"stuck"}\n'
            return door.Answer(status, door.JSON, alive)
        body = _readiness([body for _, body in answers], runtime)
        return door.Answer(status, door.JSON, orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE))

    return door.of(answer)


def asked(path: Path, what: str) -> tuple[int, bytes]:
    """What the child at *path* answers; 503 and nothing while it does not."""
    connection = _Connection(path)
    with suppress(OSError, http.client.HTTPException):
        try:
            connection.request("GET", what)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
    return 503, b""


def summed(texts: Iterable[str]) -> bytes:
    """Several expositions as one."""
    found: dict[str, Metric] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            found.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            series = values.setdefault(family.name, {})
            join: Callable[..., float] = min if family.name in _SMALLEST else _sum
            for sample in family.samples:
                key = sample.name, tuple(sorted(sample.labels.items()))
                series[key] = join(series[key], sample.value) if key in series else sample.value
    for name, metric in found.items():
        metric.samples = [
            Sample(series, dict(labels), value) for (series, labels), value in values[name].items()
        ]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Fixed(list(found.values())))
    return generate_latest(registry)


class _Fixed(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _sum(one: float, other: float) -> float:
    return one + other


def _readiness(bodies: Sequence[bytes], runtime: str) -> dict[str, Any]:
    """The worst of each check; a child that does not answer yet is not ready."""
    checks: dict[str, dict[str, Any]] = {}
    status = "ready"
    for body in bodies:
        silent = {"name": "partitions", "status": "not-ready", "detail": "a process is silent"}
        told: dict[str, Any] = {"status": "not-ready", "checks": [silent]}
        if body:
            told = orjson.loads(body)
        status = min(status, told["status"], key=_RANK.index)
        check: dict[str, Any]
        for check in told["checks"]:
            name: str = check["name"]
            known = checks.get(name)
            if known is None or _RANK.index(check["status"]) < _RANK.index(known["status"]):
                checks[name] = check
    build = version("care-orchestrator")
    return {
        "status": status,
        "version": build,
        "runtime": runtime,
        "checks": list(checks.values()),
    }
