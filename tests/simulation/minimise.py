"""From a history that shows a difference to the smallest one that still shows it.

Plain delta debugging: leave events out in halves, quarters, … down to single ones, until none can
be spared; then receive everything at once where that changes nothing.
"""

from collections.abc import Callable
from typing import Any

Events = list[dict[str, Any]]
Shows = Callable[[Events], bool]


def _without(events: Events, start: int, size: int) -> Events:
    return events[:start] + events[start + size :]


def fewer(events: Events, shows: Shows) -> Events:
    """A part of *events* that still shows it and from which no single event can be spared."""
    size = max(1, len(events) // 2)
    while True:
        start, spared = 0, False
        while start < len(events):
            rest = _without(events, start, size)
            if rest and shows(rest):
                events, spared = rest, True
            else:
                start += size
        if size == 1 and not spared:
            return events
        size = max(1, size // 2)


def plainer(events: Events, shows: Shows) -> Events:
    """The same events with as little dirt as possible: prompt receipts, plain data."""
    for number, event in enumerate(events):
        prompt = event | {"receivedtime": event["time"]}
        for field in ("modality", "service", "admit_type", "ends_at", "pcp", "provider"):
            data = {k: v for k, v in event["data"].items() if k != field}
            events = _try(events, number, events[number] | {"data": data}, shows)
        events = _try(events, number, prompt | {"data": events[number]["data"]}, shows)
    return events


def _try(events: Events, number: int, event: dict[str, Any], shows: Shows) -> Events:
    changed = [*events[:number], event, *events[number + 1 :]]
    return changed if changed != events and shows(changed) else events


def minimal(events: Events, shows: Shows) -> Events:
    return plainer(fewer(events, shows), shows)


def readable(events: Events) -> str:
    """The history as a table: when received, when it happened, what."""
    lines = []
    for event in sorted(events, key=lambda e: (e.get("receivedtime", ""), e["id"])):
        data = " ".join(f"{k}={v}" for k, v in event["data"].items())
        stamps = "".join(
            f" {name}={event[name]}" for name in ("recordedtime", "lane") if name in event
        )
        kind = event["type"].removeprefix("care.").removesuffix(".v1")
        lines.append(
            f"  {event.get('receivedtime', '-'):21} {event['time']:21} "
            f"{event['facility']:5} {kind:28} {event['id']:14} {data}{stamps}"
        )
    return f"  {'received':21} {'happened':21}\n" + "\n".join(lines)
