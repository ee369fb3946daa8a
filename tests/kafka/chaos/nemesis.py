"""The faults: each is brought about, lasts, is healed, and is over when every partition goes on.

What a fault overlapped is not measured here but afterwards, from the histories and the topics.
"""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from typing import Any, Final

from orchestrator.stream.kafka.worker import ROLES, Role
from orchestrator.stream.timekeeper import JUMP as JUMPED
from tests.kafka.chaos import wrong_clock
from tests.kafka.chaos.fleet import Fleet
from tests.kafka.chaos.gauge import Gauge
from tests.kafka.chaos.ground import Ground
from tests.kafka.chaos.lateness import HARMLESS
from tests.kafka.chaos.schedule import Settings, Strike
from tests.kafka.chaos.senders import Senders
from tests.kafka.proxy import CUT, HEALTHY, REPLIES_LOST, Direction, Proxy, Toxic

SESSION_S: Final = 10.0  # of the product's worker
BEYOND_S: Final = SESSION_S + 5
POINT_S: Final = 45.0  # until a kill point is met
RECOVERY_S: Final = 120.0  # after which a run is given up
DRAINED_A_SECOND: Final = 100  # of a backlog, at the very least
SLOW: Final = Toxic(latency_s=0.15, bytes_per_s=400_000)
NOT_DONE: Final = "NOT DONE"
JUMPS: Final = ("+40d", "-1h", "+1h", "-1d")


@dataclass
class Fault:
    """One fault as it happened; instants in microseconds."""

    kind: str
    detail: str
    begins: int
    heals: int = 0
    recovers: int = 0
    met: bool = True  # a kill point that no process came to is none
    since: int = 0  # from when on it disturbs: preparations may
    sent: int = 0  # attempts while it lasted

    @property
    def breaks(self) -> bool:
        """Whether it takes anything away from the product, so that something may be late."""
        return self.kind not in HARMLESS and not self.detail.startswith(NOT_DONE)


