"""How events get in: bytes of any accepted format become accepted events, or a typed reject."""

from dataclasses import dataclass, field
from typing import Any

from events import canonical
from events.files import Kind
from events.reject import Reject
from schemas.facilities import Facilities


@dataclass(frozen=True, slots=True)
class Decoded:
    """
    What one record became.

    Attributes:
        events: Accepted; a message may hold several, or none.
        rejects: What of it was refused.
        ignored: Why it was acknowledged and not used, a legal HL7 trigger mostly.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    ignored: str | None = None


def decode_record(
    kind: Kind, raw: bytes, facilities: Facilities, receipt: str | None = None
) -> Decoded:
    """
    Read one record of *kind*; never raises for what is in it.

    Args:
        receipt: When it reached us, UTC; ``None`` for files, which say so themselves.
    """
    if kind == "canonical":
        try:
            return Decoded([canonical.decode(raw, facilities, receipt=receipt)])
        except Reject as reject:
            return Decoded(rejects=[reject])
        except Exception as bug:  # noqa: BLE001 - our bug must not stop the feed, nor lose the bytes
            # The type alone: the text of a bug repeats what it stumbled over.
            refused = Reject("handler-failed", type(bug).__name__, receipt=receipt)
            return Decoded(rejects=[refused])
    if kind == "hl7v2":
        # Late: ``replay`` of canonical events alone need not load the HL7 parser.
        from events import hl7v2

        result = hl7v2.decode(raw, facilities, receipt=receipt)
        return Decoded(result.events, result.rejects, result.ignored)
    if kind == "fhir":
        refused = Reject("unknown-type", "FHIR resources are not read yet", receipt=receipt)
    else:
        refused = Reject("malformed", "is neither JSON nor HL7 v2", receipt=receipt)
    return Decoded(rejects=[refused])
