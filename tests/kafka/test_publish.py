"""``publish`` and ``simulate --publish`` on a broker: durable when said, harmless when repeated."""

import asyncio
import signal
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from events.files import Record, read
from orchestrator.core.instants import DAY, SECOND, written
from orchestrator.stream.clock import RealClock
from orchestrator.stream.export import line
from orchestrator.stream.kafka import reading
from orchestrator.stream.kafka.broker import BrokerAway
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.publish import publish
from orchestrator.stream.keys import patient_key
from orchestrator.stream.publish import BATCH, Report
from schemas.topics import DEAD_LETTER, INPUTS, JOURNAL
from tests.kafka import world
from tests.kafka.broker import Cluster, cluster
from tests.kafka.commands import by_partition, decided, publish_settings, run, worker
from tests.stream.fakes import FACILITIES, SITE_KEY

AWAY: Final = timedelta(seconds=3)
GROUP: Final = "walk"


def records(number: int, patients: int = 7) -> list[Record]:
    """Admissions of a few patients, one after the other."""
    at = written(RealClock().now() - 60 * SECOND)
    events = (
        {
            "specversion": "1.0",
            "id": f"P-{n}",
            "source": "hospital/GEN/adt",
            "type": "care.admission.opened.v1",
            "time": at,
            "subject": f"GEN|MRN{n % patients}",
            "facility": "GEN",
            "data": {"visit_number": f"V{n}", "class": "INPATIENT"},
        }
        for n in range(number)
    )
    return [Record(f"f:{n}", "canonical", orjson.dumps(e)) for n, e in enumerate(events, 1)]


async def landed(kafka: Kafka) -> Counter[str]:
    """How often each event lies on the inputs."""
    counts: Counter[str] = Counter()
    for topic in INPUTS:
        for rows in (await world.read(kafka, topic)).values():
            counts.update(orjson.loads(row.value)["id"] for row in rows)
    return counts


async def test_files_walk_through_a_worker_and_their_replay_agrees(
    kafka: Kafka, tmp_path: Path
) -> None:
    """
    Simulated, published, decided, exported and replayed by the commands alone: what the topics
    hold is what the exported journal says, byte for byte; published again, nothing changes.
    """
    settings = publish_settings(kafka) | {"CARE_GROUP": GROUP}
    ten_days_ago = written(RealClock().now() - 10 * DAY)[:10]
    await run(
        *("simulate", "--out", tmp_path, "--start", ten_days_ago),
        *("--patients", "60", "--days", "9", "--dirt"),
    )
    settings["CARE_FACILITIES"] = str(tmp_path / "facilities.yaml")
    feed = tmp_path / "feed"

    sent = await run("publish", feed, "--json", **settings)
    assert sent.code == 0
    async with worker(tmp_path / "worker.log", **settings) as running:
        await decided(kafka, GROUP, running)
        before = (await read_all(kafka))["care.task.v1"]
        assert (await run("publish", feed, **settings)).code == 0
        await decided(kafka, GROUP, running)

    export = await run("topics", "read", JOURNAL, "--json", **settings)
    (tmp_path / "journal").write_text(export.out)
    replayed = await run("replay", "--journal", tmp_path / "journal", **settings)
    assert replayed.code == 0
    found = await read_all(kafka)
    assert by_partition(row for rows in found.values() for row in rows) == by_partition(
        replayed.rows
    )
    assert all(found[topic] for topic in ("care.task.v1", "care.gap.v1"))
    # Deadlines may have fired meanwhile; nothing that was sent twice made anything new.
    assert {row["key"] for row in before} == {row["key"] for row in found["care.task.v1"]}


async def read_all(kafka: Kafka) -> dict[str, list[dict[str, Any]]]:
    """What the workers published, as lines of `topics read`; of the dead letters, decide's."""
    found: dict[str, list[dict[str, Any]]] = {}
    for topic in world.OUTPUTS:
        rows = [orjson.loads(line(place.record)) async for place in reading.records(kafka, topic)]
        found[topic] = [r for r in rows if r.get("headers", {}).get("stage") in (None, "decide")]
    return found


async def test_one_patients_records_keep_their_order(kafka: Kafka, tmp_path: Path) -> None:
    """They are keyed by patient key: on one partition, in the order of the file."""
    (tmp_path / "a.ndjson").write_bytes(b"\n".join(one.raw for one in records(300)))
    report = await publish(read([tmp_path / "a.ndjson"]), kafka, FACILITIES, SITE_KEY, timeout=AWAY)

    assert report.sent == {"care.admission.v1": 300}
    found = await world.read(kafka, "care.admission.v1")
    of_patient: dict[bytes, list[int]] = {}
    places: dict[bytes, set[int]] = {}
    for partition, rows in found.items():
        for row in rows:
            of_patient.setdefault(row.key, []).append(int(orjson.loads(row.value)["id"][2:]))
            places.setdefault(row.key, set()).add(partition)
    assert set(of_patient) == {patient_key(SITE_KEY, f"GEN|MRN{n}").encode() for n in range(7)}
    assert all(len(partitions) == 1 for partitions in places.values())
    assert all(numbers == sorted(numbers) for numbers in of_patient.values())


