"""Whether the queues can be trusted now, in words: the worst fact first, as a pager would say it.

What was never seen is unknown and never zero.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from orchestrator.ops.history import Point
from orchestrator.ops.lag import LAGGING, OK, STALLED, UNKNOWN, WORST_FIRST, Position, Sample
from orchestrator.worklist.instants import SECOND, micros
from orchestrator.worklist.pages import wording
from orchestrator.worklist.pages.wording import Tag
from schemas.topics import BACKFILL, JOURNAL

NAMED: Final = 3
TAGS: Final = {
    "OK": Tag("OK", "green"),
    "LAGGING": Tag("LAGGING", "amber"),
    "STALLED": Tag("STALLED", "red"),
    "UNKNOWN": Tag("UNKNOWN", "grey"),
    "SILENT": Tag("SILENT", "amber"),
    "NOT WATCHED": Tag("NOT WATCHED", "grey"),
}
# Who has read all that is there, and is behind: its clock is.
READ_ALL: Final = ", lag 0"
# What a state asks of an operator.
RUNBOOK: Final = {
    "LAGGING": "It is behind, and it moves. Nothing is lost, and nothing is called overdue on the"
    " strength of it. If it grows: care-orchestrator lag --watch, then more workers.",
    "STALLED": "It is behind, and it does not move. Is the worker up? care-orchestrator doctor says"
    " what it waits for; clock confirm, if the machine's time was set.",
    f"LAGGING{READ_ALL}": "It has read all that is there, and its clock is behind: what came since"
    " is not decided. If an input holds it, mend that one; if none does, the worker is slow, or has"
    " just started. More workers do not help. Nothing is called overdue meanwhile.",
    f"STALLED{READ_ALL}": "It has read all that is there, and its clock stands: nobody decides. Is"
    " the worker up? care-orchestrator doctor says what it waits for; clock confirm, if the"
    " machine's time was set.",
    "UNKNOWN": "This reader never said how far it is: it never ran, or its offsets are gone. That"
    " is not the same as no lag.",
}


class Row(NamedTuple):
    """One partition of one reader."""

    reader: str
    topic: str
    partition: int
    end: str
    done: str
    lag: str
    behind: str
    clock: str
    held_by: str
    tag: Tag
    state: str

    @property
    def advice(self) -> str:
        """Under which word of `RUNBOOK` it says what to do."""
        read_all = f"{self.state}{READ_ALL}"
        return read_all if self.lag == "0" and read_all in RUNBOOK else self.state


def judged(
    sample: Sample,
    clocks: Mapping[int, int],
    now: int,
    is_old: Callable[[int], bool],
    *,
    stale: bool,
) -> Sample:
    """
    *sample*, where who has read all is as far behind as the clock that it last decided.

    Args:
        clocks: By partition of the journal.
        is_old: Whether data of this age is behind.
        stale: Nothing has moved for long.
    """

    def one(position: Position) -> Position:
        clock = clocks.get(position.reading.partition)
        if clock is None or position.reading.topic != JOURNAL or position.state == UNKNOWN:
            return position
        age = max(0, now - clock)
        if not is_old(age):
            return position
        state = position.state
        if state == OK:
            state = STALLED if stale else LAGGING
        seconds = max(position.seconds or 0.0, age / SECOND)
        return position._replace(state=state, seconds=seconds)

    return replace(sample, positions=tuple(one(position) for position in sample.positions))


def rows(sample: Sample, clocks: Mapping[int, int], now: int) -> list[Row]:
    """The table, the worst first."""
    holder = held_by(sample)
    ordered = sorted(
        sample.positions,
        key=lambda p: (WORST_FIRST.index(p.state), -(p.seconds or 0), -(p.lag or 0)),
    )
    return [_row(one, holder, clocks, now) for one in ordered]


def _row(one: Position, holder: str | None, clocks: Mapping[int, int], now: int) -> Row:
    reading = one.reading
    of_journal = reading.topic == JOURNAL
    clock = clocks.get(reading.partition) if of_journal else None
    return Row(
        reader=reading.group.rpartition("-")[2],
        topic=short(reading.topic),
        partition=reading.partition,
        end=f"{reading.end:,}",
        done="-" if reading.done is None else f"{reading.done:,}",
        lag="-" if one.lag is None else f"{one.lag:,}",
        behind="-" if one.seconds is None else spoken(one.seconds),
        clock="-" if clock is None else spoken(max(0, now - clock) / SECOND),
        held_by=short(holder or "-") if of_journal else "-",
        tag=TAGS[one.state],
        state=one.state,
    )


def held_by(sample: Sample) -> str | None:
    """The live input that holds the clocks, if one is behind: that with the oldest record."""
    behind = [
        one
        for one in sample.positions
        if one.reading.topic not in (BACKFILL, JOURNAL) and one.state not in ("OK", "UNKNOWN")
    ]
    worst = max(behind, key=lambda one: one.seconds or 0, default=None)
    return None if worst is None else worst.reading.topic


def sentence(sample: Sample | None, told: Mapping[str, Any], letters: int, zone: str) -> str:
    """
    The one line.

    Args:
        sample: The last look; ``None``: there was none lately.
        told: How fresh the read model is, as in every answer of the API.
        letters: Dead letters that wait.
    """
    state, silent = told["state"], told["silent_feeds"]
    parts = [_of_lag(sample, zone, current=state == "current")]
    if state == "stale":
        parts.insert(0, "Nothing has moved for more than a minute. Nothing is lost; nothing moves.")
    elif state == "unknown":
        parts.insert(0, "No worker has reported yet.")
    elif state == "behind":
        length = wording.length(told["behind_s"] * SECOND)
        since = wording.clock(micros(told["data_until"]), zone)
        parts.insert(0, f"Behind {length}: what arrived since {since} is not in the lists yet.")
    if silent:
        are = "feed is" if len(silent) == 1 else "feeds are"
        parts.append(f"{len(silent)} {are} silent: {', '.join(silent)}.")
    if letters:
        wait = "dead letter waits" if letters == 1 else "dead letters wait"
        parts.append(f"{letters:,} {wait}.")
    return " ".join(parts)


def _of_lag(sample: Sample | None, zone: str, *, current: bool) -> str:
    if sample is None:
        return "The lag is not known: the log was not looked at in the last half minute."
    worst_first = sorted(sample.positions, key=lambda one: -(one.seconds or 0))
    by = {state: [p for p in worst_first if p.state == state] for state in WORST_FIRST}
    if len(by["UNKNOWN"]) == len(sample.positions):
        return "Unknown: no reader ever said how far it is. Did a worker ever run?"
    found = []
    if by["STALLED"]:
        waiting = sum(one.lag or 0 for one in by["STALLED"])
        verb = "do" if len(by["STALLED"]) > 1 else "does"
        found.append(f"{_names(by['STALLED'])} {verb} not move; {waiting:,} records wait.")
    if by["LAGGING"]:
        worst = max(one.seconds or 0.0 for one in by["LAGGING"])
        verb = "are" if len(by["LAGGING"]) > 1 else "is"
        moves = "moving" if any(one.lag for one in by["LAGGING"]) else "its clock moves"
        found.append(f"{_names(by['LAGGING'])} {verb} {spoken(worst)} behind, and {moves}.")
    if by["UNKNOWN"]:
        found.append(f"{_names(by['UNKNOWN'])}: not known.")
    if by["OK"]:
        most = max(one.seconds or 0.0 for one in by["OK"])
        other = "other " if found else ""
        if not current:  # who reads may be at the end, and what is decided and shown is not
            found.append(f"All {other}readers are at most {spoken(most)} behind.")
            return " ".join(found)
        until = wording.local(sample.at - int(most * SECOND), zone)
        found.append(f"All {other}data is current to {until:%H:%M:%S} ({spoken(most)}).")
    return " ".join(found)


def _names(positions: Sequence[Position]) -> str:
    names = [f"{short(one.reading.topic)} {one.reading.partition}" for one in positions]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def summary(points: Sequence[Point], zone: str, hours: str) -> str:
    """What the curve shows, for who does not see it."""
    known = [one for one in points if one.seconds is not None]
    if not known:
        return f"Nothing was seen in the last {hours}."
    worst = max(known, key=lambda one: one.seconds or 0.0)
    begins = wording.moment(points[0].at, zone)
    at = wording.clock(worst.at, zone)
    told = f"Seen since {begins}. Furthest behind: {spoken(worst.seconds or 0.0)} at {at}."
    blind = len(points) - len(known)
    looks = "look" if blind == 1 else "looks"
    return told if not blind else f"{told} {blind} {looks} saw nothing."


def thinned(points: Sequence[Point], begin: int, end: int, most: int) -> list[Point]:
    """At most *most* points: of each stretch the worst, so that no peak is lost."""
    if len(points) <= most:
        return list(points)
    step = max(1, -(-(end - begin) // most))
    kept: dict[int, Point] = {}
    for one in points:
        place = (one.at - begin) // step
        before = kept.get(place)
        if before is None or (one.seconds or -1.0) > (before.seconds or -1.0):
            kept[place] = one
    return [kept[place] for place in sorted(kept)]


def short(topic: str) -> str:
    """``care.medication``: which version it is says nothing here."""
    return topic.removesuffix(".v1")


def spoken(seconds: float) -> str:
    """``3 s``, ``6 min``."""
    return f"{seconds:.0f} s" if seconds < 60 else wording.length(int(seconds) * SECOND)
