"""The words of the pages that are no lists of tasks: gaps, lag, rules, a patient's story."""

from datetime import date
from typing import Any, get_args

import pytest

from orchestrator.core.instants import DAY, HOUR, MINUTE, SECOND, read, written
from orchestrator.ops.history import MOST, History, Point
from orchestrator.ops.lag import Judge, Reading, Sample
from orchestrator.worklist.pages import (
    dead_letter_parse,
    dead_letter_words,
    gap_words,
    operations_words,
    policy_words,
)
from orchestrator.worklist.pages import patient_story as story
from orchestrator.worklist.pages.search import asked
from schemas.facilities import Facilities
from schemas.gaps import CloseReason, GapCode
from schemas.policy import load_policies

ZONE = "America/New_York"
NOW = read("2026-10-07T18:00:00Z")


def test_every_gap_has_a_name() -> None:
    """No code of the contract reaches a nurse as a code alone."""
    assert set(gap_words.NAMES) == set(get_args(GapCode))
    assert gap_words.name("NO_PCP_APPOINTMENT") == "No PCP visit booked"
    assert gap_words.name("BRAND_NEW") == "Brand new"


def gap(**more: Any) -> dict[str, Any]:
    made = {"code": "NO_PCP_APPOINTMENT", "status": "open", "facility": "GEN", "occurrence": 1}
    return {**made, "close_reason": None, **more}


def test_a_closed_gap_says_why() -> None:
    """By what happened, where that is known; every reason of the contract has words."""
    assert gap_words.closed(gap()) is None
    resolved = gap_words.closed(gap(close_reason="RESOLVED"))
    assert resolved == "closed because a slot was booked"
    for reason in get_args(CloseReason):
        said = gap_words.closed(gap(code="EVENT_PARKED", close_reason=reason))
        assert said is not None
        assert said.startswith("closed because")


def test_a_gap_that_came_back_says_how_often() -> None:
    """Occurrence counts from 1: the first time is not back."""
    said = [gap_words.flapping(gap(occurrence=n)) for n in (1, 2, 4)]

    assert said == [None, "came back once", "came back 3 times"]


def test_only_what_rests_on_silence_is_doubted_while_a_feed_is_silent() -> None:
    """A readmission was heard; a visit that was not booked may have been."""
    assert gap_words.doubtful(gap(), ["GEN"])
    assert not gap_words.doubtful(gap(), ["MID"])
    assert not gap_words.doubtful(gap(), [])
    assert not gap_words.doubtful(gap(status="closed"), ["GEN"])
    assert not gap_words.doubtful(gap(code="RETURN_ED"), ["GEN"])


# Operations


def sample(*readings: Reading, at: int = NOW, deadlines: int | None = 0) -> Sample:
    return Judge(MINUTE, HOUR).judge(readings, at, "test", (), deadlines)


def reading(partition: int = 0, lag: int = 0, age: int = 0, done: int | None = 100) -> Reading:
    end = 100 if done is None else done + lag
    next_at = NOW - age if lag else None
    return Reading("care-decide", "care.journal.v1", partition, 0, end, done, next_at)


def said(of: Sample | None, state: str = "current", silent: Any = (), letters: int = 0) -> str:
    told = {"state": state, "silent_feeds": silent}
    told |= {"behind_s": 24 * 60, "data_until": written(NOW - 24 * MINUTE)}
    return operations_words.sentence(of, told, letters, ZONE)


def test_the_first_line_says_that_all_is_well_and_until_when() -> None:
    """In the words of screens.md."""
    told = said(sample(reading()), silent=["MID"], letters=2)

    assert told == (
        "All data is current to 14:00:00 (0 s). 1 feed is silent: MID. 2 dead letters wait."
    )


def test_the_worst_comes_first() -> None:
    """Who stands, then who lags, then who is not known, then the rest."""
    told = said(sample(reading(0, 50, 2 * HOUR), reading(1), reading(2, done=None)))

    assert told.startswith("care.journal 0 is 2 h behind, and moving. care.journal 2: not known.")
    assert told.endswith("All other data is current to 14:00:00 (0 s).")


