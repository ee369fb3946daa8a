"""Appointments, from booking to outcome (HL7 SIU S12 to S26, FHIR Appointment)."""

from typing import Literal

from schemas.envelope import Event
from schemas.values import Code, Data, Id, Instant, Provider, open_words


class Appointment(Data):
    """One slot; what is not said again stays as it was."""

    appointment_id: Id
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    provider: Provider | None = None
    service: Code | None = None
    modality: str | None = open_words("in-person", "video", "phone", "home")
    reason: Code | None = None


class AppointmentBooked(Event):
    type: Literal["care.appointment.booked.v1"]
    data: Appointment


class AppointmentRescheduled(Event):
    type: Literal["care.appointment.rescheduled.v1"]
    data: Appointment


class AppointmentCancelled(Event):
    type: Literal["care.appointment.cancelled.v1"]
    data: Appointment


class AppointmentCheckedIn(Event):
    type: Literal["care.appointment.checked_in.v1"]
    data: Appointment


class AppointmentFulfilled(Event):
    type: Literal["care.appointment.fulfilled.v1"]
    data: Appointment


class AppointmentNoShow(Event):
    type: Literal["care.appointment.no_show.v1"]
    data: Appointment


class AppointmentEnteredInError(Event):
    type: Literal["care.appointment.entered_in_error.v1"]
    data: Appointment
