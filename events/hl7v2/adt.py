"""ADT of visits and persons: what each trigger's message becomes (rulings 33 to 36).

Merges and moves stand in ``merges.py``.  One message may become several events: what happened, what
it says of the person, and a death.
"""

from collections.abc import Callable
from typing import Final

from events.hl7v2 import codes, identity, person, visit
from events.hl7v2.context import Context
from events.hl7v2.draft import Draft, is_usable_id
from events.hl7v2.identity import PRIOR_FIELD
from events.hl7v2.timestamps import Moment, not_ahead
from events.hl7v2.triggers import Content, Used
from events.reject import Reject
from schemas.timestamp import Timestamp


def drafts(context: Context, row: Used) -> list[Draft]:
    """
    The events of a message about a visit or a person.

    Raises:
        Reject: No patient, no visit, no time.
    """
    if context.header.trigger == "A08" and not _about_a_visit(context):
        row = Used("patient.updated", "occurred", "person")
    main = _FILL[row.content](context, row)
    _record_clash(main, context)
    found = [main]
    if row.person and (about := _person(context, main.time)):
        found.append(about)
    if (death := _death(context, main)) is not None:
        found.append(death)
    return found


def _about_a_visit(context: Context) -> bool:
    """
    Whether an A08 must name a visit.

    Before v2.3.1 knew A31, A08 was the update of a person too, and many feeds still send it so:
    without a visit number, and with nothing in PV1 that only a visit can have.
    """
    if identity.visit_number(context.pv1, context.pid) is not None:
        return True
    return any(context.pv1.text(field) for field in (36, 44, 45))


def visit_draft(context: Context, row: Used) -> Draft:
    """A draft about the message's visit, at the time of the trigger."""
    context.subject  # noqa: B018 - whose it is comes first: a reject without a visit should name it
    number = context.visit.number
    draft = context.draft(row.type, context.happened(row.time))
    draft.data["visit_number"] = number
    return draft


def _admission(context: Context, row: Used) -> Draft:
    draft = visit_draft(context, row)
    draft.instant("admitted_at", context.clock.moment(context.pv1, 44))
    _fill_visit(draft, context)
    if context.clock.moment(context.pv1, 45).stamp is not None:
        # The stay is open all the same (ruling 35): a discharge comes as A03.
        draft.data["end_in_admit"] = True
    return draft


def _planned(context: Context, row: Used) -> Draft:
    draft = visit_draft(context, row)
    draft.instant("expected_at", _expected(context, draft.time, 8))
    _fill_visit(draft, context)
    return draft


def _update(context: Context, row: Used) -> Draft:
    draft = visit_draft(context, row)
    trigger = context.header.trigger
    admitted = not_ahead(context.clock.moment(context.pv1, 44), context.latest)
    draft.instant("admitted_at", admitted)
    _fill_visit(draft, context)
    if trigger in ("A06", "A07"):
        _previous_number(draft, context, also_alternate=True)
    if trigger == "A08":
        # Once the visit is discharged, an A08 may carry the discharge (ruling 34).  A time ahead is
        # an expectation, which a known discharge must not be moved to.
        discharged = context.clock.moment(context.pv1, 45)
        draft.instant("discharged_at", not_ahead(discharged, context.latest))
        draft.code("disposition", context.pv1, 36)
        draft.code("destination", context.pv1, 37)
    if trigger in ("A02", "A06") or (trigger == "A08" and admitted.stamp is not None):
        draft.data["opens_stay"] = True  # a visit never seen before (ruling 35)
    return draft


def _discharge(context: Context, row: Used) -> Draft:
    discharged = context.clock.moment(context.pv1, 45)
    if discharged.stamp and not_ahead(discharged, context.latest).unreadable:
        # Somebody entered when the patient is to leave (ruling 33).
        draft = visit_draft(context, Used("discharge.pending", "recorded", "pending-discharge"))
        draft.instant("expected_at", discharged)
        _fill_visit(draft, context)
        return draft
    draft = visit_draft(context, row)
    draft.instant("discharged_at", discharged)
    admitted = context.clock.moment(context.pv1, 44)
    receipt = context.receipt.at if context.receipt else draft.time.at
    draft.instant("admitted_at", not_ahead(admitted, receipt))  # ruling 35: a later one is ignored
    draft.code("disposition", context.pv1, 36)
    draft.code("destination", context.pv1, 37)
    _fill_visit(draft, context)
    return draft


def _pending_discharge(context: Context, row: Used) -> Draft:
    draft = visit_draft(context, row)
    draft.instant("expected_at", _expected(context, draft.time, 9))
    _fill_visit(draft, context)
    return draft


def _pending_discharge_cancelled(context: Context, row: Used) -> Draft:
    draft = visit_draft(context, row)
    draft.data["expected_at"] = None
    return draft


