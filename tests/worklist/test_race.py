"""Fifty take one task at the same moment: exactly one has it, time after time.

The long form, a thousand times over real HTTP, is ``python -m bench.worklist.race``.
"""

import asyncio
from collections import Counter
from typing import Final

from orchestrator.worklist.access.roles import principal
from tests.worklist.world import World

ROUNDS: Final = 20
AT_ONCE: Final = 50


async def test_exactly_one_wins_each_time_and_the_audit_has_them_all(running: World) -> None:
    """One 200; everybody else 409 with the winner's state; the task is whole afterwards."""
    names = [f"racer-{number}" for number in range(AT_ONCE)]
    for name in names:
        running.people.known[name] = principal(
            name, frozenset({"rn"}), frozenset({"nurse-outreach"}), frozenset({"*"})
        )
    task = await running.call()
    for number in range(ROUNDS):
        answers = await asyncio.gather(
            *(running.act(task, "accept", token=name, key=f"{number}") for name in names)
        )
        won = [name for name, one in zip(names, answers, strict=True) if one.status_code == 200]
        refused = [one.json() for one in answers if one.status_code == 409]
        (owned,) = [one.json()["task"] for one in answers if one.status_code == 200]

        assert len(won) == 1
        assert len(refused) == AT_ONCE - 1
        assert {one["reason"] for one in refused} == {"not-possible-now"}
        assert {one["current"]["owner"] for one in refused} == {owned["owner"]} == set(won)

        released = await running.act(owned, "release", token=won[0], key=f"{number}")
        task = released.json()["task"]
        assert (released.status_code, task["owner"]) == (200, None)

    about = [r for r in running.audit() if f"task/{task['task_id']}" in r["objects"]]
    history = (await running.get(f"/tasks/{task['task_id']}/history"))["items"]

    assert Counter(r["outcome"] for r in about if r["action"] == "act") == {
        "success": 2 * ROUNDS,
        "conflict": ROUNDS * (AT_ONCE - 1),
    }
    assert len(history) == 2 * ROUNDS + 1
