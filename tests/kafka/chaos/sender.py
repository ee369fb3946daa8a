"""A sender that journals what became of each attempt, outside the system: ok, fail or info.

``ok``: acknowledged; it must count.  ``fail``: definitely refused; it must not be there.
``info``: nobody knows (a timeout, a lost connection); it may be there, and reading the input topic
afterwards tells.  Most of those are said again, as a hospital's interface engine would.

    python -m tests.kafka.chaos.sender BOOTSTRAP PLAN HISTORY [--rate N] [--again N] [--large N]
"""

import argparse
import asyncio
import hashlib
import queue
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    BrokerResponseError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordTooLargeError,
)

from tests.kafka.chaos.feed import Fate, Plan, Say, feed, large, poison

HEADER: Final = "attempt"  # names the attempt in the record itself; the product passes it over
IN_FLIGHT: Final = 400
AHEAD: Final = 5000  # more than a block of the feed
SAID_AGAIN: Final = 0.8  # of those whose outcome nobody knows
LARGEST: Final = 4 * 1024 * 1024


class Attempt(NamedTuple):
    """One attempt as the history has it."""

    name: str
    topic: str
    sha: str
    fate: Fate
    sent: int  # microseconds since 1970
    outcome: str = "info"
    ended: int = 0
    partition: int = -1
    offset: int = -1


def sha(value: bytes | None) -> str:
    """What stands for a record's bytes."""
    return "null" if value is None else hashlib.sha256(value).hexdigest()[:32]


def read(*paths: Path) -> dict[str, Attempt]:
    """The attempts of histories, by name; one without an end is ``info``."""
    found: dict[str, Attempt] = {}
    for path in paths:
        for line in path.read_bytes().splitlines():
            fields = orjson.loads(line)
            if "sent" in fields:
                found[fields["name"]] = Attempt(**fields)
            else:
                found[fields["name"]] = found[fields["name"]]._replace(**fields)
    return found


async def ahead_of(said: Iterator[Say]) -> AsyncIterator[tuple[int, Say]]:
    """The same, counted and worked out in a thread: who sends does not stand still meanwhile."""
    made: queue.Queue[Say | None] = queue.Queue(AHEAD)

    def work() -> None:
        for say in said:
            made.put(say)
        made.put(None)

    threading.Thread(target=work, daemon=True).start()
    count = 0
    while True:
        try:
            next_one = made.get_nowait()
        except queue.Empty:
            next_one = await asyncio.to_thread(made.get)
        if next_one is None:
            return
        count += 1
        yield count, next_one


class Sender:
    """Sends one plan and writes its history."""

    def __init__(self, bootstrap: str, path: Path) -> None:
        self._name = path.stem
        self._file = path.open("ab")
        self._number = 0
        self._rng = Random(path.stem)
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._again: asyncio.Queue[Say] = asyncio.Queue()
        self._asked_to_stop = False
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            acks="all",
            linger_ms=5,
            max_request_size=LARGEST,
            request_timeout_ms=8000,
            metadata_max_age_ms=5000,
        )

    async def send(self, said: Iterator[Say], rate: float) -> None:
        """Everything, *rate* a second (0: as fast as it is taken), until nothing is left to say."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.stop)
        await self._producer.start()
        began = time.monotonic()
        async for count, say in ahead_of(said):
            if self._asked_to_stop:
                break
            while not self._again.empty():
                await self._attempt(self._again.get_nowait())
            await self._attempt(say)
            ahead = count / rate - (time.monotonic() - began) if rate else 0.0
            if ahead > 0:
                await asyncio.sleep(ahead)
            elif rate and ahead < -2:
                began = time.monotonic() - count / rate  # what was missed is not made up for
        while self._tasks or not self._again.empty():
            while not self._again.empty():
                await self._attempt(self._again.get_nowait())
            if self._tasks:
                await asyncio.wait(self._tasks)
        await self._producer.stop()
        self._file.close()

    def stop(self) -> None:
        """Say nothing new; what was said is brought to its end."""
        self._asked_to_stop = True

    async def _attempt(self, say: Say) -> None:
        await self._room.acquire()
        self._number += 1
        name = f"{self._name}-{self._number}"
        attempt = Attempt(name, say.topic, sha(say.value), say.fate, _now())
        self._write({k: v for k, v in attempt._asdict().items() if k not in _OF_THE_END})
        task = asyncio.create_task(self._sent(name, say))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _sent(self, name: str, say: Say) -> None:
        try:
            headers = [(HEADER, name.encode())]
            landing = await self._producer.send(say.topic, say.value, key=say.key, headers=headers)
            landed = await landing
            self._end(name, "ok", partition=landed.partition, offset=landed.offset)
        except (MessageSizeTooLargeError, RecordTooLargeError):
            self._end(name, "fail")
        except (KafkaError, BrokerResponseError, OSError):
            self._end(name, "info")
            if self._rng.random() < SAID_AGAIN:
                await asyncio.sleep(1.0)
                self._again.put_nowait(say)
        finally:
            self._room.release()

    def _end(self, name: str, outcome: str, **where: int) -> None:
        self._write({"name": name, "outcome": outcome, "ended": _now(), **where})

    def _write(self, fields: dict[str, Any]) -> None:
        self._file.write(orjson.dumps(fields) + b"\n")
        self._file.flush()


_OF_THE_END: Final = ("outcome", "ended", "partition", "offset")


def command(bootstrap: str, plan: Plan, path: Path, **more: float) -> list[str]:
    """The arguments that make a process of this say *plan*."""
    out = [bootstrap, orjson.dumps(asdict(plan)).decode(), str(path)]
    for name, value in more.items():
        out += [f"--{name}", str(value)]
    return out


def _now() -> int:
    return time.time_ns() // 1000


def main() -> None:
    """Say what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bootstrap")
    parser.add_argument("plan")
    parser.add_argument("history", type=Path)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--again", type=int, default=0, help="so many of the plan, in any order")
    parser.add_argument("--large", type=int, default=0, help="records around the limit, instead")
    parser.add_argument("--poison", type=int, default=0, help="records nobody can read, instead")
    chosen = parser.parse_args()
    plan = Plan(**orjson.loads(chosen.plan))
    rng = Random(chosen.history.stem)
    if chosen.large or chosen.poison:
        bad = [say for n in range(chosen.large) for say in large(rng, plan, n)]
        bad += [say for _ in range(chosen.poison) for say in poison(rng)]
        said = iter(bad)
    else:
        said = feed(plan)
    if chosen.again:
        said = iter(rng.choices(list(said), k=chosen.again))

    async def run() -> None:
        # Made inside, because aiokafka's producer belongs to a loop.
        await Sender(chosen.bootstrap, chosen.history).send(said, chosen.rate)

    asyncio.run(run())


if __name__ == "__main__":
    main()
