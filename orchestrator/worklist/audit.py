"""One record on ``care.audit.v1`` for each answer about patient data, before it is sent.

Who, in which role, what, about whom (by patient key), with what outcome.  What cannot be recorded
is not shown.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

import orjson
import structlog

from orchestrator.worklist import edge, measures
from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.instants import text_of
from orchestrator.worklist.log.feed import AUDIT, LogAway, Sender
from orchestrator.worklist.problems import Problem

Deed = Literal[
    "read",
    "search",
    "act",
    "export",
    "raw",
    "retry",
    "discard",
    "break-glass",
    "sign-in",
    "config",
]
# A record is at most 1 MiB on the topic; of longer lists the query's hash and the count tell.
KEYS_MAX: Final = 2_000
OUTAGES: Final = 100

logger = structlog.get_logger()


@dataclass(slots=True)
class Account:
    """What a request touched, as far as its handler has told."""

    patient_keys: set[str] = field(default_factory=set)
    objects: list[str] = field(default_factory=list)  # `task/<id>`, `gap/<id>`, …
    query_hash: str | None = None
    rows: int | None = None
    purpose: str | None = None
    outcome: str | None = None  # where the status of the answer does not tell it


@dataclass(slots=True)
class Outage:
    """A time in which no record could be written, and so nothing was shown."""

    since: int
    until: int | None = None  # ``None``: it goes on


class Audit:
    """
    Writes the records.

    Attributes:
        outages: Those that this process saw, the oldest first.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self.failing = False
        self.outages: deque[Outage] = deque(maxlen=OUTAGES)

    async def write(
        self, who: Principal, deed: Deed, outcome: str, account: Account, request_id: str
    ) -> None:
        """
        Write one record durably.

        Raises:
            Problem: ``audit-unavailable``; nothing may be shown.
        """
        keys = sorted(account.patient_keys)
        record = {
            "audit_id": edge.new_id(),
            "at": text_of(edge.now()),
            "actor": who.actor,
            "client_id": who.client_id,
            "roles": sorted(who.roles),
            "action": deed,
            "outcome": outcome,
            "patient_keys": keys[:KEYS_MAX],
            "objects": account.objects[:KEYS_MAX],
            "query_hash": account.query_hash,
            "rows": account.rows,
            "purpose": account.purpose,
            "request_id": request_id,
        }
        try:
            await self._sender.send(AUDIT, who.actor, orjson.dumps(record))
        except LogAway as problem:
            measures.AUDIT_FAILURES.inc()
            if not self.failing:
                logger.error("audit.failed", reason=type(problem).__name__)  # noqa: TRY400 - away
                self.outages.append(Outage(edge.now()))
            self.failing = True
            raise Problem("audit-unavailable") from None
        if self.failing:
            self.outages[-1].until = edge.now()
        self.failing = False
        measures.AUDIT_RECORDS.labels(deed).inc()
