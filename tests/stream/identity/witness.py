"""What must hold at every instant of a run, told by somebody who sees everything.

One publisher per subject at a time, no version with two contents, no deadline before its instant
or before what was accepted before it, one verdict per command.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import orjson

import handlers
from events.canonical import decode
from orchestrator.core.facts import Told
from orchestrator.core.identity import homes
from orchestrator.core.instants import read, written
from orchestrator.core.marks import Mark, origin_of, visit_of
from orchestrator.core.numbers import numbers_said
from orchestrator.core.patient import Patient
from orchestrator.stream.identity.desk import Desk
from orchestrator.stream.identity.shell import AtDesk
from orchestrator.stream.rounds import Out
from orchestrator.stream.working import Working
from tests.stream.identity.site import SETTINGS

Plain = dict[str, Any]
KINDS = ("task", "gap", "transition")


class Broken(AssertionError):
    """A promise was broken."""


def demand(holds: bool, promise: str, *what: object) -> None:
    """Raise unless *holds*."""
    if not holds:
        raise Broken(promise, *what)


def verdicts(change: Plain, commands: set[str]) -> Iterator[tuple[str, str]]:
    """The commands that a change answers, and how: what it changed, or that it was refused."""
    if change["change"] != "event.recorded":
        verdict = "refused" if change["change"] == "command.refused" else "accepted"
        yield from ((event, verdict) for event in change["caused_by"] if event in commands)


class Witness:
    """Sees what is accepted, told to charts, and published."""

    def __init__(self) -> None:
        self.seq: dict[str, int] = defaultdict(int)
        self.things: dict[str, Plain] = {}
        self.verdicts: dict[str, str] = {}
        self.dated: dict[str, int] = defaultdict(int)
        self.commands: set[str] = set()
        self.deadlines = 0
        self._accepted: list[tuple[int, str, str]] = []  # receipt, subject, event
        self._marks: list[Mark] = []
        self._numbers = False  # whether visits go by other numbers, too
        self._broken: list[Broken] = []
        self._told: set[tuple[str, str]] = set()  # identifier, event
        self._fresh: list[tuple[str, str]] = []
        self._planned: dict[str, int] = {}  # by member its group's last clock
        self._clocks: dict[str, int] = {}

    def accepted(self, at: int, event: Plain) -> None:
        """A sender was told that we have it."""
        self._accepted.append((at, event["subject"], event["id"]))
        told = handlers.told(decode(orjson.dumps(event), SETTINGS), SETTINGS)
        self._marks += told.marks
        self._numbers |= any(True for _ in numbers_said(event["subject"], told.facts))
        if event["type"].startswith("care.task."):
            self.commands.add(event["id"])

    # At every step.

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See what patients are told, and what falls due."""
        tell, step, fire = Working._tell, AtDesk.step, AtDesk.fire

        def told(at: Working, key: str, patient: Patient, told: Told, lane: str = "") -> None:
            self._fresh.append((patient.subject, told.event))
            tell(at, key, patient, told, lane)

        def stepped(
            at: AtDesk, desk: Desk, patient: Patient, told: list[tuple[Told, str]], joined: Any
        ) -> None:
            self._fresh += [(one.under or patient.subject, one.event) for one, _ in told]
            self._plans(patient, patient.floor)
            step(at, desk, patient, told, joined)

        def fired(at: AtDesk, desk: Desk, patient: Patient, until: int) -> None:
            if patient.wake is not None and patient.wake <= until:
                try:
                    self._due(patient, until)
                except Broken as broken:  # not inside the processor, which parks what fails
                    self._broken.append(broken)
            self._plans(patient, until)
            fire(at, desk, patient, until)

        self._fresh, self._clocks = [], {}
        with (
            mock.patch.object(Working, "_tell", told),
            mock.patch.object(AtDesk, "step", stepped),
            mock.patch.object(AtDesk, "fire", fired),
        ):
            yield
        if self._broken:
            raise self._broken[0]

    def committed(self) -> None:
        """What was told in the round is true."""
        self._told.update(self._fresh)
        self._planned |= self._clocks

    def _plans(self, patient: Patient, now: int) -> None:
        """A group is planned at *now*: none of it was planned later before."""
        for member in (patient.subject, *patient.others):
            before = self._clocks.get(member, self._planned.get(member, 0))
            if now < before:
                self._broken.append(Broken("clock ran backwards", member, written(before)))
            self._clocks[member] = now

    def _due(self, patient: Patient, until: int) -> None:
        """Deadlines up to *until* fire: all that was accepted before must have been told."""
        self.deadlines += 1
        members = {name for name in patient.others if name == origin_of(name)} | {patient.subject}
        # What a decision tells the directory (a link, what was said ahead, the numbers of a visit
        # that is moved) comes one hop later, so a clock may overtake it.
        counts = [mark for mark in self._marks if mark.time < max(until, mark.receipt + 1)]
        hops = any(mark.what == "link" or mark.time > mark.receipt for mark in counts)
        moves = any(mark.visit for mark in counts)
        if not hops and not (moves and self._numbers) and all(m.receipt < until for m in counts):
            wanted = set(homes(counts).members(patient.subject)) or {patient.subject}
            here = {patient.subject, *patient.others}
            demand(wanted <= here, "premature: members", patient.subject, wanted - here)
            # A visit whose move turned out void stays a member of its own identifier's patient.
            alone = all(visit_of(name) is not None for name in here - wanted)
            demand(alone, "premature: members", patient.subject, here - wanted)
        for at, subject, event in self._accepted:
            if at < until and subject in members:
                known = (subject, event) in self._told or (subject, event) in self._fresh
                demand(known, "premature", subject, event, written(until))

    # At every output.

    def published(self, outputs: Iterable[Out]) -> None:
        """Changes in the order in which they were committed."""
        for out in outputs:
            if out.topic == "care.change.v1" and out.value is not None:
                self._change(orjson.loads(out.value))

    def _change(self, change: Plain) -> None:
        subject = change["subject"]
        demand(change["seq"] == self.seq[subject] + 1, "two publishers", subject, change["seq"])
        self.seq[subject] = change["seq"]
        at = read(change["at"])
        demand(at >= self.dated[subject], "dated back", change)
        self.dated[subject] = at
        for kind in KINDS:
            if kind in change:
                self._thing(change[kind], change[kind][f"{kind}_id"], at)
        self._verdict(change)

    def _thing(self, thing: Plain, name: str, at: int) -> None:
        known = self.things.get(name)
        version = 1 if known is None else known["version"] + 1
        demand(thing["version"] == version, "version left out or repeated", thing, known)
        if known is not None:
            demand(thing.get("subject") == known.get("subject"), "another subject", thing, known)
        if thing.get("overdue") and not (known and known["overdue"]):
            demand(at >= read(thing["due_at"]), "overdue before it is due", at, thing)
        self.things[name] = thing

    def _verdict(self, change: Plain) -> None:
        for event, verdict in verdicts(change, self.commands):
            known = self.verdicts.get(event)
            demand(known in (None, "accepted") and known in (None, verdict), "two verdicts", change)
            self.verdicts[event] = verdict
