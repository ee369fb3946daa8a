"""LATE: how late a change may be seen, and what that bound is made of.

From the instant at which all was there (the event's receipt, or the due instant of a deadline) a
change must be readable within `Bounds.slo`.  Where a fault lay over that time, within `slo` of

    the fault's healing + `Bounds.back` + what was accepted meanwhile / `Bounds.drained`

Nothing of it is what the product did: when a fault began and healed is the schedule's, what was
accepted is the input topics'.  A product that takes long to go on excuses nobody.  A fault that
only sends (poison, repeats) takes nothing away and excuses nothing.  What no follower was ever
shown is late when its bound passed while the follower still looked.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from orchestrator.core.instants import SECOND
from orchestrator.core.instants import read as instant
from tests.kafka.chaos.findings import Finding
from tests.kafka.chaos.recorded import CHANGES, Landed, Recorded
from tests.kafka.chaos.stories import Change, Step, Story

# Nothing is broken by them: the product has them beside its work.
HARMLESS: Final = frozenset({"poison", "repeats"})
# How much later each change would have had to come so that it is told apart from the others.
PLANTED_S: Final = (5, 10, 30, 60, 120, 300)


class Bounds(NamedTuple):
    """
    How late something may be seen.

    Attributes:
        slo: In a healthy time, microseconds (reliability.md 5.1: 5 s from the broker's append).
        back: From a fault's healing until everybody works again (issue 4: the session and 5 s).
        drained: Records a second that are made good of a backlog, others coming all the while.
    """

    slo: int = 5 * SECOND
    back: int = 15 * SECOND
    drained: int = 1000


class Excuse(NamedTuple):
    """A fault: when it began and when it was healed, by who brought it about; microseconds."""

    begins: int
    heals: int


class Window(NamedTuple):
    """The time in which faults may have made something late; overlapping ones are one."""

    begins: int
    ends: int


class Timing(NamedTuple):
    """How long things took to be readable, in seconds, and what took too long."""

    healthy: list[float]  # nothing excused them
    excused: list[float]
    findings: list[Finding]
    room: list[float]  # how much later each could have come unnoticed, seconds
    windows: list[Window]


def windows(excuses: Iterable[Excuse], landed: Sequence[Landed], bounds: Bounds) -> list[Window]:
    """From each fault's beginning until all that it held up should be through."""
    stamps = sorted(one.stamp for one in landed)
    found: list[Window] = []
    for excuse in sorted(excuses):
        until = excuse.heals + bounds.back
        accepted = bisect_right(stamps, until) - bisect_left(stamps, excuse.begins)
        ends = until + accepted * SECOND // bounds.drained
        # What a fault held up, the next one may hold up again.
        if found and excuse.begins <= found[-1].ends + bounds.slo:
            found[-1] = Window(found[-1].begins, max(found[-1].ends, ends))
        else:
            found.append(Window(excuse.begins, ends))
    return found


def timing(
    recorded: Recorded, told: Iterable[Story], excuses: Iterable[Excuse], bounds: Bounds
) -> Timing:
    """From an event's receipt, or a deadline's instant, to the follower's sight of the change."""
    found = Timing([], [], [], [], windows(excuses, recorded.landed, bounds))
    begins = [window.begins for window in found.windows]
    for story in told:
        seen = recorded.seen.get(story.partition, {})
        for since, step, change in _waits(story):
            window = _over(since, begins, found.windows, bounds)
            limit = (since if window is None else window.ends) + bounds.slo
            where = f"{CHANGES}-{change.partition}@{change.offset}"
            sight = seen.get(change.offset)
            if sight is None:
                if limit < recorded.looked:
                    found.findings.append(Finding("LATE", where, f"{change.name} never shown"))
                continue
            if sight.at < instant(change.plain["at"]) and since > step.receipt:
                found.findings.append(Finding("PREMATURE", where, "seen before its instant"))
            took = (sight.at - since) / SECOND
            (found.healthy if window is None else found.excused).append(took)
            found.room.append((limit - sight.at) / SECOND)
            if sight.at > limit:
                over = (sight.at - limit) / SECOND
                text = f"{change.name} seen after {took:.1f} s, {over:.1f} s beyond its bound"
                found.findings.append(Finding("LATE", where, text))
    return found


def noticed(room: Sequence[float]) -> dict[str, float]:
    """Had each change come so many seconds later: which share would have been found LATE."""
    ordered = sorted(room)
    return {
        f"{later} s": round(bisect_left(ordered, later) / len(ordered), 4)
        for later in PLANTED_S
        if ordered
    }


def _waits(story: Story) -> Iterator[tuple[int, Step, Change]]:
    """When all that each change needed was there: the event's receipt, or the due instant."""
    for step, piece in zip(story.steps, story.pieces, strict=True):
        for change in piece:
            at = instant(change.plain["at"])
            yield step.receipt if at <= step.stamp else at, step, change


def _over(
    since: int, begins: Sequence[int], found: Sequence[Window], bounds: Bounds
) -> Window | None:
    """The window that lies over the time in which a change was to come."""
    at = bisect_right(begins, since + bounds.slo) - 1
    return found[at] if at >= 0 and found[at].ends >= since else None
