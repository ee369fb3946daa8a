"""Turns the words of a `happens` cell into the event that a publisher would send.

    admit V1 GEN inpatient emergency       discharge V1 home
    class V2 inpatient, was V1             correct V1 snf
    cancel discharge V1                    leave V1, return V1
    book A1 pcp for Mon 10-12 10:00 EDT    no-show A1
    complete CALL_48H V1 ok by rn          attempt CALL_48H V1 voicemail by rn

Anything unusual is said after `with`: `discharge V1 home with id E1, source hie/NET, recorded
Wed 10-07 10:00 EDT, data.sequence 2`.  An event carries only what the words say, because a field
not said must stay what it was.  The verbs are in `happenings.py`.
"""

import json
from datetime import datetime

from tests.scenarios.happenings import VERBS, Chart, Event
from tests.scenarios.instants import StoryError, read_instant, wire


def build_event(words: str, when: str, heard: str, chart: Chart) -> Event:
    """
    The event that *words* describe.

    Args:
        words: The `happens` cell; not `clock`.
        when: The cell of that name, when it happened.
        heard: When it reached us; empty means at once.
        chart: Facilities of the visits named so far; grows.

    Raises:
        StoryError: The words mean nothing.
    """
    said, _, extras = words.partition(" with ")
    happened = read_instant(when)
    receipt = read_instant(heard) if heard else happened
    chart.events += 1
    event: Event = {
        "specversion": "1.0",
        "id": f"E{chart.events}",
        "source": "hospital/adt",
        "subject": "HIE|P",
        "time": wire(happened),
        "receivedtime": wire(receipt),
        "data": {},
    }
    for verb, build in VERBS.items():
        if said == verb or said.startswith(verb + " "):
            build(said[len(verb) :].split(), event, chart)
            break
    else:
        raise StoryError(f"no such happening: {words!r}")
    _add_extras(extras, event)
    visit = event["data"].get("visit_number")
    if visit and "facility" in event:
        chart.visits[visit] = event["facility"]
    chart.last = event
    return event


def _add_extras(extras: str, event: Event) -> None:
    for part in _split_top(extras):
        name, _, value = part.strip().partition(" ")
        if name in {"id", "source", "lane", "facility", "time"}:
            event[name] = value
        elif name == "patient":
            event["subject"] = f"HIE|{value}"
        elif name == "recorded":
            event["recordedtime"] = wire(read_instant(value))
        elif name in {"cancels_at", "discharged_at", "admitted_at", "ends_at"}:
            event["data"][name] = wire(read_instant(value))
        elif name == "if_version":
            event["data"][name] = int(value)
        elif name.startswith("data."):
            event["data"][name.removeprefix("data.")] = json.loads(value)
        else:
            raise StoryError(f"no such extra: {part!r}")


def _split_top(text: str) -> list[str]:
    """Split at commas that are in no bracket."""
    parts, depth, current = [], 0, ""
    for char in text:
        depth += (char in "[{") - (char in "]}")
        if char == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += char
    return [part for part in [*parts, current] if part.strip()]


def instant_of(event: Event, name: str) -> datetime:
    """
    A time field of a built event; *name* may be of the envelope or of `data`.

    A local time or a bare date is the row's own instant: such stories are heard at once.
    """
    instant = datetime.fromisoformat(str(event.get(name) or event["data"].get(name)))
    if instant.tzinfo is None:
        instant = datetime.fromisoformat(event["receivedtime"])
    return instant
