"""How far behind a reader is: the arithmetic, for any offsets."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.instants import MINUTE, SECOND
from orchestrator.ops.lag import Judge, Reading, Sample

NOW = 1_800_000_000 * SECOND
BEHIND = 60 * SECOND


def reading(
    done: int | None, end: int, *, age_s: float | None = None, hidden: int = 0, partition: int = 0
) -> Reading:
    next_at = None if age_s is None else NOW - int(age_s * SECOND)
    return Reading("care-decide", "care.journal.v1", partition, 0, end, done, next_at, hidden)


def judged(*readings: Reading, judge: Judge | None = None, at: int = NOW) -> Sample:
    return (judge or Judge(BEHIND, BEHIND)).judge(readings, at, "test")


offsets = st.integers(min_value=0, max_value=10**9)
readings = st.builds(
    reading,
    done=st.none() | offsets,
    end=offsets,
    age_s=st.none() | st.floats(min_value=-10, max_value=10**6),
    hidden=st.integers(min_value=0, max_value=10),
    partition=st.integers(min_value=0, max_value=50),
)


@given(done=offsets, unread=offsets)
def test_lag_is_what_lies_between_the_reader_and_the_end(done: int, unread: int) -> None:
    """Each record that the group has not passed counts one."""
    assert reading(done, done + unread).lag == unread


@given(one=readings)
def test_lag_is_never_negative_and_unknown_stays_unknown(one: Reading) -> None:
    """A reader of whom nothing is known has no lag; 0 would say that it read everything."""
    (position,) = judged(one).positions
    if one.done is None:
        assert (position.lag, position.seconds, position.state) == (None, None, "UNKNOWN")
    else:
        assert position.lag is not None
        assert position.lag >= 0
        assert position.seconds is None or position.seconds >= 0


@given(found=st.lists(readings, max_size=20))
def test_sums_and_maxima_leave_out_what_is_unknown(found: list[Reading]) -> None:
    """One partition that nobody ever read must not make a sum of the others unreadable, nor 0."""
    sample = judged(*found)
    for group in sample.groups():
        lags = [one.lag for one in found if one.lag is not None]
        assert group.sum_lag == (sum(lags) if lags else None)
        assert group.max_lag == (max(lags) if lags else None)
        assert sum(group.by_topic().values()) == sum(lags)
    assert sample.current == all(position.state == "OK" for position in sample.positions)


@given(age_s=st.floats(min_value=0, max_value=10**6))
def test_seconds_are_the_age_of_the_next_record(age_s: float) -> None:
    """Not of the last one that was read, which may be old because nothing was sent since."""
    (position,) = judged(reading(5, 8, age_s=age_s)).positions
    assert position.seconds is not None
    assert abs(position.seconds - age_s) < 1e-3


def test_who_read_everything_is_no_second_behind() -> None:
    """However long ago the last record was."""
    (position,) = judged(reading(8, 8)).positions
    assert (position.lag, position.seconds, position.state) == (0, 0.0, "OK")


def test_markers_of_transactions_are_no_lag() -> None:
    """A reader that has read all records stands before a marker that no record shows."""
    (position,) = judged(reading(8, 9, hidden=1)).positions
    assert (position.lag, position.seconds, position.state) == (0, 0.0, "OK")


def test_a_few_records_or_a_few_seconds_are_current() -> None:
    """Somebody is always a moment behind a feed that never pauses."""
    sample = judged(reading(0, 50_000, age_s=59))
    assert sample.current
    assert not judged(reading(0, 1, age_s=61)).current


def test_who_moves_lags_and_who_stands_is_stalled() -> None:
    """Both are behind; for one of them somebody must get up."""
    judge = Judge(BEHIND, stalled_us=MINUTE)
    states = []
    for minute in range(3):
        moving = reading(minute, 1000, age_s=300, partition=0)
        standing = reading(7, 1000, age_s=300, partition=1)
        sample = judged(moving, standing, judge=judge, at=NOW + minute * MINUTE)
        states.append([position.state for position in sample.positions])
    assert states == [["LAGGING", "LAGGING"], ["LAGGING", "STALLED"], ["LAGGING", "STALLED"]]


def test_a_reader_that_had_nothing_to_read_did_not_stand() -> None:
    """The time in which it had read everything does not count against it."""
    judge = Judge(BEHIND, stalled_us=5 * MINUTE)
    judged(reading(7, 7), judge=judge, at=NOW)
    sample = judged(reading(7, 9, age_s=-500), judge=judge, at=NOW + 600 * SECOND)
    assert sample.positions[0].state == "LAGGING"


def test_lag_without_a_known_age_is_not_current() -> None:
    """Where the next record could not be read, that there is one is known."""
    assert judged(reading(0, 1)).positions[0].state == "LAGGING"
