"""A parent's door: what several processes say, as one."""

import asyncio
import socket
from typing import Any

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.core.instants import SECOND
from orchestrator.ops import children, health, http, metrics, server
from orchestrator.ops.work import Work
from orchestrator.stream.clock import ManualClock
from orchestrator.stream.status import Progress, Status
from tests.ops.test_names import assert_as_promised

NOW = 1_800_000_000 * SECOND


def of(status: Status) -> http.App:
    clock = ManualClock(NOW)
    shown = metrics.RuntimeMetrics(status, clock, Work(clock))
    registry = metrics.registry("kafka", "P0", shown)
    return http.app(registry, lambda: health.of_runtime(status, clock, "P0"), "kafka")


def get(app: http.App, path: str, method: str = "GET") -> tuple[int, bytes]:
    """What an ASGI app answers."""
    sent: list[Any] = []

    async def ask() -> None:
        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            raise AssertionError("no body is read")

        await app({"type": "http", "method": method, "path": path}, receive, send)

    asyncio.run(ask())
    return sent[0]["status"], sent[1]["body"]


@pytest.fixture
def pair() -> tuple[Status, Status]:
    """Two roles that run."""
    intake, decide = Status("intake"), Status("decide")
    for one in (intake, decide):
        one.enter("running")
        one.rebalances = 2
    intake.took("care.admission.v1", "parked", 3)
    decide.records["care.admission.v1", "live", "applied"] = 5
    decide.batch_seconds.observe(0.2)
    decide.partitions = {0, 1}
    return intake, decide


def values(text: bytes) -> dict[str, float]:
    return {
        sample.name + "".join(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_counts_add_up_and_the_build_is_one(pair: tuple[Status, Status]) -> None:
    """Each series of one, sums of what both have, and one build, not two."""
    texts = [get(of(one), "/metrics")[1].decode() for one in pair]

    merged = children.summed(texts)

    assert_as_promised(merged.decode())
    found = values(merged)
    assert found["care_stream_rebalances_total"] == 4
    assert found["care_stream_partitions_owned"] == 2
    assert found["care_stream_batch_seconds_count"] == 1
    assert found["care_stream_records_totalliveparkedcare.admission.v1"] == 3
    assert found["care_stream_records_totalliveappliedcare.admission.v1"] == 5
    assert [value for name, value in found.items() if name.startswith("care_build_info")] == [1]
    one, two = (values(text.encode())["process_resident_memory_bytes"] for text in texts)
    assert found["process_resident_memory_bytes"] == one + two


def test_the_parent_asks_its_children_and_tells_the_worst(pair: tuple[Status, Status]) -> None:
    """One that recovers makes both not ready; one that does not answer yet, too."""
    intake, decide = pair
    with children.folder() as folder:
        parent = children.app([folder / "intake", folder / "decide"], "kafka")
        door = children.own_socket("intake")
        assert door is not None
        with server.served(of(intake), door) as port:
            assert port == 0
            alone = get(parent, "/readyz")
            other = children.own_socket("decide")
            assert other is not None
            with server.served(of(decide), other):
                both = get(parent, "/readyz")
                alive = get(parent, "/healthz")
                decide.enter("recovering")
                decide.recovery = Progress(1, 4)
                recovering = get(parent, "/readyz")
                decide.turned -= health.ALIVE_S + 1
                stuck = get(parent, "/healthz")
    assert children.own_socket("intake") is None
    assert not folder.exists()

    assert (alone[0], orjson.loads(alone[1])["status"]) == (503, "not-ready")
    assert (both[0], orjson.loads(both[1])["status"]) == (200, "ready")
    assert alive == (200, b'{"status":"alive"}\n')
    assert (recovering[0], stuck[0]) == (503, 503)
    checks = {check["name"]: check for check in orjson.loads(recovering[1])["checks"]}
    assert (checks["recovery"]["status"], checks["recovery"]["progress"]) == ("not-ready", 0.25)


def test_other_paths_and_methods_are_refused(pair: tuple[Status, Status]) -> None:
    """Three questions, all of them reads."""
    app = of(pair[0])
    assert get(app, "/")[0] == 404
    assert get(app, "/metrics", "POST")[0] == 405
    assert get(app, "/healthz", "HEAD") == (200, b"")


def test_a_usual_port_that_is_taken_is_no_reason_to_stop() -> None:
    """Two workers on one machine: the second takes any free port, and logs which."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        usual = int(taken.getsockname()[1])
        other = server.bound("127.0.0.1", None, usual)
        with other:
            assert server.port_of(other) not in (0, usual)
        with pytest.raises(server.PortTaken, match="CARE_OPS_PORT"):
            server.bound("127.0.0.1", usual, usual)
