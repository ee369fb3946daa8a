"""The change records of one step: what is told, to whom, and in which sentence."""

from dataclasses import dataclass
from typing import Any

from orchestrator.core.facts import Command, Told
from orchestrator.core.instants import written
from orchestrator.core.patient import Patient
from orchestrator.core.reconcile import WITHDRAWN, Change
from orchestrator.core.why import clipped

UPDATES = ("task.updated", "transition.updated", "gap.changed")
MERGED = "records were joined"  # a sentence that says so itself (`why`)


@dataclass(frozen=True, slots=True)
class Joined:
    """Why the members of a patient are others than before: the event, and a sentence."""

    event: str
    why: str


class Announcer:
    """
    Collects change records.

    Attributes:
        causes: The events that are being taken in.
        taking: The command whose effect is being planned.
        joined: The members are others than before.
    """

    joined: Joined | None = None

    def __init__(self, patient: Patient, now: int, at: int) -> None:
        self.patient = patient
        self.now = now
        self.at = at
        self.changes: list[dict[str, Any]] = []
        self.causes: list[str] = []
        self.taking: Command | None = None

    def recorded(self, told: Told, under: Patient) -> None:
        """The hospital's event, for the timeline."""
        if not told.type:
            return
        self.record(
            "event.recorded",
            [told.event],
            told.title,
            under,
            event={
                "id": told.event,
                "type": told.type,
                "time": written(told.time),
                "receivedtime": written(told.receipt),
                "title": told.title,
            },
        )

    def changed(self, change: Change, under: Patient) -> None:
        thing: dict[str, Any] = {change.kind: change.thing}
        why = change.why
        if self.joined is not None and change.before is not None:
            was = change.before["patient"]
            if was != change.thing["patient"]:
                thing["merged_from"] = was
            why = _of_joined(self.joined, change)
        self.record(change.change, self.causes, why, under, **thing)
        before = change.before
        if change.kind == "task" and before is not None and before["owner"] is not None:
            status = change.thing["status"]
            gone, was_gone = status in WITHDRAWN, before["status"] in WITHDRAWN
            if gone and not was_gone:
                self.notice(before["owner"], change.thing["task_id"], why, under)
            elif was_gone and not gone and change.thing["owner"] == before["owner"]:
                text = clipped(f"Yours again. {change.why}")
                self.notice(before["owner"], change.thing["task_id"], text, under)
            elif (
                self.taking is not None
                and change.thing["owner"] != before["owner"] != self.taking.actor
            ):
                text = "Passed on by another."
                self.notice(before["owner"], change.thing["task_id"], text, under)

    def notice(self, to: str, task: str, text: str, under: Patient) -> None:
        notice = {"at": written(self.at), "to": to, "task_id": task, "text": text}
        self.record("notice", self.causes, text, under, notice=notice)

    def record(
        self, change: str, causes: list[str], why: str, under: Patient, **thing: Any
    ) -> None:
        under.seq += 1
        self.changes.append(
            {
                "seq": under.seq,
                "at": written(self.at),
                "patient": self.patient.subject,
                "subject": under.subject,
                "patient_key": self.patient.key,
                "change": change,
                **thing,
                "caused_by": list(causes),
                "why": why,
            }
        )

    def accepted(self, command: Command, under: Patient) -> None:
        """Nothing changed in the task (a note): the actor still gets an answer."""
        causes = [command.stamp.event]
        self.record("command.accepted", causes, "Recorded.", under, command=_named(command))

    def refused(self, command: Command, reason: str, under: Patient) -> None:
        self.record(
            "command.refused",
            [command.stamp.event],
            (REFUSED if command.gap_id is None or command.task_id else REFUSED_GAP)[reason],
            under,
            command={**_named(command), "reason": reason},
        )


def _of_joined(joined: Joined, change: Change) -> str:
    """The sentence of a change beside what happened to the records."""
    if change.change not in UPDATES:
        if change.kind == "gap" or MERGED in change.why:
            return change.why
        if change.thing["status"] in (*WITHDRAWN, "closed"):
            # Stop is read first; why may lie in facts of the other record.
            return clipped(f"{change.why} {joined.why}")
    # What is owed must stay readable behind what happened.
    return clipped(f"{joined.why} {change.why}")


REFUSED = {
    "terminal": "Refused: the task is no longer open.",
    "unknown-task": "Refused: no such task.",
    "version": "Refused: the task has changed since it was read.",
    "role": "Refused: this role may not do it.",
    "owner": "Refused: somebody else has accepted it.",
}
REFUSED_GAP = REFUSED | {
    "terminal": "Refused: the gap is no longer open.",
    "unknown-task": "Refused: no such gap.",
    "role": "Refused: nobody can close this by hand; it closes when what is missing is there.",
}


def _named(command: Command) -> dict[str, Any]:
    return {
        "event": command.stamp.event,
        "source": command.stamp.source,
        "what": command.what,
        "task_id": command.task_id,
        "gap_id": command.gap_id,
    }
