"""What must never be published, not even for a moment: rules over the change log alone.

They need no model: one task for one cause, nothing before its time, nobody else's patient, and
nothing shown to a reader that is taken back.  What comes too late: `lateness`.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from orchestrator.core.instants import SECOND
from orchestrator.core.instants import read as instant
from orchestrator.stream.keys import partition_of, patient_key
from schemas.topics import JOURNAL
from tests.kafka.chaos.findings import Class, Finding
from tests.kafka.chaos.recorded import CHANGES, Plain, Recorded
from tests.kafka.chaos.stories import Change, Story

OVER: Final = frozenset({"completed", "cancelled", "failed", "entered-in-error"})
FIELDS: Final = ("patient", "subject", "patient_key")


def misconduct(told: Iterable[Story], site_key: bytes, partitions: int) -> Iterator[Finding]:
    """DUP, PREMATURE and WRONG_PATIENT of each story."""
    for story in told:
        yield from _wrong_patient(story, site_key, partitions)
        yield from _repeated(story)
        yield from _doubled(story)
        yield from _early(story)


def _all(story: Story) -> list[Change]:
    return [*story.before, *(change for piece in story.pieces for change in piece)]


def _wrong_patient(story: Story, site_key: bytes, partitions: int) -> Iterator[Finding]:
    wanted = {
        "patient": story.subject,
        "subject": story.subject,
        "patient_key": patient_key(site_key, story.subject),
    }
    home = partition_of(wanted["patient_key"], partitions)
    for change in [*_all(story), *story.foreign]:
        where = f"{CHANGES}-{change.partition}@{change.offset}"
        if change.partition != home:
            yield Finding("WRONG_PATIENT", where, "in another patient's partition")
        task = change.plain.get("task") or {}
        # A gap's `subject` is what is missing, not who.
        gap = {k: v for k, v in change.plain.get("gap", {}).items() if k != "subject"}
        for thing in (change.plain, task, gap):
            if any(thing[name] != wanted[name] for name in FIELDS if name in thing):
                yield Finding("WRONG_PATIENT", where, f"{change.name} names another patient")
    for change in story.foreign:
        where = f"{CHANGES}-{change.partition}@{change.offset}"
        yield Finding("FALSE", where, f"event.recorded, and {JOURNAL} has no such event")


def _repeated(story: Story) -> Iterator[Finding]:
    """A patient's changes are numbered without a hole, and so are the versions of each thing."""
    seq = 0
    versions: dict[str, int] = {}
    for change in _all(story):
        where = f"{CHANGES}-{change.partition}@{change.offset}"
        yield from _next(where, "change", change.plain["seq"], seq)
        seq = change.plain["seq"]
        for thing in ("task", "gap"):
            content = change.plain.get(thing)
            if content is not None:
                name = content[f"{thing}_id"]
                yield from _next(
                    where, f"{thing} version", content["version"], versions.get(name, 0)
                )
                versions[name] = content["version"]


def _next(where: str, what: str, number: int, before: int) -> Iterator[Finding]:
    if number != before + 1:
        sort: Class = "DUP" if number <= before else "LOST"
        yield Finding(sort, where, f"{what} {number} follows {before}")


def _doubled(story: Story) -> Iterator[Finding]:
    """
    Two live tasks for one cause.

    Withdrawn and asked for anew under another id by one record is one task all the time, so what
    stands behind all changes of a record counts.
    """
    tasks: dict[str, Plain] = {}
    told: set[tuple[str, ...]] = set()
    for piece in [story.before, *story.pieces]:
        for change in piece:
            task = change.plain.get("task")
            if task is not None:
                tasks[task["task_id"]] = task
        live: dict[tuple[str, ...], str] = {}
        for name, task in tasks.items():
            cause = tuple(task[field] for field in ("facility", "visit_number", "kind", "cause"))
            if task["status"] in OVER or cause in told:
                continue
            if live.setdefault(cause, name) != name:
                told.add(cause)
                where = f"{story.subject} after {piece[-1].plain['at']}"
                yield Finding("DUP", where, f"two {task['kind']} for one discharge")


def _early(story: Story) -> Iterator[Finding]:
    """Nothing is said of an instant that neither the clock nor the event had reached."""
    for step, piece in zip(story.steps, story.pieces, strict=True):
        # A record that is put aside is planned for at its own instant, as one that is applied.
        reached = max(step.stamp, step.parked, step.after)
        for change in piece:
            where = f"{CHANGES}-{change.partition}@{change.offset}"
            at = instant(change.plain["at"])
            if at > reached:
                ahead = (at - reached) / SECOND
                yield Finding("PREMATURE", where, f"{change.name} {ahead:.3f} s ahead of the clock")
            task = change.plain.get("task")
            if task is not None and task["overdue"] and instant(task["due_at"]) > reached:
                yield Finding("PREMATURE", where, f"{task['kind']} overdue before it is due")


def taken_back(recorded: Recorded) -> Iterator[Finding]:
    """What a ``read_committed`` reader was shown stands in the topic for ever, as it was shown."""
    for partition, seen in sorted(recorded.seen.items()):
        values = [value for _, value, _ in recorded.outputs.get((CHANGES, partition), [])]
        found = dict(zip(recorded.offsets.get(partition, []), values, strict=True))
        for offset, sight in sorted(seen.items()):
            value = found.get(offset)
            if value is None or zlib.crc32(value) != sight.crc:
                where = f"{CHANGES}-{partition}@{offset}"
                yield Finding("DIVERGED", where, "shown to a reader, and not there any more")
