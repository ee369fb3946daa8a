"""``care.patient.merged`` and its like, and linking identifiers, to marks of who is whom.

Only what was said; what holds is derived from all of it (``orchestrator.core.identity``).
"""

from dataclasses import replace
from typing import Final

from handlers.envelope import Said
from orchestrator.core.facts import Told
from orchestrator.core.marks import Mark, What

MOST_LINKS: Final = 8  # of one event; who has more numbers has none
LONGEST: Final = 128

TITLES: Final = {
    "care.patient.merged.v1": "Two records joined",
    "care.patient.unmerged.v1": "Two records separated",
    "care.patient.visit_moved.v1": "Visit moved from another patient",
    "care.patient.identifiers_moved.v1": "Identifier moved",
}


def said_of_records(said: Said) -> Told:
    """An event that tells of nothing but who is whom."""
    return replace(said.told(TITLES[said.event["type"]], []), marks=marks(said))


def marks(said: Said) -> tuple[Mark, ...]:
    """What one event says of who is whom; most say nothing."""
    subject, data, kind = said.event["subject"], said.data, said.event["type"]
    if kind == "care.patient.merged.v1":
        found = [_mark(said, 0, "merge", subject, data["retired"])]
    elif kind == "care.patient.unmerged.v1":
        found = [_mark(said, 0, "unmerge", subject, data["retired"])]
    elif kind == "care.patient.identifiers_moved.v1":
        found = [
            _mark(said, 0, "detach", data["from"], data["identifier"]),
            _mark(said, 1, "merge", subject, data["identifier"]),
        ]
        found = [mark for mark in found if mark.survivor != mark.other]
    elif kind == "care.patient.visit_moved.v1":
        account = data.get("account_number")
        what: What = "move-account" if account else "move"
        move = _mark(said, 0, what, subject, data["from"])
        found = [move._replace(facility=said.facility, visit=account or said.visit)]
    elif data.get("identifiers"):
        found = _links(said, subject)
    else:
        return ()
    return tuple(found)


def _links(said: Said, subject: str) -> list[Mark]:
    """
    Other identifiers that name a person across facilities.

    Only an authority that the site configured as linking does: plain record numbers never link,
    since one registration desk cannot speak for another's numbers.
    """
    linking = said.settings.linking_authorities
    if not linking:
        return []
    others = set()
    for one in said.data["identifiers"]:
        if isinstance(one, str):
            authority, _, value = one.partition("|")
        else:
            authority, value = one.get("authority") or "", one.get("value") or ""
        if authority in linking and _is_number(value):
            others.add(f"{authority}|{value}")
    numbered = enumerate(sorted(others - {subject})[:MOST_LINKS])
    return [_mark(said, number, "link", subject, other) for number, other in numbered]


def _is_number(value: str) -> bool:
    """Blanks and what cannot be printed are nobody's number, and would join strangers."""
    return value == value.strip() and value.isprintable() and 0 < len(value) <= LONGEST


def _mark(said: Said, number: int, what: What, survivor: str, other: str) -> Mark:
    stamp = said.stamp
    return Mark(
        stamp.time,
        stamp.recorded,
        stamp.source,
        stamp.event,
        number,
        what,
        survivor,
        other,
        receipt=stamp.receipt,
    )
