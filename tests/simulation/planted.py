"""Bugs to plant: each one line of the real code made wrong, as somebody might write it one day.

From reliability.md §3.7, those that can exist in the embedded spine.  Each takes a monkeypatch and
changes the product in this process; `test_planted_bugs.py` says who catches it.
"""

import contextlib
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

import handlers
from orchestrator.core import calendar, ids, plan, step, stored, tasks
from orchestrator.core.facts import Told
from orchestrator.core.horizon import Horizon
from orchestrator.core.instants import HOUR
from orchestrator.core.patient import Patient
from orchestrator.core.policy import Due
from orchestrator.core.reconcile import Ledger
from orchestrator.stream import replay, rules, working
from orchestrator.stream.content import content_hash

Plant = Callable[[pytest.MonkeyPatch], None]
Event = Mapping[str, Any]


def random_task_id(patch: pytest.MonkeyPatch) -> None:
    """uuid4: a redo publishes the same task again under another id."""
    for name in ("transition_id", "task_id", "gap_id"):  # these remember what they answered
        patch.setattr(ids, name, lambda *_causes: str(uuid.uuid4()))


def two_calendar_days_for_48_hours(patch: pytest.MonkeyPatch) -> None:
    """The call is due at the end of the second day instead of after 48 elapsed hours."""
    real: Callable[[Any], Due] = rules._due

    def due(said: Any) -> Due:
        found = real(said)
        return Due("calendar", 2) if found == Due("elapsed", 48 * HOUR) else found

    patch.setattr(rules, "_due", due)


def days_of_utc(patch: pytest.MonkeyPatch) -> None:
    """date(UTC): every local day begins some hours early."""
    local_day, local_time = calendar.local_day, calendar.local_time
    patch.setattr(calendar, "local_day", lambda instant, _zone: local_day(instant, "UTC"))
    patch.setattr(calendar, "local_time", lambda day, hour, _zone: local_time(day, hour, "UTC"))


def late_only_after_the_due_instant(patch: pytest.MonkeyPatch) -> None:
    """`>` for `>=`: at the due instant itself nothing happens yet."""
    real = Horizon.reached
    patch.setattr(Horizon, "reached", lambda self, instant: real(self, instant + 1))


def cancelled_discharges_ignored(patch: pytest.MonkeyPatch) -> None:
    """A13 is acknowledged and forgotten."""
    real = handlers.HANDLERS["care.discharge.cancelled.v1"]
    ignored = {"care.discharge.cancelled.v1": lambda said: replace(real(said), facts=())}
    patch.setattr(handlers, "HANDLERS", {**handlers.HANDLERS, **ignored})


def cancel_leaves_the_tasks_open(patch: pytest.MonkeyPatch) -> None:
    """The transition closes, its tasks stay in the queues."""
    patch.setattr(tasks, "_close_with", lambda _transition, _duty: None)


def _told_otherwise(patch: pytest.MonkeyPatch, change: Callable[[Event], Event]) -> None:
    real = handlers.told

    def told(event: Event, facilities: Any) -> Told:
        return real(change(event), facilities)

    patch.setattr(handlers, "told", told)


def updates_reset_the_discharge(patch: pytest.MonkeyPatch) -> None:
    """Every A08 is taken for a new discharge time."""

    def change(event: Event) -> Event:
        if event["type"] != "care.admission.updated.v1":
            return event
        return {**event, "data": {"discharged_at": event["time"], **event["data"]}}

    _told_otherwise(patch, change)


def last_to_arrive_wins(patch: pytest.MonkeyPatch) -> None:
    """Statements are ordered by their receipt instead of when they were recorded."""
    _told_otherwise(patch, lambda event: {**event, "recordedtime": event["receivedtime"]})


def repeats_not_dropped(patch: pytest.MonkeyPatch) -> None:
    """Every copy is a new event."""
    patch.setattr(replay, "REPEAT_WINDOW", -1)
    patch.setattr(replay, "content_hash", lambda _event: uuid.uuid4().hex)


def repeats_forgotten_after_an_hour(patch: pytest.MonkeyPatch) -> None:
    """The dedupe window is one hour."""
    patch.setattr(replay, "REPEAT_WINDOW", HOUR)
    real = content_hash
    patch.setattr(replay, "content_hash", lambda e: real(e) + str(e["receivedtime"])[:13])


def told_apart_by_content_only(patch: pytest.MonkeyPatch) -> None:
    """Two events that say the same count once: a discharge after a cancelled one is swallowed."""

    def content(event: Event) -> str:
        return f"{event['type']} {sorted(event['data'].items(), key=str)}"

    def take(run: Any, found: Any) -> None:
        known: set[tuple[str, str]] = set()
        kept = []
        for event, where in found.events:
            key = (event["subject"], content(event))
            if key not in known:
                known.add(key)
                kept.append((event, where))
        found.events[:] = kept
        real(run, found)

    real: Callable[[Any, Any], None] = replay.Run.take
    patch.setattr(replay.Run, "take", take)


def deadlines_from_the_wall_clock(patch: pytest.MonkeyPatch) -> None:
    """`now` is when the worker happens to look."""
    real = plan.plan
    patch.setattr(step, "plan", lambda view, the, _now: real(view, the, time.time_ns() // 1000))


def now_from_the_fact(patch: pytest.MonkeyPatch) -> None:
    """A fact moves the clock: gaps fire although older messages may still be on their way."""
    real = step.fact
    patch.setattr(
        step, "fact", lambda patient, told, _now, stamp, the: real(patient, told, stamp, stamp, the)
    )


def wake_an_hour_late(patch: pytest.MonkeyPatch) -> None:
    """A deadline is noticed an hour after it passed."""
    real = plan.plan

    def plan_late(view: Any, the: Any, now: int) -> Any:
        found = real(view, the, now)
        return replace(found, wake=None if found.wake is None else found.wake + HOUR)

    patch.setattr(step, "plan", plan_late)


def ledger_lost_at_a_restart(patch: pytest.MonkeyPatch) -> None:
    """What was published is forgotten: a redo opens everything again as version 1."""
    patch.setattr(stored, "load_ledger", lambda _plain: Ledger())


def plans_once_per_batch(patch: pytest.MonkeyPatch) -> None:
    """Only the last record of a batch is planned: changes in between reach nobody."""
    real = working.Working._tell

    def tell(this: Any, key: str, patient: Patient, told: Told, lane: str = "") -> None:
        if this.last != key:
            real(this, key, patient, told, lane)
        else:
            patient.held.append(told)
        this.last = key

    patch.setattr(working.Working, "last", None, raising=False)
    patch.setattr(working.Working, "_tell", tell)


def exceptions_swallowed(patch: pytest.MonkeyPatch) -> None:
    """The record that fails is passed over in silence, as Faust does."""
    real = working.Working._record

    def record(this: Any, one: Any, value: Any) -> None:
        with contextlib.suppress(Exception):
            real(this, one, value)

    patch.setattr(working.Working, "_record", record)


def exception_text_kept(patch: pytest.MonkeyPatch) -> None:
    """The dead letter's header quotes the exception, and with it the patient."""
    patch.setattr(working, "describe", str)
