"""What a run shows: one JSON object, and a table for people made from it.

A fault counts when it overlapped work: something was sent while it lasted, and something was
decided before it was over.  Both are read off the histories and what the follower saw.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tests.kafka.chaos.fleet import End, Fleet
from tests.kafka.chaos.nemesis import Fault
from tests.kafka.chaos.recorded import Recorded
from tests.kafka.chaos.schedule import Settings
from tests.kafka.chaos.verdict import Verdict, quantiles

FINDINGS: Final = 50  # of them are listed, the rest is counted


@dataclass
class Run:
    """What happened."""

    settings: Settings
    began: float
    ended: float
    faults: list[Fault]
    left_out: list[str]
    fleet: Fleet
    codes: list[int]


def report(run: Run, recorded: Recorded, verdict: Verdict) -> dict[str, Any]:
    """All figures of a run."""
    faults = _faults(run.faults, recorded)
    return {
        "seed": run.settings.seed,
        "began": datetime.fromtimestamp(run.began, UTC).isoformat(timespec="seconds"),
        "lasted_s": round(run.ended - run.began),
        "classes": verdict.classes,
        "faults_struck": sum(fault["overlapped"] for fault in faults),
        "kinds_struck": len({fault["kind"] for fault in faults if fault["overlapped"]}),
        "left_out": run.left_out,
        "recovery_s": _recovery(faults),
        "exits": _exits(run.fleet.ends),
        "last_stop": run.codes,
        "figures": verdict.figures,
        "faults": faults,
        "findings": [finding._asdict() for finding in verdict.findings[:FINDINGS]],
    }


def _faults(faults: Sequence[Fault], recorded: Recorded) -> list[dict[str, Any]]:
    sent = sorted(attempt.sent for attempt in recorded.attempts.values())
    landed = sorted(one.stamp for one in recorded.landed)
    seen = sorted(sight.at for of in recorded.seen.values() for sight in of.values())
    found = []
    for fault in faults:
        counts = {
            "sent_during": _between(sent, fault.begins, fault.heals),
            "accepted_during": _between(landed, fault.begins, fault.heals),
            "decided_until_back": _between(seen, fault.begins, fault.recovers),
        }
        overlapped = fault.met and counts["sent_during"] > 0 and counts["decided_until_back"] > 0
        found.append(
            {
                "kind": fault.kind,
                "detail": fault.detail,
                "lasted_s": round((fault.heals - fault.begins) / 1e6, 1),
                "back_after_s": round((fault.recovers - fault.heals) / 1e6, 1),
                **counts,
                "overlapped": overlapped,
            }
        )
    return found


def _between(instants: list[int], begins: int, ends: int) -> int:
    return bisect_right(instants, ends) - bisect_left(instants, begins)


def _recovery(faults: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    kinds: dict[str, list[float]] = {}
    for fault in faults:
        if fault["overlapped"]:
            kinds.setdefault(fault["kind"], []).append(fault["back_after_s"])
    everything = [value for values in kinds.values() for value in values]
    return {"all": quantiles(everything), **{k: quantiles(v) for k, v in sorted(kinds.items())}}


def _exits(ends: list[End]) -> dict[str, int]:
    found = Counter(f"{end.role} {end.code}" for end in ends)
    return dict(sorted(found.items()))


def table(found: dict[str, Any]) -> str:
    """The faults of a report, for people."""
    lines = [
        "| fault | detail | lasted s | back after s | sent | accepted | decided |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {fault['kind']} | {fault['detail']} | {fault['lasted_s']} | {fault['back_after_s']} "
        f"| {fault['sent_during']} | {fault['accepted_during']} | {fault['decided_until_back']} |"
        for fault in found["faults"]
    ]
    return "\n".join(lines)
