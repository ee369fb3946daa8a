"""Merges, un-merges and moved visits while workers are killed and paused: one publisher each."""

import asyncio
import random
import signal
from pathlib import Path
from typing import Any, Final

import orjson

from orchestrator.core.instants import DAY, SECOND, read, written
from orchestrator.stream.clock import RealClock
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.replay import replay_events
from schemas.topics import JOURNAL, topic_of
from tests.kafka import world
from tests.kafka.worker_process import SESSION_S
from tests.stream.fakes import FACILITIES
from tests.stream.identity.compare import live
from tests.stream.identity.histories import Teller

FAMILIES: Final = 12
EVENTS: Final = 25  # of each family
PASSES: Final = 5


def families(seed: int) -> list[list[dict[str, Any]]]:
    """Lives of several small groups of numbers that are joined and separated, until yesterday."""
    now = RealClock().now()
    told = []
    for family in range(FAMILIES):
        teller = Teller(random.Random(f"{seed} {family}"), commands=False)
        teller.subjects = [f"GEN|{family}-{letter}" for letter in "ABCD"]
        # Each once: which copy was received first, a millisecond apart, is the brokers' to say.
        told_once = {event["id"]: event for event in (teller.next(list) for _ in range(EVENTS))}
        events = list(told_once.values())
        # Drawn around the simulation's own start; told as of now.
        ahead = (now - DAY - teller.now) // DAY * DAY
        for event in events:
            event["id"] = f"{family}-{event['id']}"
            for name in ("time", "recordedtime"):
                event[name] = written(read(event[name]) + ahead)
            del event["receivedtime"]
            if "starts_at" in event["data"]:
                event["data"]["starts_at"] = written(read(event["data"]["starts_at"]) + ahead)
        told.append(events)
    return told


async def test_moved_across_workers_that_die_and_pause(kafka: Kafka, tmp_path: Path) -> None:
    """Byte for byte what the journal says, each version once, and what stands is the refold."""
    rng = random.Random(5)
    told = families(5)
    async with world.workers(kafka, tmp_path, ("a", "b")) as workers:
        for number in range(PASSES):
            start, end = EVENTS * number // PASSES, EVENTS * (number + 1) // PASSES
            batch = [event for family in told for event in family[start:end]]
            rng.shuffle(batch)
            await world.publish(kafka, [(_topic(event), event) for event in batch])
            await asyncio.sleep(rng.uniform(0.5, 2))
            if number % 2:
                workers.kill("decide", rng.choice("ab"))
            else:
                paused = workers.running["decide", rng.choice("ab")]
                paused.send_signal(signal.SIGSTOP)
                await asyncio.sleep(SESSION_S * 1.5)
                paused.send_signal(signal.SIGCONT)
            workers.revive()
        await _quiet(kafka, workers)
        after = RealClock().now()
        clocks = await _clocks_past(kafka, after)
        await workers.caught_up()
        decided = await workers.decided()
        workers.stop()

    lines = await world.journal_lines(kafka, decided)
    published = await world.published(kafka)
    assert _regardless_of_order(published) == _regardless_of_order(world.replayed(lines))
    records = [orjson.loads(line) for line in lines]
    kinds = {record["value"]["kind"] for record in records}
    assert {"marks", "home", "group", "item", "state", "ask", "claim"} <= kinds
    found = _newest(published)
    events = [r["value"]["event"] for r in records if r["value"]["kind"] == "event"]
    answer = replay_events(events, as_of=written(clocks), facilities=FACILITIES, changes=False)
    wanted = live(
        thing
        for patient in answer["patients"]
        for kind in ("tasks", "gaps", "transitions")
        for thing in patient[kind]
    )
    standing = live(found.values())
    differ = {
        name: {
            field: (standing.get(name, {}).get(field), wanted.get(name, {}).get(field))
            for field in standing.get(name, {}).keys() | wanted.get(name, {}).keys()
            if standing.get(name, {}).get(field) != wanted.get(name, {}).get(field)
        }
        for name in standing.keys() | wanted.keys()
        if standing.get(name) != wanted.get(name)
    }
    assert differ == {}
    assert any(patient["aliases"] for patient in answer["patients"])


def _topic(event: dict[str, Any]) -> str:
    topic = topic_of(event["type"], "live")
    assert topic is not None
    return topic


def _regardless_of_order(
    said: dict[tuple[str, int], list[world.Said]],
) -> dict[tuple[str, int], list[world.Said]]:
    """What lies in a partition; members of one patient are told by several journal partitions."""
    return {where: sorted(rows, key=repr) for where, rows in said.items() if rows}


def _newest(published: dict[tuple[str, int], list[world.Said]]) -> dict[str, dict[str, Any]]:
    """Every thing in its newest version; each version went out once."""
    found: dict[str, dict[str, Any]] = {}
    seen: set[tuple[str, int]] = set()
    for (topic, _), rows in published.items():
        if topic != "care.change.v1":
            continue
        for _, value, _ in rows:
            change = orjson.loads(value or b"")
            for kind in ("task", "gap", "transition"):
                if kind in change and change["patient"] is not None:
                    thing = change[kind]
                    name = thing[f"{kind}_id"]
                    assert (name, thing["version"]) not in seen
                    seen.add((name, thing["version"]))
                    if name not in found or found[name]["version"] < thing["version"]:
                        found[name] = thing
    return found


async def _quiet(kafka: Kafka, workers: world.Workers) -> None:
    """Until nothing but clocks is appended any more."""
    before = -1
    while True:
        await workers.caught_up()
        journal = await world.read(kafka, JOURNAL)
        number = sum(row.key != b"clock" for rows in journal.values() for row in rows)
        if number == before:
            return
        before = number
        await asyncio.sleep(1)


async def _clocks_past(kafka: Kafka, instant: int) -> int:
    """Until the clock of every partition is past *instant*; the least of them."""

    async def least() -> int:
        clocks = []
        for rows in (await world.read(kafka, JOURNAL)).values():
            values = [orjson.loads(row.value) for row in rows if row.key == b"clock"]
            clocks.append(max(read(v["at"]) for v in values if v["kind"] == "clock"))
        return min(clocks)

    async def past() -> bool:
        return await least() > instant + SECOND

    await world.until(past, "clocks", 60)
    return await least()
