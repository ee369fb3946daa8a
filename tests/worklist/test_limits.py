"""How much one person may ask: 50 a second, 60 actions a minute, 6 exports an hour."""

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.worklist import edge
from orchestrator.worklist.limits import Kind, Limits, Rate
from orchestrator.worklist.problems import Problem
from tests.worklist.world import world


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Time stands until it is moved on."""
    now = 1000.0
    monkeypatch.setattr(edge, "elapsed", lambda: now)

    def on(seconds: float) -> None:
        nonlocal now
        now += seconds

    return on


@pytest.mark.parametrize(
    ("kind", "most", "again_s"), [("api", 50, 1), ("actions", 60, 1), ("export", 6, 600)]
)
def test_beyond_the_limit_one_waits(
    clock: Callable[[float], None], kind: Kind, most: int, again_s: int
) -> None:
    """429 with the seconds after which the next one is taken; others are not held up."""
    limits = Limits()
    for _ in range(most):
        limits.take("ann", kind)
    with pytest.raises(Problem) as refused:
        limits.take("ann", kind)
    limits.take("bob", kind)
    clock(again_s)
    limits.take("ann", kind)

    assert refused.value.status_code == 429
    assert refused.value.headers == {"Retry-After": str(again_s)}


async def test_pages_and_json_are_counted_together(tmp_path: Path) -> None:
    """Two doors are not twice as much, and a page says when to try again."""
    limits = Limits({kind: Rate(0.001, 10) for kind in ("api", "actions", "export")})
    async with world(tmp_path, limits=limits, patients=0) as made:
        async with made.client("demo-rn") as client:
            told = [await client.get("/me") for _ in range(6)]
        async with made.browser("demo-rn") as browser:
            shown = [await browser.get("/keys") for _ in range(6)]
        async with made.browser("demo-scheduler") as browser:
            other = await browser.get("/keys")

    assert [response.status_code for response in (*told, *shown)] == [200] * 10 + [429] * 2
    assert int(shown[-1].headers["retry-after"]) >= 1
    assert shown[-1].headers["content-type"].startswith("text/html")
    assert other.status_code == 200
