"""The checker finds what it is for: each class of harm is planted in a recorded run, and named.

No broker is needed.  A zero of a run is worth as much as these tests.
"""

import copy
import zlib
from typing import Final

import pytest
from structlog.testing import capture_logs

from orchestrator.core.instants import SECOND, read, written
from orchestrator.stream.timekeeper import CLOCK_KEY
from tests.kafka.chaos.accounting import account
from tests.kafka.chaos.belief import Belief, against_model
from tests.kafka.chaos.findings import CLASSES, Class, Finding
from tests.kafka.chaos.forging import copied, first, forged, live, somebody
from tests.kafka.chaos.lateness import Bounds, Excuse
from tests.kafka.chaos.recorded import CHANGES, Letter, Plain, Recorded, Sight, StateRow
from tests.kafka.chaos.rehearsal import rehearsed
from tests.kafka.chaos.stories import stories
from tests.kafka.chaos.verdict import Verdict, judge, part_where_commands_decide
from tests.simulation.journal import SITE_KEY

CLOCKED: Final = "2026-11-20T15:00:30Z"
BOUNDS: Final = Bounds(60 * SECOND, 60 * SECOND, 1000)


@pytest.fixture(scope="module")
def run() -> Recorded:
    """A run without a fault, with repeats, poison, clashes and polls that were taken in twice."""
    with capture_logs():
        return rehearsed(8, 300)


def verdict(recorded: Recorded, *excuses: Excuse) -> Verdict:
    with capture_logs():
        return judge(recorded, SITE_KEY, excuses=excuses, bounds=BOUNDS)


def assert_found(recorded: Recorded, sort: Class) -> None:
    """The class is among what the checker names."""
    found = verdict(recorded)
    assert found.classes[sort] > 0, f"{sort} was planted; found {found.findings[:5]}"


def test_a_run_without_faults_is_clean_and_rich() -> None:
    """All zeros, over something of everything: else the zeros would say nothing."""
    with capture_logs():
        run = rehearsed(11, 1500)
    found = verdict(run)

    assert found.classes == dict.fromkeys(CLASSES, 0), found.findings[:5]
    assert all(found.figures["results"][kind] for kind in ("applied", "duplicate", "dead-letter"))
    assert found.figures["results"]["ignored"]
    assert found.figures["redone_by_intake"] > 10
    events = [row.plain for rows in run.journal.values() for row in rows if b"event" in row.value]
    assert any("event" in one and "raw" not in one for one in events), "no event was too large"
    changes = found.figures["changes"]
    for kind in ("task.requested", "task.overdue", "task.cancelled", "task.completed"):
        assert changes[kind] > 3, kind
    assert changes["gap.opened"] > 100
    assert changes["command.refused"] > 3
    assert found.figures["standings_compared_with_model"] > 1000
    assert len(found.figures["core_and_model_part_without_a_fault"]) < 5


def test_where_commands_decide_core_and_model_part_by_themselves(run: Recorded) -> None:
    """With every published byte as without a fault; where nobody reported anything they may not."""
    told = stories(run, account(run).entries).values()
    by_commands = [any(".task." in one.event["type"] for one in story.steps) for story in told]
    one, other = (
        next(s.subject for s, has in zip(told, by_commands, strict=True) if has is w)
        for w in (True, False)
    )
    found = [Finding("DIVERGED", f"{who} after E1", "task CALL_48H: a; b") for who in (one, other)]
    belief = Belief(findings=found)
    part_where_commands_decide(belief, told)

    assert [finding.where for finding in belief.findings] == [f"{other} after E1"]
    assert belief.parted == {one: "task CALL_48H"}


def test_lost_a_task_nobody_was_told_of(run: Recorded) -> None:
    """Every record about one live task is missing, and all numbers are in order."""

    def drop(changes: list[Plain]) -> None:
        (task, *_) = live(changes)
        changes[:] = [c for c in changes if c.get("task", {}).get("task_id") != task]

    assert_found(forged(run, drop, somebody(run, lambda c: len(live(c)) > 1)), "LOST")


def test_lost_an_event_that_was_journalled_and_never_applied(run: Recorded) -> None:
    """The change log does not record it."""

    def drop(changes: list[Plain]) -> None:
        changes.remove(next(c for c in reversed(changes) if c["change"] == "event.recorded"))

    assert_found(forged(run, drop, somebody(run, lambda c: len(c) > 5)), "LOST")


def test_lost_an_acknowledged_record(run: Recorded) -> None:
    """A sender had its acknowledgement, and the record is not where it was said to be."""
    found = copied(run)
    gone = found.landed.pop()
    assert found.attempts[gone.attempt].outcome == "ok"
    assert_found(found, "LOST")


