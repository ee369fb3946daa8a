"""The faults of a run, one after the other: each while work is under way, each by itself.

Where a run says so, the next fault waits until nothing may be late any more because of the one
before it, and for a healthy while on top.  A fault that did not strike (a kill point that nobody
came to, a network fault while nothing was sent) is brought about again.
"""

import asyncio
import time
from collections.abc import Callable
from random import Random
from typing import Final

import orjson

from orchestrator.core.instants import SECOND
from tests.kafka.chaos.follower import Follower
from tests.kafka.chaos.gauge import Gauge, Stuck
from tests.kafka.chaos.nemesis import Fault, Nemesis, shown
from tests.kafka.chaos.schedule import Settings, Strike
from tests.kafka.chaos.senders import Senders

AGAIN: Final = 2
LOOK_S: Final = 0.3
WORK_S: Final = 120.0


class Campaign:
    """Strikes all of them."""

    def __init__(
        self,
        nemesis: Nemesis,
        gauge: Gauge,
        senders: Senders,
        follower: Follower,
        settings: Settings,
        say: Callable[[str], None],
    ) -> None:
        self._nemesis = nemesis
        self._gauge = gauge
        self._senders = senders
        self._follower = follower
        self._settings = settings
        self._say = say
        self._rng = Random(f"calm {settings.seed}")

    async def run(self) -> None:
        """From the first healthy seconds to the last fault's end."""
        settings = self._settings
        self._say(f"healthy for {settings.warm_s:.0f} s")
        await asyncio.sleep(settings.warm_s)
        for number, strike in enumerate(settings.strikes, 1):
            self._say(f"{number} of {len(settings.strikes)}: {strike.kind} {strike.detail}")
            for _ in range(1 + AGAIN):
                if await self._struck(strike):
                    break

    async def _struck(self, strike: Strike) -> bool:
        await self._work()
        accepted, seen = await self._gauge.accepted(), self._follower.sights
        fault = await self._nemesis.strike(strike)
        struck = fault.met and fault.sent > 0 and self._follower.sights > seen
        told = orjson.dumps(shown(fault)).decode()
        self._say(f"    {told}{'' if struck else ' DID NOT STRIKE'}")
        if self._settings.apart and fault.breaks:
            await self._over(fault, accepted)
        await asyncio.sleep(self._rng.uniform(*self._settings.calm_s))
        return struck or fault.kind in self._nemesis.left_out

    async def _work(self) -> None:
        """
        Until something is sent and something is decided.

        Raises:
            Stuck: Nothing is.
        """
        sent, seen = self._senders.said(), self._follower.sights
        end = time.monotonic() + WORK_S
        while self._senders.said() == sent or self._follower.sights == seen:
            if time.monotonic() > end:
                raise Stuck(f"no work for {WORK_S:.0f} s, and no fault is on")
            await asyncio.sleep(LOOK_S)

    async def _over(self, fault: Fault, accepted: int) -> None:
        """Until nothing may be late any more because of it (`lateness`)."""
        bounds = self._settings.bounds
        back = fault.heals + bounds.back
        await _until(back)
        backlog = await self._gauge.accepted() - accepted
        await _until(back + backlog * SECOND // bounds.drained + bounds.slo)


async def _until(instant: int) -> None:
    await asyncio.sleep(max(0.0, (instant - time.time_ns() // 1000) / SECOND))
