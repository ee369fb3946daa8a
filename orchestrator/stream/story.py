"""The canonical journal of one patient: all records that were ever joined run together.

Facts sorted by receipt, all of one instant in one step, then the clock; a clock at every due
instant in between (``models/history.py``).  Who is whom at an instant follows from the marks
received by then.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from orchestrator.core import picture, step, together
from orchestrator.core.facts import OF_VISIT, Contested, Told
from orchestrator.core.instants import read
from orchestrator.core.joining import Joining, said_of
from orchestrator.core.marks import Mark, origin_of, visit_of
from orchestrator.core.numbers import numbers_said
from orchestrator.core.patient import Patient
from orchestrator.core.policy import Rules
from orchestrator.stream.identity.claims import MOST


def in_order(change: Mapping[str, Any]) -> tuple[int, str, int]:
    """Where a change stands: by its instant (not the text of it), then its patient's own order."""
    return read(change["at"]), change["subject"], change["seq"]


@dataclass(slots=True)
class History:
    """What one subject was told, by instant of receipt."""

    told: dict[int, list[Told]] = field(default_factory=dict)

    def add(self, receipt: int, told: Told) -> None:
        self.told.setdefault(receipt, []).append(told)

    def events(self) -> Iterator[Told]:
        """Those that stand for an event."""
        return (told for instant in self.told.values() for told in instant if told.type)

    def marks(self) -> Iterator[Mark]:
        """What was said of who is whom."""
        return (mark for instant in self.told.values() for told in instant for mark in told.marks)


def silent(facts: Iterable[Any], receipt: int, event: str = "") -> Told:
    """Facts that no event of a timeline stands for."""
    return Told(event, "", "", "", receipt, receipt, tuple(facts))


