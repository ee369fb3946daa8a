"""No page and no answer reads a table from end to end: what is asked is found by an index.

The planner is never told sizes, so it looks for the same way among ten rows as among a million.
"""

import re
import sqlite3
from pathlib import Path
from typing import Final

import pytest
from fastapi.routing import APIRoute

from orchestrator.worklist.model import reader, tables
from orchestrator.worklist.pages.guard import PageRoute
from tests.worklist.world import world

# Large at a hospital of some years; the others are small, or read by a list's filters.
LARGE: Final = ("c", "changes", "caused", "patients", "p", "audit", "said", "s", "t", "tasks_said")
# What is read whole on purpose.
WHOLE: Final = re.compile(
    r"WHERE instr\(value"  # who has looked at one patient, of the newest records
    r"|SELECT 1 FROM patients p WHERE p.hours IS NOT NULL LIMIT 1"
)
SCAN: Final = re.compile(rf"SCAN ({'|'.join(LARGE)})(?! USING)( |$)")
# One patient's things are found by the patient, whatever else is asked of them.
OTHERS: Final = re.compile(
    r"^SEARCH (tasks|gaps) USING (COVERING )?INDEX (?!\w+_patient|sqlite_autoindex)"
)
PEOPLE: Final = ("demo-supervisor", "demo-rn", "demo-scheduler", "demo-operator", "demo-auditor")
QUERIES: Final = ("", "?owner=me", "?flag=AMA", "?call_now=on", "?status=closed", "?show=access")


async def test_what_is_asked_is_found_by_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is read of the model, for everybody, page by page."""
    asked: set[str] = set()

    def traced(path: Path, *, write: bool) -> sqlite3.Connection:
        connection = tables.connect(path, write=write)
        connection.set_trace_callback(asked.add)
        return connection

    class Traced:
        connect = staticmethod(traced)

    monkeypatch.setattr(reader, "tables", Traced)
    async with world(tmp_path, patients=2) as made:
        task = await made.call()
        names = {
            "task_id": task["task_id"],
            "key": task["patient_key"],
            "transition_id": task["transition_id"],
            "id": task["task_id"],
        }
        await made.act(task, "accept")
        paths = [
            (re.sub(r"\{(\w+)\}", lambda m: str(names.get(m[1], "x")), route.path), route)
            for route in made.app.routes
            if isinstance(route, APIRoute)
            and "GET" in (route.methods or ())
            and not any(part in route.path for part in ("/stream", "/live/", "static"))
        ]
        answered = 0
        for who in PEOPLE:
            async with made.client(who) as client, made.browser(who) as browser:
                for path, route in paths:
                    asking = browser.client if isinstance(route, PageRoute) else client
                    for query in QUERIES:
                        got = await asking.get(f"http://test{path}{query}")
                        answered += got.status_code == 200
        made.site.reader._open[0].set_trace_callback(None)
        scans = {
            statement: detail
            for statement in sorted(asked)
            if statement.startswith(("SELECT", "WITH")) and not WHOLE.search(statement)
            for *_, detail in made.site.reader._open[0].execute(f"EXPLAIN QUERY PLAN {statement}")
            if SCAN.search(detail) or ("patient_key = '" in statement and OTHERS.search(detail))
        }

    assert answered > 200
    assert len(asked) > 200
    assert scans == {}
