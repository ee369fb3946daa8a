"""What people's commands add up to: contact, attempts, red flags (rulings 21 to 23)."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.core.facts import Command
from orchestrator.core.instants import DAY, HOUR, SECOND, read, written
from orchestrator.core.work import Work, attempts_met, counted, done, has_red_flag, is_contact
from tests.core.builders import ANSWERS, P0, Chart, D, chart, command, discharged, reached

NEW_YORK = "America/New_York"
CONTACT_BY = read("2026-10-09T00:00:00-04:00")


def tried(at: int, reached_whom: str = "no-answer") -> Command:
    return command("attempted", at, reached=reached_whom)


def call(*commands: Command, joined: bool = False) -> Work:
    return done(commands, call=True, since=D, policy=P0, joined=joined)


def called(*commands: Command, until: int | None = None) -> Chart:
    """A discharge, then these commands for its call."""
    named = [replace(one, visit="V1", kind="CALL_48H") for one in commands]
    return chart(discharged(D), *named, until=until)


@pytest.mark.parametrize(
    ("whom", "outcome", "answers", "contact"),
    [
        ("patient", "ok", ANSWERS, True),
        ("caregiver", "ok", ANSWERS, True),
        ("voicemail", "ok", ANSWERS, False),
        ("no-answer", "ok", ANSWERS, False),
        ("wrong-number", "ok", ANSWERS, False),
        ("bot", "ok", ANSWERS, False),
        (None, "ok", ANSWERS, False),
        ("patient", "scheduling-only", ANSWERS, False),
        ("patient", "declined_followup", {}, True),
        ("patient", "needs_escalation", {}, True),
        ("patient", "ok", {}, False),
        ("patient", "banana", {}, False),
        ("patient", "ok", dict.fromkeys(ANSWERS, " "), False),
        *[("patient", "ok", {**ANSWERS, name: ""}, False) for name in ANSWERS],
        *[
            ("patient", "ok", {n: a for n, a in ANSWERS.items() if n != name}, False)
            for name in ANSWERS
        ],
    ],
)
def test_the_call_is_settled_by_reaching_somebody_and_the_whole_script(
    whom: str | None, outcome: str, answers: dict[str, str], contact: bool
) -> None:
    """Rulings 21 and 23; whatever is no contact is an attempt."""
    tried_it = command("completed", D + HOUR, reached=whom, outcome=outcome, answers=answers)
    assert is_contact(tried_it, P0) is contact
    work = call(tried_it)
    assert (work.status, len(work.attempts)) == (
        ("completed", 0) if contact else ("in-progress", 1)
    )


@pytest.mark.parametrize(("shift", "settles"), [(-SECOND, False), (0, True), (SECOND, True)])
def test_a_contact_before_the_discharge_settles_nothing(shift: int, settles: bool) -> None:
    """The patient was still in hospital."""
    assert (call(reached(D + shift)).completed is not None) is settles


@pytest.mark.parametrize(("shift", "count"), [(-SECOND, 1), (0, 2), (SECOND, 2)])
def test_attempts_count_an_hour_apart(shift: int, count: int) -> None:
    """Ruling 22: ringing twice in a minute is one attempt."""
    attempts = [tried(D + HOUR), tried(D + 2 * HOUR + shift)]
    assert len(counted(attempts, D, P0)) == count


def test_the_hour_counts_from_the_last_that_counted() -> None:
    """Ringing every forty minutes counts every second time."""
    attempts = [tried(D + HOUR + n * 40 * 60 * SECOND) for n in range(5)]
    found = [one.stamp.time for one in counted(attempts, D, P0)]
    assert found == [D + HOUR, D + HOUR + 80 * 60 * SECOND, D + HOUR + 160 * 60 * SECOND]


@pytest.mark.parametrize(("shift", "count"), [(-SECOND, 0), (0, 0), (SECOND, 1)])
def test_an_attempt_before_the_discharge_does_not_count(shift: int, count: int) -> None:
    """It was about something else."""
    assert len(counted([tried(D + shift)], D, P0)) == count


def test_a_robot_does_not_count() -> None:
    """Ruling 22."""
    assert counted([tried(D + HOUR, "bot")], D, P0) == []


def test_attempts_count_by_when_they_were_made() -> None:
    """Written down in the evening, in any order."""
    attempts = [tried(D + n * HOUR) for n in (5, 1, 3)]
    assert [one.stamp.time for one in counted(attempts, D, P0)] == [D + n * HOUR for n in (1, 3, 5)]


@pytest.mark.parametrize(
    ("second", "met"),
    [
        ("2026-10-06T23:59:59-04:00", False),  # the same local day
        ("2026-10-07T00:00:00-04:00", True),
        ("2026-10-08T23:59:59-04:00", True),
        ("2026-10-09T00:00:00-04:00", False),  # the window is over
    ],
)
def test_two_attempts_on_two_days_inside_the_window_are_documented_diligence(
    second: str, met: bool
) -> None:
    """CMS TCM: two separate attempts in two business days; ruling 22."""
    attempts = counted([tried(D + HOUR), tried(read(second))], D, P0)
    assert attempts_met(attempts, CONTACT_BY, NEW_YORK, P0) is met


@pytest.mark.parametrize(
    ("at", "status", "flags"),
    [
        (CONTACT_BY - SECOND, "MET", []),
        (CONTACT_BY, "MISSED", ["REACHED_LATE"]),
        (CONTACT_BY + SECOND, "MISSED", ["REACHED_LATE"]),
    ],
)
def test_contact_is_met_until_the_end_of_the_second_business_day(
    at: int, status: str, flags: list[str]
) -> None:
    """Reached later: the call is done, the window stays missed."""
    found = called(reached(at), until=CONTACT_BY + HOUR)
    task = found.tasks["CALL_48H"]
    assert (task["tcm_contact_status"], task["flags"]) == (status, flags)
    assert task["tcm_contact_by"] == written(CONTACT_BY)
    assert ("TCM_CONTACT_WINDOW_MISSED" in found.live) is (status == "MISSED")


@pytest.mark.parametrize(
    ("until", "status"),
    [(CONTACT_BY - SECOND, None), (CONTACT_BY, "MISSED"), (CONTACT_BY + SECOND, "MISSED")],
)
def test_the_window_is_missed_from_its_end_on(until: int, status: str | None) -> None:
    """Not before: somebody may still call."""
    assert called(until=until).tasks["CALL_48H"]["tcm_contact_status"] == status


def test_documented_attempts_make_the_overdue_call_less_pressing() -> None:
    """Ruling 22: the gap opens low, and no missed window is recorded."""
    found = called(tried(D + HOUR), tried(D + 20 * HOUR), until=CONTACT_BY + HOUR)
    assert found.tasks["CALL_48H"]["tcm_contact_status"] == "ATTEMPTS_MET"
    assert found.gaps["TASK_OVERDUE"]["severity"] == "low"
    assert "TCM_CONTACT_WINDOW_MISSED" not in found.live


@pytest.mark.parametrize(
    "answers",
    [
        {"symptoms": "chest-pain"},
        {"symptoms": "breathless"},
        {"symptoms": "bleeding"},
        {"symptoms": "confused"},
        {"symptoms": "worse"},
        {"symptoms": "Crushing chest pain, since noon"},
        {"symptoms": "no fever; bleeding"},
        {"medicines": "no"},
    ],
)
@pytest.mark.parametrize("what", ["attempted", "completed"])
def test_a_red_flag_asks_for_a_clinician_within_the_hour(
    what: str, answers: dict[str, str]
) -> None:
    """Ruling 23: at once, whether or not the call was finished."""
    said = command(what, D + HOUR, reached="patient", answers={**ANSWERS, **answers})
    assert has_red_flag(said, P0)
    found = called(said)
    assert found.gaps["CLINICAL_RED_FLAG"]["severity"] == "critical"
    task = found.tasks["CLINICAL_ESCALATION"]
    assert (task["due_at"], task["priority"]) == (written(D + 2 * HOUR), "stat")


@pytest.mark.parametrize("symptoms", ["no", "none", "no chest pain", "denies bleeding", "backpain"])
def test_what_is_denied_or_not_listed_asks_nobody(symptoms: str) -> None:
    """The list's words alone, and not where they are denied."""
    said = command("attempted", D + HOUR, answers={**ANSWERS, "symptoms": symptoms})
    assert not has_red_flag(said, P0)


