"""One role of the worker over the test's broker, as a process of its own that a test may kill."""

import sys
from typing import Final

from orchestrator import log
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.site import Site
from orchestrator.stream.kafka.worker import ROLES, run
from tests.stream.fakes import FACILITIES, PARTITIONS, SITE_KEY, product

SESSION_S: Final = 6.0


def site_of(bootstrap: str, group: str, instance: str | None = None) -> Site:
    """Small polls: many transactions to be killed in, and many clocks."""
    return Site(
        kafka=Kafka(bootstrap),
        group=group,
        partitions=PARTITIONS,
        replication=1,
        facilities=FACILITIES,
        site_key=SITE_KEY,
        processor=product,
        instance=instance,
        session_s=SESSION_S,
        poll_records=40,
        sign_of_life_s=2,
    )


def main() -> None:
    bootstrap, group, role, instance = sys.argv[1:]
    log.configure(level="info", form="json")
    (known,) = [one for one in ROLES if one == role]
    sys.exit(run(site_of(bootstrap, group, instance or None), known))


if __name__ == "__main__":
    main()
