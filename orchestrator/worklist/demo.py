"""What a visitor of the demo may do to the simulated hospital.

Pages write these wishes, the loop that plays the hospital reads them between two frames.
"""

from dataclasses import dataclass, field
from typing import Final

PACES: Final = (1, 60, 600)  # seconds of the hospital in one of ours
# So long the slowed worker does nothing between two turns.
NAP_S: Final = 45.0


@dataclass(slots=True)
class Demo:
    """
    The controls.

    Attributes:
        pace: Seconds of the hospital in one of ours.
        paused: The clock stands; what people do is still decided.
        silent: The facilities that send nothing at the moment.
        slow: The worker naps.
        over: The visitor wants to begin again.
        late: How many discharges were told late.
    """

    pace: int = 60
    paused: bool = False
    silent: frozenset[str] = field(default_factory=frozenset)
    slow: bool = False
    over: bool = False
    late: int = 0

    @property
    def speed(self) -> int:
        """How fast the clock goes now."""
        return 0 if self.paused else self.pace

    def run_at(self, pace: int) -> None:
        """Go on at *pace*."""
        self.pace, self.paused = pace, False
