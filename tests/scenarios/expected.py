"""What a story says must stand: its `then` cells, applied one after the other.

The clauses, several in a cell separated by `;`:

    nothing
    stay V1 open                            transition V1 deferred, flag TRANSFER_EXPECTED
    issue CALL_48H V1 due Thu 10-08 14:00 EDT, contact by end of Thu 10-08 EDT
    CALL_48H V1 accepted by nurse1          core V1 cancelled READMITTED
    open NO_PCP_APPOINTMENT V1 high         open OVERLAPPING_STAYS(M1) low
    record READMISSION_30D(V2) V1 info, hours=20      (a fact: status `recorded`)
    close NO_PCP_APPOINTMENT V1 RESOLVED    change TASK_OVERDUE(CALL_48H) V1 high
    suppress NO_PCP_APPOINTMENT V1          notice to nurse1 about CALL_48H V1
    refused terminal                        rejected bad-time
    episode V1 M1

`unsettled stay V1` is not compared from then on.  `V1/2` is the second transition of visit V1; `core` is the three core tasks; a field set to `?` is
not compared, and the line says why.  What a clause leaves out has the default of the contract:
a new task is `requested`, `routine`, owned by nobody, not overdue.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from tests.scenarios.builders import Event, instant_of
from tests.scenarios.instants import StoryError, end_of_local_day, read_instant

NS: Final = uuid5(NAMESPACE_URL, "urn:care-orchestrator")  # contract §3
ANY: Final = "?"
CORE: Final = ("CALL_48H", "PCP_VISIT_7D", "MED_REC")
TEAMS: Final = {
    "CALL_48H": "nurse-outreach",
    "PCP_VISIT_7D": "scheduling",
    "MED_REC": "pharmacy",
    "SNF_HANDOFF": "case-management",
    "RESCHEDULE": "scheduling",
    "CLINICAL_ESCALATION": "nurse-outreach",
}
SEVERITIES: Final = ("critical", "high", "medium", "low", "info")

Fields = dict[str, Any]


def transition_id(event: Event) -> UUID:
    """Contract §3: of the event by which this discharge first became known."""
    known_by = f"{event['source']} {event['id']}"
    visit = event["data"]["visit_number"]
    return uuid5(NS, f"transition|{event['subject']}|{event['facility']}|{visit}|{known_by}")


def task_id(transition: str, kind: str, cause: str) -> str:
    """Contract §3; *cause* is empty for what the transition itself causes."""
    return str(uuid5(NS, f"task|{transition}|{kind}|{cause}"))


def gap_id(transition_or_scope: str, code: str, subject: str) -> str:
    """Contract §3."""
    return str(uuid5(NS, f"gap|{transition_or_scope}|{code}|{subject}"))


@dataclass(slots=True)
class Expected:
    """Everything that must stand, by readable key: `task CALL_48H V1`, `gap TASK_OVERDUE(..) V1`."""

    zones: dict[str, str]  # facility -> zone
    things: dict[str, Fields] = field(default_factory=dict)
    transitions: dict[str, str] = field(default_factory=dict)  # transition id -> its name here
    notices: list[tuple[datetime, str, str]] = field(default_factory=list)  # at, to, task
    refused: list[str] = field(default_factory=list)  # reasons, of commands and of events
    episodes: list[list[str]] = field(default_factory=list)  # those a story names
    unsettled: set[str] = field(default_factory=set)  # keys that are not compared at all

    def apply(self, clauses: tuple[str, ...], at: datetime, events: dict[str, Event]) -> None:
        """
        Apply the clauses of one row.

        Args:
            clauses: As written.
            at: The row's instant: when we knew.
            events: The events of this instant; by visit, the last also under "".

        Raises:
            StoryError: A clause means nothing, or speaks of what no clause has created.
        """
        for clause in clauses:
            try:
                _Clause(self, at, events).apply(clause)
            except (StoryError, ValueError, KeyError, IndexError) as error:
                raise StoryError(f"clause {clause!r}: {error}") from error


@dataclass(slots=True)
class _Clause:
    state: Expected
    at: datetime
    events: dict[str, Event]

    def apply(self, clause: str) -> None:
        head, *edits = [part.strip() for part in clause.split(",")]
        words = head.split()
        match words[0]:
            case "nothing":
                pass
            case "unsettled":
                key = " ".join(words[1:])
                self.state.unsettled.add(key)
                self.state.things.pop(key, None)
            case "stay":
                self._stay(words[1], words[2:], edits)
            case "transition":
                self._transition(words[1], words[2:], edits)
            case "issue":
                self._issue(words[1], words[2], [" ".join(words[3:]), *edits])
            case "open" | "record" | "close" | "change" | "suppress":
                self._gap(words[0], words[1:], edits)
            case "notice":
                name = self._things("task", words[4], words[5])[0]
                self.state.notices.append((self.at, words[2], name))
            case "refused" | "rejected":
                self.state.refused.append(words[1])
            case "episode":
                visits = words[1:]
                kept = [e for e in self.state.episodes if not set(e) & set(visits)]
                self.state.episodes = [*kept, visits]
            case _:
                for key in self._things("task", words[0], words[1]):
                    edit_task(self.state.things[key], [" ".join(words[2:]), *edits], self.at)

    def _event(self, visit: str) -> Event:
        return self.events.get(visit.partition("/")[0]) or self.events[""]

    def _things(self, sort: str, kinds: str, transition: str) -> list[str]:
        kinds = kinds.replace("core", "+".join(CORE))
        keys = [f"{sort} {kind} {transition}" for kind in kinds.split("+")]
        missing = [key for key in keys if key not in self.state.things]
        if missing:
            raise StoryError(f"never issued: {missing}")
        return keys

    def _stay(self, visit: str, words: list[str], edits: list[str]) -> None:
        key = f"stay {visit}"
        event = self._event(visit)
        data = event.get("data", {})
        stay = self.state.things.get(key)
        if stay is None:
            admitted = instant_of(event, "admitted_at") if "admitted_at" in data else None
            stay = self.state.things[key] = {
                "facility": event["facility"],
                "class": data.get("class", "INPATIENT"),  # ruling 11
                "status": "open",
                "admitted_at": admitted,
                "discharged_at": None,
                "disposition": None,
                "flags": set(),
                "precision": ANY,
            }
        for edit in [" ".join(words), *edits]:
            name, _, value = edit.partition(" ")
            match name:
                case "discharged" if value:
                    stay["discharged_at"] = ANY if value == ANY else read_instant(value)
                case "discharged":
                    stated = "discharged_at" if "discharged_at" in data else "time"
                    said = data.get("disposition", {}).get("code")
                    stay |= {"status": name, "discharged_at": instant_of(event, stated)}
                    stay["disposition"] = said
                case "open" if stay["status"] == "discharged":
                    # Whether a stay keeps the disposition of a discharge taken back: not said.
                    stay |= {"status": name, "discharged_at": None, "disposition": ANY}
                case "planned" | "open" | "on-leave" | "cancelled" | "stale":
                    stay["status"] = name
                case "admitted":
                    stay["admitted_at"] = ANY if value == ANY else read_instant(value)
                case "flag":
                    stay["flags"] = stay["flags"] | {value}
                case "no":
                    stay["flags"] = stay["flags"] - {value.removeprefix("flag ")}
                case "class" | "disposition" | "precision":
                    stay[name] = value if value != "none" else None
                case _:
                    raise StoryError(f"no such word for a stay: {edit!r}")

    def _transition(self, name: str, words: list[str], edits: list[str]) -> None:
        key = f"transition {name}"
        thing = self.state.things.get(key)
        if thing is None:
            thing = self._new_transition(name, edits)
        for edit in [" ".join(words), *edits]:
            word, _, value = edit.partition(" ")
            match word:
                case "active" | "deferred":
                    thing |= {"status": word, "close_reason": None, "closed_at": None}
                case "closed":
                    thing |= {"status": word, "close_reason": value, "closed_at": self.at}
                case "flag":
                    thing["flags"] = thing["flags"] | {value}
                case "no":
                    thing["flags"] = thing["flags"] - {value.removeprefix("flag ")}
                case "flags" | "closed_at":
                    thing[word] = ANY
                case "codes":
                    thing["codes"] = [] if value == "none" else value.split()
                case "navigation":
                    thing["navigation"] = int(value)
                case "hrrp":
                    thing["hrrp"] = {"yes": True, "no": False}[value]
                case "disposition":
                    thing["disposition"] = None if value == "none" else value
                case "index":
                    self._index(thing, read_instant(value))
                case "known":
                    pass  # read when it was created
                case _:
                    raise StoryError(f"no such word for a transition: {edit!r}")

    def _new_transition(self, name: str, edits: list[str]) -> Fields:
        event = self._event(name)
        for edit in edits:
            if edit.startswith("known by "):
                event = self.events[edit.removeprefix("known by ")]
        data = event["data"]
        thing: Fields = {
            "status": "active",
            "close_reason": None,
            "facility": event["facility"],
            "visit": data["visit_number"],
            "subject": event["subject"],
            "disposition": data.get("disposition", {}).get("code"),
            "flags": set(),
            "opened_at": self.at,
            "closed_at": None,
            "codes": [],
            "navigation": 0,
            "hrrp": ANY,  # depends on diagnoses; only the stories that are about it look
        }
        stated = "discharged_at" if "discharged_at" in data else "time"
        self._index(thing, instant_of(event, stated))
        self.state.things[f"transition {name}"] = thing
        identity = str(transition_id(event))
        if identity in self.state.transitions:
            raise StoryError(f"{name} has the id of {self.state.transitions[identity]}")
        self.state.transitions[identity] = name
        return thing

    def _index(self, thing: Fields, index: datetime) -> None:
        zone = self.state.zones[thing["facility"]]
        thing["index"] = index
        thing["tcm_ends"] = end_of_local_day(index, 29, zone)
        thing["window_ends"] = end_of_local_day(index, 30, zone)

    def _issue(self, kinds: str, transition: str, edits: list[str]) -> None:
        if f"transition {transition}" not in self.state.things:
            raise StoryError(f"no transition {transition}")
        for kind in kinds.split("+"):
            name, _, _cause = kind.partition("(")
            task: Fields = {
                "status": "requested",
                "team": TEAMS[name],
                "priority": "routine",
                "owner": None,
                "overdue": False,
                "born_overdue": False,
                "lateness": None,
                "attribution": None,
                "attempts": 0,
                "contact": None,
                "contact_by": None,
                "flags": set(),
                "appointment": None,
                "status_reason": None,
                "opened_at": self.at,
                "closed_at": None,
            }
            key = f"task {kind} {transition}"
            if key in self.state.things:
                raise StoryError(f"{key} was issued before")
            self.state.things[key] = task
            edit_task(task, edits, self.at)
            if "due_at" not in task:
                raise StoryError("an issued task says when it is due")

    def _gap(self, verb: str, words: list[str], edits: list[str]) -> None:
        """Key: code, subject in parentheses, transition; without one it hangs on a stay or place."""
        rest = words[1:]
        reason = rest.pop() if verb == "close" else None
        severity = rest.pop() if rest and rest[-1] in {*SEVERITIES, ANY} else None
        transition = rest.pop() if rest else "-"
        if rest:
            raise StoryError(f"cannot place {rest}")
        if transition != "-" and f"transition {transition}" not in self.state.things:
            raise StoryError(f"no transition {transition}")
        for code in words[0].split("+"):
            self._one_gap(verb, f"gap {code} {transition}", severity, reason, edits)

    def _one_gap(
        self, verb: str, key: str, severity: str | None, reason: str | None, edits: list[str]
    ) -> None:
        gap = self.state.things.get(key)
        if gap is None:
            if verb not in {"open", "record", "suppress"}:
                raise StoryError(f"never opened: {key}")
            gap = self.state.things[key] = {"occurrence": 0, "evidence": {}, "since": ANY}
        if severity is not None:
            gap["severity"] = severity
        match verb:
            case "open" | "record":
                if severity is None:
                    raise StoryError("a gap opens with a severity")
                gap |= {
                    "status": {"open": "open", "record": "recorded"}[verb],
                    "occurrence": gap["occurrence"] + 1,
                    "opened_at": self.at,
                    "closed_at": None,
                    "close_reason": None,
                }
            case "close":
                gap |= {"status": "closed", "closed_at": self.at, "close_reason": reason}
            case "suppress":
                gap |= {"status": "suppressed", "closed_at": ANY, "close_reason": ANY}
        for edit in edits:
            if edit.startswith("since "):
                gap["since"] = read_instant(edit.removeprefix("since "))
            elif edit == "same occurrence":
                gap["occurrence"] -= 1
            elif match := re.fullmatch(r"(\w+)=(.*)", edit):
                gap["evidence"] = gap["evidence"] | {match[1]: _value(match[2])}
            elif edit == "operations":
                gap["team"] = edit
            else:
                raise StoryError(f"no such word for a gap: {edit!r}")


def _value(text: str) -> Any:
    if text in {"true", "false"}:
        return text == "true"
    return int(text) if text.isdigit() else text


def edit_task(task: Fields, edits: list[str], at: datetime) -> None:
    """Apply the words of one clause to one task."""
    for edit in [edit for edit in edits if edit]:
        words = edit.split()
        match words:
            case ["due", *when]:
                task["due_at"] = read_instant(" ".join(when))
            case ["contact", "by", *when]:
                task["contact_by"] = read_instant(" ".join(when))
            case ["contact", status]:
                task["contact"] = status if status != "none" else None
            case ["accepted", "by", owner]:
                _reopen(task)
                task |= {"status": "accepted", "owner": owner, "closed_at": None}
                task["status_reason"] = None
            case ["accepted", "for", appointment]:
                _reopen(task)
                task |= {"status": "accepted", "owner": None, "appointment": appointment}
                task |= {"closed_at": None, "status_reason": None}
            case ["requested"]:
                _reopen(task)
                task |= {"status": "requested", "closed_at": None, "status_reason": None}
                task |= {"owner": None, "appointment": None}
            case ["in", "progress"]:
                task["status"] = "in-progress"
            case ["completed"]:
                task |= {"status": "completed", "closed_at": at, "status_reason": None}
                task |= {"overdue": False, "attribution": None}
            case [("cancelled" | "failed") as status, reason]:
                task |= {"status": status, "status_reason": reason, "closed_at": at}
                task |= {"overdue": False, "attribution": None}
            case ["born", "overdue", attribution]:
                task |= {"overdue": True, "born_overdue": True, "attribution": attribution}
                task["priority"] = "urgent"  # ruling 20
            case ["overdue", attribution]:
                task |= {"overdue": True, "attribution": attribution}
            case ["not", "overdue"]:
                task |= {"overdue": False, "attribution": None}
            case ["late", hours]:
                task["lateness"] = _hours(hours)
            case ["attempts", count]:
                task["attempts"] = int(count) if count != ANY else ANY
            case ["for", appointment]:
                task["appointment"] = appointment if appointment != "none" else None
            case ["owner", owner]:
                task["owner"] = owner if owner != "nobody" else None
            case ["team", team]:
                task["team"] = team
            case [("urgent" | "routine" | "asap" | "stat") as priority]:
                task["priority"] = priority
            case ["flags", "none"]:
                task["flags"] = set()
            case ["flag", flag]:
                task["flags"] = task["flags"] | {flag}
            case ["no", "flag", flag]:
                task["flags"] = task["flags"] - {flag}
            case [name, "?"] if name in task:
                task[name] = ANY
            case _:
                raise StoryError(f"no such word for a task: {edit!r}")


def _reopen(task: Fields) -> None:
    """A withdrawn task returns: whether `opened_at` is its first or second time is not said."""
    if task["closed_at"] is not None:
        task["opened_at"] = ANY


def _hours(text: str) -> timedelta | str:
    """`72h`, `3h30m`; `?` is not compared."""
    if text == ANY:
        return ANY
    match = re.fullmatch(r"(\d+)h(?:(\d+)m)?(?:(\d+)s)?", text)
    if match is None:
        raise StoryError(f"not a lateness: {text!r}")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)
