"""``care.admission.*`` and ``care.discharge.*``: which facts each says (rulings 33 to 36)."""

from typing import Any

import pytest

import handlers
from orchestrator.core.facts import Admitted, DischargeSaid, Told, VisitMark, VisitSaid
from orchestrator.core.instants import HOUR, SECOND, written
from orchestrator.core.visit_walk import IMPLIED
from tests.handlers.samples import FACILITIES, RECEIPT, TIME, event


def told(type_: str, **given: Any) -> Told:
    return handlers.told(event(type_, **given), FACILITIES)


def only(found: Told, kind: type[Any]) -> Any:
    (fact,) = [fact for fact in found.facts if isinstance(fact, kind)]
    return fact


def kinds(found: Told) -> list[str]:
    return sorted(type(fact).__name__ for fact in found.facts)


def test_an_admission_stands_at_its_stated_instant() -> None:
    """And its class holds from then on."""
    found = told("admission.opened", admitted_at=written(TIME - HOUR), **{"class": "E"})
    admitted, said = only(found, Admitted), only(found, VisitSaid)
    assert (admitted.at, admitted.opened) == (TIME - HOUR, True)
    assert (said.fields, said.class_from) == ({"class": "EMERGENCY"}, TIME - HOUR)


def test_an_admission_without_an_instant_stands_at_its_time() -> None:
    """With the doubts of that time."""
    admitted = only(told("admission.opened", timeflags={"time": ["DAY"]}), Admitted)
    assert (admitted.at, admitted.flags) == (TIME, ("DAY",))


@pytest.mark.parametrize("end", [{"end_in_admit": True}, {"discharged_at": written(TIME)}])
def test_an_end_in_an_admission_is_flagged_and_ends_nothing(end: dict[str, Any]) -> None:
    """Ruling 35: the stay is open."""
    found = told("admission.opened", **end)
    assert only(found, Admitted).flags == ("END_IN_ADMIT",)
    assert "DischargeSaid" not in kinds(found)


@pytest.mark.parametrize(
    ("admitted_at", "mentioned"),
    [(RECEIPT - SECOND, True), (RECEIPT, True), (RECEIPT + SECOND, False)],
)
@pytest.mark.parametrize("type_", ["admission.updated", "discharge.recorded"])
def test_a_mentioned_admission_later_than_the_receipt_is_ignored(
    type_: str, admitted_at: int, mentioned: bool
) -> None:
    """Ruling 35."""
    found = told(type_, admitted_at=written(admitted_at))
    mentions = [fact for fact in found.facts if isinstance(fact, Admitted)]
    assert [(fact.at, fact.opened) for fact in mentions] == [(admitted_at, False)] * mentioned


def test_an_update_that_opens_a_stay_implies_its_admission() -> None:
    """Ruling 35: of a visit never seen."""
    admitted = only(told("admission.updated", opens_stay=True), Admitted)
    assert (admitted.at, admitted.opened, admitted.flags) == (TIME, False, (IMPLIED,))


def test_an_update_that_says_nothing_we_read_is_a_sign_of_life() -> None:
    """A stay that sends news is not stale."""
    assert only(told("admission.updated"), VisitSaid).fields == {}


@pytest.mark.parametrize(
    ("ended", "expected"), [(RECEIPT - SECOND, True), (RECEIPT, True), (RECEIPT + SECOND, False)]
)
def test_an_update_may_amend_the_discharge_but_not_foretell_it(ended: int, expected: bool) -> None:
    """An instant ahead is an expectation; no update alone opens a discharge (ruling 34)."""
    found = told("admission.updated", discharged_at=written(ended))
    amended = [fact for fact in found.facts if isinstance(fact, DischargeSaid)]
    assert [(fact.at, fact.opens) for fact in amended] == [(ended, False)] * expected


