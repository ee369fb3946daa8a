"""What holds for every test: the process's logging is afterwards as it was before.

A test that runs a command in its own process leaves logs going to its captured standard error,
which is closed by then: whoever logs next, many tests later, would fail in the middle of its work.
"""

import logging
from collections.abc import Iterator

import pytest
import structlog

# Where nothing is configured, tracebacks are plain: with the values of all variables, drawn in
# frames, one of a server's takes minutes.
structlog.dev.ConsoleRenderer.get_active().exception_formatter = structlog.dev.plain_traceback


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Undo what `log.configure` does to the process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        logging.captureWarnings(capture=False)
        root.handlers[:] = handlers
        root.setLevel(level)
