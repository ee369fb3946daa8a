"""R4 search parameters of Task to SQL: tokens, references, dates with prefixes, order, pages."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.fhir import resources
from orchestrator.worklist.instants import SECOND, micros
from orchestrator.worklist.model.filters import Key, Where, order, tasks_of
from orchestrator.worklist.model.fold import RANK
from orchestrator.worklist.problems import Problem

COUNT_MAX: Final = 200
ORDER: Final = {
    "due": ("due_at", False),
    "authored-on": ("opened_at", False),
    "modified": ("updated_at", False),
    "priority": ("rank", True),
}
DEFAULT: Final = "-priority,due"
INCLUDES: Final = ("Task:patient", "Task:subject")

_DATE: Final = re.compile(
    r"(eq|lt|le|gt|ge)?"
    r"(\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d))?)"
)
_FLAGS: Final = {
    "overdue": "overdue = 1",
    "born-overdue": "born_overdue = 1",
    "attempts-met": "id IN (SELECT id FROM tasks_said"
    " WHERE json_extract(value, '$.tcm_contact_status') = 'ATTEMPTS_MET')",
}


@dataclass(slots=True)
class Search:
    """A search that was understood."""

    where: Where
    keys: list[Key] = field(default_factory=list)
    count: int = 50
    include: bool = False
    summary: str = "false"
    total: str = "accurate"
    cursor: str | None = None


def task_search(
    said: Sequence[tuple[str, str]], who: Principal, *, lenient: bool = False
) -> Search:
    """
    What *said* asks for, within what *who* may see.

    Args:
        lenient: ``Prefer: handling=lenient``: parameters that are not known are left out.

    Raises:
        Problem: ``malformed``: not known, or its value is of the wrong form.
    """
    search = Search(tasks_of(who))
    sort = DEFAULT
    for name, value in said:
        if name in _RESULT:
            _RESULT[name](search, value)
        elif name == "_sort":
            sort = value
        elif name in _MATCH:
            _MATCH[name](search.where, value)
        elif not lenient:
            raise _wrong(name)
    try:
        search.keys = order(sort, ORDER, "task_id")
    except (KeyError, ValueError):
        raise _wrong("_sort") from None
    return search


def _wrong(name: str) -> Problem:
    # Only names of ours are repeated; a misspelt one may hold anything.
    known = name if name in _MATCH or name in _RESULT or name == "_sort" else "?"
    return Problem("malformed", f"The parameter {known} is not understood.")


def _tokens(column: str, system: str | None = None) -> Callable[[Where, str], None]:
    def match(where: Where, value: str) -> None:
        found = []
        for one in value.split(","):
            said, bar, code = one.rpartition("|")
            if not bar or said in ("", system):
                found.append(code)
        where.among(column, set(found))

    return match


def _priorities(where: Where, value: str) -> None:
    where.among("rank", {RANK.get(one.rpartition("|")[2], -1) for one in value.split(",")})


def _references(column: str, kind: str) -> Callable[[Where, str], None]:
    def match(where: Where, value: str) -> None:
        where.among(column, {one.removeprefix(f"{kind}/") for one in value.split(",")})

    return match


def _business(where: Where, value: str) -> None:
    ways = [_FLAGS.get(one.rpartition("|")[2], "0") for one in value.split(",")]
    where.add(f"({' OR '.join(ways)})")


def _dates(column: str, name: str, shift: int = 0) -> Callable[[Where, str], None]:
    def match(where: Where, value: str) -> None:
        found = _DATE.fullmatch(value)
        if found is None:
            raise _wrong(name)
        prefix, text = found[1] or "eq", found[2]
        begin, end = _span(text, name)
        begin, end = begin + shift, end + shift
        if prefix == "eq":
            where.add(f"{column} >= ? AND {column} < ?", begin, end)
        else:
            sign, bound = {
                "lt": ("<", begin),
                "le": ("<", end),
                "gt": (">=", end),
                "ge": (">=", begin),
            }[prefix]
            where.add(f"{column} {sign} ?", bound)

    return match


def _span(text: str, name: str) -> tuple[int, int]:
    """The stretch of time that a date of this precision means."""
    try:
        if len(text) == 10:
            day = datetime.fromisoformat(text).replace(tzinfo=UTC)
            begin = micros(day.isoformat())
            return begin, begin + timedelta(days=1) // timedelta(microseconds=1)
        begin = micros(text)
    except ValueError:
        raise _wrong(name) from None
    return begin, begin + SECOND


def _set_count(search: Search, value: str) -> None:
    if not (value.isascii() and value.isdigit()) or len(value) > 9:
        raise _wrong("_count")
    search.count = min(int(value), COUNT_MAX)


def _set_include(search: Search, value: str) -> None:
    if value not in INCLUDES:
        raise _wrong("_include")
    search.include = True


def _one_of(name: str, attribute: str, *choices: str) -> Callable[[Search, str], None]:
    def set_(search: Search, value: str) -> None:
        if value not in choices:
            raise _wrong(name)
        setattr(search, attribute, value)

    return set_


def _set_cursor(search: Search, value: str) -> None:
    search.cursor = value


_RESULT: Final[dict[str, Callable[[Search, str], None]]] = {
    "_count": _set_count,
    "_include": _set_include,
    "_summary": _one_of("_summary", "summary", "false", "count"),
    "_total": _one_of("_total", "total", "none", "estimate", "accurate"),
    "_cursor": _set_cursor,
}
_MATCH: Final[dict[str, Callable[[Where, str], None]]] = {
    "_id": _tokens("task_id"),
    "identifier": _tokens("task_id", resources.TASK_ID),
    "status": _tokens("status", "http://hl7.org/fhir/task-status"),
    "code": _tokens("kind", resources.TASK_KIND),
    "performer": _tokens("team", resources.TEAM),
    "owner": _tokens("owner", resources.ACTOR),
    "group-identifier": _tokens("transition_id", resources.TRANSITION),
    "priority": _priorities,
    "business-status": _business,
    "patient": _references("patient_key", "Patient"),
    "subject": _references("patient_key", "Patient"),
    "based-on": _references("transition_id", "CarePlan"),
    "_lastUpdated": _dates("updated_at", "_lastUpdated"),
    "modified": _dates("updated_at", "modified"),
    "authored-on": _dates("opened_at", "authored-on"),
    # The end that the resource shows lies one second before our exclusive one.
    "due": _dates("due_at", "due", SECOND),
}