async def test_what_is_refused_lies_in_the_dead_letters_before_it_is_told(kafka: Kafka) -> None:
    """With its bytes and the reason, of whatever size is taken; the patient's journal hears too."""
    rows = [
        Record("f:1", "unknown", b"\x00\x01 binary"),
        Record("f:2", "hl7v2", b"MSH|"),
        Record("f:3", "canonical", b'{"type": "care.unheard.of.v1"}'),
        Record("f:4", "canonical", b"{" + b" " * (2 * 1024 * 1024) + b"}"),
        Record("f:5", "canonical", b'{"type": "\xff' + b" " * (1024 * 1024 - 20) + b'"}'),
    ]
    report = await publish(rows, kafka, FACILITIES, SITE_KEY, timeout=AWAY)

    told = [(where, reject.reason) for where, reject in report.refused]
    (letters,) = (await world.read(kafka, DEAD_LETTER)).values()
    assert told == [
        ("f:1", "malformed"),
        ("f:2", "malformed"),
        ("f:3", "unknown-type"),
        ("f:4", "too-large"),
        ("f:5", "malformed"),
    ]
    assert [dict(row.headers)["reason"].decode() for row in letters] == [r for _, r in told]
    assert letters[4].value == rows[4].raw


async def test_brokers_that_fall_silent_cost_nothing_that_was_reported(tmp_path: Path) -> None:
    """Away is said in the store timeout; what was reported before lies there, and a second run."""
    with cluster(tmp_path / "own") as own:
        kafka = Kafka(own.bootstrap)
        await world.fresh_topics(kafka)
        done = 0

        def fall_silent(report: Report) -> None:
            nonlocal done
            done = report.sent.total()
            if done == 2 * BATCH:
                own.nodes[0].signal(signal.SIGSTOP)

        sending = records(4 * BATCH)
        with pytest.raises(BrokerAway, match=r"CARE_STORE_TIMEOUT"):
            await publish(
                sending, kafka, FACILITIES, SITE_KEY, timeout=AWAY, on_progress=fall_silent
            )
        own.nodes[0].signal(signal.SIGCONT)

        there = await _settled(kafka)
        assert done == 2 * BATCH
        assert {f"P-{n}" for n in range(done)} <= set(there)
        again = await publish(sending, kafka, FACILITIES, SITE_KEY, timeout=AWAY)
        assert again.sent.total() == 4 * BATCH
        assert set(await landed(kafka)) == {f"P-{n}" for n in range(4 * BATCH)}


async def _settled(kafka: Kafka) -> Counter[str]:
    """What lies there once the broker answers again."""
    before: Counter[str] | None = None
    while True:
        now = await landed(kafka)
        if now == before:
            return now
        before = now
        await asyncio.sleep(0.5)


async def test_a_broker_that_comes_back_in_time_is_not_noticed(tmp_path: Path) -> None:
    """Killed and started again inside the store timeout: each record once, and no error."""
    with cluster(tmp_path / "own") as own:
        kafka = Kafka(own.bootstrap)
        await world.fresh_topics(kafka)
        restarted = asyncio.Event()

        async def restart() -> None:
            await restarted.wait()
            await asyncio.to_thread(_killed_and_started, own)

        def kill(report: Report) -> None:
            if report.sent.total() >= BATCH:
                restarted.set()

        restarting = asyncio.create_task(restart())
        report = await publish(
            records(4 * BATCH),
            kafka,
            FACILITIES,
            SITE_KEY,
            timeout=timedelta(seconds=60),
            on_progress=kill,
            rate=1000,
        )
        await restarting
        assert report.sent.total() == 4 * BATCH
        assert await landed(kafka) == {f"P-{n}": 1 for n in range(4 * BATCH)}


def _killed_and_started(own: Cluster) -> None:
    (node,) = own.nodes
    node.stop(kill=True)
    node.start()
    node.wait()


@pytest.mark.parametrize("point", ["publish.commit=kill:0.003@2", "publish.committed=kill@2"])
async def test_killed_while_sending_a_second_run_only_repeats(
    kafka: Kafka, tmp_path: Path, point: str
) -> None:
    """SIGKILL before and after a batch is acknowledged: after the second run, all is there."""
    (tmp_path / "a.ndjson").write_bytes(b"\n".join(one.raw for one in records(3 * BATCH)))
    settings = publish_settings(kafka)
    killed = await run("publish", tmp_path / "a.ndjson", **settings, FAILPOINTS=point)
    assert killed.code == -signal.SIGKILL
    assert set(await landed(kafka)) < {f"P-{n}" for n in range(3 * BATCH)}

    assert (await run("publish", tmp_path / "a.ndjson", **settings)).code == 0
    assert set(await landed(kafka)) == {f"P-{n}" for n in range(3 * BATCH)}


async def test_a_missing_topic_is_named(kafka: Kafka) -> None:
    """The sender learns which topic is not there and what makes it."""
    client = AIOKafkaAdminClient(bootstrap_servers=kafka.servers)
    await client.start()
    await client.delete_topics(["care.admission.v1"])

    async def gone() -> bool:
        return "care.admission.v1" not in await client.list_topics()

    await world.until(gone, "deleted")
    await client.close()
    with pytest.raises(BrokerAway, match=r"no topic care\.admission\.v1 \(`topics create`"):
        await publish(records(1), kafka, FACILITIES, SITE_KEY, timeout=AWAY)


async def test_a_simulated_hospital_is_sent_live(kafka: Kafka) -> None:
    """`simulate --publish`: the messages that it would write, at most so many a second."""
    settings = publish_settings(kafka)
    sent = await run(
        *("simulate", "--publish", "--rate", "200", "--patients", "20", "--days", "5"),
        *("--format", "hl7v2", "--json"),
        **settings,
    )

    assert (sent.code, sent.json["refused"]) == (0, [])
    found = {topic: await world.read(kafka, topic) for topic in INPUTS}
    counts = {t: sum(map(len, parts.values())) for t, parts in found.items()}
    assert sent.json["sent"] == {topic: count for topic, count in counts.items() if count}
    stamps = [row.timestamp for parts in found.values() for rows in parts.values() for row in rows]
    # One message is 1 to 3 records; a machine that stood still in between catches up in a burst.
    assert (max(stamps) - min(stamps)) / 1000 > len(stamps) / 200 / 10
