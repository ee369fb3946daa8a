"""From a seed to everything that is heard from the simulated hospitals, in order of receipt."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from orchestrator.simulate.dirt import outage, spoil
from orchestrator.simulate.happening import Happening
from orchestrator.simulate.pathways import story
from orchestrator.simulate.places import GEN, HOSPITALS

OUTAGE_EVERY_DAYS: Final = 9


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate; equal plans give equal hospitals, on any machine."""

    patients: int
    seed: int
    start: date  # local to GEN
    days: int
    dirt: bool = False

    @property
    def begins(self) -> datetime:
        return datetime.combine(self.start, time(), ZoneInfo(GEN.zone))

    @property
    def ends(self) -> datetime:
        return self.begins + timedelta(days=self.days)


def generate(plan: Plan) -> list[Happening]:
    """
    Everything that is heard before the plan's end, in order of receipt.

    The stories of the first patients stay the same when more patients are asked for.
    """
    heard = [
        happening for number in range(1, plan.patients + 1) for happening in _one(plan, number)
    ]
    if plan.dirt:
        rng = Random(f"{plan.seed}|outages")
        for day in range(OUTAGE_EVERY_DAYS // 2, plan.days, OUTAGE_EVERY_DAYS):
            heard = outage(heard, rng.choice(HOSPITALS).id, plan.begins + timedelta(days=day))
    # Two at one instant stay in the order in which they happened: sort is stable.
    return sorted(
        (happening for happening in heard if happening.received_at < plan.ends),
        key=lambda happening: happening.order,
    )


def _one(plan: Plan, number: int) -> Iterator[Happening]:
    # A generator of its own for each patient; a text as seed does not depend on hash seeds.
    rng = Random(f"{plan.seed}|{number}")
    begins = plan.begins + timedelta(minutes=rng.randrange(plan.days * 24 * 60))
    happenings = story(number, begins, rng, until=plan.ends, dirt=plan.dirt)
    yield from spoil(happenings, rng) if plan.dirt else happenings
