"""All checks of one recorded run, and what they found."""

import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from orchestrator.core.instants import SECOND
from tests.kafka.chaos.accounting import Account, account
from tests.kafka.chaos.belief import Belief, against_model
from tests.kafka.chaos.conduct import misconduct, taken_back
from tests.kafka.chaos.findings import Finding, counted
from tests.kafka.chaos.lateness import Bounds, Excuse, Timing, noticed, timing
from tests.kafka.chaos.recorded import Recorded
from tests.kafka.chaos.stories import Story, stories
from tests.kafka.chaos.undisturbed import different, kinds, not_the_fold, repeats, untrue_clocks
from tests.kafka.chaos.undisturbed import undisturbed as replay

CHUNK: Final = 200


@dataclass
class Verdict:
    """
    What was found, and what was looked at.

    Attributes:
        classes: Findings by class, zeros included.
        figures: How much there was to be wrong about.
    """

    findings: list[Finding]
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def classes(self) -> dict[str, int]:
        return counted(self.findings)


def judge(
    recorded: Recorded,
    site_key: bytes,
    *,
    excuses: Sequence[Excuse] = (),
    bounds: Bounds = Bounds(),  # noqa: B008 - never changed
    processes: int = 1,
) -> Verdict:
    """
    Check everything.

    Args:
        recorded: What the run left.
        site_key: Under which patients are keyed.
        excuses: When something was broken; what comes then may be late because of it.
        bounds: How late.
        processes: How many work on the model's comparison.
    """
    began = time.monotonic()
    accounted = account(recorded)
    told = stories(recorded, accounted.entries)
    # First: whoever helps with it starts with a copy of what is in memory.
    believed = _believed(list(told.values()), processes)
    undisturbed = replay(recorded.lines(), site_key)
    timed = timing(recorded, told.values(), excuses, bounds)
    altered = [*different(recorded, undisturbed), *not_the_fold(recorded, undisturbed)]
    if not altered:
        part_where_commands_decide(believed, told.values())
    findings = [
        *accounted.findings,
        *altered,
        *untrue_clocks(recorded.journal, accounted.entries),
        *misconduct(told.values(), site_key, len(recorded.journal)),
        *taken_back(recorded),
        *believed.findings,
        *timed.findings,
    ]
    figures = _figures(recorded, accounted, told.values(), believed, timed)
    figures["checked_s"] = round(time.monotonic() - began, 1)
    return Verdict(findings, figures)


def part_where_commands_decide(believed: Belief, told: Iterable[Story]) -> None:
    """
    What the same journal leads to without a fault as well, byte for byte, no fault has made.

    Asked only of patients for whom somebody reported something: the order in which commands come
    decides about them, a canonical replay has another order, and so cannot tell where core and
    model part by themselves.  They are counted with the others that part.
    """
    commanded = {s.subject for s in told if any(".task." in step.event["type"] for step in s.steps)}
    rest = []
    for finding in believed.findings:
        subject = finding.where.partition(" ")[0]
        if subject in commanded:
            believed.parted.setdefault(subject, finding.text.partition(":")[0])
        else:
            rest.append(finding)
    believed.findings[:] = rest


def _believed(told: list[Story], processes: int) -> Belief:
    if processes == 1:
        return against_model(told)
    whole = Belief()
    chunks = [told[start : start + CHUNK] for start in range(0, len(told), CHUNK)]
    with ProcessPoolExecutor(min(processes, os.cpu_count() or 1)) as pool:
        for part in pool.map(against_model, chunks):
            whole.findings += part.findings
            whole.steps += part.steps
            whole.receipt_bound |= part.receipt_bound
            whole.parted |= part.parted
    return whole


def _figures(
    recorded: Recorded,
    accounted: Account,
    told: Iterable[Story],
    believed: Belief,
    timed: Timing,
) -> dict[str, Any]:
    changes = Counter(c["change"] for of in recorded.changes.values() for c in of)
    results = sum(accounted.by_partition.values(), Counter())
    return {
        "attempts": dict(sorted(accounted.outcomes.items())),
        "landed": len(recorded.landed),
        "results": dict(sorted(results.items())),
        "by_partition": {
            f"{topic}-{partition}": dict(sorted(of.items()))
            for (topic, partition), of in sorted(accounted.by_partition.items())
        },
        "journal": dict(sorted(kinds(recorded.journal).items())),
        "redone_by_intake": accounted.redone,
        "published": {
            topic: sum(len(rows) for (name, _), rows in recorded.outputs.items() if name == topic)
            for topic in sorted({name for name, _ in recorded.outputs})
        },
        "repeats_at_read_committed": repeats(recorded),
        "changes": dict(sorted(changes.items())),
        "patients": len(list(told)),
        "standings_compared_with_model": believed.steps,
        "patients_with_receipt_bound_fields": len(believed.receipt_bound),
        "core_and_model_part_without_a_fault": dict(sorted(believed.parted.items())),
        "seconds_to_be_readable": {
            "healthy": quantiles(timed.healthy),
            "under_a_fault": quantiles(timed.excused),
        },
        "excused": {
            "windows": len(timed.windows),
            "seconds": round(sum(w.ends - w.begins for w in timed.windows) / SECOND, 1),
            "longest": round(
                max((w.ends - w.begins for w in timed.windows), default=0) / SECOND, 1
            ),
        },
        "found_late_had_it_come_later_by": noticed(timed.room),
    }


def quantiles(values: list[float]) -> dict[str, float]:
    """Median, tail and worst."""
    if not values:
        return {"n": 0}
    ordered = sorted(values)
    at = {name: ordered[int(share * (len(ordered) - 1))] for name, share in _SHARES.items()}
    return {"n": len(ordered), **{name: round(value, 3) for name, value in at.items()}}


_SHARES: Final = {"p50": 0.5, "p99": 0.99, "max": 1.0}
