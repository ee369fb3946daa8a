"""The embedded runtime in a thread and the worklist over its log, asked without a network."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import httpx
import orjson

from orchestrator.core.instants import HOUR, written
from orchestrator.stream import embedded
from orchestrator.stream.clock import RealClock
from orchestrator.stream.keys import patient_key
from orchestrator.stream.processor import Processor
from orchestrator.stream.rounds import Store
from orchestrator.stream.rules import rules
from orchestrator.stream.sqlite_log import Log
from orchestrator.worklist.access.demo import demo_principal
from orchestrator.worklist.access.modes import Access
from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.access.sessions import Sessions
from orchestrator.worklist.access.store import AccessStore
from orchestrator.worklist.access.tokens import Authenticator, DemoTokens, NotAuthentic
from orchestrator.worklist.app import application
from orchestrator.worklist.limits import Limits, Rate
from orchestrator.worklist.log.embedded import EmbeddedFeed, EmbeddedPlaces, EmbeddedSender
from orchestrator.worklist.log.journal_embedded import EmbeddedJournal
from orchestrator.worklist.log.trial import Trial
from orchestrator.worklist.serving import Plan, opened
from orchestrator.worklist.site import Site
from schemas.facilities import Facilities
from schemas.policy import load_policies
from schemas.topics import topic_of
from tests.stream.fakes import FACILITIES, SITE_KEY

PARTITIONS: Final = 2
PATIENTS: Final = 6  # even ones at MID, odd ones at GEN
WAIT_S: Final = 90.0  # a guard, not a promise
ANSWERS: Final = {
    "understanding": "yes",
    "medicines": "yes",
    "symptoms": "none",
    "appointment": "yes",
    "help_at_home": "yes",
    "education_given": "yes",
}
FREELY: Final = {kind: Rate(1e9, 1e9) for kind in ("api", "actions", "export")}


class People(DemoTokens):
    """The demo's words, and whoever a test has made up."""

    def __init__(self) -> None:
        self.known: dict[str, Principal] = {}

    def principal(self, token: str) -> Principal:
        found = self.standing(token, {})
        if found is None:
            raise NotAuthentic("unknown-token")
        return found

    def access(self, store: AccessStore) -> Access:
        """Their sessions."""
        return Access("demo", Sessions(store, b"s" * 32, "demo", self.standing))

    def standing(self, actor: str, claims: Mapping[str, Any]) -> Principal | None:
        """The same people at pages."""
        del claims
        return self.known.get(actor) or demo_principal(actor)


