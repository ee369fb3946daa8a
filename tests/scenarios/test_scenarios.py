"""The acceptance stories: every `*.txt` of this folder, row by row."""

import pytest

from tests.scenarios import invariants
from tests.scenarios.runner import facilities_of, moments_of, run_story
from tests.scenarios.story import Story, read_coverage, read_stories

# Issue 3 names them.
SCENARIOS = {*range(1, 10), *range(12, 17), *range(18, 25), 27, 28}
RULINGS = {*range(1, 17), *range(19, 31), 40}


@pytest.mark.parametrize("story", read_stories(), ids=str)
def test_story(story: Story) -> None:
    """What a story says happens at its instants, nothing else, and in any order of input."""
    answers = run_story(story)
    invariants.check_history(answers)
    for as_of, answer in answers:
        invariants.check_answer(as_of, answer)
    events = [event for moment in moments_of(story) for event in moment.events]
    facilities = facilities_of(story)
    last, _ = answers[-1]
    invariants.check_any_order(events, last, facilities)
    invariants.check_default_end(events, facilities)
    for as_of, answer in answers[:: max(1, len(answers) // 4)]:
        invariants.check_future_is_not_known(events, as_of, facilities, answer)


def test_every_scenario_and_ruling_of_this_chapter_has_a_story() -> None:
    """Each scenario and ruling that the issue names is named by a file that covers it."""
    scenarios, rulings = read_coverage()
    assert SCENARIOS - scenarios == set()
    assert RULINGS - rulings == set()
