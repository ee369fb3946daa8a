"""Whether two records under one (source, id) say the same: a hash of the event's content."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from orchestrator.stream import retries

# Stamps of receipt: they differ between copies of one event.
RECEIPTS = ("receivedtime", "sentreceivedtime")


def content_hash(event: Mapping[str, Any]) -> str:
    """32 hex digits over the accepted event, stamps of receipt aside, members in any order."""
    # ``stamps`` names times that the sender did not state: they were taken from MSH-7, which a
    # message sent again has anew.
    left_out = {*RECEIPTS, retries.HEADER, *event.get("stamps", ())}
    said = {name: value for name, value in event.items() if name not in left_out}
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def event_hash(source: str, event: str) -> str:
    """The name under which an event is remembered as seen: 32 hex digits of (source, id)."""
    return hashlib.sha256(f"{source}\0{event}".encode()).hexdigest()[:32]
