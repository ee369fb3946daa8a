"""``/work``: whom to do next, in groups by how much they hurry."""

import sqlite3
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Query, Response
from fastapi.responses import RedirectResponse

from orchestrator.worklist import edge
from orchestrator.worklist.api.answers import freshness
from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.model import lists, work
from orchestrator.worklist.model.filters import BadCursor, tasks_of
from orchestrator.worklist.model.work import GROUPS, Group
from orchestrator.worklist.pages import rows, wording
from orchestrator.worklist.pages.filters import (
    ALL,
    ME,
    NONE,
    WorkQuery,
    days_of,
    owner_tabs,
    where_of,
)
from orchestrator.worklist.pages.frame import page
from orchestrator.worklist.pages.guard import HTML, PageCall, PageCallOf
from orchestrator.worklist.pages.live import place
from orchestrator.worklist.pages.rows import Line
from orchestrator.worklist.pages.waiting import Refusal
from orchestrator.worklist.problems import Problem

PAGE: Final = 50
PRINTED_MAX: Final = 500
TITLES: Final[dict[str, str]] = {
    "withdrawn": "Stop and withdrawn",
    "refused": "Refused",
    "urgent": "Urgent",
    "overdue": "Overdue",
    "arrived-late": "Arrived late",
    "today": "Today",
    "tomorrow": "Tomorrow",
    "later": "Later",
}


@dataclass(frozen=True, slots=True)
class Section:
    """One group of a page."""

    group: str
    title: str
    count: int
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Found:
    """What a page of work shows, from one state of the rows."""

    sections: list[Section]
    next: str | None
    tabs: tuple[tuple[str, str, int], ...]
    withdrawn: int
    refused: int
    unseen: dict[str, tuple[Refusal, ...]]
    load: list[work.Load]
    people: list[str]
    facilities: list[str]
    fresh: dict[str, Any]
    place: str
    last_discharge: int | None


@rule("tasks", "search", media=HTML)
async def my_work(call: PageCallOf, query: Annotated[WorkQuery, Query()]) -> Response:
    """The queue of the reader's teams."""
    found = await _found(call, query, PAGE)
    numbers = ",".join(str(line.number) for part in found.sections for line in part.lines)
    live = f"/live/work?at={found.place}&rows={numbers}"
    if said := query.text():
        live += f"&{said}"
    return await page(
        call.request,
        "work.html",
        "My work",
        fresh=found.fresh,
        live=live,
        printable=False,
        **_data(call, query, found),
    )


@rule("export", "export", limit="export", media=HTML)
async def printed(call: PageCallOf, query: Annotated[WorkQuery, Query()]) -> Response:
    """The same on paper: an export, and recorded as one."""
    found = await _found(call, query, PRINTED_MAX)
    return await page(
        call.request, "print.html", "My work", fresh=found.fresh, **_data(call, query, found)
    )


def _data(call: PageCall, query: WorkQuery, found: Found) -> dict[str, Any]:
    policy = call.site.policies[-1] if call.site.policies else {}
    known = sorted(policy.get("teams", ()))
    teams = [team for team in known if call.who.sees_team(team)]
    kinds = sorted(
        {row["kind"] for rows_ in policy.get("protocols", {}).values() for row in rows_}
        | {row["kind"] for row in policy.get("caused_tasks", ())}
    )
    return {
        "query": query,
        "found": found,
        "teams": teams,
        "all_teams": known,
        "kinds": [(one, wording.kind(one)) for one in kinds],
        "all_flags": list(wording.FLAGS.items()),
        "views": call.site.pages.views(call.who.actor),
        "key": edge.new_id(),
        "back": f"/work?{query.text(())}",
        "bulk": "bulk" in call.who.may,
        "empty": _empty(call, query, found),
        "tabs_of_owner": found.tabs,
    }


async def _found(call: PageCall, query: WorkQuery, limit: int) -> Found:
    site, who, now = call.site, call.who, call.site.log_now()
    days = days_of(site, now)
    call.account.query_hash = site.key_of(f"query|work|{query.text()}")

    def read(db: sqlite3.Connection) -> Found:
        anyones = where_of(site, db, who, query, owners=False)
        where = where_of(site, db, who, query, owners=True)
        counts = work.counts(db, anyones, days, who.actor)
        try:
            found = work.page(db, where, days, limit, query.cursor)
        except BadCursor:
            raise Problem("malformed", "The page is not one of this list; begin again.") from None
        held, refused = rows.held(call, db), rows.refused(call, db)
        # What the reader must hear of stands above all, and only there.
        above = [*held, *(row for row in refused.rows if row not in held)]
        if query.cursor is not None:
            above = []
        numbers = {row.number for row in above}
        below = [one for one in found.rows if one[1].number not in numbers]
        pages = [row for _, row in below]
        names = [rows.name_of(row) for row in (*pages, *above)]
        opened = site.pages.opened_versions(who.actor, names)
        shown = rows.lines(call, db, pages, now, opened=opened)
        told = rows.lines(call, db, above, now, opened=opened)
        of_group = _count_of(query, counts, db, anyones, days)
        supervises = "act-for-others" in who.may
        return Found(
            sections=_sections(below, shown, told[: len(held)], told[len(held) :], of_group),
            next=found.next,
            tabs=owner_tabs(counts),
            withdrawn=len(held),
            refused=refused.count,
            unseen=refused.unseen,
            load=work.load(db, anyones, now) if supervises else [],
            people=work.owners(db, tasks_of(who)) if supervises else [],
            facilities=_facilities(db, call),
            fresh=freshness(call, db),
            place=place(db),
            last_discharge=_last_discharge(db),
        )

    return await site.reader.ask(read)


