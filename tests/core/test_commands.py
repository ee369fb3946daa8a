"""Which commands are refused, with which of several reasons, and which wait.

Contract, section 3; rulings 19, 20, 27 and 32.  What is no longer possible is told before what
one may not do, and that before what is stale.
"""

from typing import Any

import pytest

from orchestrator.core.commands import WAITS, find, judge
from orchestrator.core.facts import Command
from orchestrator.core.instants import HOUR
from orchestrator.core.reconcile import Ledger
from tests.core.builders import (
    RULES,
    Chart,
    D,
    chart,
    command,
    discharged,
    marked,
    names,
    parked,
    reached,
)


def on(kind: str, what: str, at: int = D + 2 * HOUR, **said: Any) -> Command:
    return command(what, at, visit="V1", kind=kind, **said)


def verdict(found: Chart, given: Command) -> str | None:
    _, refusal = judge(given, found.patient.ledger, RULES)
    return refusal


@pytest.fixture
def home() -> Chart:
    """Discharged home; `nurse1` has accepted the call."""
    return chart(discharged(D), on("CALL_48H", "accepted", D + HOUR))


@pytest.fixture
def ended() -> Chart:
    """The call is done."""
    return chart(discharged(D), reached(D + HOUR, visit="V1", kind="CALL_48H"))


@pytest.mark.parametrize(
    ("kind", "what", "said", "expected"),
    [
        ("CALL_48H", "completed", {}, None),
        ("CALL_48H", "accepted", {}, None),  # once more by the owner
        ("CALL_48H", "accepted", {"actor": "nurse2"}, "owner"),
        ("CALL_48H", "released", {"actor": "nurse2"}, None),
        ("CALL_48H", "reassigned", {"actor": "nurse2", "to": "nurse2"}, None),
        ("CALL_48H", "released", {"actor": "boss", "role": "supervisor"}, None),
        ("CALL_48H", "reassigned", {"actor": "boss", "role": "supervisor", "to": "x"}, None),
        ("CALL_48H", "accepted", {"actor": "boss", "role": "supervisor"}, "owner"),
        ("CALL_48H", "attempted", {"actor": "nurse2"}, None),  # whoever rings, rings
        ("CALL_48H", "completed", {"actor": "nurse2"}, None),
        ("CALL_48H", "noted", {"actor": "nurse2"}, None),
        ("CALL_48H", "rejected", {"actor": "nurse2"}, None),
        ("CALL_48H", "noted", {"if_version": 2}, None),
        ("CALL_48H", "noted", {"if_version": 1}, "version"),
        ("CALL_48H", "noted", {"if_version": 3}, "version"),
        ("PCP_VISIT_7D", "accepted", {"actor": "nurse2"}, None),
        ("MED_REC", "completed", {"role": "rn"}, None),
        ("MED_REC", "completed", {"role": "pharmacist"}, None),
        ("MED_REC", "completed", {"role": "prescriber"}, None),
        ("MED_REC", "completed", {"role": "scheduler"}, "role"),
        ("MED_REC", "completed", {"role": None}, "role"),
        ("MED_REC", "accepted", {"role": "scheduler"}, None),  # only the completion asks for one
        ("CALL_48H", "completed", {"role": "scheduler"}, None),
        ("RESCHEDULE", "completed", {}, WAITS),
    ],
)
def test_each_refusal(
    home: Chart, kind: str, what: str, said: dict[str, Any], expected: str | None
) -> None:
    """Who may do what to which task."""
    assert verdict(home, on(kind, what, **said)) == expected


def test_the_owner_is_told_before_the_version(home: Chart) -> None:
    """Reading again would not help."""
    given = on("CALL_48H", "accepted", actor="nurse2", if_version=1)
    assert verdict(home, given) == "owner"


def test_the_role_is_told_before_owner_and_version() -> None:
    """Neither waiting for the owner nor reading again would help."""
    found = chart(discharged(D), on("MED_REC", "accepted", D + HOUR))
    given = on("MED_REC", "completed", role="scheduler", actor="s1", if_version=1)
    assert verdict(found, given) == "role"


def test_that_it_is_over_is_told_before_everything(ended: Chart) -> None:
    """Nothing else matters any more."""
    for what in ("accepted", "released", "attempted", "completed", "reassigned", "noted"):
        given = on("CALL_48H", what, actor="nurse2", role="scheduler", if_version=1, to="x")
        assert verdict(ended, given) == "terminal"


def test_an_id_that_was_never_published_is_refused_at_once(home: Chart) -> None:
    """Ids are only known from what was published (ruling 20)."""
    assert verdict(home, command("accepted", D + HOUR, task_id="no such")) == "unknown-task"


def test_a_task_is_meant_by_its_id(home: Chart) -> None:
    """Whatever else the command says."""
    given = command("noted", D, task_id=home.tasks["MED_REC"]["task_id"], visit="V9", kind="X")
    assert find(given, home.patient.ledger) == home.tasks["MED_REC"]


