"""The difference between what should stand and what was published: versions, history, changes.

The only place with memory.  ``version``, ``occurrence``, ``opened_at`` and ``closed_at`` are
history and live here; all else comes from the plan.  What reaches nobody is never published: a
task born cancelled, a gap born closed, a transition whose discharge was taken back before anyone
heard of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from orchestrator.core.instants import written
from orchestrator.core.wanted import TERMINAL, Plan, Wanted

Kind = Literal["transition", "task", "gap"]
UNHEARD = ("DISCHARGE_CANCELLED", "ADMIT_CANCELLED", "WRONG_PATIENT")
LIVE_GAP = ("open", "recorded", "suppressed")


@dataclass(slots=True)
class Ledger:
    """What was published of each thing, newest version, whole; in order of first publication."""

    transitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    gaps: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Of the patient view: its version, and what of it was shown; empty: a tombstone.
    shown: tuple[int, str] = (0, "")


class Change(NamedTuple):
    """One published change; *thing* is the whole new version."""

    kind: Kind
    change: str
    thing: dict[str, Any]
    before: dict[str, Any] | None
    why: str


def reconcile(ledger: Ledger, wanted: Plan, at: int) -> list[Change]:
    """
    Bring *ledger* (changed in place) to *wanted*.

    Args:
        ledger: What was published.
        wanted: What should stand.
        at: When we knew: the receipt, or the deadline's instant, whichever is later.

    Returns:
        The changes, transitions before tasks before gaps; empty when all stands as it should.
    """
    moment = written(at)
    changes: list[Change] = []
    changes += _transitions(ledger, wanted, moment)
    changes += _tasks(ledger, wanted, moment)
    changes += _gaps(ledger, wanted.gaps, moment)
    return changes


def readdress(ledger: Ledger, patient: str, key: str, made: list[Change]) -> list[Change]:
    """
    Put what is over, and planned no more, under the name that the patient has now.

    ``patient`` is the surviving identifier of everything that is published (``contract.md`` §3):
    else what was done before two records were joined would stay behind under a retired number.

    Args:
        ledger: Changed in place.
        made: The changes of this step; what is among them changes once.
    """
    fresh = {id(change.thing) for change in made}
    changes: list[Change] = []
    kinds: tuple[tuple[Kind, str, dict[str, dict[str, Any]]], ...] = (
        ("transition", "transition.updated", ledger.transitions),
        ("task", "task.updated", ledger.tasks),
        ("gap", "gap.changed", ledger.gaps),
    )
    for kind, name, rows in kinds:
        for one, held in list(rows.items()):
            if held["patient"] in (None, patient):
                continue
            address = {"patient": patient, "patient_key": key}
            if id(held) in fresh:
                held.update(address)
            else:
                rows[one] = {**held, **address, "version": held["version"] + 1}
                changes.append(Change(kind, name, rows[one], held, "It is kept with the rest."))
    return changes


WITHDRAWN: Final = ("cancelled", "failed", "entered-in-error")
STILL_TOLD: Final = ("patient", "patient_key", "masked", "flags", "tcm_contact_status")


def _as_withdrawn(held: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    """What was withdrawn stays as it was until it comes back; only whose it is may be told."""
    if held["status"] not in WITHDRAWN or any(
        held[name] != content[name] for name in ("status", "status_reason")
    ):
        return content
    return {name: content[name] for name in STILL_TOLD if name in content}


def _same(held: dict[str, Any], content: dict[str, Any]) -> bool:
    # Faster than asking whether the items of the one are among those of the other.
    return {**held, **content} == held


def _transitions(ledger: Ledger, plan: Plan, moment: str) -> list[Change]:
    changes: list[Change] = []
    held_all = ledger.transitions
    missing = dict.fromkeys(held_all)
    for want in plan.transitions:
        missing.pop(want.id, None)
        content, held = want.content, held_all.get(want.id)
        closed = content["status"] == "closed"
        if held is None:
            if closed and content["close_reason"] in UNHEARD:
                continue
            thing = {
                **content,
                "version": 1,
                "opened_at": moment,
                "closed_at": moment if closed else None,
            }
            changes.append(Change("transition", "transition.opened", thing, None, want.why()))
        elif _same(held, content):
            continue
        else:
            thing = _next(held, content, moment, closed=closed)
            name = (
                "transition.closed"
                if closed and held["status"] != "closed"
                else "transition.updated"
            )
            changes.append(Change("transition", name, thing, held, want.why()))
        held_all[want.id] = thing
    for gone in missing:
        # The facts were corrected so that no discharge here opens a transition any more; or the
        # visit was given to somebody else.
        held = held_all[gone]
        if held["status"] == "closed":
            continue
        elsewhere = plan.visits is not None and _visit(held) not in plan.visits()
        reason = "WRONG_PATIENT" if elsewhere else "SUPERSEDED"
        content = {"status": "closed", "close_reason": reason, "ended_at": moment}
        thing = _next(held, content, moment, closed=True)
        held_all[gone] = thing
        sentence = GONE.get(reason, "Withdrawn: the facts were corrected; no follow-up is owed.")
        if gone in plan.doubled:
            sentence = GONE[DOUBLED]
        changes.append(Change("transition", "transition.closed", thing, held, sentence))
    return changes


def _visit(transition: dict[str, Any]) -> tuple[str, str, str]:
    return transition["subject"], transition["facility"], transition["visit_number"]


def _next(
    held: dict[str, Any], content: dict[str, Any], moment: str, *, closed: bool
) -> dict[str, Any]:
    thing = {**held, **content, "version": held["version"] + 1}
    if not closed:
        thing["closed_at"] = None
    elif thing["closed_at"] is None or any(
        thing.get(name) != held.get(name) for name in ("status", "status_reason", "close_reason")
    ):
        thing["closed_at"] = moment  # when we knew of this end, not of a former one
    return thing


def _tasks(ledger: Ledger, plan: Plan, moment: str) -> list[Change]:
    changes: list[Change] = []
    held_all = ledger.tasks
    missing = dict.fromkeys(held_all)
    for want in plan.tasks:
        missing.pop(want.id, None)
        content, held = want.content, held_all.get(want.id)
        terminal = content["status"] in TERMINAL
        if held is not None:
            content = _as_withdrawn(held, content)
        if held is None:
            if content["status"] in ("cancelled", "entered-in-error"):
                continue
            thing = {
                **content,
                "version": 1,
                "opened_at": moment,
                "closed_at": moment if terminal else None,
            }
            changes.append(Change("task", "task.requested", thing, None, want.why()))
        elif _same(held, content):
            continue
        else:
            thing = _next(held, content, moment, closed=terminal)
            changes.append(Change("task", _task_change(held, thing), thing, held, want.why()))
        held_all[want.id] = thing
    for gone in missing:
        held = held_all[gone]
        doubled = held["transition_id"] in plan.doubled
        reason = _gone_reason(ledger.transitions.get(held["transition_id"]), doubled=doubled)
        if held["status"] in TERMINAL:
            changes += _flagged(held_all, held) if reason == "WRONG_PATIENT" else []
            continue
        content = {
            "status": "entered-in-error" if reason == "WRONG_PATIENT" else "cancelled",
            "status_reason": reason,
            "overdue": False,
            "attribution": None,
            "ended_at": moment,
        }
        thing = _next(held, content, moment, closed=True)
        held_all[gone] = thing
        sentence = GONE.get(
            DOUBLED if doubled else reason,
            "Withdrawn: the facts were corrected; it no longer applies.",
        )
        changes.append(Change("task", "task.cancelled", thing, held, sentence))
    return changes


DOUBLED = "doubled"
GONE = {
    DOUBLED: "Withdrawn: the same discharge was told under two numbers; the other task stands.",
    "EXPIRED": "Stop: the patient has died. All outreach is withdrawn; do not call the home.",
    "HOSPICE": "Withdrawn: the patient is in hospice care.",
    "WRONG_PATIENT": (
        "Withdrawn: this visit belonged to another patient. If you have called, tell your"
        " supervisor."
    ),
}


def _flagged(tasks: dict[str, dict[str, Any]], held: dict[str, Any]) -> list[Change]:
    """What was done for a patient whose visit it was not stays done, and says so."""
    if held["status"] != "completed" or "WRONG_PATIENT" in held["flags"]:
        return []
    flags = [*held["flags"], "WRONG_PATIENT"]
    thing = {**held, "flags": flags, "version": held["version"] + 1}
    tasks[held["task_id"]] = thing
    return [Change("task", "task.updated", thing, held, GONE["WRONG_PATIENT"])]


def _gone_reason(transition: dict[str, Any] | None, *, doubled: bool) -> str:
    """The word of the transition's end, where that is why the task is not wanted any more."""
    if doubled:
        return "SUPERSEDED"
    if transition is not None and transition["close_reason"] in GONE:
        return str(transition["close_reason"])
    return "NOT_APPLICABLE"