def test_lost_one_record_out_of_the_change_log(run: Recorded) -> None:
    """A hole in a patient's numbers, as a record skipped after a crash leaves one."""
    found = copied(run)
    del found.outputs[CHANGES, 0][20]
    del found.seen[0][found.offsets[0].pop(20)]
    assert_found(found, "LOST")


def test_dup_a_second_task_under_another_id(run: Recorded) -> None:
    """As a random id, or an id of another run, would make one."""

    def double(changes: list[Plain]) -> None:
        (name, *_) = live(changes)
        for at, change in reversed(list(enumerate(changes))):
            if change.get("task", {}).get("task_id") == name:
                again = copy.deepcopy(change)
                again["task"]["task_id"] = "00000000-0000-5000-8000-000000000000"
                changes.insert(at + 1, again)

    assert_found(forged(run, double, somebody(run, lambda c: bool(live(c)))), "DUP")


def test_dup_an_event_applied_twice(run: Recorded) -> None:
    """The change log records it twice."""

    def double(changes: list[Plain]) -> None:
        at = next(n for n, c in enumerate(changes) if c["change"] == "event.recorded")
        changes.insert(at + 1, copy.deepcopy(changes[at]))

    assert_found(forged(run, double, somebody(run, lambda c: len(c) > 5)), "DUP")


def test_dup_a_round_published_twice(run: Recorded) -> None:
    """A zombie's round, or one that was redone without its fence."""
    found = copied(run)
    rows = found.outputs[CHANGES, 1]
    rows[40:40] = rows[30:40]
    found.offsets[1] = list(range(len(rows)))
    found.seen[1] = {n: Sight(0, zlib.crc32(row[1] or b"")) for n, row in enumerate(rows)}
    assert_found(found, "DUP")


def test_false_a_gap_without_a_reason(run: Recorded) -> None:
    """An alarm that no set of landed events asks for."""

    def invent(changes: list[Plain]) -> None:
        at, gap = [(n, c) for n, c in enumerate(changes) if "gap" in c][-1]
        again = copy.deepcopy(gap)
        again["gap"] |= {
            "gap_id": "00000000-0000-5000-8000-000000000000",
            "code": "UNREACHABLE",
            "status": "open",
            "version": 1,
        }
        again["change"] = "gap.opened"
        changes.insert(at + 1, again)

    def has_gap(changes: list[Plain]) -> bool:
        codes = {c["gap"]["code"] for c in changes if "gap" in c}
        return bool(codes) and "UNREACHABLE" not in codes

    assert_found(forged(run, invent, somebody(run, has_gap)), "FALSE")


def test_false_an_alarm_that_came_and_went(run: Recorded) -> None:
    """Not even for a moment: it opened and closed between two events."""

    def invent(changes: list[Plain]) -> None:
        at, requested = [(n, c) for n, c in enumerate(changes) if "task" in c][-1]
        again = copy.deepcopy(requested)
        again["change"] = "task.requested"
        again["task"] |= {
            "status": "requested",
            "version": 1,
            "task_id": "0" * 8 + "-x",
            "kind": "SNF_HANDOFF",
        }
        over = copy.deepcopy(again)
        over["change"] = "task.cancelled"
        over["task"] |= {"status": "cancelled", "version": 2}
        changes[at + 1 : at + 1] = [again, over]

    def without_handoff(changes: list[Plain]) -> bool:
        tasks = [c for c in changes if "task" in c]
        kinds = {c["task"]["kind"] for c in tasks}
        # Before a partition's first clock the model has no time to compare at.
        return bool(tasks) and tasks[-1]["at"] > CLOCKED and "SNF_HANDOFF" not in kinds

    assert_found(forged(run, invent, somebody(run, without_handoff)), "FALSE")


def test_false_a_refused_record_that_is_there_all_the_same(run: Recorded) -> None:
    """The sender was told no."""
    found = copied(run)
    name = found.landed[0].attempt
    found.attempts[name] = found.attempts[name]._replace(outcome="fail")
    assert_found(found, "FALSE")


def test_stale_a_gap_that_was_never_closed(run: Recorded) -> None:
    """What it missed is there, and it stays open."""

    def keep(changes: list[Plain]) -> None:
        at, _ = first(changes, "gap.closed")
        del changes[at]

    def outlives(changes: list[Plain]) -> bool:
        # Its last word is that it is closed, so nothing later could put it right.
        last = {c["gap"]["gap_id"]: c for c in changes if "gap" in c}
        one = next((c for c in changes if c["change"] == "gap.closed"), None)
        return one is not None and last[one["gap"]["gap_id"]] is one and _told_by_model(one)

    assert_found(forged(run, keep, somebody(run, outlives)), "STALE")