def connected(subjects: dict[str, History]) -> list[list[str]]:
    """The subjects in the sets that marks connect, each in a fixed order; all that marks name."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while (above := parent.get(name, name)) != name:
            name = above
        return name

    for history in list(subjects.values()):
        for mark in history.marks():
            one, other = (root(name) for name in mark.names())
            parent[max(one, other)] = min(one, other)
            for name in mark.names():
                subjects.setdefault(name, History())
    groups: dict[str, list[str]] = {}
    for name in sorted(subjects):
        groups.setdefault(root(name), []).append(name)
    return list(groups.values())


def contest(subjects: Mapping[str, History]) -> None:
    """Tell all under whom the same facility and visit number came that there are others."""
    claims: dict[tuple[str, str], dict[str, int]] = {}
    for subject, history in subjects.items():
        for receipt, instant in history.told.items():
            for told in instant:
                for fact in told.facts:
                    if isinstance(fact, OF_VISIT) and told.type:
                        first = claims.setdefault((fact.facility, fact.visit), {})
                        first[subject] = min(first.get(subject, receipt), receipt)
    for (facility, visit), since in sorted(claims.items()):
        held: list[str] = []
        for at, name in sorted((at, name) for name, at in since.items()):
            known = [*held, name]
            if len(known) <= MOST:
                held = known
            if len(known) > 1:
                told = silent([Contested(facility, visit, frozenset(known))], at)
                for one in held if len(known) <= MOST else (name,):
                    subjects[one].add(at, told)


class Story:
    """A run of patients that are or were joined; most are one that never was."""

    def __init__(self, rules: Rules, key_of: Callable[[str], str], zone: str) -> None:
        self._rules = rules
        self._zone = zone
        self._joining = Joining(key_of)
        # What was told of visits' numbers; None where no visit was moved.
        self._numbers: set[tuple[str, str]] | None = None
        self.changes: list[dict[str, Any]] = []

    def run(self, told: Mapping[str, History], until: int) -> None:
        """Decide about all that *told* holds, and let the clock run to *until*."""
        for name in told:
            self._joining.patient(name)
        marks = (mark for history in told.values() for mark in history.marks())
        if any(mark.visit for mark in marks):
            self._numbers = set()
        # What is said ahead of its time counts when that comes.
        ahead: dict[int, list[tuple[str, Told]]] = {}
        for name, history in told.items():
            for one in history.events():
                if one.effective and one.effective <= until:
                    ahead.setdefault(one.effective, []).append((name, one))
        for at in sorted({at for history in told.values() for at in history.told} | ahead.keys()):
            self._clock(at - 1)
            here = {name: history.told[at] for name, history in told.items() if at in history.told}
            self._instant(at, here, ahead.get(at, []))
            self._clock(at)
        self._clock(until)

    def _clock(self, until: int) -> None:
        for patient in self._joining.homes():
            clock = together.clock if patient.others else step.clock
            self.changes += clock(patient, until, self._rules)

    def _instant(
        self,
        receipt: int,
        told: Mapping[str, Sequence[Told]],
        come: Iterable[tuple[str, Told]],
    ) -> None:
        every = ((name, one) for name, instant in told.items() for one in instant)
        count = chain(come, ((name, one) for name, one in every if not one.effective))
        marks = [mark for name, one in count for mark in self._said(name, one)]
        changed = self._joining.take(marks, self._zone) if marks else {}
        for patient in self._joining.homes():
            here = [one for name in _names(patient) for one in _told(name, told, patient)]
            joined = changed.get(patient.subject)
            if not here and joined is None:
                continue
            here.sort(key=lambda one: (one.time, one.source, one.event))
            now, rules = receipt - 1, self._rules
            if patient.others or joined is not None:
                self.changes += together.fact(patient, here, now, receipt, rules, joined)
            else:
                self.changes += step.fact(patient, here, now, receipt, rules)

    def _said(self, subject: str, told: Told) -> Iterator[Mark]:
        """What it says of who is whom and, each once, what other numbers visits go by."""
        yield from told.marks
        if self._numbers is not None:
            for mark in numbers_said(subject, told.facts):
                if (subject, mark.source) not in self._numbers:
                    self._numbers.add((subject, mark.source))
                    yield mark

    def operations(self) -> list[dict[str, Any]]:
        """The gaps of a feed."""
        return list(_newest(self.changes, "gap", "gap_id"))

    def patients(self, now: int) -> list[dict[str, Any]]:
        """As ``replay`` shows them: those who were heard of, or whose name stands for others."""
        by_subject: dict[str, list[dict[str, Any]]] = {}
        for change in self.changes:
            by_subject.setdefault(change["subject"], []).append(change)
        shown = []
        for patient in self._joining.homes():
            changes = [c for name in _names(patient) for c in by_subject.get(name, ())]
            if changes or patient.others:
                changes.sort(key=in_order)
                shown.append(self._shown(patient, changes, now))
        return shown

    def _shown(self, patient: Patient, changes: list[dict[str, Any]], now: int) -> dict[str, Any]:
        seen = patient.view(self._rules, sealed=True)
        return {
            "patient": patient.subject,
            "aliases": sorted(name for name in patient.others if visit_of(name) is None),
            "stays": picture.stays(seen, self._rules, now),
            "episodes": picture.episodes(seen, self._rules, now),
            "transitions": list(_newest(changes, "transition", "transition_id")),
            "tasks": list(_newest(changes, "task", "task_id")),
            "gaps": list(_newest(changes, "gap", "gap_id")),
            "scores": [],
            "medications": {},
            "notices": [c["notice"] for c in changes if c["change"] == "notice"],
            "timeline": [_entry(change) for change in changes],
        }


def _names(patient: Patient) -> list[str]:
    return [one.subject for one in patient.members()]


def _told(name: str, told: Mapping[str, Sequence[Told]], patient: Patient) -> Iterator[Told]:
    """What a member was told."""
    under = "" if name == patient.subject else name
    for one in told.get(origin_of(name), ()):
        said = said_of(one, name, under)
        if said is not None:
            yield said


def _newest(changes: Iterable[Mapping[str, Any]], kind: str, name: str) -> Iterable[dict[str, Any]]:
    """Every thing ever published, in its newest version, in order of first publication."""
    found: dict[str, dict[str, Any]] = {}
    for change in changes:
        if kind in change:
            thing = change[kind]
            held = found.get(thing[name])
            if held is None or held["version"] < thing["version"]:
                found[thing[name]] = thing
    return found.values()


def _entry(change: Mapping[str, Any]) -> dict[str, Any]:
    entry = {"at": change["at"], "change": change["change"], "title": change["why"]}
    if "event" in change:
        event = change["event"]
        entry |= {
            "event_id": event["id"],
            "type": event["type"],
            "time": event["time"],
            "receivedtime": event["receivedtime"],
        }
    else:
        entry["caused_by"] = change["caused_by"]
    return entry
