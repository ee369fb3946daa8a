"""Lies in a recorded run: what a test of the checker plants.

A forged change log is numbered and shown to the follower as if it were true, so that what finds
the lie is the rule that the test is about.
"""

import copy
import zlib
from collections.abc import Callable
from typing import Any

import orjson

from tests.kafka.chaos.belief import OVER
from tests.kafka.chaos.recorded import CHANGES, Recorded, Sight

Plain = dict[str, Any]


def forged(run: Recorded, edit: Callable[[list[Plain]], None], patient: str) -> Recorded:
    """
    A copy of *run* in which one patient's change log says something else.

    Changes are numbered anew per patient, and the follower saw exactly what stands there.
    """
    found = copied(run)
    (partition,) = {
        p for p, of in run.changes.items() for change in of if change["patient_key"] == patient
    }
    theirs = [copy.deepcopy(c) for c in run.changes[partition] if c["patient_key"] == patient]
    edit(theirs)
    for seq, change in enumerate(theirs, 1):
        change["seq"] = seq
    queue = iter(theirs)
    merged: list[tuple[Plain, int]] = []
    at = 0
    for offset, change in zip(run.offsets[partition], run.changes[partition], strict=True):
        at = run.seen[partition][offset].at
        if change["patient_key"] != patient:
            merged.append((change, at))
        elif (theirs_next := next(queue, None)) is not None:
            merged.append((theirs_next, at))
    merged += [(change, at) for change in queue]
    rows = [(change["patient_key"], orjson.dumps(change), ()) for change, _ in merged]
    found.outputs[CHANGES, partition] = rows  # type: ignore[assignment]
    found.offsets[partition] = list(range(len(rows)))
    found.seen[partition] = {
        n: Sight(at, zlib.crc32(row[1]))
        for n, (row, (_, at)) in enumerate(zip(rows, merged, strict=True))
    }
    return found


def copied(run: Recorded) -> Recorded:
    """Lists of its own; records are never changed in place."""
    return Recorded(
        dict(run.attempts),
        list(run.landed),
        {p: list(rows) for p, rows in run.journal.items()},
        dict(run.decided),
        {where: list(rows) for where, rows in run.outputs.items()},
        list(run.letters),
        {p: list(of) for p, of in run.offsets.items()},
        {p: list(rows) for p, rows in run.state.items()},
        dict(run.committed),
        {p: dict(of) for p, of in run.seen.items()},
        run.looked,
    )


def somebody(run: Recorded, holds: Callable[[list[Plain]], bool]) -> str:
    """A patient whose changes are such."""
    theirs: dict[str, list[Plain]] = {}
    for changes in run.changes.values():
        for change in changes:
            theirs.setdefault(change["patient_key"], []).append(change)
    return next(key for key, changes in sorted(theirs.items()) if holds(changes))


def live(changes: list[Plain]) -> dict[str, Plain]:
    """The tasks that stand at the end, by id."""
    tasks = {c["task"]["task_id"]: c["task"] for c in changes if "task" in c}
    return {name: task for name, task in tasks.items() if task["status"] not in OVER}


def first(changes: list[Plain], kind: str) -> tuple[int, Plain]:
    """The first change of a kind, and its place."""
    return next((n, c) for n, c in enumerate(changes) if c["change"] == kind)
