"""Events per CPU-second of each stage in memory: decode, handlers, core, replay."""

from collections.abc import Iterable
from typing import Final

import handlers
from bench import feed
from bench.measure import REPEATS, Figure, cpu_seconds, rate
from events import hl7v2
from events.canonical import decode
from events.files import Record
from orchestrator.core import step
from orchestrator.core.facts import Told
from orchestrator.core.instants import read
from orchestrator.core.patient import Patient
from orchestrator.stream.replay import replay
from orchestrator.stream.rules import rules
from schemas.policy import load_policies

RULES: Final = rules(load_policies(None), feed.FACILITIES)
GROUP: Final = "speed"
Story = list[tuple[str, int, Told]]  # subject, receipt, what is told


def figures(count: int, repeats: int = REPEATS) -> list[Figure]:
    """Of about *count* events."""
    heard = feed.happenings(count)
    lines = feed.lines(heard)
    events = [decode(line, feed.FACILITIES) for line in lines]
    messages = feed.discharge_messages(heard)
    in_order = story(events)
    late = story(feed.accepted(feed.late(heard)))
    teams = story(feed.accepted(feed.happenings(count, ward=False)))
    records = [Record(f"bench:{n}", "canonical", line) for n, line in enumerate(lines)]

    def decode_all() -> None:
        for line in lines:
            decode(line, feed.FACILITIES)

    def parse_all() -> None:
        for message in messages:
            hl7v2.decode(message, feed.FACILITIES)

    def translate_all() -> None:
        for event in events:
            handlers.told(event, feed.FACILITIES)

    n = len(lines)
    return [
        rate(GROUP, "decode and validate, canonical", n, cpu_seconds(decode_all, repeats)),
        rate(GROUP, "decode and map, HL7 v2 A03", len(messages), cpu_seconds(parse_all, repeats)),
        rate(GROUP, "handlers", n, cpu_seconds(translate_all, repeats)),
        rate(
            GROUP, "core, in order", n, cpu_seconds(lambda: decide(in_order), repeats), least=10_000
        ),
        rate(GROUP, "core, 1 % late", len(late), cpu_seconds(lambda: decide(late), repeats)),
        rate(
            GROUP,
            "core, in order, teams' mix",
            len(teams),
            cpu_seconds(lambda: decide(teams), repeats),
            note="every fourth record a command",
        ),
        rate(
            GROUP,
            "replay from records",
            n,
            cpu_seconds(lambda: replay(records, facilities=feed.FACILITIES), repeats),
            note="decode to answer, one process",
        ),
    ]


def story(events: Iterable[feed.Event]) -> Story:
    """What the core is told, in order of receipt."""
    return [
        (event["subject"], read(event["receivedtime"]), handlers.told(event, feed.FACILITIES))
        for event in events
    ]


def decide(told: Story) -> int:
    """Run the core over *told*, each patient's deadlines at their instants; changes published."""
    patients: dict[str, Patient] = {}
    published = 0
    for subject, receipt, one in told:
        patient = patients.get(subject)
        if patient is None:
            patient = patients[subject] = Patient(subject, subject)
        elif patient.wake is not None and patient.wake < receipt:
            published += len(step.clock(patient, receipt - 1, RULES))
        published += len(step.fact(patient, [one], receipt - 1, receipt, RULES))
    until = told[-1][1]
    for patient in patients.values():
        published += len(step.clock(patient, until, RULES))
    return published
