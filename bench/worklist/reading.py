"""CPU time of the read model at 100,000 open tasks: projecting, lists, counts, one task, a patient.

    python -m bench.worklist.reading [TASKS]

Each question is asked as the API asks it, with the SQL of the API, without HTTP.  CPU time, since
the machine has other work; the best and the 99th percentile of many.
"""

import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson

from orchestrator.stream.keys import patient_key
from orchestrator.worklist.access.roles import principal
from orchestrator.worklist.api.queries import GapQuery, TaskFilter
from orchestrator.worklist.instants import text_of
from orchestrator.worklist.log.feed import CHANGES, GAPS, TASKS, Fetched, Positions, Record, Sample
from orchestrator.worklist.model import lists, stories, tables
from orchestrator.worklist.model.filters import gaps_of, tasks_of
from orchestrator.worklist.model.projector import Projection

BEGIN: Final = 1_791_400_000_000_000
HOUR: Final = 3_600_000_000
KINDS: Final = (
    ("CALL_48H", "nurse-outreach"),
    ("PCP_VISIT_7D", "scheduling"),
    ("MED_REC", "pharmacy"),
)
ASKED: Final = 200


def records(tasks: int, seed: int = 1) -> Iterator[Record]:
    """Tasks as they are published: a change and the task each, and a gap for every third."""
    draw = random.Random(seed)
    offsets = dict.fromkeys((CHANGES, TASKS, GAPS), 0)
    for number in range(tasks):
        kind, team = KINDS[number % 3]
        subject = f"GEN|MRN{number // 3}"
        key = patient_key(b"bench-key-bench-key", subject)
        at = BEGIN + draw.randrange(72 * HOUR)
        task = _task(draw, number, kind, team, subject, key, at)
        change = {
            "seq": number % 3 + 1,
            "at": text_of(at),
            "patient": subject,
            "subject": subject,
            "patient_key": key,
            "change": "task.requested",
            "task": task,
            "caused_by": [f"GEN-{number // 3}"],
            "why": "Discharged home from GEN on Tue 6 Oct 14:00; a call is owed within 48 hours.",
        }
        told = [(CHANGES, key, change), (TASKS, task["task_id"], task)]
        if number % 3 == 0:
            gap = _gap(number, task)
            told.append((GAPS, gap["gap_id"], gap))
        for topic, name, value in told:
            yield Record(topic, 0, offsets[topic], name, orjson.dumps(value))
            offsets[topic] += 1


def _task(
    draw: random.Random, number: int, kind: str, team: str, subject: str, key: str, at: int
) -> dict[str, Any]:
    return {
        "task_id": str(UUID(int=draw.getrandbits(128))),
        "version": 1,
        "patient": subject,
        "subject": subject,
        "patient_key": key,
        "transition_id": f"t-{number // 3}",
        "facility": f"F{number // 3 % 5}",
        "visit_number": f"V{number // 3}",
        "kind": kind,
        "cause": "",
        "status": "requested",
        "team": team,
        "priority": draw.choices(("routine", "urgent", "stat"), (90, 9, 1))[0],
        "due_at": text_of(at + draw.randrange(200 * HOUR)),
        "zone": "America/New_York",
        "tcm_contact_by": None,
        "owner": f"nurse-{number % 40}" if number % 5 == 0 else None,
        "opened_at": text_of(at),
        "closed_at": None,
        "status_reason": None,
        "overdue": draw.random() < 0.05,
        "born_overdue": False,
        "lateness": None,
        "attribution": None,
        "attempts": 0,
        "tcm_contact_status": None,
        "flags": ["AMA"] if number % 50 == 0 else [],
        "masked": False,
        "appointment_id": None,
        "protocol": "core",
        "rule": "core/call-48h",
        "policy_version": "P0",
        "caused_by": [f"GEN-{number // 3}"],
    }


def _gap(number: int, task: dict[str, Any]) -> dict[str, Any]:
    return {
        "gap_id": f"gap-{number}",
        "version": 1,
        "patient": task["patient"],
        "patient_key": task["patient_key"],
        "transition_id": task["transition_id"],
        "scope": None,
        "facility": task["facility"],
        "code": "NO_PCP_APPOINTMENT",
        "subject": "",
        "status": "open",
        "occurrence": 1,
        "severity": "high",
        "team": "scheduling",
        "since": task["opened_at"],
        "opened_at": task["opened_at"],
        "closed_at": None,
        "close_reason": None,
        "evidence": {},
        "flags": [],
        "rule": "core/no-pcp-appointment",
        "policy_version": "P0",
        "caused_by": [],
    }


