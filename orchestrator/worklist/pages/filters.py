"""The filters of My work as they stand in its address, and what they mean."""

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit
from zoneinfo import ZoneInfo

import orjson
from pydantic import BeforeValidator, Field, ValidationError

from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.api.queries import ME, Cursor, Query, TaskFilter, Word
from orchestrator.worklist.model import work
from orchestrator.worklist.model.filters import NONE, Where
from orchestrator.worklist.model.work import Days
from orchestrator.worklist.pages import calling, wording
from orchestrator.worklist.site import Site
from schemas.tasks import TaskFlag, TaskKind

ALL: Final = "all"


def _said(value: Any) -> Any:
    """A form sends each of its fields, also those that nobody filled in."""
    if isinstance(value, list):
        return [one for one in value if one != ""]
    return None if value == "" else value


# Without a zone: the usual one's.
LocalTime = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d(T\d\d:\d\d)?$")]
Words = Annotated[list[Word], BeforeValidator(_said)]


class WorkQuery(Query):
    """A repeated parameter means or, different ones mean and."""

    team: Words = Field(default=[])
    owner: Annotated[Word | None, BeforeValidator(_said)] = None
    kind: Annotated[list[TaskKind], BeforeValidator(_said)] = Field(default=[])
    facility: Words = Field(default=[])
    flag: Annotated[list[TaskFlag], BeforeValidator(_said)] = Field(default=[])
    due_before: Annotated[LocalTime | None, BeforeValidator(_said)] = None
    call_now: Annotated[bool | None, BeforeValidator(_said)] = None
    cursor: Annotated[Cursor, BeforeValidator(_said)] = None

    @property
    def is_filtered(self) -> bool:
        """Whether it asks for less than the whole queue of its teams."""
        return self.said(without=("team", "owner", "cursor")) != []

    def said(self, without: tuple[str, ...] = ("cursor",)) -> list[tuple[str, str]]:
        """The parameters that were given, in one order."""
        pairs: list[tuple[str, str]] = []
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name in without or value in (None, [], False):
                continue
            many = value if isinstance(value, list) else [value]
            pairs += [(name, "on" if one is True else str(one)) for one in many]
        return pairs

    def text(self, without: tuple[str, ...] = ("cursor",), **other: str) -> str:
        """As the query of an address, with *other* in place of what it says of that."""
        pairs = self.said((*without, *other))
        return urlencode([*pairs, *((name, value) for name, value in other.items() if value)])

    def of_owners(self) -> list[str]:
        return [] if self.owner in (None, ALL) else [str(self.owner)]


def query_of(path: str) -> WorkQuery | None:
    """The filters of the page of My work at *path*; ``None``: it is another page."""
    parts = urlsplit(path)
    if parts.path != "/work":
        return None
    many = parse_qs(parts.query)
    lists_ = ("team", "kind", "facility", "flag")
    said = {name: found if name in lists_ else found[-1] for name, found in many.items()}
    try:
        return WorkQuery.model_validate(said)
    except ValidationError:
        return None


def tabs_of(
    site: Site, db: sqlite3.Connection, who: Principal, query: WorkQuery
) -> tuple[tuple[str, str, int], ...]:
    """How much each tab of *query*'s page leads to."""
    anyones = where_of(site, db, who, query, owners=False)
    return owner_tabs(work.counts(db, anyones, days_of(site, site.log_now()), who.actor))


def owner_tabs(counts: work.Count) -> tuple[tuple[str, str, int], ...]:
    """Tabs by owner: the word of the filter, the words of the reader, how many."""
    return (
        (ME, "Mine", sum(counts.mine.values())),
        (NONE, "Unowned", sum(counts.unowned.values())),
        (ALL, "All", sum(counts.all.values())),
    )


def where_of(
    site: Site, db: sqlite3.Connection, who: Principal, query: WorkQuery, *, owners: bool
) -> Where:
    """
    The condition of *query*, within what *who* may see.

    Args:
        owners: Whether what it says of owners counts.
    """
    usual = site.facilities.get("default").zone
    due = None
    if query.due_before is not None:
        moment = datetime.fromisoformat(query.due_before).replace(tzinfo=ZoneInfo(usual))
        due = moment.astimezone(UTC).isoformat()
    said = TaskFilter(
        team=query.team,
        kind=query.kind,
        facility=query.facility,
        flag=query.flag,
        owner=query.of_owners() if owners else [],
        due_before=due,
    )
    where = said.where(who)
    if query.call_now:
        _callable_now(site, db, where)
    return where


def _callable_now(site: Site, db: sqlite3.Connection, where: Where) -> None:
    """Only patients whose hours are now; of the others the usual ones hold."""
    now = site.log_now()
    moments: dict[str, datetime] = {}

    def opens(hours: str | None, facility: str) -> bool:
        zone = site.facilities.get(facility).zone
        at = moments.setdefault(zone, wording.local(now, zone))
        return calling.is_open(_loaded(hours), at)

    # Most patients have said no hours, and one look at the clock of each facility answers for them.
    found = db.execute("SELECT DISTINCT facility FROM tally").fetchall()
    calls = sorted(facility for (facility,) in found if opens(None, facility))
    usual = f"facility IN ({', '.join('?' * len(calls))})"
    said = "FROM patients p WHERE p.hours IS NOT NULL"
    if db.execute(f"SELECT 1 {said} LIMIT 1").fetchone() is None:
        where.add(usual, *calls)
        return
    db.create_function("care_opens", 2, opens)
    where.add(
        f"CASE WHEN patient_key IN (SELECT p.patient_key {said}) THEN care_opens("
        f"(SELECT p.hours {said} AND p.patient_key = tasks.patient_key), facility)"
        f" ELSE {usual} END",
        *calls,
    )


def _loaded(hours: str | None) -> Any:
    if hours is None:
        return None
    try:
        return orjson.loads(hours)
    except orjson.JSONDecodeError:
        return hours


def days_of(site: Site, now: int) -> list[Days]:
    """When today and tomorrow end at each facility."""
    versions: Mapping[str, Any] = site.facilities.versions
    by_zone: dict[str, list[str]] = {}
    for facility in versions:
        by_zone.setdefault(site.facilities.get(facility).zone, []).append(facility)
    found = [_days(tuple(sorted(names)), zone, now) for zone, names in sorted(by_zone.items())]
    return [*found, _days(None, site.facilities.get("default").zone, now)]


def _days(facilities: tuple[str, ...] | None, zone: str, now: int) -> Days:
    return Days(facilities, wording.start_of_day(now, zone, 1), wording.start_of_day(now, zone, 2))


__all__ = ["ALL", "ME", "NONE", "WorkQuery", "days_of", "where_of"]
