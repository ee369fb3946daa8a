"""Replay: the same decisions without a broker, from files (``contract.md`` §6).

Files have no append order, so they get the canonical journal: facts sorted by receipt, all of one
instant in one step, then the clock; a clock at every due instant in between.  The answer therefore
depends only on the set of (event, receipt), not on order, repetition or how files were split.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import Any, Final

import orjson
import structlog

import handlers
from events import decode_record
from events.files import Record
from events.reject import Reject
from orchestrator.core.facts import FacilityHeard, FieldUnmapped
from orchestrator.core.instants import DAY, read, written
from orchestrator.core.policy import Rules
from orchestrator.log import describe
from orchestrator.stream.content import content_hash
from orchestrator.stream.keys import patient_key
from orchestrator.stream.rules import rules as made_rules
from orchestrator.stream.story import History, Story, connected, contest, in_order, silent
from orchestrator.stream.telling import parked
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
    run = Run(rules, facilities, until)
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


class Run:
    """One replay: the inputs of all subjects, then the canonical journal of each patient."""

    def __init__(self, rules: Rules, facilities: Facilities, until: int) -> None:
        self.rules = rules
        self.facilities = facilities
        self.until = until
        self.subjects: dict[str, History] = {}
        self.feeds: dict[str, History] = {}
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
            names = (event["source"], event["id"])
            self._parked(event["subject"], reason, names, receipt)
        for reject, where in found.rejects.values():
            self._refused(reject, where)

    def _event(self, event: dict[str, Any], receipt: int, where: str) -> None:
        told = handlers.told(event, self.facilities)
        self._history(event["subject"]).add(receipt, told)
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
            self.feeds.setdefault(facility, History()).add(receipt, silent(facts, receipt))

    def _refused(self, reject: Reject, where: str) -> None:
        receipt = read(reject.receipt) if reject.receipt else self.until
        if receipt > self.until:
            return
        self.rejected.append({"where": where, "reason": reject.reason, "detail": reject.detail})
        if reject.subject is not None:
            name = reject.event_id or f"{reject.reason} at {written(receipt)}"
            names = (reject.source or "", name)
            self._parked(reject.subject, reject.reason, names, receipt)

    def _parked(self, subject: str, reason: str, names: tuple[str, str], receipt: int) -> None:
        self._history(subject).add(receipt, parked(reason, *names, receipt))

    def _history(self, subject: str) -> History:
        return self.subjects.setdefault(subject, History())

    def answer(self, *, changes: bool, on_progress: OnProgress | None) -> dict[str, Any]:
        """Run every patient and put the answer together."""
        contest(self.subjects)
        patients: list[dict[str, Any]] = []
        every: list[dict[str, Any]] = []
        done = 0
        for names in connected(self.subjects):
            story = self._run({name: self.subjects[name] for name in names})
            patients += story.patients(self.until)
            every += story.changes
            self._refusals(story.changes)
            done += len(names)
            if on_progress is not None and done % 100 < len(names):
                on_progress(done)
        operations: list[dict[str, Any]] = []
        for facility in sorted(self.feeds):
            story = self._run({f"facility|{facility}": self.feeds[facility]})
            operations += story.operations()
            every += story.changes
        patients.sort(key=itemgetter("patient"))
        every.sort(key=in_order)
        self.rejected.sort(key=lambda one: (one["reason"], one["detail"], one["where"]))
        return {
            "as_of": written(self.until),
            "patients": patients,
            "operations": operations,
            "changes": every if changes else [],
            "rejected": self.rejected,
        }

    def _run(self, told: Mapping[str, History]) -> Story:
        """One patient; a bug of ours there is told, and keeps nobody else from an answer."""
        zone = self.rules.facility("", self.until).zone
        story = Story(self.rules, partial(patient_key, REPLAY_KEY), zone)
        try:
            story.run(told, self.until)
        except Exception as bug:
            logger.exception("record.failed", stage="replay")
            detail = describe(bug)
            events = (one for history in told.values() for one in history.events())
            for event in events:
                where = self.places[event.source, event.event]
                found = {"where": where, "reason": "handler-failed", "detail": detail}
                self.rejected.append(found)
        return story

    def _refusals(self, changes: Iterable[Mapping[str, Any]]) -> None:
        for change in changes:
            if change["change"] != "command.refused":
                continue
            command = change["command"]
            where = self.places.get((command["source"], command["event"]), "")
            detail = f"{command['what']}: {change['why']}"
            self.rejected.append({"where": where, "reason": command["reason"], "detail": detail})
