"""Which admissions and discharges there were, and what a cancellation takes back.

Contract, section 2: a cancel takes back the matching one that stands at its ``cancels_at``, else
the latest at or before its own time, whenever either arrives.  Rulings 6, 14 and 35.
"""

from collections.abc import Sequence
from itertools import permutations

import pytest

from orchestrator.core.facts import Admitted, Told
from orchestrator.core.instants import DAY, HOUR, SECOND
from orchestrator.core.stays import Derived, derive
from orchestrator.core.visit_walk import IMPLIED
from tests.core.builders import (
    D,
    admitted,
    closing,
    discharged,
    marked,
    stamp,
    told,
    visit_cells,
)

ADMITTED = D - 3 * DAY


def walked(*said: Told) -> Derived:
    """The stays of one visit number."""
    cells = visit_cells(*said)
    return derive(cells, closing)


def ends(derived: Derived) -> list[int | None]:
    """By stay, the discharge that stands."""
    return [stay.ended_at for stay in derived.stays]


def test_an_admission_and_a_discharge_are_one_stay() -> None:
    """The ordinary case."""
    (stay,) = walked(admitted(ADMITTED), discharged(D)).stays
    assert (stay.admitted_at, stay.ended_at, stay.opened, stay.cancelled) == (
        ADMITTED,
        D,
        True,
        None,
    )


@pytest.mark.parametrize(
    ("after", "taken_back"), [(-SECOND, False), (0, True), (SECOND, True), (90 * DAY, True)]
)
def test_a_cancel_takes_back_what_stands_at_or_before_it(after: int, taken_back: bool) -> None:
    """One that is older than the discharge means another one."""
    derived = walked(admitted(ADMITTED), discharged(D), marked("cancel-discharge", D + after))
    assert ends(derived) == ([None] if taken_back else [D])
    assert bool(derived.orphans) is not taken_back


@pytest.mark.parametrize(
    ("shift", "taken_back"), [(-SECOND, D + 2 * HOUR), (0, D), (SECOND, D + 2 * HOUR)]
)
def test_a_cancel_that_names_an_instant_means_what_stands_there(
    shift: int, taken_back: int
) -> None:
    """One second beside it nothing stands: then it means the latest before it was said."""
    derived = walked(
        admitted(ADMITTED),
        discharged(D),
        marked("returned", D + HOUR),
        discharged(D + 2 * HOUR),
        marked("cancel-discharge", D + DAY, cancels_at=D + shift),
    )
    found = [taken.at for stay in derived.stays for taken in stay.taken_back]
    assert found == [taken_back]
    assert (ends(derived)[-1] is None) is (taken_back != D)


@pytest.mark.parametrize(("said_at", "orphan"), [(D - SECOND, True), (D, False)])
def test_a_cancel_that_names_nothing_and_finds_nothing_is_an_orphan(
    said_at: int, orphan: bool
) -> None:
    """It waits for its target as long as it takes (ruling 6)."""
    cancel = marked("cancel-discharge", said_at, cancels_at=D - 5 * DAY)
    assert bool(walked(admitted(ADMITTED), discharged(D), cancel).orphans) is orphan


@pytest.mark.parametrize("said_at", [D - DAY, D, D + DAY])
def test_a_cancel_that_names_its_instant_counts_whenever_it_was_said(said_at: int) -> None:
    """A clock that runs behind does not bring a cancelled discharge back."""
    cancel = marked("cancel-discharge", said_at, cancels_at=D)
    assert ends(walked(admitted(ADMITTED), discharged(D), cancel)) == [None]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_the_order_of_arrival_decides_nothing(order: Sequence[int]) -> None:
    """Cancel before discharge, second discharge before first: what was said is what counts."""
    story = [
        admitted(ADMITTED),
        discharged(D),
        marked("cancel-discharge", D + HOUR),
        discharged(D + 2 * HOUR),
    ]
    (stay,) = walked(*(story[place] for place in order)).stays
    assert stay.ended_at == D + 2 * HOUR
    assert [taken.at for taken in stay.taken_back] == [D]


def test_two_discharges_without_a_cancel_between_are_one() -> None:
    """A feed that says it again with another time corrects itself (ruling 14)."""
    (stay,) = walked(
        admitted(ADMITTED), discharged(D), discharged(D + HOUR, recorded=D + 2 * HOUR)
    ).stays
    assert stay.ended_at == D + HOUR
    assert stay.taken_back == []
    assert stay.discharge is not None
    assert stay.discharge.anchor.event == f"A03 V1 {D}"


