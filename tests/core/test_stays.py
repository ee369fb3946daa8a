"""What a stay says of itself: its discharge, its class, its visits (rulings 10, 11, 14, 34, 35)."""

from itertools import permutations

import pytest

from orchestrator.core.cells import VisitCell
from orchestrator.core.facts import DischargeSaid, Told, VisitSaid
from orchestrator.core.instants import DAY, HOUR
from orchestrator.core.stays import Stay, connected, derive
from tests.core.builders import (
    D,
    admitted,
    classed,
    closing,
    discharged,
    marked,
    stamp,
    told,
    updated,
    visit_cells,
)

ADMITTED = D - 3 * DAY


def stays(*said: Told) -> list[Stay]:
    """All stays of the visits that *said* is about, connected ones joined."""
    return [s for group in connected(visit_cells(*said)) for s in derive(group, closing).stays]


def only(*said: Told) -> Stay:
    (stay,) = stays(*said)
    return stay


def corrected(
    at: int | None, recorded: int, *, disposition: str | None = None, receipt: int | None = None
) -> Told:
    """A08 after the discharge; says of the disposition only what is given."""
    made = stamp(recorded, f"A08 {recorded}", receipt=receipt)
    fields = {} if disposition is None else {"disposition": disposition}
    return told(made, DischargeSaid("GEN", "V1", at, made, False, fields))


def test_a_correction_moves_the_discharge_and_keeps_its_beginning() -> None:
    """The id comes from the first news, the due times from the newest (ruling 34)."""
    discharge = only(discharged(D), corrected(D + HOUR, D + 5 * HOUR)).discharge
    assert discharge is not None
    assert (discharge.at, discharge.heard) == (D + HOUR, ((D, D), (D + HOUR, D + 5 * HOUR)))
    assert (discharge.anchor.event, discharge.anchor_at) == (f"A03 V1 {D}", D)
    assert discharge.disposition == "01"


def test_a_correction_without_an_instant_leaves_the_known_one() -> None:
    """It speaks of the disposition alone."""
    discharge = only(discharged(D), corrected(None, D + 5 * HOUR, disposition="03")).discharge
    assert discharge is not None
    assert (discharge.at, discharge.heard) == (D, ((D, D),))
    assert (discharge.disposition, discharge.first_disposition) == ("03", "01")
    assert discharge.disposition_receipt == D + 5 * HOUR


def test_a_correction_of_nothing_is_no_discharge() -> None:
    """An update alone never discharges anybody (ruling 34)."""
    assert only(admitted(ADMITTED), corrected(D, D + HOUR)).discharge is None


def test_a_correction_counts_although_it_was_heard_first() -> None:
    """Two interfaces, one slower: the answer is the same."""
    discharge = only(
        discharged(D, receipt=D + 9 * HOUR), corrected(D + HOUR, D + 5 * HOUR)
    ).discharge
    assert discharge is not None
    assert discharge.at == D + HOUR
    assert discharge.anchor.receipt == D + 9 * HOUR


def test_a_discharge_first_becomes_known_by_the_earliest_receipt() -> None:
    """Not by the earliest time, nor by the earliest record."""
    late = discharged(D, event="late", recorded=D, receipt=D + 9 * HOUR)
    soon = discharged(D, event="soon", recorded=D + HOUR, receipt=D + 2 * HOUR)
    for story in permutations([late, soon]):
        discharge = only(*story).discharge
        assert discharge is not None
        assert discharge.anchor.event == "soon"


def test_still_a_patient_is_no_discharge() -> None:
    """Disposition 30 is an interim bill."""
    stay = only(admitted(ADMITTED), discharged(D, disposition="30"))
    assert stay.discharge is None
    assert stay.taken_back == []


@pytest.mark.parametrize(("interim_at", "ended"), [(D - DAY, D), (D + HOUR, D), (D, None)])
def test_an_interim_bill_takes_back_only_a_discharge_of_its_own_instant(
    interim_at: int, ended: int | None
) -> None:
    """At that instant it is a correction, still a patient; elsewhere it says nothing of the end."""
    bill = discharged(interim_at, disposition="30", event="bill", recorded=D + 2 * HOUR)
    assert only(discharged(D), bill).ended_at == ended


@pytest.mark.parametrize(
    ("cls", "ended"), [("EMERGENCY", D), ("OUTPATIENT", D), ("INPATIENT", None)]
)
def test_admitted_here_ends_the_account_of_who_was_no_inpatient(
    cls: str, ended: int | None
) -> None:
    """Disposition 09 closes an ED or outpatient account; an inpatient stay goes on."""
    assert only(
        admitted(ADMITTED, cls=cls), discharged(D, disposition="09", cls=None)
    ).ended_at == (ended)


