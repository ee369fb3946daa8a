"""What the arms work on: a journal and the processor for it, light or the product's own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from bench import feed
from bench.kafka.arms import light
from bench.kafka.stage import SITE_KEY
from bench.speed import RULES
from events.canonical import decode
from orchestrator.core.instants import read
from orchestrator.stream.intake import Intake, Signs
from orchestrator.stream.processor import Processor as Product
from orchestrator.stream.rounds import Processor, Store
from orchestrator.stream.sqlite_log import Record
from schemas.topics import topic_of

PARTITIONS: Final = 4
POLL: Final = 4000


@dataclass(frozen=True)
class Work:
    """
    One kind of work.

    Attributes:
        rows: Journal keys and values; how many are asked for.
        count: Records of a run.
        short: Records of a run of the arms that take long.
    """

    name: str
    rows: Callable[[int], Iterator[tuple[str, bytes]]]
    processor: Callable[[Store], Processor]
    count: int
    short: int


def _product_rows(count: int) -> Iterator[tuple[str, bytes]]:
    """What intake appends for a hospital's ward, in the order of receipt."""
    intake = Intake(feed.FACILITIES, SITE_KEY, Signs())
    made = 0
    for number, line in enumerate(feed.lines(feed.happenings(count), receipt=False)):
        event = decode(line, feed.FACILITIES)
        topic = topic_of(event["type"], event["lane"])
        assert topic is not None, event["type"]
        stamp = read(event.get("recordedtime", event["time"]))
        for row in intake.take(Record(topic, 0, number, stamp, None, line, {})).journal:
            yield row
            made += 1
            if made == count:
                return


WORKS: Final = {
    work.name: work
    for work in (
        Work("light", light.rows, light.LightProcessor, 100_000, 5_000),
        Work(
            "product",
            _product_rows,
            lambda store: Product(store, RULES, feed.FACILITIES, SITE_KEY),
            20_000,
            4_000,
        ),
    )
}
