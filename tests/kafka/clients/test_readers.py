"""What other people's programs read is what was published, at whatever isolation they read."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from orchestrator.stream.kafka.connection import Kafka
from tests.kafka import world
from tests.kafka.clients.foreign import Java, Librdkafka, Seen
from tests.kafka.test_worker import some_events
from tests.kafka.world import Said


def said(seen: Iterable[Seen]) -> dict[tuple[str, int], list[Said]]:
    """As our own reader has it."""
    found: dict[tuple[str, int], list[Said]] = defaultdict(list)
    for one in seen:
        headers = tuple(sorted((name, (value or b"").decode()) for name, value in one.headers))
        found[one.topic, one.partition].append(((one.key or b"").decode(), one.value, headers))
    return found


async def test_all_read_the_same(kafka: Kafka, tmp_path: Path) -> None:
    """
    Java and librdkafka, at `read_committed` and at their defaults.

    The worker dies inside a transaction, so a reader of uncommitted records sees some twice; they
    are the same bytes.
    """
    await world.publish(kafka, some_events(7, 150))
    async with world.workers(
        kafka, tmp_path, failpoints={"decide": "decide.outputs=kill@3"}
    ) as workers:
        await workers.caught_up()
        assert workers.ends == [-9], "it was to die once"
        workers.stop()
        decided = await workers.decided()

    expected = world.replayed(await world.journal_lines(kafka, decided))
    java, librdkafka = Java(kafka.bootstrap), Librdkafka(kafka.bootstrap)
    assert said(java.read(world.OUTPUTS, "read_committed")) == expected
    assert said(librdkafka.read(world.OUTPUTS)) == expected, "read_committed is its default"
    for uncommitted in (
        java.read(world.OUTPUTS),
        librdkafka.read(world.OUTPUTS, "read_uncommitted"),
    ):
        repeated = said(uncommitted)
        assert sum(map(len, repeated.values())) > sum(map(len, expected.values()))
        assert world.without_repeats(repeated) == world.without_repeats(expected)
