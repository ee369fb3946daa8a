"""Seeded histories of one patient, of realistic shape: dirt, delay and second thoughts included.

`history(rng)` is a pure function of its random source, so a seed is a history; Hypothesis hands
in a source of its own and shrinks it.  The distribution is a promise and tested.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.simulation.model.calendar import end_of_day_number, instant, text
from tests.simulation.tale import (
    DAY,
    FACILITIES,
    HOUR,
    MINUTE,
    TURNING_DAYS,
    Left,
    Line,
    Options,
    Tale,
)
from tests.simulation.tale_of_followup import tell_death, tell_followup, tell_pcp
from tests.simulation.tale_of_stays import STAY_KINDS, tell_next_stay, tell_stay

Events = list[dict[str, Any]]
SECOND = timedelta(seconds=1)
# These must not be received before what they change: an update of an unknown visit is a case of
# its own (rulings 35).
MAY_RUN_AHEAD = (
    "admission.opened",
    "discharge.recorded",
    "admission.cancelled",
    "discharge.cancelled",
)


@dataclass(frozen=True)
class History:
    """Events as publishers write them, and the instants worth a look."""

    events: Events
    traits: frozenset[str]
    instants: tuple[datetime, ...]
    facilities: dict[str, dict[str, object]] = field(default_factory=lambda: FACILITIES)

    def last_receipt(self) -> datetime:
        return max(instant(e.get("receivedtime", e["time"])) for e in self.events)


def history(rng: Random, options: Options | None = None, subject: str = "GEN|P1") -> History:
    """One patient's history.

    Args:
        rng: Drawn from in a fixed order; equal sources give equal histories.
        options: What may occur; everything by default.
        subject: ``authority|identifier``, so that several histories can share an input.
    """
    tale = Tale(rng, options or Options(), subject)
    if tale.chance(0.35):
        base = rng.choice(TURNING_DAYS) + tale.between(timedelta(0), 2 * DAY)
    else:
        base = datetime(2026, 1, 5, tzinfo=UTC) + tale.between(timedelta(0), 300 * DAY)
    tell_pcp(tale, base - 20 * DAY)
    kind = "snf" if tale.chance(0.02) else tale.pick(STAY_KINDS)
    facility = "SNF1" if kind == "snf" else tale.pick({"GEN": 7, "MID": 3})
    stays = [tell_stay(tale, kind, facility, base)]
    for _ in range(tale.pick({0: 42, 1: 36, 2: 22})):
        stays.append(tell_next_stay(tale, stays[-1]))
    for left in stays:
        tell_followup(tale, left)
    if tale.chance(0.05):
        tell_death(tale, stays[-1])
    return History(_received(tale), frozenset(tale.traits), tuple(_instants(tale, stays)))


def _delay(tale: Tale, line: Line) -> timedelta:
    """From the event to its receipt; negative where the sender's clock is ahead."""
    kind = line.event["type"].removeprefix("care.").removesuffix(".v1")
    if tale.options.calm:
        return tale.between(timedelta(0), 20 * HOUR) if tale.chance(0.4) else MINUTE
    if kind.startswith("task."):
        return tale.rng.randint(0, 59) * SECOND
    ahead = tale.options.skewed and kind in MAY_RUN_AHEAD and tale.chance(0.02)
    if ahead:
        tale.traits.add("skew")
        return -tale.between(MINUTE, 20 * HOUR)
    match tale.pick({"soon": 84, "hours": 11, "days": 5}):
        case "soon":
            return tale.rng.randint(0, 600) * SECOND
        case "hours":
            return tale.between(HOUR, 22 * HOUR)
        case _:
            tale.traits.add("late")
            return tale.between(DAY, 9 * DAY)


def _received(tale: Tale) -> Events:
    """Every line of the tale with its receipt; copies included."""
    receipts: dict[str, datetime] = {}
    out: Events = []
    for line in tale.lines:
        at = line.at + _delay(tale, line)
        recorded = line.event.get("recordedtime")
        if recorded is not None:
            at = max(at, instant(recorded))
        at = max([at, *(receipts[name] for name in line.after if name in receipts)])
        event = dict(line.event)
        receipts.setdefault(event["id"], at)
        out.append(event | {"receivedtime": text(at)})
    if tale.options.backfill and tale.chance(0.07):
        _backfill(tale, out)
    return out


def _backfill(tale: Tale, events: Events) -> None:
    """The interface was connected one day; all before came in one go."""
    tale.traits.add("backfill")
    times = sorted(instant(e["time"]) for e in events)
    cut = tale.rng.choice(times[len(times) // 3 :]) + tale.between(MINUTE, 3 * DAY)
    stated = tale.chance(0.7)
    for event in events:
        if instant(event["time"]) < cut and not event["type"].startswith("care.task."):
            event["lane"] = "backfill"
            event["receivedtime"] = text(cut)
            if not stated:
                del event["receivedtime"]
        elif instant(event["receivedtime"]) < cut:
            event["receivedtime"] = text(max(cut, instant(event["time"])))


def _instants(tale: Tale, stays: list[Left]) -> list[datetime]:
    """Where the answer may turn: around deadlines, and somewhere in between."""
    out = list(tale.marks)
    for left in stays:
        if left.at is None:
            continue
        zone = str(FACILITIES[left.facility]["zone"])
        days = [end_of_day_number(left.at, n, zone) for n in (2, 4, 7, 30, 90)]
        for turn in [left.at + DAY, left.at + 2 * DAY, *days]:
            out += [turn - SECOND, turn, turn + SECOND]
    return sorted(out)


def as_of_instants(rng: Random, told: History, count: int) -> list[datetime]:
    """Some instants at which to compare: one after everything, a turning point, any instant."""
    receipts = [instant(e.get("receivedtime", e["time"])) for e in told.events]
    pool = [*told.instants, *receipts, *(r - SECOND for r in receipts)]
    span = int((max(receipts) + 95 * DAY - min(receipts)) / SECOND)
    anywhere = [min(receipts) + rng.randint(0, span) * SECOND for _ in range(count // 3)]
    near = rng.choices(pool, k=max(0, count - 1 - len(anywhere)))
    return [max(receipts) + DAY, *near, *anywhere]


@st.composite
def histories(draw: st.DrawFn, options: Options | None = None) -> History:
    """The same histories from Hypothesis's own source, so that a failing one shrinks."""
    return history(draw(st.randoms(use_true_random=False)), options)
