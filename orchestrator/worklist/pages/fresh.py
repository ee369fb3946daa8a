"""The freshness line in words (`screens.md` 0)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from orchestrator.worklist.instants import SECOND, micros
from orchestrator.worklist.pages import wording
from orchestrator.worklist.pages.wording import Tag


class Fresh(NamedTuple):
    """
    The line in parts.

    Attributes:
        words: What is announced when it changes.
        age: Seconds since what is shown was true, where they are told and count on.
        until: Up to when all that was received is here, for print.
        silent: A sentence for each feed that is silent.
    """

    state: str
    tag: Tag
    words: str
    age: int | None
    until: str
    silent: tuple[str, ...]


def fresh_words(told: Mapping[str, Any], age: float | None, zone: str, now: int) -> Fresh:
    """
    The line for *told*.

    Args:
        told: As in every answer of the API.
        age: Seconds of real time; the log's clock may run faster in a demo.
    """
    state = told["state"]
    at = None if told["data_until"] is None else micros(told["data_until"])
    until = "unknown" if at is None else wording.moment(at, zone, now)
    silent = tuple(
        f"{feed} is silent: missing discharges may be missing data."
        for feed in told["silent_feeds"]
    )
    if state == "unknown" or at is None:
        words = "State of the data not known yet"
        return Fresh("unknown", Tag("Unknown", "grey"), words, None, until, silent)
    if state == "current":
        seconds = None if age is None else int(age)
        return Fresh("current", Tag("Current", "green"), "Current", seconds, until, silent)
    since = wording.clock(at, zone)
    if state == "behind":
        words = (
            f"Behind {wording.length(told['behind_s'] * SECOND)}: what arrived since {since} is not"
            " here yet. Nothing is called overdue or missing on the strength of it."
        )
        return Fresh("behind", Tag("Behind", "amber"), words, None, until, silent)
    words = (
        f"Not updating since {since}. Lists are as they were then; actions are stored and will"
        " take effect later."
    )
    return Fresh("stale", Tag("Stale", "red"), words, None, until, silent)