def test_admitted_here_says_nothing_where_the_real_discharge_does() -> None:
    """Under one number both come; the patient went home."""
    discharge = only(discharged(D - DAY, disposition="09"), discharged(D, recorded=D)).discharge
    assert discharge is not None
    assert discharge.disposition == "01"
    assert discharge.at == D


@pytest.mark.parametrize("flag", ["DAY", "TIME_AMBIGUOUS", "TIME_ADJUSTED"])
def test_what_was_assumed_of_the_time_is_kept_with_it(flag: str) -> None:
    """Of the statement that holds, not of one it replaced."""
    first = discharged(D, flags=(flag,))
    discharge = only(first).discharge
    assert discharge is not None
    assert discharge.flags == (flag,)
    discharge = only(first, corrected(D + HOUR, D + HOUR)).discharge
    assert discharge is not None
    assert discharge.flags == ()


def test_the_class_last_recorded_holds_and_each_is_dated() -> None:
    """From the emergency department to the ward: the class change is when it began there."""
    stay = only(admitted(ADMITTED, cls="EMERGENCY"), classed(ADMITTED + 6 * HOUR, "INPATIENT"))
    assert stay.cls == "INPATIENT"
    assert stay.class_since("EMERGENCY") == ADMITTED
    assert stay.class_since("INPATIENT") == ADMITTED + 6 * HOUR
    assert stay.class_since("OBSERVATION") is None


def test_a_class_that_was_always_so_begins_with_the_stay() -> None:
    """The first message that mentions it says nothing of a change."""
    stay = only(admitted(ADMITTED, cls=None), classed(ADMITTED + 6 * HOUR, "INPATIENT"))
    assert stay.class_since("INPATIENT") == ADMITTED


def test_a_discharge_without_any_admission_counts_as_inpatient() -> None:
    """Ruling 11: a task too many is safer than one too few."""
    stay = only(discharged(D, cls=None))
    assert stay.cls == "INPATIENT"
    assert stay.admitted_at is None
    assert stay.start == D


def test_a_plan_alone_is_a_planned_stay() -> None:
    """Expected, not begun."""
    stay = only(marked("planned", D))
    assert stay.planned
    assert not stay.opened


def test_a_plan_that_came_true_is_an_ordinary_stay() -> None:
    """The plan leaves no second stay behind."""
    assert not only(marked("planned", D - DAY), admitted(D)).planned


def test_visits_connected_by_their_numbers_are_one() -> None:
    """The account number changed on the way: 1, then 2, then 3."""
    story = [
        admitted(ADMITTED, "V1", cls="EMERGENCY"),
        updated(ADMITTED + HOUR, "V2", previous_visit_number="V1"),
        classed(ADMITTED + HOUR, "INPATIENT", "V2"),
        updated(D - HOUR, "V3", previous_visit_number="V2"),
        discharged(D, "V3"),
    ]
    for order in permutations(story):
        stay = only(*order)
        assert (stay.visit, stay.visits[0], stay.ended_at) == ("V3", "V1", D)
        assert stay.cls == "INPATIENT"
        assert stay.admitted_at == ADMITTED


def test_a_previous_number_that_nobody_knows_connects_nothing() -> None:
    """It may arrive later; until then each stands alone."""
    alone = updated(D, "V2", previous_visit_number="V9")
    assert [[c.number for c in group] for group in connected(visit_cells(alone))] == [["V2"]]


def test_a_previous_number_of_another_facility_connects_nothing() -> None:
    """A visit number is its facility's own."""
    one, two = VisitCell("MID", "V1"), VisitCell("GEN", "V2")
    two.join(VisitSaid("GEN", "V2", {"previous_visit_number": "V1"}, stamp(D)))
    assert len(connected([one, two])) == 2


def test_numbers_that_name_each_other_are_still_one_visit() -> None:
    """A sender's circle ends no program."""
    cells = visit_cells(
        updated(D, "V1", previous_visit_number="V2"),
        updated(D, "V2", previous_visit_number="V1"),
        updated(D, "V3", previous_visit_number="V3"),
    )
    groups = sorted(sorted(cell.number for cell in group) for group in connected(cells))
    assert groups == [["V1", "V2"], ["V3"]]
    for group in connected(cells):
        derive(group, closing)
