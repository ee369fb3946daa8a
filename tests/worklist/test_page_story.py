"""A patient's timeline: who called, and what was answered, for whom that may be read."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from orchestrator.worklist.access.roles import principal
from tests.worklist.test_my_work import SCRIPT, page, words
from tests.worklist.world import World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("told"), patients=2) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def called(shared: World) -> dict[str, Any]:
    """A call that was tried once, noted, and completed."""
    task = await shared.call(owner="none")
    path = f"/tasks/{task['task_id']}/report"
    async with shared.browser("demo-rn") as nurse:
        for do, more in (
            ("attempt", {"reached": "voicemail"}),
            ("note", {"note": "Rings at work until five"}),
            ("complete", {"reached": "patient", "note": "Sounds well", **SCRIPT}),
        ):
            version = (await shared.get(f"/tasks/{task['task_id']}"))["version"]
            sent = await nurse.post(path, do=do, version=str(version), key=do, **more)
            assert sent.status_code == 303, sent.text
    return task


async def test_the_timeline_says_who_called_and_what_was_answered(
    shared: World, called: dict[str, Any]
) -> None:
    """By whom and whom they reached in the line, the answers behind `[why]`."""
    told = words(await page(shared, f"/patients/{called['patient_key']}"))
    assert "48-hour call: in progress, by demo-rn: voicemail" in told
    assert "48-hour call done, by demo-rn: patient" in told
    assert "Note, by demo-rn" in told
    assert "Task reported done" not in told  # the same once more
    assert "Rings at work until five" in told
    assert re.search(r"Has the medicines Yes Symptoms None .* Note Sounds well", told)


async def test_a_minimal_view_reads_no_answers(shared: World, called: dict[str, Any]) -> None:
    """That the call was made, and that the rest is hidden."""
    who = principal("m", frozenset({"scheduler"}), frozenset({"nurse-outreach"}), frozenset({"*"}))
    shared.people.known["m"] = who
    told = words(await page(shared, f"/patients/{called['patient_key']}", "m"))
    assert "48-hour call done" in told
    assert "said Hidden for your role" in told
    for text in ("voicemail", "Rings at work", "Sounds well", "Has the medicines"):
        assert text not in told
