"""Sends many dead letters again, or looks what would become of them: a job.

All are sent before anything is waited for; then one wait tells what became of each.
"""

from collections import Counter
from typing import Any, Final, NamedTuple, Protocol

from orchestrator.worklist import edge
from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.audit import Account, Audit
from orchestrator.worklist.jobs import Progress
from orchestrator.worklist.model import letters
from orchestrator.worklist.model.letters import Chosen
from orchestrator.worklist.problems import Problem
from orchestrator.worklist.retrying import Outcome, Retrying, Rows, Sent, told

MOST: Final = 10_000  # letters of one job
SHOWN: Final = 500  # of which the result tells each
WAIT_S: Final = 30.0
FASTER: Final = ("not-found", "not-possible-now")  # somebody was
FOREIGN: Final = (
    "facility-not-allowed",
    "forbidden",
    "unprocessable",
)  # not for this person to send


class Desk(Protocol):
    """Where it is done: at a worklist, or at a terminal."""

    @property
    def reader(self) -> Rows: ...
    @property
    def retrying(self) -> Retrying: ...
    @property
    def audit(self) -> Audit: ...


class Many(NamedTuple):
    """
    One such job.

    Attributes:
        dry_run: Nothing is appended; the letters stay open.
    """

    site: Desk
    who: Principal
    chosen: Chosen
    dry_run: bool
    request_id: str

    async def run(self, progress: Progress) -> dict[str, Any]:
        """The job's work; its result, also of as much as there was when it was stopped."""
        site, who = self.site, self.who
        found = await site.reader.ask(lambda db: letters.listed(db, who, self.chosen, 0, MOST))
        places = [letter.place for _, letter in found]
        progress.at(0, len(places))
        sent: list[tuple[str, Sent | Outcome]] = []
        ended: str | None = None
        for number, place in enumerate(places, 1):
            if progress.stopped:
                break
            try:
                sent.append((place, await self._one(place)))
            except Problem as problem:
                if problem.reason in FOREIGN:
                    sent.append((place, Outcome("refused", problem.reason)))
                elif problem.reason not in FASTER:
                    ended = problem.reason
                    break
            progress.at(number, len(places))
        outcomes = await self._outcomes(sent, progress)
        return _result(outcomes, dry_run=self.dry_run, left=len(places) - len(sent), ended=ended)

    async def _one(self, place: str) -> Sent:
        retrying = self.site.retrying
        if self.dry_run:
            letter, again = await retrying.look(self.who, place)
            return Sent(letter, again._replace(rows=()))
        account = Account()
        async with retrying.of(place, account):
            sent = await retrying.send(self.who, place, account)
            outcome = account.outcome or "success"
            await self.site.audit.write(self.who, "retry", outcome, account, self.request_id)
        return sent

    async def _outcomes(
        self, sent: list[tuple[str, Sent | Outcome]], progress: Progress
    ) -> list[tuple[str, Outcome]]:
        found: list[tuple[str, Outcome]] = []
        end = edge.elapsed() + WAIT_S  # of all of them together
        for place, one in sent:
            if isinstance(one, Outcome):
                found.append((place, one))
                continue
            if self.dry_run and one.again.reject is None:
                found.append((place, Outcome("accepted" if one.again.events else "ignored")))
                continue
            left = 0.0 if progress.stopped else max(0.0, end - edge.elapsed())
            outcome = await self.site.retrying.outcome(one, left)
            if not self.dry_run:
                told(one.letter, outcome)
            found.append((place, outcome))
        return found


def _result(
    outcomes: list[tuple[str, Outcome]], *, dry_run: bool, left: int, ended: str | None
) -> dict[str, Any]:
    ends = Counter(outcome.result for _, outcome in outcomes)
    reasons = Counter(outcome.reason for _, outcome in outcomes if outcome.reason is not None)
    return {
        "dry_run": dry_run,
        "letters": len(outcomes),
        "left": left,
        "ended_by": ended,  # what kept the rest from being sent
        "accepted": ends["accepted"],
        "ignored": ends["ignored"],
        "refused": ends["refused"],
        "pending": ends["pending"],
        "reasons": dict(sorted(reasons.items())),
        "items": [as_plain(place, outcome) for place, outcome in outcomes[:SHOWN]],
    }


def as_plain(place: str, outcome: Outcome) -> dict[str, Any]:
    """What became of the letter of *place*, as answers tell it."""
    return {
        "id": place,
        "result": outcome.result,
        "reason": outcome.reason,
        "detail": outcome.detail,
        "changes": outcome.changes,
        "tasks_changed": outcome.tasks,
        "dead_letter": outcome.letter,
    }
