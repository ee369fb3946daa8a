"""Properties (a) and (b) of design.md: the answer depends on what was received, not on how.

(c), (d) and (e) look inside the processor and stand in `test_processor_properties.py`.
"""

import copy
import json
from datetime import datetime
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings

from tests.simulation.compare import current_without_ids
from tests.simulation.differential import replayed
from tests.simulation.histories import Events, History, histories, history
from tests.simulation.minimise import fewer, readable
from tests.simulation.model.calendar import instant, text
from tests.simulation.sizes import examples, seeds
from tests.simulation.tale import DAY, HOUR, MINUTE, Options

# What property (b) is promised for: every event says when it was recorded, none runs ahead.
CALM = Options(commands=False, skewed=False, backfill=False, explicit_recorded=True, calm=True)
ANCHORS = ("discharge.recorded", "discharge.corrected")


def _as_bytes(answer: dict[str, Any]) -> bytes:
    """The whole answer; where in the files a refusal stood is the one thing left out."""
    rejected = sorted((r["reason"], r["detail"]) for r in answer["rejected"])
    return json.dumps(answer | {"rejected": rejected}, sort_keys=True).encode()


def _several(seed: int) -> Events:
    """Three patients' histories in one input."""
    subjects = ("GEN|P1", "GEN|P2", "MID|P1")
    told = [history(Random(seed * 3 + n), subject=who) for n, who in enumerate(subjects)]
    return [e for h in told for e in h.events]


def _last_receipt(events: Events) -> datetime:
    return max(instant(e.get("receivedtime", e["time"])) for e in events)


@pytest.mark.parametrize("seed", seeds(25))
def test_shuffled_and_copied_files_give_the_identical_answer(seed: int) -> None:
    """(a) Neither the order of the records nor how often each comes changes one byte."""
    rng = Random(seed)
    events = _several(seed)
    as_of = _last_receipt(events) + rng.choice([0, 1, 9, 40]) * DAY
    once = _as_bytes(replayed(events, as_of))
    again = copy.deepcopy(events + rng.choices(events, k=len(events) // 2))
    rng.shuffle(again)
    assert _as_bytes(replayed(again, as_of)) == once


@pytest.mark.parametrize("seed", seeds(15))
def test_later_copies_count_at_their_first_receipt(seed: int) -> None:
    """(a) A feed that repeats itself hours later says nothing new."""
    rng = Random(seed)
    events = _several(seed)
    as_of = _last_receipt(events) + 2 * DAY
    late = [e for e in rng.choices(events, k=8) if "receivedtime" in e]
    copies = [
        e | {"receivedtime": text(instant(e["receivedtime"]) + rng.randint(0, 40) * HOUR)}
        for e in late
    ]
    assert _as_bytes(replayed(events + copies, as_of)) == _as_bytes(replayed(events, as_of))


@pytest.mark.parametrize("seed", seeds(15))
def test_another_patient_changes_nothing(seed: int) -> None:
    """(a) A patient's answer is the same alone and among others with visit numbers of their own."""
    events = [_with_numbers_of_its_own(event) for event in _several(seed)]
    as_of = _last_receipt(events) + 2 * DAY
    together = {p["patient"]: p for p in replayed(events, as_of)["patients"]}
    for subject, found in together.items():
        own = [e for e in events if e["subject"] == subject]
        if all("receivedtime" in e for e in own):  # else the others decide when it was received
            assert replayed(own, as_of)["patients"] == [found]


def _with_numbers_of_its_own(event: dict[str, Any]) -> dict[str, Any]:
    """One number under two patients would be a gap of both (ruling 17)."""

    def own(name: str, value: Any) -> Any:
        if "visit_number" not in name:
            return value
        if isinstance(value, list):
            return [f"{one} {event['subject']}" for one in value]
        return value and f"{value} {event['subject']}"

    return event | {"data": {name: own(name, value) for name, value in event["data"].items()}}


def received_anew(told: History, rng: Random) -> Events:
    """The same events received in another order; the discharges still within 20 hours."""
    out = []
    for one in told.events:
        kind = one["type"].removeprefix("care.").removesuffix(".v1")
        longest = 20 if kind in ANCHORS else 72
        at = max(instant(one["time"]), instant(one["recordedtime"]))
        out.append(one | {"receivedtime": text(at + rng.randint(0, longest * 60) * MINUTE)})
    return out


def _current(events: Events, as_of: datetime) -> list[dict[str, list[str]]]:
    return [current_without_ids(p) for p in replayed(events, as_of)["patients"]]


def assert_receipts_do_not_matter(told: History, rng: Random) -> None:
    """Property (b) for one history; a failure shows the fewest events and both receipts."""
    anew = received_anew(told, rng)
    as_of = max(_last_receipt(told.events), _last_receipt(anew)) + rng.choice([0, 1, 9]) * DAY
    pairs = [{"one": a, "other": b} for a, b in zip(told.events, anew, strict=True)]

    def differ(part: Events) -> bool:
        one, other = ([pair[name] for pair in part] for name in ("one", "other"))
        return _current(one, as_of) != _current(other, as_of)

    if differ(pairs):
        pairs = fewer(pairs, differ)
        orders = [[pair[name] for pair in pairs] for name in ("one", "other")]
        report = [f"{readable(order)}\n{_current(order, as_of)}" for order in orders]
        raise AssertionError(f"as of {text(as_of)}\n" + "\n".join(report))


@pytest.mark.parametrize("seed", seeds(60))
def test_order_of_receipt_does_not_change_what_stands(seed: int) -> None:
    """(b) Receipts permuted: the same live tasks, gaps and transitions, whatever their ids."""
    rng = Random(seed)
    assert_receipts_do_not_matter(history(rng, CALM), rng)


@settings(
    max_examples=examples(30),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # the shrinking is ours
)
@given(told=histories(CALM))
def test_order_of_receipt_does_not_matter_to_hypothesis_either(told: History) -> None:
    """(b) The same, with Hypothesis choosing the history."""
    for trait in told.traits:
        event(trait)
    assert_receipts_do_not_matter(told, Random(len(told.events)))
