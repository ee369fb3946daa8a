"""The processes of the compose file, from an empty broker to a nurse's task and its metrics."""

import base64
import json
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import TopicAuthorizationFailedError

from orchestrator.cli.app import NAME
from orchestrator.ops.names import METRICS
from tests.deploy.compose import ROOT
from tests.e2e.flow import CALL, SENT_TO, Flow
from tests.e2e.prometheus import Prometheus, scraping
from tests.e2e.stack import Stack, metrics
from tests.worklist.world import ANSWERS

PATIENTS: Final = 30
DAYS: Final = 6
PROGRAM: Final = [sys.executable, "-c", "from orchestrator.cli import main; main()"]
SHOWN_S: Final = 90.0
BOARD: Final = ROOT / "deploy/grafana/dashboards/lag-and-deadlines.json"


def until(holds: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.5)


def records(product: Stack, topic: str) -> list[dict[str, Any]]:
    done = product.run("care", "topics", "read", topic, "--json")
    assert done.returncode == 0, done.stderr
    return [orjson.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def sent(product: Stack) -> int:
    """The feeds of a simulated hospital of these days, published; how many records."""
    start = datetime.now(UTC).date() - timedelta(days=DAYS - 1)
    folder = product.folder / "simulated"
    words = ["simulate", "--out", str(folder), "--patients", str(PATIENTS), "--dirt"]
    words += ["--start", start.isoformat(), "--days", str(DAYS)]
    subprocess.run([*PROGRAM, *words], check=True, capture_output=True)
    done = product.run("publish", str(folder / "feed"), "--json")
    assert done.returncode == 0, done.stderr

    until(lambda: product.run("care", "lag").returncode == 0, "all is decided")
    return sum(orjson.loads(done.stdout)["sent"].values())


def test_up_again_changes_nothing(product: Stack) -> None:
    """What runs once at every `up` may run again: users, topics."""
    for name in ("access", "topics"):
        done = product.run(name)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_hospitals_events_become_tasks(product: Stack, sent: int) -> None:
    """Published as a hospital, taken in, decided: what the journal says, and nothing else."""
    taken = [one for one in records(product, "care.journal.v1") if b'"kind":"event"' in value(one)]
    tasks = {task_of(one) for one in records(product, "care.task.v1")}
    export = product.folder / "journal.ndjson"
    export.write_text(product.run("care", "topics", "read", "care.journal.v1", "--json").stdout)
    done = subprocess.run(
        [*PROGRAM, "replay", "--journal", str(export)], check=True, capture_output=True
    )
    lines = map(orjson.loads, done.stdout.splitlines())
    replayed = {task_of(one) for one in lines if one["topic"] == "care.task.v1"}

    assert 0 < len(taken) <= sent
    assert tasks
    assert tasks == replayed


def value(record: dict[str, Any]) -> bytes:
    return orjson.dumps(record["value"])


def task_of(record: dict[str, Any]) -> tuple[str, int, str]:
    task = record["value"]
    return task["task_id"], task["version"], task["status"]


def test_a_publisher_cannot_read(product: Stack, sent: int) -> None:
    """With a hospital's password, the broker shows no task; with the operators', it does."""
    assert sent
    service = product.services["publish"]
    environment = product.environment(service, "publish")
    for topic in ("care.discharge.v1", "care.task.v1"):
        words = [*PROGRAM, "topics", "read", topic]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        # Away, or not there at all: the broker does not say that there is something to hide.
        assert done.returncode in (2, 3), done.stderr
        assert done.stdout == ""


@dataclass
class Door:
    """The worklist's API, as a hospital's own system uses it: TLS, and a token."""

    client: httpx.Client

    def get(self, path: str) -> Any:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        answer = self.client.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def act(self, task: dict[str, Any], action: str, body: Any) -> dict[str, Any]:
        """Do *action*, and wait for the task as it then is."""
        path, version = f"/tasks/{task['task_id']}", task["version"]
        headers = {"Idempotency-Key": action, "If-Match": f'"{version}"'}
        answer = self.client.post(f"{path}/{action}", json=body, headers=headers)
        assert answer.status_code in (200, 202), answer.text
        until(lambda: self.get(path)["version"] > version, f"{action} is applied")
        now: dict[str, Any] = self.get(path)
        return now


@contextmanager
def door(product: Stack, role: str) -> Iterator[Door]:
    """What a token of *role* opens."""
    words = [NAME, "auth", "token", "ward", "--role", role, "--facility", "*", "--json"]
    made = product.run_in("worklist", words)
    assert made.returncode == 0, made.stderr
    headers = {"Authorization": f"Bearer {orjson.loads(made.stdout)['token']}"}
    with httpx.Client(
        base_url=f"https://127.0.0.1:{product.pages}/api/v1",
        verify=ssl.create_default_context(cafile=product.secrets / "kafka_ca.pem"),
        headers=headers,
        timeout=60,
    ) as client:
        yield Door(client)


def test_a_call_is_made_through_the_worklist(product: Stack, sent: int) -> None:
    """Its task is shown, taken and done by REST, and stands completed on the topic; audited."""
    assert sent
    with door(product, "supervisor") as api:
        until(lambda: api.get("/freshness")["state"] == "current", "the read model is current")
        task = api.get("/tasks?kind=CALL_48H&status=requested")["items"][0]
        taken = api.act(task, "accept", None)
        body = {"outcome": "ok", "reached": "patient", "answers": ANSWERS}
        done = api.act(taken, "complete", body)
        stranger = api.client.get("/tasks", headers={"Authorization": "Bearer nobody"})
    published = [task_of(one) for one in records(product, "care.task.v1")]
    audited = {one["value"]["actor"] for one in records(product, "care.audit.v1")}

    assert (taken["owner"], done["status"]) == ("ward", "completed")
    assert (done["task_id"], done["version"], "completed") in published
    assert "ward" in audited
    assert stranger.status_code == 401
    assert "max-age" in stranger.headers["strict-transport-security"]


def test_the_worklist_sees_how_far_the_workers_are(product: Stack, sent: int) -> None:
    """With its own rights on the broker it tells operators the lag of both groups."""
    assert sent
    with door(product, "operator") as api:
        until(lambda: bool(api.get("/ops/lag")["readers"]), "it has looked at the groups")
        seen = {(one["group"], one["state"]) for one in api.get("/ops/lag")["readers"]}

    assert {group for group, _ in seen} == {
        "care-orchestrator-intake",
        "care-orchestrator-decide",
    }
    assert "UNKNOWN" not in {state for _, state in seen}


async def test_the_worklist_sends_a_dead_letter_again(product: Stack, sent: int) -> None:
    """
    With its own rights it reads the original where it lay, and appends there what mends it.

    Another letter waits on: Prometheus is asked for it below.
    """
    assert sent
    event, other = (orjson.loads(Flow("AGAIN").event(number)[1]) for number in (1, 2))
    async with AIOKafkaProducer(**product.kafka("hospital").client()) as producer:
        for one in (event, other):
            lacking = {**one, "data": {"disposition": {"code": "01"}}}
            await producer.send_and_wait(SENT_TO, orjson.dumps(lacking))
    with door(product, "data-steward") as api:

        def ours() -> list[dict[str, Any]]:
            letters = api.get("/ops/dead-letters?reason=missing-visit&limit=500")["items"]
            return [one for one in letters if one["topic"] == SENT_TO]

        until(lambda: len(ours()) == 2, "intake has put them aside, and the worklist shows them")
        path = f"/ops/dead-letters/{ours()[0]['id']}"
        as_it_is = api.post(f"{path}/retry", {})
        mended = base64.b64encode(orjson.dumps(event)).decode()
        as_it_should_be = api.post(f"{path}/retry", {"replacement_base64": mended})
        until(lambda: len(ours()) == 1, "it waits no more")
        status = api.get(path)["status"]

    assert (as_it_is["result"], as_it_is["reason"]) == ("refused", "missing-visit")
    assert as_it_should_be["result"] in ("accepted", "pending")
    assert status == "retried"
    until(lambda: "AGAIN000001" in calls(product), "the call is due")
    assert calls(product).count("AGAIN000001") == 1


def calls(product: Stack) -> list[str]:
    """Of which visits a call was asked for."""
    tasks = [one["value"] for one in records(product, "care.task.v1") if one["value"]]
    return [one["visit_number"] for one in tasks if one["kind"] == CALL and one["version"] == 1]


def test_another_policy_is_tried_on_the_journal(product: Stack, sent: int) -> None:
    """With its own rights the worklist reads the whole journal, and writes nothing of it."""
    assert sent
    policy = (ROOT / "schemas/policies/P0.yaml").read_text(encoding="utf-8")
    today = datetime.now(UTC).date()
    days = {"from": f"{today - timedelta(days=DAYS)}", "to": f"{today}"}
    with door(product, "supervisor") as api:
        job = api.post("/policy/what-if", {"policy": policy, **days}, 202)
        until(lambda: api.get(f"/jobs/{job['id']}")["state"] != "running", "it has ended")
        ended = api.get(f"/jobs/{job['id']}")

    assert ended["state"] == "done", ended
    assert ended["result"]["tasks"]["same"] > 0


async def test_the_worklist_cannot_write_what_is_decided(product: Stack, sent: int) -> None:
    """With its password the broker takes no journal record and no task: inputs and audit alone."""
    assert sent
    producer = AIOKafkaProducer(**product.kafka("worklist").client())
    async with producer:
        for topic in ("care.journal.v1", "care.task.v1", "care.state.v1", "care.site.v1"):
            with pytest.raises(TopicAuthorizationFailedError):
                await producer.send_and_wait(topic, b"{}")


@pytest.mark.parametrize("process", ["intake", "decide", "lag", "worklist"])
def test_each_process_tells_only_what_is_documented(
    product: Stack, sent: int, process: str
) -> None:
    """No metric of ours is missing in the list that alerts and dashboard are held against."""
    assert sent
    names = {
        sample.name
        for samples in metrics(product.ops[process]).values()
        for sample in samples
        if sample.name.startswith(("care_", "kafka_"))
    }
    bases = {
        name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in names
    }

    assert bases
    assert bases <= set(METRICS)


def test_prometheus_sees_all_and_calls_nobody(product: Stack, sent: int, tmp_path: Path) -> None:
    """The real one, with our config: every target answers, every rule and panel can be computed."""
    assert sent
    try:
        with scraping(product, tmp_path) as prometheus:
            until(lambda: len(prometheus.query('up{job!="prometheus"} == 1')) == 4, "all scraped")
            _rules_hold(prometheus)
            _panels_show(prometheus)
    except FileNotFoundError:
        pytest.skip("NO PROMETHEUS, nothing was scraped: apt-get install prometheus")


def _rules_hold(prometheus: Prometheus) -> None:
    def rules() -> list[dict[str, Any]]:
        return [r for group in prometheus.get("rules")["groups"] for r in group["rules"]]

    until(lambda: all(rule["health"] != "unknown" for rule in rules()), "rules were computed")
    assert {rule["name"]: rule["lastError"] for rule in rules() if rule["health"] != "ok"} == {}
    firing = {rule["name"] for rule in rules() if rule["state"] == "firing"}
    # A dirty feed has dead letters; a day's worth of work began a moment ago.
    assert firing <= {"CareDeadLetters"}


def _panels_show(prometheus: Prometheus) -> None:
    board = json.loads(BOARD.read_text(encoding="utf-8"))
    panels = {
        panel["title"]: [target["expr"] for target in panel["targets"]]
        for panel in board["panels"]
        if "targets" in panel
    }

    def silent() -> set[str]:
        return {title for title, of in panels.items() if not any(map(prometheus.query, of))}

    # Where nothing is wrong, and where nothing fell due in these seconds, nothing is shown; all
    # else is there once it was scraped twice.
    end = time.monotonic() + SHOWN_S
    while (missing := silent() - MAY_BE_SILENT) and time.monotonic() < end:
        time.sleep(0.5)
    assert missing == set()


MAY_BE_SILENT: Final = {
    "Lag in records, worst partitions",
    "Partitions nobody ever committed",
    "What holds the clock",
    "Fire delay",
    "Fired per hour, by kind",
    "Recovery, seconds",
    "Tasks taken back per hour",
    "Late events per hour, by topic",
    "Writes that failed",
    "Oldest of them",
    "Dead letters per hour, by reason",
    "Dead letters per hour, by where",
    "Dead letters sent again per hour, by result",
}


def test_a_worker_that_is_killed_is_replaced(product: Stack, sent: int) -> None:
    """A second decider, as `--scale decide=2` starts one, takes over what the killed one had."""
    assert sent
    product.start("decide", "decide-2")
    product.wait("decide-2", "decide")
    product.end("decide", signal.SIGKILL)

    def owned() -> float:
        (sample,) = metrics(product.ops["decide-2"])["care_stream_partitions_owned"]
        return float(sample.value)

    until(lambda: owned() == 12, "it owns all partitions")
    until(lambda: product.run("care", "lag").returncode == 0, "all is decided")


def test_nothing_ended_unasked(product: Stack, sent: int) -> None:
    """All the while no process ended but those that these tests ended."""
    assert sent
    assert product.ended == []
