"""Replay: the same decisions without a broker, from files (``contract.md`` §6).

Files have no append order, so they get the canonical journal: facts sorted by receipt, all of one
instant in one step, then the clock; a clock at every due instant in between.  The answer therefore
depends only on the set of (event, receipt), not on order, repetition or how files were split.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import structlog

import handlers
from events import decode_record
from events.files import Record
from events.reject import Reject
from orchestrator.core import picture, step
from orchestrator.core.facts import FacilityHeard, FieldUnmapped, Parked, Stamp, Told
from orchestrator.core.instants import DAY, read, written
from orchestrator.core.patient import Patient
from orchestrator.core.policy import Rules
from orchestrator.log import describe
from orchestrator.stream.content import content_hash
from orchestrator.stream.keys import patient_key
from orchestrator.stream.rules import rules as made_rules
from schemas.facilities import Facilities
from schemas.policy import load_policies

# Replay needs no secret: its keys only have to be the same in every run.
REPLAY_KEY: Final = b"care-orchestrator replay"
REPEAT_WINDOW: Final = 30 * DAY
OnProgress = Callable[[int], None]

logger = structlog.get_logger()


@dataclass(slots=True)
class Input:
    """What the files hold: accepted events with their place, and what was refused."""

    events: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    rejects: dict[tuple[str, str], tuple[Reject, str]] = field(default_factory=dict)
    ignored: int = 0

    def reject(self, reject: Reject, raw: bytes, where: str) -> None:
        """Keep a refusal once, whatever the number of its copies."""
        key = (hashlib.sha256(raw).hexdigest(), f"{reject.reason}\0{reject.detail}")
        held = self.rejects.get(key)
        if held is None or where < held[1]:
            self.rejects[key] = (reject, where)


def decode(records: Iterable[Record], facilities: Facilities) -> Input:
    """Decode all *records*; nothing in them raises."""
    found = Input()
    for record in records:
        decoded = decode_record(record.kind, record.raw, facilities)
        found.events += [(event, record.where) for event in decoded.events]
        found.ignored += decoded.ignored is not None
        for reject in decoded.rejects:
            found.reject(reject, record.raw, record.where)
    return found


def replay(
    records: Iterable[Record],
    *,
    as_of: str | None = None,
    facilities: Facilities | None = None,
    policies: Sequence[Any] | None = None,
    changes: bool = False,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """
    Decide about everything in *records*.

    Args:
        records: In any order.
        as_of: The clock at the end, inclusive; default: the latest receipt.
        facilities: Default: the built-in ``default`` for all.
        policies: As `load_policies` gives them; default: the built-in one.
        changes: Whether the answer lists every change.
        on_progress: Called with the number of patients done.

    Returns:
        The object that ``replay --json`` prints.

    Raises:
        ValueError: *as_of* is not an instant.
    """
    facilities = facilities or Facilities.load(None)
    rules = made_rules(tuple(policies or load_policies(None)), facilities)
    found = decode(records, facilities)
    until = _until(found, as_of)
    _fill_backfill(found, until)
    run = _Run(rules, facilities, until)
    run.take(found)
    return run.answer(changes=changes, on_progress=on_progress)


def replay_events(
    events: Iterable[Mapping[str, Any]],
    *,
    as_of: str | None = None,
    facilities: Facilities | str | None = None,
    policy: str | None = None,
    changes: bool = True,
) -> dict[str, Any]:
    """Replay canonical events given as plain objects; *facilities* may be YAML text."""
    if isinstance(facilities, str):
        facilities = Facilities.parse(facilities)
    records = (
        Record(f"event:{number}", "canonical", orjson.dumps(event))
        for number, event in enumerate(events, start=1)
    )
    return replay(
        records,
        as_of=as_of,
        facilities=facilities,
        policies=load_policies(policy),
        changes=changes,
    )


def _until(found: Input, as_of: str | None) -> int:
    """
    The clock at the end: as asked, else the latest receipt, else the latest event of a history
    without receipts.  What holds no instant at all stops it where it starts, in 1970, so that
    `as_of` is an instant in every answer.
    """
    if as_of is not None:
        return read(as_of)
    receipts = [read(event["receivedtime"]) for event, _ in found.events if "receivedtime" in event]
    receipts += [read(reject.receipt) for reject, _ in found.rejects.values() if reject.receipt]
    if not receipts:
        receipts = [read(event["time"]) for event, _ in found.events]
    return max(receipts, default=0)


def _fill_backfill(found: Input, until: int) -> None:
    """History without a receipt is received before everything live, else at the end."""
    live = [
        read(event["receivedtime"])
        for event, _ in found.events
        if "receivedtime" in event and event.get("lane") == "live"
    ]
    receipt = written(min(live, default=until))
    for event, _ in found.events:
        event.setdefault("receivedtime", receipt)


@dataclass(slots=True)
class _One:
    """What one patient was told, by instant of receipt."""

    told: dict[int, list[Told]] = field(default_factory=dict)

    def add(self, receipt: int, told: Told) -> None:
        self.told.setdefault(receipt, []).append(told)


class _Run:
    """One replay: the inputs of each subject, then the canonical journal of each."""

    def __init__(self, rules: Rules, facilities: Facilities, until: int) -> None:
        self.rules = rules
        self.facilities = facilities
        self.until = until
        self.subjects: dict[str, _One] = {}
        self.feeds: dict[str, _One] = {}
        self.rejected: list[dict[str, Any]] = []
        self.places: dict[tuple[str, str], str] = {}

    def take(self, found: Input) -> None:
        """Drop repeats, park what clashes, and translate the rest."""
        first: dict[tuple[str, str, str], tuple[int, str]] = {}
        clashes: dict[tuple[str, str, str, str], tuple[int, dict[str, Any], str]] = {}
        ordered = sorted(
            (
                (read(event["receivedtime"]), content_hash(event), where, number)
                for number, (event, where) in enumerate(found.events)
            ),
        )
        for receipt, content, where, number in ordered:
            event = found.events[number][0]
            if receipt > self.until or event.get("lane") == "test":
                continue
            key = (event["subject"], event["source"], event["id"])
            held = first.get(key)
            if held is not None and held[1] == content:
                continue  # a repeat keeps its first receipt
            if held is not None and receipt - held[0] <= REPEAT_WINDOW:
                clashes.setdefault((*key, content), (receipt, event, where))
                continue
            first[key] = (receipt, content)
            self._event(event, receipt, where)
        for receipt, event, where in clashes.values():
            reason = "duplicate-id-different-content"
            detail = "the same source and id came with other content"
            self.rejected.append({"where": where, "reason": reason, "detail": detail})
            self._parked(event["subject"], reason, event["id"], receipt)
        for reject, where in found.rejects.values():
            self._refused(reject, where)

    def _event(self, event: dict[str, Any], receipt: int, where: str) -> None:
        told = handlers.told(event, self.facilities)
        self.subjects.setdefault(event["subject"], _One()).add(receipt, told)
        self.places[told.source, told.event] = where
        facility = event.get("facility")
        if not facility:
            return
        facts: list[Any] = []
        if event.get("lane") != "backfill" and told.command is None:
            facts.append(FacilityHeard(facility, receipt))
        facts += [
            FieldUnmapped(facility, name, receipt)
            for name in handlers.unmapped_fields(event, self.facilities)
        ]
        if facts:
            self.feeds.setdefault(facility, _One()).add(receipt, _silent(facts, receipt))

    def _refused(self, reject: Reject, where: str) -> None:
        receipt = read(reject.receipt) if reject.receipt else self.until
        if receipt > self.until:
            return
        self.rejected.append({"where": where, "reason": reject.reason, "detail": reject.detail})
        if reject.subject is not None:
            name = reject.event_id or f"{reject.reason} at {written(receipt)}"
            self._parked(reject.subject, reject.reason, name, receipt)

    def _parked(self, subject: str, reason: str, event: str, receipt: int) -> None:
        stamp = Stamp(receipt, -1, "", event, receipt, receipt)
        told = _silent([Parked(reason, stamp)], receipt, event)
        self.subjects.setdefault(subject, _One()).add(receipt, told)

    def answer(self, *, changes: bool, on_progress: OnProgress | None) -> dict[str, Any]:
        """Run every subject and put the answer together."""
        patients: list[dict[str, Any]] = []
        every: list[dict[str, Any]] = []
        for done, subject in enumerate(sorted(self.subjects), start=1):
            story = self._run(subject, self.subjects[subject])
            patients.append(story.shown(self.rules, self.until))
            every += story.changes
            self._refusals(story.changes)
            if on_progress is not None and done % 100 == 0:
                on_progress(done)
        operations: list[dict[str, Any]] = []
        for facility in sorted(self.feeds):
            story = self._run(f"facility|{facility}", self.feeds[facility])
            operations += story.gaps.values()
            every += story.changes
        every.sort(key=lambda change: (change["at"], change["subject"], change["seq"]))
        self.rejected.sort(key=lambda one: (one["reason"], one["detail"], one["where"]))
        return {
            "as_of": written(self.until),
            "patients": patients,
            "operations": operations,
            "changes": every if changes else [],
            "rejected": self.rejected,
        }

    def _run(self, subject: str, one: _One) -> "_Story":
        """One subject; a bug of ours there is told, and keeps nobody else from an answer."""
        story = _Story(Patient(subject, patient_key(REPLAY_KEY, subject)))
        try:
            self._history(story, one)
        except Exception as bug:
            logger.exception("record.failed", stage="replay")
            detail = describe(bug)
            for told in (told for instant in one.told.values() for told in instant if told.type):
                where = self.places[told.source, told.event]
                found = {"where": where, "reason": "handler-failed", "detail": detail}
                self.rejected.append(found)
        return story

    def _history(self, story: "_Story", one: _One) -> None:
        """The canonical journal of one subject (``models/history.py``)."""
        patient = story.patient
        for receipt in sorted(one.told):
            story.add(step.clock(patient, receipt - 1, self.rules))
            told = sorted(one.told[receipt], key=lambda t: (t.time, t.source, t.event))
            story.add(step.fact(patient, told, receipt - 1, receipt, self.rules))
            story.add(step.clock(patient, receipt, self.rules))
        story.add(step.clock(patient, self.until, self.rules))

    def _refusals(self, changes: Iterable[Mapping[str, Any]]) -> None:
        for change in changes:
            if change["change"] != "command.refused":
                continue
            command = change["command"]
            where = self.places.get((command["source"], command["event"]), "")
            detail = f"{command['what']}: {change['why']}"
            self.rejected.append({"where": where, "reason": command["reason"], "detail": detail})


def _silent(facts: list[Any], receipt: int, event: str = "") -> Told:
    """Facts that no event of a timeline stands for."""
    return Told(event, "", "", "", receipt, receipt, tuple(facts))


class _Story:
    """Everything that was ever published about one subject, in its newest version."""

    def __init__(self, patient: Patient) -> None:
        self.patient = patient
        self.changes: list[dict[str, Any]] = []
        self.transitions: dict[str, dict[str, Any]] = {}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.gaps: dict[str, dict[str, Any]] = {}

    def add(self, changes: list[dict[str, Any]]) -> None:
        """Take in what a step published."""
        for change in changes:
            if "task" in change:
                self.tasks[change["task"]["task_id"]] = change["task"]
            elif "gap" in change:
                self.gaps[change["gap"]["gap_id"]] = change["gap"]
            elif "transition" in change:
                self.transitions[change["transition"]["transition_id"]] = change["transition"]
        self.changes += changes

    def shown(self, rules: Rules, now: int) -> dict[str, Any]:
        """The patient as ``replay`` shows one."""
        seen = self.patient.view(rules, sealed=True)
        return {
            "patient": self.patient.subject,
            "aliases": [],
            "stays": picture.stays(seen, rules, now),
            "episodes": picture.episodes(seen, rules, now),
            "transitions": list(self.transitions.values()),
            "tasks": list(self.tasks.values()),
            "gaps": list(self.gaps.values()),
            "scores": [],
            "medications": {},
            "notices": [c["notice"] for c in self.changes if c["change"] == "notice"],
            "timeline": [_entry(change) for change in self.changes],
        }


def _entry(change: Mapping[str, Any]) -> dict[str, Any]:
    entry = {"at": change["at"], "change": change["change"], "title": change["why"]}
    if "event" in change:
        event = change["event"]
        entry |= {
            "event_id": event["id"],
            "type": event["type"],
            "time": event["time"],
            "receivedtime": event["receivedtime"],
        }
    else:
        entry["caused_by"] = change["caused_by"]
    return entry
