"""What a clause about a stay or a transition says: `discharged`, `closed READMITTED`."""

from datetime import datetime

from tests.scenarios.builders import instant_of
from tests.scenarios.expected_tasks import ANY, Fields
from tests.scenarios.happenings import Event
from tests.scenarios.instants import StoryError, end_of_local_day, read_instant


def new_stay(event: Event) -> Fields:
    """A stay as its first event tells it; without a class it counts as inpatient (ruling 11)."""
    data = event["data"]
    return {
        "facility": event["facility"],
        "class": data.get("class", "INPATIENT"),
        "status": "open",
        "admitted_at": instant_of(event, "admitted_at") if "admitted_at" in data else None,
        "discharged_at": None,
        "disposition": None,
        "flags": set(),
        "precision": ANY,
    }


def edit_stay(stay: Fields, edits: list[str], event: Event) -> None:
    """Apply the words of one clause; a bare `discharged` is as *event* says."""
    for edit in edits:
        name, _, value = edit.partition(" ")
        match name:
            case "admitted" | "discharged" if value:
                stay[f"{name}_at"] = ANY if value == ANY else read_instant(value)
            case "discharged":
                stay |= {"status": name, "discharged_at": stated_discharge(event)}
                stay["disposition"] = event["data"].get("disposition", {}).get("code")
            case "open" if stay["status"] == "discharged":
                # Whether a stay keeps the disposition of a discharge taken back: not said.
                stay |= {"status": name, "discharged_at": None, "disposition": ANY}
            case "planned" | "open" | "on-leave" | "cancelled" | "stale":
                stay["status"] = name
            case "flag":
                stay["flags"] = stay["flags"] | {value}
            case "no":
                stay["flags"] = stay["flags"] - {value.removeprefix("flag ")}
            case "class" | "disposition" | "precision":
                stay[name] = value
            case _:
                raise StoryError(f"no such word for a stay: {edit!r}")


def stated_discharge(event: Event) -> datetime:
    """Contract §2: `discharged_at`, by default `time`."""
    return instant_of(event, "discharged_at" if "discharged_at" in event["data"] else "time")


def new_transition(event: Event, at: datetime, zone: str) -> Fields:
    """A transition as its discharge opens it."""
    data = event["data"]
    thing: Fields = {
        "status": "active",
        "close_reason": None,
        "facility": event["facility"],
        "visit": data["visit_number"],
        "subject": event["subject"],
        "disposition": data.get("disposition", {}).get("code"),
        "flags": set(),
        "opened_at": at,
        "closed_at": None,
        "codes": [],
        "navigation": 0,
        "hrrp": ANY,  # depends on diagnoses; only the stories that are about it look
    }
    _index(thing, stated_discharge(event), zone)
    return thing


def _index(thing: Fields, index: datetime, zone: str) -> None:
    thing["index"] = index
    thing["tcm_ends"] = end_of_local_day(index, 29, zone)
    thing["window_ends"] = end_of_local_day(index, 30, zone)


def edit_transition(thing: Fields, edits: list[str], at: datetime, zone: str) -> None:
    """Apply the words of one clause; *at* is the row's instant: when we knew."""
    for edit in edits:
        word, _, value = edit.partition(" ")
        match word:
            case "active" | "deferred":
                thing |= {"status": word, "close_reason": None, "closed_at": None}
            case "closed":
                thing |= {"status": word, "close_reason": value, "closed_at": at}
            case "flag":
                thing["flags"] = thing["flags"] | {value}
            case "no":
                thing["flags"] = thing["flags"] - {value.removeprefix("flag ")}
            case "index":
                _index(thing, read_instant(value), zone)
            case "known":
                pass  # said which event it is known by
            case _ if word in thing:
                thing[word] = _field(word, value)
            case _:
                raise StoryError(f"no such word for a transition: {edit!r}")


def _field(word: str, value: str) -> object:
    if value == ANY:
        return ANY
    match word:
        case "codes":
            return value.split()
        case "navigation":
            return int(value)
        case "hrrp":
            return {"yes": True, "no": False}[value]
        case _:
            return value
