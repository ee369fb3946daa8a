"""Runs a story: its events through the product's replay, each answer against what the story says.

Each row is looked at one second before, at and one second after its instant, so every deadline is
checked at its boundary and "between two rows nothing happens" is checked too.  On the way the
promises that hold for any story are checked (`invariants.py`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

import yaml

from orchestrator.stream.replay import replay_events
from schemas.facilities import Facilities
from tests.scenarios.answer import Answer, compare
from tests.scenarios.builders import build_event
from tests.scenarios.expected import Expected
from tests.scenarios.happenings import Chart, Event
from tests.scenarios.instants import StoryError, read_instant, wire
from tests.scenarios.story import HERE, Story

SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant of a story at which something is heard or a clock is looked at."""

    at: datetime
    lines: list[int]
    events: list[Event]
    clauses: list[tuple[tuple[str, ...], dict[str, Event]]]


def facilities_of(story: Story) -> str:
    """The facilities file of *story*, as text."""
    text = (HERE / "facilities.yaml").read_text(encoding="utf-8")
    listed: dict[str, dict[str, Any]] = yaml.safe_load(text)
    for name, changed in story.facilities.items():
        listed[name] = listed.get(name, {}) | changed
    return yaml.safe_dump(listed)


def zones_of(story: Story) -> dict[str, str]:
    """Facility -> zone, for the runner's own reckoning."""
    return {name: one["zone"] for name, one in yaml.safe_load(facilities_of(story)).items()}


def moments_of(story: Story) -> list[Moment]:
    """
    The instants of *story* in order of receipt, with their events and clauses.

    Raises:
        StoryError: A row cannot be read; it is named.
    """
    chart = Chart()
    moments: dict[datetime, Moment] = {}
    for row in story.rows:
        try:
            at = read_instant(row.heard or row.when)
            moment = moments.setdefault(at, Moment(at, [], [], []))
            events: dict[str, Event] = {"": chart.last}
            if row.happens != "clock":
                event = build_event(row.happens, row.when, row.heard, chart)
                moment.events.append(event)
                visit = event["data"].get("visit_number", "")
                events = {"": event, visit: event, event["id"]: event}
        except StoryError as error:
            raise StoryError(f"{story.file}:{row.line}: {error}") from error
        moment.lines.append(row.line)
        moment.clauses.append((row.then, events))
    ordered = [moments[at] for at in sorted(moments)]
    known: dict[str, Event] = {}
    for moment in ordered:
        for index, (then, events) in enumerate(moment.clauses):
            known |= {name: event for name, event in events.items() if name.startswith("E")}
            moment.clauses[index] = (then, known | events)
    return ordered


def run_story(story: Story) -> list[tuple[datetime, Answer]]:
    """
    Replay *story* at each of its instants and compare.

    Returns:
        The answers with their `as_of`, ascending, for the promises that span them.

    Raises:
        AssertionError: With the line of the story and each difference.
    """
    moments = moments_of(story)
    facilities = facilities_of(story)
    expected = Expected(zones_of(story))
    answers: list[tuple[datetime, Answer]] = []
    heard: list[Event] = []
    previous: datetime | None = None
    for index, moment in enumerate(moments):
        where = f"{story.file}:{moment.lines[0]} ({story.name})"
        if previous is not None and moment.at - SECOND > previous:
            answers.append(_look(heard, moment.at - SECOND, facilities, expected, where))
        heard = [*heard, *moment.events]
        for clauses, events in moment.clauses:
            expected.apply(clauses, moment.at, events)
        answers.append(_look(heard, moment.at, facilities, expected, where))
        later = moments[index + 1].at if index + 1 < len(moments) else None
        previous = moment.at
        if later is None or later > moment.at + SECOND:
            previous = moment.at + SECOND
            answers.append(_look(heard, previous, facilities, expected, where))
    return answers


def _look(
    events: list[Event], as_of: datetime, facilities: str, expected: Expected, where: str
) -> tuple[datetime, Answer]:
    answer = replay(events, as_of, facilities)
    differences = compare(answer, expected)
    assert not differences, "\n  ".join([f"{where}, as of {wire(as_of)}:", *differences])
    return as_of, answer


def replay(events: list[Event], as_of: datetime | None, facilities: str) -> Answer:
    """The product's answer, contract §6."""
    return replay_events(
        events,
        as_of=None if as_of is None else wire(as_of),
        facilities=_parse_facilities(facilities),
        policy=None,
        changes=True,
    )


@cache
def _parse_facilities(text: str) -> Facilities:
    """Parsed once: a story asks for the answer at many instants."""
    return Facilities.parse(text)