def _task_change(held: dict[str, Any], thing: dict[str, Any]) -> str:
    status = thing["status"]
    if status != held["status"] and status in TERMINAL:
        return "task.cancelled" if status == "entered-in-error" else f"task.{status}"
    if thing["overdue"] and not held["overdue"]:
        return "task.overdue"
    return "task.updated"


def _gaps(ledger: Ledger, wanted: Iterable[Wanted], moment: str) -> list[Change]:
    changes: list[Change] = []
    held_all = ledger.gaps
    missing = {gone: held for gone, held in held_all.items() if held["status"] != "closed"}
    for want in wanted:
        missing.pop(want.id, None)
        content, held = want.content, held_all.get(want.id)
        live = content["status"] in LIVE_GAP
        if held is None:
            if not live:
                continue
            thing = {
                **content,
                "version": 1,
                "occurrence": 1,
                "opened_at": moment,
                "closed_at": None,
            }
            changes.append(Change("gap", "gap.opened", thing, None, want.why()))
        elif (not live and held["status"] == "closed") or _same(held, content):
            continue
        else:
            thing = {**held, **content, "version": held["version"] + 1}
            reopened = content["status"] == "open" and held["status"] != "open"
            if reopened or (live and held["status"] == "closed"):
                thing |= {
                    "occurrence": held["occurrence"] + 1,
                    "opened_at": moment,
                    "closed_at": None,
                }
                name = "gap.opened"
            elif live:
                name = "gap.changed"
            else:
                thing["closed_at"] = moment
                name = "gap.closed"
            changes.append(Change("gap", name, thing, held, want.why()))
        held_all[want.id] = thing
    for gone, held in missing.items():
        thing = {
            **held,
            "status": "closed",
            "close_reason": _close_reason(held, ledger),
            "closed_at": moment,
            "version": held["version"] + 1,
        }
        held_all[gone] = thing
        changes.append(Change("gap", "gap.closed", thing, held, _closing_sentence(thing)))
    return changes


