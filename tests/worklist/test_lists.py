"""Lists: filters, order, pages, freshness; single things and what may be asked of them."""

from typing import Any

import pytest

from orchestrator.worklist.api import exports
from orchestrator.worklist.model import lists
from tests.worklist.world import PATIENTS, World


async def test_a_list_tells_how_fresh_it_is(running: World) -> None:
    """An empty list and a late one look alike, so each says up to when it is complete."""
    found = await running.until("/tasks", lambda f: f["freshness"]["state"] == "current")

    assert set(found) == {"items", "next", "total", "freshness"}
    assert found["freshness"]["data_until"] is not None
    assert found["freshness"]["silent_feeds"] == []


@pytest.mark.parametrize(
    "sort",
    ["", "priority", "due_at", "-due_at", "-priority,due_at", "-updated_at", "opened_at,-due_at"],
)
async def test_pages_hold_every_task_once(running: World, sort: str) -> None:
    """Whatever the order, following `next` shows each task exactly once, and the total is true."""
    params: dict[str, Any] = {"limit": 2, **({"sort": sort} if sort else {})}
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await running.get("/tasks", **params, **({"cursor": cursor} if cursor else {}))
        seen += [item["task_id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    whole = await running.get("/tasks", limit=500, **({"sort": sort} if sort else {}))

    assert seen == [item["task_id"] for item in whole["items"]]
    assert len(set(seen)) == len(seen) == whole["total"] == 3 * PATIENTS


@pytest.mark.parametrize("sort", ["", "severity", "-severity,-since", "opened_at", "-updated_at"])
async def test_pages_hold_every_gap_once(running: World, sort: str) -> None:
    """Many are equal in all that is sorted by: the order is total all the same."""
    params: dict[str, Any] = {"sort": sort} if sort else {}
    seen: list[str] = []
    cursor: str | None = None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = await running.get("/gaps", limit=3, **params, **more)
        seen += [item["gap_id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    whole = await running.get("/gaps", limit=500, **params)

    assert len(seen) > 3
    assert seen == [item["gap_id"] for item in whole["items"]]
    assert len(set(seen)) == len(seen) == whole["total"]


async def test_the_default_order_is_what_to_do_next(running: World) -> None:
    """Most urgent first, then by due time, then by id, so that two calls agree."""
    found = (await running.get("/tasks", limit=500))["items"]
    rank = {"stat": 0, "asap": 1, "urgent": 2, "routine": 3}

    assert found == sorted(found, key=lambda t: (rank[t["priority"]], t["due_at"], t["task_id"]))


async def test_the_next_page_stands_in_the_link_header(running: World) -> None:
    """A client follows `Link` without knowing how cursors are made (RFC 8288)."""
    async with running.client() as client:
        first = await client.get("/tasks", params={"limit": 4})
        link = first.links["next"]["url"]
        second = await client.get(f"http://test{link}")

    assert second.status_code == 200
    assert {i["task_id"] for i in first.json()["items"]}.isdisjoint(
        i["task_id"] for i in second.json()["items"]
    )


async def test_equal_filters_mean_or_and_different_ones_and(running: World) -> None:
    """`team=a&team=b&facility=GEN`: of either team, all at GEN."""
    found = await running.get("/tasks", team=["nurse-outreach", "pharmacy"], facility="GEN")

    assert {(i["team"], i["facility"]) for i in found["items"]} == {
        ("nurse-outreach", "GEN"),
        ("pharmacy", "GEN"),
    }
    assert found["total"] == len(found["items"]) == PATIENTS


@pytest.mark.parametrize(
    ("params", "holds"),
    [
        ({"status": "completed"}, lambda t: t["status"] == "completed"),
        ({"kind": "MED_REC"}, lambda t: t["kind"] == "MED_REC"),
        ({"owner": "none"}, lambda t: t["owner"] is None),
        ({"owner": "me"}, lambda t: t["owner"] == "demo-supervisor"),
        ({"owner": ["me", "none"]}, lambda t: t["owner"] in (None, "demo-supervisor")),
        ({"priority": "routine"}, lambda t: t["priority"] == "routine"),
        ({"overdue": "true"}, lambda t: t["overdue"]),
        ({"overdue": "false"}, lambda t: not t["overdue"]),
        ({"born_overdue": "true"}, lambda t: t["born_overdue"]),
        ({"attribution": "STAFF"}, lambda t: t["attribution"] == "STAFF"),
        ({"flag": "AMA"}, lambda t: "AMA" in t["flags"]),
        ({"due_before": "2020-01-01T00:00:00Z"}, lambda t: t["due_at"] < "2020"),
        ({"due_after": "2020-01-01T00:00:00Z"}, lambda t: t["due_at"] > "2020"),
        ({"opened_after": "2020-01-01T00:00:00Z"}, lambda _: True),
        ({"updated_after": "2099-01-01T00:00:00Z"}, lambda _: False),
    ],
)
async def test_a_filter_holds_for_all_and_only_its_tasks(
    running: World, params: dict[str, Any], holds: Any
) -> None:
    """What is listed is what meets the filter, no more and no less."""
    await running.act(await running.call(), "accept")
    everything = (await running.get("/tasks", limit=500))["items"]
    found = (await running.get("/tasks", limit=500, **params))["items"]

    assert found == [task for task in everything if holds(task)]


@pytest.mark.parametrize(
    "query",
    [
        "teem=pharmacy",
        "status=open",
        "limit=0",
        "limit=501",
        "sort=name",
        "sort=due_at,due_at",
        "cursor=AAAA",
        "cursor=!",
        "due_before=yesterday",
        "due_before=2026-10-06T10:00:00",
        "patient_key=MRN1",
        "overdue=perhaps",
    ],
)
async def test_a_parameter_that_is_not_understood_is_refused(running: World, query: str) -> None:
    """A misspelt filter must not widen a list of patients; the answer repeats no value."""
    async with running.client() as client:
        response = await client.get(f"/tasks?{query}")

    assert response.status_code == 400
    assert response.json()["reason"] == "malformed"
    assert query.partition("=")[2] not in response.text or query == "limit=0"


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/tasks", "due_before=2030-01-01T00:00:00Z&due_before=2020-01-01T00:00:00Z"),
        ("/tasks", "limit=1&limit=2"),
        ("/tasks", "sort=due_at&sort=due_at"),
        ("/tasks", "cursor=AAAA&cursor=AAAA"),
        ("/tasks", "overdue=true&overdue=false"),
        ("/tasks.csv", "sort=due_at&sort=-due_at"),
        ("/gaps", "opened_after=2020-01-01T00:00:00Z&opened_after=2030-01-01T00:00:00Z"),
        ("/changes", "caused_by=a&caused_by=b"),
        ("/stream", "types=task&types=gap"),
    ],
)
async def test_a_parameter_of_one_value_is_said_once(running: World, path: str, query: str) -> None:
    """Of two, one would be lost in silence; the answer names the parameter, not what it held."""
    async with running.client() as client:
        response = await client.get(f"{path}?{query}")
    name = query.partition("=")[0]

    assert response.status_code == 400
    assert [(e["pointer"], e["code"]) for e in response.json()["errors"]] == [
        (f"query:{name}", "repeated")
    ]


async def test_a_cursor_is_good_for_its_own_list_alone(running: World) -> None:
    """With another filter it would skip and repeat."""
    cursor = (await running.get("/tasks", limit=2))["next"]
    async with running.client() as client:
        response = await client.get("/tasks", params={"cursor": cursor, "kind": "MED_REC"})

    assert (response.status_code, response.json()["reason"]) == (400, "malformed")


async def test_a_task_has_a_version_tag(running: World) -> None:
    """`ETag` is the version; who has it already is told so."""
    task = await running.call()
    async with running.client() as client:
        first = await client.get(f"/tasks/{task['task_id']}")
        again = await client.get(
            f"/tasks/{task['task_id']}", headers={"If-None-Match": first.headers["etag"]}
        )

    assert first.headers["etag"] == f'"{task["version"]}"'
    assert first.json() == task
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("said", ['W/"{}"', '"0", "{}"', "*", '"0",W/"{}"'])
async def test_a_version_tag_may_stand_among_others(running: World, said: str) -> None:
    """`If-None-Match` is a list, weakly compared (RFC 9110)."""
    task = await running.call()
    async with running.client() as client:
        found = await client.get(
            f"/tasks/{task['task_id']}",
            headers={"If-None-Match": said.format(task["version"])},
        )
        other = await client.get(
            f"/tasks/{task['task_id']}", headers={"If-None-Match": '"0", W/"99"'}
        )

    assert (found.status_code, other.status_code) == (304, 200)


async def test_a_gap_has_a_version_tag_and_a_transition_none(running: World) -> None:
    """A transition is shown with its tasks: its own version tells nothing of them."""
    (gap,) = (await running.get("/gaps", limit=1))["items"]
    task = await running.call()
    async with running.client() as client:
        first = await client.get(f"/gaps/{gap['gap_id']}")
        tag = {"If-None-Match": first.headers["etag"]}
        again = await client.get(f"/gaps/{gap['gap_id']}", headers=tag)
        transition = await client.get(f"/transitions/{task['transition_id']}")

    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert "etag" not in transition.headers


async def test_more_than_are_counted_have_no_total(
    running: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counting a hundred thousand would take longer than the page; up to the limit it is exact."""
    whole = (await running.get("/tasks", limit=500))["total"]
    monkeypatch.setattr(lists, "COUNTED_TO", whole)
    exact = (await running.get("/tasks", limit=1))["total"]
    monkeypatch.setattr(lists, "COUNTED_TO", whole - 1)
    beyond = (await running.get("/tasks", limit=1))["total"]

    assert (exact, beyond) == (whole, None)


async def test_an_export_that_is_too_long_is_none(
    running: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather no table than one that lacks its end."""
    whole = (await running.get("/tasks", limit=500))["total"]
    monkeypatch.setattr(exports, "ROWS_MAX", whole)
    async with running.client() as client:
        fits = await client.get("/tasks.csv")
        monkeypatch.setattr(exports, "ROWS_MAX", whole - 1)
        longer = await client.get("/tasks.csv")

    assert (fits.status_code, len(fits.text.splitlines())) == (200, whole + 1)
    assert (longer.status_code, longer.json()["reason"]) == (413, "too-large")


async def test_a_version_that_is_not_here_yet_is_waited_for(running: World) -> None:
    """`min_version` on another replica waits for it instead of showing an older one."""
    task = await running.call()
    done = await running.act(task, "accept")
    version = done.json()["task"]["version"]
    found = await running.get(f"/tasks/{task['task_id']}", min_version=version)

    assert found["version"] >= version > task["version"]


async def test_a_tasks_history_has_each_version(running: World) -> None:
    """Oldest first, each with the sentence that said why."""
    task = await running.call()
    await running.act(task, "accept")
    found = (await running.get(f"/tasks/{task['task_id']}/history"))["items"]

    assert [change["task"]["version"] for change in found] == list(range(1, len(found) + 1))
    assert found[0]["why"].startswith("Discharged home from")
    assert found[-1]["task"]["owner"] == "demo-supervisor"


async def test_queues_count_what_the_lists_show(running: World) -> None:
    """The numbers of a team are those of its filters."""
    await running.act(await running.call(), "accept")
    (team,) = [q for q in (await running.get("/queues"))["items"] if q["team"] == "nurse-outreach"]
    unowned = await running.get("/tasks", team="nurse-outreach", owner="none")

    assert team["open"] == PATIENTS
    assert (team["mine"], team["unowned"]) == (1, unowned["total"])


async def test_a_transition_comes_with_its_tasks_and_gaps(running: World) -> None:
    """One discharge: what is owed, and what is missing."""
    task = await running.call()
    found = await running.get(f"/transitions/{task['transition_id']}")

    assert {t["kind"] for t in found["tasks"]} == {"CALL_48H", "PCP_VISIT_7D", "MED_REC"}
    assert all(gap["transition_id"] == task["transition_id"] for gap in found["gaps"])


async def test_gaps_are_listed_gravest_first(running: World) -> None:
    """By severity, then by age."""
    rank = {"critical": 0, "high": 1, "medium": 2, "low": 3, "info": 4}
    found = (await running.get("/gaps", limit=500))["items"]

    assert found
    assert found == sorted(found, key=lambda g: (rank[g["severity"]], g["since"], g["gap_id"]))
    assert await running.get(f"/gaps/{found[0]['gap_id']}") == found[0]


async def test_a_patient_is_found_by_identifier_in_a_body(running: World) -> None:
    """Addresses are logged, so identifiers never stand in one; the key does afterwards."""
    async with running.client() as client:
        response = await client.post("/patients/search", json={"identifier": "GEN|MRN1"})
    (found,) = response.json()["items"]
    card = await running.get(f"/patients/{found['patient_key']}")

    assert (found["open_tasks"], len(card["tasks"])) == (3, 3)
    assert {task["patient"] for task in card["tasks"]} == {"GEN|MRN1"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"identifier": "GEN|MRN1", "name": "Ann", "birth_date": "1950-01-01"},
        {"name": "Ann"},
        {"birth_date": "1950-01-01"},
        {"identifier": "MRN1"},
        {"identifier": "GEN|MRN1", "limit": 5},
        {"identifier": 5},
    ],
)
async def test_a_search_says_one_thing(running: World, body: dict[str, Any]) -> None:
    """An identifier, or a name with a birth date; anything else is refused by its field."""
    async with running.client() as client:
        response = await client.post("/patients/search", json=body)

    assert (response.status_code, response.json()["reason"]) == (422, "unprocessable")


async def test_nobody_is_found_where_nobody_is(running: World) -> None:
    """An unknown identifier is an empty list, as one with nothing open is."""
    async with running.client() as client:
        response = await client.post("/patients/search", json={"identifier": "GEN|NOBODY"})

    assert (response.status_code, response.json()["items"]) == (200, [])


async def test_a_timeline_is_newest_first_and_in_pages(running: World) -> None:
    """All that happened, each entry with who said it or what it followed from."""
    task = await running.call()
    key = task["patient_key"]
    whole = (await running.get(f"/patients/{key}/timeline", limit=500))["items"]
    pages: list[Any] = []
    cursor: str | None = None
    while True:
        more: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
        page = await running.get(f"/patients/{key}/timeline", limit=3, **more)
        pages += page["items"]
        cursor = page["next"]
        if cursor is None:
            break

    assert pages == whole
    assert [c["seq"] for c in whole] == sorted((c["seq"] for c in whole), reverse=True)
    assert {"event.recorded", "task.requested", "transition.opened"} <= {c["change"] for c in whole}


async def test_changes_are_followed_by_their_cursor(running: World) -> None:
    """`next` goes on behind the last one, also when nothing new is there yet."""
    first = await running.get("/changes", limit=500)
    task = await running.call()
    done = await running.act(task, "accept")
    event = done.json()["event_id"]
    after = await running.get("/changes", after=first["next"])
    caused = await running.get("/changes", caused_by=event)

    assert {c["change"] for c in after["items"]} >= {"event.recorded", "task.updated"}
    assert all(event in change["caused_by"] for change in caused["items"])
    assert (await running.get("/changes", after=after["next"]))["items"] == []


async def test_csv_is_the_list_as_a_table(running: World) -> None:
    """The same filter, a header line, CRLF; nothing that a spreadsheet would run."""
    async with running.client() as client:
        response = await client.get("/tasks.csv", params={"kind": "CALL_48H"})
    lines = response.content.decode().split("\r\n")

    assert response.headers["content-type"].startswith("text/csv")
    assert lines[0].startswith("task_id,version,patient")
    assert len(lines) == PATIENTS + 2
    assert lines[-1] == ""
