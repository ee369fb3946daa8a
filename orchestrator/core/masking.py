"""What the law keeps back: stays in a unit of 42 CFR Part 2, unless the patient consented.

The work is issued all the same, marked; whoever shows it withholds what betrays the unit
(``interfaces.md`` 3.2).
"""

from orchestrator.core.registers import value_of
from orchestrator.core.stays import Stay
from orchestrator.core.view import View

# Registers of a visit and of a person that handlers write.
IN_UNIT = "part2"
CONSENT = "consent_part2"


def is_masked(stay: Stay, view: View) -> bool:
    """Whether *stay* was, at any time, in such a unit, and no consent holds now."""
    return bool(value_of(stay.said, IN_UNIT)) and view.said(CONSENT) != "granted"