def test_who_does_not_move_is_said_to_stand() -> None:
    """Only a second look can tell."""
    judge = Judge(MINUTE, HOUR)
    judge.judge([reading(7, 7372, 10 * MINUTE)], NOW - 2 * HOUR, "test")
    standing = judge.judge([reading(7, 7372, 3 * HOUR)], NOW, "test")

    assert said(standing) == "care.journal 7 does not move; 7,372 records wait."
    (row,) = operations_words.rows(standing, {7: NOW - 6 * MINUTE}, NOW)
    assert (row.state, row.lag, row.behind, row.clock) == ("STALLED", "7,372", "3 h", "6 min")


def test_an_old_clock_is_behind_though_all_is_read() -> None:
    """A worker that naps has little to read and decides nothing: first is said how far behind."""
    intake = Reading("care-intake", "care.medication.v1", 0, 0, 110, 100, NOW - 30 * SECOND)
    seen = sample(reading(0), reading(1), intake)
    clocks = {0: NOW - 24 * MINUTE, 1: NOW - 10 * SECOND}

    def judged(*, stale: bool) -> Sample:
        def is_old(age: int) -> bool:
            return age > MINUTE

        return operations_words.judged(seen, clocks, NOW, is_old, stale=stale)

    slow, stands = judged(stale=False), judged(stale=True)

    assert said(slow, state="behind") == (
        "Behind 24 min: what arrived since 13:36 is not in the lists yet."
        " care.journal 0 is 24 min behind, and its clock moves."
        " All other readers are at most 30 s behind."
    )
    first, *rest = operations_words.rows(slow, clocks, NOW)
    assert (first.state, first.clock, first.behind) == ("LAGGING", "24 min", "24 min")
    assert {row.state for row in rest} == {"OK"}
    advice = operations_words.RUNBOOK[first.advice]
    assert "More workers do not help." in advice
    assert "more workers." in operations_words.RUNBOOK[first._replace(lag="7").advice]
    assert operations_words.rows(stands, clocks, NOW)[0].state == "STALLED"
    assert "current" not in said(stands, state="stale")


def test_nothing_seen_is_never_called_well() -> None:
    """No sample, no reader, a read model that stands: each says so."""
    assert "not known" in said(None)
    assert said(sample(reading(done=None))).startswith("Unknown: no reader ever said")
    assert said(sample(reading()), state="stale").startswith("Nothing has moved for more than")
    assert said(sample(reading()), state="unknown").startswith("No worker has reported yet.")


def test_an_unknown_row_has_dashes_and_no_zeros() -> None:
    """Zero would be a lie."""
    (row,) = operations_words.rows(sample(reading(done=None)), {}, NOW)

    assert (row.done, row.lag, row.behind, row.clock, row.state) == (*"----", "UNKNOWN")


def test_history_is_bounded_and_forgets_no_peak() -> None:
    """A week of looks each ten seconds: a few thousand points, the worst of each stretch kept."""
    history = History()
    begin = NOW - 7 * DAY
    peak = begin + 3 * DAY
    for at in range(begin, NOW, 10 * SECOND):
        behind = 900.0 if at == peak else 1.0
        history.take(
            sample(
                reading(0, 1, int(behind * SECOND))._replace(next_at=at - int(behind * SECOND)),
                at=at,
            )
        )

    points = history.since(begin)
    assert len(points) <= 2 * MOST
    assert max(p.seconds or 0 for p in points) == 900.0
    assert [p.at for p in points] == sorted(p.at for p in points)
    assert len(history.since(NOW - HOUR)) == 360
    thin = operations_words.thinned(points, begin, NOW, 100)
    assert len(thin) <= 101
    assert max(p.seconds or 0 for p in thin) == 900.0


def test_the_curve_is_as_far_behind_as_the_sentence() -> None:
    """Who has read all may not have decided: the lists are old, and so says the curve."""
    history = History()
    history.take(sample(reading()), 23 * 60.0)
    history.take(sample(reading(0, 9, 40 * MINUTE)), 60.0)
    history.take(sample(reading()), None)

    assert [one.seconds for one in history.since(0)] == [23 * 60.0, 40 * 60.0, 0.0]


