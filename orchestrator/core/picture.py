"""The stays and episodes of a patient in their published form (``contract.md`` §6)."""

from collections.abc import Sequence
from typing import Any

from orchestrator.core.horizon import Horizon
from orchestrator.core.instants import DAY, written
from orchestrator.core.policy import Rules
from orchestrator.core.registers import value_of
from orchestrator.core.stays import Stay
from orchestrator.core.transition import Transition, open_until
from orchestrator.core.transitions import derive
from orchestrator.core.view import View

SHOWN_FLAGS = ("END_IN_ADMIT", "TIME_AMBIGUOUS", "TIME_ADJUSTED")


def stays(view: View, rules: Rules, now: int) -> list[dict[str, Any]]:
    """One entry a visit, as it stands at *now*: of a number used again, its newest stay."""
    newest: dict[tuple[str, str, str], Stay] = {}
    for stay in view.stays:
        newest[stay.subject, stay.facility, stay.visit] = stay
    return [_stay(stay, rules, now) for stay in newest.values()]


def _stay(stay: Stay, rules: Rules, now: int) -> dict[str, Any]:
    discharge = stay.discharge
    flags = set(stay.flags)
    if discharge is not None:
        flags |= set(discharge.flags)
    precision = "day" if "DAY" in flags else "time"
    shown = {flag for flag in flags if flag in SHOWN_FLAGS}
    if value_of(stay.said, "clock_skew"):
        shown.add("CLOCK_SKEW")
    if not stay.opened and not stay.planned:
        shown.add("SYNTHETIC_ADMIT")
    return {
        "facility": stay.facility,
        "visit_number": stay.visit,
        "class": "PREADMIT" if stay.planned and not stay.classes else stay.cls,
        "status": _status(stay, rules, now),
        "admitted_at": None if stay.admitted_at is None else written(stay.admitted_at),
        "discharged_at": None if discharge is None else written(discharge.at),
        "disposition": None if discharge is None else discharge.disposition,
        "precision": precision,
        "flags": sorted(shown),
    }


def _status(stay: Stay, rules: Rules, now: int) -> str:
    if stay.cancelled is not None:
        return "cancelled"
    if stay.planned:
        return "planned"
    if stay.discharge is not None:
        return "discharged"
    if open_until(stay, rules.newest, Horizon(now)) is not None:
        return "stale"
    return "on-leave" if stay.on_leave else "open"


def episodes(view: View, rules: Rules, now: int) -> list[dict[str, Any]]:
    """Stays joined by transfer or class change, each chain with its beginning and end."""
    chains: list[list[Stay]] = []
    leads_to = {
        id(transition.stay): _leads_to(transition)
        for transition in derive(view, rules, Horizon(now))
    }
    home: dict[int, list[Stay]] = {}
    for stay in view.stays:
        if stay.cancelled is not None or stay.planned:
            continue
        chain = home.get(id(stay)) or _continued(stay, chains)
        if chain is None:
            chain = []
            chains.append(chain)
        chain.append(stay)
        following = leads_to.get(id(stay))
        if following is not None:
            home[id(following)] = chain
    return [_episode(chain) for chain in chains]


def _leads_to(transition: Transition) -> Stay | None:
    arrival = transition.arrival
    if arrival is not None and transition.ended_before(arrival.start):
        arrival = None
    return transition.transferred_to or arrival


def _continued(stay: Stay, chains: Sequence[list[Stay]]) -> list[Stay] | None:
    """A visit that was closed as admitted here (09) goes on in the next one of the facility."""
    for chain in reversed(chains):
        last = chain[-1]
        if (
            last.facility == stay.facility
            and last.discharge is not None
            and last.discharge.disposition == "09"
            and abs(stay.start - last.discharge.at) <= DAY
        ):
            return chain
    return None


def _episode(chain: Sequence[Stay]) -> dict[str, Any]:
    last = chain[-1]
    visits = dict.fromkeys(number for stay in chain for number in stay.visits)
    return {
        "visits": list(visits),
        "started_at": written(chain[0].began),
        "ended_at": None if last.discharge is None else written(last.discharge.at),
    }
