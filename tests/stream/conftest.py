"""Closes the logs that a test left open, as a process would at its end."""

from collections.abc import Iterator

import pytest

from tests.stream import fakes


@pytest.fixture(autouse=True)
def _close_logs() -> Iterator[None]:
    yield
    while fakes.opened:
        fakes.opened.pop().close()
