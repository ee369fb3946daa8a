"""Random lives under several numbers: stays, visits, marks of every kind, and what nurses do.

Events are drawn one at a time, because nurses act on tasks that were published until then.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

from orchestrator.core.instants import DAY, HOUR, MINUTE, read, written

Event = dict[str, Any]
START: Final = read("2026-10-05T12:00:00Z")
REMEMBERED: Final = 20 * DAY  # a repeat within 30 days of the first is known as one
NURSES: Final = ("ann", "bob")
KINDS: Final = ("CALL_48H", "CALL_48H", "PCP_VISIT_7D", "MED_REC")


class Teller:
    """Says one thing after another; what was said is kept."""

    def __init__(self, rng: Random, *, commands: bool) -> None:
        self._rng = rng
        self._commands = commands
        self.subjects = [f"GEN|{letter}" for letter in "ABCDE"[: rng.choice((2, 3, 3, 4, 5))]]
        self.now = START
        self.said: list[Event] = []

    def next(self, tasks: Callable[[], Sequence[dict[str, Any]]]) -> Event:
        """
        Say one more thing.

        Args:
            tasks: Those that were published, for nurses.
        """
        rng = self._rng
        self.now += rng.choice((MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, DAY, 2 * DAY))
        if rng.random() < 0.01:
            self.now += 100 * DAY  # so that stays are put away
        recent = [one for one in self.said if read(one["receivedtime"]) > self.now - REMEMBERED]
        if recent and rng.random() < 0.04:
            event = rng.choice(recent) | {"receivedtime": written(self.now)}
        else:
            event = self._fresh(tasks)
        self.said.append(event)
        return event

    def _fresh(self, tasks: Callable[[], Sequence[dict[str, Any]]]) -> Event:
        what = self._rng.choices(
            (self._stay, self._other, self._joined, self._moved, self._linked, self._renumbered),
            (9, 3, 5, 2, 1, 1),
        )[0]
        if self._commands and self._rng.random() < 0.25:
            known = tasks()
            if known:
                return self._command(known)
        return what()

    def _event(self, word: str, subject: str, /, **data: Any) -> Event:
        rng = self._rng
        time = self.now - rng.choice((0, 0, HOUR, 12 * HOUR, 2 * DAY))
        if rng.random() < 0.04:
            time = self.now + rng.randint(1, 20) * HOUR
        return {
            "specversion": "1.0",
            "id": f"E{len(self.said) + 1}",
            "source": "hospital/GEN/adt",
            "type": f"care.{word}.v1",
            "time": written(time),
            "recordedtime": written(min(time, self.now)),
            "subject": subject,
            "facility": data.pop("facility", None) or rng.choice(("GEN", "GEN", "GEN", "MID")),
            "receivedtime": written(self.now),
            "data": data,
        }

    def _visit(self, subject: str) -> str:
        """Numbers are a subject's own; but for one that several use, and where records are one."""
        what, number = self._rng.random(), self._rng.randint(1, 3)
        if what < 0.05:
            return "VX"
        if what < 0.15:
            subject = self._rng.choice(self.subjects)
        return f"V{number}{subject[-1]}"

    def _account(self, subject: str) -> str:
        return f"AC{self._rng.randint(1, 2)}{subject[-1]}"

    def _stay(self) -> Event:
        rng, subject = self._rng, self._rng.choice(self.subjects)
        visit = self._visit(subject)
        what = rng.random()
        if what < 0.35:
            kind = rng.choice(("INPATIENT", "INPATIENT", "OBSERVATION", "EMERGENCY"))
            said = {"class": kind} | (
                {"account_number": self._account(subject)} if rng.random() < 0.3 else {}
            )
            return self._event("admission.opened", subject, visit_number=visit, **said)
        if what < 0.8:
            code = rng.choice(("01", "01", "01", "06", "03", "07", "20"))
            return self._event(
                "discharge.recorded", subject, visit_number=visit, disposition={"code": code}
            )
        kind = rng.choice(("discharge.cancelled", "discharge.cancelled", "admission.cancelled"))
        return self._event(kind, subject, visit_number=visit)

    def _other(self) -> Event:
        rng, subject = self._rng, self._rng.choice(self.subjects)
        what = rng.random()
        if what < 0.7:
            kind = rng.choice(("booked", "booked", "cancelled", "fulfilled"))
            return self._event(
                f"appointment.{kind}",
                subject,
                appointment_id=f"AP{rng.randint(1, 3)}{subject[-1]}",
                starts_at=written(self.now + rng.randint(1, 5) * DAY),
                provider={"is_pcp": True},
            )
        if what < 0.8:
            return self._event("patient.died", subject)
        if what < 0.83:
            return self._event("patient.updated", subject, test_patient=rng.random() < 0.5)
        wish = rng.choice(("accept", "decline-calls", "decline-all"))
        return self._event("patient.preference_changed", subject, outreach=wish)

    def _joined(self) -> Event:
        one, other = self._rng.sample(self.subjects, 2)
        what = self._rng.random()
        if what < 0.55:
            return self._event("patient.merged", one, retired=other)
        if what < 0.9:
            return self._event("patient.unmerged", one, retired=other)
        third = self._rng.choice([name for name in self.subjects if name != other])
        return self._event("patient.identifiers_moved", one, identifier=third, **{"from": other})

    def _moved(self) -> Event:
        one, other = self._rng.sample(self.subjects, 2)
        whose = other if self._rng.random() < 0.5 else self._rng.choice(self.subjects)
        said = {"from": other, "visit_number": self._visit(whose)}
        if self._rng.random() < 0.25:
            account = self._account(whose)
            said |= {"visit_number": account, "account_number": account}
        return self._event("patient.visit_moved", one, **said)

    def _renumbered(self) -> Event:
        subject = self._rng.choice(self.subjects)
        now, before = self._visit(subject), self._visit(subject)
        said = {"visit_number": now, "previous_visit_number": before}
        return self._event("admission.updated", subject, **said)

    def _linked(self) -> Event:
        subject = self._rng.choice(self.subjects)
        number = f"EMPI|{self._rng.randint(1, 2)}"
        identifiers = [{"authority": "EMPI", "value": number[5:]}]
        return self._event("patient.updated", subject, identifiers=identifiers)

    def _command(self, tasks: Sequence[dict[str, Any]]) -> Event:
        rng, task = self._rng, self._rng.choice(tasks)
        kind = rng.choice(("accepted", "attempted", "completed", "completed", "released", "noted"))
        said: dict[str, Any] = {"actor": rng.choice(NURSES), "role": "rn"}
        if kind in ("attempted", "completed"):
            said["reached"] = rng.choice(("patient", "voicemail"))
        if rng.random() < 0.7:
            said["task_id"] = task["task_id"]
        else:
            said["visit_number"] = self._visit(task["subject"])
            said["kind"] = rng.choice(KINDS)
            said["facility"] = task["facility"]
        if rng.random() < 0.2:
            said["if_version"] = rng.choice((1, task["version"]))
        subject = task["subject"] if rng.random() < 0.8 else rng.choice(self.subjects)
        event = self._event(f"task.{kind}", subject, **said)
        now = written(self.now)
        return event | {"time": now, "recordedtime": now, "source": "care-team"}
