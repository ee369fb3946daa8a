"""One run from beginning to end: start everything, strike, heal, come to rest, read, judge, report.

python -m tests.kafka.chaos.run [--long | --short] [--seed N] [--out FOLDER]
"""

import argparse
import asyncio
import logging
import pickle
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import orjson
import structlog

from orchestrator.core.instants import SECOND, written
from orchestrator.stream.kafka.broker import admin
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.topic_settings import wanted
from tests.kafka.chaos.conduct import Bounds, Excuse
from tests.kafka.chaos.feed import Plan
from tests.kafka.chaos.fleet import PARTITIONS, SITE_KEY, Fleet
from tests.kafka.chaos.follower import Follower
from tests.kafka.chaos.gauge import Gauge
from tests.kafka.chaos.ground import Ground
from tests.kafka.chaos.nemesis import RECOVERY_S, Fault, Nemesis, shown
from tests.kafka.chaos.recorded import Recorded, recorded
from tests.kafka.chaos.report import Run, page, report
from tests.kafka.chaos.schedule import Settings, long_run, short_run
from tests.kafka.chaos.senders import Senders
from tests.kafka.chaos.verdict import judge

REST_S = 300.0


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
        keeping = asyncio.create_task(fleet.keep())
        gauge = Gauge(ground.direct)
        senders.start(settings.rate)
        await gauge.progress(RECOVERY_S)
        nemesis = Nemesis(ground, fleet, gauge, senders, settings)
        await _strike_all(nemesis, settings)
        await senders.stop()
        await gauge.rest(follower, REST_S)
        keeping.cancel()
        codes = await fleet.stop()
        committed = (await gauge.read()).decided
        left = await recorded(Kafka(ground.direct), senders.attempts(), committed)
        left.seen = follower.seen
        happened = Run(settings, began, time.time(), nemesis.faults, nemesis.left_out, fleet, codes)
        return happened, left
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


async def _strike_all(nemesis: Nemesis, settings: Settings) -> None:
    rng = Random(f"calm {settings.seed}")
    say(f"healthy for {settings.warm_s:.0f} s")
    await asyncio.sleep(settings.warm_s)
    for number, strike in enumerate(settings.strikes, 1):
        say(f"{number} of {len(settings.strikes)}: {strike.kind} {strike.detail}")
        fault = await nemesis.strike(strike)
        say(f"    {_told(fault)}")
        await asyncio.sleep(rng.uniform(0.05, 0.2) * settings.warm_s)


def _told(fault: Fault) -> str:
    return orjson.dumps(shown(fault)).decode()


def judged(happened: Run, left: Recorded, processes: int) -> dict[str, Any]:
    """The checker's answer, as the report has it."""
    excuses = [Excuse(fault.begins, fault.recovers) for fault in happened.faults if fault.met]
    late = happened.settings
    bounds = Bounds(late.healthy_s * SECOND, late.recovery_s * SECOND)
    verdict = judge(left, SITE_KEY.encode(), excuses=excuses, bounds=bounds, processes=processes)
    return report(happened, left, verdict)


def quiet() -> None:
    """Clients that lose their broker say so at length; that is the point of the run."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def main() -> None:
    """Run, print the verdict, write the report; exit 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.kafka.chaos.run", description=__doc__)
    parser.add_argument("--long", action="store_true", help="about 45 minutes; default: about 5")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--out", type=Path, default=Path("chaos-report"))
    parser.add_argument("--keep", action="store_true", help="keep histories and logs")
    parser.add_argument("--only", help="these kinds alone, by commas")
    chosen = parser.parse_args()
    quiet()
    # What was started and mounted is gone afterwards, however the run ends.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = (long_run if chosen.long else short_run)(chosen.seed)
    if chosen.only:
        settings = settings.only(chosen.only.split(","))
    folder = Path(tempfile.mkdtemp(prefix="care-chaos-"))
    say(f"seed {chosen.seed}, {len(settings.strikes)} faults; logs and histories in {folder}")
    chosen.out.mkdir(parents=True, exist_ok=True)
    happened, left = asyncio.run(run(settings, folder))
    if chosen.keep:
        (folder / "recorded.pickle").write_bytes(pickle.dumps(left))
    say(f"{len(left.landed)} records landed; judging")
    found = judged(happened, left, processes=2)
    name = f"{'long' if chosen.long else 'short'}-{chosen.seed}"
    (chosen.out / f"{name}.json").write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    (chosen.out / f"{name}.md").write_text(page(found), encoding="utf-8")
    if not chosen.keep:
        shutil.rmtree(folder)
    say(orjson.dumps(found["classes"]).decode())
    sys.exit(int(any(found["classes"].values())))


if __name__ == "__main__":
    main()
