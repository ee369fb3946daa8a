"""A worklist on a real port, with the deciding process behind it, for a browser to look at."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import uvicorn

from orchestrator.core.instants import HOUR, written
from orchestrator.stream.clock import RealClock
from orchestrator.worklist.serving import Server
from tests.worklist.world import World, world

READY_S: Final = 60.0


class Served:
    """A world that answers on a port; its loop runs in a thread of its own."""

    def __init__(self, folder: Path, patients: int) -> None:
        self._folder = folder
        self._patients = patients
        self._ready = threading.Event()
        self._stop: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="served")
        self.world: World
        self.url = ""

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as fault:  # noqa: BLE001 - told to whoever waits
            self._fault = fault
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with world(self._folder, patients=self._patients) as made:
            self.world = made
            taken = socket.socket()
            taken.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            config = uvicorn.Config(
                made.app,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=2,
            )
            server = Server(config, lambda _: self._ready.set(), made.site.closing)
            serving = asyncio.create_task(server._serve([taken]))
            await self._stop.wait()
            server.should_exit = True
            await serving

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(READY_S)
        if self._fault is not None:
            raise self._fault
        return self

    def __exit__(self, *_: object) -> None:
        if self._fault is None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def do(self, asked: Callable[[World], Any]) -> Any:
        """Run what *asked* makes in the world's own loop; its result."""
        done: Future[Any] = asyncio.run_coroutine_threadsafe(asked(self.world), self._loop)
        return done.result(READY_S)

    def send(self, *events: dict[str, Any]) -> None:
        """What a hospital tells."""
        self.world.send(*events)


def person(number: int, facility: str, **more: Any) -> dict[str, Any]:
    """A made-up patient's details, as an event."""
    now = RealClock().now()
    return {
        "specversion": "1.0",
        "id": f"{facility}-{number}-person",
        "source": f"hospital/{facility}/adt",
        "type": "care.patient.updated.v1",
        "time": written(now - 3 * HOUR),
        "subject": f"{facility}|MRN{number}",
        "facility": facility,
        "data": {
            "name": {"family": f"Patient{number:02}", "given": ["Made-Up"]},
            "birth_date": f"19{40 + number % 50}-05-04",
            "phones": [f"202-555-01{number:02}"],
            "language": "es" if number % 3 == 0 else "en",
            "caregivers": [{"name": "Kin", "relation": "daughter", "phone": "202-555-0199"}],
            **more,
        },
    }


@contextmanager
def served(folder: Path, patients: int = 6) -> Iterator[Served]:
    """Everything running, with names and numbers of the patients."""
    with Served(folder, patients) as made:
        made.send(*(person(n, "GEN" if n % 2 else "MID") for n in range(patients)))
        made.do(lambda world: world.until("/tasks?kind=CALL_48H&limit=500", all_named))
        yield made


def all_named(found: dict[str, Any]) -> bool:
    """Whether every name has come: a page that was made before shows numbers."""
    return all((item["contact"] or {}).get("name") for item in found["items"])
