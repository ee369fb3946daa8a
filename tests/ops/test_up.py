"""``up``, ``lag`` and ``lag --serve`` as processes: scraped, killed, asked from outside."""

import signal
from pathlib import Path

import orjson
import pytest

from orchestrator.stream.sqlite_log import Log
from schemas.topics import INPUTS, JOURNAL
from tests.ops.processes import Process, process, run, until
from tests.ops.test_names import assert_as_promised
from tests.stream.fakes import admitted, send

GROUPS = ("care-orchestrator-intake", "care-orchestrator-decide")


def sent(folder: Path, *numbers: int) -> None:
    """Events in the log, from a process that is not `up`."""
    with Log.open(folder / "data") as log:
        send(log, *(admitted(number) for number in numbers))


def taken(up: Process, count: int) -> bool:
    return up.value("care_stream_records_total", result="applied") == count


def test_a_running_up_is_scraped(tmp_path: Path) -> None:
    """Metrics of the contract, lag of both groups in every partition, alive and ready."""
    with process(tmp_path, "up", "up", "--data-dir", "data") as up:
        until(lambda: up.ready()[1]["status"] == "ready")
        sent(tmp_path, 1, 2, 3)
        until(lambda: taken(up, 3))
        shown = assert_as_promised(up.text())
        status, body = up.ready()
        assert up.ask("/healthz")[0] == 200
        assert up.ask("/patients")[0] == 404

        assert "kafka_consumergroup_group_lag" in shown
        assert "care_stream_clock_age_seconds" in shown
        for group, series in zip(GROUPS, (len(INPUTS), 4), strict=True):
            labels = f'group="{group}"'
            lines = [one for one in up.text().splitlines() if labels in one]
            lags = [one for one in lines if one.startswith("kafka_consumergroup_group_lag{")]
            assert len(lags) == series
            assert all('cluster_name="embedded"' in one for one in lags)
        assert status == 200
        assert (body["status"], body["runtime"]) == ("ready", "embedded")
        names = {check["name"] for check in body["checks"]}
        assert names >= {"log", "partitions", "recovery", "clock", "disk", "policy"}
        assert up.stop() == 0
    told = [one["event"] for one in up.logged() if one.get("role") in (None, "up")]
    assert [name for name in told if name.startswith(("process.", "policy."))] == [
        "process.started",
        "policy.loaded",
        "process.ready",
        "process.stopped",
    ]


def test_what_up_decides_beside_publishers_is_there_for_all(tmp_path: Path) -> None:
    """Each publisher leaves as if it were the last; what `up` writes afterwards must not vanish."""
    with process(tmp_path, "up", "up", "--data-dir", "data") as up:
        until(lambda: up.ready()[0] == 200)
        for number in (1, 2):
            sent(tmp_path, number)
            until(lambda number=number: taken(up, number))
        with Log.open(tmp_path / "data") as log:
            decided = dict(log.connection.execute("SELECT partition, next FROM meta"))
            ends = log.end_offsets(JOURNAL)
        up.kill()

    assert sum(ends) > 2
    assert sum(decided.values()) > 2
    with Log.open(tmp_path / "data") as log:
        assert log.end_offsets(JOURNAL) >= ends


def test_a_killed_up_is_seen_by_those_who_look_on(tmp_path: Path) -> None:
    """SIGKILL: `lag --serve` goes on and shows a lag that grows; `lag` exits 1 once it is old."""
    settings = {"CARE_BEHIND_AFTER": "PT1S"}
    with (
        process(tmp_path, "up", "up", "--data-dir", "data") as up,
        process(tmp_path, "lag", "lag", "--serve", "--data-dir", "data", **settings) as lag,
    ):
        until(lambda: up.ready()[0] == 200)
        sent(tmp_path, 1)
        until(lambda: taken(up, 1))
        assert run(tmp_path, "lag", "--data-dir", "data").returncode == 0
        up.kill()
        sent(tmp_path, 2, 3)

        name, topic = "kafka_consumergroup_group_lag", "care.admission.v1"
        until(lambda: lag.value(name, topic=topic) == 2)
        sent(tmp_path, 4)
        until(lambda: lag.value(name, topic=topic) == 3)
        older = lag.value(f"{name}_seconds", topic=topic)
        assert older is not None
        assert older > 0
        until(lambda: lag.ready()[1]["status"] == "degraded")
        assert lag.ready()[0] == 200

        done = run(tmp_path, "lag", "--data-dir", "data", settings=settings)
        assert done.returncode == 1
        assert b"care.admission" in done.stdout
        assert b"STALLED" in done.stdout
        assert lag.stop() == 0


def test_lag_of_a_log_that_was_never_read_says_unknown(tmp_path: Path) -> None:
    """Published, and no `up` ever ran: UNKNOWN and null, neither 0 nor current."""
    with Log.open(tmp_path / "data", create=True, partitions=4) as log:
        send(log, admitted(1))

    done = run(tmp_path, "lag", "--data-dir", "data", "--json")

    assert done.returncode == 1
    answer = orjson.loads(done.stdout)
    assert answer["current"] is False
    partitions = [one for group in answer["groups"] for one in group["partitions"]]
    assert {(one["lag"], one["lag_seconds"], one["state"]) for one in partitions} == {
        (None, None, "UNKNOWN")
    }
    assert [group["sum_lag"] for group in answer["groups"]] == [None, None]
    text = run(tmp_path, "lag", "--data-dir", "data").stdout.decode()
    assert text.startswith("Unknown")
    assert JOURNAL.removesuffix(".v1") in text


def test_lag_of_no_log_at_all_is_3(tmp_path: Path) -> None:
    """Something that it needs is away; one line says what to do."""
    done = run(tmp_path, "lag", "--data-dir", "nowhere")
    assert (done.returncode, done.stdout) == (3, b"")
    assert b"there is no log" in done.stderr


def test_a_stated_port_that_is_taken_is_a_mistake(tmp_path: Path) -> None:
    """Who names a port means that one: exit 2, and which setting to change."""
    with process(tmp_path, "up", "up", "--data-dir", "data") as up:
        settings = {"CARE_OPS_PORT": str(up.port)}
        done = run(tmp_path, "up", "--data-dir", "other", settings=settings)
    assert done.returncode == 2
    assert b"CARE_OPS_PORT" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watching_prints_one_object_a_look_and_ends_on_a_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    """`lag --watch --json` is for programs that read lines."""
    import subprocess

    from tests.ops.processes import START, environment

    with Log.open(tmp_path / "data", create=True, partitions=4) as log:
        send(log, admitted(1))
    watching = subprocess.Popen(
        [*START, "lag", "--watch", "--json", "--data-dir", "data"],
        env=environment(),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
    )
    assert watching.stdout is not None
    with watching.stdout:
        assert orjson.loads(watching.stdout.readline())["cluster_name"] == "embedded"
        watching.send_signal(number)
        assert watching.wait(30) == 0
