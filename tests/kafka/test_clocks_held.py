"""Clocks are held while time cannot be believed or an input is not read, and told why."""

import asyncio
from collections import deque
from typing import Any

import orjson
import pytest
from aiokafka import TopicPartition

from orchestrator.core.instants import DAY, HOUR, MINUTE, SECOND, read
from orchestrator.stream.clock import ManualClock
from orchestrator.stream.identity import IDENTITY
from orchestrator.stream.kafka.belief import Belief
from orchestrator.stream.kafka.clockwork import Clockwork
from orchestrator.stream.kafka.fenced_out import Landed
from orchestrator.stream.kafka.operating import CONFIRM, RELEASE
from orchestrator.stream.kafka.state import State
from orchestrator.stream.kafka.worker import Role
from orchestrator.stream.keys import partition_of
from orchestrator.stream.status import Holder, Status
from orchestrator.stream.topic_layout import LIVE_INPUTS
from schemas.topics import JOURNAL
from tests.kafka.worker_process import site_of
from tests.stream.fakes import PARTITIONS, START

ROLE: Role = "decide"
FIRST = TopicPartition(LIVE_INPUTS[0], 0)
IDENTITYS = TopicPartition(JOURNAL, partition_of(IDENTITY, PARTITIONS))


class Brokers:
    """Live inputs of one partition each, and what intake committed in them."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.ahead = 0
        self.counts = dict.fromkeys(LIVE_INPUTS, 1)
        self.end = 10
        self.stands = {TopicPartition(topic, 0): 10 for topic in LIVE_INPUTS}
        self.told = 10  # what decide passed in the identity's partition
        self.appended: list[dict[str, Any]] = []

    async def partitions(self, names: Any) -> dict[str, int]:
        return {name: self.counts[name] for name in names}

    async def ends(self, tps: Any) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, self.end)

    async def committed(self, group: str) -> dict[TopicPartition, int]:
        return {IDENTITYS: self.told} if group.endswith("decide") else dict(self.stands)

    async def land(self, rows: Any) -> dict[Any, Landed]:
        ((place, ((_, value, _),)),) = rows.items()
        self.appended.append(orjson.loads(value))
        return {place: Landed(0, 0, self.clock.now() + self.ahead)}

    @property
    def clocks(self) -> list[int]:
        return [read(one["at"]) for one in self.appended if one["kind"] == "clock"]


class Shell:
    """What clockwork sees of decide: one partition, nothing to wake for."""

    def __init__(self, clock: ManualClock) -> None:
        self.state = State(1)
        self.owned = {0}
        self.belief = Belief(clock)
        self.orders: deque[dict[str, Any]] = deque()


class Scene:
    """A worker's clockwork over brokers that are none."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.brokers = Brokers(self.clock)
        self.shell = Shell(self.clock)
        self.status = Status(ROLE)
        app: Any = type("App", (), {"producer": self.brokers})
        shell: Any = self.shell
        self.work = Clockwork(site_of("nowhere:9092", "care"), app, shell, self.status)

    def pass_(self, length: int) -> None:
        """Let time pass, and clockwork look twice: mark, then clock."""
        self.clock.advance(length)
        brokers: Any = self.brokers
        for _ in range(2):
            asyncio.run(self.work._step(brokers))


@pytest.fixture
def scene() -> Scene:
    made = Scene()
    made.pass_(SECOND)
    assert made.brokers.clocks == [START + SECOND]
    return made


def test_a_jump_of_the_machine_holds_until_confirmed(scene: Scene) -> None:
    """Forty days of deadlines do not fire because somebody set the time; an operator decides."""
    scene.clock.jump(40 * DAY)
    scene.brokers.ahead = 0  # on the same machine, so they jumped as well
    scene.pass_(MINUTE)
    assert len(scene.brokers.clocks) == 1
    assert list(scene.status.held) == ["clock-jump"]
    assert scene.status.clock_jumps == 1

    scene.shell.orders.append({"kind": CONFIRM})
    scene.pass_(SECOND)
    assert scene.brokers.clocks[1:] == [START + 40 * DAY + MINUTE + 2 * SECOND]
    assert not scene.status.held


