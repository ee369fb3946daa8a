"""One running product for the tests below; they need a broker, as those of tests/kafka do."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.conftest import secrets
from tests.e2e.stack import Stack, stack
from tests.kafka.broker import NoKafka
from tests.kafka.conftest import no_kafka

__all__ = ["secrets"]
HERE = Path(__file__).resolve().parent
ASKED_FOR = "E2E_TESTS"
ALWAYS = "test_first_start.py"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """All of them are about Kafka; but for one they take long, and run with ``make test-e2e``."""
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.kafka)
    if not os.environ.get(ASKED_FOR):
        left_out = [item for item in ours if item.path.name != ALWAYS]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, Any, Any]:
    """Where there can be no broker, a test is skipped; on a build server it fails."""
    try:
        return (yield)
    except NoKafka as missing:
        no_kafka(missing)


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, secrets: Path) -> Iterator[Stack]:
    """All services of the compose file, healthy."""
    try:
        with stack(tmp_path_factory.mktemp("product"), secrets) as running:
            yield running
    except NoKafka as missing:
        no_kafka(missing)
