"""``care.patient.*``: what is said of the person."""

from typing import Any

import pytest

import handlers
from orchestrator.core.facts import PersonSaid, Told
from orchestrator.core.instants import HOUR, written
from tests.handlers.samples import FACILITIES, RECEIPT, TIME, event


def told(what: str, **given: Any) -> Told:
    return handlers.told(event(f"patient.{what}", without="visit_number", **given), FACILITIES)


def fields(found: Told) -> Any:
    (fact,) = found.facts
    assert isinstance(fact, PersonSaid)
    return fact.fields


def test_only_what_was_said_is_said_and_null_deletes() -> None:
    """A phone number taken back is not one never given."""
    assert fields(told("updated", phones=["555-0100"], pcp=None, shoe_size=9)) == {
        "phones": ["555-0100"],
        "pcp": None,
    }


@pytest.mark.parametrize(
    ("given", "died_at", "title"),
    [
        ({"died_at": written(TIME - HOUR)}, TIME - HOUR, "Death reported"),
        ({}, TIME, "Death reported"),
        ({"died_at": None}, None, "Death taken back"),
    ],
)
def test_a_death_is_of_its_date_else_of_the_event(
    given: dict[str, Any], died_at: int | None, title: str
) -> None:
    """A null date takes it back."""
    found = told("died", **given)
    told_of = {} if died_at is None else {"death_told": True}
    assert (fields(found), found.title) == ({"died_at": died_at, **told_of}, title)


@pytest.mark.parametrize(
    ("type_", "given", "stops"),
    [
        ("died", {}, True),
        ("preference_changed", {"outreach": "decline-calls"}, True),
        ("preference_changed", {"outreach": "decline-all"}, True),
        ("preference_changed", {"outreach": "accept"}, False),
        ("preference_changed", {"language": "es"}, False),
        ("updated", {"language": "es"}, False),
    ],
)
def test_what_stops_outreach_takes_effect_at_its_receipt(
    type_: str, given: dict[str, Any], stops: bool
) -> None:
    """Though its clock runs ahead; anything else waits for its time."""
    ahead = RECEIPT + HOUR
    found = told(type_, time=written(ahead), **given)
    assert found.effective == (0 if stops else ahead)


def test_a_preference_says_what_the_contract_lists() -> None:
    """Nothing else of the event becomes a fact."""
    given = {
        "outreach": "accept",
        "channel": "sms",
        "hours": "9-17",
        "no_share_with": ["X"],
        "language": "es",
    }
    assert fields(told("preference_changed", **given, note="x")) == given
