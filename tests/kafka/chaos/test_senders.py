"""What a run knows of its senders while they send."""

from pathlib import Path

from tests.kafka.chaos.feed import Plan, Say, feed
from tests.kafka.chaos.sender import ahead_of
from tests.kafka.chaos.senders import Senders

PLAN = Plan(3, "2026-11-20T15:00:00Z", 600, 0, 50)


async def test_what_is_said_is_worked_out_ahead_and_stays_in_order() -> None:
    """A thread makes it, and none is lost, doubled or moved on the way."""
    said: list[tuple[int, Say]] = [one async for one in ahead_of(feed(PLAN))]

    assert said == list(enumerate(feed(PLAN), 1))
    assert len(said) >= PLAN.events


def test_attempts_are_counted_while_they_are_written(tmp_path: Path) -> None:
    """Ends of attempts are none, and half a line is not one yet; nothing is counted twice."""
    senders = Senders("nobody:9092", PLAN, tmp_path)
    history = tmp_path / "steady1.jsonl"
    senders._histories.append(history)
    attempt = b'{"name":"steady1-1","topic":"t","sha":"s","fate":"event","sent":1}\n'
    half = len(attempt) // 2

    assert senders.said() == 0
    history.write_bytes(attempt + b'{"name":"steady1-1","outcome":"ok"}\n' + attempt[:half])
    assert senders.said() == 1
    with history.open("ab") as more:
        more.write(attempt[half:])
    assert senders.said() == 2
    assert senders.said() == 2
