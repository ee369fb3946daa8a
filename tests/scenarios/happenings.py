"""The verbs of the stories, one small function each: words in, fields of the event out."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.scenarios.instants import StoryError, read_instant, wire
from tests.scenarios.words import (
    ADMIT_TYPES,
    ANSWERS,
    ATTRIBUTED_PCP,
    CLASSES,
    DISPOSITIONS,
    FROM_A_HOSPITAL,
    OUTCOMES,
    PROVIDERS,
    REACHED,
)

Event = dict[str, Any]


@dataclass(slots=True)
class Chart:
    """What the story has said so far, so that later rows can be short."""

    events: int = 0
    visits: dict[str, str] = field(default_factory=dict)  # visit number -> facility
    last: Event = field(default_factory=dict)


def _facility(visit: str, chart: Chart) -> str:
    if visit not in chart.visits:
        raise StoryError(f"visit {visit} has not been admitted; say where: `... at GEN`")
    return chart.visits[visit]


def _place(words: list[str], chart: Chart) -> str:
    """The facility: `at MID`, else where the visit was admitted."""
    if "at" in words:
        where = words[words.index("at") + 1]
        del words[words.index("at") : words.index("at") + 2]
        chart.visits.setdefault(words[0], where)
        return where
    return _facility(words[0], chart)


def _admit(words: list[str], event: Event, _chart: Chart) -> None:
    visit, facility, kind, *rest = words
    data = event["data"]
    event |= {"type": "care.admission.opened.v1", "facility": facility}
    data |= {"visit_number": visit, "class": CLASSES[kind], "admitted_at": event["time"]}
    for word in rest:
        if word == "transferred":
            data["admit_source"] = {"code": FROM_A_HOSPITAL}
        else:
            data["admit_type"] = {"code": ADMIT_TYPES[word]}


def _plan_admission(words: list[str], event: Event, _chart: Chart) -> None:
    visit, facility, *rest = words
    event |= {"type": "care.admission.planned.v1", "facility": facility}
    event["data"] |= {"visit_number": visit, "class": "PREADMIT"}
    event["data"]["expected_at"] = wire(read_instant(_after("for", rest)))


def _after(word: str, words: list[str]) -> str:
    if word not in words:
        raise StoryError(f"{word!r} is missing after {' '.join(words)!r}")
    return " ".join(words[words.index(word) + 1 :])


def _class(words: list[str], event: Event, chart: Chart) -> None:
    visit, kind = words[0], words[1].rstrip(",")
    event["type"] = "care.admission.updated.v1"
    event["data"] |= {"visit_number": visit, "class": CLASSES[kind]}
    if "was" in words:
        event["data"]["previous_visit_number"] = words[-1]
        chart.visits.setdefault(visit, _facility(words[-1], chart))
    event["facility"] = _facility(visit, chart)


def _of_visit(kind: str) -> Callable[[list[str], Event, Chart], None]:
    def build(words: list[str], event: Event, chart: Chart) -> None:
        event |= {"type": f"care.{kind}.v1", "facility": _place(words, chart)}
        event["data"]["visit_number"] = words[0]

    return build


def _expect_discharge(words: list[str], event: Event, chart: Chart) -> None:
    _of_visit("discharge.pending")(words[:1], event, chart)
    event["data"]["expected_at"] = wire(read_instant(_after("for", words)))


def _touch(words: list[str], event: Event, chart: Chart) -> None:
    """An update that changes nothing of interest: the bed, as A02 says it."""
    _of_visit("admission.updated")(words, event, chart)
    event["data"]["location"] = {"code": "4W"}


def _discharge(kind: str) -> Callable[[list[str], Event, Chart], None]:
    """`discharge V1 home`, `correct V1 to Mon 10-05 23:30 EDT`, `update V1 snf`."""

    def build(words: list[str], event: Event, chart: Chart) -> None:
        event |= {"type": f"care.{kind}.v1", "facility": _place(words, chart)}
        data = event["data"]
        data["visit_number"] = words[0]
        rest = words[1:]
        if "to" in rest:
            data["discharged_at"] = wire(read_instant(_after("to", rest)))
            rest = rest[: rest.index("to")]
        if rest:
            data["disposition"] = {"code": DISPOSITIONS.get(rest[0], rest[0])}

    return build


def _book(kind: str) -> Callable[[list[str], Event, Chart], None]:
    """`book A1 pcp video for Mon 10-12 10:00 EDT`, `move A1 to ...`, `keep A1`."""

    def build(words: list[str], event: Event, _chart: Chart) -> None:
        event |= {
            "type": f"care.appointment.{kind}.v1",
            "facility": "ELM",
            "source": "practice/elm",
        }
        data = event["data"]
        data["appointment_id"] = words[0]
        rest = words[1:]
        for mark in ("for", "to"):
            if mark in rest:
                data["starts_at"] = wire(read_instant(_after(mark, rest)))
                rest = rest[: rest.index(mark)]
        if rest:
            data["provider"] = PROVIDERS[rest[0]]
            data["modality"] = rest[1] if len(rest) > 1 else "in-person"

    return build


def _patient(words: list[str], event: Event, _chart: Chart) -> None:
    event |= {"type": "care.patient.updated.v1", "facility": "GEN"}
    if words[:2] == ["has", "pcp"]:
        event["data"]["pcp"] = ATTRIBUTED_PCP
    elif words[:2] == ["has", "no"]:
        event["data"]["pcp"] = None


def _died(words: list[str], event: Event, _chart: Chart) -> None:
    event |= {"type": "care.patient.died.v1", "facility": "GEN"}
    event["data"]["died_at"] = None if words else event["time"]


def _prefers(words: list[str], event: Event, _chart: Chart) -> None:
    event |= {"type": "care.patient.preference_changed.v1", "facility": "GEN"}
    event["data"]["outreach"] = words[0]


def _consent(words: list[str], event: Event, _chart: Chart) -> None:
    event |= {"type": "care.patient.consent_changed.v1", "facility": "GEN"}
    event["data"] |= {"scope": words[0], "state": words[1]}


def _command(verb: str) -> Callable[[list[str], Event, Chart], None]:
    """`complete CALL_48H V1 ok by rn nurse1`, `attempt CALL_48H V1 voicemail by rn`."""

    def build(words: list[str], event: Event, chart: Chart) -> None:
        head, by = words[: words.index("by")], words[words.index("by") + 1 :]
        kind, visit, *rest = head
        event |= {"type": f"care.task.{verb}.v1", "source": "worklist"}
        data = event["data"]
        data |= {"role": by[0], "actor": by[1] if len(by) > 1 else f"{by[0]}-1"}
        if kind == "task":
            data["task_id"] = visit
            event["facility"] = "GEN"
        else:
            event["facility"] = _facility(visit, chart)
            data |= {"kind": kind, "visit_number": visit}
        if verb == "reassigned":
            data["to"] = rest.pop(0)
        for word in [word for word in rest if word != "reached"]:
            if word in REACHED:
                data["reached"] = word
            elif word == "unanswered":  # no script: the six answers are left out
                data.pop("answers", None)
            elif re.fullmatch(r"[a-z_]+=[a-z-]+", word):
                name, _, value = word.partition("=")
                data["answers"] = data.get("answers", ANSWERS) | {name: value}
            else:
                data["outcome"] = OUTCOMES[word]
                if verb == "completed" and kind == "CALL_48H":
                    data.setdefault("reached", "patient")
                    data["answers"] = dict(ANSWERS)

    return build


VERBS: Final[dict[str, Callable[[list[str], Event, Chart], None]]] = {
    "admit": _admit,
    "plan admission": _plan_admission,
    "class": _class,
    "leave": _of_visit("admission.left"),
    "return": _of_visit("admission.returned"),
    "cancel admission": _of_visit("admission.cancelled"),
    "touch": _touch,
    "update": _discharge("admission.updated"),
    "discharge": _discharge("discharge.recorded"),
    "correct": _discharge("discharge.corrected"),
    "expect discharge": _expect_discharge,
    "cancel discharge": _of_visit("discharge.cancelled"),
    "book": _book("booked"),
    "move": _book("rescheduled"),
    "cancel appointment": _book("cancelled"),
    "check in": _book("checked_in"),
    "keep": _book("fulfilled"),
    "no-show": _book("no_show"),
    "void": _book("entered_in_error"),
    "patient": _patient,
    "died": _died,
    "prefers": _prefers,
    "consent": _consent,
    "accept": _command("accepted"),
    "release": _command("released"),
    "attempt": _command("attempted"),
    "complete": _command("completed"),
    "reject": _command("rejected"),
    "reassign": _command("reassigned"),
    "note": _command("noted"),
}
