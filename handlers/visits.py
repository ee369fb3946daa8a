"""``care.admission.*`` and ``care.discharge.*`` to facts about a visit.

Reads: HL7 ADT as canonical events.  One event may say several things: that something happened, and
what the visit's fields are.  Rulings 33 to 36.
"""

from dataclasses import replace
from typing import Any, Final

from handlers import codes
from handlers.envelope import Said
from orchestrator.core.facts import (
    Admitted,
    DischargeSaid,
    Fact,
    Told,
    VisitMark,
    VisitSaid,
)
from orchestrator.core.masking import IN_UNIT
from orchestrator.core.visit_walk import CORRECTED, IMPLIED

# Registers of a visit that the rules read; the rest of an event stays in the journal.
FIELDS: Final = ("previous_visit_number", "pcp", "attending", "service", "destination")
UNITS: Final = ("location", "service")  # where a visit was; one may be a Part 2 unit


def opened(said: Said) -> Told:
    """A01, A04."""
    at = said.instant("admitted_at")
    flags = said.flags("data.admitted_at" if at is not None else "time")
    if said.data.get("end_in_admit") or said.data.get("discharged_at") is not None:
        flags = (*flags, "END_IN_ADMIT")
    stands = said.stamp.time if at is None else at
    facts: list[Fact] = [Admitted(said.facility, said.visit, stands, said.stamp, flags=flags)]
    facts += _fields(said, class_from=stands)
    return said.told(f"Admitted at {said.facility}", facts, stated=at)


def updated(said: Said) -> Told:
    """A02, A06, A07, A08, A12, A50, A54: fields, and perhaps the mention of an admission or end."""
    facts = _fields(said)
    at = said.instant("admitted_at")
    if at is not None and at <= said.stamp.receipt:
        flags = said.flags("data.admitted_at")
        facts.append(Admitted(said.facility, said.visit, at, said.stamp, opened=False, flags=flags))
    elif said.data.get("opens_stay"):
        facts.append(
            Admitted(
                said.facility,
                said.visit,
                said.stamp.time,
                said.stamp,
                opened=False,
                flags=(IMPLIED,),
            )
        )
    ended = said.instant("discharged_at")
    if ended is not None and ended > said.stamp.receipt:
        ended = None  # an expectation, not a happening
    if ended is not None or "disposition" in said.data:
        facts.append(_discharge(said, ended, opens=False))
    if not facts:
        facts.append(VisitSaid(said.facility, said.visit, {}, said.stamp))  # still a sign of life
    return said.told(f"Visit updated by {said.facility}", facts)


def planned(said: Said) -> Told:
    """A05, A14."""
    fields: dict[str, Any] = {"planned": said.data.get("planned") is not False}
    if "expected_at" in said.data:
        fields["expected_at"] = said.instant("expected_at")
    facts: list[Fact] = [
        VisitMark(said.facility, said.visit, "planned", said.stamp.time, said.stamp),
        VisitSaid(said.facility, said.visit, fields, said.stamp),
    ]
    return said.told(f"Admission planned by {said.facility}", facts + _fields(said, bare=True))


def pending(said: Said) -> Told:
    """A16: no clock starts."""
    fields = {"pending_at": said.instant("expected_at")}
    facts: list[Fact] = [
        VisitMark(said.facility, said.visit, "pending", said.stamp.time, said.stamp),
        VisitSaid(said.facility, said.visit, fields, said.stamp),
    ]
    return said.told(f"Discharge expected by {said.facility}", facts + _fields(said, bare=True))


def left(said: Said) -> Told:
    """A21."""
    mark = VisitMark(said.facility, said.visit, "left", said.stamp.time, said.stamp)
    return said.told(f"On leave from {said.facility}", [mark, *_fields(said)])


def returned(said: Said) -> Told:
    """A22."""
    mark = VisitMark(said.facility, said.visit, "returned", said.stamp.time, said.stamp)
    return said.told(f"Back from leave at {said.facility}", [mark, *_fields(said)])


def admission_cancelled(said: Said) -> Told:
    """A11, A23; A27 and A38 take back a plan, never an admission that happened."""
    what = "cancel-planned" if said.data.get("cancels") == "planned" else "cancel-admit"
    return _cancel(said, what, f"Admission cancelled by {said.facility}")


def discharge_cancelled(said: Said) -> Told:
    """A13."""
    return _cancel(said, "cancel-discharge", f"Discharge cancelled by {said.facility}")


def _cancel(said: Said, what: Any, title: str) -> Told:
    mark = VisitMark(
        said.facility,
        said.visit,
        what,
        said.stamp.time,
        said.stamp,
        said.instant("cancels_at"),
    )
    return said.told(title, [mark], stop=True)


def recorded(said: Said) -> Told:
    """A03."""
    at = said.instant("discharged_at")
    stands = said.stamp.time if at is None else at
    facts = _fields(said, class_from=min(stands, said.stamp.time))
    admitted = said.instant("admitted_at")
    if admitted is not None and admitted <= said.stamp.receipt:
        flags = said.flags("data.admitted_at")
        facts.append(
            Admitted(said.facility, said.visit, admitted, said.stamp, opened=False, flags=flags)
        )
    facts.append(_discharge(said, stands, opens=True, stated=at is not None))
    return said.told(f"Discharged from {said.facility}", facts, stated=at)


def corrected(said: Said) -> Told:
    """A08 after A03; one with an instant of its own is a discharge (ruling 34)."""
    at = said.instant("discharged_at")
    flags = said.flags("data.discharged_at")
    facts = _fields(said)
    facts.append(replace(_discharge(said, at, opens=at is not None), flags=(CORRECTED, *flags)))
    return said.told(f"Discharge corrected by {said.facility}", facts, stated=at)


def _discharge(said: Said, at: int | None, *, opens: bool, stated: bool = True) -> DischargeSaid:
    fields: dict[str, Any] = {}
    if "disposition" in said.data:
        fields["disposition"] = codes.disposition(said.data["disposition"], said.settings)
    flags = said.flags("data.discharged_at" if stated else "time")
    return DischargeSaid(said.facility, said.visit, at, said.stamp, opens, fields, flags)


def _in_part2_unit(said: Said) -> bool:
    """Whether the unit or the service that it names is one of 42 CFR Part 2."""
    units = said.settings.part2_units
    if not units:
        return False
    named = {(codes.code_of(said.data.get(name)) or "").casefold() for name in UNITS}
    return not named.isdisjoint(unit.casefold() for unit in units)


def _fields(said: Said, *, class_from: int | None = None, bare: bool = False) -> list[Fact]:
    """The visit's registers; *bare*: without the class, as a plan is no stay yet."""
    data = said.data
    fields: dict[str, Any] = {name: data[name] for name in FIELDS if name in data}
    if data.get("class") is not None and not bare:
        fields["class"] = codes.stay_class(data["class"], said.settings)
    if "admit_type" in data:
        fields["admit_type"] = codes.admit_type(data["admit_type"])
    if _in_part2_unit(said):
        fields[IN_UNIT] = True
    account = data.get("account_number")
    if account and account != said.visit:
        fields["account_number"] = account
    if not fields:
        return []
    return [VisitSaid(said.facility, said.visit, fields, said.stamp, class_from)]
