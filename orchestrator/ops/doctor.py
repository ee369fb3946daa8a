"""Findings of ``doctor``: what stands well, what should be looked at, what keeps it from working.

Each finding names its cure.  None holds a patient: settings (secrets as ``***``), counts, ages.
"""

import importlib.metadata
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

import orjson
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.core.instants import SECOND
from orchestrator.ops import spans
from orchestrator.ops.lag import CLOCK_OLD, Sample
from orchestrator.stream.identity.tally import Tally
from orchestrator.stream.sqlite_log import Log
from schemas.topics import DEAD_LETTER

Level = Literal["ok", "warn", "FAIL"]

PACKAGES: Final = ("schemas", "events", "handlers", "orchestrator")
OURS: Final = "care-orchestrator"
HANDOVER_OLD_S: Final = 300.0
DISK_LOW: Final = 1024**3


class Finding(NamedTuple):
    """One thing that was looked at."""

    level: Level
    name: str
    text: str
    cure: str = ""


def of_packages(providers: Mapping[str, Iterable[str]] | None = None) -> Finding:
    """Four general names at the top level: another distribution with one would shadow ours."""
    found = importlib.metadata.packages_distributions() if providers is None else providers
    strangers = sorted(
        f"{package} of {name}"
        for package in PACKAGES
        for name in set(found.get(package, ()))
        if name != OURS
    )
    if not strangers:
        return Finding("ok", "packages", "nobody else provides ours")
    cure = f"install {OURS} into an environment of its own"
    return Finding("FAIL", "packages", ", ".join(strangers), cure)


def of_lag(sample: Sample) -> Finding:
    """Whether somebody decides, and readers are known, and near the end."""
    if sample.stands:
        stood = spans.of_seconds(sample.clock_s or 0.0)
        text = f"no deadline fires: the last clock is {stood} old"
        cure = "start `up` (on Kafka: a worker); if one runs, its log says why clocks are held"
        return Finding("warn", "lag", text, cure)
    states = [one.state for one in sample.positions]
    bad = {state: states.count(state) for state in ("UNKNOWN", "STALLED", "LAGGING")}
    if not any(bad.values()):
        return Finding("ok", "lag", f"all {len(states)} partitions are current")
    text = ", ".join(f"{count} {state}" for state, count in bad.items() if count)
    cure = "`lag` names them; UNKNOWN: no worker ever ran, STALLED: none runs now"
    return Finding("warn", "lag", f"of {len(states)} partitions {text}", cure)


def of_dead_letters(sample: Sample) -> Finding:
    """How many are kept; which of them still wait, `dlq list` knows."""
    kept = sum(one.end - one.first for one in sample.bounds if one.topic == DEAD_LETTER)
    if not kept:
        return Finding("ok", "dead letters", "none")
    cure = "`dlq list` shows those that wait, each with its reason"
    return Finding("warn", "dead letters", f"{kept:,} are kept", cure)


def of_clock(log: Log) -> Finding:
    """Whether the clocks of the journal move: without them no deadline fires."""
    now = log.clock.now()
    last = [int(log.note(f"clock/{p}") or 0) for p in range(log.partitions)]
    if not any(last):
        return Finding("warn", "clock", "no clock was ever written", "start `up`")
    age = now - min(last)
    text = f"{spans.of_seconds(age / SECOND)} since the oldest of {len(last)}"
    if age <= CLOCK_OLD:
        return Finding("ok", "clock", text)
    cure = "if `up` runs, its log says why clocks are held (clock.held); else start it"
    return Finding("warn", "clock", text, cure)


def of_identity(log: Log) -> list[Finding]:
    """What the partitions of the embedded log know of hand-overs and conflicts."""
    rows = log.connection.execute("SELECT value FROM meta").fetchall()
    tallies = [Tally(orjson.loads(value)) for (value,) in rows]
    since = [at for tally in tallies for at in tally.moving.values()]
    oldest = (log.clock.now() - min(since)) / SECOND if since else 0.0
    return [
        of_handovers(len(since), oldest),
        of_conflicts(sum(tally.conflicts for tally in tallies)),
    ]


def of_handovers(number: int, oldest_s: float) -> Finding:
    """Patients on their way from one partition to another, who are planned by neither."""
    if not number:
        return Finding("ok", "hand-overs", "none under way")
    text = f"{number} under way, the oldest for {spans.of_seconds(oldest_s)}"
    if oldest_s <= HANDOVER_OLD_S:
        return Finding("ok", "hand-overs", text)
    return Finding("warn", "hand-overs", text, "see `lag`: the other partition must be decided on")


def of_conflicts(number: int) -> Finding:
    """Contradictions about who is whom: somebody must look into them."""
    if not number:
        return Finding("ok", "conflicts", "none about who is whom")
    cure = "gaps MERGE_CONFLICT and IDENTITY_UNRESOLVED name the records"
    return Finding("warn", "conflicts", f"{number} about who is whom", cure)


def of_worker(where: str, metrics: str | None) -> list[Finding]:
    """
    What a worker says of clocks and identity.

    Args:
        where: The address that was asked.
        metrics: Its answer; None if nobody answered.
    """
    if metrics is None:
        cure = "ask where a worker runs: `doctor --worker HOST:PORT`"
        return [Finding("warn", "worker", f"nobody answers at {where}", cure)]
    found: dict[str, list[float]] = {}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.value)
    number = int(sum(found.get("care_identity_handovers", ())))
    oldest = max(found.get("care_identity_handover_age_seconds", ()), default=0.0)
    ages = found.get("care_stream_clock_age_seconds", [])
    clock = Finding("warn", "clock", "no clock was decided on yet")
    if ages:
        level: Level = "ok" if max(ages) * SECOND <= CLOCK_OLD else "warn"
        age = spans.of_seconds(max(ages))
        clock = Finding(level, "clock", f"{age} since the oldest of {len(ages)}")
    conflicts = int(sum(found.get("care_identity_conflicts", ())))
    return [
        Finding("ok", "worker", f"answers at {where}"),
        clock,
        of_handovers(number, oldest),
        of_conflicts(conflicts),
    ]


def of_disk(folder: Path) -> Finding:
    """Room for the log: a full disk stops everything, and loses nothing."""
    free = shutil.disk_usage(folder).free
    text = f"{free / 1024**3:.1f} GiB free for {folder}"
    if free >= DISK_LOW:
        return Finding("ok", "disk", text)
    return Finding("FAIL", "disk", text, "make room, or move the folder (CARE_DATA_DIR)")


def of_site_key(ours: bool | None) -> Finding:
    """
    Whether the workers on these brokers key patients as this process would.

    Args:
        ours: None: no worker ever ran there.
    """
    if ours is None:
        return Finding("ok", "site key", "no worker ran on these brokers yet")
    if ours:
        return Finding("ok", "site key", "the same as the workers'")
    cure = "set CARE_SITE_KEY to that of the workers; another key is another patient"
    return Finding("FAIL", "site key", "not the one that the workers began with", cure)


def of_topics(wrong: list[str]) -> Finding:
    """Whether the topics on Kafka are as they must be."""
    if not wrong:
        return Finding("ok", "topics", "as they must be")
    cure = "`topics create` makes what is missing; see docs/operate.md for the rest"
    return Finding("FAIL", "topics", "; ".join(wrong), cure)
