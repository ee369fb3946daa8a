"""ADT of identities: merges, links, and what was filed under the wrong patient (ruling 36).

One message may hold several PID and MRG pairs; each becomes an event of its own, and a pair that
cannot be taken is refused alone.  Who is whom is decided later and elsewhere (``design.md``,
*Identity*): here only what the sender says of two identifiers.
"""

from collections.abc import Callable, Iterator
from typing import Final

from events.hl7v2 import identity
from events.hl7v2.context import Context
from events.hl7v2.draft import Draft
from events.hl7v2.message import Segment
from events.hl7v2.triggers import Content, Used
from events.reject import Reject
from schemas.timestamp import Timestamp

Found = Iterator[Draft | Reject]


def drafts(context: Context, row: Used) -> tuple[list[Draft], list[Reject]]:
    """
    The events of a message about identities, and the pairs that were refused.

    Raises:
        Reject: The message as a whole names no patient, no other one, or no time.
    """
    taken: list[Draft] = []
    refused: list[Reject] = []
    for found in _FILL[row.content](context, row):
        if isinstance(found, Reject):
            refused.append(found)
        else:
            taken.append(found)
    return taken, refused


def _pairs(context: Context) -> list[tuple[Segment, Segment]]:
    """
    PID with the MRG after it (in A45 one PID may have several).

    Raises:
        Reject: ``missing-field``: no MRG at all.
    """
    pairs, pid = [], context.pid
    for segment in context.message.only("PID", "MRG"):
        if segment.name == "PID":
            pid = segment
        else:
            pairs.append((pid, segment))
    if not pairs:
        raise Reject("missing-field", "no MRG segment", place="MRG^1^1")
    return pairs


def _retired(context: Context, mrg: Segment) -> str | None:
    return identity.first_identifier(mrg, 1, context.authority, "MRG^1^1")


def _merge(context: Context, row: Used) -> Found:
    """A18, A30, A34, A36, A40, A47: PID-3 survives, MRG-1 is retired."""
    time = context.happened(row.time)
    for pid, mrg in _pairs(context):
        subject = identity.subject(pid, context.authority)
        retired = _retired(context, mrg)
        if retired is None:
            yield Reject(
                "missing-field", "MRG-1 has no identifier", subject=subject, place="MRG^1^1"
            )
        elif fault := _not_two(subject, retired, "MRG^1^1"):
            yield fault
        else:
            draft = context.draft(row.type, time, subject)
            draft.data["retired"] = retired
            yield draft


def _link(context: Context, row: Used) -> Found:
    """
    A24: two PIDs of one person.

    Within one authority that is a merge.  Across two it names another identifier of the person,
    which links where the site lets that authority link (``design.md``, *Identity*).
    """
    subject, other = _two_patients(context)
    time = context.happened(row.time)
    if _authority(subject) == _authority(other):
        if fault := _not_two(subject, other, "PID^2^3"):
            yield fault
            return
        draft = context.draft(row.type, time, subject)
        draft.data |= {"retired": other, "link": True}
    else:
        draft = context.draft("patient.updated", time, subject)
        authority, _, number = other.partition("|")
        draft.data["identifiers"] = [{"authority": authority, "value": number}]
    yield draft


def _unlink(context: Context, row: Used) -> Found:
    """A37: the two PIDs are two persons after all."""
    subject, other = _two_patients(context)
    if fault := _not_two(subject, other, "PID^2^3"):
        yield fault
        return
    draft = context.draft(row.type, context.happened(row.time), subject)
    draft.data["retired"] = other
    yield draft


def _two_patients(context: Context) -> tuple[str, str]:
    pids = context.message.all("PID")
    subject = context.subject
    if len(pids) < 2:
        raise Reject("missing-patient", "no second PID segment", place="PID^2^3")
    return subject, identity.subject(pids[1], context.authority)


