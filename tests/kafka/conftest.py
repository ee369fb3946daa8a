"""The broker that Kafka's tests share, and when they run at all.

They run with ``KAFKA_TESTS=1`` (`make test-kafka`), else they are deselected.
"""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.stream.kafka.broker import Kafka, admin
from orchestrator.stream.kafka.topic_settings import ALL
from tests.kafka.broker import BOOTSTRAP, NoKafka, cluster
from tests.kafka.world import fresh_topics

HERE = Path(__file__).resolve().parent
ASKED_FOR = "KAFKA_TESTS"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """All tests below this folder need a broker; nobody has to remember to say so."""
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.kafka)
    if ours and not os.environ.get(ASKED_FOR):
        config.hook.pytest_deselected(items=ours)
        items[:] = [item for item in items if HERE not in item.path.parents]


@pytest.fixture(scope="session")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a broker answers: the one that the environment names, else one of our own."""
    named = os.environ.get(BOOTSTRAP)
    if named:
        yield named
        return
    try:
        with cluster(tmp_path_factory.mktemp("kafka") / "cluster") as ours:
            yield ours.bootstrap
    except NoKafka as missing:
        if os.environ.get("CI"):
            pytest.fail(f"NO KAFKA: {missing}")
        pytest.skip(f"NO KAFKA, nothing of the Kafka runtime was tested: {missing}")


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
