"""The same teams at pages: a session's cookie, HTML, forms, and live updates of what is open.

Half of the live streams are a browser's: each person has My work open and one task of it.  What
arrives there is HTML, so an arrival is known by the part of the page that it takes the place of.
"""

import asyncio
import html
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from bench.worklist.stage import Product
from bench.worklist.told import Told
from orchestrator.worklist import edge
from orchestrator.worklist.access.store import AccessStore
from orchestrator.worklist.access.users import Cost, hashed

PASSWORD: Final = "bench bench bench"  # noqa: S105 - of made-up people
# What a guess costs is no part of what is measured here.
CHEAP: Final = Cost(2**4, 8, 1)
DEEP_PAGES: Final = 899
# How many a second of each.
RATES: Final = {
    "page: my work": 4.0,
    "page: my work, page 900": 0.5,
    "page: task": 4.0,
    "page: patient": 2.0,
    "page: gaps": 1.0,
    "page: find": 1.0,
    "page: operations": 0.5,
    "page: operations, numbers": 0.5,
    "page: accept": 1.0,
}
VIEWS: Final = (
    "",
    "",
    "?owner=me",
    "?owner=none",
    "?team=pharmacy",
    "?kind=CALL_48H",
    "?flag=AMA",
    "?call_now=on",
)
GAPS: Final = ("/gaps", "/gaps", "/gaps?status=recorded", "/gaps?status=closed")

_TOKEN: Final = re.compile(rb'name="csrf" value="([^"]+)"')
_LIVE: Final = re.compile(rb'hx-sse:connect="([^"]+)"')
_NEXT: Final = re.compile(rb'href="(/work\?[^"]+)" rel="next"')
_ROW: Final = re.compile(rb'id="t-(\d+)" class="task[^"]*" data-task="([^"]+)"')
_ACCEPT: Final = re.compile(rb'formaction="/tasks/([^/]+)/accept" name="version" value="(\d+)"')
_SHOWN: Final = re.compile(rb'<tbody id="t-(\d+)"')
_NEWS: Final = b'hx-target="#news"'
_STATE: Final = b'hx-target="#task-state"'
_LOST: Final = b"Much has changed."


@dataclass
class Reader:
    """Somebody at a browser."""

    name: str
    role: str
    facility: str  # or ``*``
    cookie: str = ""
    token: str = ""  # of forms
    key: str = ""
    live: str = ""  # My work's
    rows: dict[str, int] = field(default_factory=dict)  # task id to row number
    free: dict[str, str] = field(default_factory=dict)  # task id to version, while nobody has it


def add_users(folder: Path, people: Sequence[tuple[str, str, list[str], str]]) -> None:
    """Let these sign in: name, role, teams, facility."""
    store, kept = AccessStore(folder), hashed(PASSWORD, CHEAP)
    for name, role, teams, facility in people:
        claims = {"roles": [role], "teams": teams, "facilities": [facility]}
        store.put_user(name, kept, orjson.dumps(claims).decode(), edge.now())
    store.close()