def test_by_visit_and_kind_the_newest_published_is_meant() -> None:
    """Of two discharges of one visit number, the later one's task."""
    rows = [
        {"task_id": f"T{n}", "kind": "CALL_48H", "visit_number": visit, "facility": facility}
        for n, (visit, facility) in enumerate(
            [("V1", "GEN"), ("V1", "GEN"), ("V2", "GEN"), ("V1", "MID")]
        )
    ]
    ledger = Ledger(tasks={str(row["task_id"]): row for row in rows})
    gen = find(on("CALL_48H", "noted", facility="GEN"), ledger)
    anywhere = find(on("CALL_48H", "noted"), ledger)
    assert gen is not None
    assert anywhere is not None
    assert (gen["task_id"], anywhere["task_id"]) == ("T1", "T3")


def test_a_gap_that_may_be_acknowledged_closes_so() -> None:
    """Somebody has looked at the parked event."""
    found = chart(parked(D))
    gap = found.gaps["EVENT_PARKED"]["gap_id"]
    found.tell(command("noted", D + HOUR, gap_id=gap))
    closed = found.gaps["EVENT_PARKED"]
    assert (closed["status"], closed["close_reason"]) == ("closed", "ACKNOWLEDGED")


def test_what_is_parked_after_the_acknowledgement_opens_the_gap_again() -> None:
    """The acknowledgement covers what it came after; the id stays, the occurrence grows."""
    found = chart(parked(D))
    gap = found.gaps["EVENT_PARKED"]["gap_id"]
    found.tell(command("noted", D + HOUR, gap_id=gap))
    found.tell(parked(D + 2 * HOUR, event="E10"))
    again = found.gaps["EVENT_PARKED"]
    assert (again["gap_id"], again["status"], again["occurrence"]) == (gap, "open", 2)
    assert again["close_reason"] is None


@pytest.mark.parametrize(
    ("code", "expected"),
    [("NO_PCP_ON_FILE", "role"), ("no such gap", "unknown-task")],
)
def test_a_gap_that_may_not_be_acknowledged_is_refused(code: str, expected: str) -> None:
    """It closes when what is missing is there: nobody's role may close it by hand."""
    found = chart(discharged(D))
    gap = found.gaps[code]["gap_id"] if code in found.gaps else code
    assert verdict(found, command("noted", D + HOUR, gap_id=gap)) == expected


def test_a_closed_gap_cannot_be_acknowledged_again() -> None:
    """The second one learns that it is over."""
    found = chart(parked(D))
    gap = found.gaps["EVENT_PARKED"]["gap_id"]
    found.tell(command("noted", D + HOUR, gap_id=gap))
    assert verdict(found, command("noted", D + 2 * HOUR, gap_id=gap)) == "terminal"


def test_a_refusal_names_the_command_and_changes_nothing(home: Chart) -> None:
    """Whoever waits for the answer finds it by the event's id."""
    before = dict(home.tasks["CALL_48H"])
    made = home.tell(on("CALL_48H", "accepted", actor="nurse2", event="CMD-7"))
    refused = made[-1]
    assert names(made) == ["command.refused"]
    assert refused["command"]["event"] == "CMD-7"
    assert refused["command"]["reason"] == "owner"
    assert refused["caused_by"] == ["CMD-7"]
    assert home.tasks["CALL_48H"] == before


def test_a_command_that_changes_nothing_is_answered_too(home: Chart) -> None:
    """A note leaves the task as it is; the actor still hears that it was taken."""
    assert names(home.tell(on("CALL_48H", "noted"))) == ["command.accepted"]


def test_what_a_team_gives_back_is_told_to_its_supervisor(home: Chart) -> None:
    """Contract, section 3: rejected."""
    made = home.tell(on("CALL_48H", "rejected"))
    (notice,) = [one["notice"] for one in made if one["change"] == "notice"]
    assert notice["to"] == "supervisor:nurse-outreach"
    assert home.tasks["CALL_48H"]["status"] == "requested"


def test_what_a_team_gives_back_untaken_is_answered_too() -> None:
    """Nothing changes in the task: whoever waits for the verdict still gets one."""
    found = chart(discharged(D))
    made = found.tell(command("rejected", D + HOUR, task_id=found.tasks["CALL_48H"]["task_id"]))
    assert {one["change"] for one in made} == {"event.recorded", "command.accepted", "notice"}


def test_who_had_accepted_what_is_withdrawn_is_told(home: Chart) -> None:
    """A withdrawn task must not be worked on."""
    made = home.tell(marked("cancel-discharge", D + 3 * HOUR))
    (notice,) = [one["notice"] for one in made if one["change"] == "notice"]
    assert (notice["to"], notice["task_id"]) == ("nurse1", home.tasks["CALL_48H"]["task_id"])