def _close_reason(gap: dict[str, Any], ledger: Ledger) -> str:
    """Why a gap that the plan no longer wants is closed."""
    transition = ledger.transitions.get(gap["transition_id"] or "")
    ended = transition is not None and transition["status"] == "closed"
    if ended and transition is not None and transition["close_reason"] in UNHEARD:
        return "RETRACTED"
    if gap["status"] == "recorded":
        return "RETRACTED"
    if gap["code"] == "TASK_OVERDUE":
        task = ledger.tasks.get(gap["evidence"]["task_id"])
        return "TASK_TERMINAL" if task is None or task["status"] in TERMINAL else "RETRACTED"
    if transition is not None and _settled_with(gap, transition):
        return "RESOLVED"
    return "TRANSITION_CLOSED" if ended else "RESOLVED"


def _settled_with(gap: dict[str, Any], transition: dict[str, Any]) -> bool:
    """Whether what ended the transition is just what the gap was waiting for."""
    if gap["code"] == "TRANSFER_NOT_ARRIVED":
        return bool(transition["close_reason"] == "TRANSFERRED")
    if gap["code"] == "DISPOSITION_UNKNOWN":
        return bool(transition["disposition"] != gap["evidence"]["disposition"])
    return False


def _closing_sentence(gap: dict[str, Any]) -> str:
    return {
        "RETRACTED": "Closed: what caused it was taken back.",
        "TASK_TERMINAL": "Closed: the task is no longer open.",
        "TRANSITION_CLOSED": "Closed: the follow-up of this discharge has ended.",
    }.get(str(gap["close_reason"]), "Closed: what was missing is there.")
