"""Which file each happening is written to: one feed a facility, and the care teams' own."""

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from orchestrator.simulate import canonical, hl7v2
from orchestrator.simulate.happening import Happening

Format = Literal["canonical", "hl7v2"]

CARE_TEAM: Final = "care-team.ndjson"


def lines(happenings: Iterable[Happening], form: Format) -> Iterator[tuple[str, bytes]]:
    """
    Each happening as (file name, bytes to append there), in the given order.

    What HL7 v2 has no message for, the care teams' answers, is canonical in either format.
    """
    for happening in happenings:
        if happening.source == "care-team":
            yield CARE_TEAM, canonical.line(happening)
        elif form == "hl7v2":
            yield f"{happening.place.id}.hl7", hl7v2.message(happening)
        else:
            yield f"{happening.place.id}.ndjson", canonical.line(happening)
