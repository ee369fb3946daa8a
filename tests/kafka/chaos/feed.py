"""What the simulated hospitals and care teams send in a run: patients' histories, dirt and poison.

The histories are those of the reference model's simulation, which both the product and the model
understand.  Each is moved in time so that one of its own turning points (a deadline, the end of a
window) comes while the run goes on.  Everything follows from the seed and the run's beginning, so
a second sender can say again what a first one said.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, Literal, NamedTuple

import orjson

from schemas.topics import INPUTS, topic_of
from tests.simulation.histories import MAY_RUN_AHEAD, History, history
from tests.simulation.model.calendar import instant, text
from tests.simulation.model.tasks import task_id
from tests.simulation.model.transitions import transition_id
from tests.simulation.tale import Options
from tests.simulation.tale_of_followup import KINDS

# What intake must make of a record: an event for the journal, a dead letter, or nothing.
Fate = Literal["event", "dead-letter", "ignored"]
# No backfill: that lane is outside the clock's gate, so nothing in it is due at an instant.
OPTIONS: Final = Options(backfill=False)
# Later than that the notice of an admission is nobody's gap any more, and the rules for it are
# few: what a run is to show happens before.
FIRST_WEEKS: Final = timedelta(days=20)
BLOCK: Final = 4000  # events that are mixed with each other
MIB: Final = 1024 * 1024
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT")


class Say(NamedTuple):
    """One record to be sent."""

    topic: str
    key: bytes | None
    value: bytes | None
    fate: Fate


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What one sender says; equal plans say the same.

    Attributes:
        begins: The instant at which the run begins, RFC 3339.
        seconds: How long it is to last: deadlines are laid into it.
        first: Number of the first patient.
        events: How many events at least, repeats and poison not counted.
        topic: Say the events of this topic alone.
        dirt: Whether there are repeats, poison and foreign keys.
    """

    seed: int
    begins: str
    seconds: int
    first: int
    events: int
    topic: str | None = None
    dirt: bool = True


def feed(plan: Plan) -> Iterator[Say]:
    """All that is said, in order; worked out block by block, so that the first is said at once."""
    number, left = plan.first, plan.events
    while left > 0:
        places: list[tuple[float, int, Say]] = []
        events = 0
        while events < min(left, BLOCK):
            placed, count = _placed(plan, number)
            places += [(place, number, say) for place, say in placed]
            events += count
            number += 1
        left -= events
        places.sort(key=lambda one: one[:2])
        yield from (say for _, _, say in places)


def _placed(plan: Plan, number: int) -> tuple[list[tuple[float, Say]], int]:
    """What is said of one patient, where in the block; and how many events that are."""
    rng = Random(f"chaos {plan.seed} {number}")
    said = [say for say in _patient(rng, plan, number) if plan.topic in (None, say.topic)]
    # A patient's events lie close together, so that a fault hits the middle of a story.
    start = rng.random()
    width = rng.choice([0.01, 0.05, 0.3])
    steps = sorted(start + width * rng.random() for _ in said)
    placed = list(zip(steps, said, strict=True))
    return (_spoiled(rng, placed) if plan.dirt else placed), len(said)


def _patient(rng: Random, plan: Plan, number: int) -> list[Say]:
    """One patient's events in the order in which their senders sent them."""
    told = history(rng, OPTIONS, f"GEN|C{plan.seed}-{number}")
    _own_visits(told, number)
    begins, run = instant(plan.begins), timedelta(seconds=plan.seconds)
    delta = _delta(rng, told, begins, run)
    said = []
    for event in sorted(told.events, key=lambda e: instant(e["receivedtime"])):
        moved = _moved({k: v for k, v in event.items() if k != "receivedtime"}, delta)
        if _may_be_said(rng, moved, begins, run):
            topic = topic_of(moved["type"])
            assert topic is not None
            said.append(Say(topic, _key(rng, moved), orjson.dumps(moved), "event"))
    return said


def _own_visits(told: History, number: int) -> None:
    """A hospital gives no visit number to two patients; a history alone cannot know the others."""
    tasks = {}
    for event in told.events:
        data = event["data"]
        for name in ("visit_number", "previous_visit_number"):
            if name in data:
                data[name] = f"{number}.{data[name]}"
        if event["type"].startswith("care.discharge"):
            known_by = f"{event['source']} {event['id']}"
            where = event["subject"], event["facility"]
            mine = data["visit_number"]
            for kind in (*KINDS, "SNF_HANDOFF"):
                old = task_id(transition_id(*where, mine.partition(".")[2], known_by), kind)
                tasks[old] = task_id(transition_id(*where, mine, known_by), kind)
    for event in told.events:
        if "task_id" in event["data"]:
            event["data"]["task_id"] = tasks.get(event["data"]["task_id"], "nobody's")


