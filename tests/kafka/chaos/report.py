"""What a run shows: one JSON object, and a table for people made from it.

A fault counts when it overlapped work: something was sent while it lasted, and something was
decided before it was over.  Both are read off the histories and what the follower saw.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from orchestrator.core.instants import SECOND
from tests.kafka.chaos.fleet import End
from tests.kafka.chaos.nemesis import Fault
from tests.kafka.chaos.recorded import Recorded
from tests.kafka.chaos.schedule import Settings
from tests.kafka.chaos.verdict import Verdict, quantiles

WORDS: Final = "[chaos.md](../chaos.md)"
COLUMNS: Final = (
    "fault",
    "detail",
    "lasted s",
    "back after s",
    "sent",
    "accepted",
    "changes seen",
)
FINDINGS: Final = 50  # of them are listed, the rest is counted


@dataclass
class Run:
    """What happened."""

    settings: Settings
    began: float
    started: float  # the workers
    ended: float
    faults: list[Fault]
    left_out: list[str]
    ends: list[End]
    codes: list[int]
    tree: str


def report(run: Run, recorded: Recorded, verdict: Verdict) -> dict[str, Any]:
    """All figures of a run."""
    faults = _faults(run.faults, recorded)
    return {
        "seed": run.settings.seed,
        "began": datetime.fromtimestamp(run.began, UTC).isoformat(timespec="seconds"),
        "lasted_s": round(run.ended - run.began),
        "tree": run.tree,
        "bounds_s": {
            "slo": run.settings.bounds.slo / SECOND,
            "back": run.settings.bounds.back / SECOND,
            "drained_a_second": run.settings.bounds.drained,
        },
        "classes": verdict.classes,
        "faults_struck": sum(fault["overlapped"] for fault in faults),
        "kinds_struck": len({fault["kind"] for fault in faults if fault["overlapped"]}),
        "left_out": run.left_out,
        "recovery_s": _recovery(faults),
        "exits": _exits(run.ends),
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


def page(found: dict[str, Any]) -> str:
    """A report for people."""
    figures = found["figures"]
    parted = len(figures["core_and_model_part_without_a_fault"])
    paragraphs = [
        f"# Chaos run, seed {found['seed']}, {found['began']}",
        _sentence(
            "Written by `python -m tests.kafka.chaos.run`, on the sources of commit",
            f"{found['tree']}; the words: {WORDS}.",
        ),
        _sentence(
            f"{found['faults_struck']} faults of {found['kinds_struck']} kinds struck while work",
            f"was under way, in {found['lasted_s'] // 60} minutes. {figures['landed']:,} records",
            f"landed, about {figures['patients']:,} patients;",
            f"{sum(figures['published'].values()):,} records were published.",
        ),
        _table(("class", "found"), found["classes"].items()),
        _sentence(
            f"{figures['standings_compared_with_model']:,} standings were compared with the",
            f"reference model. About {parted} patients core and model part in a canonical replay,",
            "without broker or fault, as well; the JSON has them by name.",
        ),
        _sentence(
            f"What became of what landed: {_listed(figures['results'])}.",
            f"Attempts as their senders knew them: {_listed(figures['attempts'])}.",
            f"Journal records said again by intake: {figures['redone_by_intake']:,};",
            f"repeats shown at `read_committed`: {figures['repeats_at_read_committed']:,}.",
        ),
        _sentence(
            "Seconds from receipt or due instant to readable:",
            *(f"{k} ({_listed(v)})" for k, v in figures["seconds_to_be_readable"].items()),
            "and from a fault's end until every partition goes on:",
            f"{_listed(found['recovery_s']['all'])}.",
            f"Exits of processes: {_listed(found['exits'])}.",
        ),
        _sentence(
            f"LATE: more than {found['bounds_s']['slo']:.0f} s after all was there, or, where a",
            f"fault lay over it, after its healing, {found['bounds_s']['back']:.0f} s, and what",
            f"was accepted meanwhile at {found['bounds_s']['drained_a_second']:,} a second.",
            f"Faults excused {figures['excused']['seconds']:,} s of {found['lasted_s']:,} s, in",
            f"{figures['excused']['windows']} stretches of {figures['excused']['longest']} s at",
            "most. Had each change come so much later than it did, this share would have been",
            f"found LATE: {_listed(figures['found_late_had_it_come_later_by'])}.",
        ),
        *(f"NOT DONE HERE: {kind}" for kind in found["left_out"]),
        _table(COLUMNS, map(_row, found["faults"])),
    ]
    return "\n\n".join(paragraphs) + "\n"


def _row(fault: dict[str, Any]) -> tuple[Any, ...]:
    name = fault["kind"] if fault["overlapped"] else f"({fault['kind']}: did not strike)"
    return (
        name,
        fault["detail"],
        fault["lasted_s"],
        fault["back_after_s"],
        fault["sent_during"],
        fault["accepted_during"],
        fault["decided_until_back"],
    )


def _table(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _sentence(*parts: str) -> str:
    return " ".join(parts)


def _listed(figures: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:,}" for name, value in figures.items())
