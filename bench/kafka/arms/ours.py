"""Our shape: the product's decide app as it is, transactions and fences included."""

import sys
from typing import Any

import faust

from bench.feed import FACILITIES
from bench.kafka.arms.meter import Meter
from bench.kafka.arms.work import PARTITIONS, POLL, WORKS
from bench.kafka.stage import SITE_KEY
from orchestrator import log
from orchestrator.stream.kafka.apps import app_of
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.site import Site


def main() -> None:
    """Run until the limit is worked off."""
    bootstrap, work, group, limit = sys.argv[1:]
    log.configure(level="warning", form="json")
    site = Site(
        kafka=Kafka(bootstrap),
        group=group,
        partitions=PARTITIONS,
        replication=1,
        facilities=FACILITIES,
        site_key=SITE_KEY,
        processor=WORKS[work].processor,
        poll_records=POLL,
        sign_of_life_s=1e10,  # no clocks: the other arms have none
    )
    app = app_of(site, "decide")
    meter = Meter(int(limit))
    handle = app.shell.handle

    async def metered(rnd: Any) -> None:
        meter.begin()
        await handle(rnd)  # committed, or the process ended
        if meter.add(sum(map(len, rnd.values()))):
            meter.finish()

    app.shell.handle = metered
    worker = faust.Worker(app, quiet=True, override_logging=False, redirect_stdouts=False)
    worker.spinner = None
    worker.execute_from_commandline()


if __name__ == "__main__":
    main()
