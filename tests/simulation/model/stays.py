"""Which stays there were: admissions, discharges, and the cancels that take them back.

A visit number is cut into *happenings*.  Statements of one kind are one happening until something
lies between them; a cancel takes back the latest happening at or before its own time, or the one
it names.  Nothing depends on the order of arrival.

Source: contract.md §2 (happenings), rulings 6, 11, 14, 35; messages.md (dirt, stale stays).
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.simulation.model.calendar import Facility, facility, instant
from tests.simulation.model.facts import ABSENT, Event, code, statement, value
from tests.simulation.model.happenings import (
    Happening,
    admission_stands,
    corrects,
    cut,
    discharge_stands,
    discharged_at,
    target,
)

# Without an update for so long a stay is taken for over (rulings, numbers of P0).
STALE_AFTER = {
    "EMERGENCY": timedelta(hours=48),
    "OBSERVATION": timedelta(hours=96),
    "INPATIENT": timedelta(days=60),
}


@dataclass(frozen=True)
class Discharge:
    """One discharge that happened, or was said to have happened."""

    founders: tuple[Event, ...]  # each alone would have made it known
    statements: tuple[Event, ...]  # the founders and what corrected them
    cancelled: bool  # A13
    admission_cancelled: bool  # A11

    @property
    def known_by(self) -> Event:
        return min(self.founders, key=lambda e: e.arrival)

    @property
    def heard(self) -> datetime:
        return self.known_by.received

    @property
    def at(self) -> datetime:
        said = discharged_at(self.statements)
        assert said is not None
        return said

    @property
    def disposition(self) -> str | None:
        return code(value(self.statements, "disposition"))

    @property
    def stands(self) -> bool:
        return not (self.cancelled or self.admission_cancelled or self.is_interim)

    @property
    def is_interim(self) -> bool:
        """An interim bill ("still patient") must not be read as a discharge."""
        return (self.disposition or "").strip() == "30"


def _of_the_discharge(said: list[Event]) -> list[Event]:
    """Without accounts closed (09) and interim bills (30) at an instant of no discharge."""

    def aside(e: Event) -> bool:
        return e.type == "discharge.recorded" and code(e.data.get("disposition")) in ("09", "30")

    def stated(e: Event) -> datetime:
        return instant(str(e.data["discharged_at"])) if e.data.get("discharged_at") else e.time

    real = {stated(e) for e in said if e.type == "discharge.recorded" and not aside(e)}
    return [e for e in said if not (aside(e) and real and stated(e) not in real)]


@dataclass(frozen=True)
class Stay:
    """From one admission to its discharge; a visit number used again begins another."""

    facility: str
    visit: str
    at_facility: Facility
    events: tuple[Event, ...]  # all of the visit
    admissions: tuple[Event, ...]  # the statements of this admission, none when synthetic
    admitted: datetime  # of an admission nobody told us of: when it is first known to be over
    classes: tuple[tuple[datetime, str, Event], ...]
    discharges: tuple[Discharge, ...] = field(default=())
    synthetic: bool = False  # nobody told us of the admission, nor when it was
    cancelled: bool = False  # the admission was taken back; a discharge may have been told before

    @property
    def discharge(self) -> Discharge | None:
        # Admitted here: of an inpatient it closes some other account, not this stay.
        goes_on = [d for d in self.discharges if d.disposition == "09" and self._is_inpatient]
        standing = [d for d in self.discharges if d.stands and d not in goes_on]
        return max(standing, key=lambda d: d.at) if standing else None

    @property
    def _is_inpatient(self) -> bool:
        return self.klass == "INPATIENT"

    @property
    def ended(self) -> datetime | None:
        return self.discharge.at if self.discharge else None

    @property
    def began_as(self) -> str:
        return min(self.classes, key=lambda c: c[0])[1] if self.classes else "INPATIENT"

    @property
    def klass(self) -> str:
        return max(self.classes, key=lambda c: c[2].order)[1] if self.classes else "INPATIENT"

    def since(self, klass: str) -> datetime | None:
        """Since when the stay is of its present class, if that is *klass* and we know it."""
        if self.klass != klass or self.synthetic:
            return None
        ordered = sorted(self.classes, key=lambda c: c[0])
        while len(ordered) > 1 and ordered[-1][1] == ordered[-2][1] == klass:
            ordered.pop()
        return max(self.admitted, ordered[-1][0]) if ordered else self.admitted

    def entered(self, klass: str) -> datetime | None:
        """When the stay first was of *klass*, whatever it became."""
        if self.synthetic:
            return None
        at = [max(self.admitted, at) for at, said, _ in self.classes if said == klass]
        return min(at, default=None)

    def is_open_at(self, at: datetime) -> bool:
        return self.admitted <= at and (self.ended is None or self.ended > at)

    def is_stale(self, now: datetime) -> bool:
        limit = STALE_AFTER.get(self.klass)
        if self.ended is not None or limit is None:
            return False
        return now >= max(e.time for e in self.events) + limit

    @property
    def heard(self) -> datetime | None:
        return min((e.received for e in self.admissions), default=None)


@dataclass(frozen=True)
class Visit:
    """A visit number's stays, and the cancels that found nothing to cancel."""

    stays: list[Stay]
    orphans: list[Event]


