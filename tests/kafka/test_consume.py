"""`docs/consume.md` keeps its word: the consumer that it shows is run, and killed."""

import asyncio
import inspect
import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import orjson
import pytest
from confluent_kafka import Producer

from orchestrator.core.instants import HOUR, written
from orchestrator.stream.clock import RealClock
from orchestrator.stream.kafka.connection import Kafka
from schemas.export import export_schemas
from schemas.queues import Queued, queued
from schemas.tasks import TERMINAL, Task
from schemas.topics import queue_topic, topic_of
from tests.kafka import world
from tests.markdown import blocks
from tests.worklist.history import published
from tests.worklist.world import discharged

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = (ROOT / "docs" / "consume.md").read_text(encoding="utf-8")
TEAM: Final = "nurse-outreach"
EXAMPLE: Final = ROOT / "tests/schemas/data/published/care.task.v1.json"
LONGEST: Final = 30  # lines
WAIT_S: Final = 180.0


def source() -> str:
    (code,) = [block.text for block in blocks(PAGE) if block.language == "python"]
    return code


@pytest.fixture
def desk() -> ModuleType:
    """The page's code as a module."""
    module = ModuleType("desk")
    exec(compile(source(), "docs/consume.md", "exec"), module.__dict__)  # noqa: S102 - ours
    return module


def picture(file: Path) -> dict[str, tuple[int, bool, dict[str, Any]]]:
    """What the consumer knows, by task."""
    if not file.exists():
        return {}
    with closing(sqlite3.connect(file)) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'tasks'").fetchone():
            return {}
        rows = db.execute("SELECT id, version, mine, task FROM tasks").fetchall()
    return {one: (version, bool(mine), json.loads(task)) for one, version, mine, task in rows}


def table() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE tasks (id PRIMARY KEY, version, mine, task)")
    return db


def versions() -> list[dict[str, Any]]:
    """One task's life: requested, accepted, lost to another team, back, withdrawn for good."""
    example = Task.model_validate(orjson.loads(EXAMPLE.read_bytes())[0]).model_dump(mode="json")
    lives: list[dict[str, Any]] = [
        {"status": "requested", "team": TEAM, "owner": None},
        {"status": "accepted", "team": TEAM, "owner": "nurse-1"},
        {"status": "requested", "team": "case-management", "owner": None},
        {"status": "requested", "team": TEAM, "owner": None},
        {"status": "cancelled", "team": TEAM, "owner": None, "closed_at": example["opened_at"]},
    ]
    return [
        {**example, "version": number, "closed_at": None, **life}
        for number, life in enumerate(lives, 1)
    ]


def records(task: dict[str, Any], before: str) -> Iterator[tuple[str, bytes]]:
    """What a consumer of both topics hears of one version."""
    yield task["task_id"], orjson.dumps(task)
    for team in {task["team"], before} & {TEAM}:
        change = "task.updated" if team == task["team"] else "task.withdrawn"
        _, value = queued(team, change, "2026-10-06T18:00:00Z", task, "because")
        yield task["patient_key"] or "", orjson.dumps(value)


def test_the_page_shows_one_consumer_of_the_length_it_claims() -> None:
    """Short enough to be read; and the example record has the fields of the schema."""
    code = [line for line in source().splitlines() if line.strip()]
    (example,) = [orjson.loads(b.text) for b in blocks(PAGE) if b.language == "json"]

    assert len(code) <= LONGEST
    assert set(example) == set(Queued.model_fields)
    assert set(example["task"]) <= set(
        export_schemas()["care.queue.v1"]["$defs"]["QueuedTask"]["properties"]
    )