def _cancel(context: Context, row: Used) -> Draft:
    """EVN-6 of a cancel is when the cancelled event happened; what else it carries is ignored."""
    draft = visit_draft(context, row)
    draft.instant("cancels_at", not_ahead(context.clock.moment(context.evn, 6), context.latest))
    return draft


def _plan_cancelled(context: Context, row: Used) -> Draft:
    draft = _cancel(context, row)
    # Only a plan: an A27 or A38 that comes after the patient did must not undo the admission.
    draft.data["cancels"] = "planned"
    return draft


def _leave(context: Context, row: Used) -> Draft:
    return visit_draft(context, row)


def _visit_number(context: Context, row: Used) -> Draft:
    draft = visit_draft(context, row)
    draft.number("account_number", context.pid, 18)
    visit.alternate_numbers(draft, context.pv1, context.visit)
    _previous_number(draft, context, also_alternate=False)
    if context.header.trigger in ("A42", "A50") and not context.message.first("MRG").text(5):
        raise Reject("missing-field", "MRG-5 has no prior visit number", place="MRG^1^5")
    return draft


def _person_only(context: Context, row: Used) -> Draft:
    draft = context.draft(row.type, context.happened(row.time))
    _fill_person(draft, context)
    return draft


_FILL: Final[dict[Content, Callable[[Context, Used], Draft]]] = {
    "admission": _admission,
    "planned": _planned,
    "update": _update,
    "discharge": _discharge,
    "pending-discharge": _pending_discharge,
    "pending-discharge-cancelled": _pending_discharge_cancelled,
    "cancel": _cancel,
    "plan-cancelled": _plan_cancelled,
    "leave": _leave,
    "visit-number": _visit_number,
    "person": _person_only,
}


def _fill_visit(draft: Draft, context: Context) -> None:
    said, pcp = context.primary_care(draft.time)
    if said:
        draft.data["pcp"] = pcp
    visit.fill(
        draft, context.message, context.visit, context.header.trigger, context.site.class_map
    )


def _expected(context: Context, time: Timestamp, field: int) -> Moment:
    """PV2-8 or PV2-9; where that is empty an EVN-6 later than the event's own time (ruling 33)."""
    expected = context.clock.moment(context.message.first("PV2"), field)
    if expected.stamp is None and not expected.null:
        later = context.clock.moment(context.evn, 6)
        if later.stamp is not None and later.stamp.at > time.at:
            return later
    return expected


def _previous_number(draft: Draft, context: Context, *, also_alternate: bool) -> None:
    """
    The number that the visit had before: of the same sort as the one it has now.

    Args:
        also_alternate: PV1-50 may carry it too (A06 and A07, messages.md).
    """
    number, field = context.visit
    mrg = context.message.first("MRG")
    candidates = [mrg.text(PRIOR_FIELD[field])]
    if also_alternate:
        candidates += [mrg.text(5), mrg.text(6), context.pv1.text(50)]
    for candidate in candidates:
        if candidate != number and is_usable_id(candidate):
            draft.data["previous_visit_number"] = candidate
            return


def _record_clash(draft: Draft, context: Context) -> None:
    """MSH-9 is trusted; that EVN-1 names another trigger is worth knowing (trap 2)."""
    named = context.evn.text(1).upper()
    if named and named != context.header.trigger:
        draft.doubt("EVN-1")


def _person(context: Context, time: Timestamp) -> Draft | None:
    """What the message says of the person beside its happening; ``None`` if nothing."""
    draft = context.draft("patient.updated", time, context.subject)
    _fill_person(draft, context)
    return draft if draft.data else None


def _fill_person(draft: Draft, context: Context) -> None:
    person.fill(draft, context.message, context.pid)
    said, pcp = context.primary_care(draft.time)
    if said:
        draft.data["pcp"] = pcp
    if context.pid.text(30).upper() in codes.NO:
        # Not an event of its own: nearly every message says so.  After a death that was entered
        # by mistake it is the only sign that some senders give.
        draft.data["deceased"] = False


def _death(context: Context, main: Draft) -> Draft | None:
    """
    PID-29 and PID-30: a death, that it was taken back, or ``None``: no event needed.

    A date beside "not dead" is a doubt, and N wins (ruling 36).  A date that cannot be read is no
    death by itself: in feeds with shifted fields anything may stand there (trap 7).
    """
    pid = context.pid
    indicator = pid.text(30).upper()
    when = not_ahead(context.clock.moment(pid, 29), context.latest)
    alive, dead = indicator in codes.NO, indicator in codes.YES
    if indicator and not (alive or dead):
        main.doubt("PID-30")
    if alive and when.stamp:
        main.doubt("PID-30")
    if when.unreadable and not dead:
        main.doubt("PID-29")
    if dead or (when.stamp and not alive):
        death = context.draft("patient.died", when.stamp or main.time, context.subject)
        death.instant("died_at", Moment(death.time))
        return death
    if (alive and when.stamp) or when.null or pid.is_null(30):
        death = context.draft("patient.died", main.time, context.subject)
        death.data["died_at"] = None
        return death
    return None
