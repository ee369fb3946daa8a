"""The checks check: bugs planted in the real code, each caught by a named promise.

| bug (reliability.md §3.7) | caught by |
|---|---|
| random uuid4 task id | shuffled and copied files give the identical answer |
| 48 h as 2 calendar days | core equals model |
| naive local time: days of UTC | core equals model |
| `>=` → `>` at due | core equals model |
| ignore A13 | core equals model |
| cancel does not close task | core equals model |
| A08 resets due date | core equals model |
| last-write-wins by arrival | order of receipt does not change what stands |
| no dedupe | shuffled and copied files give the identical answer |
| dedupe window 1 h | later copies count at their first receipt |
| dedupe by content only | core equals model |
| timer from wall clock at processing | core equals model |
| gap fired without watermark | nothing fires before the clock has passed it |
| deadline noticed an hour late | core equals model |
| reopen on replay | any crash publishes the same records |
| batch planned as one | any batching publishes the same records |
| swallow handler exception | failing record is parked and others go on |
| log PHI in exception | failure tells nothing private |
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

import pytest

from tests.simulation import planted
from tests.simulation.histories import history
from tests.simulation.test_processor_properties import (
    test_any_batching_publishes_the_same_records as any_batching,
)
from tests.simulation.test_processor_properties import (
    test_any_crash_publishes_the_same_records as any_crash,
)
from tests.simulation.test_processor_properties import (
    test_nothing_fires_before_the_clock_has_passed_it as never_early,
)
from tests.simulation.test_properties import CALM, assert_receipts_do_not_matter
from tests.simulation.test_properties import (
    test_later_copies_count_at_their_first_receipt as later_copies,
)
from tests.simulation.test_properties import (
    test_shuffled_and_copied_files_give_the_identical_answer as shuffled,
)
from tests.simulation.test_reference import assert_core_equals_model as core_equals_model
from tests.simulation.test_trouble import (
    assert_failure_is_parked_and_others_go_on,
    assert_failure_tells_nothing_private,
)

Check = Callable[[int, pytest.MonkeyPatch], None]


def _receipts(seed: int) -> None:
    rng = Random(seed)
    assert_receipts_do_not_matter(history(rng, CALM), rng)


def _by_seed(check: Callable[[int], None]) -> Check:
    return lambda seed, _patch: check(seed)


@dataclass(frozen=True)
class Bug:
    """A planted bug, the promise that catches it, and the seeds within which it must do so."""

    plant: planted.Plant
    caught_by: Check
    seeds: range

    @property
    def name(self) -> str:
        return self.plant.__name__


MODEL = _by_seed(partial(core_equals_model, shrink=False))  # that it is caught is enough
BUGS = (
    Bug(planted.random_task_id, _by_seed(shuffled), range(3)),
    Bug(planted.two_calendar_days_for_48_hours, MODEL, range(10)),
    Bug(planted.days_of_utc, MODEL, range(10)),
    Bug(planted.late_only_after_the_due_instant, MODEL, range(15)),
    Bug(planted.cancelled_discharges_ignored, MODEL, range(15)),
    Bug(planted.cancel_leaves_the_tasks_open, MODEL, range(15)),
    Bug(planted.updates_reset_the_discharge, MODEL, range(15)),
    Bug(planted.last_to_arrive_wins, _by_seed(_receipts), range(40)),
    Bug(planted.repeats_not_dropped, _by_seed(shuffled), range(3)),
    Bug(planted.repeats_forgotten_after_an_hour, _by_seed(later_copies), range(3)),
    Bug(planted.told_apart_by_content_only, MODEL, range(15)),
    Bug(planted.deadlines_from_the_wall_clock, MODEL, range(10)),
    Bug(planted.now_from_the_fact, _by_seed(never_early), range(6)),
    Bug(planted.wake_an_hour_late, MODEL, range(10)),
    Bug(planted.ledger_lost_at_a_restart, _by_seed(any_crash), range(3)),
    Bug(planted.plans_once_per_batch, _by_seed(any_batching), range(3)),
    Bug(
        planted.exceptions_swallowed,
        lambda seed, patch: assert_failure_is_parked_and_others_go_on(patch, seed),
        range(1),
    ),
    Bug(
        planted.exception_text_kept,
        lambda seed, patch: assert_failure_tells_nothing_private(patch, seed),
        range(1),
    ),
)


def _caught(bug: Bug, patch: pytest.MonkeyPatch) -> int | None:
    """The first seed whose check fails."""
    for seed in bug.seeds:
        try:
            bug.caught_by(seed, patch)
        except AssertionError:
            return seed
    return None


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_planted_bug_is_caught(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the bug its check passes on these seeds; with it, it fails."""
    assert _caught(bug, monkeypatch) is None, "the check fails without the bug"
    with monkeypatch.context() as planting:
        bug.plant(planting)
        assert _caught(bug, planting) is not None, "nobody noticed"


def test_the_list_above_names_every_bug() -> None:
    """The table in this file's head has a line for each."""
    rows = [line for line in (__doc__ or "").splitlines() if line.startswith("| ")]
    assert len(rows) - 1 == len(BUGS)
