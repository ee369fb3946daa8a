"""``/``: in the demo what there is to see and to try; elsewhere the way to one's own first page."""

import sqlite3
from typing import Any, Final

from fastapi import Response
from fastapi.responses import RedirectResponse

from orchestrator.worklist.api.answers import freshness
from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.pages import wording
from orchestrator.worklist.pages.banner import FEED
from orchestrator.worklist.pages.frame import page, zone_of
from orchestrator.worklist.pages.fresh import fresh_words
from orchestrator.worklist.pages.guard import HTML, PageCallOf
from orchestrator.worklist.pages.sign_in import DEMO_ROLES, role_words

# The line at the bottom of the demo's terminal counts the same.
COUNTS: Final = {
    "patients discharged": "SELECT count(DISTINCT patient_key) FROM transitions",
    "open tasks": "SELECT count(*) FROM tasks WHERE open = 1",
    "overdue": "SELECT count(*) FROM tasks WHERE open = 1 AND overdue = 1",
    "gaps": "SELECT count(*) FROM gaps WHERE status = 'open'",
}


@rule(None, media=HTML, forms=True)
async def landing(call: PageCallOf) -> Response:
    """What this is, how much there is now, five things to try."""
    site = call.site
    if site.demo is None:
        # `/sign-in` leads who has signed in already to the first page of their role.
        return RedirectResponse("/sign-in", 303)

    def read(db: sqlite3.Connection) -> dict[str, Any]:
        counts = {name: db.execute(sql).fetchone()[0] for name, sql in COUNTS.items()}
        row = db.execute(
            "SELECT task_id FROM tasks WHERE open = 1 AND overdue = 1 AND born_overdue = 0"
            " AND kind = 'CALL_48H' ORDER BY due_at, task_id LIMIT 1"
        ).fetchone()
        return {
            "counts": counts,
            "overdue": None if row is None else row[0],
            "fresh": freshness(call, db),
        }

    found = await site.reader.ask(read)
    age = site.freshness.age(site.now())
    state = fresh_words(found["fresh"], age, zone_of(site, None), site.log_now())
    return await page(
        call.request,
        "landing.html",
        "What there is to see",
        counts=found["counts"],
        overdue=found["overdue"],
        state=state,
        token=call.csrf,
        feed=FEED,
        roles=[(role, role_words(role)) for role in DEMO_ROLES],
        at=wording.moment(site.log_now(), zone_of(site, FEED)),
    )


ROUTES: Final = (("/", ["GET"], landing),)