@pytest.mark.parametrize("known", range(1, 6))
def test_any_order_and_any_repeats_come_to_one_picture(desk: ModuleType, known: int) -> None:
    """Two topics, out of order among each other, each record once or thrice, from any beginning."""
    told: list[tuple[str, bytes]] = []
    before = TEAM
    for task in versions()[:known]:
        told += records(task, before)
        before = task["team"]
    draw = random.Random(known)
    for _ in range(50):
        heard = told * draw.randint(1, 3)
        draw.shuffle(heard)
        with closing(table()) as db:
            for key, value in heard:
                desk.heard(db, TEAM, key, value)
            ((version, mine),) = db.execute("SELECT version, mine FROM tasks").fetchall()
        assert (version, bool(mine)) == (known, known in (1, 2, 4))


def test_a_tombstone_takes_a_task_away_and_an_older_version_does_not_bring_it_back(
    desk: ModuleType,
) -> None:
    """Nor does a tombstone of a task that was never heard of."""
    first, second, *_ = versions()
    with closing(table()) as db:
        for value in (orjson.dumps(second), None, orjson.dumps(first)):
            desk.heard(db, TEAM, second["task_id"], value)
        desk.heard(db, TEAM, "unknown", None)
        assert db.execute("SELECT version, mine FROM tasks").fetchall() == [(2, 0)]


def test_a_task_that_has_ended_says_when(tmp_path: Path) -> None:
    """The rule of the page, over all that the product publishes in weeks."""
    tasks = [
        orjson.loads(record.value)
        for record in published(tmp_path)
        if record.topic == "care.task.v1" and record.value is not None
    ]

    assert {task["status"] for task in tasks} > {"completed", "cancelled"}
    assert all((task["closed_at"] is None) == (task["status"] not in TERMINAL) for task in tasks)


def test_an_answer_is_an_event_and_its_repeat_the_same_bytes(desk: ModuleType) -> None:
    """So that a crash between answering and remembering doubles nothing."""
    from schemas.events import EVENT

    _, value = queued(TEAM, "task.requested", "2026-10-06T18:00:00Z", versions()[0], "because")
    said = desk.acceptance(TEAM, value["task"], value["at"])
    event = EVENT.validate_json(said)

    assert desk.acceptance(TEAM, value["task"], value["at"]) == said
    assert (event.type, topic_of(event.type)) == ("care.task.accepted.v1", "care.outcome.v1")


class Desk:
    """The page's code as a process of its own, started again when it ends, as services are."""

    def __init__(self, folder: Path, kafka: Kafka, file: Path) -> None:
        self.file = file
        self._script = folder / "desk.py"
        self._script.write_text(source(), encoding="utf-8")
        self._log = folder / "desk.log"
        self._command = [sys.executable, str(self._script), kafka.bootstrap, TEAM, str(file)]
        self._start()

    def _start(self) -> None:
        with self._log.open("ab") as out:
            self.process = subprocess.Popen(self._command, stdout=out, stderr=subprocess.STDOUT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    async def until(self, holds: Any, what: str) -> None:
        """Wait until what it knows *holds*."""

        async def there() -> bool:
            if self.process.poll() is not None:
                self._start()
            told = holds(picture(self.file))
            return bool(await told if inspect.isawaitable(told) else told)

        try:
            await world.until(there, what, WAIT_S)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self._log.read_text()[-2000:]}") from None


@contextmanager
def consuming(folder: Path, kafka: Kafka, file: Path) -> Iterator[Desk]:
    desk = Desk(folder, kafka, file)
    try:
        yield desk
    finally:
        desk.kill()


def told(type_: str, number: int, **data: Any) -> tuple[str, dict[str, Any]]:
    """Something that the hospital of patient *number* says."""
    facility = "GEN" if number % 2 else "MID"
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{number}-{type_}",
        "source": f"hospital/{facility}/adt",
        "type": f"care.{type_}.v1",
        "time": written(RealClock().now() - HOUR),
        "subject": f"{facility}|MRN{number}",
        "facility": facility,
        "data": data,
    }
    return topic_of(event["type"]) or "", event


