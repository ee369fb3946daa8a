"""Two numbers of one patient, one worker behind the other: commands count as they were received."""

from random import Random
from typing import Any

import pytest

from orchestrator.core.instants import read
from orchestrator.stream.replay import replay_events
from tests.stream.identity.compare import live
from tests.stream.identity.site import FACILITIES_YAML
from tests.stream.identity.world import World


class Steady(Random):
    """Nobody dies."""

    def random(self) -> float:
        return 0.5


def said(number: int, word: str, subject: str, at: str, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"E{number}",
        "source": "hospital/GEN/adt",
        "type": f"care.{word}.v1",
        "time": at,
        "recordedtime": at,
        "receivedtime": at,
        "subject": subject,
        "facility": "GEN",
        "data": data,
    }


@pytest.mark.parametrize("seed", range(20))
def test_a_release_that_is_judged_late_undoes_no_later_attempt(seed: int) -> None:
    """
    Ann releases under A, then tries under C, which A was merged into: C hears of the try first.

    Seed 2051181 of the long run, which found it.
    """
    events = [
        said(1, "patient.merged", "GEN|C", "2026-10-08T00:00:00Z", retired="GEN|A"),
        said(
            2,
            "discharge.recorded",
            "GEN|A",
            "2026-10-09T01:00:00Z",
            visit_number="V1A",
            disposition={"code": "03"},
        ),
    ]
    (task,) = (
        thing["task_id"]
        for patient in replay_events(events, facilities=FACILITIES_YAML)["patients"]
        for thing in patient["tasks"]
    )
    ann = {"actor": "ann", "role": "rn", "task_id": task}
    events += [
        said(3, "task.released", "GEN|A", "2026-10-10T07:10:00Z", **ann),
        said(4, "task.attempted", "GEN|C", "2026-10-10T07:11:00Z", reached="voicemail", **ann),
    ]
    world = World(Steady(seed), 4)
    for event in events[:2]:
        world.accept(event)
    world.settle_identity()
    for event in events[2:]:
        world.accept(event)
    for _ in range(3):
        world.clock(read("2026-10-10T07:11:00Z"))
        world.settle()
    found = live(world.witness.things.values())
    assert found[task]["status"] == "in-progress"