def test_the_red_flag_closes_when_the_clinician_has_called() -> None:
    """The task beside it settles it."""
    found = called(command("attempted", D + HOUR, answers={"symptoms": "worse"}))
    escalation = found.tasks["CLINICAL_ESCALATION"]["task_id"]
    found.tell(command("completed", D + 90 * 60 * SECOND, task_id=escalation))
    assert "CLINICAL_RED_FLAG" not in found.live
    assert found.tasks["CLINICAL_ESCALATION"]["status"] == "completed"


def test_a_red_flag_that_is_told_after_the_clinician_called_asks_again() -> None:
    """Another hour, another task, the same gap; what is told meanwhile is heard in one call."""
    found = called(command("attempted", D + HOUR, answers={"symptoms": "worse"}))
    first = found.tasks["CLINICAL_ESCALATION"]["task_id"]
    on_call = {"visit": "V1", "kind": "CALL_48H"}
    said = {"symptoms": "confused"}
    found.tell(command("attempted", D + 80 * 60 * SECOND, answers=said, **on_call))
    assert found.tasks["CLINICAL_ESCALATION"]["task_id"] == first
    found.tell(command("completed", D + 90 * 60 * SECOND, task_id=first))
    said = {"symptoms": "bleeding"}
    found.tell(command("attempted", D + 3 * HOUR, answers=said, **on_call))
    again = found.tasks["CLINICAL_ESCALATION"]
    assert (again["task_id"] != first, again["status"]) == (True, "requested")
    assert again["due_at"] == written(D + 4 * HOUR)
    assert "CLINICAL_RED_FLAG" in found.live