def _count_of(
    query: WorkQuery, counts: work.Count, db: sqlite3.Connection, anyones: Any, days: Any
) -> dict[Group, int]:
    if query.owner in (None, ALL):
        return counts.all
    if query.owner == ME:
        return counts.mine
    if query.owner == NONE:
        return counts.unowned
    return work.counts(db, anyones, days, str(query.owner)).mine


def _sections(
    found: list[tuple[Group, lists.Row]],
    shown: list[Line],
    gone: list[Line],
    refused: list[Line],
    counts: dict[Group, int],
) -> list[Section]:
    sections: list[Section] = []
    if gone:
        # Deaths and the like before the rest: they outrank everything.
        gone.sort(key=lambda line: line.stop is None)
        sections.append(Section("withdrawn", TITLES["withdrawn"], len(gone), gone))
    if refused:
        sections.append(Section("refused", TITLES["refused"], len(refused), refused))
    for group in GROUPS:
        of_group = [line for (name, _), line in zip(found, shown, strict=True) if name == group]
        if of_group:
            sections.append(Section(group, TITLES[group], counts[group], of_group))
    return sections


def _facilities(db: sqlite3.Connection, call: PageCall) -> list[str]:
    found = db.execute(
        # Each facility once by the index, not each of its rows.
        "WITH RECURSIVE f(name) AS (SELECT min(facility) FROM gaps WHERE facility IS NOT NULL"
        " UNION ALL SELECT (SELECT min(facility) FROM gaps WHERE facility > f.name) FROM f"
        " WHERE f.name IS NOT NULL) SELECT name FROM f WHERE name IS NOT NULL"
    ).fetchall()
    known = {str(name) for (name,) in found} | set(call.site.facilities.versions)
    return sorted(one for one in known if call.who.sees_facility(one))


def _last_discharge(db: sqlite3.Connection) -> int | None:
    row = db.execute(
        "SELECT at FROM changes WHERE kind = 'transition' AND id >"
        " (SELECT coalesce(max(id), 0) - 10000 FROM changes) ORDER BY id DESC LIMIT 1"
    ).fetchone()
    return None if row is None else int(row[0])


def _empty(call: PageCall, query: WorkQuery, found: Found) -> str | None:
    """Which kind of empty an empty list is; ``filters``: they are what leaves nothing."""
    if found.sections:
        return None
    if call.who.teams is not None and not call.who.teams:
        return "You have no team yet; a supervisor must add you."
    if query.is_filtered or query.cursor is not None or query.owner not in (None, ALL):
        return "filters"
    fresh = found.fresh
    if fresh["state"] != "current":
        late = fresh["behind_s"]
        since = "" if late is None else f" {wording.length(late * 1_000_000)}"
        word = {"behind": "Behind", "stale": "Not updating for"}.get(fresh["state"])
        if word is None:
            return "State of the data not known yet: nothing here does not mean nothing is due."
        return f"{word}{since}: nothing here yet, which does not mean nothing is due."
    teams = query.team or sorted(call.who.teams or ())
    text = f"Nothing due for {', '.join(teams) or 'any team'}."
    if found.last_discharge is not None:
        ago = wording.length(call.site.log_now() - found.last_discharge)
        text += f" Last discharge received {ago} ago."
    return text


@rule("tasks", media=HTML)
async def save_view(call: PageCallOf) -> Response:
    """Keep the filters under a name."""
    name = str(call.form.get("name", "")).strip()[:60]
    said = str(call.form.get("query", ""))[:2000]
    actor, pages = call.who.actor, call.site.pages
    if name and call.form.get("do") == "drop":
        pages.drop_view(actor, name)
        pages.flash(actor, {"text": "The view is gone.", "undo": None})
    elif name:
        kept = pages.save_view(actor, name, said)
        text = "Saved." if kept else "There are 50 saved views; remove one first."
        pages.flash(actor, {"text": text, "undo": None})
    return RedirectResponse(f"/work?{said}" if said else "/work", 303)


ROUTES: Final = (
    ("/work", ["GET"], my_work),
    ("/work/print", ["GET"], printed),
    ("/work/view", ["POST"], save_view),
)
