"""Care teams at work, from a process of their own over real HTTP: what they ask, how long it took.

Open loop: each request is due at its instant, drawn beforehand, and its time counts from then,
whether or not the answers before it had come.  So a server that stands still for a second is seen
by all that were due in that second.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import aiohttp
import orjson

from bench.worklist.page_load import RATES as PAGE_RATES
from bench.worklist.page_load import Pages
from bench.worklist.stage import PLACES, Product, append, discharged
from bench.worklist.told import Told
from orchestrator.stream.sqlite_log import Log
from tests.worklist.world import ANSWERS

NURSES: Final = 40
SUPERVISORS: Final = 10
OPERATORS: Final = 5
STREAMS_EACH: Final = 2  # of the API, beside two of pages
TEAMS: Final = ["nurse-outreach", "scheduling", "pharmacy"]
DEEP_PAGES: Final = 90  # of 500: the next one of 50 is the 900th
# How many a second of each.
RATES: Final = {
    "list": 16.0,
    "list, first page": 2.0,
    "list, page 900": 2.0,
    "search": 4.0,
    "task": 8.0,
    "patient": 4.0,
    "action": 3.0,
    "event": 1.0,
}
LISTS: Final = (
    "/tasks",
    "/tasks?owner=none&team=nurse-outreach",
    "/tasks?owner=me",
    "/tasks?overdue=true",
    "/tasks?team=pharmacy&team=scheduling&sort=due_at",
    "/tasks?status=requested&due_before=2100-01-01T00:00:00Z",
    "/tasks?sort=-updated_at",
    "/tasks?flag=AMA",
    "/gaps?status=open",
    "/queues",
)


class Person:
    """Somebody with a token."""

    def __init__(self, product: Product, name: str, role: str, facilities: list[str]) -> None:
        self.name = name
        token = product.token(name, role, TEAMS, facilities)
        self.headers = {"Authorization": f"Bearer {token}"}


class Load:
    """The teams of one hospital group on one product."""

    def __init__(self, product: Product, session: aiohttp.ClientSession, seed: int = 1) -> None:
        self.product, self._session = product, session
        self._draw = random.Random(seed)
        everybody = [Person(product, name, role, [place]) for name, role, place in people()]
        self.nurses, self.supervisors = everybody[:NURSES], everybody[NURSES:-OPERATORS]
        self.told = Told()
        self._known: list[dict[str, Any]] = []  # tasks that were listed
        self._in_hand: list[tuple[Person, dict[str, Any]]] = []
        self.pages = Pages(product, session, lambda: self.told)
        self._awaited: dict[tuple[str, int], float] = {}  # task and version: acted on since
        self._deep = ""
        self._patients = int(time.time()) * 100  # ids that no earlier load on this folder has used
        self._log = Log.open(product.folder)

    async def prepare(self) -> None:
        """Look around: some tasks of each nurse, and the way to the 900th page."""
        for nurse in self.nurses:
            _, body = await self._get(nurse, "/tasks?owner=none&kind=CALL_48H&limit=100")
            self._known += body["items"]
        cursor = ""
        for _ in range(DEEP_PAGES):
            person = self._draw.choice(self.supervisors)
            _, body = await self._get(person, f"/tasks?limit=500{cursor}")
            cursor = f"&cursor={body['next']}"
            await asyncio.sleep(0.02)
        self._deep = f"/tasks?limit=50{cursor}"
        await self.pages.prepare(people(), self._known)

    async def run(self, seconds: float, streams: bool = True) -> Told:
        """Ask for so long."""
        async with asyncio.TaskGroup() as group:
            live: list[asyncio.Task[None]] = []
            if streams:
                api = [
                    self._stream(person)
                    for person in (*self.nurses, *self.supervisors)
                    for _ in range(STREAMS_EACH)
                ]
                live = [group.create_task(one) for one in (*api, *self.pages.streams())]
                await asyncio.sleep(3)
            self.told = Told(cpu_s=-self.product.cpu_seconds())
            watch = group.create_task(self._watch())
            begin = time.monotonic()
            due = [
                (begin + at, kind)
                for kind, rate in (RATES | PAGE_RATES).items()
                for at in self._instants(rate, seconds)
            ]
            asked = []
            for at, kind in sorted(due):
                await asyncio.sleep(max(0.0, at - time.monotonic()))
                asked.append(group.create_task(self._ask(kind, at)))
            await asyncio.gather(*asked)
            await asyncio.sleep(2)
            self.told.cpu_s += self.product.cpu_seconds()
            for task in (*live, watch):
                task.cancel()
        return self.told

    def _instants(self, rate: float, seconds: float) -> list[float]:
        at, found = 0.0, []
        while (at := at + self._draw.expovariate(rate)) < seconds:
            found.append(at)
        return found

    async def _watch(self) -> None:
        while True:
            self.told.rss.append(self.product.rss_bytes())
            await asyncio.sleep(1)

    async def costs(self, times: int) -> dict[str, float]:
        """CPU seconds of the product for each kind of request, one after the other."""
        found: dict[str, float] = {}
        for kind in RATES | PAGE_RATES:
            before = self.product.cpu_seconds()
            for _ in range(times):
                await self._ask(kind, time.monotonic())
            found[kind] = (self.product.cpu_seconds() - before) / times
        return found

    async def _ask(self, kind: str, due: float) -> None:
        ways: dict[str, Callable[[float], Awaitable[int]]] = {
            "list": self._list,
            "list, first page": lambda _: self._page("/tasks?limit=50"),
            "list, page 900": lambda _: self._page(self._deep),
            "search": self._search,
            "task": self._task,
            "patient": self._patient,
            "action": self._act,
            "event": self._event,
            **self.pages.ways,
        }
        status = await ways[kind](due)
        self.told.took[kind].append(time.monotonic() - due)
        self.told.answers[kind, status] += 1

    async def _get(self, who: Person, path: str) -> tuple[int, Any]:
        url = f"{self.product.url}/api/v1{path}"
        async with self._session.get(url, headers=who.headers) as answer:
            body = await answer.read()
            return answer.status, orjson.loads(body)

    async def _post(
        self, who: Person, path: str, body: Any, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        url = f"{self.product.url}/api/v1{path}"
        said = {**who.headers, "Content-Type": "application/json", **headers}
        async with self._session.post(url, data=orjson.dumps(body), headers=said) as answer:
            return answer.status, orjson.loads(await answer.read())

    async def _list(self, _due: float) -> int:
        who = self._draw.choice([*self.nurses, *self.supervisors])
        status, _ = await self._get(who, self._draw.choice(LISTS))
        return status

    async def _page(self, path: str) -> int:
        status, _ = await self._get(self._draw.choice(self.supervisors), path)
        return status

    async def _search(self, _due: float) -> int:
        who, task = self._draw.choice(self.supervisors), self._draw.choice(self._known)
        contact = task.get("contact") or {}
        if contact.get("birth_date") and self._draw.random() < 0.5:
            name = contact["name"]["family"]
            body = {"name": name, "birth_date": contact["birth_date"]}
        else:
            body = {"identifier": task["patient"]}
        status, found = await self._post(who, "/patients/search", body)
        return status if found.get("items") else 1000 + status

    async def _task(self, _due: float) -> int:
        task = self._draw.choice(self._known)["task_id"]
        more = self._draw.choice(("", "", "", "/history"))
        status, _ = await self._get(self._draw.choice(self.supervisors), f"/tasks/{task}{more}")
        return status

    async def _patient(self, _due: float) -> int:
        key = self._draw.choice(self._known)["patient_key"]
        more = self._draw.choice(("", "/timeline"))
        status, _ = await self._get(self._draw.choice(self.supervisors), f"/patients/{key}{more}")
        return status

    async def _act(self, due: float) -> int:
        if self._in_hand and self._draw.random() < 0.6:
            who, task = self._in_hand.pop(self._draw.randrange(len(self._in_hand)))
            action = self._draw.choice(("attempt", "complete"))
        else:
            task = self._known.pop(self._draw.randrange(len(self._known)))
            who, action = self._draw.choice(self.supervisors + self._nurses_of(task)), "accept"
        body: dict[str, Any] | None = None
        if action == "attempt":
            body = {"reached": "no-answer"}
        elif action == "complete":
            body = {"outcome": "ok", "reached": "patient", "answers": ANSWERS}
        self._awaited[task["task_id"], task["version"] + 1] = due
        status, said = await self._post(
            who,
            f"/tasks/{task['task_id']}/{action}",
            body,
            **{
                "Idempotency-Key": f"{self._draw.getrandbits(64):x}",
                "If-Match": f'"{task["version"]}"',
            },
        )
        if status == 200 and said["task"]["status"] in ("accepted", "in-progress"):
            self._in_hand.append((who, said["task"]))
        return status

    def _nurses_of(self, task: dict[str, Any]) -> list[Person]:
        return [n for n, one in enumerate_of(self.nurses) if f"F{one % PLACES}" == task["facility"]]

    async def _event(self, _due: float) -> int:
        self._patients += 1
        subject = f"F{self._patients % PLACES}|MRN{self._patients}"
        events = discharged(self._patients, self._draw)
        await asyncio.to_thread(self._publish, events, subject)
        return 200

    def _publish(self, events: list[dict[str, Any]], subject: str) -> None:
        with Log.open(self.product.folder) as log:
            append(log, events)
        self._awaited[subject, 1] = time.monotonic()
        self.pages.heard(subject.partition("|")[0])

    async def _stream(self, who: Person) -> None:
        url = f"{self.product.url}/api/v1/stream?types=task"
        timeout = aiohttp.ClientTimeout(total=None)
        with suppress(asyncio.CancelledError):
            async with self._session.get(url, headers=who.headers, timeout=timeout) as answer:
                if answer.status != 200:
                    self.told.answers["stream", answer.status] += 1
                    return
                event = b""
                async for line in answer.content:
                    if line.startswith(b"event: "):
                        event = line[7:].strip()
                        self.told.resyncs += event == b"resync"
                    elif line.startswith(b"data: ") and event == b"task":
                        self._seen(orjson.loads(line[6:])["task"])

    def _seen(self, task: dict[str, Any]) -> None:
        self.told.shown += 1
        now = time.monotonic()
        acted = self._awaited.get((task["task_id"], task["version"]))
        if acted is not None:
            self.told.took["action to screen"].append(now - acted)
        heard = self._awaited.get((task["patient"], task["version"]))
        if heard is not None:
            self.told.took["event to screen"].append(now - heard)


def people() -> list[tuple[str, str, str]]:
    """Everybody who works here: name, role, facility."""
    return [
        *((f"nurse-{n}", "rn", f"F{n % PLACES}") for n in range(NURSES)),
        *((f"supervisor-{n}", "supervisor", "*") for n in range(SUPERVISORS)),
        *((f"operator-{n}", "operator", "*") for n in range(OPERATORS)),
    ]


def enumerate_of(people: list[Person]) -> list[tuple[Person, int]]:
    return [(person, number) for number, person in enumerate(people)]
