"""``care.patient.merged`` and its like, and linking identifiers, to marks of who is whom.

Only what was said; what holds is derived from all of it (``orchestrator.core.identity``).
"""

from typing import Final

from handlers.envelope import Said
from orchestrator.core.identity import Mark, What

TITLES: Final = {
    "care.patient.merged.v1": "Two records joined",
    "care.patient.unmerged.v1": "Two records separated",
    "care.patient.visit_moved.v1": "Visit moved from another patient",
    "care.patient.identifiers_moved.v1": "Identifier moved",
}


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
        move = _mark(said, 0, "move", subject, data["from"])
        found = [move._replace(facility=said.facility, visit=said.visit)]
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
    others = []
    for one in said.data["identifiers"]:
        if isinstance(one, str):
            others.append(one)
        elif one.get("authority") and one.get("value"):
            others.append(f"{one['authority']}|{one['value']}")
    return [
        _mark(said, number, "link", subject, other)
        for number, other in enumerate(sorted(set(others) - {subject}))
        if other.partition("|")[0] in linking and other.partition("|")[2]
    ]


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