class World:
    """A worklist at work."""

    def __init__(
        self, folder: Path, site: Site, app: Any, people: People, worker: "Worker"
    ) -> None:
        self.folder = folder
        self.worker = worker
        self.site = site
        self.app = app
        self.people = people
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def client(self, token: str | None = "demo-supervisor") -> httpx.AsyncClient:
        """Somebody who asks."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.AsyncClient(
            transport=self._transport, base_url="http://test/api/v1", headers=headers
        )

    def browser(self, token: str | None = "demo-supervisor") -> "Browser":
        """Somebody who has signed in at the pages, or nobody yet."""
        word = None if token is None else self.site.access.sessions.open(token, {})
        return Browser(self, word)

    async def get(self, path: str, token: str = "demo-supervisor", **params: Any) -> Any:
        """The JSON of a 200."""
        async with self.client(token) as client:
            response = await client.get(path, params=params or None)
        assert response.status_code == 200, response.text
        return response.json()

    async def call(self, **filters: Any) -> dict[str, Any]:
        """An open 48-hour call."""
        params = {"kind": "CALL_48H", "status": "requested", "limit": 1, **filters}
        found: dict[str, Any] = (await self.get("/tasks", **params))["items"][0]
        return found

    async def act(
        self,
        task: dict[str, Any],
        action: str,
        body: Any = None,
        *,
        token: str = "demo-supervisor",
        key: str = "k",
        version: int | None = None,
        **headers: str,
    ) -> httpx.Response:
        """One action with its headers."""
        said = {
            "Idempotency-Key": f"{key}-{action}",
            "If-Match": f'"{version or task["version"]}"',
            **headers,
        }
        async with self.client(token) as client:
            return await client.post(f"/tasks/{task['task_id']}/{action}", json=body, headers=said)

    def audit(self) -> list[dict[str, Any]]:
        """The audit records so far."""
        with Log.open(self.folder) as log:
            found = log.read("care.audit.v1", 0, 0, 1_000_000)
        return [orjson.loads(record.value or b"") for record in found]

    def send(self, *events: dict[str, Any]) -> None:
        """What a hospital tells."""
        with Log.open(self.folder) as log, log.transaction() as transaction:
            for event in events:
                topic = topic_of(event["type"])
                assert topic is not None
                transaction.append(topic, None, orjson.dumps(event))

    async def until(self, path: str, holds: Any, token: str = "demo-supervisor") -> Any:
        """Ask again until what is told *holds*."""
        end = time.monotonic() + WAIT_S
        while True:
            found = await self.get(path, token)
            if holds(found):
                return found
            assert time.monotonic() < end, f"{path} never came to be so"
            await asyncio.sleep(0.05)


class Browser:
    """A browser with a session: it sends the cookie, and forms as our pages send them."""

    def __init__(self, made: World, word: str | None) -> None:
        self._world = made
        self.word = word
        cookies = {} if word is None else {made.site.access.cookie(): word}
        self.client = httpx.AsyncClient(
            transport=made._transport, base_url="http://test", cookies=cookies
        )

    @property
    def csrf(self) -> str:
        """What a form of its pages brings."""
        return self._world.site.access.sessions.form_token(self.word or "")

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """One page."""
        return await self.client.get(path, headers=headers)

    async def post(self, path: str, **form: Any) -> httpx.Response:
        """A form of one of our pages, sent."""
        headers = {"Sec-Fetch-Site": "same-origin"}
        return await self.client.post(path, data={"csrf": self.csrf, **form}, headers=headers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()


@asynccontextmanager
async def world(
    folder: Path,
    *,
    limits: Limits | None = None,
    patients: int = PATIENTS,
    access: Callable[[AccessStore], Access] | None = None,
    authenticator: Callable[[AccessStore], Authenticator] | None = None,
    facilities: Facilities = FACILITIES,
) -> AsyncIterator[World]:
    """Everything running, the first patients' tasks there."""
    people = People()
    with runtime(folder, facilities) as worker:
        plan = Plan(
            folder=folder,
            feed=lambda: EmbeddedFeed(folder),
            sender=lambda: EmbeddedSender(folder),
            places=lambda: EmbeddedPlaces(folder),
            authenticator=authenticator or (lambda _store: people),
            key_of=lambda subject: patient_key(SITE_KEY, subject),
            log_now=RealClock().now,
            access=access or people.access,
            limits=lambda: limits or Limits(dict(FREELY)),
            action_wait=WAIT_S,
            policies=[policy.model_dump(mode="json") for policy in load_policies(None)],
            trial=Trial(EmbeddedJournal(folder), load_policies(None), facilities, folder),
        )
        async with opened(plan) as site:
            made = World(folder, site, application(site, version="test"), people, worker)
            made.send(*(event for n in range(patients) for event in discharged(n)))
            if patients:
                calls = "/tasks?kind=CALL_48H"
                await made.until(calls, lambda found: found["total"] == patients)
            yield made


class Worker:
    """The deciding process, in a thread; it can go away and come back."""

    def __init__(self, folder: Path, facilities: Facilities) -> None:
        self._folder = folder
        self._facilities = facilities
        self._begun: list[embedded.Runtime] = []
        self._thread: threading.Thread | None = None

    @property
    def runtime(self) -> embedded.Runtime:
        """What was started last."""
        return self._begun[-1]

    def start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,))
        self._thread.start()
        assert ready.wait(WAIT_S)

    def _run(self, ready: threading.Event) -> None:
        facilities = self._facilities

        def product(store: Store) -> Processor:
            return Processor(store, rules(load_policies(None), facilities), facilities, SITE_KEY)

        pace = embedded.Pace(poll_s=0.005)
        # Its SQLite connection is this thread's.
        with embedded.opened(
            self._folder, product, facilities, SITE_KEY, partitions=PARTITIONS, pace=pace
        ) as one:
            self._begun.append(one)
            ready.set()
            one.run()

    def stop(self) -> None:
        if self._thread is not None:
            self._begun[-1].stop()
            self._thread.join()
            self._thread = None


@contextmanager
def runtime(folder: Path, facilities: Facilities = FACILITIES) -> Iterator[Worker]:
    """The deciding process at work."""
    worker = Worker(folder, facilities)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def discharged(number: int, hours_ago: float = 2.0) -> list[dict[str, Any]]:
    """A patient's admission and discharge."""
    visit = {"visit_number": f"V{number}"}
    return happened(
        "GEN" if number % 2 else "MID",
        number,
        ("admission.opened", hours_ago + 48, {**visit, "class": "INPATIENT"}),
        ("discharge.recorded", hours_ago, {**visit, "disposition": "01"}),
    )


def happened(
    facility: str, number: int, *told: tuple[str, float, dict[str, Any]]
) -> list[dict[str, Any]]:
    """What *facility* says of its patient *number*: what, how many hours ago, and its data."""
    now = RealClock().now()
    return [
        {
            "specversion": "1.0",
            "id": f"{facility}-{number}-{name}",
            "source": f"hospital/{facility}/adt",
            "type": f"care.{name}.v1",
            "time": written(now - int(ago * HOUR)),
            "subject": f"{facility}|MRN{number}",
            "facility": facility,
            "data": data,
        }
        for name, ago, data in told
    ]
