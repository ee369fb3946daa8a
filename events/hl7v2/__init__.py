"""HL7 v2 in: the bytes of one message become accepted events, an acknowledgement, or rejects.

The way of a message: ``message`` (frame, delimiters, ``limits``, ``charset``, ``escapes``) ->
``header`` (may it be read) -> ``triggers`` (what becomes of it) -> ``context`` (whose, where, when)
-> ``adt``, ``merges`` or ``siu`` (what it says) -> the envelope.  Nothing here keeps state: the
same bytes and the same facilities file give the same events.
"""

from dataclasses import dataclass, field
from typing import Any

from events.hl7v2 import adt, header, merges, message, siu
from events.hl7v2.context import Context
from events.hl7v2.draft import Draft
from events.hl7v2.identity import event_id_of, source_of
from events.hl7v2.triggers import USED_TYPES, NotUsed, Used
from events.reject import Reject
from schemas.facilities import Facilities
from schemas.timestamp import Timestamp, parse


@dataclass(frozen=True, slots=True)
class Hl7Result:
    """
    What became of one message.

    Attributes:
        events: In the form of a canonical event after acceptance; the second has id ``...#2``.
        rejects: What was refused; beside events only where a message holds several merges.
        ignored: The trigger of a legal message that the product does not use (``ADT^A17``).
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    ignored: str | None = None


def decode(raw: bytes, facilities: Facilities, *, receipt: str | None = None) -> Hl7Result:
    """
    Read one message.  Never raises: what cannot be read is in ``rejects``.

    Args:
        raw: One message, with or without its MLLP frame.
        receipt: When it reached us, RFC 3339 with an offset; ``None`` for files: MSH-7.
    """
    reading = _Reading(facilities, receipt)
    try:
        return reading.run(raw)
    except Reject as reject:
        return Hl7Result(rejects=[reading.named(reject)])
    except Exception as error:  # noqa: BLE001 - our bug must not stop the feed, nor lose the bytes
        fault = Reject("handler-failed", type(error).__name__)
        return Hl7Result(rejects=[reading.named(fault)])


class _Reading:
    """One message being read, so that a reject can say what was known by then."""

    def __init__(self, facilities: Facilities, receipt: str | None) -> None:
        self.facilities = facilities
        self.receipt_text = receipt
        self.receipt: Timestamp | None = None
        self.header: header.Header | None = None
        self.message: message.Message | None = None
        self.context: Context | None = None

    def run(self, raw: bytes) -> Hl7Result:
        if self.receipt_text is not None:
            self.receipt = parse(self.receipt_text, None)
        body = message.content(raw)
        separator, characters = message.encoding_of(body)
        fields = message.header_fields(body, separator)
        application, facility = (header.sender(fields, n, characters) for n in (3, 4))
        feed = self.facilities.feed(application, facility)
        declared = fields[17] if len(fields) > 17 else ""
        self.message = message.parse(
            body, separator, characters, declared, feed.charset if feed else None
        )
        self.header = header.read(self.message)
        row = header.check(self.header, self.message)
        if isinstance(row, NotUsed):
            # Of an acknowledgement even the trigger is the sender's own word.
            known = self.header.message_type in USED_TYPES
            return Hl7Result(ignored=self.header.name if known else "ACK")
        self.context = Context(self.message, self.header, self.facilities, feed, self.receipt)
        drafts, refused = self._drafts(self.context, row)
        return Hl7Result(
            self.context.events(drafts),
            [self.named(reject) for reject in refused],
        )

    @staticmethod
    def _drafts(context: Context, row: Used) -> tuple[list[Draft], list[Reject]]:
        if row.content in merges.CONTENTS:
            return merges.drafts(context, row)
        if row.content == "appointment":
            return siu.drafts(context, row), []
        return adt.drafts(context, row), []

    def named(self, reject: Reject) -> Reject:
        """*reject* with what could be read of its patient, place and ids."""
        # Frames hold the message; a reject outlives it, in memory and in logs.
        reject.__traceback__ = reject.__context__ = reject.__cause__ = None
        context = self.context
        if context is not None:
            reject.facility = reject.facility or context.facility
            reject.subject = reject.subject or self._subject(context)
        receipt = self.receipt or (context.receipt if context else None)
        reject.receipt = reject.receipt or (receipt.text if receipt else None)
        if self.header is not None and self.message is not None:
            reject.event_id = reject.event_id or event_id_of(self.header, self.message)
            reject.source = reject.source or source_of(self.header)
        return reject

    @staticmethod
    def _subject(context: Context) -> str | None:
        try:
            return context.subject
        except Reject:
            return None
