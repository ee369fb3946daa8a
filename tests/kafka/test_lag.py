"""Lag as the brokers see it: against librdkafka's answers, with markers, with workers dead."""

import asyncio
import subprocess
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaProducer
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka import TopicPartition as TheirPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from orchestrator.core.instants import SECOND
from orchestrator.ops import look_kafka
from orchestrator.ops.lag import Judge, Position, Sample
from orchestrator.stream.kafka.connection import Kafka
from schemas.topics import INPUTS, JOURNAL
from tests.kafka import world
from tests.kafka.broker import cluster
from tests.kafka.test_worker import some_events
from tests.ops.processes import run, until
from tests.stream.fakes import PARTITIONS

GROUP: Final = "care-lag-test"
INTAKE, DECIDE = f"{GROUP}-intake", f"{GROUP}-decide"
Places = dict[tuple[str, str, int], Position]


def one_sample(kafka: Kafka, group: str = GROUP) -> Sample:
    """As the sampler takes them: in a thread, outside any event loop."""
    with look_kafka.looking(kafka, group) as look:
        seen = look.look()
    judge = Judge(60 * SECOND, 60 * SECOND)
    return judge.judge(seen.readings, seen.at, seen.cluster, seen.bounds)


def places(sample: Sample) -> Places:
    return {one.reading.place: one for one in sample.positions}


def commit(kafka: Kafka, group: str, stands: dict[tuple[str, int], int]) -> None:
    """Let *group* stand there, as an outside client would."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": group})
    tps = [TheirPartition(topic, p, at) for (topic, p), at in stands.items()]
    consumer.commit(offsets=tps, asynchronous=False)
    consumer.close()


def theirs(kafka: Kafka) -> dict[tuple[str, str, int], tuple[int, int | None]]:
    """Ends and committed offsets as librdkafka's admin client tells them."""
    client = AdminClient({"bootstrap.servers": kafka.bootstrap})
    found = {}
    for group, topics in ((INTAKE, INPUTS), (DECIDE, (JOURNAL,))):
        tps = [TheirPartition(topic, p) for topic in topics for p in range(PARTITIONS)]
        newest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # theirs
        latest = client.list_offsets(dict.fromkeys(tps, newest))
        ends = {(tp.topic, tp.partition): future.result().offset for tp, future in latest.items()}
        for tp in until(partial(stands, client, group, tps)):
            done = tp.offset if tp.offset >= 0 else None
            found[group, tp.topic, tp.partition] = (ends[tp.topic, tp.partition], done)
    return found


def stands(client: AdminClient, group: str, tps: list[TheirPartition]) -> Any:
    """Where the group stands; nothing while its coordinator is only just coming up."""
    try:
        asked = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, tps)])
        return asked[group].result().topic_partitions
    except KafkaException as problem:
        if problem.args[0].code() != KafkaError.COORDINATOR_LOAD_IN_PROGRESS:
            raise
        return None


