"""The two Faust apps, written out: every setting that matters, and nothing left to a default.

`intake` and `decide` differ in transport, source topics, shell and table.  Each is a consumer
group of its own, so one may be scaled or stopped without the other.
"""

import asyncio
import tempfile
from typing import Any, Final

import faust
from faust.stores import STORES
from faust.transport.drivers import TRANSPORTS

from orchestrator.stream.failpoints import hit
from orchestrator.stream.kafka.clockwork import Clockwork
from orchestrator.stream.kafka.decide import DecideShell
from orchestrator.stream.kafka.intake import IntakeShell
from orchestrator.stream.kafka.recovery import TABLE
from orchestrator.stream.kafka.rounds_in import RoundSchema
from orchestrator.stream.kafka.site import Site
from orchestrator.stream.kafka.topic_settings import STATE
from orchestrator.stream.kafka.watchdog import beat, watch
from orchestrator.stream.status import Status
from schemas.topics import INPUTS, JOURNAL

TURNS_S: Final = 0.05  # some turns of the loop, in which what was cancelled ends
MODULES: Final = "orchestrator.stream.kafka"

# Registered before any app is made: Faust makes the transport when the first agent is declared.
TRANSPORTS.aliases["care-intake"] = f"{MODULES}.rounds_in:IntakeTransport"
TRANSPORTS.aliases["care-decide"] = f"{MODULES}.recovery:DecideTransport"
STORES.aliases["care"] = f"{MODULES}.recovery:Store"


class App(faust.App):
    """A Faust app with a shell that does the work."""

    site: Site
    shell: Any
    status: Status

    async def on_start(self) -> None:
        """Be watched from the beginning: app.task begins behind the first recovery only."""
        await super().on_start()
        self.add_future(beat(self.status))
        self.add_future(watch(self.site, self, self.status))

    async def on_stop(self) -> None:
        """Tell; how long it may take is `pulse`'s."""
        hit("stop.draining")
        self.status.enter("stopping")
        await super().on_stop()


class Worker(faust.Worker):
    """Faust's, without the two seconds for which it sleeps when all is done."""

    def _gather_all(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task.cancel()

    async def _sentinel_task(self) -> None:
        await asyncio.sleep(TURNS_S)


def app_of(site: Site, role: str, status: Status | None = None) -> App:
    """The app of *role*, with its agent and its watchdog; *status* is kept up to date."""
    status = status or Status(role)
    # A member that is known again gets the partitions that it had, and no look at new ones;
    # the journal gets none, and a change of owner costs intake nothing.
    known = role == "decide" and site.instance is not None
    servers = ";".join(site.kafka.servers)
    app = App(
        site.group_of(role),
        broker=f"care-{role}://{servers}",
        broker_credentials=site.kafka.faust_credentials(),
        # Faust's own exactly_once is not: streams.md, 0.
        processing_guarantee="at_least_once",
        topic_allow_declare=False,  # topics are created beforehand and checked
        topic_disable_leader=True,
        topic_partitions=site.partitions,
        table_standby_replicas=0,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=f"{site.instance}-{role}" if known else None,
        consumer_metadata_max_age_ms=10_000,  # hospitals add partitions
        broker_session_timeout=site.session_s,
        broker_heartbeat_interval=site.session_s / 5,
        broker_rebalance_timeout=30,
        broker_request_timeout=40,
        broker_max_poll_records=site.poll_records,
        broker_commit_interval=0.2,  # the clock's gate waits for intake's commits
        consumer_max_fetch_size=4 * 1024 * 1024,
        stream_recovery_delay=0.0,
        producer_linger=0,
        producer_request_timeout=30,
        web_enabled=False,  # its pages would show patients' data to anybody
        worker_redirect_stdouts=False,
        datadir=tempfile.gettempdir(),  # named, or it makes a folder where it stands
        debug=False,
    )
    app.site, app.status = site, status
    if role == "intake":
        app.shell = IntakeShell(site, app, status)
    else:
        app.shell = DecideShell(site, app, status)
        app.task(Clockwork(site, app, app.shell, status).run)
        # A host, or the URL counts as none and Faust takes its own store.
        app.Table(
            TABLE,
            key_type=bytes,
            value_type=bytes,
            partitions=site.partitions,
            store="care://memory",
            # Undecoded: Faust reads these rows only to see how far they go.
            changelog_topic=app.topic(STATE.name, schema=RoundSchema()),
        )
    sources = [JOURNAL] if role == "decide" else list(INPUTS)

    @app.agent(app.topic(*sources, schema=RoundSchema()), concurrency=1, name=role)
    async def rounds(stream: Any) -> None:
        async for rnd in stream:
            await app.shell.handle(rnd)

    return app
