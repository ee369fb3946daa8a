"""Whether somebody may see one patient: theirs by facility or team, or opened by break-glass.

Break-glass is for the one who finds a stranger on the floor: a clinician, with a reason, one
patient, an hour.  It is told to whoever watches over privacy, and every look is marked.
"""

import asyncio
import sqlite3
from dataclasses import replace
from typing import Final

import structlog

from orchestrator.worklist import edge, measures
from orchestrator.worklist.api.guard import Call
from orchestrator.worklist.instants import SECOND, text_of
from orchestrator.worklist.model import stories
from orchestrator.worklist.problems import Problem

GRANT: Final = 3600 * SECOND
BREAK_GLASS: Final = "break-glass"

logger = structlog.get_logger()


async def admitted(call: Call, key: str) -> str:
    """
    The key under which the patient of *key* is known now.

    While a grant is open, ``call.who`` is as wide as this one patient needs; what Part 2 keeps
    back stays back, and lists and exports never come this way.

    Raises:
        Problem: ``not-found``, also for who may not see the patient.
    """

    def read(db: sqlite3.Connection) -> tuple[str, bool]:
        survivor = stories.survivor(db, key)
        return survivor, stories.may_see_patient(db, call.who, survivor)

    survivor, may_see = await call.site.reader.ask(read)
    call.account.patient_keys.update((key, survivor))
    if may_see:
        return survivor
    opened = BREAK_GLASS in call.who.may and await asyncio.to_thread(
        call.site.store.is_granted, call.who.actor, survivor, edge.now()
    )
    if not opened:
        raise Problem("not-found")
    call.who = replace(call.who, facilities=None, teams=None)
    call.account.purpose = BREAK_GLASS
    return survivor


async def open_by_force(call: Call, key: str, reason: str) -> tuple[str, str]:
    """
    Let the caller see one patient for an hour.

    Returns:
        The patient's key of now, and until when.

    Raises:
        Problem: ``not-found``: nobody of that key is known.
    """

    def read(db: sqlite3.Connection) -> str | None:
        survivor = stories.survivor(db, key)
        known = db.execute("SELECT 1 FROM changes WHERE patient_key = ? LIMIT 1", (survivor,))
        return survivor if known.fetchone() is not None else None

    survivor = await call.site.reader.ask(read)
    call.account.patient_keys.add(key)
    call.account.purpose = reason
    if survivor is None:
        raise Problem("not-found")
    until = edge.now() + GRANT
    await asyncio.to_thread(call.site.store.grant, call.who.actor, survivor, until)
    measures.BREAK_GLASS.inc()
    # The alert: whoever watches over privacy is told by the log and the metric.
    logger.warning("auth.break_glass", patient_key=survivor)
    return survivor, text_of(until)