def test_the_curve_is_told_in_words() -> None:
    """Also that it was not looked at."""
    points = [
        Point(NOW - HOUR, 5.0, 3, 0),
        Point(NOW - MINUTE, 360.0, 9, 0),
        Point(NOW, None, None, 1),
    ]

    assert operations_words.summary(points, ZONE, "6 h") == (
        "Seen since Wed 7 Oct 13:00 EDT. Furthest behind: 6 min at 13:59. 1 look saw nothing."
    )
    assert operations_words.summary([], ZONE, "6 h") == "Nothing was seen in the last 6 h."


# Dead letters


def test_segments_are_named_without_their_values() -> None:
    """An operator learns how a message is made and nothing of whom it is about."""
    raw = b"MSH|^~\\&|GENADT|GEN\rPID|1||100001^^^GEN||ROE^JANE\rPV1|1|I"

    assert dead_letter_words.segments(raw) == ["MSH", "PID", "PV1"]
    assert dead_letter_words.segments(b'{"name": "PID|ROE"}') == []
    # Three capitals before a bar may be anybody's name.
    assert dead_letter_words.segments(b"LEE|ANN|1950\nROE|JIM|1960") == []
    named = raw + b"\rNTE|1||call\rLEE|ANN\rZOE|1"
    assert dead_letter_words.segments(named) == ["MSH", "PID", "PV1", "NTE", "Z.."]


def test_what_is_no_plain_text_is_not_offered_for_editing() -> None:
    """A form would mangle it; sent again as it is, it stays as it is."""
    text = "é\u2028\ttab\r\n"

    assert dead_letter_parse.text_of(text.encode()) == text
    assert dead_letter_parse.text_of(b"\x0bMSH|") is None
    assert dead_letter_parse.text_of(b"\xff") is None


def test_what_is_nested_deep_is_shown_as_far_as_it_goes() -> None:
    """As a parser lets it in: the page of the bytes must not fail for it."""
    deep = b"[" * 1000 + b"1" + b"]" * 1000

    (part,) = dead_letter_parse.parts(b'{"data":' + deep + b"}", "")
    assert part.value == "nested deeper than is shown here"
    assert dead_letter_parse.parts(b"[" * 9000 + b"]" * 9000, "") == []
    wide = b"[" + b",".join([b'{"a":1}'] * 9000) + b"]"
    assert len(dead_letter_parse.parts(wide, "")) == dead_letter_parse.PARTS_MAX


def test_the_fault_is_marked_where_it_is() -> None:
    """By the names that reasons use; also a segment that is not there."""
    raw = b"MSH|^~\\&|ADT1|GEN\rPV1|1|I"

    parts = dead_letter_parse.parts(raw, "no visit number in PV1-2, PID-18")
    marked = {one.name: one.value for one in parts if one.wrong}
    assert marked == {"PV1-2": "I", "PID-18": dead_letter_parse.MISSING}
    assert ("MSH-3", "ADT1", False) in parts


def test_every_reason_has_words_and_a_cure() -> None:
    """Those of the contract."""
    from events.reject import REASONS

    assert set(dead_letter_words.REASONS) == REASONS == set(dead_letter_words.CURES)


# Policy


@pytest.mark.parametrize(
    ("due", "words"),
    [
        ({"clock": "elapsed", "length": "PT48H"}, "48 hours after discharge, elapsed"),
        ({"clock": "elapsed", "length": "P2D"}, "48 hours after discharge, elapsed"),
        ({"clock": "calendar", "length": "P7D"}, "by the end of day 7 after discharge, local days"),
        ({"clock": "business", "length": "P2D"}, "by the end of 2 business days after discharge"),
    ],
)
def test_due_times_are_spoken(due: dict[str, str], words: str) -> None:
    """As a nurse would check them."""
    assert policy_words.due(due) == words


def policies() -> list[dict[str, Any]]:
    found = load_policies("docs/examples/policy.yaml")
    return [one.model_dump(mode="json") for one in found]


