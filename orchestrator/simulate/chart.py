"""One patient's chart: each method is one clinical step and the message that reports it.

The words pair what staff say with the HL7 trigger they cause (google/simhospital's
``pathway.go``): ``discharge`` is an ADT^A03, ``cancel_discharge`` an ADT^A13.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

from orchestrator.simulate.happening import Happening, Visit
from orchestrator.simulate.people import Person
from orchestrator.simulate.places import ATTENDINGS, DIAGNOSES, DISPOSITIONS, Place, Provider

_WORDS: Final = {code: words for code, words, _ in DISPOSITIONS}
CLASS_TRIGGER: Final = {"INPATIENT": "ADT^A01", "SNF": "ADT^A01"}  # all others register: A04

# Plans and cancellations happen by being entered; HL7 has no other time for them.
AT_ONCE: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class Appointment:
    """A booked slot."""

    id: str
    provider: Provider
    starts_at: datetime
    place: Place


class Chart:
    """Collects what happens to *person*; *rng* is the patient's own."""

    def __init__(self, person: Person, number: int, rng: Random) -> None:
        self.person = person
        self.rng = rng
        self.happenings: list[Happening] = []
        self._number = number
        self._visits = 0
        self._appointments = 0

    # --- registration desk

    def demographics(self, place: Place, at: datetime) -> None:
        """A31: who the patient is, whom to call, which practice."""
        self._adt("patient.updated", "ADT^A31", place, at)

    def plan_admission(self, place: Place, at: datetime, expected_at: datetime) -> Visit:
        """A05: an elective admission is booked."""
        visit = self._visit(place, "PREADMIT", expected_at, admit_type="C", admit_source="1")
        data = {"class": "PREADMIT", "expected_at": expected_at, "planned": True}
        self._adt("admission.planned", "ADT^A05", place, at, visit, data, AT_ONCE)
        return visit

    def admit(
        self,
        place: Place,
        at: datetime,
        cls: str,
        *,
        admit_type: str,
        admit_source: str,
        planned: Visit | None = None,
    ) -> Visit:
        """A01 for a bed, A04 for the ED and observation."""
        if planned is None:
            visit = self._visit(place, cls, at, admit_type=admit_type, admit_source=admit_source)
        else:
            visit = replace(planned, cls=cls, admitted_at=at)
        trigger = CLASS_TRIGGER.get(cls, "ADT^A04")
        self._adt("admission.opened", trigger, place, at, visit, _opening(visit, self.person))
        return visit

    def change_class(self, visit: Visit, at: datetime, cls: str, *, renumber: bool) -> Visit:
        """A06: from the ED or observation to a bed; some systems give the stay a new number."""
        data: dict[str, Any] = {"class": cls}
        number = visit.number
        if renumber:
            data["previous_visit_number"] = number
            number = self._visit_number(visit.place)
        ward = self.rng.choice(visit.place.wards)
        changed = replace(visit, number=number, cls=cls, ward=ward, previous_number=visit.number)
        if not renumber:
            changed = replace(changed, previous_number=None)
        self._adt("admission.updated", "ADT^A06", visit.place, at, changed, data)
        return changed

    def move_bed(self, visit: Visit, at: datetime) -> Visit:
        """A02: another ward of the same house; never a discharge."""
        moved = replace(visit, ward=self.rng.choice(visit.place.wards))
        data = {"location": moved.ward}
        self._adt("admission.updated", "ADT^A02", visit.place, at, moved, data)
        return moved

    def update(self, visit: Visit, at: datetime) -> None:
        """A08: somebody saved the record; nothing new for us."""
        data = {"service": visit.service, "attending": _provider(ATTENDINGS[visit.attending])}
        self._adt("admission.updated", "ADT^A08", visit.place, at, visit, data)

    def cancel_admission(self, visit: Visit, at: datetime) -> None:
        """A11: it did not happen."""
        data = {"cancels_at": visit.admitted_at}
        self._adt("admission.cancelled", "ADT^A11", visit.place, at, visit, data, AT_ONCE)

    # --- discharge desk

    def expect_discharge(self, visit: Visit, at: datetime, expected_at: datetime) -> None:
        """A16: the team plans the day of going home."""
        data = {"expected_at": expected_at}
        self._adt("discharge.pending", "ADT^A16", visit.place, at, visit, data, AT_ONCE)

    def discharge(self, visit: Visit, at: datetime, code: str) -> None:
        """A03: the patient has left, where to by NUBC *code* (empty: nobody said)."""
        data = {"discharged_at": at, "admitted_at": visit.admitted_at, "class": visit.cls}
        if code:
            data["disposition"] = disposition(code)
        # The desk enters it when the wheelchair is back, not when the patient leaves.
        entered = timedelta(minutes=self.rng.randrange(1, 40))
        self._adt("discharge.recorded", "ADT^A03", visit.place, at, visit, data, entered)

    def correct_discharge(
        self, visit: Visit, entered_at: datetime, *, at: datetime, code: str
    ) -> None:
        """A08 after the A03: another time or another disposition."""
        data = {"discharged_at": at, "disposition": disposition(code)}
        self._adt("discharge.corrected", "ADT^A08", visit.place, entered_at, visit, data)

    def cancel_discharge(self, visit: Visit, at: datetime, discharged_at: datetime) -> None:
        """A13: the discharge was a mistake, or the patient stays after all."""
        data = {"cancels_at": discharged_at}
        self._adt("discharge.cancelled", "ADT^A13", visit.place, at, visit, data, AT_ONCE)

    def die(self, place: Place, at: datetime) -> None:
        """A31 with PID-30: the patient has died."""
        self._adt("patient.died", "ADT^A31", place, at, None, {"died_at": at})

    # --- scheduling

    def book(self, place: Place, at: datetime, provider: Provider, starts: datetime) -> Appointment:
        """S12."""
        self._appointments += 1
        slot = Appointment(f"{self._number:06d}-{self._appointments}", provider, starts, place)
        self._siu("appointment.booked", "SIU^S12", at, slot)
        return slot

    def reschedule(self, slot: Appointment, at: datetime, starts: datetime) -> Appointment:
        """S13."""
        moved = replace(slot, starts_at=starts)
        self._siu("appointment.rescheduled", "SIU^S13", at, moved)
        return moved

    def cancel_appointment(self, slot: Appointment, at: datetime) -> None:
        """S15."""
        self._siu("appointment.cancelled", "SIU^S15", at, slot)

    def keep_appointment(self, slot: Appointment, at: datetime) -> None:
        """S14 with SCH-25 Complete: the patient was there."""
        self._siu("appointment.fulfilled", "SIU^S14", at, slot)

    def miss_appointment(self, slot: Appointment, at: datetime) -> None:
        """S26."""
        self._siu("appointment.no_show", "SIU^S26", at, slot)

    # --- care teams

    def task(
        self, verb: str, kind: str, visit: Visit, at: datetime, actor: str, role: str, **said: Any
    ) -> None:
        """What a care team did with that visit's task of *kind*; HL7 has no message for it."""
        data = {"visit_number": visit.number, "kind": kind, "actor": actor, "role": role, **said}
        self._say(f"task.{verb}", "", visit.place, at, None, data, source="care-team")

    # --- how a message comes to be

    def _adt(
        self,
        kind: str,
        trigger: str,
        place: Place,
        at: datetime,
        visit: Visit | None = None,
        data: Mapping[str, Any] | None = None,
        entered: timedelta | None = None,
    ) -> None:
        source = f"hospital/{place.id}/adt"
        self._say(kind, trigger, place, at, visit, data or {}, entered=entered, source=source)

    def _siu(self, kind: str, trigger: str, at: datetime, slot: Appointment) -> None:
        data = {
            "appointment_id": slot.id,
            "starts_at": slot.starts_at,
            "ends_at": slot.starts_at + timedelta(minutes=30),
            "provider": _provider(slot.provider),
            "modality": "in-person",
        }
        source = f"hospital/{slot.place.id}/siu"
        self._say(kind, trigger, slot.place, at, None, data, source=source)

    def _say(
        self,
        kind: str,
        trigger: str,
        place: Place,
        at: datetime,
        visit: Visit | None,
        data: Mapping[str, Any],
        *,
        source: str,
        entered: timedelta | None = None,
    ) -> None:
        # In UTC from here on: local times are compared by their wall clock, and in one night of
        # the year that goes backwards.
        at = at.astimezone(UTC)
        delay = timedelta(seconds=self.rng.randrange(180))
        recorded = at + (delay if entered is None else entered)
        received = recorded + timedelta(seconds=self.rng.randrange(1, 15))
        number = f"{place.id}-{self._number:06d}-{len(self.happenings) + 1:03d}"
        self.happenings.append(
            Happening(
                kind, trigger, at, recorded, received,
                self.person, place, number, source, visit, dict(data),
            )
        )  # fmt: skip

    def _visit(
        self, place: Place, cls: str, at: datetime, *, admit_type: str, admit_source: str
    ) -> Visit:
        service = self.rng.randrange(len(place.services))
        return Visit(
            number=self._visit_number(place),
            place=place,
            cls=cls,
            admitted_at=at,
            ward="ED" if cls == "EMERGENCY" else self.rng.choice(place.wards),
            service=place.services[service],
            admit_type=admit_type,
            admit_source=admit_source,
            attending=self.rng.randrange(len(ATTENDINGS)),
            diagnosis=self.rng.randrange(len(DIAGNOSES)),
        )

    def _visit_number(self, place: Place) -> str:
        self._visits += 1
        return f"{place.id[0]}{self._number:06d}{self._visits:02d}"


def disposition(code: str) -> dict[str, str]:
    """A NUBC code with its words; a local one has none."""
    words = _WORDS.get(code)
    return {"system": "NUBC", "code": code, "text": words} if words else {"code": code}


def _provider(provider: Provider) -> dict[str, Any]:
    said = {
        "npi": provider.npi,
        "name": provider.name,
        "specialty": provider.specialty,
        "organization": provider.organization,
    }
    return said | {"is_pcp": True} if provider.is_pcp else said


def _opening(visit: Visit, person: Person) -> dict[str, Any]:
    code, words = DIAGNOSES[visit.diagnosis]
    data = {
        "class": visit.cls,
        "admitted_at": visit.admitted_at,
        "admit_type": visit.admit_type,
        "admit_source": visit.admit_source,
        "service": visit.service,
        "location": visit.ward,
        "attending": _provider(ATTENDINGS[visit.attending]),
        "diagnoses": [{"system": "ICD-10-CM", "code": code, "text": words}],
    }
    return data | {"pcp": _provider(person.pcp)} if person.pcp else data