def test_a_return_between_two_discharges_makes_them_two() -> None:
    """Back from leave after a discharge: the patient is here again (ruling 14)."""
    derived = walked(
        admitted(ADMITTED), discharged(D), marked("returned", D + HOUR), discharged(D + DAY)
    )
    assert ends(derived) == [D, D + DAY]
    assert derived.stays[1].returned_from
    assert derived.stays[1].admitted_at == D + HOUR


def test_a_leave_ends_with_the_return() -> None:
    """On leave the patient is still admitted."""
    left = walked(admitted(ADMITTED), marked("left", D))
    back = walked(admitted(ADMITTED), marked("left", D), marked("returned", D + DAY))
    assert [stay.on_leave for stay in left.stays] == [True]
    assert [stay.on_leave for stay in back.stays] == [False]
    assert ends(back) == [None]


def test_a_leave_after_the_discharge_is_none() -> None:
    """Who has gone home cannot go on leave."""
    (stay,) = walked(admitted(ADMITTED), discharged(D), marked("left", D + HOUR)).stays
    assert not stay.on_leave


def test_a_return_before_any_admission_starts_nothing() -> None:
    """There is no stay to come back to."""
    assert walked(marked("returned", D)).stays == []


@pytest.mark.parametrize(
    ("again_at", "stays"), [(D - SECOND, 1), (D, 1), (D + SECOND, 2), (D + 20 * DAY, 2)]
)
def test_a_number_used_again_after_its_discharge_is_a_new_stay(again_at: int, stays: int) -> None:
    """Ruling 35; until the discharge it is the same admission told again."""
    derived = walked(admitted(ADMITTED), discharged(D), admitted(again_at))
    assert len(derived.stays) == stays
    assert ends(derived)[-1] == (None if stays == 2 else D)


def test_a_mention_of_the_admission_after_the_discharge_starts_nothing() -> None:
    """A late A08 repeats when the patient came; that is no new stay."""
    mention = stamp(D + HOUR, "A08")
    late = told(mention, Admitted("GEN", "V1", ADMITTED, mention, opened=False))
    assert len(walked(admitted(ADMITTED), discharged(D), late).stays) == 1


def test_an_update_opens_a_stay_of_which_no_admission_came() -> None:
    """Feeds start in the middle of stays."""
    mention = stamp(D, "A08")
    (stay,) = walked(told(mention, Admitted("GEN", "V1", D, mention, opened=False))).stays
    assert stay.admitted_at == D
    assert not stay.opened
    assert stay.admit is None


def test_an_implied_instant_yields_to_one_that_was_stated() -> None:
    """Whatever is recorded later: nobody said that the patient came with the update."""
    implied, said = stamp(D, "A02", recorded=D + DAY), stamp(ADMITTED, "A01")
    (stay,) = walked(
        told(implied, Admitted("GEN", "V1", D, implied, False, (IMPLIED,))),
        told(said, Admitted("GEN", "V1", ADMITTED, said)),
    ).stays
    assert stay.admitted_at == ADMITTED
    assert stay.flags == ()


def test_a_cancelled_admission_takes_the_stay_back() -> None:
    """Also when the cancel is heard first."""
    for story in permutations([admitted(ADMITTED), marked("cancel-admit", ADMITTED + HOUR)]):
        (stay,) = walked(*story).stays
        assert stay.cancelled is not None


def test_an_admission_after_a_cancelled_one_is_a_new_stay() -> None:
    """Entered for the wrong bed, cancelled, entered again."""
    derived = walked(
        admitted(ADMITTED),
        marked("cancel-admit", ADMITTED + HOUR),
        admitted(ADMITTED + 2 * HOUR),
    )
    assert [stay.cancelled is None for stay in derived.stays] == [False, True]


def test_a_cancel_of_an_admission_can_name_it() -> None:
    """Of two admissions under one number the named one goes, although it is not the latest."""
    derived = walked(
        admitted(ADMITTED),
        discharged(D),
        admitted(D + DAY),
        marked("cancel-admit", D + 2 * DAY, cancels_at=ADMITTED),
    )
    assert [stay.cancelled is None for stay in derived.stays] == [False, True]


@pytest.mark.parametrize(("said_at", "standing"), [(D - SECOND, [D]), (D, []), (D + DAY, [])])
@pytest.mark.parametrize("names", [True, False])
def test_a_cancel_of_an_admission_takes_the_discharge_before_it_too(
    said_at: int, standing: list[int], names: bool
) -> None:
    """Named or not; a discharge said after the cancel is one of an admission nobody reported."""
    cancel = marked("cancel-admit", said_at, cancels_at=ADMITTED if names else None)
    derived = walked(admitted(ADMITTED), discharged(D), cancel)
    assert [stay.ended_at for stay in derived.stays if stay.cancelled is None] == standing