class Pages:
    """What the people of a `Load` do at pages."""

    def __init__(
        self, product: Product, session: aiohttp.ClientSession, told: Callable[[], Told]
    ) -> None:
        self._url, self._folder = product.url, product.folder
        self._session, self._told = session, told
        self._draw = random.Random(2)
        self.readers: list[Reader] = []
        self._taken: set[str] = set()
        self._open_tasks: list[str] = []
        self._patients: list[str] = []
        self._words: list[str] = []  # what is typed to find somebody
        self._deep = ""
        self._row_acted: dict[int, float] = {}
        self._task_acted: dict[str, float] = {}
        self._heard: dict[str, float] = {}
        self.ways: dict[str, Callable[[float], Awaitable[int]]] = {
            "page: my work": lambda _: self._page(self._care(), "/work", VIEWS),
            "page: my work, page 900": lambda _: self._page(self._of("supervisor"), self._deep),
            "page: task": lambda _: self._page(self._of("supervisor"), self._any_task()),
            "page: patient": lambda _: self._page(self._of("supervisor"), self._any_patient()),
            "page: gaps": lambda _: self._page(self._care(), self._draw.choice(GAPS)),
            "page: find": self._find,
            "page: operations": lambda _: self._page(self._of("operator"), "/operations"),
            "page: operations, numbers": lambda _: self._page(
                self._of("operator"), "/operations/now"
            ),
            "page: accept": self._accept,
        }

    async def prepare(
        self, people: Sequence[tuple[str, str, str]], known: Sequence[dict[str, Any]]
    ) -> None:
        """
        Sign everybody in, and let each open My work.

        Args:
            people: Names, roles, facilities.
            known: Tasks that were listed.
        """
        self._patients = [str(task["patient_key"]) for task in known]
        self._words = [str(task["patient"]) for task in known]
        self._open_tasks = [str(task["task_id"]) for task in known]
        for name, role, facility in people:
            reader = Reader(name, role, facility)
            await self._sign_in(reader)
            if role != "operator":
                await self._open_work(reader)
            self.readers.append(reader)
        self._deep = await self._page_900()

    async def _sign_in(self, reader: Reader) -> None:
        url = f"{self._url}/sign-in"
        async with self._session.get(url) as answer:
            visitor = answer.cookies["care_visitor"].value
            token = _found(_TOKEN, await answer.read())
        form = {"csrf": token, "next": "", "name": reader.name, "password": PASSWORD}
        said = {"Cookie": f"care_visitor={visitor}", "Sec-Fetch-Site": "same-origin"}
        async with self._session.post(
            url, data=form, headers=said, allow_redirects=False
        ) as answer:
            assert answer.status == 303, (reader.name, answer.status)
            reader.cookie = f"care_session={answer.cookies['care_session'].value}"

    async def _open_work(self, reader: Reader) -> None:
        _, body = await self._get(reader, "/work?owner=none")  # something to take at every run
        reader.token, reader.live = _found(_TOKEN, body), html.unescape(_found(_LIVE, body))
        reader.rows = {task.decode(): int(number) for number, task in _ROW.findall(body)}
        reader.free = {task.decode(): version.decode() for task, version in _ACCEPT.findall(body)}

    async def _page_900(self) -> str:
        """The address of My work's 900th page; remembered, as going there page by page is slow."""
        kept = self._folder / "page-900"
        if kept.exists():
            return kept.read_text()
        reader, path = self._of("supervisor"), "/work"
        for _ in range(DEEP_PAGES):
            _, body = await self._get(reader, path)
            path = html.unescape(_found(_NEXT, body))
        kept.write_text(path)
        return path

    def _of(self, role: str) -> Reader:
        return self._draw.choice([one for one in self.readers if one.role == role])

    def _care(self) -> Reader:
        return self._draw.choice([one for one in self.readers if one.role != "operator"])

    def _any_task(self) -> str:
        return f"/tasks/{self._draw.choice(self._open_tasks)}"

    def _any_patient(self) -> str:
        return f"/patients/{self._draw.choice(self._patients)}"

    async def _get(self, reader: Reader, path: str) -> tuple[int, bytes]:
        said = {"Cookie": reader.cookie}
        url = self._url + path
        async with self._session.get(url, headers=said, allow_redirects=False) as answer:
            return answer.status, await answer.read()

    async def _page(self, reader: Reader, path: str, more: Sequence[str] = ("",)) -> int:
        status, _ = await self._get(reader, path + self._draw.choice(more))
        return status

    async def _find(self, _due: float) -> int:
        reader = self._of("supervisor")
        form = {"csrf": reader.token, "q": self._draw.choice(self._words)}
        status, body = await self._post(reader, "/patients/search", form)
        return status if b'href="/patients/' in body else 1000 + status

    async def _post(
        self, reader: Reader, path: str, form: dict[str, str], **headers: str
    ) -> tuple[int, bytes]:
        said = {"Cookie": reader.cookie, "Sec-Fetch-Site": "same-origin", **headers}
        async with self._session.post(
            self._url + path, data=form, headers=said, allow_redirects=False
        ) as answer:
            return answer.status, await answer.read()

    async def _accept(self, due: float) -> int:
        """Take a task of one's page; others have the same one open."""
        nurses = [one for one in self.readers if one.role == "rn"]
        reader = self._draw.choice([one for one in nurses if set(one.free) - self._taken])
        task = self._draw.choice(sorted(set(reader.free) - self._taken))
        self._taken.add(task)
        self._row_acted[reader.rows[task]] = self._task_acted[task] = due
        form = {
            "csrf": reader.token,
            "key": edge.new_id(),
            "version": reader.free[task],
            "list": "plain",
            "back": "/work",
        }
        headers = {"HX-Request": "true"}
        # Whom a colleague was faster than gets the row as it is: an answer like any other.
        return (await self._post(reader, f"/tasks/{task}/accept", form, **headers))[0]

    def examples(self) -> list[tuple[Reader, str]]:
        """Whose pages are looked at for their size; the fullest that there are."""
        supervisor, operator = self._of("supervisor"), self._of("operator")
        return [
            (self._of("rn"), "/work"),
            (supervisor, "/work"),
            (supervisor, self._deep),
            (supervisor, self._any_task()),
            (supervisor, self._any_patient()),
            (supervisor, "/gaps"),
            (operator, "/operations"),
        ]

    def heard(self, facility: str) -> None:
        """Something new has just been published there."""
        self._heard[facility] = self._heard["*"] = time.monotonic()

    def streams(self) -> list[Coroutine[Any, Any, None]]:
        """My work and one of its tasks, of everybody: two streams each."""
        open_: list[Coroutine[Any, Any, None]] = []
        for number, reader in enumerate(one for one in self.readers if one.role != "operator"):
            tasks = sorted(reader.rows)
            open_ += [self._work(reader), self._task(reader, tasks[number % len(tasks)])]
        return open_

    async def _work(self, reader: Reader) -> None:
        begun = time.monotonic()
        shown: set[float] = set()  # what comes of a row later is of somebody else's action
        async for data in self._events(reader, reader.live):
            now = time.monotonic()
            for number in _SHOWN.findall(data):
                acted = self._row_acted.get(int(number))
                if acted is not None and acted not in shown:
                    shown.add(acted)
                    self._told().took["page: action to screen"].append(now - acted)
            heard = self._heard.get(reader.facility, 0.0)
            if _NEWS in data and heard > begun:
                begun = now  # what comes next is of the next discharge
                self._told().took["page: event to screen"].append(now - heard)

    async def _task(self, reader: Reader, task: str) -> None:
        _, body = await self._get(reader, f"/tasks/{task}")
        shown: set[float] = set()
        async for data in self._events(reader, html.unescape(_found(_LIVE, body))):
            acted = self._task_acted.get(task)
            if _STATE in data and acted is not None and acted not in shown:
                shown.add(acted)
                self._told().took["page: action to screen"].append(time.monotonic() - acted)

    async def _events(self, reader: Reader, path: str) -> AsyncIterator[bytes]:
        """The HTML of each event of a live stream."""
        timeout = aiohttp.ClientTimeout(total=None)
        said = {"Cookie": reader.cookie}
        url = self._url + path
        with suppress(asyncio.CancelledError):
            async with self._session.get(url, headers=said, timeout=timeout) as answer:
                if answer.status != 200:
                    self._told().answers["page stream", answer.status] += 1
                    return
                data = b""
                async for line in answer.content:
                    if line.startswith(b"data: "):
                        data += line[6:]
                    elif not line.strip() and data:
                        self._told().shown += 1
                        self._told().resyncs += _LOST in data
                        yield data
                        data = b""
            self._told().answers["page stream ended", 0] += 1


def _found(pattern: re.Pattern[bytes], body: bytes) -> str:
    match = pattern.search(body)
    assert match is not None, (pattern.pattern, body[-300:])
    return match[1].decode()
