"""One patient's story in entries: what is to come, then what was, each with its cause.

Pure: from the published changes as the reader may see them.  Order is that of the events, and
where we heard of one later than it was, the entry says so.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from orchestrator.worklist.instants import SECOND, micros
from orchestrator.worklist.pages import gap_words, script, wording

Kind = Literal["care", "tasks", "gaps", "medicines", "access"]
Change = Mapping[str, Any]
Policies = Mapping[str, Mapping[str, Any]]  # by version
KINDS: Final[tuple[Kind, ...]] = ("care", "tasks", "gaps", "medicines")
MINUTE: Final = 60 * SECOND
MEDICINES: Final = frozenset({"MED_REC"})
_MEDICINE_GAPS: Final = ("MED_", "RX_")
# Ends that say that what began was a mistake.
UNDONE: Final = frozenset({"DISCHARGE_CANCELLED", "ADMIT_CANCELLED", "WRONG_PATIENT"})
# They repeat what the change beside them says.
_SILENT: Final = frozenset({"command.accepted", "transition.updated"})
_TASK_WORDS: Final = {
    "task.requested": "{kind} is owed by {team}",
    "task.updated": "{kind}: {status}",
    "task.overdue": "{kind} is overdue",
    "task.completed": "{kind} done",
    "task.cancelled": "{kind} withdrawn",
    "task.withdrawn": "{kind} withdrawn",
    "task.failed": "{kind} not done",
}
# Of what is done with a task, what the words beside it do not say already.
_TELLS_WHO: Final = frozenset({"attempted", "completed", "rejected", "noted", "reassigned"})
_GAP_WORDS: Final = {
    "gap.opened": "Gap opened: {name}",
    "gap.changed": "Gap changed: {name}",
    "gap.closed": "Gap closed: {name}",
}


@dataclass(slots=True)
class Entry:
    """
    One thing that happened.

    Attributes:
        number: The change's; its place in the page is ``e-<number>``.
        at: When it was, µs.
        told: ``told us 3 d later``.
        facts: What `[why]` opens to: names and values.
        is_event: The facts are those of the hospital's event.
        undone: The number of the entry that took it back.
    """

    number: int
    at: int
    when: str
    kind: Kind
    text: str
    why: str
    told: str
    facts: tuple[tuple[str, str], ...]
    is_event: bool
    restricted: bool = False
    undone: int | None = None


class Ahead(NamedTuple):
    """One deadline to come."""

    at: int
    when: str
    text: str


class Mark(NamedTuple):
    """One place on the window of a transition."""

    place: int  # 0 to 30
    text: str
    tone: Literal["past", "here", "ahead"]


class Window(NamedTuple):
    """The days of a transition as a line."""

    day: int
    days: int
    begins: str
    ends: str
    marks: tuple[Mark, ...]


def entries(
    told: Sequence[tuple[int, Change]], zone: str, now: int, policies: Policies
) -> list[Entry]:
    """The entries of *told*, newest first."""
    # That a report of ours came says no more than what it changed, which names it.
    named = {cause for _, change in told if change.get("task") for cause in change["caused_by"]}
    found = [
        one
        for number, change in told
        if not _is_report(change, named) and (one := _entry(number, change, zone, now, policies))
    ]
    found.sort(key=lambda one: (-one.at, -one.number))
    undone = _undone(told)
    for one in found:
        one.undone = undone.get(one.number)
    return found


def _is_report(change: Change, named: Collection[str]) -> bool:
    event = change.get("event")
    return event is not None and event["id"] in named and event["type"].startswith("care.task.")


def _entry(number: int, change: Change, zone: str, now: int, policies: Policies) -> Entry | None:
    name = str(change["change"])
    # A note changes nothing but is said.
    if name in _SILENT and not any(one.get("note") for one in change.get("said") or ()):
        return None
    at, told, text, kind = micros(change["at"]), "", "", "care"
    facts: list[tuple[str, str]] = []
    task, gap = change.get("task"), change.get("gap")
    thing = task or gap or change.get("transition")
    event = change.get("event")
    if event is not None:
        happened, heard = micros(event["time"]), micros(event["receivedtime"])
        told = _told(heard - happened)
        at, text, kind = min(happened, heard), event["title"], _kind_of(event["type"])
        facts += [
            ("event", event["id"]),
            ("type", event["type"]),
            ("happened", wording.moment(happened, zone, now)),
            ("told us", wording.moment(heard, zone, now)),
        ]
    elif task is not None:
        text, kind = _of_task(name, task), "tasks"
        kind = "medicines" if task["kind"] in MEDICINES else "tasks"
    elif gap is not None:
        words = _GAP_WORDS.get(name, "Gap: {name}")
        if gap.get("status") == "recorded":
            words = "Fact: {name}"
        text = words.format(name=gap_words.name(gap["code"]))
        kind = "medicines" if gap["code"].startswith(_MEDICINE_GAPS) else "gaps"
    elif change.get("transition") is not None:
        text = _of_transition(name)
    elif change.get("notice") is not None:
        text, kind = f"Told {change['notice']['to']}: {change['notice']['text']}", "tasks"
    elif name == "command.accepted":
        text, kind = "Note", "tasks"
    elif (command := change.get("command")) is not None:
        text, kind = f"Not accepted: {command['what']}", "tasks"
        facts += [("reason", str(command["reason"]))] if command.get("reason") else []
    else:
        # A role that sees no event sees that there was one.
        text = "Hidden for your role"
    by, answers = _by_people(change, policies)
    text, facts = text + by, facts + answers
    if thing is not None:
        facts += _facts(thing)
    facts += [("because of", cause) for cause in change["caused_by"] if event is None]
    return Entry(
        number=number,
        at=at,
        when=wording.moment(at, zone, now),
        kind=kind,  # type: ignore[arg-type]
        text=text,
        why=change["why"] or "",
        told=told,
        facts=tuple(facts),
        is_event=event is not None,
        restricted=bool(thing is not None and thing.get("notice")),
    )


def _told(late: int) -> str:
    if late < MINUTE:
        return ""
    return f"told us {wording.length(late)} later"


def _kind_of(type_: str) -> Kind:
    if ".medication" in type_:
        return "medicines"
    return "tasks" if type_.startswith("care.task.") else "care"


def _of_task(change: str, task: Mapping[str, Any]) -> str:
    words = _TASK_WORDS.get(change, "{kind}: {status}")
    status = wording.STATUS.get(task["status"], task["status"]).lower()
    if task["status"] == "requested":
        status = "changed"
    if task["status"] == "accepted" and task.get("owner"):
        status = f"taken by {task['owner']}"
    return words.format(kind=wording.kind(task["kind"]), team=task["team"], status=status)


def _by_people(change: Change, policies: Policies) -> tuple[str, list[tuple[str, str]]]:
    """Who did it, and what they said of it, as far as the reader may know."""
    task = change.get("task") or {}
    if "said" in change.get("hidden", ()):
        if not task or change["change"] == "task.requested":
            return "", []
        return "", [("said", "Restricted by law" if task["masked"] else "Hidden for your role")]
    policy = policies.get(task.get("policy_version", "")) or {}
    spoken = change.get("said") or ()
    return (
        "".join(_spoken(one) for one in spoken),
        [fact for one in spoken for fact in _said(one, policy)],
    )


def _spoken(said: Mapping[str, Any]) -> str:
    """Who did it, and whom they reached: ``, by anna: voicemail``."""
    if said["what"] not in _TELLS_WHO:
        return ""
    who = said.get("actor") or "somebody"
    if said.get("on_behalf_of"):
        who = f"{said['on_behalf_of']} through {who}"
    reached = said.get("reached")
    words = f": {dict(script.REACHED).get(reached, reached)}" if reached else ""
    return f", by {who}{words.lower()}"


def _said(said: Mapping[str, Any], policy: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The answers, the outcome and the note, as the form asks for them."""
    told = script.in_words(said, policy)
    told += [(name.capitalize(), str(said[name])) for name in ("reason", "to") if said.get(name)]
    return told


