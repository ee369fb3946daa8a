"""Cells are joins: the same facts give the same cell in any order, however often they came."""

from collections.abc import Callable, Sequence
from itertools import permutations
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.cells import (
    MOST_PARKED,
    MOST_WISHES,
    AppointmentCell,
    Cell,
    FacilityCell,
    PersonCell,
    VisitCell,
    WorkCell,
    matching_instant,
)
from orchestrator.core.facts import (
    Admitted,
    AppointmentSaid,
    DischargeSaid,
    FacilityHeard,
    Fact,
    FieldUnmapped,
    Mended,
    Parked,
    PersonSaid,
    Stamp,
    VisitMark,
    VisitSaid,
    parked_name,
)
from orchestrator.core.instants import HOUR
from orchestrator.core.registers import MATERIAL, NOTHING
from orchestrator.core.stored import load_cell
from tests.core.builders import ANSWERS, D, command, stamp

HOURS = st.integers(0, 4).map(lambda n: D + n * HOUR)
FLAGS = st.sampled_from([(), ("DAY",), ("TIME_AMBIGUOUS",)])


@st.composite
def stamps(draw: st.DrawFn, number: int) -> Stamp:
    """Of event *number*, which has one content whatever is drawn for its receipt."""
    time, recorded = draw(HOURS), draw(HOURS)
    return stamp(
        time,
        f"E{number}",
        recorded=recorded,
        receipt=max(time, recorded) + draw(st.integers(0, 3)) * HOUR,
        source=draw(st.sampled_from(["adt", "hie"])),
        sequence=draw(st.sampled_from([-1, 1])),
    )


@st.composite
def visit_fact(draw: st.DrawFn, number: int) -> Fact:
    made = draw(stamps(number))
    kind = draw(st.sampled_from(["said", "admitted", "discharge", "mark"]))
    if kind == "said":
        fields = draw(
            st.dictionaries(
                st.sampled_from(["class", "pcp", "admit_type"]),
                st.sampled_from(["INPATIENT", "EMERGENCY"]),
            )
        )
        return VisitSaid("GEN", "V1", fields, made, draw(st.none() | HOURS))
    if kind == "admitted":
        return Admitted("GEN", "V1", draw(HOURS), made, draw(st.booleans()), draw(FLAGS))
    if kind == "discharge":
        fields = draw(st.sampled_from([{}, {"disposition": "01"}, {"disposition": None}]))
        at = draw(st.none() | HOURS)
        return DischargeSaid("GEN", "V1", at, made, draw(st.booleans()), fields, draw(FLAGS))
    what: Any = draw(st.sampled_from(["left", "returned", "planned", "cancel-discharge"]))
    return VisitMark("GEN", "V1", what, made.time, made, draw(st.none() | HOURS))


@st.composite
def appointment_fact(draw: st.DrawFn, number: int) -> Fact:
    fields = draw(st.dictionaries(st.sampled_from(["starts_at", "provider"]), HOURS))
    status = draw(st.sampled_from(["booked", "no_show", "fulfilled"]))
    return AppointmentSaid("A1", status, fields, draw(stamps(number)))


@st.composite
def person_fact(draw: st.DrawFn, number: int) -> Fact:
    made = draw(stamps(number))
    if draw(st.booleans()):
        # Two records of one name, or the same one refused twice, may carry one event id.
        event = draw(st.sampled_from(["E1", "E2", "malformed at 18:00"]))
        reason = draw(st.sampled_from(["malformed", "bad-time"]))
        return Parked(reason, Stamp(made.receipt, -1, "", event, made.receipt, made.receipt))
    wishes = st.sampled_from(["accept", "decline-calls", "decline-all", None])
    fields = draw(st.fixed_dictionaries({}, optional={"outreach": wishes, "died_at": HOURS}))
    return PersonSaid(fields, made)


@st.composite
def facility_fact(draw: st.DrawFn, number: int) -> Fact:
    del number
    if draw(st.booleans()):
        return FacilityHeard("GEN", draw(HOURS))
    return FieldUnmapped("GEN", draw(st.sampled_from(["class", "disposition"])), draw(HOURS))


Make = Callable[[], Any]
KINDS: list[tuple[str, Make, Callable[[int], st.SearchStrategy[Fact]]]] = [
    ("visit", lambda: VisitCell("GEN", "V1"), visit_fact),
    ("appointment", lambda: AppointmentCell("A1"), appointment_fact),
    ("person", PersonCell, person_fact),
    ("facility", lambda: FacilityCell("GEN"), facility_fact),
]