class Nemesis:
    """Strikes, one fault after the other."""

    def __init__(
        self, ground: Ground, fleet: Fleet, gauge: Gauge, senders: Senders, settings: Settings
    ) -> None:
        self._ground = ground
        self._fleet = fleet
        self._gauge = gauge
        self._senders = senders
        self._settings = settings
        self._rng = Random(f"nemesis {settings.seed}")
        self.faults: list[Fault] = []
        self.left_out: list[str] = []

    async def strike(self, strike: Strike) -> Fault:
        """Bring about one fault, heal it, and wait until every partition goes on."""
        act: Callable[[Fault], Awaitable[None]] = getattr(self, f"_{strike.kind.replace('-', '_')}")
        fault = Fault(strike.kind, strike.detail, _now(), since=_now())
        self.faults.append(fault)
        said = self._senders.said()
        await act(fault)
        fault.sent = self._senders.said() - said
        fault.heals = fault.heals or _now()
        await self._gauge.progress(RECOVERY_S)
        fault.recovers = _now()
        return fault

    # Workers

    def _somebody(self) -> tuple[Role, str]:
        return self._rng.choice(ROLES), self._rng.choice("ab")

    async def _at_point(self, fault: Fault, role: Role) -> None:
        """A process is started that kills itself at a place; the place is met when it did."""
        replica = self._rng.choice("ab")
        await self._fleet.end(role, replica, SIGKILL)
        when = 1 if fault.detail.startswith(("clock", "start")) else self._rng.randrange(2, 12)
        how = "kill:0.002" if fault.detail.endswith(".commit") else "kill"
        self._fleet.start(role, replica, {"FAILPOINTS": f"{fault.detail}={how}@{when}"})
        process = self._fleet.running[role, replica]
        fault.detail += f" pass {when}, replica {replica}"
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, POINT_S)
        fault.met = process.poll() == -SIGKILL
        if process.poll() is None:
            await self._fleet.end(role, replica, SIGKILL)
            self._fleet.start(role, replica)

    async def _kill_in_intake(self, fault: Fault) -> None:
        await self._at_point(fault, "intake")

    async def _kill_in_decide(self, fault: Fault) -> None:
        await self._at_point(fault, "decide")

    async def _kill_in_clock_or_start(self, fault: Fault) -> None:
        await self._at_point(fault, "decide")

    async def _worker_kill(self, fault: Fault) -> None:
        role, replica = self._somebody()
        fault.detail = f"{role} {replica}"
        self._fleet.tell(role, replica, SIGKILL)
        await asyncio.sleep(1)

    async def _all_workers_kill(self, fault: Fault) -> None:
        fault.detail = "both roles of both replicas"
        for role, replica in list(self._fleet.running):
            self._fleet.tell(role, replica, SIGKILL)
        await asyncio.sleep(1)

    async def _worker_stop(self, fault: Fault) -> None:
        role, replica = self._somebody()
        began = time.monotonic()
        code = await self._fleet.end(role, replica, SIGTERM)
        fault.detail = f"{role} {replica}: exit {code} after {time.monotonic() - began:.1f} s"
        await asyncio.sleep(self._rng.uniform(1, SESSION_S))
        self._fleet.start(role, replica)

    async def _worker_pause(self, fault: Fault) -> None:
        """Beyond the session; the other replica takes over, and this one goes on as a zombie."""
        role: Role = self._rng.choice(("decide", "decide", "intake"))
        replica = self._rng.choice("ab")
        fault.detail = f"{role} {replica}, {BEYOND_S:.0f} s"
        process = self._fleet.running[role, replica]
        process.send_signal(SIGSTOP)
        await asyncio.sleep(BEYOND_S)
        process.send_signal(SIGCONT)
        await asyncio.sleep(3)

    async def _join_leave_storm(self, fault: Fault) -> None:
        rounds = 3
        fault.detail = f"{rounds} rounds"
        for _ in range(rounds):
            for role in ROLES:
                self._fleet.start(role, "c")
            await asyncio.sleep(self._rng.uniform(5, 9))
            for role in ROLES:
                await self._fleet.end(role, "c", self._rng.choice((SIGTERM, SIGKILL)))
            await asyncio.sleep(self._rng.uniform(1, 3))

    async def _clock_jump(self, fault: Fault) -> None:
        """The time of day of one worker jumps while it works, and comes back."""
        replica = self._rng.choice("ab")
        with wrong_clock.WrongClock(self._senders.folder) as clock:
            await self._fleet.end("decide", replica, SIGTERM)
            since = time.time()
            self._fleet.start("decide", replica, clock.environment)
            await self._fleet.ready("decide", replica, since, RECOVERY_S)
            await asyncio.sleep(4)
            fault.begins = _now()
            jumps = self._rng.sample(JUMPS, 2)
            for jump in jumps:
                clock.jump(jump)
                await asyncio.sleep(6)
            clock.jump("+0")
            await asyncio.sleep(3)
            # Its own log tells a wrong time just then, so any time counts.
            held = self._fleet.said("decide", replica, "clock.held", JUMPED, 0)
            fault.met = held > 0
            fault.detail = f"decide {replica}: {', '.join(jumps)}; held {held} times so far"
            await self._fleet.end("decide", replica, SIGTERM)
        self._fleet.start("decide", replica)

    # Broker

    async def _down(self, fault: Fault, seconds: float, *, kill: bool) -> None:
        fault.detail = f"{seconds:.0f} s"
        await self._ground.stop_broker(kill=kill)
        await asyncio.sleep(seconds)
        await self._ground.start_broker()

    async def _broker_kill(self, fault: Fault) -> None:
        await self._down(fault, self._rng.uniform(1, 6), kill=True)

    async def _broker_restart(self, fault: Fault) -> None:
        await self._down(fault, self._rng.uniform(0, 3), kill=False)

    async def _broker_away(self, fault: Fault) -> None:
        await self._down(fault, self._settings.away_s, kill=True)

    async def _broker_and_worker_kill(self, fault: Fault) -> None:
        for role in ROLES:
            self._fleet.tell(role, "a", SIGKILL)
        await self._down(fault, self._rng.uniform(1, 4), kill=True)

    async def _broker_pause(self, fault: Fault) -> None:
        fault.detail = f"{BEYOND_S:.0f} s"
        self._ground.node.signal(SIGSTOP)
        await asyncio.sleep(BEYOND_S)
        self._ground.node.signal(SIGCONT)

    async def _disk_full(self, fault: Fault) -> None:
        """Not a byte is left where the broker's log lies; then there is room again."""
        disk = self._ground.disk
        if not disk.can_fill:
            fault.met = False
            fault.detail = f"{NOT_DONE}: mounting is not allowed here ({disk.why_not})"
            self.left_out.append("disk-full")
            return
        taken = await asyncio.to_thread(disk.fill)
        died = await self._ground.ended(20)
        fault.detail = f"{taken >> 20} MiB taken, the broker {'ended' if died else 'went on'}"
        await asyncio.sleep(3)
        disk.empty()
        await self._ground.stop_broker(kill=True)
        await self._ground.start_broker()

    # Network

    async def _toxic(self, fault: Fault, toxic: Toxic, seconds: float, *which: str) -> None:
        proxies = [self._ground.proxies[name] for name in which or self._ground.proxies]
        fault.detail = f"{seconds:.0f} s"
        for proxy in proxies:
            proxy.toxic = toxic
        try:
            await asyncio.sleep(seconds)
        finally:
            for proxy in proxies:
                proxy.toxic = HEALTHY

    async def _network_slow(self, fault: Fault) -> None:
        await self._toxic(fault, SLOW, 20, "A", "B")
        fault.detail += f", {SLOW.latency_s * 1000:.0f} ms, {SLOW.bytes_per_s // 1000} kB/s a way"

    async def _network_cut(self, fault: Fault) -> None:
        await self._toxic(fault, CUT, self._rng.choice((5, 12, 20)))
        self._reset()

    async def _replies_lost(self, fault: Fault) -> None:
        """Requests arrive, answers do not, connections break: who asks again says it twice."""
        times = 8
        asked, lost = self._through("to-broker"), self._lost()
        for _ in range(times):
            await self._toxic(fault, REPLIES_LOST, self._rng.uniform(0.5, 1.5))
            self._reset()
            await asyncio.sleep(self._rng.uniform(0.2, 1.0))
        asked, lost = self._through("to-broker") - asked, self._lost() - lost
        fault.met = asked > 0 and lost > 0
        fault.detail = (
            f"{times} times about a second: {asked >> 10} KiB asked, "
            f"{lost >> 10} KiB of answers destroyed"
        )

    async def _connections_reset(self, fault: Fault) -> None:
        broken = 0
        for _ in range(8):
            broken += self._reset()
            await asyncio.sleep(self._rng.uniform(0.5, 2))
        fault.detail = f"{broken} connections"

    async def _one_worker_cut(self, fault: Fault) -> None:
        """Both roles of one replica, beyond the session: a zombie by network."""
        name = self._rng.choice("AB")
        await self._toxic(fault, CUT, BEYOND_S, name)
        fault.detail = f"replica {name.lower()}, {BEYOND_S:.0f} s"
        await asyncio.sleep(3)

    def _through(self, way: Direction) -> int:
        return sum(proxy.passed[way] for proxy in self._ground.proxies.values())

    def _lost(self) -> int:
        return sum(proxy.lost["to-client"] for proxy in self._ground.proxies.values())

    def _reset(self) -> int:
        proxies: list[Proxy] = list(self._ground.proxies.values())
        return sum(proxy.reset() for proxy in proxies)

    # What is sent

    async def _poison(self, fault: Fault) -> None:
        fault.detail = "8 records around 1 MiB, 60 that nobody can read"
        await self._senders.say("large", large=2)
        await self._senders.say("poison", poison=6)

    async def _repeats(self, fault: Fault) -> None:
        number = 1500
        fault.detail = f"{number} records again, in any order"
        await self._senders.repeat(number, rate=400)

    async def _lag(self, fault: Fault) -> None:
        """Intake is away while one topic fills; then it comes back."""
        for replica in "ab":
            await self._fleet.end("intake", replica, SIGTERM)
        await self._senders.fill(self._settings.lag)
        full = await self._gauge.read()
        for replica in "ab":
            self._fleet.start("intake", replica)
        began = time.monotonic()
        fault.heals = _now()
        limit = 2 * RECOVERY_S + full.waiting / DRAINED_A_SECOND
        taken = await self._gauge.past(lambda now: now.taken >= full.accepted, limit)
        took = time.monotonic() - began
        journal = sum(taken.decided.values()) + taken.undecided
        await self._gauge.past(lambda now: sum(now.decided.values()) >= journal, limit)
        fault.detail = (
            f"{full.waiting} records waiting, taken in within {took:.0f} s, "
            f"decided within {time.monotonic() - began:.0f} s"
        )


def _now() -> int:
    return time.time_ns() // 1000


def shown(fault: Fault) -> dict[str, Any]:
    """One line about it."""
    lasted = (fault.heals - fault.begins) / 1e6
    back = (fault.recovers - fault.heals) / 1e6
    return {"kind": fault.kind, "detail": fault.detail, "lasted_s": lasted, "back_s": back}