def read_visit(
    name: tuple[str, str], events: list[Event], facilities: dict[str, dict[str, object]]
) -> Visit:
    """All stays under one visit number (or under several joined ones)."""

    def of(kind: str) -> list[Event]:
        return [e for e in events if e.type == kind]

    opened = of("admission.opened")
    admission_cancels = of("admission.cancelled")
    discharge_cancels = of("discharge.cancelled")
    cuts = [e.time for e in discharge_cancels + of("admission.returned")]
    cuts += [admission_stands(e) for e in opened]
    recorded = cut(of("discharge.recorded"), discharge_stands, cuts)
    lone = [
        e
        for e in of("discharge.corrected")
        if e.data.get("discharged_at") is not None and not corrects(e, recorded, cuts)
    ]
    discharged = cut(of("discharge.recorded") + lone, discharge_stands, cuts)
    taken_back = [target(c, discharged, discharge_stands) for c in discharge_cancels]
    ends = [
        min(map(discharge_stands, h)) for h in discharged if not any(h is t for t in taken_back)
    ]
    admission_cuts = [e.time for e in admission_cancels]
    admitted = cut(opened, admission_stands, admission_cuts + ends)
    planned = cut(of("admission.planned"), admission_stands, admission_cuts)
    either = sorted(admitted + planned, key=lambda h: admission_stands(h[0]))
    undone = [target(c, either, admission_stands) for c in admission_cancels]
    orphans = [
        c
        for c, target in zip(
            admission_cancels + discharge_cancels, undone + taken_back, strict=True
        )
        if target is None
    ]
    builder = _Builder(name, events, facility(facilities, name[0]), admitted, discharged)
    cancels = [(c.time, h) for c, h in zip(admission_cancels, undone, strict=True) if h]
    return Visit(builder.stays(cancels, taken_back), orphans)


@dataclass(frozen=True)
class _Builder:
    name: tuple[str, str]
    events: list[Event]
    at_facility: Facility
    admitted: list[Happening]
    discharged: list[Happening]

    def stays(
        self, cancels: list[tuple[datetime, Happening]], taken_back: list[Happening | None]
    ) -> list[Stay]:
        of: dict[int | None, list[Discharge]] = {}
        for number, happening in enumerate(self.discharged):
            owner = self._admission_of(happening)
            undone = [t for t, h in cancels if owner is not None and h is self.admitted[owner]]
            at = min(map(discharge_stands, happening))
            if undone and max(undone) < at:
                owner, undone = None, []  # discharged after all: the admission is not known
            discharge = Discharge(
                founders=tuple(_of_the_discharge(happening)),
                statements=tuple(_of_the_discharge(self._statements(number))),
                cancelled=any(happening is t for t in taken_back),
                admission_cancelled=bool(undone),
            )
            of.setdefault(owner, []).append(discharge)
        stands = [
            i for i, h in enumerate(self.admitted) if i in of or not any(h is u for _, u in cancels)
        ]
        known = [self._stay(i, of.get(i, []), cancels) for i in stands]
        return known + ([self._synthetic(of[None])] if None in of else [])

    def _admission_of(self, discharge: Happening) -> int | None:
        at = min(map(discharge_stands, discharge))
        before = [i for i, h in enumerate(self.admitted) if min(map(admission_stands, h)) <= at]
        return before[-1] if before else None

    def _statements(self, number: int) -> list[Event]:
        """The discharge's founders and the updates that fall between it and the next one."""
        start = min(map(discharge_stands, self.discharged[number]))
        later = self.discharged[number + 1 :]
        end = min(map(discharge_stands, later[0])) if later else None
        about = [
            e
            for e in self.events
            if e.type == "discharge.corrected"
            or (e.type == "admission.updated" and {"disposition", "discharged_at"} & e.data.keys())
        ]
        inside = [e for e in about if start <= e.time and (end is None or e.time < end)]
        return self.discharged[number] + [e for e in inside if e not in self.discharged[number]]

    def _classes(self, start: datetime, end: datetime | None) -> list[tuple[datetime, str, Event]]:
        said = [
            (admission_stands(e), str(e.data["class"]), e)
            for e in self.events
            if e.data.get("class") and e.type != "admission.planned"
        ]
        return [c for c in said if start <= c[0] and (end is None or c[0] < end)] or said

    def _stay(
        self,
        number: int,
        discharges: list[Discharge],
        cancels: list[tuple[datetime, Happening]],
    ) -> Stay:
        happening = self.admitted[number]
        start = min(map(admission_stands, happening))
        later = self.admitted[number + 1 :]
        end = min(map(admission_stands, later[0])) if later else None
        undone = any(h is happening for _, h in cancels)
        said, _ = statement(happening, "admitted_at")
        best = max(happening, key=lambda e: e.order)
        admitted = best.time if said in (ABSENT, None) else instant(str(said))
        return Stay(
            facility=self.name[0],
            visit=happening[0].visit,
            at_facility=self.at_facility,
            events=tuple(self.events),
            admissions=tuple(happening),
            cancelled=undone,
            admitted=admitted,
            classes=tuple(self._classes(start, end)),
            discharges=tuple(discharges),
        )

    def _synthetic(self, discharges: list[Discharge]) -> Stay:
        """A discharge without an admission; it may carry the admission's time."""
        founders = [e for d in discharges for e in d.founders]
        said = value([e for e in founders if e.data.get("admitted_at")], "admitted_at")
        return Stay(
            facility=self.name[0],
            visit=discharges[0].founders[0].visit,
            at_facility=self.at_facility,
            events=tuple(self.events),
            admissions=(),
            admitted=instant(said) if said else min(d.at for d in discharges),
            classes=tuple((e.time, str(e.data["class"]), e) for e in founders if "class" in e.data),
            discharges=tuple(discharges),
            synthetic=not said,
        )