@st.composite
def told(draw: st.DrawFn) -> tuple[str, Make, list[Fact]]:
    """A kind of cell and facts for it, each of another event."""
    kind, make, fact = draw(st.sampled_from(KINDS))
    return kind, make, [draw(fact(number)) for number in range(draw(st.integers(1, 7)))]


def filled(make: Make, facts: Sequence[Fact]) -> Any:
    cell = make()
    for fact in facts:
        cell.join(fact)
    return cell


def known(cell: Any) -> Any:
    """All of a cell but since when each value is known, which depends on who was heard first."""
    plain = orjson.loads(orjson.dumps(cell.dump(), option=orjson.OPT_SORT_KEYS))
    for part in plain:
        if isinstance(part, dict):
            for held in part.values():
                if isinstance(held, list) and len(held) == 3 and isinstance(held[1], list):
                    del held[2]
    return [
        sorted(map(repr, part)) if isinstance(part, list) else part
        for part in plain
    ]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(told(), st.randoms(use_true_random=False))
def test_order_and_repetition_of_facts_give_the_same_cell(
    given_facts: tuple[str, Make, list[Fact]], random: Random
) -> None:
    """Late, early, twice: what is known of a thing depends on what was said alone."""
    _, make, facts = given_facts
    again = [*facts, *random.choices(facts, k=len(facts))]
    random.shuffle(again)
    assert known(filled(make, again)) == known(filled(make, facts))


@settings(max_examples=200, deadline=None)
@given(told())
def test_a_fact_that_changed_the_cell_is_reported(
    given_facts: tuple[str, Make, list[Fact]],
) -> None:
    """What is not reported is not written to disk, and would be lost with the process."""
    _, make, facts = given_facts
    cell = make()
    for fact in facts:
        before = orjson.dumps(cell.dump())
        changed = cell.join(fact)
        assert changed != NOTHING or orjson.dumps(cell.dump()) == before


