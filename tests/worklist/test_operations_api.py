"""``/api/v1/ops``: lag, feeds, dead letters; who sees what, and that nothing unknown becomes 0."""

import base64
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from orchestrator.ops.lag import Position, Reading, Sample
from orchestrator.stream.sqlite_log import Log
from orchestrator.worklist.access.roles import principal
from tests.worklist.world import World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

CANARY = b'{"specversion": "1.0", "name": "CANARY-7f3a"'  # broken off


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("operations"), patients=2) as made:
        with Log.open(made.folder) as log:
            for number in range(3):
                log.append("care.discharge.v1", None, CANARY + b" " * number)
        await made.until(
            "/ops/dead-letters", lambda found: len(found["items"]) == 3, "demo-operator"
        )
        yield made


async def test_what_could_not_be_taken_is_listed_without_its_bytes(shared: World) -> None:
    """Reason, place and size; what stood in it is nowhere."""
    found = await shared.get("/ops/dead-letters", "demo-operator")
    one = await shared.get(f"/ops/dead-letters/{found['items'][0]['id']}", "demo-operator")

    assert [item["size"] for item in found["items"]] == [len(CANARY) + n for n in range(3)]
    assert {item["reason"] for item in found["items"]} == {"malformed"}
    assert found["counts"][0]["count"] == 3
    assert one == {**found["items"][0], "edits": []}
    assert "CANARY" not in str(found)


async def test_dead_letters_come_in_pages(shared: World) -> None:
    """Each once; a cursor is good for its own list alone."""
    first = await shared.get("/ops/dead-letters", "demo-operator", limit=2)
    second = await shared.get("/ops/dead-letters", "demo-operator", limit=2, cursor=first["next"])
    async with shared.client("demo-operator") as client:
        other = await client.get(
            "/ops/dead-letters", params={"cursor": first["next"], "reason": "malformed"}
        )

    ids = [item["id"] for item in (*first["items"], *second["items"])]
    assert len(set(ids)) == 3
    assert second["next"] is None
    assert other.status_code == 400


async def test_bytes_are_for_stewards_who_say_what_for(shared: World) -> None:
    """Written down first, with the purpose; an operator or a short word gets none."""
    (letter, *_) = (await shared.get("/ops/dead-letters", "demo-data-steward"))["items"]
    path, purpose = f"/ops/dead-letters/{letter['id']}/raw", "a feed that breaks off"
    answers: dict[str, Any] = {}
    for token in ("demo-data-steward", "demo-operator", "demo-rn"):
        async with shared.client(token) as client:
            answers[token] = await client.post(path, json={"purpose": purpose})
    async with shared.client("demo-data-steward") as client:
        short = await client.post(path, json={"purpose": "why not"})
    told = [record for record in shared.audit() if record["action"] == "raw"]

    assert base64.b64decode(answers["demo-data-steward"].json()["value_base64"]) == CANARY
    assert answers["demo-operator"].status_code == answers["demo-rn"].status_code == 403
    assert short.status_code == 422
    assert [(r["outcome"], r["purpose"]) for r in told if r["outcome"] == "success"] == [
        ("success", purpose)
    ]


async def test_a_letter_of_another_facility_is_not_there(shared: World) -> None:
    """Who works for one facility opens no letter of another, nor one that names none."""
    shared.people.known["gen-steward"] = principal(
        "gen-steward", frozenset({"data-steward"}), frozenset(), frozenset({"GEN"})
    )
    (letter, *_) = (await shared.get("/ops/dead-letters", "demo-data-steward"))["items"]
    listed = await shared.get("/ops/dead-letters", "gen-steward")
    async with shared.client("gen-steward") as client:
        response = await client.post(
            f"/ops/dead-letters/{letter['id']}/raw", json={"purpose": "a feed that breaks off"}
        )

    assert (listed["items"], listed["counts"]) == ([], [])
    assert response.status_code == 404


async def test_feeds_say_when_they_were_heard_of(shared: World) -> None:
    """Per facility, how often it should speak and whether it is silent."""
    found = (await shared.get("/ops/feeds", "demo-operator"))["items"]

    assert {feed["facility"] for feed in found} >= {"GEN", "MID"}
    assert all(feed["heard_at"] is not None and not feed["silent"] for feed in found)
    assert {feed["dead_letters_24h"] for feed in found} == {0}


async def test_lag_that_nobody_has_seen_is_not_zero(shared: World) -> None:
    """Without a sample there is none, and its instant says so."""
    assert await shared.get("/ops/lag", "demo-operator") == {"sampled_at": None, "readers": []}
    assert (await shared.get("/ops/deadlines", "demo-operator"))["backlog"] is None


async def test_lag_is_that_of_the_last_sample(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By reader, unknown as null."""
    known = Reading("decide", "care.journal.v1", 0, 0, 10, 7, 5_000_000)
    unknown = Reading("decide", "care.journal.v1", 1, 0, 4, None)
    sample = Sample(
        6_000_000,
        "embedded",
        (Position(known, 3, 1.0, "LAGGING"), Position(unknown, None, None, "UNKNOWN")),
        deadlines=2,
    )
    watch = SimpleNamespace(sampler=SimpleNamespace(sample=sample))
    monkeypatch.setattr(shared.site, "watch", watch)
    found = await shared.get("/ops/lag", "demo-operator")

    assert found["sampled_at"] == "1970-01-01T00:00:06Z"
    assert [(r["lag"], r["lag_s"], r["state"]) for r in found["readers"]] == [
        (3, 1.0, "LAGGING"),
        (None, None, "UNKNOWN"),
    ]
    assert (await shared.get("/ops/deadlines", "demo-operator"))["backlog"] == 2


@pytest.mark.parametrize("path", ["lag", "deadlines", "feeds", "dead-letters"])
async def test_operations_are_for_operators(shared: World, path: str) -> None:
    """A nurse has no business there."""
    async with shared.client("demo-rn") as client:
        response = await client.get(f"/ops/{path}")

    assert response.status_code == 403
