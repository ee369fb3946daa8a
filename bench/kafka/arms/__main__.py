"""``python -m bench.kafka.arms [--reps 3] [--only ours bare] [--works light product] [--quick]``.

All arms interleaved, over one broker and one journal per kind of work, each run with outputs,
state and group of its own.  The figure is events per CPU-second of the arm's process, broker not
counted: wall time on a shared machine says little, and CPU time can be compared within one run.

Quix Streams is no dependency of the product: it gets an environment of its own (``.venv-bench``,
made at the first run), in which the product's packages are found behind its own.
"""

import argparse
import asyncio
import logging
import os
import secrets
import subprocess
import sys
import venv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson

from bench import report
from bench.kafka import stage
from bench.kafka.arms import journal
from bench.kafka.arms.meter import MARK
from bench.kafka.arms.work import WORKS, Work
from bench.measure import Figure
from orchestrator import log
from orchestrator.stream.kafka.connection import Kafka

ROOT: Final = Path(__file__).resolve().parents[3]
ENVIRONMENT: Final = ROOT / ".venv-bench"
QUIX: Final = "quixstreams==3.28.1"
LONGEST_S: Final = 300
BASE: Final = "bare aiokafka"


@dataclass(frozen=True)
class Arm:
    """One shape; *short*: it takes so long that it gets fewer records."""

    name: str
    module: str
    more: tuple[str, ...] = ()
    short: bool = False


ARMS: Final = (
    Arm("ours", "ours"),
    Arm(BASE, "bare"),
    Arm("bare aiokafka, fenced transactions", "bare", ("fenced",)),
    Arm("Quix Streams", "quix"),
    Arm("naive Faust", "naive", short=True),
)
# As issue 4 has them: of ours, per CPU-second.
TARGETS: Final = {BASE: 0.8, "Quix Streams": 1.0, "naive Faust": 8.0}


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.kafka.arms", description=__doc__)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--only", nargs="+", help="arms by the beginning of their names")
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS))
    parser.add_argument("--quick", action="store_true", help="a tenth of the records; no figures")
    asked = parser.parse_args()
    log.configure(level="error", form="json")
    # It complains while topics come and go.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    arms = [a for a in ARMS if not asked.only or a.name.startswith(tuple(asked.only))]
    if any(arm.module == "quix" for arm in arms):
        _prepare()
    for name in asked.works:
        work = WORKS[name]
        share = 10 if asked.quick else 1
        with stage.broker() as kafka:
            asyncio.run(journal.fill(kafka, work, work.count // share))
            figures = _figures(work, _runs(kafka, work, arms, asked.reps, share))
        print(report.table(figures))
        if not (asked.quick or asked.only):
            where = ROOT / "bench" / "results"
            report.write(figures, where, f"kafka-arms-{name}", events=work.count, quick=False)
    return 0


def _runs(
    kafka: Kafka, work: Work, arms: list[Arm], reps: int, share: int
) -> dict[str, list[dict[str, Any]]]:
    told: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for rep in range(reps):
        for arm in arms if rep % 2 == 0 else reversed(arms):
            limit = (work.short if arm.short else work.count) // share
            one = _run(kafka, work, arm, limit)
            told[arm.name].append(one)
            rate = one["records"] / one["cpu_s"]
            sys.stderr.write(
                f"{work.name:8} {arm.name:36} {rate:10,.0f} events/CPU-s"
                f" {one['records'] / one['wall_s']:10,.0f}/s {one['rss_mb']:6} MB\n"
            )
    return told


def _run(kafka: Kafka, work: Work, arm: Arm, limit: int) -> dict[str, Any]:
    group = f"arm-{secrets.token_hex(4)}"
    asyncio.run(journal.fresh(kafka, group))
    python = ENVIRONMENT / "bin" / "python" if arm.module == "quix" else Path(sys.executable)
    command = [str(python), "-m", f"bench.kafka.arms.{arm.module}", kafka.bootstrap, work.name]
    ended = subprocess.run(
        [*command, group, str(limit), *arm.more],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    for line in ended.stdout.splitlines():
        if MARK in line:
            found: dict[str, Any] = orjson.loads(line.partition(MARK)[2])
            return found
    raise RuntimeError(f"{arm.name} told nothing:\n{ended.stdout[-2000:]}{ended.stderr[-3000:]}")


def _figures(work: Work, told: dict[str, list[dict[str, Any]]]) -> list[Figure]:
    rates = {
        name: sorted(one["records"] / one["cpu_s"] for one in runs) for name, runs in told.items()
    }
    figures = []
    for name, found in rates.items():
        wall = median(one["records"] / one["wall_s"] for one in told[name])
        memory = max(one["rss_mb"] for one in told[name])
        note = f"{found[0]:,.0f} to {found[-1]:,.0f}; {wall:,.0f} a second; {memory} MB"
        figures.append(Figure(work.name, name, median(found), "events/CPU-s", note=note))
    ours = rates.get("ours")
    for name, least in TARGETS.items():
        if ours and name in rates:
            value = median(ours) / median(rates[name])
            # The targets are about the shape; the product's processor would hide it.
            target = f"at least {least:g}" if work.name == "light" else ""
            met = value >= least if target else None
            figures.append(Figure(work.name, f"ours to {name}", value, "times", target, met))
    return figures


def _prepare() -> None:
    done = ENVIRONMENT / QUIX
    if done.exists():
        return
    venv.create(ENVIRONMENT, with_pip=True, clear=True)
    pip = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--quiet", QUIX]
    subprocess.run(pip, check=True)
    (packages,) = ENVIRONMENT.glob("lib/python*/site-packages")
    ours = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "behind.pth").write_text(f"{ours}\n", encoding="utf-8")
    done.touch()


if __name__ == "__main__":
    sys.exit(main())
