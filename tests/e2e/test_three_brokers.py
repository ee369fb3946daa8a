"""Three brokers, one of them lost: what `docs/operate.md` says of it, with the workers by hand."""

from pathlib import Path

import pytest

from orchestrator.stream.kafka.connection import Kafka
from tests.e2e.flow import flowing
from tests.e2e.stack import PROCESSES, Stack
from tests.kafka.broker import cluster


@pytest.mark.slow
def test_one_of_three_brokers_is_killed_and_no_task_is_lost(tmp_path: Path, secrets: Path) -> None:
    """While discharges flow a broker is killed and comes back: each has its call, and one only."""
    with cluster(tmp_path / "brokers", nodes=3) as brokers:
        (tmp_path / "product").mkdir()
        settings = {
            "CARE_KAFKA_BOOTSTRAP_SERVERS": brokers.bootstrap,
            "CARE_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
            "CARE_REPLICATION": "3",
        }
        product = Stack(tmp_path / "product", secrets, settings)
        try:
            done = product.run("topics")
            assert done.returncode == 0, done.stdout + done.stderr
            for name in PROCESSES:
                product.start(name)
            for name in PROCESSES:
                product.wait(name)
            with flowing(Kafka(brokers.bootstrap), "T", rate=5) as flow:
                flow.wait_for(20)
                brokers.nodes[1].stop(kill=True)
                flow.wait_for(20)
                brokers.nodes[1].start()
                brokers.nodes[1].wait()
                flow.wait_for(20)
        finally:
            product.down()

    assert flow.lost == 0
    assert flow.tasks_per_visit == {1}
