"""What a patient wants of us: which wish about outreach holds, and whether consent is revoked.

A wish is of one discharge, since a new one asks again (ruling 19).  Consent to outreach is a legal
act that stands until it is granted again, over every discharge; both only ever stop calls.
"""

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Final

from orchestrator.core.facts import Stamp

Said = tuple[str | None, Stamp]  # the word (None: deleted) and its stamp
CONSENTS: Final = ("granted", "revoked")
DECLINES: Final = ("decline-calls", "decline-all")


def wish(said: Iterable[Said], since: int, until: int) -> tuple[str | None, int] | None:
    """
    The wish that holds of those said within [since, until), and since when.

    Who declined everything is brought back by ``accept`` alone (ruling 19: a narrower decline
    takes nothing back); a decline said again holds since it was said first.
    """
    held: tuple[str | None, int] | None = None
    for word, at in _in_order(said, until):
        if at < since or word in CONSENTS:
            continue
        if held is not None and word in DECLINES and held[0] in ("decline-all", word):
            continue
        held = (word, at)
    return held


def unconsented(said: Iterable[Said], until: int) -> int | None:
    """Since when consent to outreach is revoked, by what was said before *until*."""
    revoked: int | None = None
    for word, at in _in_order(said, until):
        if word == "granted":
            revoked = None
        elif word == "revoked" and revoked is None:
            revoked = at
    return revoked


def spells(
    said: Iterable[Said], since: int, begins: Sequence[str], ends: Sequence[str | None]
) -> list[tuple[int, int]]:
    """From when to when, by receipt, one of *begins* held that one of *ends* has taken back."""
    found: list[tuple[int, int]] = []
    begun: int | None = None
    for word, stamp in sorted(said, key=itemgetter(1)):
        if stamp.time < since:
            continue
        if word in begins and begun is None:
            begun = stamp.receipt
        elif word in ends and begun is not None:
            found.append((begun, stamp.receipt))
            begun = None
    return found


def _in_order(said: Iterable[Said], until: int) -> list[tuple[str | None, int]]:
    """Each word with the instant it counts from, in the order that decides which one holds."""
    ordered = sorted(said, key=lambda one: (one[1], one[0] or ""))
    told = [(word, min(stamp.time, stamp.receipt)) for word, stamp in ordered]
    return [(word, at) for word, at in told if at < until]
