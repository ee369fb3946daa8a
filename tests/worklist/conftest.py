"""One published history for all tests that only read it, and a whole worklist for the others."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

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
