"""Sends dead letters again from a terminal, shows how far it is, and ends where Ctrl-C says so."""

from typing import TYPE_CHECKING, Any, Final

from orchestrator.cli.console import Progress as Bars
from orchestrator.cli.console import Step
from orchestrator.cli.dlq_desk import Desk
from orchestrator.worklist import edge
from orchestrator.worklist.audit import Account
from orchestrator.worklist.jobs import Progress
from orchestrator.worklist.retrying import Outcome, Sent, told
from orchestrator.worklist.retrying_many import WAIT_S, Many, as_plain

if TYPE_CHECKING:
    from orchestrator.worklist.model.letters import Chosen

_SECONDS: Final = "s"


class Sending:
    """
    What `dlq retry` does.

    Args:
        dry_run: Nothing is appended; the letters stay open.
    """

    def __init__(self, desk: Desk, bar: Bars, *, dry_run: bool) -> None:
        self._desk = desk
        self._bar = bar
        self.dry_run = dry_run
        desk.on_tick = _Waited(bar("waiting", unit=_SECONDS)).tick

    async def one(self, place: str, replacement: bytes | None) -> dict[str, Any]:
        """The letter of *place*, as it was or mended."""
        desk = self._desk
        if self.dry_run:
            sent = Sent(*await desk.retrying.look(desk.who, place, replacement))
            again = sent.again
            if again.reject is None:
                return as_plain(place, Outcome("accepted" if again.events else "ignored"))
            return as_plain(place, await desk.retrying.outcome(sent, 0.0))
        account = Account()
        async with desk.retrying.of(place, account):
            sent = await desk.retrying.send(desk.who, place, account, replacement=replacement)
            outcome = account.outcome or "success"
            await desk.audit.write(desk.who, "retry", outcome, account, edge.new_id())
            found = await desk.retrying.outcome(sent, WAIT_S)
        told(sent.letter, found)
        return as_plain(place, found)

    async def many(self, chosen: "Chosen") -> dict[str, Any]:
        """All of *chosen*, or as many as there was time for."""
        desk = self._desk
        work = Many(desk, desk.who, chosen, self.dry_run, edge.new_id())
        return await work.run(_Shown(self._bar("looking" if self.dry_run else "sending"), desk))


class _Shown(Progress):
    """A job's progress as a bar, ended by Ctrl-C."""

    def __init__(self, step: Step, desk: Desk) -> None:
        super().__init__()
        self._step = step
        self._desk = desk

    def at(self, done: int, total: int) -> None:
        super().at(done, total)
        self._step(done, total)
        self.stopped = self._desk.stopped.is_set()


class _Waited:
    """How long has been waited for what follows."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._began: float | None = None

    def tick(self) -> None:
        now = edge.elapsed()
        if self._began is None:
            self._began = now
        self._step(min(int(now - self._began), int(WAIT_S)), int(WAIT_S))