def test_an_acknowledged_red_flag_opens_again_at_the_next_one() -> None:
    """Whoever acknowledged it knew of what was said until then."""
    found = called(command("attempted", D + HOUR, answers={"symptoms": "worse"}))
    gap = found.gaps["CLINICAL_RED_FLAG"]["gap_id"]
    found.tell(command("noted", D + 70 * 60 * SECOND, gap_id=gap))
    acknowledged = found.gaps["CLINICAL_RED_FLAG"]["close_reason"]
    said = {"symptoms": "chest-pain"}
    found.tell(command("attempted", D + 2 * HOUR, answers=said, visit="V1", kind="CALL_48H"))
    assert (acknowledged, "CLINICAL_RED_FLAG" in found.live) == ("ACKNOWLEDGED", True)


def test_an_incomplete_script_says_so() -> None:
    """The nurse sees why the call is still open."""
    found = called(reached(D + HOUR, answers={"understanding": "yes"}))
    task = found.tasks["CALL_48H"]
    assert (task["status"], task["status_reason"], task["attempts"]) == (
        "in-progress",
        "incomplete",
        1,
    )


@pytest.mark.parametrize(
    ("tries", "live"),
    [
        ([(1, "no-answer"), (3, "voicemail")], False),
        ([(1, "no-answer"), (3, "voicemail"), (5, "no-answer")], False),  # one day
        ([(1, "no-answer"), (3, "voicemail"), (20, "no-answer")], True),
        ([(1, "wrong-number")], True),
    ],
)
def test_three_attempts_on_two_days_or_a_wrong_number_are_unreachable(
    tries: list[tuple[int, str]], live: bool
) -> None:
    """Then another way must be found."""
    found = called(*[tried(D + hours * HOUR, whom) for hours, whom in tries])
    assert ("UNREACHABLE" in found.live) is live


