"""What a journal record tells: an event, that one was parked, that a visit is contested."""

from collections.abc import Mapping
from typing import Any

import handlers
from orchestrator.core.facts import Contested, Fact, Mended, Parked, Stamp, Told
from orchestrator.core.instants import read
from orchestrator.stream import retries
from schemas.facilities import Facilities


def told(
    body: Mapping[str, Any], facilities: Facilities, stamp: int, *, failed: bool
) -> tuple[Told, str]:
    """
    Translate the value of a journal record that is about one identifier.

    Args:
        body: As it lies in the journal, or in an item of a stream.
        stamp: Of the record at hand, for what has no receipt.
        failed: A bug of ours met it before: then only that it was parked is told.

    Returns:
        What the core is told, and the lane of the event.
    """
    if body["kind"] == "event":
        event = body["event"]
        lane: str = event.get("lane", "live")
        if not failed:
            return handlers.told(event, facilities), lane
        receipt = read(event["receivedtime"])
        return parked("handler-failed", event["source"], event["id"], receipt), lane
    if body["kind"] == "contested":
        claimants = frozenset(body["claimants"])
        return _silent(Contested(body["facility"], body["visit"], claimants), "", stamp), ""
    if body["kind"] == retries.MENDED:
        fact = Mended(tuple(body["names"]), read(body["receipt"]))
        return _silent(fact, body["names"][0].rpartition("\0")[2], fact.receipt), ""
    source, name = body["names"]
    return parked(body["reason"], source, name, body["receipt"]), ""


def parked(reason: str, source: str, event: str, receipt: int) -> Told:
    """That an event was parked."""
    stamp = Stamp(receipt, -1, source, event, receipt, receipt)
    return _silent(Parked(reason, stamp), event, receipt)


def _silent(fact: Fact, event: str, receipt: int) -> Told:
    """A fact that no event of a timeline stands for."""
    return Told(event, "", "", "", receipt, receipt, (fact,))
