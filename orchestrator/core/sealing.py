"""Sealing: what has been over for long is put away, so that a step costs no more with age.

A sealed cell still joins late facts and opens nothing any more; ledger rows of transitions that old
are dropped.  It happens at clocks only, so every run of a journal seals at the same place.
"""

from collections.abc import Container, Iterable

from orchestrator.core.cells import AppointmentCell, Cell, VisitCell
from orchestrator.core.instants import DAY, written
from orchestrator.core.patient import CellKey, Patient
from orchestrator.core.policy import Rules
from orchestrator.core.registers import value_of


def seal(patient: Patient, rules: Rules, now: int, members: Iterable[Patient]) -> None:
    """
    Put away what has been over for long: it still joins, and opens nothing any more.

    Args:
        members: All that are planned with *patient*, itself included.
    """
    length = rules.newest.seal_after_days * DAY
    next_at: int | None = None
    for key, cell in list(patient.cells.items()):
        last = _last_news(cell)
        if last is None:
            continue
        if last + length <= now:
            patient.dirty.add(key)
            patient.sealed[key] = patient.cells.pop(key)
        else:
            next_at = min(next_at or last + length, last + length)
    patient.seal_at = next_at
    _forget(patient, written(now - length), {key for one in members for key in one.cells})


def _forget(patient: Patient, before: str, known: Container[CellKey]) -> None:
    """Drop ledger rows of transitions whose discharge lies before *before*, and nobody plans."""
    ledger = patient.ledger
    over = {
        one
        for one, row in ledger.transitions.items()
        if row["status"] == "closed"
        and row["index_discharge_at"] <= before
        # A visit number that was used again is planned still: its rows would come anew.
        and ("visit", f"{row['facility']}|{row['visit_number']}") not in known
    }
    for one in over:
        del ledger.transitions[one]
    for task, row in list(ledger.tasks.items()):
        if row["transition_id"] in over:
            del ledger.tasks[task]
            key = ("work", task)
            if key in patient.cells:
                patient.sealed[key] = patient.cells.pop(key)
                patient.dirty.add(key)
    for gap, row in list(ledger.gaps.items()):
        settled = row["status"] == "closed" and (row["closed_at"] or "") <= before
        if row["transition_id"] in over or (row["transition_id"] is None and settled):
            del ledger.gaps[gap]
    patient.ledger_dirty = True


def _last_news(cell: Cell) -> int | None:
    """The last instant that matters of what can be put away; None: stays for ever."""
    if isinstance(cell, VisitCell):
        stated = [key[0] for key in cell.discharges if key[0] is not None]
        moved = [cell.moved.receipt] if cell.moved else []
        return max([cell.last_update, *stated, *moved])
    if isinstance(cell, AppointmentCell):
        starts: int | None = value_of(cell.said, "starts_at")
        return max(starts or 0, cell.said["status"].stamp.time)
    return None