def test_a_jump_that_is_taken_back_needs_nobody(scene: Scene) -> None:
    """The time is right again: clocks go on by themselves."""
    scene.clock.jump(-HOUR)
    scene.pass_(2 * HOUR)
    assert list(scene.status.held) == ["clock-jump"]
    scene.clock.jump(HOUR)
    scene.pass_(SECOND)
    assert len(scene.brokers.clocks) == 2


def test_brokers_more_than_a_minute_off_hold_until_confirmed(scene: Scene) -> None:
    """Their stamp is T; a minute more than ours is no T.  Confirmed, the same difference holds."""
    scene.brokers.ahead = 2 * MINUTE
    scene.pass_(MINUTE)
    assert list(scene.status.held) == ["clock-jump"]
    assert len(scene.brokers.clocks) == 1

    scene.shell.orders.append({"kind": CONFIRM})
    scene.pass_(SECOND)
    scene.pass_(MINUTE)
    assert len(scene.brokers.clocks) == 3
    scene.brokers.ahead = 4 * MINUTE
    scene.pass_(MINUTE)
    assert len(scene.brokers.clocks) == 3


def test_a_restart_does_not_confirm_a_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the changelog says was believed on this boot is what a new process compares with."""
    monkeypatch.setattr(ManualClock, "boot", "this-boot")
    clock = ManualClock(START)
    before = Belief(clock)
    clock.jump(40 * DAY)
    again, elsewhere = Belief(clock), Belief(clock)
    again.resume(["", before.written])
    elsewhere.resume([before.written.replace("this-boot", "other-boot")])
    assert again.jumped() == 40 * DAY
    assert elsewhere.jumped() == 0


def test_an_input_that_is_not_read_holds_and_is_named(scene: Scene) -> None:
    """Which one, since when; nothing passes before it is read again."""
    scene.brokers.stands[FIRST] = 9
    scene.pass_(MINUTE)
    scene.pass_(MINUTE)
    assert len(scene.brokers.clocks) == 1
    assert list(scene.status.held) == ["lag"]
    assert scene.status.clock_held == {Holder(*FIRST): START + MINUTE + SECOND}

    scene.brokers.stands[FIRST] = 10
    scene.pass_(SECOND)
    assert scene.brokers.clocks[1] == START + MINUTE + SECOND
    assert not scene.status.held
    scene.pass_(MINUTE)
    assert not scene.status.clock_held


def test_an_operator_releases_a_clock_from_an_input(scene: Scene) -> None:
    """Until intake moves on there; from then on it is waited for as before."""
    scene.brokers.stands[FIRST] = 9
    scene.pass_(MINUTE)
    scene.shell.orders.append({"kind": RELEASE, "topic": FIRST.topic, "partition": 0})
    scene.pass_(SECOND)
    scene.pass_(MINUTE)
    assert len(scene.brokers.clocks) == 3, "it stands still, and nobody waits for it"

    scene.brokers.stands[FIRST] = 10
    scene.brokers.end = scene.brokers.told = 11
    scene.brokers.stands |= {tp: 11 for tp in scene.brokers.stands if tp != FIRST}
    scene.pass_(MINUTE)
    assert len(scene.brokers.clocks) == 3, "it is read again, and one record behind"


def test_what_identity_has_to_tell_is_waited_for(scene: Scene) -> None:
    """Who is whom may settle a deadline: once intake is through, decide must have told it all."""
    scene.brokers.stands[FIRST] = 9
    scene.pass_(MINUTE)
    scene.brokers.stands[FIRST] = 10
    scene.brokers.end = 12  # intake appended two records there meanwhile
    scene.pass_(SECOND)
    assert len(scene.brokers.clocks) == 1
    assert list(scene.status.clock_held) == [Holder(*IDENTITYS)]

    scene.brokers.told = 12
    scene.brokers.end = 99
    scene.pass_(0)
    assert len(scene.brokers.clocks) == 2, "what came there later is not waited for"


def test_a_partition_that_was_added_is_waited_for(scene: Scene) -> None:
    """A hospital added one: what lies there may settle a deadline, too."""
    scene.brokers.counts[FIRST.topic] = 2
    scene.pass_(MINUTE)
    assert len(scene.brokers.clocks) == 1
    scene.brokers.stands[TopicPartition(FIRST.topic, 1)] = 10
    scene.pass_(SECOND)
    assert len(scene.brokers.clocks) == 2
