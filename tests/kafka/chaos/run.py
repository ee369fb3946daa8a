"""One run from beginning to end: start everything, strike, heal, come to rest, read, judge, report.

python -m tests.kafka.chaos.run [--short | --long] [--seed N] [--out FOLDER]
"""

import argparse
import asyncio
import logging
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from orchestrator.core.instants import SECOND, written
from orchestrator.stream.kafka.broker import admin
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.topic_settings import wanted
from tests.kafka.chaos.campaign import Campaign
from tests.kafka.chaos.feed import Plan
from tests.kafka.chaos.fleet import PARTITIONS, ROOT, SITE_KEY, Fleet
from tests.kafka.chaos.follower import Follower
from tests.kafka.chaos.gauge import Gauge
from tests.kafka.chaos.ground import Ground
from tests.kafka.chaos.lateness import Excuse
from tests.kafka.chaos.nemesis import RECOVERY_S, Nemesis
from tests.kafka.chaos.recorded import Recorded, recorded
from tests.kafka.chaos.report import Run, page, report
from tests.kafka.chaos.schedule import Settings, long_run, short_run
from tests.kafka.chaos.senders import Senders
from tests.kafka.chaos.verdict import judge

REST_S: Final = 300.0
KEPT: Final = "recorded.pickle"


def say(text: str) -> None:
    """A line for whoever watches."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


async def run(settings: Settings, folder: Path) -> tuple[Run, Recorded]:
    """
    Strike as *settings* say; everything that is started ends, whatever happens.

    Returns:
        What happened, and what is left in the topics.
    """
    ground = Ground(folder)
    fleet, senders = Fleet(ground, folder), _senders(ground, settings, folder)
    follower = Follower(ground.direct, PARTITIONS)
    keeping: asyncio.Task[None] | None = None
    began = time.time()
    try:
        await ground.start()
        async with admin(Kafka(ground.direct)) as broker:
            await broker.create(wanted(PARTITIONS, 1), 1)
        await follower.start()
        fleet.start_all()
        started = time.time()
        keeping = asyncio.create_task(fleet.keep())
        gauge = Gauge(ground.direct)
        senders.start(settings.rate)
        await gauge.progress(RECOVERY_S)
        nemesis = Nemesis(ground, fleet, gauge, senders, settings)
        await Campaign(nemesis, gauge, senders, follower, settings, say).run()
        await senders.stop()
        await gauge.rest(follower, REST_S)
        keeping.cancel()
        codes = await fleet.stop()
        committed = (await gauge.read()).decided
        left = await recorded(Kafka(ground.direct), senders.attempts(), committed)
        left.seen, left.looked = follower.seen, follower.looked
        struck = nemesis.faults, nemesis.left_out
        spans = began, started, time.time()
        return Run(settings, *spans, *struck, fleet.ends, codes, _tree()), left
    finally:
        if keeping is not None:
            keeping.cancel()
        fleet.kill()
        senders.kill()
        await follower.stop()
        await ground.close()


def _senders(ground: Ground, settings: Settings, folder: Path) -> Senders:
    begins = written(time.time_ns() // 1000 // SECOND * SECOND)
    # More than is needed: it is told to stop when the last fault is over.
    events = int(settings.rate * settings.seconds * 1.5)
    plan = Plan(settings.seed, begins, settings.seconds, 0, events)
    return Senders(ground.of("SENDERS"), plan, folder)


def judged(happened: Run, left: Recorded, processes: int) -> dict[str, Any]:
    """The checker's answer, as the report has it."""
    # Nobody works before they are started, and they are started like any others.
    excuses = [Excuse(int(happened.began * SECOND), int(happened.started * SECOND))]
    excuses += [Excuse(fault.since, fault.heals) for fault in happened.faults if fault.breaks]
    bounds = happened.settings.bounds
    verdict = judge(left, SITE_KEY.encode(), excuses=excuses, bounds=bounds, processes=processes)
    return report(happened, left, verdict)


def quiet() -> None:
    """Clients that lose their broker say so at length; that is the point of the run."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _tree() -> str:
    """Which product this is: the commit, and whether its sources are the commit's."""

    def git(*words: str) -> str:
        command = ["git", "--no-optional-locks", "-C", str(ROOT), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--", "orchestrator", "schemas", "events", "handlers")
    files = len(changed.splitlines())
    return git("rev-parse", "--short", "HEAD") + (f" and {files} changed files" if files else "")


def main() -> None:
    """Run, print the verdict, write the report; exit 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.kafka.chaos.run", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--short",
        action="store_true",
        help="8 faults in about 5 minutes, as the test does; this is the default",
    )
    length.add_argument(
        "--long", action="store_true", help="every kind of fault, 200,000 events, about 50 minutes"
    )
    parser.add_argument(
        "--seed", type=int, default=int(time.time()) % 100_000, help="of all that is drawn"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("chaos-report"), help="folder of the report"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep topics, histories and logs for --judge"
    )
    parser.add_argument("--only", metavar="KIND,KIND", help="these kinds of fault alone")
    parser.add_argument(
        "--judge", type=Path, metavar="FILE", help="strike nothing: judge what a run kept"
    )
    chosen = parser.parse_args()
    quiet()
    # What was started and mounted is gone afterwards, however the run ends.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    chosen.out.mkdir(parents=True, exist_ok=True)
    happened, left = kept(chosen.judge) if chosen.judge else struck(chosen)
    say(f"{len(left.landed)} records landed; judging")
    found = judged(happened, left, processes=2)
    name = f"{'long' if chosen.long else 'short'}-{happened.settings.seed}"
    (chosen.out / f"{name}.json").write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    (chosen.out / f"{name}.md").write_text(page(found), encoding="utf-8")
    say(orjson.dumps(found["classes"]).decode())
    sys.exit(int(any(found["classes"].values())))


def struck(chosen: argparse.Namespace) -> tuple[Run, Recorded]:
    """A run as it was asked for, and what it left."""
    settings = (long_run if chosen.long else short_run)(chosen.seed)
    if chosen.only:
        settings = settings.only(chosen.only.split(","))
    folder = Path(tempfile.mkdtemp(prefix="care-chaos-"))
    say(f"seed {chosen.seed}, {len(settings.strikes)} faults; logs and histories in {folder}")
    both = asyncio.run(run(settings, folder))
    if chosen.keep:
        (folder / KEPT).write_bytes(pickle.dumps(both))
        say(f"kept: {folder / KEPT}")
    else:
        shutil.rmtree(folder)
    return both


def kept(file: Path) -> tuple[Run, Recorded]:
    """What an earlier run left; our own pickle, nobody else's."""
    both: tuple[Run, Recorded] = pickle.loads(file.read_bytes())  # noqa: S301
    return both


if __name__ == "__main__":
    main()
