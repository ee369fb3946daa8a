"""What a run does: how much is sent, which faults strike, how long each lasts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final, NamedTuple

from orchestrator.core.instants import SECOND
from tests.kafka.chaos.lateness import Bounds


class Strike(NamedTuple):
    """One fault to come."""

    kind: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """
    One run.

    Attributes:
        seed: Of everything that is drawn.
        rate: Events a second while faults strike.
        warm_s: Healthy time at the beginning.
        calm_s: Healthy time between two faults, at least and at most.
        strikes: In order.
        away_s: How long the broker is away at most.
        lag: Events that wait when the workers come back.
        seconds: How long the striking is expected to last; deadlines are laid into that.
        bounds: Later than that is LATE.
        apart: A fault waits until nothing may be late any more because of the one before it.
    """

    seed: int
    rate: float
    warm_s: float
    calm_s: tuple[float, float]
    strikes: tuple[Strike, ...]
    away_s: float
    lag: int
    seconds: int
    bounds: Bounds
    apart: bool

    def only(self, kinds: Sequence[str]) -> "Settings":
        """The same with these faults alone, each once, whether or not they were drawn."""
        drawn = {strike.kind: strike for strike in (*EVERY, *self.strikes)}
        return replace(self, strikes=tuple(drawn[kind] for kind in kinds))


INTAKE_POINTS: Final = ("intake.read", "intake.decoded", "intake.appended", "intake.committed")
DECIDE_POINTS: Final = (
    "decide.processed",
    "decide.state",
    "decide.some",
    "decide.outputs",
    "decide.commit",
    "decide.committed",
)
OTHER_POINTS: Final = ("clock.due", "clock.appended", "start.checked")
PLAIN: Final = (
    "worker-kill",
    "all-workers-kill",
    "worker-stop",
    "worker-pause",
    "join-leave-storm",
    "broker-kill",
    "broker-restart",
    "broker-pause",
    "network-slow",
    "network-cut",
    "replies-lost",
    "connections-reset",
    "one-worker-cut",
    "disk-full",
    "poison",
    "clock-jump",
    "repeats",
    "broker-and-worker-kill",
)


EVERY: Final = (
    Strike("kill-in-intake", "intake.appended"),
    Strike("kill-in-decide", "decide.some"),
    Strike("kill-in-clock-or-start", "clock.due"),
    *(Strike(kind) for kind in PLAIN),
    Strike("lag"),
    Strike("broker-away"),
)


def long_run(seed: int) -> Settings:
    """Every kind, half of them twice, every kill point, ten minutes away, a backlog of 100,000."""
    rng = Random(seed)
    points = [Strike("kill-in-intake", point) for point in INTAKE_POINTS]
    points += [Strike("kill-in-decide", point) for point in DECIDE_POINTS]
    points += [Strike("kill-in-clock-or-start", point) for point in OTHER_POINTS]
    strikes = [*points, *map(Strike, PLAIN), *map(Strike, rng.sample(PLAIN, 9))]
    rng.shuffle(strikes)
    strikes.insert(len(strikes) // 3, Strike("lag"))
    strikes.insert(2 * len(strikes) // 3, Strike("broker-away"))
    return Settings(
        seed, 65.0, 30.0, (6.0, 12.0), tuple(strikes), 600.0, 100_000, 2900, Bounds(), apart=True
    )


def short_run(seed: int) -> Settings:
    """Eight faults of eight kinds in four minutes; one test among others, so nothing is fast."""
    rng = Random(seed)
    strikes = [
        Strike("kill-in-decide", rng.choice(DECIDE_POINTS)),
        Strike("kill-in-intake", rng.choice(INTAKE_POINTS)),
        Strike("worker-pause"),
        Strike("broker-kill"),
        Strike("replies-lost"),
        Strike("poison"),
        Strike("lag"),
        Strike(rng.choice(("network-cut", "one-worker-cut", "disk-full", "join-leave-storm"))),
    ]
    rng.shuffle(strikes)
    bounds = Bounds(60 * SECOND, 60 * SECOND, 200)
    return Settings(
        seed, 60.0, 8.0, (0.4, 1.6), tuple(strikes), 20.0, 2_000, 200, bounds, apart=False
    )
