"""The stored forms of a patient: head, ledger and cells as plain data with a format version."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from orchestrator.core.cells import (
    FORMAT,
    AppointmentCell,
    Cell,
    FacilityCell,
    PersonCell,
    VisitCell,
    WorkCell,
)
from orchestrator.core.facts import (
    Admitted,
    AppointmentSaid,
    Command,
    DischargeSaid,
    PersonSaid,
    Stamp,
    Told,
    VisitMark,
    VisitSaid,
)
from orchestrator.core.marks import Mark
from orchestrator.core.patient import Patient, Waiting
from orchestrator.core.reconcile import Ledger

_LOADERS: Final[Mapping[str, Callable[[list[Any]], Cell]]] = {
    "visit": VisitCell.load,
    "appointment": AppointmentCell.load,
    "person": PersonCell.load,
    "work": WorkCell.load,
    "facility": FacilityCell.load,
}


def load_cell(kind: str, plain: list[Any]) -> Cell:
    """A cell from its stored form."""
    return _LOADERS[kind](plain)


def dump_head(patient: Patient) -> list[Any]:
    """The head as plain data: what changes at nearly every step."""
    return [
        FORMAT,
        patient.subject,
        patient.wake,
        patient.plan_wake,
        patient.seal_at,
        patient.seq,
        patient.at,
        [_dump_told(one) for one in patient.held],
        [[one.until, one.command.dump()] for one in patient.waiting],
        *([patient.floor, patient.counts_as] if patient.floor or patient.counts_as else ()),
    ]


def load_head(patient: Patient, plain: list[Any]) -> None:
    """The inverse of `dump_head`, into *patient*."""
    (
        _,
        _,
        patient.wake,
        patient.plan_wake,
        patient.seal_at,
        patient.seq,
        patient.at,
        held,
        waiting,
        *joined,
    ) = plain
    patient.floor, patient.counts_as = joined or (0, "")
    patient.held = [_load_told(one) for one in held]
    patient.waiting = [Waiting(until, Command.load(one)) for until, one in waiting]


def dump_ledger(ledger: Ledger) -> list[Any]:
    """The ledger as plain data."""
    return [
        FORMAT,
        list(ledger.transitions.values()),
        list(ledger.tasks.values()),
        list(ledger.gaps.values()),
        *([ledger.shown] if ledger.shown[0] else ()),
    ]


def load_ledger(plain: list[Any]) -> Ledger:
    """The inverse of `dump_ledger`; keeps the order of first publication."""
    _, transitions, tasks, gaps, *shown = plain
    return Ledger(
        {row["transition_id"]: row for row in transitions},
        {row["task_id"]: row for row in tasks},
        {row["gap_id"]: row for row in gaps},
        (shown[0][0], shown[0][1]) if shown else (0, ""),
    )


_FACTS = {
    one.__name__: one
    for one in (
        VisitSaid,
        Admitted,
        DischargeSaid,
        VisitMark,
        AppointmentSaid,
        PersonSaid,
    )
}


def _dump_told(told: Told) -> list[Any]:
    facts = []
    for one in told.facts:
        fields = {name: getattr(one, name) for name in type(one).__slots__}
        fields["stamp"] = list(fields["stamp"])
        facts.append([type(one).__name__, fields])
    command = None if told.command is None else told.command.dump()
    return [
        told.event,
        told.source,
        told.type,
        told.title,
        told.time,
        told.receipt,
        facts,
        command,
        told.effective,
        *([[list(mark) for mark in told.marks]] if told.marks else ()),
    ]


def _load_told(plain: list[Any]) -> Told:
    event, source, type_, title, time, receipt, facts, command, effective, *marks = plain
    loaded = []
    for name, plain_fields in facts:
        fields = {**plain_fields, "stamp": Stamp(*plain_fields["stamp"])}
        if "flags" in fields:
            fields["flags"] = tuple(fields["flags"])
        loaded.append(_FACTS[name](**fields))
    return Told(
        event,
        source,
        type_,
        title,
        time,
        receipt,
        tuple(loaded),
        None if command is None else Command.load(command),
        effective=effective,
        marks=tuple(Mark(*mark) for mark in marks[0]) if marks else (),
    )