@settings(max_examples=200, deadline=None)
@given(told())
def test_storing_and_loading_a_cell_changes_nothing(
    given_facts: tuple[str, Make, list[Fact]],
) -> None:
    """Through real bytes, and what is loaded goes on joining as the original would."""
    kind, make, facts = given_facts
    first, rest = facts[: len(facts) // 2], facts[len(facts) // 2 :]
    loaded: Any = through_bytes(kind, filled(make, first))
    assert loaded == filled(make, first)
    for fact in rest:
        loaded.join(fact)
    assert loaded == filled(make, facts)


def through_bytes(kind: str, cell: Cell) -> Cell:
    return load_cell(kind, orjson.loads(orjson.dumps(cell.dump())))


def test_the_accepted_commands_come_back_in_their_order() -> None:
    """A completion after a release is not one before it."""
    cell = WorkCell("T1")
    cell.done = [
        command("accepted", D, task_id="T1"),
        command("released", D + 1, task_id="T1"),
        command("completed", D + 2, task_id="T1", outcome="ok", answers=ANSWERS),
    ]
    assert through_bytes("work", cell) == cell


def test_acknowledgements_are_stored() -> None:
    """A gap that somebody has seen stays closed after a restart."""
    person, facility = PersonCell(), FacilityCell("GEN")
    person.acknowledged["G1"] = facility.acknowledged["G2"] = D
    assert through_bytes("person", person) == person
    assert through_bytes("facility", facility) == facility


def test_thirty_updates_cost_a_handful_of_registers() -> None:
    """A chatty feed does not make a visit grow: only the stamps of the newest are kept."""
    cell = VisitCell("GEN", "V1")
    sizes = []
    for number in range(30):
        made = stamp(D + number, f"E{number:02}")
        cell.join(VisitSaid("GEN", "V1", {"class": "INPATIENT", "pcp": {"npi": "1"}}, made))
        cell.join(Admitted("GEN", "V1", D, made))
        cell.join(DischargeSaid("GEN", "V1", D, made, True, {"disposition": "01"}))
        sizes.append(len(orjson.dumps(cell.dump())))
    assert sizes[-1] == sizes[2]


def test_of_equal_statements_the_first_received_the_first_recorded_and_the_newest_are_kept() -> (
    None
):
    """They answer the three questions: whose id, which order, which holds."""
    cell = VisitCell("GEN", "V1")
    given_stamps = [
        stamp(D, "mid", recorded=D + 5, receipt=D + 50),
        stamp(D, "heard first", recorded=D + 6, receipt=D + 10),
        stamp(D, "recorded first", recorded=D + 1, receipt=D + 40),
        stamp(D, "newest", recorded=D + 9, receipt=D + 30),
    ]
    for made in given_stamps:
        cell.join(DischargeSaid("GEN", "V1", D, made, True, {}))
    ((_, kept),) = cell.discharges.items()
    assert {one.event for one in kept} == {"heard first", "recorded first", "newest"}


def test_a_class_said_again_keeps_its_first_instant() -> None:
    """Inpatient since Monday stays so, however often it is said."""
    cell = VisitCell("GEN", "V1")
    cell.join(VisitSaid("GEN", "V1", {"class": "INPATIENT"}, stamp(D, "E1")))
    cell.join(VisitSaid("GEN", "V1", {"class": "INPATIENT"}, stamp(D + HOUR, "E2")))
    assert cell.classes["INPATIENT"][:2] == (D, stamp(D + HOUR, "E2"))


@pytest.mark.parametrize(
    ("whole_day", "recorded", "expected"),
    [
        (False, D, D),
        (False, D + HOUR, D),
        (False, D - HOUR, D - HOUR),  # entered before it happened: as a plan that came true
        (True, D + HOUR, D - 12 * HOUR),  # a date alone stands at local noon; its day began then
        (True, D - 24 * HOUR, D - 24 * HOUR),
    ],
)
def test_a_happening_stands_at_the_earlier_of_its_instant_and_its_record(
    whole_day: bool, recorded: int, expected: int
) -> None:
    """So that a cancel recorded after it finds it (contract, section 2)."""
    assert matching_instant(D, stamp(D, recorded=recorded), whole_day=whole_day) == expected


def test_an_older_wish_that_arrives_later_is_not_lost() -> None:
    """A wish said for another time may be the one that holds for this discharge."""
    cell = PersonCell()
    newer = stamp(D - HOUR, "E2", recorded=D + 2 * HOUR, receipt=D + 2 * HOUR)
    older = stamp(D + HOUR, "E1", recorded=D + HOUR, receipt=D + 3 * HOUR)
    cell.join(PersonSaid({"outreach": "accept"}, newer))
    assert cell.join(PersonSaid({"outreach": "decline-calls"}, older)) == MATERIAL
    assert len(cell.wishes) == 2


def test_two_sources_may_use_one_event_id() -> None:
    """An event is (source, id): one hospital's wish does not replace the practice's."""
    cell = PersonCell()
    for source, wish in (("adt", "accept"), ("practice", "decline-all")):
        cell.join(PersonSaid({"outreach": wish}, stamp(D, "E1", source=source)))
    assert {wish for wish, _ in cell.wishes.values()} == {"accept", "decline-all"}


def test_of_many_parked_events_the_newest_are_kept_in_any_order() -> None:
    """A sender's fault parks thousands; the gap needs few, and always the same."""
    facts = [
        Parked("malformed", Stamp(D, -1, "", f"E{n:03}", D + n // 7, D + n // 7))
        for n in range(MOST_PARKED + 15)
    ]
    first, second = PersonCell(), PersonCell()
    for fact in facts:
        first.join(fact)
    for fact in reversed(facts):
        second.join(fact)
    assert first.parked == second.parked
    assert len(first.parked) == MOST_PARKED
    assert max(first.parked) == facts[-1].stamp.event


def test_of_many_wishes_the_newest_are_kept() -> None:
    """Someone who changes their mind daily does not make the record grow."""
    cell = PersonCell()
    for n in range(MOST_WISHES + 10):
        cell.join(PersonSaid({"outreach": "accept"}, stamp(D + n, f"E{n:03}")))
    assert len(cell.wishes) == MOST_WISHES
    assert min(made.time for _, made in cell.wishes.values()) == D + 10


def test_one_event_refused_twice_at_one_instant_has_one_reason() -> None:
    """Which file was read first decides nothing."""
    facts = [Parked(why, Stamp(D, -1, "", "E1", D, D)) for why in ("bad-time", "malformed")]
    assert filled(PersonCell, facts) == filled(PersonCell, facts[::-1])


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_what_was_sent_again_is_settled_in_whatever_order(order: tuple[int, ...]) -> None:
    """Word of the refusal may come after what was sent for it; a later refusal opens it anew."""
    facts: list[Parked | Mended] = [
        Parked("bad-time", Stamp(D, -1, "ADT", "E1", D, D)),
        Mended((parked_name("ADT", "E1"),), D + 5),
        Mended((parked_name("ADT", "E2"),), D + 6),
    ]
    cell = PersonCell()
    for number in order:
        cell.join(facts[number])
    again = through_bytes("person", cell)

    assert cell.parked == {}
    assert again == cell
    assert cell.join(Parked("bad-time", Stamp(D, -1, "ADT", "E1", D, D + 7))) != NOTHING