def _of_transition(change: str) -> str:
    return {
        "transition.opened": "Transition begins: what is owed is counted from here",
        "transition.closed": "Transition ends",
    }.get(change, "Transition changed")


def _facts(thing: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [("rule", thing["rule"])] if thing.get("rule") else []
    facts.append(("policy", str(thing["policy_version"])))
    for name, value in (thing.get("evidence") or {}).items() if _has_inputs(thing) else ():
        facts.append((name.replace("_", " "), str(value)))
    return facts


def _has_inputs(thing: Mapping[str, Any]) -> bool:
    return isinstance(thing.get("evidence"), Mapping)


def _undone(told: Sequence[tuple[int, Change]]) -> dict[int, int]:
    """By the number of an entry that was taken back, the one that took it back."""
    ended: dict[str, int] = {}
    mistaken: dict[str, int] = {}
    for number, change in told:
        for name in ("task", "transition"):
            thing = change.get(name)
            if thing is None:
                continue
            reason = thing.get("status_reason") if name == "task" else thing.get("close_reason")
            gone = name == "task" and thing["status"] in wording.WITHDRAWN
            gone = gone or (name == "transition" and reason in UNDONE)
            identity = thing[f"{name}_id"]
            if gone:
                ended[identity] = max(number, ended.get(identity, 0))
    found: dict[int, int] = {}
    for number, change in told:
        for name in ("task", "transition"):
            thing = change.get(name)
            if thing is None or thing[f"{name}_id"] not in ended:
                continue
            end = ended[thing[f"{name}_id"]]
            if number >= end or change["change"] not in ("task.requested", "transition.opened"):
                continue
            found[number] = end
            if name == "transition":
                mistaken |= dict.fromkeys(change["caused_by"], end)
    for number, change in told:
        event = change.get("event")
        if event is not None and event["id"] in mistaken and mistaken[event["id"]] > number:
            found[number] = mistaken[event["id"]]
    return found


def ahead(
    tasks: Sequence[Mapping[str, Any]],
    transitions: Sequence[Mapping[str, Any]],
    visits: Sequence[Mapping[str, Any]],
    zone: str,
    now: int,
) -> list[Ahead]:
    """What is to come, the next first; what falls due together is one entry."""
    due: dict[int, list[str]] = {}
    for task in tasks:
        at = micros(task["due_at"])
        if at > now:
            due.setdefault(at, []).append(wording.kind(task["kind"]))
        by = task.get("tcm_contact_by")
        if by is not None and micros(by) > now and task.get("tcm_contact_status") != "MET":
            due.setdefault(micros(by), []).append("TCM contact")
    found = [
        Ahead(at, wording.due_at(at, zone, now), f"{_joined(names)} due")
        for at, names in due.items()
    ]
    for one in transitions:
        ends = one.get("readmission_window_ends_at")
        if one["status"] != "closed" and ends is not None and micros(ends) > now:
            at = micros(ends)
            found.append(Ahead(at, wording.due_at(at, zone, now), "The transition's window ends"))
    for visit in visits:
        starts = visit.get("starts_at")
        if starts is not None and micros(starts) > now and visit.get("status") == "booked":
            at = micros(starts)
            found.append(Ahead(at, wording.moment(at, zone, now), "A visit is booked"))
    return sorted(found)


def _joined(names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    if len(unique) == 1:
        return f"{unique[0]} is"
    return f"{', '.join(unique[:-1])} and {unique[-1]} are"


def window(
    transition: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]], zone: str, now: int
) -> Window | None:
    """The days of an open transition, drawn to scale of 30; nothing for one that has ended."""
    ends = transition.get("readmission_window_ends_at")
    if transition["status"] == "closed" or ends is None:
        return None
    begin, end = micros(transition["index_discharge_at"]), micros(ends)
    days = _day(end - 1, zone) - _day(begin, zone)
    today = _day(now, zone) - _day(begin, zone)
    marks = [
        Mark(_place(micros(task["due_at"]), begin, end), "48 h", _tone(task["due_at"], now))
        for task in tasks
        if task["kind"] == "CALL_48H"
    ]
    for day in (7, 14):
        at = wording.start_of_day(begin, zone, day + 1)
        marks.append(Mark(_place(at, begin, end), f"day {day}", "past" if at <= now else "ahead"))
    marks.append(Mark(30, f"day {days}", "past" if end <= now else "ahead"))
    marks.append(Mark(_place(now, begin, end), f"today, day {today}", "here"))
    return Window(
        today,
        days,
        wording.day(begin, zone),
        wording.day(end - 1, zone),
        tuple(sorted(marks, key=lambda one: (one.place, one.tone == "here"))),
    )


def _place(at: int, begin: int, end: int) -> int:
    return max(0, min(30, round((at - begin) * 30 / (end - begin))))


def _tone(at: str, now: int) -> Literal["past", "ahead"]:
    return "past" if micros(at) <= now else "ahead"


def _day(at: int, zone: str) -> int:
    return wording.local(at, zone).date().toordinal()