STEPS: list[tuple[list[tuple[str, dict[str, Any]]], tuple[str | None, str | None, str | None]]] = [
    ([], (None, None, None)),
    ([("accepted", {})], ("accepted", "nurse1", None)),
    ([("accepted", {}), ("released", {})], ("requested", None, None)),
    ([("accepted", {}), ("rejected", {})], ("requested", None, None)),
    ([("reassigned", {"to": "social-work"})], ("requested", None, "social-work")),
    ([("reassigned", {"to": "nurse2"})], ("accepted", "nurse2", None)),
    ([("accepted", {}), ("noted", {})], ("accepted", "nurse1", None)),
    ([("accepted", {}), ("attempted", {})], ("in-progress", "nurse1", None)),
    ([("attempted", {}), ("released", {})], ("requested", None, None)),
    ([("completed", {})], ("completed", None, None)),
]


@pytest.mark.parametrize(("steps", "expected"), STEPS)
def test_each_command_does_to_the_status_what_the_contract_says(
    steps: list[tuple[str, dict[str, Any]]],
    expected: tuple[str | None, str | None, str | None],
) -> None:
    """Contract, section 3: in the order of their acceptance."""
    commands = [command(what, D + HOUR + n, **said) for n, (what, said) in enumerate(steps)]
    work = done(commands, call=False, since=D, policy=P0)
    assert (work.status, work.owner, work.team) == expected


def test_a_release_of_the_visit_returns_to_what_the_slots_give() -> None:
    """Ruling 27 in short: without a slot it is asked for again."""
    found = chart(
        discharged(D),
        command("accepted", D + HOUR, visit="V1", kind="PCP_VISIT_7D"),
        command("released", D + DAY, visit="V1", kind="PCP_VISIT_7D"),
    )
    task = found.tasks["PCP_VISIT_7D"]
    assert (task["status"], task["owner"]) == ("requested", None)


def test_a_call_that_ends_with_the_wish_for_a_clinician_asks_one() -> None:
    """The outcome of that name is done with the call, and not with the patient."""
    work = call(reached(D + HOUR, outcome="needs_escalation"))
    assert work.completed is not None
    assert len(work.red_flags) == 1


@pytest.mark.parametrize(
    ("whom", "settles"), [("voicemail", False), (None, True), ("patient", True)]
)
def test_other_work_is_not_settled_by_reaching_nobody(whom: str | None, settles: bool) -> None:
    """A clinician's voicemail is an attempt, too; a chart is reconciled without anybody."""
    work = done([command("completed", D + HOUR, reached=whom)], call=False, since=D, policy=P0)
    assert (work.completed is not None, len(work.attempts)) == (settles, int(not settles))


def test_commands_count_in_the_order_of_their_receipt() -> None:
    """
    Under two numbers of one patient a release may be judged after the attempt that followed it.
    """
    attempt, release = tried(D + 2 * HOUR), command("released", D + HOUR)
    assert call(attempt, release, joined=True) == call(release, attempt, joined=True)
    assert call(attempt, release, joined=True).status == "in-progress"
    assert call(attempt, release).status == "requested"  # of one number: as they were judged


def test_what_settled_the_task_takes_no_red_flag_back() -> None:
    """
    Judged later though received earlier: what counted until then goes on counting.
    """
    flagged = {**ANSWERS, "symptoms": "chest-pain"}
    alarm = command("attempted", D + 2 * HOUR, reached="voicemail", answers=flagged)
    work = call(alarm, reached(D + HOUR))
    assert (work.status, work.red_flags) == ("completed", [alarm])
