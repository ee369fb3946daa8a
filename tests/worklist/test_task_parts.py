"""Parts of a task's page: which visit counts and why not, medication lists, who is back when."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.core.instants import read
from orchestrator.worklist.pages import calling, medicines, rows, visits
from orchestrator.worklist.site import Site
from schemas.facilities import Facilities
from schemas.policy import load_policies

POLICY = load_policies(None)[-1].model_dump(mode="json")
DISCHARGED = read("2026-10-06T18:00:00Z")
NOW = read("2026-10-07T12:00:00Z")
TASK = {
    "zone": "America/New_York",
    "due_at": "2026-10-14T04:00:00Z",  # end of day 7
    "appointment_id": "A1",
    "facility": "GEN",
    "status": "requested",
    "policy_version": "P0",
}


def appointment(name: str, **more: Any) -> dict[str, Any]:
    return {
        "appointment_id": name,
        "starts_at": "2026-10-09T14:00:00Z",
        "status": "booked",
        "modality": "in-person",
        "provider": {"name": "Dr Able", "specialty": "family medicine"},
        "service": None,
        **more,
    }


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"provider": {"specialty": "cardiology"}}, "cardiology; not primary care"),
        ({"starts_at": "2026-10-15T14:00:00Z"}, "day 9; window ends day 7"),
        ({"starts_at": "2026-10-06T12:00:00Z"}, "before the discharge"),
        ({"status": "noshow"}, "not kept"),
        ({"status": "cancelled"}, "cancelled"),
        ({"modality": "phone"}, "by phone; not a visit"),
        ({"provider": None}, "specialty not known; not taken for primary care"),
        ({}, "another visit counts already"),
    ],
)
def test_a_visit_that_does_not_count_says_why(more: dict[str, Any], why: str) -> None:
    found = [appointment("A1"), appointment("A2", **more)]
    lines = visits.slot_lines(found, TASK, DISCHARGED, POLICY, NOW)
    by_name = {line.id: line for line in lines}
    assert by_name["A1"].counts
    assert (by_name["A2"].counts, by_name["A2"].why) == (False, why)


def test_visits_stand_in_the_order_of_their_time() -> None:
    """With whom and when, in the facility's zone; one without a time is left out."""
    early = appointment("A2", starts_at="2026-10-08T14:00:00Z")
    lines = visits.slot_lines(
        [appointment("A1"), early, appointment("A3", starts_at=None)], TASK, None, POLICY, NOW
    )
    assert [line.id for line in lines] == ["A2", "A1"]
    assert lines[0].when == "tomorrow 10:00 EDT"
    assert lines[0].with_whom == "Dr Able, family medicine"


LISTS = {
    "metoprolol": {
        "pharmacy": {"dose": "25 mg", "frequency": "twice a day", "as_of": "2026-10-06T00:00:00Z"},
        "pcp": {"dose": "50 mg", "frequency": "twice a day"},
    },
    "warfarin": {"pharmacy": {"dose": "5 mg", "status": "stopped"}},
}
ISSUES = [
    {"code": "D3", "ingredient": "metoprolol", "severity": "medium", "left": "25 mg",
     "right": "50 mg", "status": "open"},
    {"code": "D1", "ingredient": "warfarin", "severity": "high", "left": "stopped",
     "right": "", "status": "open"},
    {"code": "D2", "ingredient": "aspirin", "severity": "high", "status": "explained"},
]  # fmt: skip


def test_lists_stand_side_by_side() -> None:
    """Stopped drugs are shown, a list that never came is never taken for an empty one."""
    table = medicines.matrix(LISTS, ISSUES, {})
    cells = {row.name: [cell.text for cell in row.cells] for row in table.rows}
    assert table.columns == ("At home", "In hospital", "Discharge", "Pharmacy, 2026-10-06", "PCP")
    never = ["list never received"] * 3
    differs = ["dose differs: 25 mg twice a day", "dose differs: 50 mg twice a day"]
    assert cells == {
        "metoprolol": [*never, *differs],
        "warfarin": [*never, "stopped", "not listed"],
    }
    assert [one.text for one in table.differences] == [
        "metoprolol: 25 mg against 50 mg",
        "warfarin: stopped",
    ]


def test_something_grave_stays_open_until_it_is_accepted() -> None:
    """One difference at a time, with a reason; only the grave ones make a completion unverified."""
    assert medicines.matrix(LISTS, ISSUES, {}).open_grave == "warfarin: stopped"
    table = medicines.matrix(LISTS, ISSUES, {"D1:warfarin": "INR clinic"})
    assert table.open_grave is None
    assert [one.accepted for one in table.differences] == [None, "INR clinic"]


def test_no_list_at_all_is_told() -> None:
    table = medicines.matrix({}, [], {})
    assert not table.received
    assert table.rows == ()


@pytest.mark.parametrize(
    ("due", "now", "told"),
    [
        # Sunday before Columbus Day: back on Tuesday.
        ("2026-10-11T22:00:00Z", NOW, "escalates Tue 13 Oct 08:00 when the team is back"),
        ("2026-10-11T22:00:00Z", read("2026-10-13T12:00:00Z"), None),  # it is Tuesday 08:00
        ("2026-10-08T18:00:00Z", NOW, None),  # a Thursday
    ],
)
def test_what_is_due_while_nobody_works_says_when_it_escalates(
    due: str, now: int, told: str | None
) -> None:
    text = "GEN: {zone: America/New_York, weekend_staffing: false}\n"
    site = SimpleNamespace(facilities=Facilities.parse(text), policies=[POLICY])
    task = {**TASK, "due_at": due}
    assert rows.team_back(cast(Site, site), task, now) == told
    always = SimpleNamespace(facilities=Facilities.load(None), policies=[POLICY])
    assert rows.team_back(cast(Site, always), task, now) is None


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("202-555-0147 (home)", '<a href="tel:2025550147">202-555-0147</a> (home)'),
        ("daughter, (202) 555-0148", 'daughter, <a href="tel:2025550148">(202) 555-0148</a>'),
        ("+1 202 555 0149", '<a href="tel:+12025550149">+1 202 555 0149</a>'),
        ("by <b>post</b>", "by &lt;b&gt;post&lt;/b&gt;"),
        ('"><i>2025550147', '&#34;&gt;&lt;i&gt;<a href="tel:2025550147">2025550147</a>'),
    ],
)
def test_a_number_can_be_dialled(text: str, link: str) -> None:
    """Whatever stands around it is text, and stays so."""
    assert str(calling.dial(text)) == link


def test_a_provider_is_told_as_far_as_known() -> None:
    """Name, practice and number; of one that is only on file nothing is made up."""
    said = {"name": {"family": "Hazel", "given": "Ann"}, "organization": "West Clinic"}

    assert calling.provider_words(said) == "Ann Hazel, West Clinic"
    assert calling.provider_words({**said, "phone": "202-555-0150"}) == (
        "Ann Hazel, West Clinic, 202-555-0150"
    )
    assert calling.provider_words({"npi": "1234567893"}) is None
    assert calling.provider_words("1234567893") is None
