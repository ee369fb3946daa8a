"""SIU: appointments from booking to outcome (ruling 37).

Two fields may say what became of an appointment: the trigger and SCH-25.  A trigger that ends it
(cancelled, discontinued, deleted, not kept) is believed; on one that only says "booked" or
"changed" a status word of SCH-25 says more, and wins.
"""

from datetime import timedelta
from typing import Final

from events.hl7v2 import codes, identity
from events.hl7v2.context import Context
from events.hl7v2.draft import Draft, code_value
from events.hl7v2.message import Segment
from events.hl7v2.providers import provider
from events.hl7v2.timestamps import Moment, first_readable
from events.hl7v2.triggers import Used
from events.reject import Reject
from schemas.timestamp import Timestamp

# Start, duration and its unit in each resource segment, in the order of ruling 37.
_RESOURCES: Final = (("AIS", 4, 7, 8), ("AIG", 8, 11, 12), ("AIL", 6, 9, 10), ("AIP", 6, 9, 10))
_SECONDS: Final = {"s": 1, "sec": 1, "min": 60, "m": 60, "minutes": 60, "h": 3600, "hr": 3600}
_DURATION_MAX: Final = timedelta(days=1)  # of a visit; what is longer was another unit


def drafts(context: Context, row: Used) -> list[Draft]:
    """
    The event of an SIU message.

    Raises:
        Reject: No patient, no appointment id, no time of the message.
    """
    context.subject  # noqa: B018 - whose it is comes first: a reject should name the patient
    sch = context.message.first("SCH")
    number = sch.text(2) or sch.text(1)
    if not number:
        raise Reject("missing-field", "appointment_id: SCH-2 and SCH-1 are empty", place="SCH^1^2")
    event_type, status_known = _type(row, sch)
    draft = context.draft(event_type, context.happened(row.time))
    draft.data["appointment_id"] = identity.printable_id(number, "SCH^1^2")
    if not status_known:
        draft.doubt("SCH-25")
    visit = identity.visit_number(context.pv1, Segment("PID", "PID", context.message.delimiters))
    if visit is not None:
        draft.data["visit_number"] = visit.number
    starts, ends = _times(context, sch)
    draft.instant("starts_at", starts)
    draft.instant("ends_at", ends)
    if starts.stamp is None and event_type in ("appointment.booked", "appointment.rescheduled"):
        draft.doubt("starts_at")
    _fill_details(draft, context, sch)
    return [draft]


def _type(row: Used, sch: Segment) -> tuple[str, bool]:
    status = codes.filler_status(sch.text(25, 1) or sch.text(25, 2))
    if row.type not in ("appointment.booked", "appointment.rescheduled"):
        agrees = status.value is None or row.type == f"appointment.{status.value}"
        return row.type, status.known and (agrees or status.value == "booked")
    if status.value in (None, "booked"):
        return row.type, status.known
    return f"appointment.{status.value}", status.known


def _times(context: Context, sch: Segment) -> tuple[Moment, Moment]:
    """
    Start and end: TQ1-7, AIS-4, AIG-8, AIL-6, AIP-6, SCH-11.4, the first that can be read; the end
    is stated beside it, or follows from the duration there or in SCH-9.
    """
    message, clock = context.message, context.clock
    tq1 = message.first("TQ1")
    stated = [clock.moment(tq1, 7)]
    lengths = [_length(sch, 9, 10)]
    for name, start, duration, unit in _RESOURCES:
        segment = message.first(name)
        stated.append(clock.moment(segment, start))
        lengths.append(_length(segment, duration, unit))
    stated.append(clock.moment(sch, 11, 4))
    lengths.append(None)
    starts = first_readable(stated)
    ends = first_readable((clock.moment(tq1, 8), clock.moment(sch, 11, 5)))
    if starts.stamp is None:
        return starts, ends
    # An end that does not come after the start belongs to something else (a pattern, a range).
    if ends.stamp is not None and ends.stamp.at > starts.stamp.at:
        return starts, ends
    index = next(i for i, moment in enumerate(stated) if moment.stamp is not None)
    length = lengths[index] or lengths[0]
    if length is None:
        return starts, Moment(unreadable=ends.unreadable)
    return starts, Moment(Timestamp(starts.stamp.at + length))


def _length(segment: Segment, duration: int, unit: int) -> timedelta | None:
    number = segment.text(duration)
    if not (number.isascii() and number.isdigit()) or len(number) > 6:
        return None
    seconds = _SECONDS.get(segment.text(unit).lower() or "min")
    if seconds is None:
        return None
    length = timedelta(seconds=int(number) * seconds)
    return length if timedelta(0) < length <= _DURATION_MAX else None


def _fill_details(draft: Draft, context: Context, sch: Segment) -> None:
    message = context.message
    aip = message.first("AIP")
    # SCH-16, the filler's contact, is only better than nobody; SCH-12 is whoever asked for a slot.
    who = provider(aip.first(3)) or provider(sch.first(16))
    if who:
        if specialty := aip.text(4, 2) or aip.text(4, 1):
            who["specialty"] = specialty
        draft.data["provider"] = who
    service = code_value(message.first("AIS").first(3), system=True)
    if service:
        draft.data["service"] = service
    # SCH-6 says why this message, SCH-7 why the appointment.
    ending = draft.type not in ("appointment.booked", "appointment.rescheduled")
    reason = (ending and code_value(sch.first(6))) or code_value(sch.first(7))
    if reason:
        draft.data["reason"] = reason
    location = message.first("AIL").first(3)
    place = " ".join(part for part in (location.text(1), location.text(2)) if part)
    if place:
        draft.data["location"] = {"code": location.text(1) or place, "text": place}
    kind = sch.first(8)
    how = codes.modality(kind.text(1), kind.text(2), sch.text(7, 1), sch.text(7, 2))
    if how:
        draft.data["modality"] = how
