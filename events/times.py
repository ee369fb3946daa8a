"""The times of one event: each known one written in UTC, and none of them too far ahead.

Which fields are instants, the models say (:data:`schemas.events.EVENT_TYPES`).  A blank optional
time is "not said", because interface engines write ``""`` for an empty field.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from events.reject import Reject
from schemas.events import EventType
from schemas.timestamp import BadTime, normalise, parse
from schemas.values import said

AHEAD: Final = timedelta(hours=24)  # contract section 2: up to here CLOCK_SKEW, beyond it bad-time

# Happenings that may not lie ahead, beside ``time`` (contract section 2: a happening stands at its
# stated instant).  A discharge's ``admitted_at`` is not one: a late one is ignored (ruling 35).
_HAPPENED: Final[dict[str, tuple[str, ...]]] = {
    "care.admission.opened.v1": ("admitted_at",),
    "care.admission.updated.v1": ("admitted_at", "discharged_at"),
    "care.discharge.recorded.v1": ("discharged_at",),
    "care.discharge.corrected.v1": ("discharged_at",),
    "care.patient.died.v1": ("died_at",),
}
_FAULTS: Final = {
    "not-a-time": "is not a time",
    "zone-unknown": "has no offset, and the facility's zone is not known",
    "out-of-range": "is outside the years 1800 to 2199",
}


class TimeReader:
    """
    Reads the times of one event.

    Attributes:
        flags: What had to be assumed, by the field's path: ``{"data.discharged_at": ["DAY"]}``.
    """

    __slots__ = ("_trusted", "_zone", "flags")

    def __init__(self, zone: ZoneInfo | None, *, offset_trusted: bool) -> None:
        self._zone = zone
        self._trusted = offset_trusted
        self.flags: dict[str, list[str]] = {}

    def read(self, text: str, path: str, *, ours: bool = False) -> str:
        """
        The UTC spelling of *text*.

        Args:
            ours: Written by us, not by the clock whose offset may not be trusted.

        Raises:
            Reject: ``bad-time``.
        """
        fault = "not-a-time"
        try:
            written, assumed = normalise(text, self._zone, offset_trusted=ours or self._trusted)
        except BadTime as error:
            fault = error.fault
        else:
            if assumed:
                self.flags[path] = list(assumed)
            return written
        pointer = "/" + path.replace(".", "/")
        raise Reject("bad-time", f"{pointer} {_FAULTS[fault]}", pointers=(pointer,))

    def replace(self, holder: dict[str, Any], names: tuple[str, ...], path: str) -> None:
        """Rewrites the times called *names* in *holder*; takes blank ones out."""
        for name in names:
            text = holder.get(name)
            if text is None:
                continue
            if said(text):
                holder[name] = self.read(text, f"{path}.{name}")
            else:
                del holder[name]

    def replace_all(self, data: dict[str, Any], known: EventType) -> None:
        """Rewrites the times of an event's ``data``, those of medication entries included."""
        self.replace(data, known.times, "data")
        if not known.entry_times:
            return
        if isinstance(entry := data.get("entry"), dict):
            data["entry"] = dict(entry)
            self.replace(data["entry"], known.entry_times, "data.entry")
        if isinstance(entries := data.get("entries"), list):
            data["entries"] = [dict(entry) for entry in entries]
            for at, copy in enumerate(data["entries"]):
                self.replace(copy, known.entry_times, f"data.entries.{at}")


def check_ahead(event: Mapping[str, Any]) -> None:
    """
    Refuse what claims to have happened more than 24 h after its receipt.

    Decoding does this itself wherever the receipt is known; who fills in the receipt of a
    backfill event calls it then.

    Raises:
        Reject: ``bad-time``.
    """
    received: str = event["receivedtime"]
    for pointer, at in _happened(event):
        # An equal or earlier date cannot be 24 h ahead, and nearly all are that.  The difference,
        # not receipt + 24 h: on the last day of the calendar there is no such instant.
        if at[:10] > received[:10] and parse(at, None).at - parse(received, None).at > AHEAD:
            raise Reject(
                "bad-time", f"{pointer} is more than 24 h after the receipt", pointers=(pointer,)
            )


def _happened(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "/time", event["time"]
    for name in _HAPPENED.get(event["type"], ()):
        if (at := event["data"].get(name)) is not None:
            yield "/data/" + name, at