def poison(bootstrap: str) -> None:
    """A task that was published and taken back: an aborted transaction on the team's queue."""
    task = {**versions()[0], "task_id": "never-said", "version": 99}
    _, value = queued(TEAM, "task.requested", "2026-10-06T18:00:00Z", task, "because")
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "liar"})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(queue_topic(TEAM), orjson.dumps(value), key=b"k")
    producer.flush(60)
    producer.abort_transaction(60)


async def test_the_consumer_works_its_queue_on_a_broker(kafka: Kafka, tmp_path: Path) -> None:
    """
    Hears and accepts; is killed; hears of a withdrawal, of a task that went to another team, of a
    merge; believes nothing that was taken back; and from the beginning comes to the same picture.
    """
    events = [event for n in (1, 3, 5, 7) for event in discharged(n)]
    await world.publish(kafka, [(topic_of(event["type"]) or "", event) for event in events])
    await asyncio.to_thread(poison, kafka.bootstrap)
    file, anew = tmp_path / "desk.sqlite", tmp_path / "anew.sqlite"

    def accepted(seen: dict[str, Any]) -> bool:
        mine = [task for _, mine, task in seen.values() if mine]
        return len(mine) == 4 and all(task["owner"] == "desk-1" for task in mine)

    async with world.workers(kafka, tmp_path) as workers:
        with consuming(tmp_path, kafka, file) as desk:
            await desk.until(accepted, "four calls accepted")
        # Killed: what comes meanwhile is heard afterwards.
        by = {task["subject"]: one for one, (_, mine, task) in picture(file).items() if mine}
        passed = {"task_id": by["GEN|MRN3"], "actor": "desk-1", "role": "rn", "to": "social-work"}
        await world.publish(
            kafka,
            [
                told("discharge.cancelled", 1, visit_number="V1"),
                told("task.reassigned", 3, **passed),
                told("patient.merged", 5, retired="GEN|MRN7"),
            ],
        )

        def right(seen: dict[str, Any]) -> bool:
            return (
                not seen[by["GEN|MRN1"]][1]
                and not seen[by["GEN|MRN3"]][1]
                and seen[by["GEN|MRN7"]][2]["patient"] == "GEN|MRN5"
            )

        async def whole(seen: dict[str, Any]) -> bool:
            found = {name: (version, mine) for name, (version, mine, _) in seen.items()}
            return found == await stands(kafka)

        with consuming(tmp_path, kafka, file) as desk:
            await desk.until(right, "withdrawn, passed on, merged")
            await workers.caught_up()
            await desk.until(whole, "all that stands")
        known = picture(file)
        # A desk that lost everything, its place in the topics too, reads all of it again.
        await forget(kafka)
        with consuming(tmp_path, kafka, anew) as desk:
            await desk.until(whole, "the same picture")

    assert "never-said" not in known
    assert {task["team"] for _, mine, task in known.values() if mine} == {TEAM}
    assert known[by["GEN|MRN1"]][2]["status"] in ("cancelled", "entered-in-error")


async def stands(kafka: Kafka) -> dict[str, tuple[int, bool]]:
    """By task its newest version, and whether it is the team's to do, as the product has it."""
    newest: dict[str, dict[str, Any]] = {}
    for rows in (await world.read(kafka, "care.task.v1")).values():
        for row in rows:
            task = orjson.loads(row.value)
            newest[task["task_id"]] = max(
                task, newest.get(task["task_id"], task), key=lambda one: int(one["version"])
            )
    return {
        name: (task["version"], task["team"] == TEAM and task["status"] not in TERMINAL)
        for name, task in newest.items()
    }


async def forget(kafka: Kafka) -> None:
    """Delete the consumer's group, and with it where it was."""
    from confluent_kafka.admin import AdminClient

    client = AdminClient({"bootstrap.servers": kafka.bootstrap})

    async def gone() -> bool:
        (deleted,) = client.delete_consumer_groups([f"{TEAM}-desk"]).values()
        try:
            await asyncio.to_thread(deleted.result)
        except Exception:  # noqa: BLE001 - its member is still counted in
            return False
        return True

    await world.until(gone, "the group deleted", WAIT_S)
