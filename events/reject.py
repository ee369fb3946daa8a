"""The one way in which bytes are refused: a reason of the contract, and whose they seem to be.

A rejected record is parked with its original bytes; where its patient could still be read, the
parked event opens a gap, so that somebody looks.  So a :class:`Reject` carries what was readable
beside its reason.  Its text names fields, never values: it goes to logs, answers and headers.
"""

from typing import Literal, get_args

Reason = Literal[
    "malformed",
    "unsupported-version",
    "unknown-type",
    "missing-patient",
    "missing-visit",
    "missing-field",
    "bad-time",
    "too-large",
    "identity-conflict",
    "self-merge",
    "duplicate-id-different-content",
    "handler-failed",
]
REASONS: frozenset[str] = frozenset(get_args(Reason))


class Reject(Exception):
    """
    Their record is wrong: park it and tell the sender.

    Attributes:
        reason: The contract's word (section 2, *Bad input*).
        detail: For people; names fields, never values.
        pointers: JSON pointers of the fields at fault (RFC 6901), ``/data/visit_number``; empty
            when the record as a whole is.
        place: HL7 only: where, as ERR-2 says it (``PID^1^3``).
        subject: Whose record it is, ``authority|identifier``, if that could be read.
        facility, event_id, source: The same of the record's other names.
        receipt: When it reached us, UTC; for files the record's own, if it could be read.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        pointers: tuple[str, ...] = (),
        place: str | None = None,
        subject: str | None = None,
        facility: str | None = None,
        receipt: str | None = None,
        event_id: str | None = None,
        source: str | None = None,
    ) -> None:
        # Only these two: ``args`` is what repr, pickles and tracebacks show.
        super().__init__(reason, detail)
        self.reason: Reason = reason
        self.detail = detail
        self.pointers = pointers
        self.place = place
        self.subject = subject
        self.facility = facility
        self.receipt = receipt
        self.event_id = event_id
        self.source = source

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"
