"""What ``lag`` prints: a sentence first, the worst rows, one line for the rest."""

import pytest

from orchestrator.cli import console, lag
from orchestrator.core.instants import SECOND, read
from orchestrator.ops.lag import Judge, Reading, Sample

NOW = read("2026-10-06T18:02:14Z")


def sample(*readings: Reading, deadlines: int | None = 0) -> Sample:
    return Judge(60 * SECOND, 60 * SECOND).judge(readings, NOW, "test", (), deadlines)


def of(role: str, topic: str, partition: int, end: int, done: int | None, age_s: float) -> Reading:
    at = NOW - int(age_s * SECOND)
    return Reading(f"care-orchestrator-{role}", f"care.{topic}.v1", partition, 0, end, done, at)


FINE = of("intake", "admission", 0, 18_204, 18_203, 3)
SLOW = of("intake", "medication", 3, 7_400, 28, 370)
HELD = of("decide", "journal", 7, 19_377, 12_005, 365)
NEVER = of("decide", "journal", 9, 5, None, 0)


def test_all_current_is_one_sentence_and_one_line() -> None:
    """Nothing to do: nothing to read."""
    assert lag.as_text(sample(FINE)) == [
        "All current to 18:02:11 UTC (3 s).",
        "  all 1 partition: OK, at most 3 s",
        "Deadlines: 0 due and not fired; 0 held by lag.",
    ]


def test_worst_first_with_the_input_that_holds_the_clocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unknown before late; digits aligned; the journal's rows name what they wait for."""
    monkeypatch.setattr(console, "width", lambda: 100)
    assert lag.as_text(sample(FINE, SLOW, HELD, NEVER, deadlines=14)) == [
        (
            "All current to 18:02:11 UTC (3 s) except"
            " care.journal 9, care.medication 3, care.journal 7."
        ),
        "  group   topic            part     end    done    lag  behind  held by          state",
        "  decide  care.journal        9       5       -      -  -       care.medication  UNKNOWN",
        "  intake  care.medication     3   7,400      28  7,372  6 min   -                LAGGING",
        "  decide  care.journal        7  19,377  12,005  7,372  6 min   care.medication  LAGGING",
        "  other 1 partition: OK, at most 3 s",
        "Deadlines: 0 due and not fired; 14 held by lag.",
    ]


def test_sixty_columns_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """What can be spared goes; where, how much and the state stay."""
    monkeypatch.setattr(console, "width", lambda: 60)
    rows = lag.as_text(sample(FINE, SLOW, HELD, NEVER))[1:5]
    assert max(map(len, rows)) <= 60
    assert rows[2] == "  care.medication     3      28  7,372  6 min   LAGGING"


def test_where_the_log_does_not_tell_deadlines_nothing_is_said_of_them() -> None:
    """On Kafka only the workers know; no line is better than a 0."""
    assert not any("Deadlines" in line for line in lag.as_text(sample(FINE, deadlines=None)))


def test_a_long_list_is_cut_and_says_so() -> None:
    """A screen holds the worst; programs get all of them."""
    many = [of("intake", "admission", n, 10, None, 0) for n in range(60)]
    lines = lag.as_text(sample(FINE, *many))
    assert len(lines) < 30
    assert any("36 more" in line for line in lines)
    assert len(lag.as_plain(sample(FINE, *many))["groups"][0]["partitions"]) == 61


def test_unknown_is_null_for_programs() -> None:
    """A reader of JSON cannot mistake it for a lag of 0."""
    (group,) = lag.as_plain(sample(NEVER))["groups"]
    assert group["max_lag"] is None
    assert group["partitions"] == [
        {
            "topic": "care.journal.v1",
            "partition": 9,
            "earliest_offset": 0,
            "latest_offset": 5,
            "offset": None,
            "lag": None,
            "lag_seconds": None,
            "state": "UNKNOWN",
        }
    ]


def test_clocks_that_stand_come_first() -> None:
    """All is read, and nobody decides: no deadline fires, and that is not "current"."""
    old = Judge(60 * SECOND, 60 * SECOND).judge([FINE], NOW, "test", (), 0, NOW - 300 * SECOND)
    fresh = Judge(60 * SECOND, 60 * SECOND).judge([FINE], NOW, "test", (), 0, NOW - 30 * SECOND)
    assert lag.as_text(old)[0] == (
        "No deadline fires: the last clock is 5 min old (does a worker run?)."
    )
    assert (old.current, lag.as_plain(old)["current"]) == (False, False)
    assert lag.as_plain(old)["clock_age_seconds"] == 300
    assert lag.as_text(fresh)[0].startswith("All current")