def stamped(kafka: Kafka, topic: str, partition: int, offset: int) -> int:
    """When the record was appended, in milliseconds, as librdkafka reads it."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "nobody"})
    consumer.assign([TheirPartition(topic, partition, offset)])
    message = until(lambda: consumer.poll(0.5))
    consumer.close()
    return int(message.timestamp()[1])


async def test_offsets_lags_and_ages_are_librdkafkas(kafka: Kafka) -> None:
    """Each partition of both groups, some behind, some through, some never read."""
    await world.publish(kafka, some_events(1, 400))
    before = theirs(kafka)
    some = {
        (topic, p): end // 3 if p else end
        for (group, topic, p), (end, _) in before.items()
        if group == INTAKE and end and p < PARTITIONS - 1
    }
    await asyncio.to_thread(commit, kafka, INTAKE, some)

    sample = await asyncio.to_thread(one_sample, kafka)

    expected = theirs(kafka)
    found = places(sample)
    assert {place: (p.reading.end, p.reading.done) for place, p in found.items()} == {
        # Where nothing ever was, a group that runs is not behind; where it never ran, who knows.
        (group, topic, p): (end, 0 if done is None and not end and group == INTAKE else done)
        for (group, topic, p), (end, done) in expected.items()
    }
    states = [one.state for one in found.values() if one.reading.group == DECIDE]
    assert states == ["UNKNOWN"] * PARTITIONS
    lagging = [one for one in found.values() if one.lag]
    assert len(lagging) > 5
    assert sum(1 for one in found.values() if one.state == "UNKNOWN") > PARTITIONS
    for one in lagging:
        done = one.reading.done
        assert done is not None
        assert one.lag == one.reading.end - done
        at = await asyncio.to_thread(stamped, kafka, *one.reading.place[1:], done)
        assert one.reading.next_at == at * 1000


async def test_markers_and_aborted_records_are_no_lag(kafka: Kafka) -> None:
    """A reader of committed records is through; offsets that it cannot read do not wait for it."""
    await asyncio.to_thread(commit, kafka, DECIDE, {(JOURNAL, 0): 0})
    producer = AIOKafkaProducer(bootstrap_servers=kafka.servers, transactional_id="lag-test")
    await producer.start()
    try:
        async with producer.transaction():
            await producer.send_and_wait(JOURNAL, b"one", partition=0)
        await asyncio.to_thread(commit, kafka, DECIDE, {(JOURNAL, 0): 1})
        marker = places(await asyncio.to_thread(one_sample, kafka))[DECIDE, JOURNAL, 0]

        await producer.begin_transaction()
        await producer.send_and_wait(JOURNAL, b"taken back", partition=0)
        await producer.abort_transaction()
        aborted = places(await asyncio.to_thread(one_sample, kafka))[DECIDE, JOURNAL, 0]

        async with producer.transaction():
            await producer.send_and_wait(JOURNAL, b"two", partition=0)
        behind = places(await asyncio.to_thread(one_sample, kafka))[DECIDE, JOURNAL, 0]
    finally:
        await producer.stop()

    assert (marker.reading.end, marker.reading.done) == (2, 1)
    assert (marker.lag, marker.seconds, marker.state) == (0, 0.0, "OK")
    assert (aborted.reading.end, aborted.lag) == (4, 0)
    assert behind.reading.next_at is not None
    assert behind.lag
    assert behind.lag > 0


async def test_dead_workers_are_seen_by_their_growing_lag(kafka: Kafka, tmp_path: Path) -> None:
    """Both roles killed: the sampler, which is none of them, shows records and seconds grow."""
    await world.publish(kafka, some_events(2, 60))
    async with world.workers(kafka, tmp_path) as workers:
        await workers.caught_up()

        def lags() -> tuple[int, float]:
            found = [
                one
                for one in one_sample(kafka, workers.group).positions
                if one.reading.group.endswith("-intake")
            ]
            assert all(one.lag is not None for one in found)
            return sum(one.lag or 0 for one in found), max(one.seconds or 0 for one in found)

        assert await asyncio.to_thread(lags) == (0, 0.0)
        workers.kill("intake", "a")
        workers.kill("decide", "a")
        await world.publish(kafka, some_events(3, 25, first=1000))
        first = await asyncio.to_thread(lags)
        await world.publish(kafka, some_events(4, 15, first=2000))
        second = await asyncio.to_thread(lags)

    assert (first[0], second[0]) == (25, 40)
    assert second[1] > first[1] > 0


def settings(kafka: Kafka, **more: str) -> dict[str, str]:
    return {
        "CARE_RUNTIME": "kafka",
        "CARE_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "CARE_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "CARE_GROUP": GROUP,
        **more,
    }


async def test_the_command_tells_unknown_from_current(kafka: Kafka, tmp_path: Path) -> None:
    """Exit 1 and UNKNOWN before any worker ran; 0 once both groups stand at their ends."""
    await world.publish(kafka, some_events(5, 20))

    def lag(*args: str) -> "subprocess.CompletedProcess[bytes]":
        return run(tmp_path, "lag", *args, settings=settings(kafka))

    before = await asyncio.to_thread(lag, "--json")
    stands = {(g, t, p): end for (g, t, p), (end, _) in theirs(kafka).items()}
    for group in (INTAKE, DECIDE):
        ends = {(t, p): end for (g, t, p), end in stands.items() if g == group}
        await asyncio.to_thread(commit, kafka, group, ends)
    after = await asyncio.to_thread(lag)

    assert before.returncode == 1
    answer = orjson.loads(before.stdout)
    states = {p["state"] for g in answer["groups"] for p in g["partitions"]}
    assert (states, answer["current"]) == ({"UNKNOWN"}, False)
    assert [group["group"] for group in answer["groups"]] == [INTAKE, DECIDE]
    assert (after.returncode, after.stderr) == (0, b"")
    assert after.stdout.startswith(b"All current to ")


def test_lag_of_brokers_that_are_away_is_3(tmp_path: Path) -> None:
    """Started, then stopped: the command says what is away instead of an old answer."""
    with cluster(tmp_path / "cluster") as ours:
        kafka = Kafka(ours.bootstrap)
        asyncio.run(world.fresh_topics(kafka))
        assert run(tmp_path, "lag", settings=settings(kafka)).returncode == 1
        ours.stop()
        done = run(tmp_path, "lag", settings=settings(kafka))
    assert (done.returncode, done.stdout) == (3, b"")
    assert b"Traceback" not in done.stderr