def test_a_discharge_says_when_and_where_to() -> None:
    """The facility's own word is understood."""
    found = told("discharge.recorded", discharged_at=written(TIME - HOUR), disposition="HH")
    said = only(found, DischargeSaid)
    assert (said.at, said.opens, said.fields) == (TIME - HOUR, True, {"disposition": "06"})


def test_a_discharge_without_an_instant_is_of_its_time() -> None:
    """And of a disposition not said nothing is said."""
    said = only(told("discharge.recorded"), DischargeSaid)
    assert (said.at, said.fields) == (TIME, {})


def test_a_disposition_that_was_deleted_is_said_to_be_none() -> None:
    """Null deletes."""
    said = only(told("discharge.corrected", disposition=None), DischargeSaid)
    assert said.fields == {"disposition": None}


@pytest.mark.parametrize(("at", "opens"), [(written(TIME), True), (None, False)])
def test_a_correction_with_an_instant_is_a_discharge_of_its_own(
    at: str | None, opens: bool
) -> None:
    """Ruling 34."""
    given = {} if at is None else {"discharged_at": at}
    assert only(told("discharge.corrected", **given), DischargeSaid).opens is opens


@pytest.mark.parametrize(
    ("type_", "what"),
    [
        ("admission.left", "left"),
        ("admission.returned", "returned"),
        ("admission.planned", "planned"),
        ("discharge.pending", "pending"),
        ("admission.cancelled", "cancel-admit"),
        ("discharge.cancelled", "cancel-discharge"),
    ],
)
def test_each_other_happening_has_its_mark(type_: str, what: str) -> None:
    """At the time at which it happened."""
    mark = only(told(type_), VisitMark)
    assert (mark.what, mark.at, mark.visit, mark.facility) == (what, TIME, "V1", "GEN")


@pytest.mark.parametrize("type_", ["admission.cancelled", "discharge.cancelled"])
def test_a_cancel_names_what_it_takes_back(type_: str) -> None:
    """And takes effect at its receipt, whatever its clock says."""
    found = told(type_, cancels_at=written(TIME - HOUR), time=written(RECEIPT + HOUR))
    assert only(found, VisitMark).cancels_at == TIME - HOUR
    assert found.effective == 0


def test_a_plan_says_when_and_whether_it_is_one() -> None:
    """The class of a plan is no class of the stay yet."""
    found = told("admission.planned", expected_at=written(TIME + HOUR), **{"class": "I"})
    fields = {
        name: v for f in found.facts if isinstance(f, VisitSaid) for name, v in f.fields.items()
    }
    assert fields == {"planned": True, "expected_at": TIME + HOUR}
    unplanned = told("admission.planned", planned=False)
    assert only(unplanned, VisitSaid).fields == {"planned": False}


def test_an_expected_discharge_starts_no_clock() -> None:
    """A16."""
    found = told("discharge.pending", expected_at=written(TIME + HOUR))
    assert kinds(found) == ["VisitMark", "VisitSaid"]
    assert only(found, VisitSaid).fields == {"pending_at": TIME + HOUR}


def test_the_fields_that_rules_read_are_passed_on_as_they_came() -> None:
    """The rest of an event stays in the journal."""
    found = told(
        "admission.updated",
        pcp={"npi": "1"},
        previous_visit_number="V0",
        admit_type="3",
        account_number="77",
    )
    assert only(found, VisitSaid).fields == {
        "pcp": {"npi": "1"},
        "previous_visit_number": "V0",
        "admit_type": "C",
        "account_number": "77",
    }


def test_an_account_that_is_the_visits_own_number_says_nothing() -> None:
    """Feeds that number visits by their accounts repeat it in every message."""
    found = told("admission.updated", admit_type="3", account_number="V1")
    assert only(found, VisitSaid).fields == {"admit_type": "C"}


def test_what_is_said_ahead_is_held() -> None:
    """A discharge of this evening reported at noon."""
    found = told("discharge.recorded", discharged_at=written(RECEIPT + HOUR))
    assert found.effective == RECEIPT + HOUR
