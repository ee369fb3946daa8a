"""What a poll read is handed over or sought again, whatever the group does meanwhile."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from faust.types import TP

from orchestrator.stream.kafka.rounds_in import Consumer, PollRound

A, B = TP("care.admission.v1", 0), TP("care.admission.v1", 1)


class Row(NamedTuple):
    offset: int


class Polling(Consumer):
    """The consumer's turns, over polls that a test wrote."""

    def __init__(self, polls: list[dict[TP, list[Row]]], starts_rebalance_in: int) -> None:
        # No super: it wants an app and a broker.
        self.app = SimpleNamespace(
            rebalancing=False,
            consumer_generation_id=1,
            tables=SimpleNamespace(changelog_topics=set()),
        )
        self.done, self.skipped = {}, {}
        self._settled_at = self._began = 0.0
        self._polls = iter(polls)
        self._starts_rebalance_in = starts_rebalance_in
        self.turn = 0
        self.handed: list[PollRound] = []
        self.sought: list[dict[TP, int]] = []

    async def _read(self) -> dict[TP, list[Any]]:
        self.turn += 1
        if self.turn == self._starts_rebalance_in:
            self.app.rebalancing = True
        return dict(next(self._polls))

    async def _hand_over(self, rnd: PollRound) -> None:
        self.handed.append(rnd)

    async def _settle(self, generation: int) -> None:
        del generation

    def assignment(self) -> set[TP]:
        return {A}  # B went to somebody else

    async def seek_wait(self, partitions: Any) -> None:
        self.sought.append(dict(partitions))


async def test_what_a_rebalance_crosses_is_sought_again() -> None:
    """Rows read while the group changes are not worked on, and by their owner not passed over."""
    consumer = Polling(
        [{A: [Row(5), Row(6)], B: [Row(3)]}, {A: [Row(7)]}, {A: [Row(5), Row(6), Row(7)]}],
        starts_rebalance_in=1,
    )

    await consumer._poll()
    await consumer._poll()
    assert (consumer.handed, consumer.sought, consumer.done) == ([], [], {})
    consumer.app.rebalancing = False
    await consumer._poll()

    assert consumer.sought == [{A: 5}]
    assert consumer.handed == [{A: [Row(5), Row(6), Row(7)]}]


@pytest.mark.parametrize("moved", ["consumer_generation_id", "rebalancing"])
async def test_a_rebalance_between_two_looks_is_seen(moved: str) -> None:
    """It may have come and gone while the poll waited."""
    consumer = Polling([{A: [Row(5)]}], starts_rebalance_in=0)
    read = consumer._read

    async def reads() -> dict[TP, list[Any]]:
        setattr(consumer.app, moved, 2)
        return await read()

    consumer._read = reads  # type: ignore[method-assign]
    await consumer._poll()

    assert (consumer.handed, consumer.skipped) == ([], {A: 5})