def test_resurrected_a_task_that_was_over(run: Recorded) -> None:
    """Cancelled or done, and open again without a new reason."""

    def reopen(changes: list[Plain]) -> None:
        at, over = first(changes, "task.cancelled")
        again = copy.deepcopy(over)
        again["change"] = "task.updated"
        again["task"] |= {"status": "requested", "version": over["task"]["version"] + 1}
        changes.insert(at + 1, again)

    def ends(changes: list[Plain]) -> bool:
        last = {c["task"]["task_id"]: c for c in changes if "task" in c}
        one = next((c for c in changes if c["change"] == "task.cancelled"), None)
        if one is None or last[one["task"]["task_id"]] is not one:
            return False
        # Another of its kind would make it a double.
        return one["task"]["kind"] not in {task["kind"] for task in live(changes).values()}

    assert_found(forged(run, reopen, somebody(run, ends)), "RESURRECTED")


def test_premature_a_call_overdue_before_it_is_due(run: Recorded) -> None:
    """As a clock that ran ahead would fire it."""

    def fire(changes: list[Plain]) -> None:
        _, requested = first(changes, "task.requested")
        due = read(requested["at"]) + 3600 * SECOND
        requested["task"] |= {"overdue": True, "due_at": written(due)}

    assert_found(forged(run, fire, somebody(run, lambda c: bool(live(c)))), "PREMATURE")


def test_premature_a_clock_ahead_of_what_was_accepted(run: Recorded) -> None:
    """``clock(T)`` is appended, and then an event that was accepted before T."""
    found = copied(run)
    rows = found.journal[2]
    clocks = [n for n, row in enumerate(rows) if row.key == CLOCK_KEY]
    early, late = clocks[3], clocks[4]
    rows[early] = rows[early]._replace(value=rows[late].value)
    assert_found(found, "PREMATURE")


def test_premature_a_change_seen_before_its_instant(run: Recorded) -> None:
    """By the follower's own clock, whatever the worker believed."""
    found = copied(run)
    story = stories(run, account(run).entries)
    change = next(
        c
        for s in story.values()
        for step, piece in zip(s.steps, s.pieces, strict=True)
        for c in piece
        if read(c.plain["at"]) > step.stamp
    )
    seen = found.seen[change.partition]
    seen[change.offset] = seen[change.offset]._replace(at=read(change.plain["at"]) - 1000)
    assert_found(found, "PREMATURE")


def test_late_a_change_that_took_too_long(run: Recorded) -> None:
    """Minutes in a healthy time; a fault that lay over it excuses it."""
    found = copied(run)
    offset = found.offsets[3][30]
    sight = found.seen[3][offset]
    found.seen[3][offset] = sight._replace(at=sight.at + 300 * SECOND)
    assert_found(found, "LATE")
    assert not verdict(found, Excuse(sight.at - SECOND, sight.at + 200 * SECOND)).classes["LATE"]


def test_wrong_patient_a_task_with_another_name_on_it(run: Recorded) -> None:
    """The nurse would call somebody else."""

    def rename(changes: list[Plain]) -> None:
        _, requested = first(changes, "task.requested")
        requested["task"]["patient"] = "GEN|SOMEBODY-ELSE"

    assert_found(forged(run, rename, somebody(run, lambda c: bool(live(c)))), "WRONG_PATIENT")


def test_wrong_patient_a_change_in_another_partition(run: Recorded) -> None:
    """Two owners would publish for one patient."""
    found = copied(run)
    row = found.outputs[CHANGES, 0].pop()
    found.seen[0].pop(found.offsets[0].pop())
    found.outputs[CHANGES, 1].append(row)
    found.offsets[1].append(found.offsets[1][-1] + 1)
    assert_found(found, "WRONG_PATIENT")


def test_diverged_one_byte_of_a_published_record(run: Recorded) -> None:
    """Every topic is compared, not only the change log."""
    found = copied(run)
    where = ("care.queue.nurse-outreach.v1", 1)
    key, value, headers = found.outputs[where][2]
    found.outputs[where][2] = (key, (value or b"").replace(b'"task"', b'"tusk"'), headers)
    assert_found(found, "DIVERGED")