def _may_be_said(rng: Random, event: dict[str, Any], begins: datetime, run: timedelta) -> bool:
    """What has happened when the run begins, and a little of what a fast clock says ahead."""
    at = instant(event["time"])
    kind = event["type"].removeprefix("care.").removesuffix(".v1")
    ahead = kind in MAY_RUN_AHEAD and at <= begins + run and rng.random() < 0.5
    return at <= begins or ahead


def _delta(rng: Random, told: History, begins: datetime, run: timedelta) -> timedelta:
    """So much later that a turning point of the first weeks comes during the run."""
    first = min(instant(e["time"]) for e in told.events if not e["type"].startswith("care.patient"))
    turns = [at for at in told.instants if first < at <= first + FIRST_WEEKS]
    turn = rng.choice(turns or [first + timedelta(days=1)])
    seconds = int((begins + run * rng.random() - turn).total_seconds())
    return timedelta(seconds=seconds)


def _moved(value: Any, delta: timedelta) -> Any:
    if isinstance(value, dict):
        return {name: _moved(part, delta) for name, part in value.items()}
    if isinstance(value, str) and _TIME.match(value):
        return text(instant(value) + delta)
    return value


def _key(rng: Random, event: dict[str, Any]) -> bytes | None:
    """Hospitals key as they like: by patient, by visit, not at all, or with bytes of their own."""
    visit: str = event["data"].get("visit_number", "")
    subject: str = event["subject"]
    return rng.choice([None, subject.encode(), visit.encode(), rng.randbytes(6)])


def _spoiled(rng: Random, placed: list[tuple[float, Say]]) -> list[tuple[float, Say]]:
    """Neighbours change places, records come twice, and some are poison."""
    out = list(placed)
    for at in range(len(out) - 1):
        if rng.random() < 0.08:
            out[at], out[at + 1] = (out[at][0], out[at + 1][1]), (out[at + 1][0], out[at][1])
    for place, say in placed:
        if rng.random() < 0.04:
            out.append((place + 0.1 * rng.random(), say))
        if rng.random() < 0.005:
            out.append((place + 0.01 * rng.random(), _clash(say)))
        if rng.random() < 0.003:
            out.append((place, _rehearsal(say)))
    if rng.random() < 0.05:
        out.append((rng.random(), rng.choice(list(poison(rng)))))
    return out


def _clash(say: Say) -> Say:
    """The same name with other content: nobody knows which of the two is true."""
    event = orjson.loads(say.value or b"")
    event["data"]["note"] = "another content"
    return say._replace(value=orjson.dumps(event))


def _rehearsal(say: Say) -> Say:
    """A test message of an interface engine, which nothing must follow from."""
    event = orjson.loads(say.value or b"")
    return say._replace(value=orjson.dumps({**event, "lane": "test"}), fate="ignored")


def poison(rng: Random) -> Iterator[Say]:
    """Records that nobody can take as an event, small ones."""
    for value in (
        rng.randbytes(200),
        b"",
        None,
        b"{",
        b'{"specversion": "1.0", "specversion": "1.0"}',
        b"[" * 5000,
        b"\xff\xfe{}",
        b'"an event"',
        b"NaN",
        orjson.dumps({"specversion": "1.0", "type": "care.admission.teleported.v1"}),
    ):
        # A record without a value has a key, or the client does not take it.
        key = rng.randbytes(8) if value is None else rng.choice([None, rng.randbytes(8)])
        yield Say(rng.choice(INPUTS[:-1]), key, value, "dead-letter")


def large(rng: Random, plan: Plan, number: int) -> Iterator[Say]:
    """Events around the size at which they are refused: the last that is taken, the first not."""
    event = {
        "specversion": "1.0",
        "id": f"LARGE-{number}",
        "source": "hospital/GEN/adt",
        "type": "care.admission.updated.v1",
        "time": plan.begins,
        "subject": f"GEN|LARGE{plan.seed}-{number}",
        "facility": "GEN",
        "data": {},
    }
    sizes: tuple[tuple[int, Fate], ...] = ((MIB, "event"), (MIB + 1, "dead-letter"))
    for size, fate in sizes:
        event["id"] = f"LARGE-{number}-{size}"
        event["data"] = {"visit_number": f"L{number}", "note": ""}
        room = size - len(orjson.dumps(event))
        event["data"] = {"visit_number": f"L{number}", "note": "x" * room}
        yield Say("care.admission.v1", rng.randbytes(4), orjson.dumps(event), fate)
    yield Say("care.admission.v1", None, rng.randbytes(1_000_000), "dead-letter")
    # The broker refuses it, so nothing may come of it; where it lands it is found.
    yield Say("care.admission.v1", None, rng.randbytes(3 * MIB), "dead-letter")
