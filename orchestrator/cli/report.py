"""The answer of ``replay`` for readers: totals, what was rejected, then patient by patient why.

Layout: `screens.md` §11.  Takes the object that ``--json`` prints and changes nothing in it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from orchestrator.cli import words
from orchestrator.cli.console import counted
from orchestrator.ops import spans

Thing = Mapping[str, Any]
Line = tuple[str, str]  # text, style

PLAIN: Final = ""
STRONG: Final = "bold"
ALARM: Final = "bold red"
FAINT: Final = "dim"

OPEN: Final = frozenset({"requested", "accepted", "in-progress", "on-hold"})
WITHDRAWN: Final = frozenset({"cancelled", "entered-in-error"})
REJECTED_SHOWN: Final = 20
SIDE_BY_SIDE: Final = 94  # columns that both tables need beside each other
# Of the totals, narrow enough for 60 columns.  Overdue tasks are among the open ones; the others
# add up to all.
COLUMNS: Final = {"open": 5, "overdue": 9, "done": 6, "failed": 8, "withdrawn": 11}
_NUMBERS: Final = re.compile(r"(\d+)")
_SEVERITY: Final = ("critical", "high", "medium", "low", "info")


class Why:
    """The newest sentence about each thing, from the changes."""

    def __init__(self, changes: Iterable[Thing]) -> None:
        self._sentences: dict[str, str] = {}
        for change in changes:
            for kind in ("task", "gap", "transition"):
                thing = change.get(kind)
                if thing:
                    self._sentences[thing[f"{kind}_id"]] = change.get("why") or ""

    def of(self, thing_id: str) -> str:
        return self._sentences.get(thing_id, "")


def lines(
    answer: Thing, zone: str, show: int, columns: int = 100, *, as_of_given: bool = False
) -> Iterator[Line]:
    """
    The report.

    Args:
        answer: What ``replay`` gave, with its changes.
        zone: For instants that belong to no facility.
        show: How many patients to show in full, those with the most pressing things first.
        columns: Width of the screen.
        as_of_given: Whether the reader chose the instant at which the clock stops.
    """
    patients = answer["patients"]
    if not patients:
        yield from _nothing(answer, zone, as_of_given=as_of_given)
        return
    transitions = [row for patient in patients for row in patient["transitions"]]
    active = sum(row["status"] == "active" for row in transitions)
    as_of = words.instant(answer["as_of"])
    stood = f"{counted(len(transitions), 'transition')} ({active:,} active)"
    yield f"As of {words.dated(as_of, zone)}: {counted(len(patients), 'patient')}, {stood}", STRONG
    yield from _totals(patients, columns)
    yield from _rejected(answer["rejected"])
    why = Why(answer["changes"])
    for gap in answer["operations"]:
        yield from _gap(gap, zone, as_of, why)
    ordered = sorted(patients, key=_pressing)
    with_work = [row for row in ordered if row["transitions"] or row["tasks"] or row["gaps"]]
    for patient in with_work[:show]:
        yield "", PLAIN
        yield from _patient(patient, zone, as_of, why)
    hidden = len(with_work) - show
    if hidden > 0 and show > 0:
        yield f"\nand {counted(hidden, 'more patient')} (--show {len(with_work)}, or --json)", FAINT


def _nothing(answer: Thing, zone: str, *, as_of_given: bool) -> Iterator[Line]:
    """Without a patient nobody learns anything from an instant, unless they asked for it."""
    if as_of_given:
        as_of = words.dated(words.instant(answer["as_of"]), zone)
        yield f"As of {as_of}: nothing usable had been received.", STRONG
    else:
        yield "Nothing usable was found.", STRONG
        if not answer["rejected"]:
            yield "The input is empty, or holds only messages that are legal and not used.", PLAIN
    yield from _rejected(answer["rejected"])


def _totals(patients: Iterable[Thing], columns: int) -> Iterator[Line]:
    tasks: dict[str, Counter[str]] = {}
    gaps: Counter[str] = Counter()
    for patient in patients:
        for task in patient["tasks"]:
            tasks.setdefault(task["kind"], Counter()).update(_columns(task))
        gaps.update(gap["code"] for gap in patient["gaps"] if gap["status"] == "open")
    wide = {
        name: max(least, *(len(f"{row[name]:,}") + 2 for row in tasks.values()), 0)
        for name, least in COLUMNS.items()
    }
    left = [f"  {'Task':<19}" + "".join(f"{name:>{wide[name]}}" for name in wide)]
    for kind in sorted(tasks, key=_kind_order):
        numbers = "".join(f"{tasks[kind][name]:>{wide[name]},}" for name in wide)
        left.append(f"  {words.task(kind):<19}{numbers}")
    right = [f"{'Gap':<24}{'open':>6}"]
    right += [f"{words.gap(code):<24}{number:>6,}" for code, number in gaps.most_common()]
    if not tasks and not gaps:
        return
    if columns < SIDE_BY_SIDE:
        yield from ((row, PLAIN) for row in (*left, *(f"  {row}" for row in right)))
        return
    for index in range(max(len(left), len(right))):
        a = left[index] if index < len(left) else ""
        b = right[index] if index < len(right) else ""
        yield f"{a:<{len(left[0])}}    {b}".rstrip(), PLAIN


def _columns(task: Thing) -> list[str]:
    status = task["status"]
    if status in OPEN:
        return ["open", "overdue"] if task["overdue"] else ["open"]
    if status in WITHDRAWN:
        return ["withdrawn"]
    return ["done" if status == "completed" else "failed"]


def _rejected(rejected: Sequence[Thing]) -> Iterator[Line]:
    if not rejected:
        return
    yield f"{len(rejected):,} rejected:", PLAIN
    shown = sorted(rejected, key=lambda row: _natural(row["where"]))[:REJECTED_SHOWN]
    wide = max(len(row["where"]) for row in shown)
    for row in shown:
        yield f"  {row['where']:<{wide}}  {row['reason']:<14}  {row['detail']}".rstrip(), PLAIN
    if len(rejected) > REJECTED_SHOWN:
        yield f"  and {len(rejected) - REJECTED_SHOWN:,} more (--json)", FAINT


def _natural(where: str) -> list[tuple[int, str]]:
    """Line 9 before line 10, as a reader of the file counts."""
    parts = _NUMBERS.split(where)
    return [(int(part), "") if at % 2 else (0, part) for at, part in enumerate(parts)]


def _patient(patient: Thing, zone: str, as_of: datetime, why: Why) -> Iterator[Line]:
    aliases = f"  also {', '.join(patient['aliases'])}" if patient["aliases"] else ""
    yield f"{patient['patient']}{aliases}", STRONG
    zones = {task["transition_id"]: task["zone"] for task in patient["tasks"] if "zone" in task}
    told: set[str] = set()
    for transition in sorted(patient["transitions"], key=lambda row: row["index_discharge_at"]):
        transition_id = transition["transition_id"]
        told.add(transition_id)
        local = zones.get(transition_id, zone)
        yield from _transition(transition, local, as_of, why)
        for task in _of(patient["tasks"], transition_id, "kind"):
            yield from _task(task, local, as_of, why)
        for gap in _of(patient["gaps"], transition_id, "code"):
            if not _said_by_task(gap):
                yield from _gap(gap, local, as_of, why)
    for gap in patient["gaps"]:
        if gap["transition_id"] not in told:
            yield from _gap(gap, zone, as_of, why)


def _transition(transition: Thing, zone: str, as_of: datetime, why: Why) -> Iterator[Line]:
    left = words.moment(words.instant(transition["index_discharge_at"]), zone, as_of)
    status = transition["status"]
    if transition.get("close_reason"):
        status += f", {words.reason(transition['close_reason'])}"
    flags = "".join(f" [{flag}]" for flag in transition.get("flags", ()))
    number = transition["visit_number"]
    yield (
        f"  Discharged {left} from {transition['facility']}, visit {number}: {status}{flags}",
        PLAIN,
    )
    if status != "active":
        yield from _because(why.of(transition["transition_id"]), 4)


def _task(task: Thing, zone: str, as_of: datetime, why: Why) -> Iterator[Line]:
    due_at = words.instant(task["due_at"])
    local = task.get("zone", zone)
    style = PLAIN
    if task["status"] not in OPEN:
        word = "done" if task["status"] == "completed" else task["status"]
        state = f"withdrawn ({word})" if task["status"] in WITHDRAWN else word
        if task.get("status_reason"):
            state += f": {words.reason(task['status_reason'])}"
        style = FAINT
    elif task["overdue"]:
        state = f"▲ overdue {spans.length(as_of - due_at)}, was {words.due(due_at, local, as_of)}"
        style = ALARM
    else:
        state = f"{task['status']}, {words.due(due_at, local, as_of)}"
    flags = "".join(f" [{flag}]" for flag in task.get("flags", ()))
    yield f"    {words.task(task['kind']):<20}  {state}  {task['team']}{flags}", style
    yield from _because(why.of(task["task_id"]), 8)


def _gap(gap: Thing, zone: str, as_of: datetime, why: Why) -> Iterator[Line]:
    since = words.since(words.instant(gap["since"]), zone, as_of)
    kind, _, _ = gap["subject"].partition(":")
    subject = words.task(kind) if kind in words.TASKS else gap["subject"]
    about = f" {subject}" if subject else ""
    status = gap["status"]
    if gap.get("close_reason"):
        status += f", {words.reason(gap['close_reason'])}"
    name = f"{words.gap(gap['code'])}{about}"
    style = FAINT if status.startswith("closed") else PLAIN
    yield f"    ● {name:<18}  {status}, {gap['severity']}, {since}  {gap['team']}", style
    yield from _because(why.of(gap["gap_id"]), 8)


def _said_by_task(gap: Thing) -> bool:
    """While a task is overdue its own line says so; that it once was, only the closed gap says."""
    return bool(gap["code"] == "TASK_OVERDUE" and gap["status"] == "open")


def _because(sentence: str, indent: int) -> Iterator[Line]:
    if sentence:
        yield " " * indent + sentence, FAINT


def _of(things: Iterable[Thing], transition_id: str, name: str) -> list[Thing]:
    mine = (thing for thing in things if thing["transition_id"] == transition_id)
    return sorted(mine, key=lambda thing: (_kind_order(thing[name]), thing.get("opened_at") or ""))


def _kind_order(kind: str) -> tuple[int, str]:
    known = [*words.TASKS, *words.GAPS]
    return (known.index(kind) if kind in known else len(known), kind)


def _pressing(patient: Thing) -> tuple[int, int, int, str]:
    """Overdue first, then the worst open gap, then whoever has open work."""
    overdue = sum(task["overdue"] for task in patient["tasks"])
    open_gaps = [gap["severity"] for gap in patient["gaps"] if gap["status"] == "open"]
    worst = min((_SEVERITY.index(severity) for severity in open_gaps), default=len(_SEVERITY))
    work = sum(task["status"] in OPEN for task in patient["tasks"])
    return (-overdue, worst, -work, patient["patient"])
