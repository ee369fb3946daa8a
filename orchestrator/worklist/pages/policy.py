"""``/policy``: the rules in force and their versions; read-only, since files are their source."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Final, NamedTuple

from fastapi import Query, Response

from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.api.queries import Word
from orchestrator.worklist.instants import micros
from orchestrator.worklist.pages import gap_words, policy_words, wording
from orchestrator.worklist.pages.frame import page, zone_of
from orchestrator.worklist.pages.guard import HTML, PageCall, PageCallOf
from orchestrator.worklist.problems import Problem
from orchestrator.worklist.site import Site

CONTACT_DAYS: Final = 2
TRIED_DAYS: Final = 30  # offered for trying out


class Typed(NamedTuple):
    """What stands in the form by which another policy is tried out."""

    policy: str
    first: str
    last: str


class PolicyQuery(NoQuery):
    version: Word | None = None
    was: Word | None = None


@rule("policy", media=HTML)
async def policy(call: PageCallOf, query: Annotated[PolicyQuery, Query()]) -> Response:
    """One version, that in force unless another is asked for; beside another one."""
    return await policy_page(call, query)


async def policy_page(
    call: PageCall,
    query: PolicyQuery | None = None,
    *,
    typed: Typed | None = None,
    errors: Sequence[tuple[str, str]] = (),
    status: int = 200,
) -> Response:
    """
    The page.

    Args:
        typed: What was sent and could not be tried out.
        errors: Pairs of the field and what is wrong.
    """
    query = query or PolicyQuery()
    site, now = call.site, call.site.log_now()
    known = {one["version"]: one for one in site.policies}
    in_force = [one for one in site.policies if micros(one["effective_from"]) <= now]
    if not in_force:
        raise Problem("not-found", "No policy is in force.")
    for name in (query.version, query.was):
        if name is not None and name not in known:
            raise Problem("not-found")
    shown = in_force[-1] if query.version is None else known[query.version]
    was = None if query.was is None else known[query.was]
    zone = zone_of(site, None)
    return await page(
        call.request,
        "policy.html",
        "Policy",
        status,
        shown=shown,
        in_force=in_force[-1]["version"],
        since=_since(shown, zone, now),
        checksum=policy_words.checksum(shown),
        duties=policy_words.duties(shown),
        thresholds=policy_words.thresholds(shown),
        gaps=[(gap_words.name(code), code, gap) for code, gap in shown["gaps"].items()],
        versions=[(one["version"], _since(one, zone, now)) for one in site.policies],
        was=was,
        differences=[] if was is None else policy_words.compared(was, shown),
        facilities=[_facility(site, name, now) for name in sorted(site.facilities.versions)]
        or [_facility(site, "default", now)],
        may_try="what-if" in call.who.may,
        typed=typed or _untouched(now, zone),
        errors=errors,
    )


def _untouched(now: int, zone: str) -> Typed:
    today = wording.local(now, zone).date()
    return Typed("", (today - timedelta(days=TRIED_DAYS)).isoformat(), today.isoformat())


def _since(policy: dict[str, Any], zone: str, now: int) -> str:
    at = micros(policy["effective_from"])
    return "from the beginning" if at <= 0 else f"since {wording.moment(at, zone, now)}"


def _facility(site: Site, name: str, now: int) -> dict[str, Any]:
    facility = site.facilities.get(name)
    today = wording.local(now, facility.zone).date()
    contact = policy_words.business_day(facility, today, CONTACT_DAYS)
    return {
        "id": name,
        "name": facility.name or "",
        "type": facility.type,
        "zone": facility.zone,
        "weekends": "staffed" if facility.weekend_staffing else "not staffed",
        "calendar": facility.holidays.calendar,
        "holidays": [
            policy_words.day_words(day, today) for day in policy_words.holidays(facility, today)
        ],
        "contact": policy_words.day_words(contact, today),
    }


ROUTES: Final = (("/policy", ["GET"], policy),)
