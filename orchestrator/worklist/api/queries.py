"""The parameters of lists: what may be said and what it means in SQL.

An unknown parameter is refused, as a misspelt filter must not widen a list of patients.
"""

from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.instants import micros
from orchestrator.worklist.model.filters import NONE, Key, Where, gaps_of, order, tasks_of
from orchestrator.worklist.model.fold import RANK
from schemas.gaps import GapCode, GapStatus, Severity
from schemas.tasks import Priority, TaskFlag, TaskKind, TaskStatus

TASK_ORDER: Final = {
    "due_at": ("due_at", False),
    "priority": ("rank", True),  # a small rank is a high priority
    "opened_at": ("opened_at", False),
    "updated_at": ("updated_at", False),
    "task_id": ("task_id", False),
}
GAP_ORDER: Final = {
    "severity": ("rank", True),
    "since": ("since", False),
    "opened_at": ("opened_at", False),
    "updated_at": ("updated_at", False),
    "gap_id": ("gap_id", False),
}
TASK_DEFAULT: Final = "-priority,due_at,task_id"
GAP_DEFAULT: Final = "-severity,since,gap_id"
ME: Final = "me"
LIMIT_MAX: Final = 500


def _instant(text: str) -> str:
    micros(text)
    return text


def _order_of(columns: dict[str, tuple[str, bool]], last: str) -> AfterValidator:
    def check(sort: str) -> str:
        try:
            order(sort, columns, last)
        except KeyError:
            raise ValueError("unknown") from None
        return sort

    return AfterValidator(check)


Instant = Annotated[str, AfterValidator(_instant), Field(json_schema_extra={"format": "date-time"})]
Word = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]
PatientKey = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Cursor = Annotated[str | None, Field(max_length=1024, pattern=r"^[A-Za-z0-9_-]*$")]

T = TypeVar("T")
# Each is a value of a statement, of which SQLite takes some thousands.
Several = Annotated[list[T], Field(max_length=100)]


class Query(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class TaskFilter(Query):
    """Which tasks: a repeated parameter means or, different ones mean and."""

    team: Several[Word] = []
    status: Several[TaskStatus] = []
    kind: Several[TaskKind] = []
    owner: Several[Word] = Field(default=[], description="`me`, `none`, or an actor")
    facility: Several[Word] = []
    priority: Several[Priority] = []
    overdue: bool | None = None
    born_overdue: bool | None = None
    attribution: Several[Literal["FEED", "CORRECTION", "STAFF"]] = []
    flag: Several[TaskFlag] = []
    patient_key: Several[PatientKey] = []
    due_before: Instant | None = None
    due_after: Instant | None = None
    opened_after: Instant | None = None
    updated_after: Instant | None = None
    sort: Annotated[str, _order_of(TASK_ORDER, "task_id")] = TASK_DEFAULT

    def where(self, who: Principal) -> Where:
        """The condition, within what *who* may see."""
        where = tasks_of(who)
        for column in ("team", "status", "kind", "facility", "attribution"):
            if chosen := getattr(self, column):
                where.among(column, set(chosen))
        _patients(where, self.patient_key)
        if self.priority:
            where.among("rank", {RANK[one] for one in self.priority})
        if self.owner:
            _owners(where, {who.actor if one == ME else one for one in self.owner})
        for column in ("overdue", "born_overdue"):
            if (wanted := getattr(self, column)) is not None:
                where.add(f"{column} = {int(wanted)}")  # no parameter: an index is made for it
        if self.flag:
            where.add(
                "flags <> '' AND (" + " OR ".join(["instr(flags, ?)"] * len(self.flag)) + ")",
                *(f"|{flag}|" for flag in self.flag),
            )
        _times(where, self, ("due", "opened", "updated"))
        return where

    def order(self) -> list[Key]:
        return order(self.sort, TASK_ORDER, "task_id")


class GapFilter(Query):
    """Which gaps."""

    team: Several[Word] = []
    code: Several[GapCode] = []
    severity: Several[Severity] = []
    status: Several[GapStatus] = []
    facility: Several[Word] = []
    patient_key: Several[PatientKey] = []
    opened_after: Instant | None = None
    updated_after: Instant | None = None
    sort: Annotated[str, _order_of(GAP_ORDER, "gap_id")] = GAP_DEFAULT

    def where(self, who: Principal) -> Where:
        where = gaps_of(who)
        for column in ("team", "code", "severity", "status", "facility"):
            if chosen := getattr(self, column):
                where.among(column, set(chosen))
        _patients(where, self.patient_key)
        _times(where, self, ("opened", "updated"))
        return where

    def order(self) -> list[Key]:
        return order(self.sort, GAP_ORDER, "gap_id")


class Paging(Query):
    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX)] = 50
    cursor: Cursor = None


class TaskQuery(TaskFilter, Paging):
    """A page of tasks."""


class GapQuery(GapFilter, Paging):
    """A page of gaps."""


def _patients(where: Where, keys: list[str]) -> None:
    """Who is asked for by a key that a merge has retired is the survivor."""
    if not keys:
        return
    named = sorted(set(keys))
    marks = ", ".join("?" * len(named))
    where.add(
        f"patient_key IN (SELECT patient_key FROM subjects WHERE key IN ({marks})"
        f" UNION VALUES {', '.join(['(?)'] * len(named))})",
        *named,
        *named,
    )


def _owners(where: Where, owners: set[str]) -> None:
    named = sorted(owners - {NONE})
    ways = ["owner IS NULL"] if NONE in owners else []
    if named:
        ways.append(f"owner IN ({', '.join('?' * len(named))})")
    where.add(f"({' OR '.join(ways)})", *named)


def _times(where: Where, said: Query, names: tuple[str, ...]) -> None:
    for name in names:
        after = getattr(said, f"{name}_after", None)
        before = getattr(said, f"{name}_before", None)
        if after is not None:
            where.add(f"{name}_at > ?", micros(after))
        if before is not None:
            where.add(f"{name}_at < ?", micros(before))
