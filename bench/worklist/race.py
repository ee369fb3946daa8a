"""Fifty people take one task at the same moment, a thousand times: exactly one has it each time.

    python -m bench.worklist.race [--rounds N] [--at-once N] [--folder F | --kafka]

Over real HTTP to ``up`` in a process of its own (``--kafka``: to ``worklist`` over a broker and
workers), with tokens, rate limits and audit as at a site.
Whoever won gives the task back, and the next round begins.  Ends with 1 if any round had another
end than one 200 and 409s that show the task as the winner has it, or if the audit does not have
each attempt once, under its request's id, by its actor, with its end.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from bench.worklist.on_kafka import product_on_kafka, values
from bench.worklist.stage import TASKS_EACH, Product, fill, product
from bench.worklist.told import percentile
from orchestrator.stream.sqlite_log import Log
from orchestrator.worklist import edge

# Each may act sixty times a minute, so those who race take turns.
PEOPLE: Final = 600
TASKS: Final = 300
AUDIT: Final = "care.audit.v1"
FAULTS_TOLD: Final = 20
ENDS: Final = {200: "success", 409: "conflict"}  # as the audit calls them


class Race:
    """The rounds on one task."""

    def __init__(self, running: Product, session: aiohttp.ClientSession, at_once: int) -> None:
        self._url = f"{running.url}/api/v1"
        self._session, self._at_once = session, at_once
        self._draw = random.Random(1)
        self._tokens = {
            name: running.token(name, "rn", ["nurse-outreach"], ["*"])
            for name in (f"racer-{number}" for number in range(PEOPLE))
        }
        self.faults: list[str] = []
        self.took: list[float] = []
        self.answers: Counter[int] = Counter()
        self.asked: dict[str, tuple[str, str]] = {}  # by request id: who, and how it ended
        self.task = ""
        # In a folder that is raced in again, a key of last time would be the same action.
        self._run = edge.new_id()

    async def run(self, rounds: int) -> None:
        """So many rounds."""
        task = await self._any()
        self.task = task["task_id"]
        for number in range(rounds):
            version = await self._round(number, task["version"])
            _, task = await self._ask("racer-0", "GET", f"/tasks/{self.task}")
            if task["version"] != version or task["owner"] is not None:
                self.faults.append(f"round {number}: the task was not given back")

    async def _any(self) -> dict[str, Any]:
        """A call that nobody has; on Kafka the first ones are only being decided."""
        path = "/tasks?owner=none&kind=CALL_48H&limit=1"
        while True:
            _, found = await self._ask("racer-0", "GET", path)
            for task in found["items"]:
                return dict(task)
            await asyncio.sleep(0.2)

    async def _round(self, number: int, version: int) -> int:
        people = self._draw.sample(sorted(self._tokens), self._at_once)
        answers = await asyncio.gather(
            *(self._act(name, "accept", f"{number}", version) for name in people)
        )
        self.answers.update(status for status, _ in answers)
        won = [name for name, (status, _) in zip(people, answers, strict=True) if status == 200]
        lost = [said for status, said in answers if status == 409]
        if len(won) != 1 or len(lost) != self._at_once - 1:
            raise SystemExit(f"round {number}: {Counter(status for status, _ in answers)}")
        (owned,) = [said["task"] for status, said in answers if status == 200]
        if _state(owned) != (won[0], "accepted", version + 1):
            self.faults.append(f"round {number}: 200 for one who does not have it")
        seen = {(said["reason"], *_state(said["current"])) for said in lost}
        if seen != {("not-possible-now", *_state(owned))}:
            self.faults.append(f"round {number}: a refusal that shows another state: {seen}")
        _, released = await self._act(won[0], "release", f"{number}", owned["version"])
        return int(released["task"]["version"])

    async def _act(
        self, name: str, action: str, key: str, version: int
    ) -> tuple[int, dict[str, Any]]:
        begun = time.monotonic()
        request = f"{action}-{key}-{name}-{self._run}"
        status, said = await self._ask(
            name,
            "POST",
            f"/tasks/{self.task}/{action}",
            **{
                "Idempotency-Key": f"{action}-{key}-{self._run}",
                "If-Match": f'"{version}"',
                "Prefer": "wait=30",
                "X-Request-ID": request,
            },
        )
        self.took.append(time.monotonic() - begun)
        self.asked[request] = (name, ENDS.get(status, str(status)))
        return status, said

    async def _ask(
        self, name: str, method: str, path: str, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        said = {"Authorization": f"Bearer {self._tokens[name]}", **headers}
        body = b"{}" if method == "POST" else None
        if body is not None:
            said["Content-Type"] = "application/json"
        url = self._url + path
        async with self._session.request(method, url, headers=said, data=body) as answer:
            return answer.status, orjson.loads(await answer.read())


def embedded_audit(folder: Path) -> Iterator[bytes]:
    """The audit records of the log of *folder*."""
    with Log.open(folder) as log:
        for partition in range(log.partitions_of(AUDIT)):
            for record in log.records(AUDIT, partition, 0, 10_000_000):
                yield record.value or b"{}"


def unaudited(asked: dict[str, tuple[str, str]], records: Iterable[bytes], task: str) -> list[str]:
    """What the audit of actions on *task* has too little, too much or otherwise than *asked*."""
    found: dict[str, list[tuple[str, str]]] = {}
    for record in records:
        said = orjson.loads(record)
        if said["action"] == "act" and said["objects"] == [f"task/{task}"]:
            found.setdefault(said["request_id"], []).append((said["actor"], said["outcome"]))
    return [
        f"asked {request} as {known}, the audit has {found.get(request, 'nothing')}"
        for request, known in asked.items()
        if found.get(request) != [known]
    ]


def _state(task: dict[str, Any]) -> tuple[str, str, int]:
    return task["owner"], task["status"], task["version"]


async def _run(running: Product, rounds: int, at_once: int) -> Race:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        race = Race(running, session, at_once)
        await race.run(rounds)
        return race


def main() -> int:
    """Race and tell; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m bench.worklist.race")
    parser.add_argument("--rounds", type=int, default=1_000)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--folder", type=Path, help="kept, and used again if it is there")
    parser.add_argument("--kafka", action="store_true", help="over a broker of its own")
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() if chosen.folder is None else nullcontext(chosen.folder)
    ) as folder:
        if not chosen.kafka:
            fill(Path(folder), TASKS)
        begun = time.monotonic()
        if chosen.kafka:
            with product_on_kafka(Path(folder), TASKS // TASKS_EACH) as (running, kafka):
                race = asyncio.run(_run(running, chosen.rounds, chosen.at_once))
                spent = running.cpu_seconds()
                missed = unaudited(race.asked, values(kafka, AUDIT), race.task)
        else:
            with product(Path(folder)) as running:
                race = asyncio.run(_run(running, chosen.rounds, chosen.at_once))
                spent = running.cpu_seconds()
            missed = unaudited(race.asked, embedded_audit(Path(folder)), race.task)
    race.faults += missed
    p50, p95 = (percentile(race.took, share) * 1000 for share in (0.5, 0.95))
    ends = Counter(end for _, end in race.asked.values())
    print(f"{chosen.rounds} rounds of {chosen.at_once}: {dict(race.answers)}")
    print(f"of {len(race.asked)} actions, {dict(ends)}, the audit lacks {len(missed)}")
    print(f"an action p50 {p50:.0f} ms, p95 {p95:.0f} ms; {time.monotonic() - begun:.0f} s in all")
    own = time.process_time()
    print(f"CPU: {spent:.0f} s of the product, {own:.0f} s of this")
    print("\n".join(race.faults[:FAULTS_TOLD]) or "exactly one won each time")
    return 1 if race.faults else 0


if __name__ == "__main__":
    sys.exit(main())