def test_diverged_a_state_row_that_is_not_the_fold(run: Recorded) -> None:
    """What the next owner would recover from."""
    found = copied(run)
    at, row = next((n, r) for n, r in enumerate(found.state[0]) if r.key[:1] == b"c")
    found.state[0] = [r for r in found.state[0] if r.key != row.key]
    assert_found(found, "DIVERGED")
    zombie = copied(run)
    zombie.state[0].append(StateRow(row.key, (row.value or b"")[:-1] + b" }"))
    assert_found(zombie, "DIVERGED")
    assert at >= 0


def test_diverged_a_group_that_is_ahead_of_its_state(run: Recorded) -> None:
    """Offsets committed over records that nobody decided on: they would be skipped for ever."""
    found = copied(run)
    found.decided[2] -= 3
    found.committed[2] = found.decided[2] + 1
    assert_found(found, "DIVERGED")


def test_diverged_a_record_that_a_reader_saw_and_that_is_gone(run: Recorded) -> None:
    """A log that was cut back after it was read."""
    found = copied(run)
    found.seen[0][10**9] = Sight(0, 1)
    assert_found(found, "DIVERGED")


def test_diverged_a_standing_thing_with_another_due_time(run: Recorded) -> None:
    """The model says when it is due."""

    def move(changes: list[Plain]) -> None:
        (name, *_) = live(changes)
        for change in changes:
            if change.get("task", {}).get("task_id") == name:
                due = read(change["task"]["due_at"]) + 3600 * SECOND
                change["task"]["due_at"] = written(due)

    assert_found(forged(run, move, somebody(run, lambda c: bool(live(c)))), "DIVERGED")


def test_unaccounted_a_swallowed_input(run: Recorded) -> None:
    """It landed, and neither the journal nor the dead letters have it."""
    found = copied(run)
    at = next(n for n, row in enumerate(found.journal[1]) if row.plain["kind"] == "event")
    key = found.journal[1][at].value
    found.journal[1] = [row for row in found.journal[1] if row.value != key]
    assert_found(found, "UNACCOUNTED")


def test_unaccounted_a_dead_letter_that_was_never_written(run: Recorded) -> None:
    """Poison that was passed over."""
    found = copied(run)
    gone = next(letter for letter in found.letters if letter.headers["stage"] == "intake")
    found.letters = [letter for letter in found.letters if letter != gone]
    assert_found(found, "UNACCOUNTED")


def test_unaccounted_a_clash_that_was_never_parked(run: Recorded) -> None:
    """The same name with other content: somebody must look at it."""
    found = copied(run)
    found.letters.remove(next(x for x in found.letters if x.headers["stage"] == "decide"))
    assert_found(found, "UNACCOUNTED")


def test_unaccounted_a_dead_letter_with_other_bytes(run: Recorded) -> None:
    """The original bytes are what an operator repairs."""
    found = copied(run)
    at = next(n for n, x in enumerate(found.letters) if x.headers["stage"] == "intake")
    found.letters[at] = Letter(found.letters[at].headers, "another")
    assert_found(found, "UNACCOUNTED")


def test_unaccounted_an_event_that_nobody_sent(run: Recorded) -> None:
    """The journal has it, and no input topic does."""
    found = copied(run)
    gone = next(one for one in found.landed if found.attempts[one.attempt].fate == "event")
    found.landed.remove(gone)
    found.attempts.pop(gone.attempt)
    assert_found(found, "UNACCOUNTED")


def test_info_may_have_landed_or_not(run: Recorded) -> None:
    """An attempt whose end nobody knows: landed it counts like any other, absent it counts not."""
    found = copied(run)
    landed = found.landed[5].attempt
    found.attempts[landed] = found.attempts[landed]._replace(outcome="info", offset=-1)
    found.attempts["s-absent"] = found.attempts[landed]._replace(name="s-absent")

    judged = verdict(found)

    assert judged.classes == dict.fromkeys(CLASSES, 0)
    assert judged.figures["attempts"]["info landed"] == 1
    assert judged.figures["attempts"]["info absent"] == 1


def test_the_model_finds_what_a_replay_by_the_same_core_cannot(run: Recorded) -> None:
    """A bug of the core is in both runs; the model was written apart from it."""

    def drop(changes: list[Plain]) -> None:
        (task, *_) = live(changes)
        changes[:] = [c for c in changes if c.get("task", {}).get("task_id") != task]

    forgery = forged(run, drop, somebody(run, lambda c: len(live(c)) > 1))
    told = stories(forgery, account(forgery).entries)
    assert "LOST" in {finding.sort for finding in against_model(told.values()).findings}


def _told_by_model(change: Plain) -> bool:
    return change["gap"]["code"] in ("TASK_OVERDUE", "NO_PCP_ON_FILE", "NO_PCP_APPOINTMENT")
