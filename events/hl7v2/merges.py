"""ADT of identities: merges, links, and what was filed under the wrong patient (ruling 36).

One message may hold several PID and MRG pairs; each becomes an event of its own, and a pair that
cannot be taken is refused alone.  Who is whom is decided later and elsewhere (``design.md``,
*Identity*): here only what the sender says of two identifiers.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from events.hl7v2 import identity
from events.hl7v2.context import Context
from events.hl7v2.draft import Draft
from events.hl7v2.message import Segment
from events.hl7v2.triggers import Content, Used
from events.reject import Reject
from schemas.timestamp import Timestamp


class Pair(NamedTuple):
    """One PID and MRG of a message; A24 and A37 have two PIDs instead."""

    context: Context
    row: Used
    time: Timestamp
    pid: Segment
    mrg: Segment
    number: int  # counted from 0

    def draft(self, subject: str, event_type: str | None = None) -> Draft:
        return self.context.draft(event_type or self.row.type, self.time, subject)

    @property
    def subject(self) -> str:
        return identity.subject(self.pid, self.context.authority)

    def other(self, place: str = "MRG^1^1") -> str:
        """
        The patient of MRG-1.

        Raises:
            Reject: ``missing-field``.
        """
        found = identity.first_identifier(self.mrg, 1, self.context.authority, place)
        if found is None:
            raise Reject("missing-field", "MRG-1 has no identifier", place=place)
        return found


def drafts(context: Context, row: Used) -> tuple[list[Draft], list[Reject]]:
    """
    The events of a message about identities, and the pairs that were refused.

    Raises:
        Reject: The message as a whole names no patient, no other one, or no time.
    """
    taken: list[Draft] = []
    refused: list[Reject] = []
    make = _MAKE[row.content]
    for pair in _pairs(context, row):
        try:
            taken.extend(make(pair))
        except Reject as reject:
            refused.append(reject)
    return taken, refused


def _pairs(context: Context, row: Used) -> Iterator[Pair]:
    """
    PID with the MRG after it (in A45 one PID may have several).

    Raises:
        Reject: ``missing-field``: no MRG at all; ``bad-time``.
    """
    time = context.happened(row.time)
    if row.content in ("link", "unlink"):
        yield Pair(context, row, time, context.pid, context.message.first("MRG"), 0)
        return
    pid, index = context.pid, 0
    for segment in context.message.only("PID", "MRG"):
        if segment.name == "PID":
            pid = segment
        else:
            yield Pair(context, row, time, pid, segment, index)
            index += 1
    if index == 0:
        raise Reject("missing-field", "no MRG segment", place="MRG^1^1")


def _merge(pair: Pair) -> list[Draft]:
    """A18, A30, A34, A36, A40, A47: PID-3 survives, MRG-1 is retired."""
    subject, retired = pair.subject, pair.other()
    _check_two(subject, retired, "MRG^1^1")
    draft = pair.draft(subject)
    draft.data["retired"] = retired
    return [draft]


def _link(pair: Pair) -> list[Draft]:
    """
    A24: two PIDs of one person.

    Within one authority that is a merge.  Across two it names another identifier of the person,
    which links where the site lets that authority link (``design.md``, *Identity*).
    """
    subject, other = _two_patients(pair)
    authority, _, number = other.partition("|")
    if authority != _authority(subject):
        draft = pair.draft(subject, "patient.updated")
        draft.data["identifiers"] = [{"authority": authority, "value": number}]
        return [draft]
    _check_two(subject, other, "PID^2^3")
    draft = pair.draft(subject)
    draft.data |= {"retired": other, "link": True}
    return [draft]


def _unlink(pair: Pair) -> list[Draft]:
    """A37: the two PIDs are two persons after all; a link across authorities, too, was wrong."""
    subject, other = _two_patients(pair)
    _check_other(subject, other, "PID^2^3")
    draft = pair.draft(subject)
    draft.data["retired"] = other
    return [draft]


def _two_patients(pair: Pair) -> tuple[str, str]:
    pids = pair.context.message.all("PID")
    subject = pair.subject
    if len(pids) < 2:
        raise Reject("missing-patient", "no second PID segment", place="PID^2^3")
    return subject, identity.subject(pids[1], pair.context.authority)


def _move_identifier(pair: Pair) -> list[Draft]:
    """
    A43: the identifier that PID-3 and MRG-1 share moves from the person of the other number in
    MRG-1 (before v2.4: MRG-4) to that of the other number in PID-3 (PID-2).
    """
    context, pid, mrg = pair.context, pair.pid, pair.mrg
    right, wrong = _identifiers(context, pid, 3), _identifiers(context, mrg, 1)
    moved = next((one for one in wrong if one in right), None) or pair.other()
    subject = next((one for one in right + _identifiers(context, pid, 2) if one != moved), None)
    origin = next((one for one in wrong + _identifiers(context, mrg, 4) if one != moved), moved)
    if subject is None:
        raise Reject("missing-patient", "PID-3 names nobody to whom it moves", place="PID^1^3")
    _check_two(subject, origin, "MRG^1^1")
    draft = pair.draft(subject)
    draft.data |= {"identifier": moved, "from": origin}
    return [draft]


def _identifiers(context: Context, segment: Segment, field: int) -> list[str]:
    place = f"{segment.name}^1^{field}"
    found = (identity.identifier(cx, context.authority, place) for cx in segment.repetitions(field))
    return [one for one in found if one is not None]


def _move_account(pair: Pair) -> list[Draft]:
    """
    A44: account MRG-3 of MRG-1 belongs to PID-3, as PID-18.

    With it go all visits billed to it, and the one that has no number but the account's.
    """
    account = pair.mrg.text(3) or pair.pid.text(18)
    found = _moved(pair, now=pair.pid.text(18), before=pair.mrg.text(3))
    for draft in found:
        if "from" in draft.data:
            draft.data["account_number"] = identity.printable_id(account, "MRG^1^3")
    return found


def _move_visit(pair: Pair) -> list[Draft]:
    """A45: visit MRG-5 of MRG-1 belongs to PID-3, as PV1-19 of the PV1 beside the MRG."""
    visits = pair.context.message.all("PV1")
    pv1 = visits[pair.number] if pair.number < len(visits) else pair.context.pv1
    now = identity.visit_number(pv1, pair.pid)
    return _moved(pair, now=now.number if now else "", before=pair.mrg.text(5))


def _moved(pair: Pair, *, now: str, before: str) -> list[Draft]:
    """
    One visit that changes hands.

    Without another patient in MRG-1 it only changes its account: an update of the visit.
    A number that changes on the way is one more update, under the right patient.
    """
    subject = pair.subject
    before = before or now
    if not before:
        raise Reject("missing-visit", "neither MRG nor PID and PV1 name a visit", place="MRG^1^5")
    before = identity.printable_id(before, "MRG^1^5")
    now = identity.printable_id(now or before, "PV1^1^19")
    origin = pair.other() if pair.mrg.text(1) else subject
    found = []
    if origin != subject:
        _check_two(subject, origin, "MRG^1^1")
        draft = pair.draft(subject)
        draft.data |= {"visit_number": before, "from": origin}
        found.append(draft)
        if now == before:
            return found
    update = pair.draft(subject, "admission.updated")
    update.data["visit_number"] = now
    update.number("account_number", pair.pid, 18)
    if now != before:
        update.data["previous_visit_number"] = before
    return [*found, update]


def _check_other(subject: str, other: str, place: str) -> None:
    """
    Raises:
        Reject: One identifier is no two.
    """
    if subject == other:
        raise Reject("self-merge", "both identifiers are the same", subject=subject, place=place)


def _check_two(subject: str, other: str, place: str) -> None:
    """
    Raises:
        Reject: Two identifiers that cannot be one person's.
    """
    _check_other(subject, other, place)
    if _authority(subject) != _authority(other):
        # Plain record numbers never link across authorities (``design.md``, *Identity*): one
        # registration desk cannot retire another's number.
        raise Reject(
            "identity-conflict",
            "the identifiers have two authorities",
            subject=subject,
            place=place,
        )


def _authority(subject: str) -> str:
    return subject.partition("|")[0]


_MAKE: Final[dict[Content, Callable[[Pair], list[Draft]]]] = {
    "merge": _merge,
    "link": _link,
    "unlink": _unlink,
    "move-identifier": _move_identifier,
    "move-account": _move_account,
    "move-visit": _move_visit,
}
CONTENTS: Final = frozenset(_MAKE)