@pytest.mark.parametrize("named", [D, D + HOUR])
def test_a_discharge_said_twice_is_taken_back_by_either_of_its_instants(named: int) -> None:
    """Both statements are one happening, as no cancel lies between them (ruling 14)."""
    derived = walked(
        admitted(ADMITTED),
        discharged(D),
        discharged(D + HOUR),
        marked("cancel-discharge", D + DAY, cancels_at=named),
    )
    assert ends(derived) == [None]


def test_a_cancel_between_two_discharges_makes_them_two_also_when_named() -> None:
    """The first is taken back, by its name or by its place; the second stands."""
    for cancels_at in (D, None):
        derived = walked(
            admitted(ADMITTED),
            discharged(D),
            marked("cancel-discharge", D + HOUR, cancels_at=cancels_at),
            marked("cancel-discharge", D + 3 * DAY, cancels_at=D),
            discharged(D + DAY),
        )
        assert ends(derived) == [D + DAY]


def test_a_cancel_of_an_admission_leaves_discharges_of_the_past_alone() -> None:
    """It means the latest admission."""
    derived = walked(
        admitted(ADMITTED), discharged(D), admitted(D + DAY), marked("cancel-admit", D + 2 * DAY)
    )
    assert [stay.cancelled is None for stay in derived.stays] == [True, False]
    assert ends(derived) == [D, None]


def test_of_two_discharges_a_cancel_takes_back_the_one_it_names() -> None:
    """The first was wrong, the second stands."""
    derived = walked(
        admitted(ADMITTED),
        discharged(D),
        marked("returned", D + HOUR),
        discharged(D + DAY),
        marked("cancel-discharge", D + 2 * DAY, cancels_at=D),
    )
    assert ends(derived)[-1] == D + DAY
    assert [taken.at for stay in derived.stays for taken in stay.taken_back] == [D]


def test_a_second_cancel_takes_back_nothing_more() -> None:
    """The sender repeats itself under another id."""
    derived = walked(
        admitted(ADMITTED),
        discharged(D),
        marked("cancel-discharge", D + HOUR),
        marked("cancel-discharge", D + 2 * HOUR),
    )
    assert ends(derived) == [None]
    assert len(derived.stays[0].taken_back) == 1
    assert derived.orphans == []


@pytest.mark.parametrize(
    ("recorded", "taken_back"), [(D - HOUR - SECOND, True), (D - HOUR, True), (D - HOUR + 1, False)]
)
def test_a_discharge_entered_beforehand_stands_when_it_was_entered(
    recorded: int, taken_back: bool
) -> None:
    """The nurse enters 14:00 at noon and takes it back at one: the cancel finds it."""
    derived = walked(
        admitted(ADMITTED),
        discharged(D, recorded=recorded),
        marked("cancel-discharge", D - HOUR),
    )
    assert ends(derived) == ([None] if taken_back else [D])


@pytest.mark.parametrize(
    ("cancelled_at", "taken_back"), [(D - 12 * HOUR - 1, False), (D - 12 * HOUR, True)]
)
def test_a_discharge_of_a_date_alone_stands_from_the_start_of_its_day(
    cancelled_at: int, taken_back: bool
) -> None:
    """Precision day: a cancel at any time of that day means it."""
    derived = walked(
        admitted(ADMITTED),
        discharged(D, flags=("DAY",)),
        marked("cancel-discharge", cancelled_at),
    )
    assert ends(derived) == ([None] if taken_back else [D])


def test_a_cancel_of_what_was_only_pending_is_no_orphan() -> None:
    """A25 takes back an expected discharge, which had started nothing."""
    derived = walked(admitted(ADMITTED), marked("pending", D), marked("cancel-discharge", D + HOUR))
    assert derived.orphans == []
    assert ends(derived) == [None]


def test_a_cancel_of_a_plan_takes_the_plan_back() -> None:
    """A38 after A05: nobody is expected any more, and nothing is an orphan."""
    derived = walked(marked("planned", D), marked("cancel-admit", D + HOUR))
    (stay,) = derived.stays
    assert stay.planned
    assert stay.cancelled is not None
    assert derived.orphans == []


@pytest.mark.parametrize("what", ["cancel-admit", "cancel-discharge"])
def test_a_cancel_of_nothing_is_an_orphan(what: str) -> None:
    """It waits for its target; who reads the report learns that it waits."""
    derived = walked(marked(what, D))
    assert [one.event for one in derived.orphans] == [f"{what} V1 {D}"]
    assert derived.stays == []


def test_a_cancel_of_an_admission_that_only_a_discharge_tells_of_is_an_orphan() -> None:
    """No admission was ever reported, so none can be taken back."""
    derived = walked(discharged(D), marked("cancel-admit", D + HOUR))
    assert len(derived.orphans) == 1
    assert ends(derived) == [D]