def test_versions_side_by_side_show_what_differs_first() -> None:
    """The example changes one threshold; the rest is the same."""
    differences = policy_words.compared(*policies())

    changed = [one for one in differences if one.changed]
    assert changed == differences[: len(changed)]
    assert changed == [
        policy_words.Difference(
            "No visit booked is a gap after", "24 h", "12 h", "visits.no_appointment_after"
        )
    ]


def test_the_checksum_does_not_depend_on_the_order_of_a_set() -> None:
    """Two processes that read one file show one checksum."""
    one, other = policies()[0], policies()[0]
    other["teams"] = list(reversed(other["teams"]))

    assert policy_words.checksum(one) == policy_words.checksum(other)
    assert policy_words.checksum(one) != policy_words.checksum(policies()[1])


def test_next_holidays_and_business_days() -> None:
    """The days that CMS' two business days skip."""
    facility = Facilities.load(None).get("GEN")
    today = date(2026, 10, 9)

    found = policy_words.holidays(facility, today)
    assert [policy_words.day_words(day, today) for day in found] == [
        "Mon 12 Oct", "Wed 11 Nov", "Thu 26 Nov",
    ]  # fmt: skip
    # A Friday before a Monday holiday.
    assert policy_words.business_day(facility, today, 2) == date(2026, 10, 14)


# A patient's story


def change(number: int, name: str, at: str = "2026-10-06T18:02:00Z", **more: Any) -> Any:
    made = {"change": name, "at": at, "caused_by": [], "why": "Because.", **more}
    return number, {
        **dict.fromkeys(("task", "gap", "transition", "event", "notice", "command")),
        **made,
    }


def event(identity: str, title: str, happened: str, told: str) -> dict[str, Any]:
    return {
        "event": {
            "id": identity,
            "type": "care.discharge.recorded.v1",
            "time": happened,
            "receivedtime": told,
            "title": title,
        }
    }


def task(status: str, **more: Any) -> dict[str, Any]:
    made = {
        "task_id": "t1", "kind": "CALL_48H", "status": status, "team": "nurse-outreach",
        "status_reason": None, "owner": None, "rule": "core/call-48h", "policy_version": "P0",
        "due_at": "2026-10-08T18:00:00Z", "tcm_contact_by": None, "tcm_contact_status": None,
    }  # fmt: skip
    return {"task": {**made, **more}}


def test_a_late_message_stands_where_it_happened_and_says_so() -> None:
    """By event time, with how much later we were told."""
    told = [
        change(
            1, "gap.opened", gap={"code": "NO_PCP_APPOINTMENT", "rule": "r", "policy_version": "P0"}
        ),
        change(
            2,
            "event.recorded",
            **event("e1", "Discharged from GEN", "2026-10-03T18:00:00Z", "2026-10-06T18:03:00Z"),
        ),
    ]

    first, second = story.entries(told, ZONE, NOW, {})

    assert (first.text, first.when) == ("Gap opened: No PCP visit booked", "yesterday 14:02 EDT")
    assert (second.text, second.told) == ("Discharged from GEN", "told us 3 d later")
    assert second.when == "Sat 3 Oct 14:00 EDT"
    assert ("event", "e1") in second.facts


def test_what_was_undone_stays_and_leads_to_what_undid_it() -> None:
    """A withdrawn task's beginning, and the discharge that was a mistake."""
    transition = {"transition_id": "n1", "close_reason": None, "policy_version": "P0"}
    gone = {**transition, "close_reason": "DISCHARGE_CANCELLED"}
    told = [
        change(
            1,
            "event.recorded",
            **event("e1", "Discharged", "2026-10-06T18:00:00Z", "2026-10-06T18:02:00Z"),
        ),
        change(2, "transition.opened", transition=transition, caused_by=["e1"]),
        change(3, "task.requested", **task("requested")),
        change(4, "transition.closed", transition=gone, caused_by=["e2"]),
        change(5, "task.cancelled", **task("cancelled", status_reason="DISCHARGE_CANCELLED")),
    ]

    undone = {one.number: one.undone for one in story.entries(told, ZONE, NOW, {})}

    assert undone == {1: 4, 2: 4, 3: 5, 4: None, 5: None}


