"""One published history for all tests that only read it, and a whole worklist for the others."""

import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from orchestrator import log
from orchestrator.worklist.log.feed import Record
from tests.worklist.history import published
from tests.worklist.world import World, world


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """What a small hospital's weeks became on the topics."""
    return published(tmp_path_factory.mktemp("history"))


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[World]:
    """The embedded runtime and the worklist over its log, with a few discharged patients."""
    async with world(tmp_path) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def calls(shared: World) -> Iterator[Any]:
    """Calls of a module's one worklist that no other of its tests has touched."""
    return iter((await shared.get("/tasks", kind="CALL_48H"))["items"])


@pytest.fixture
def lines() -> io.StringIO:
    """Every log line of every level, through the real processors."""
    out = io.StringIO()
    log.configure("debug", "json", out)
    return out
