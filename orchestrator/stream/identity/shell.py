"""A desk's way into the round that is being worked out."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from orchestrator.core import together
from orchestrator.core.announce import Joined
from orchestrator.core.facts import Told
from orchestrator.core.marks import visit_of
from orchestrator.core.patient import Patient
from orchestrator.stream.identity.charts import Row
from orchestrator.stream.identity.desk import Body, Desk
from orchestrator.stream.rounds import DEADLINE

if TYPE_CHECKING:
    from orchestrator.stream.working import Working


class AtDesk:
    """The `streams.Shell` of one round."""

    def __init__(self, working: "Working") -> None:
        self._working = working
        self.now = working.now
        self.partition = working.partition

    def send(self, key: str, message: dict[str, Any]) -> None:
        self._working.send(key, message)

    def told(self, body: Body) -> tuple[Told, str]:
        return self._working.told(body)

    def put_away(self, desk: Desk, name: str) -> Iterable[Row]:
        return self._working.store.put_away(self._lies(desk, name))

    def left(self, desk: Desk, name: str) -> None:
        working = self._working
        lies = self._lies(desk, name)
        for row in [row for row in working.round.cells if row[0] == lies]:
            del working.round.cells[row]
        working.round.heads.pop(lies, None)
        working.round.gone.append(lies)
        if name == desk.subject:
            empty = working.touched[desk.key] = Patient(desk.subject, desk.key)
            working.processor.replace(desk.key, empty)

    def arrived(self, desk: Desk, name: str, patient: Patient) -> None:
        if name == desk.subject:
            self._working.touched[desk.key] = patient
            self._working.processor.replace(desk.key, patient)

    def step(
        self, desk: Desk, patient: Patient, told: list[tuple[Told, str]], joined: Joined | None
    ) -> None:
        working = self._working
        fresh = []
        for one, _ in told:
            member = patient.member(one.under)
            lies = self._lies(desk, member.subject)
            found = working.unsealed(member, lies, one, named=True)
            if visit_of(member.subject) is None:
                fresh.append((found, member))
                working.say(one, patient.floor)
        teams = _teams(patient)
        changes = together.fact(
            patient,
            [one for one, _ in told],
            patient.floor,
            working.stamp,
            working.processor.rules,
            joined,
        )
        lane = told[0][1] if told else ""
        receipt = told[0][0].receipt if told else 0
        self._publish(desk, changes, teams, lane, receipt)
        working.show(patient, _partitions(desk))
        for cells, member in fresh:
            working.claim(cells, member)

    def fire(self, desk: Desk, patient: Patient, until: int) -> None:
        if patient.wake is None or patient.wake > until:
            return
        for member in patient.members():
            self._working.recall(member, self._lies(desk, member.subject), until)
        teams = _teams(patient)
        changes = together.clock(patient, until, self._working.processor.rules)
        self._publish(desk, changes, teams, DEADLINE)
        self._working.show(patient, _partitions(desk))

    def _publish(
        self,
        desk: Desk,
        changes: list[dict[str, Any]],
        teams: dict[str, str],
        lane: str,
        receipt: int = 0,
    ) -> None:
        lies = _partitions(desk)
        for change in changes:
            self._working.publish([change], teams, lane, receipt, lies[change["subject"]])

    def settled(self, desk: Desk, *, settled: bool) -> None:
        self._working.tally.moves(desk.key, self._working.stamp, under_way=not settled)

    def _lies(self, desk: Desk, name: str) -> str:
        return self._working.processor.lies(desk.key, name, desk.subject)


def _teams(patient: Patient) -> dict[str, str]:
    return {
        task: row["team"] for one in patient.members() for task, row in one.ledger.tasks.items()
    }


def _partitions(desk: Desk) -> dict[str, int]:
    return {chart.patient.subject: chart.partition for chart in desk.charts.values()}
