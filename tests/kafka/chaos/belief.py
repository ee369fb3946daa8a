"""Every patient's published history against the reference model, after each applied event.

What stands at the end of a piece must be what the model says should stand there: what is missing
is LOST, what is there without a reason is FALSE when it came in this piece, else STALE, or
RESURRECTED when it had ended before.  What opened and went within a piece must be wanted at some
instant of it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from orchestrator.core.instants import read as instant
from tests.kafka.chaos.findings import Class, Finding
from tests.kafka.chaos.oracle import WITHDRAWN, Believer, moment
from tests.kafka.chaos.recorded import Plain
from tests.kafka.chaos.stories import Change, Step, Story
from tests.simulation.compare import Rows, core_rows, model_rows
from tests.simulation.differential import replayed
from tests.simulation.reference import Standing, expected
from tests.simulation.tale import FACILITIES

THINGS: Final = ("task", "gap", "transition")
OPENING: Final = {"task.requested": "task", "gap.opened": "gap"}
OVER: Final = frozenset({"completed", "cancelled", "failed", "entered-in-error", "closed"})
# These compare a receipt with what was due before it; they stand once the clock is past it, and
# the model knows only instants that are past all receipts.
READ_RECEIPTS: Final = ("gap ADMIT_NOTICE_LATE ", "gap LATE_NOTIFICATION ")
# Who was late follows from the order of receipts, in which core and model are known to part
# (README, decision 16); design.md excepts them from what must be equal.
RECEIPT_BOUND: Final = ("born_overdue=", "attribution=", "priority=")


class Published(NamedTuple):
    """What the published changes leave, newest versions, by id."""

    task: dict[str, Plain]
    gap: dict[str, Plain]
    transition: dict[str, Plain]

    def take(self, change: Change) -> None:
        """One more change."""
        for thing, of in zip(THINGS, self, strict=True):
            if thing in change.plain:
                of[change.plain[thing][f"{thing}_id"]] = change.plain[thing]

    def rows(self) -> Rows:
        """In the form in which it is compared; ids stand for what they are ids of."""
        rows = core_rows(
            {
                "transitions": self.transition.values(),
                "tasks": self.task.values(),
                "gaps": self.gap.values(),
            }
        )
        return _renamed(
            rows,
            {
                t["transition_id"][:8]: f"{t['visit_number']}@{t['index_discharge_at']}"
                for t in self.transition.values()
            },
        )


@dataclass
class Belief:
    """
    What the comparison found.

    Attributes:
        steps: How many standings were compared.
        receipt_bound: Patients for whom only fields that read receipts differ.
        parted: Patients about whom core and model disagree in the canonical replay of the same
            events, too: no fault and no broker is needed for that.
    """

    findings: list[Finding] = field(default_factory=list)
    steps: int = 0
    receipt_bound: set[str] = field(default_factory=set)
    parted: dict[str, str] = field(default_factory=dict)


def against_model(told: Iterable[Story]) -> Belief:
    """Compare them all."""
    belief = Belief()
    for story in told:
        _compare(story, belief)
    return belief


def _compare(story: Story, belief: Belief) -> None:
    judging = any(".task." in step.event["type"] for step in story.steps)
    published = Published({}, {}, {})
    ended: set[str] = set()
    for change in story.before:
        published.take(change)
    latest = 0
    believed = Believer().after(story.steps, judging=judging)
    for number, (believer, piece) in enumerate(zip(believed, story.pieces, strict=True)):
        step = story.steps[number]
        before = published.rows()
        opened = []
        for change in piece:
            published.take(change)
            ended |= {n for n, t in published.task.items() if t["status"] in OVER}
            if change.name in OPENING:
                opened.append(change)
        latest = max(latest, step.receipt)
        if not step.after:
            continue  # no clock yet, so nothing is due; the model has no such time
        wanted, got = _model(believer.at(believer.clock)), published.rows()
        passed_over = READ_RECEIPTS if step.after < latest else ()
        belief.steps += 1
        found = list(_unlike(wanted, got, passed_over, story, belief))
        # Afterwards everything would differ; the first place is the one to look at.
        if found and _parts_anyway(story, number, latest, found):
            belief.parted[story.subject] = found[0][0]
            return
        if found:
            where = f"{story.subject} after {step.event['id']}"
            for key, one, other in found:
                sort = _sort(key, one, other, before, published, ended)
                text = f"{key}: model {one}; published {other}"
                belief.findings.append(Finding(sort, where, text))
            return
        if not step.before:
            continue
        belief.findings += _unwanted(opened, got, believer, published, story, step)


def _parts_anyway(
    story: Story, number: int, latest: int, found: list[tuple[str, str | None, str | None]]
) -> bool:
    """
    Whether core and model disagree about each of these rows without any runtime around them.

    What was published must be just what the core says by itself: then no runtime made it so.
    """
    at = moment(max(story.steps[number].after, latest))
    events = [one.event for one in story.steps[: number + 1]]
    wanted = _model(expected(events, FACILITIES, at)[story.subject])
    (patient,) = replayed(events, at)["patients"]
    alone = Published({}, {}, {})
    for thing, of in zip(THINGS, alone, strict=True):
        of.update({one[f"{thing}_id"]: one for one in patient[f"{thing}s"]})
    core = alone.rows()
    return all(
        _plain(wanted.get(key, "")) == _plain(model or "")
        and _plain(core.get(key, "")) == _plain(published or "")
        for key, model, published in found
    )


def _model(standing: Standing) -> Rows:
    names = {
        t.id[:8]: f"{t.discharge.known_by.visit}@{t.at.isoformat()}" for t in standing.transitions
    }
    return _renamed(model_rows(standing), names)


def _known(standing: Standing) -> set[str]:
    """What is live, and what was done at once by a command that had waited for it."""
    done = {
        f"task {task.kind} of {task.transition.discharge.known_by.visit}"
        f"@{instant(task.transition.at.isoformat())}"
        for task in standing.tasks
        if task.status not in WITHDRAWN
    }
    return done | _model(standing).keys()


def _renamed(rows: Rows, names: dict[str, str]) -> Rows:
    """
    Rows under names that do not depend on which receipt came first.

    A transition's id is that of the discharge's first received event; the journal may have two of
    them in the other order (design.md, property b: equal up to renamed ids).  Closed transitions
    are history, so they are left out: their ids are only known to the ledger.
    """
    found: Rows = {}
    for key, row in rows.items():
        if row.startswith("status=closed"):
            continue
        words = key.split(" ")
        if words[0] == "task":  # its own id follows from the transition's
            del words[2]
        words = [_instant_of(names.get(word, word)) for word in words]
        if words[0] == "transition":
            words = ["transition", words[2]]
        found[" ".join(words)] = row
    return found


def _instant_of(name: str) -> str:
    visit, found, at = name.rpartition("@")
    return f"{visit}@{instant(at)}" if found else name


def _unlike(
    wanted: Rows, got: Rows, passed_over: tuple[str, ...], story: Story, belief: Belief
) -> Iterator[tuple[str, str | None, str | None]]:
    for key in sorted(wanted.keys() | got.keys()):
        one, other = wanted.get(key), got.get(key)
        if one == other or (passed_over and key.startswith(passed_over)):
            continue
        if one is not None and other is not None and _plain(one) == _plain(other):
            belief.receipt_bound.add(story.subject)
            continue
        yield key, one, other


def _plain(row: str) -> list[str]:
    return [word for word in row.split(" ") if not word.startswith(RECEIPT_BOUND)]


def _sort(
    key: str,
    wanted: str | None,
    got: str | None,
    before: Rows,
    published: Published,
    ended: set[str],
) -> Class:
    """What a row that differs means to a care team."""
    if got is None:
        return "LOST"
    if wanted is not None:
        return "DIVERGED"
    kind = key.split(" ")[1]
    live = {n for n, t in published.task.items() if t["status"] not in OVER and t["kind"] == kind}
    if key.startswith("task ") and live & ended:
        return "RESURRECTED"
    return "STALE" if key in before else "FALSE"


def _unwanted(
    opened: list[Change],
    got: Rows,
    believer: Believer,
    published: Published,
    story: Story,
    step: Step,
) -> Iterator[Finding]:
    """What opened and did not stay: there must be an instant at which it was wanted."""
    names = {
        n[:8]: f"{t['visit_number']}@{t['index_discharge_at']}"
        for n, t in published.transition.items()
    }
    for change in opened:
        thing = OPENING[change.name]
        one = {"transitions": [], "tasks": [], "gaps": [], f"{thing}s": [change.plain[thing]]}
        for key in _renamed(core_rows(one), names):
            if key in got or key.startswith(READ_RECEIPTS):
                continue
            at = moment(instant(change.plain["at"]))
            instants = (at, moment(step.before), believer.clock)
            if any(key in _known(believer.at(now)) for now in instants):
                continue
            where = f"{story.subject} at {change.plain['at']}"
            yield Finding("FALSE", where, f"{key}: opened, and nothing asks for it")
