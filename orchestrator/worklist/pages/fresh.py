"""The freshness line in words (`screens.md` 0)."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import orjson

from orchestrator.worklist.instants import SECOND, micros
from orchestrator.worklist.pages import wording
from orchestrator.worklist.pages.wording import Tag
from orchestrator.worklist.site import Site


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


async def silences(site: Site, feeds: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each of *feeds* that is silent: for how long, and how long is usual."""
    if not feeds:
        return ()
    heard = await site.reader.ask(_heard)
    now = site.log_now()
    return tuple(
        silence(feed, heard.get(feed), site.facilities.get(feed).expected_interval, now)
        for feed in feeds
    )


def _heard(db: sqlite3.Connection) -> dict[str, int]:
    found = db.execute(
        "SELECT facility, value FROM gaps JOIN gaps_said USING (id)"
        " WHERE code = 'FEED_SILENT' AND status = 'open'"
    ).fetchall()
    said = {feed: orjson.loads(value).get("evidence") or {} for feed, value in found}
    return {feed: micros(one["last_heard"]) for feed, one in said.items() if "last_heard" in one}


def silence(feed: str, heard: int | None, usual: timedelta | None, now: int) -> str:
    """``GEN has sent nothing for 3 h (usually every 20 min). …``"""
    text = f"{feed} has sent nothing"
    text += " for long" if heard is None else f" for {wording.length(now - heard)}"
    if usual is not None:
        text += f" (usually every {wording.age(usual.total_seconds())})"
    return f"{text}. Missing discharges may be missing data."


def fresh_words(
    told: Mapping[str, Any],
    age: float | None,
    zone: str,
    now: int,
    silent: tuple[str, ...] = (),
) -> Fresh:
    """
    The line for *told*.

    Args:
        told: As in every answer of the API.
        age: Seconds of real time; the log's clock may run faster in a demo.
        silent: What `silences` says of its silent feeds.
    """
    state = told["state"]
    at = None if told["data_until"] is None else micros(told["data_until"])
    until = "unknown" if at is None else wording.moment(at, zone, now)
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
