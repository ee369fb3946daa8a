"""Care in miniature: enough of facts, plan and ledger for a hand-over to go wrong in every way.

A discharge gives a task that is late after 20 and a gap that opens after 10 unless something is
booked.  Only the latest discharge of a patient counts, a booking under any number settles the gap:
so what one identifier is told changes what must stand for another, as in the product.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

GAP_AFTER = 10
LATE_AFTER = 20
COMMAND_WAIT = 15


class Fact(NamedTuple):
    """One statement: of a visit (discharged, not_discharged, renumbered) or of bookings."""

    event: int
    what: str
    visit: str  # of a booking: its id
    time: int
    effective: int  # said of a time to come: counts from then on
    beside: str = ""  # of a renumbered visit the other number that it goes by


class Command(NamedTuple):
    """A nurse says that a task is done."""

    event: int
    task: tuple[str, str, str]
    if_version: int | None
    receipt: int


Input = Fact | Command
RowId = tuple[str, str, str]  # kind, subject, visit


class Row(NamedTuple):
    """One published task or gap."""

    version: int
    status: str


OPEN = ("requested", "late")
OVER = ("cancelled", "merged", "closed")  # published only if something stood before


@dataclass(slots=True)
class Chart:
    """All that is known and published of one stream; exists once, and moves whole."""

    stream: str
    taken: int = 0  # numbered items of the stream that it has consumed
    low: int = 0  # all of the stream accepted before this has been consumed
    now: int = 0  # the instant up to which its deadlines have fired
    at: int = 0  # stamp of what it was last told: no change is dated before it
    seq: int = 0
    facts: set[Fact] = field(default_factory=set)
    held: set[Fact] = field(default_factory=set)
    done: set[RowId] = field(default_factory=set)  # accepted commands: facts of the row's subject
    rows: dict[RowId, Row] = field(default_factory=dict)
    undecided: list[Command] = field(default_factory=list)
    waiting: list[Command] = field(default_factory=list)
    numbers: set[tuple[str, str]] | None = None  # told to the directory; None: it never asked

    def copy(self) -> "Chart":
        """One of its own."""
        return replace(
            self,
            facts=set(self.facts),
            held=set(self.held),
            done=set(self.done),
            rows=dict(self.rows),
            undecided=list(self.undecided),
            waiting=list(self.waiting),
            numbers=None if self.numbers is None else set(self.numbers),
        )


class Sight(NamedTuple):
    """What the plan sees: visits by (subject, visit), whether anything is booked, what is done."""

    visits: dict[tuple[str, str], tuple[int, bool]]  # discharged at, cancelled
    booked: bool
    done: set[RowId]


def visit_stream(origin: str, visit: str) -> str:
    """The stream of a visit that was moved away from the identifier it was sent under."""
    return f"{origin}#{visit}"


def origin_of(stream: str) -> str:
    """The identifier whose partition writes a stream."""
    return stream.partition("#")[0]


def sight(charts: Iterable[Chart], moved: dict[str, str | None]) -> Sight:
    """
    Unite the charts of one patient.

    Args:
        charts: Of all members, moved visits included.
        moved: By the stream of a moved visit its present owner, None where that is no member.
    """
    times: dict[tuple[str, str], list[int]] = {}
    cancelled: set[tuple[str, str]] = set()
    bookings: set[str] = set()
    unbooked: set[str] = set()
    done: set[RowId] = set()
    for chart in charts:
        of_visit = "#" in chart.stream
        done |= chart.done
        for fact in chart.facts:
            if fact.what == "booked":
                bookings.add(fact.visit)
            elif fact.what == "unbooked":
                unbooked.add(fact.visit)
            elif fact.what != "renumbered":
                subject: str | None = chart.stream
                if of_visit:
                    subject = moved.get(chart.stream)
                elif visit_stream(chart.stream, fact.visit) in moved:
                    continue  # seen through its own stream
                if subject is None:
                    continue
                if fact.what == "discharged":
                    times.setdefault((subject, fact.visit), []).append(fact.time)
                else:
                    cancelled.add((subject, fact.visit))
    visits = {key: (min(at), key in cancelled) for key, at in times.items()}
    return Sight(visits, bool(bookings - unbooked), done)


def plan(seen: Sight, now: int) -> tuple[dict[RowId, str], int | None]:
    """What must stand at *now*, and the next instant at which the answer differs."""
    wanted: dict[RowId, str] = {}
    wakes: list[int] = []
    latest = max(((at, key) for key, (at, gone) in seen.visits.items() if not gone), default=None)
    for (subject, visit), (at, gone) in seen.visits.items():
        task, gap = ("task", subject, visit), ("gap", subject, visit)
        if gone:
            wanted[task], wanted[gap] = "cancelled", "closed"
            continue
        if latest is not None and latest[1] != (subject, visit):
            wanted[task] = "completed" if task in seen.done else "merged"
            wanted[gap] = "closed"
            continue
        wanted[gap] = "open" if now >= at + GAP_AFTER and not seen.booked else "closed"
        if task in seen.done:
            wanted[task] = "completed"
        else:
            wanted[task] = "late" if now >= at + LATE_AFTER else "requested"
            wakes.append(at + LATE_AFTER)
        if not seen.booked:
            wakes.append(at + GAP_AFTER)
    return wanted, min((wake for wake in wakes if wake > now), default=None)


def reconcile(rows: dict[RowId, Row], wanted: dict[RowId, str]) -> Iterator[tuple[RowId, Row]]:
    """
    The difference to what was published, into *rows*.

    A row that nothing wants any more lost its visit to another patient: entered in error.
    """
    for name in sorted(wanted.keys() | rows.keys()):
        known = rows.get(name)
        status = wanted.get(name)
        if known is None:
            if status in OVER:
                continue
            version = 1
        else:
            if status is None:
                over = known.status in ("completed", "completed in error")
                status = "completed in error" if over else "entered-in-error"
            if status == known.status:
                continue
            version = known.version + 1
        assert status is not None
        rows[name] = Row(version, status)
        yield name, rows[name]


def standing(rows: dict[RowId, Row], wanted: dict[RowId, str]) -> list[str]:
    """Where what was published differs from what must stand."""
    wrong = []
    for name, status in wanted.items():
        row = rows.get(name)
        if row is None:
            if status not in OVER:
                wrong.append(f"lost: {name} {status}")
        elif row.status != status:
            wrong.append(f"false: {name} {row.status}, should be {status}")
    for name, row in rows.items():
        if name not in wanted and row.status not in ("entered-in-error", "completed in error"):
            wrong.append(f"left over: {name} {row.status}")
    return wrong
