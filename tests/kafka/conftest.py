"""The broker that Kafka's tests share: one per process of pytest-xdist, started when asked for.

Without Java or Maven they are skipped, and the summary says so; on a build server (``CI``) they
fail.  ``-m "not kafka"`` leaves them out.
"""

import asyncio
import gc
import os
import warnings
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from orchestrator.stream.kafka.broker import admin
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.topic_settings import ALL
from tests.kafka.broker import BOOTSTRAP, NoKafka, cluster, jars
from tests.kafka.world import fresh_topics

HERE = Path(__file__).resolve().parent

# A connection that is asked for in the very turn of its end is dropped by aiokafka without being
# closed: two warnings, its transport's and its socket's, now and then where a broker goes away.
AIOKAFKA_DROPS = 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests below this folder are about Kafka; nobody has to remember to say so."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.kafka)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, Any, Any]:
    """A test that starts brokers of its own is skipped, or fails, as those are that share one."""
    try:
        return (yield)
    except NoKafka as missing:
        no_kafka(missing)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """What a test left open is told of that test, not of whichever one Python looks into later."""
    ended = yield
    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always")
        gc.collect()
    if len(left) > AIOKAFKA_DROPS:
        pytest.fail(f"{item.nodeid} left open: " + "; ".join(str(one.message) for one in left))
    return ended


def no_kafka(missing: NoKafka) -> NoReturn:
    """Skip; where nobody would read that, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"NO KAFKA: {missing}")
    pytest.skip(f"NO KAFKA, nothing of the Kafka runtime was tested: {missing}")


@pytest.fixture(scope="session")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a broker answers: the one that the environment names, else one of our own."""
    named = os.environ.get(BOOTSTRAP)
    if named:
        yield named
        return
    try:
        jars()
    except NoKafka as missing:
        no_kafka(missing)
    with cluster(tmp_path_factory.mktemp("kafka") / "cluster") as ours:
        yield ours.bootstrap


@pytest.fixture(scope="session")
def nobodys(bootstrap: str) -> str:
    """The same broker, once it is known that tests delete nobody's topics there."""
    if BOOTSTRAP in os.environ:
        names = {topic.name for topic in ALL}

        async def there() -> set[str]:
            async with admin(Kafka(bootstrap)) as broker:
                return set(await broker.found(names))

        if asyncio.run(there()):
            pytest.fail(f"{BOOTSTRAP} names a broker with topics of the product: not for tests")
    return bootstrap


@pytest.fixture
async def kafka(nobodys: str) -> Kafka:
    """A broker on which the product's topics are empty."""
    found = Kafka(nobodys)
    await fresh_topics(found)
    return found
