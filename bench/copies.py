"""A million patients in minutes: the state of one, written again for each of the others.

What the processor made of one discharge is taken apart at everything that names the patient
(subject, key, visit number, event id, the ids computed from them) and put together again with
another one's.  The result is byte for byte what the processor would have made of that other
patient's discharge at the same instant; `Copies` checks it on one before anything is believed.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

import orjson

from bench import feed
from bench.people import SITE_KEY, START, Journal, discharge
from bench.speed import RULES
from orchestrator.core import ids
from orchestrator.stream.content import event_hash
from orchestrator.stream.keys import patient_key
from orchestrator.stream.memory_store import MemoryStore
from orchestrator.stream.processor import Processor
from orchestrator.stream.rounds import Round

FACILITY: Final = "GEN"
SOURCE: Final = "hospital/GEN/adt"
_DIGEST: Final = re.compile(rb'"[0-9a-f]{24}"(?=\]\]$)')
CHECKED: Final = 123_456_789  # a number that no patient has


class Copies:
    """The state of numbered patients, each discharged at `people.START`."""

    def __init__(self) -> None:
        self._made = _made_of(0)
        ledger = next(v for (_, kind, _), (v, _) in self._made.cells.items() if kind == "ledger")
        self._rows: list[list[dict[str, Any]]] = orjson.loads(ledger)[1:]
        names = self._names(0)
        self._tokens = re.compile(b"(" + b"|".join(re.escape(n) for n in names) + b")")
        self._numbers = {name: number for number, name in enumerate(names)}
        if self.round([CHECKED]) != self._compared(_made_of(CHECKED)):
            raise AssertionError("a copy is not what the processor makes")

    def round(self, patients: Iterable[int]) -> Round:
        """All that the store is told of *patients*, nothing published."""
        made = Round(self._made.meta)
        for patient in patients:
            names = self._names(patient)
            for (key, kind, name), (value, sealed) in self._made.cells.items():
                cell = (self._of(key, names), kind, self._of(name, names))
                made.cells[cell] = (self._filled(value, names), sealed)
            for key, (value, wake) in self._made.heads.items():
                made.heads[self._of(key, names)] = (self._filled(value, names), wake)
            for (key, _), (value, expires) in self._made.seen.items():
                event = event_hash(SOURCE, _event(patient))
                made.seen[self._of(key, names), event] = (value, expires)
        return made

    def _compared(self, made: Round) -> Round:
        """The state alone, with the content hash that all copies share."""
        for told in (made.outputs, made.journal, made.made, made.results, made.late):
            told.clear()
        (value,) = self._made.seen.values()
        made.seen = dict.fromkeys(made.seen, value)
        return made

    def _names(self, patient: int) -> list[bytes]:
        """Everything in the state that is this patient's alone, in a fixed order."""
        subject, visit, event = f"GEN|{patient:09}", _visit(patient), _event(patient)
        transition = ids.transition_id(subject, FACILITY, visit, SOURCE, event)
        _, tasks, gaps, *_ = self._rows
        found = [subject, patient_key(SITE_KEY, subject), visit, event, transition]
        found += [ids.task_id(transition, row["kind"], row["cause"]) for row in tasks]
        for row in gaps:
            assert row["transition_id"] is not None, "of a stay or a person: not foreseen here"
            found.append(ids.gap_id(transition, row["code"], row["subject"]))
        return [name.encode() for name in found]

    def _filled(self, value: bytes, names: list[bytes]) -> bytes:
        parts = self._tokens.split(value)
        parts[1::2] = [names[self._numbers[part]] for part in parts[1::2]]
        return b"".join(parts)

    def _of(self, text: str, names: list[bytes]) -> str:
        return self._filled(text.encode(), names).decode()


def _visit(patient: int) -> str:
    return f"V{patient:09}"


def _event(patient: int) -> str:
    return f"GEN-{patient:09}"


def _made_of(patient: int) -> Round:
    processor = Processor(MemoryStore(), RULES, feed.FACILITIES, SITE_KEY)
    made = processor.process(0, [discharge(Journal(patient), patient, START, _visit(patient))])
    for name, (value, sealed) in made.cells.items():
        if name[1] == "ledger":
            # A digest of the whole view is each patient's own; whoever is planned is shown anew.
            made.cells[name] = (_DIGEST.sub(b'"0"', value), sealed)
    return made
