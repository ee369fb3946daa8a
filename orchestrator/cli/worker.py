"""``worker``: the Kafka runtime, both roles or one, until SIGTERM or Ctrl-C."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import log
from orchestrator.cli import door, on_kafka, site
from orchestrator.settings import site_key

if TYPE_CHECKING:
    from orchestrator.settings import Settings
    from orchestrator.stream.kafka.site import Site
    from orchestrator.stream.kafka.worker import Role


def run(
    role: "Role | None", *, instance: str | None, facilities: Path | None, policy: Path | None
) -> None:
    """
    Take in and decide what lies on Kafka.

    Args:
        role: One of the two; default: both, each in a process of its own.
        instance: Of this replica, the same after a restart.
    """
    from orchestrator.stream.clock import RealClock
    from orchestrator.stream.kafka import worker
    from orchestrator.stream.status import Status

    here = site.load(facilities=facilities, policy=policy)
    log.configure(here.log_level, here.log_format)
    on_kafka.only_kafka(here, "worker")
    own = _site(here, instance)
    if role is not None:
        status = Status(role)
        with door.of_status(here, status, RealClock(), runtime="kafka", usual=door.WORKER):
            code = worker.run(own, role, status)
        sys.exit(code)
    worker.check_topics(own)
    with door.of_children(here, worker.ROLES):
        code = worker.run_all([worker.command_of(one) for one in worker.ROLES])
    sys.exit(code)


def _site(here: "Settings", instance: str | None) -> "Site":
    from orchestrator.stream.kafka.site import Site

    kafka = on_kafka.brokers(here)
    key = site_key(here.model_copy(update={"runtime": "kafka"}))
    listed = site.facilities_of(here)
    return Site(
        kafka=kafka,
        group=here.group,
        partitions=here.partitions,
        replication=here.replication,
        facilities=listed,
        site_key=key,
        processor=site.processor_of(here, listed, key),
        instance=instance,
        teams=site.teams_of(here),
    )