def test_a_call_says_who_made_it_and_what_was_answered() -> None:
    """With the questions in words; a system's person before the system; a note is an entry."""
    policy = policies()[0]
    said = {"actor": "anna", "reached": "voicemail", "note": "rang twice"}
    done = {"actor": "inbasket", "on_behalf_of": "omar", "reached": "caregiver", "outcome": "ok"}
    done["answers"] = {"medicines": "no", "symptoms": "none"}  # type: ignore[assignment]
    told = [
        change(1, "task.updated", **task("in-progress"), said=[{"what": "attempted", **said}]),
        change(2, "command.accepted", said=[{"what": "noted", "actor": "anna", "note": "Asks"}]),
        change(3, "command.accepted", said=[{"what": "accepted", "actor": "anna"}]),
        change(4, "task.completed", **task("completed"), said=[{"what": "completed", **done}]),
    ]

    completed, noted, tried = story.entries(told, ZONE, NOW, {"P0": policy})

    assert completed.text == "48-hour call done, by omar through inbasket: caregiver"
    assert completed.facts[:4] == (
        ("Reached", "Caregiver"), ("Has the medicines", "No"), ("Symptoms", "None"),
        ("Outcome", "Done"),
    )  # fmt: skip
    assert (noted.text, noted.facts[0]) == ("Note, by anna", ("Note", "Asks"))
    assert tried.text == "48-hour call: in progress, by anna: voicemail"
    assert tried.facts[:2] == (("Reached", "Voicemail"), ("Note", "rang twice"))


def test_what_was_said_is_named_as_hidden_where_it_is() -> None:
    """Never blank: by the role, or by law."""
    told = [
        change(1, "task.completed", **task("completed", masked=False), said=None, hidden=["said"]),
        change(2, "task.completed", **task("completed", masked=True), said=None, hidden=["said"]),
        change(3, "task.requested", **task("requested", masked=False), said=None, hidden=["said"]),
    ]

    facts = [one.facts[0] for one in story.entries(told, ZONE, NOW, {})]

    assert facts == [
        ("rule", "core/call-48h"), ("said", "Restricted by law"), ("said", "Hidden for your role"),
    ]  # fmt: skip


def test_what_is_due_together_is_one_line() -> None:
    """The next first; a day's end is not the midnight after it."""
    due = "2026-10-14T04:00:00Z"
    tasks = [
        task("requested", due_at=due, kind="PCP_VISIT_7D")["task"],
        task("requested", due_at=due, kind="MED_REC")["task"],
        task("requested")["task"],
    ]

    found = [(one.when, one.text) for one in story.ahead(tasks, [], [], ZONE, NOW)]

    assert found == [
        ("tomorrow 14:00 EDT", "48-hour call is due"),
        ("by end of Tue 13 Oct", "PCP visit and Medication reconciliation are due"),
    ]


def test_the_window_is_a_line_of_days() -> None:
    """From the discharge to the end of day 30, with today on it."""
    transition = {
        "status": "active",
        "index_discharge_at": "2026-10-06T18:00:00Z",
        "readmission_window_ends_at": "2026-11-06T05:00:00Z",
    }

    found = story.window(transition, [task("requested")["task"]], ZONE, NOW)

    assert found is not None
    assert (found.day, found.days, found.begins, found.ends) == (1, 30, "Tue 6 Oct", "Thu 5 Nov")
    assert [(mark.text, mark.tone) for mark in found.marks] == [
        ("today, day 1", "here"),
        ("48 h", "ahead"),
        ("day 7", "ahead"),
        ("day 14", "ahead"),
        ("day 30", "ahead"),
    ]
    assert story.window({**transition, "status": "closed"}, [], ZONE, NOW) is None


# Search


def test_one_box_takes_an_identifier_or_a_name_with_a_birth_date() -> None:
    """What is neither is not guessed at."""
    assert asked("RIV|100001") is not None
    for text in ("Lopez, Ana 1955-03-02", "3/2/1955 lopez ana"):
        found = asked(text)
        assert found is not None
        assert found.birth_date == "1955-03-02"
    assert [asked(text) for text in ("", "Lopez", "1955-03-02", "|")] == [None] * 4
