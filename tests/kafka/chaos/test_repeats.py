"""What counts as said twice, and when a record that was put aside lets time pass."""

import pytest

from tests.kafka.chaos.conduct import misconduct
from tests.kafka.chaos.recorded import Recorded
from tests.kafka.chaos.stories import Change, Step, Story
from tests.kafka.chaos.undisturbed import VIEW, repeats
from tests.kafka.world import Said

A: Said = ("k", b"a", ())
B: Said = ("k", b"b", ())
OTHERS: Said = ("o", b"a", ())


@pytest.mark.parametrize(
    ("topic", "said", "twice"),
    [
        (VIEW, [A, B, A], 0),  # no versions: it is again what it was
        (VIEW, [A, OTHERS, A], 1),
        ("care.task.v1", [A, B, A], 1),  # a version is never said again
        ("care.task.v1", [A, B, OTHERS], 0),
    ],
)
def test_a_repeat_is_what_was_said_already(topic: str, said: list[Said], twice: int) -> None:
    """For whoever reads committed records, by topic."""
    assert repeats(Recorded({}, [], {}, {}, {(topic, 0): said}, [], {})) == twice


@pytest.mark.parametrize(("parked", "found"), [(0, 1), (1_790_000_009_000_000, 0)])
def test_a_record_that_was_put_aside_lets_time_pass(parked: int, found: int) -> None:
    """What is planned because of it is not premature; without it, it is."""
    step = Step({}, 0, 0, 1_790_000_000_000_000, 1_790_000_000_000_000, parked)
    plain = {"seq": 1, "at": "2026-09-21T14:13:29Z", "change": "gap.changed", "gap": {}}
    names = {"patient": "GEN|1", "subject": "GEN|1"}
    change = Change({**plain, **names, "gap": {"gap_id": "g", "version": 1}}, 0, 0)
    story = Story("key", "GEN|1", 0, [step], [[change]])

    sorts = [finding.sort for finding in misconduct([story], b"0" * 32, 1)]

    assert sorts.count("PREMATURE") == found