class MadeFeed:
    """Records made as they are read."""

    name = "bench"
    pace = 1.0

    def __init__(self, tasks: int) -> None:
        self._records = records(tasks)

    def now(self) -> int:
        return BEGIN

    def firsts(self) -> Positions:
        return {}

    def ends(self) -> Positions:
        return {}

    def read(self, positions: Positions, limit: int, wait_s: float) -> Fetched:
        del positions, wait_s
        found = [one for _, one in zip(range(limit), self._records, strict=False)]
        return Fetched(found, {(r.topic, 0): r.offset + 1 for r in found})

    def sample(self) -> Sample | None:
        return None

    def close(self) -> None:
        """Nothing is open."""


def questions(db: sqlite3.Connection) -> dict[str, Callable[[random.Random], object]]:
    """What the API asks, as it asks it."""
    supervisor = principal("s", frozenset({"supervisor"}), frozenset(), frozenset({"*"}))
    nurse = principal(
        "nurse-0", frozenset({"rn"}), frozenset({"nurse-outreach", "pharmacy"}), frozenset({"F1"})
    )
    ids = [row[0] for row in db.execute("SELECT task_id FROM tasks LIMIT 5000")]
    keys = [row[0] for row in db.execute("SELECT patient_key FROM tasks LIMIT 5000")]

    def listing(who: Any, **filters: Any) -> Callable[[random.Random], object]:
        said = TaskFilter(**filters)
        return lambda _: lists.page(db, "tasks", said.where(who), said.order(), 50, None)

    deep = TaskFilter()
    cursor: str | None = None
    for _ in range(90):
        shown = lists.page(db, "tasks", deep.where(supervisor), deep.order(), 500, cursor)
        cursor = shown.next
    gaps = GapQuery()
    return {
        "list, all": listing(supervisor),
        "list, page 900": lambda _: lists.page(
            db, "tasks", deep.where(supervisor), deep.order(), 50, cursor
        ),
        "list, a nurse's": listing(nurse),
        "list, a nurse's own": listing(nurse, owner=["me"]),
        "list, unowned of a team": listing(supervisor, team=["pharmacy"], owner=["none"]),
        "list, two teams by due": listing(
            supervisor, team=["pharmacy", "scheduling"], sort="due_at"
        ),
        "list, a flag": listing(supervisor, flag=["AMA"]),
        "list, overdue": listing(supervisor, overdue=True),
        "list, newest changes": listing(supervisor, sort="-updated_at"),
        "gaps, a nurse's": lambda _: lists.page(
            db, "gaps", gaps.where(nurse), gaps.order(), 50, None
        ),
        "queues": lambda _: lists.queues(db, tasks_of(supervisor), "s", BEGIN),
        "one task": lambda draw: lists.one(db, "tasks", draw.choice(ids), tasks_of(nurse)),
        "a patient": lambda draw: (
            stories.may_see_patient(db, nurse, key := draw.choice(keys)),
            stories.timeline(db, nurse, key, None, 100),
            stories.tasks_of_patient(db, nurse, key),
            db.execute(
                f"SELECT count(*) FROM gaps WHERE patient_key = ? AND {gaps_of(nurse).sql}",  # noqa: S608
                (key, *gaps_of(nurse).values),
            ).fetchone(),
        ),
    }


def main() -> None:
    """Fill and ask."""
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / tables.FILE
        begun = time.process_time()
        projection = Projection(path, MadeFeed(tasks), lambda s: patient_key(b"k" * 16, s))
        count = 0
        while projection.step() is not None:
            count += 1
        projection.close()
        spent = time.process_time() - begun
        made = tasks * 2 + (tasks + 2) // 3
        print(f"projected {made:,} records in {spent:.1f} CPU-s, {made / spent:,.0f}/CPU-s", end="")
        print(f", {path.stat().st_size / 1e6:.0f} MB (making the records included)")
        with closing(tables.connect(path, write=False)) as db:
            for name, ask in questions(db).items():
                draw, taken = random.Random(2), []
                for _ in range(ASKED):
                    start = time.process_time()
                    ask(draw)
                    taken.append((time.process_time() - start) * 1000)
                taken.sort()
                print(f"{name:28} best {taken[0]:7.2f} ms   p99 {taken[int(ASKED * 0.99)]:7.2f} ms")


if __name__ == "__main__":
    main()
