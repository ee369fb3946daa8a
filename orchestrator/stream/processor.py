"""The processor: journal records in, one Round out.  A pure function of the journal's prefix.

Both runtimes and ``replay --journal`` use it.  State comes from the store, working patients are
kept in a bounded memory, and nothing becomes true before the runtime commits the Round.  A batch
that the processor has seen is either committed or the process ends, so its memory may be ahead of
the store only for as long as the commit takes.

A record that a bug of ours cannot take is parked in the dead letters and never blocks another
patient: the round is worked out again without it.
"""

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Final

import orjson

from orchestrator.core import stored
from orchestrator.core.marks import origin_of
from orchestrator.core.patient import Patient
from orchestrator.core.policy import Rules
from orchestrator.stream.identity.desk import Chart, Desk, Route, names_of_charts
from orchestrator.stream.keys import patient_key
from orchestrator.stream.rounds import JournalRecord, Round, Store
from orchestrator.stream.working import Poison, Working
from schemas.facilities import Facilities

PATIENTS_IN_MEMORY: Final = 20_000


class Processor:
    """Decides for every partition that it is given; one per process."""

    def __init__(
        self,
        store: Store,
        rules: Rules,
        facilities: Facilities,
        site_key: bytes,
        *,
        patients_in_memory: int = PATIENTS_IN_MEMORY,
    ) -> None:
        self.store = store
        self.rules = rules
        self.facilities = facilities
        self.key_of = partial(patient_key, site_key)
        self._limit = patients_in_memory
        self._patients: OrderedDict[str, Patient] = OrderedDict()
        self._desks: dict[str, Desk] = {}
        # What a key remembers of who is whom; ask for its patient first.  Every event asks, and
        # nearly always the answer is None: one look-up, nothing around it.
        self.desk: Final = self._desks.get

    def process(self, partition: int, records: Sequence[JournalRecord]) -> Round:
        """
        Work out what follows from *records*, which come next in *partition*.

        The same journal gives the same bytes whatever the batching: the step runs per record.
        """
        poison: dict[tuple[int, str], list[str]] = {}
        while True:
            try:
                return Working(self, partition, poison).run(records)
            except Poison as found:
                # Patients of this round may be half changed; the store has them as they were.
                self.forget()
                poison.setdefault((found.offset, found.key), []).append(found.kind)

    def forget(self) -> None:
        """Drop working patients: partitions were revoked, or a round was not committed."""
        self._patients.clear()
        self._desks.clear()

    def patient(self, key: str, subject: str) -> Patient:
        patient = self._patients.get(key)
        if patient is None:
            patient = self._load(key, subject)
            self._patients[key] = patient
        else:
            self._patients.move_to_end(key)
        return patient

    def new_desk(self, key: str, subject: str, partition: int, now: int) -> Desk:
        """The desk of a key that is named for the first time; its own chart lies there."""
        patient = self.patient(key, subject)
        patient.floor = now
        desk = self._desks[key] = Desk(key, subject)
        desk.routes[subject] = Route(key)
        desk.charts[subject] = Chart(patient, key, partition, low=now)
        return desk

    def lies(self, key: str, name: str, subject: str) -> str:
        """The key of the rows of a chart that lies at the desk of *key*."""
        return key if name == subject else f"{key}.{self.key_of(name)}"

    def replace(self, key: str, patient: Patient) -> None:
        """The chart of this key's own identifier came or went."""
        self._patients[key] = patient

    def _load(self, key: str, subject: str) -> Patient:
        patient, desk = self._rows(key, subject)
        if desk is not None:
            charts = {}
            for name in names_of_charts(desk):
                own = name == desk[1]
                charts[name] = patient if own else self._rows(self.lies(key, name, ""), name)[0]
                charts[name].key = self.key_of(origin_of(name))
            self._desks[key] = Desk.load(key, desk, charts)
        return patient

    def _rows(self, key: str, subject: str) -> tuple[Patient, list[object] | None]:
        """A patient as stored under *key*, and its desk, if it has one."""
        head = self.store.head(key)
        desk = None
        if head is None:
            return Patient(subject, key), None
        plain = orjson.loads(head)
        patient = Patient(plain[1], key)
        stored.load_head(patient, plain)
        for kind, name, value in self.store.cells(key):
            if kind == "ledger":
                patient.ledger = stored.load_ledger(orjson.loads(value))
            elif kind == "desk":
                desk = orjson.loads(value)
            else:
                patient.cells[kind, name] = stored.load_cell(kind, orjson.loads(value))
        return patient, desk

    def trim(self) -> None:
        while len(self._patients) > self._limit:
            key, _ = self._patients.popitem(last=False)
            self._desks.pop(key, None)
