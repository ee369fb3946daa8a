"""Medication lists, orders and dispenses (HL7 RDE, OMP, RDS; FHIR MedicationRequest …)."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from schemas.envelope import Event
from schemas.values import (
    Alternatives,
    Code,
    Data,
    Id,
    Instant,
    MaybeId,
    Provider,
    Said,
    SaidInAlternatives,
    open_words,
)

# Closed: whose list it is decides what it is compared with; a guess would compare inpatient
# drips with the list at home.
ListType = Literal["PAML", "INPATIENT", "DISCHARGE", "PCP", "SPECIALIST", "PHARMACY", "PATIENT"]
Number = Annotated[float, Field(ge=0)]


class Dose(Said):
    value: Number | None = None
    unit: str | None = None


class Frequency(Said):
    per_day: Number | None = None
    as_needed: bool | None = None
    text: str | None = None


class Entry(SaidInAlternatives):
    """One drug on a list or an order; only its name or its code is required."""

    needs: ClassVar[Alternatives] = (("name",), ("code",))

    name: str | None = None
    code: Code | None = None
    dose: Dose | None = None
    route: Code | None = None
    frequency: Frequency | None = None
    form: Code | None = None
    status: str | None = open_words("active", "stopped", "on-hold", "completed", "entered-in-error")
    reason: Code | None = None
    prescriber: Provider | str | None = None
    started_at: Instant | None = None
    ended_at: Instant | None = None
    do_not_perform: bool | None = None


class MedicationList(Data):
    list_type: ListType
    list_version: str | int | None = None
    complete: bool | None = None
    author: Provider | str | None = None
    entries: list[Entry]


class Order(Data):
    """A change to an order that is known by its id."""

    order_id: Id
    list_type: ListType | None = None
    entry: Entry | None = None
    reason: Code | None = None


class NewOrder(Order):
    entry: Entry  # an order for nothing is none


class Dispense(SaidInAlternatives, Data):
    needs: ClassVar[Alternatives] = (("order_id",), ("entry",))

    order_id: MaybeId | None = None
    entry: Entry | None = None
    quantity: Number | Dose | None = None
    days_supply: Number | None = None


class MedicationListRecorded(Event):
    type: Literal["care.medication.list_recorded.v1"]
    data: MedicationList


class MedicationOrdered(Event):
    type: Literal["care.medication.ordered.v1"]
    data: NewOrder


class MedicationChanged(Event):
    type: Literal["care.medication.changed.v1"]
    data: Order


class MedicationStopped(Event):
    type: Literal["care.medication.stopped.v1"]
    data: Order


class MedicationDispensed(Event):
    type: Literal["care.medication.dispensed.v1"]
    data: Dispense