def _move_identifier(context: Context, row: Used) -> Found:
    """
    A43: the identifier that PID-3 and MRG-1 share moves from the person of the other number in
    MRG-1 (before v2.4: MRG-4) to that of the other number in PID-3 (PID-2).
    """
    time = context.happened(row.time)
    for pid, mrg in _pairs(context):
        right, wrong = _identifiers(context, pid, 3), _identifiers(context, mrg, 1)
        moved = next((one for one in wrong if one in right), wrong[0] if wrong else None)
        if moved is None:
            yield Reject("missing-field", "MRG-1 has no identifier", place="MRG^1^1")
            continue
        subject = next((one for one in right + _identifiers(context, pid, 2) if one != moved), None)
        origin = next((one for one in wrong + _identifiers(context, mrg, 4) if one != moved), moved)
        if subject is None:
            yield Reject("missing-patient", "PID-3 names nobody to whom it moves", place="PID^1^3")
        elif fault := _not_two(subject, origin, "MRG^1^1"):
            yield fault
        else:
            draft = context.draft(row.type, time, subject)
            draft.data |= {"identifier": moved, "from": origin}
            yield draft


def _identifiers(context: Context, segment: Segment, field: int) -> list[str]:
    place = f"{segment.name}^1^{field}"
    found = (identity.identifier(cx, context.authority, place) for cx in segment.repetitions(field))
    return [one for one in found if one is not None]


def _move_account(context: Context, row: Used) -> Found:
    """A44: account MRG-3 of MRG-1 belongs to PID-3, as PID-18."""
    time = context.happened(row.time)
    for pid, mrg in _pairs(context):
        yield from _moved(context, row, time_of=time, pid=pid, mrg=mrg, now=pid.text(18), prior=3)


def _move_visit(context: Context, row: Used) -> Found:
    """A45: visit MRG-5 of MRG-1 belongs to PID-3, as PV1-19 of the PV1 beside the MRG."""
    time = context.happened(row.time)
    visits = context.message.all("PV1")
    for index, (pid, mrg) in enumerate(_pairs(context)):
        pv1 = visits[index] if index < len(visits) else context.pv1
        now = identity.visit_number(pv1, pid)
        number = now.number if now else ""
        yield from _moved(context, row, time_of=time, pid=pid, mrg=mrg, now=number, prior=5)


def _moved(
    context: Context,
    row: Used,
    *,
    time_of: Timestamp,
    pid: Segment,
    mrg: Segment,
    now: str,
    prior: int,
) -> Found:
    """
    One visit that changes hands.

    Without another patient in MRG-1 it only changes its account: an update of the visit.
    A number that changes on the way is one more update, under the right patient.
    """
    subject = identity.subject(pid, context.authority)
    origin = _retired(context, mrg)
    before = mrg.text(prior) or now
    if not before:
        yield Reject(
            "missing-visit", f"neither MRG-{prior} nor PID or PV1 name a visit", subject=subject
        )
        return
    if origin is not None and origin != subject:
        if fault := _not_two(subject, origin, "MRG^1^1"):
            yield fault
            return
        draft = context.draft(row.type, time_of, subject)
        draft.data |= {
            "visit_number": identity.printable_id(before, f"MRG^1^{prior}"),
            "from": origin,
        }
        yield draft
        if not now or now == before:
            return
    update = context.draft("admission.updated", time_of, subject)
    update.data["visit_number"] = identity.printable_id(now or before, "PV1^1^19")
    update.text("account_number", pid, 18)
    if now and now != before:
        update.data["previous_visit_number"] = before
    yield update


def _not_two(subject: str, other: str, place: str) -> Reject | None:
    """Why two identifiers cannot be one person's, or cannot stop being it."""
    if subject == other:
        return Reject("self-merge", "both identifiers are the same", subject=subject, place=place)
    if _authority(subject) != _authority(other):
        # Plain record numbers never link across authorities (``design.md``, *Identity*): one
        # registration desk cannot retire another's number.
        return Reject(
            "identity-conflict",
            "the identifiers have two authorities",
            subject=subject,
            place=place,
        )
    return None


def _authority(subject: str) -> str:
    return subject.partition("|")[0]


_FILL: Final[dict[Content, Callable[[Context, Used], Found]]] = {
    "merge": _merge,
    "link": _link,
    "unlink": _unlink,
    "move-identifier": _move_identifier,
    "move-account": _move_account,
    "move-visit": _move_visit,
}
CONTENTS: Final = frozenset(_FILL)
