"""Trying out a policy over the network: who may, what is refused, and what the answer holds."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import pytest_asyncio

from orchestrator.worklist.access.roles import principal
from orchestrator.worklist.what_if import BadDay, days_of
from tests.worklist.world import World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAIT_S: Final = 120.0
HEAD: Final = "version: P9\neffective_from: 2031-01-01T00:00:00Z\n"
# The call after a day, and no visit at all: one due earlier, one gone, the third as it was.
CHANGED: Final = (
    HEAD
    + """
protocols:
  core:
    - {kind: CALL_48H, team: nurse-outreach, rule: ours/call-24h, outreach: true,
       due: {clock: elapsed, length: PT24H}}
    - {kind: MED_REC, team: pharmacy, rule: core/med-rec, due: {clock: calendar, length: P7D},
       completed_by: [prescriber, pharmacist, rn]}
  ama: []
  handoff: []
  custody: []
"""
)


def days(back: int = 3) -> dict[str, str]:
    """A window about now."""
    today = datetime.now(UTC).date()
    return {
        "from": (today - timedelta(days=back)).isoformat(),
        "to": (today + timedelta(days=1)).isoformat(),
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One worklist of six discharged patients, three at each of two facilities."""
    async with world(tmp_path_factory.mktemp("what-if")) as made:
        yield made


async def asked(made: World, token: str = "demo-supervisor", **said: Any) -> Any:
    """What the door answers."""
    async with made.client(token) as client:
        return await client.post("/policy/what-if", json={"policy": CHANGED, **days(), **said})


async def ended(made: World, where: str, token: str = "demo-supervisor") -> dict[str, Any]:
    """The job once it has ended."""
    end = asyncio.get_running_loop().time() + WAIT_S
    while True:
        job: dict[str, Any] = await made.get(where.removeprefix("/api/v1"), token)
        if job["state"] != "running":
            return job
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.05)


async def test_the_same_earlier_and_gone_are_counted(shared: World) -> None:
    """Of six discharges: the calls due earlier, the visits gone, reconciliation as it was."""
    response = await asked(shared)
    assert response.status_code == 202, response.text
    where = response.headers["location"]
    assert where == f"/api/v1/jobs/{response.json()['id']}"
    job = await ended(shared, where)
    assert job["state"] == "done", job
    assert job["result"]["tasks"] == {
        "same": 6, "earlier": 6, "later": 0, "new": 0, "gone": 6, "changed": 0
    }  # fmt: skip


async def test_what_was_is_what_the_tasks_are(shared: World) -> None:
    """The side of the rules in force is no other than what was published."""
    call = await shared.call()
    assert (await shared.act(call, "accept")).status_code == 200
    response = await asked(shared)
    job = await ended(shared, response.headers["location"])
    assert len(job["result"]["items"]) == 12
    for one in job["result"]["items"]:
        task = await shared.get(f"/tasks/{one['task_id']}")
        named = ("due_at", "team", "priority", "status", "status_reason", "rule", "tcm_contact_by")
        assert {name: one["was"][name] for name in named} == {name: task[name] for name in named}
        assert one["patient_key"] == task["patient_key"]
    (accepted,) = [one for one in job["result"]["items"] if one["task_id"] == call["task_id"]]
    # What somebody did about it counts under both: the id is the same.
    assert (accepted["was"]["status"], accepted["now"]["status"]) == ("accepted", "accepted")


BAD_FILES: Final = [
    (HEAD + "colour: blue\n", "line 3", "colour", "known: version"),
    (
        HEAD + "weekend_escalation_hour: 31\n",
        "line 3",
        "weekend_escalation_hour",
        "must be less than or equal to 23",
    ),
    (
        HEAD + "caused_tasks:\n  - kind: RESCHEDULE\n    team: Zoé Müller\n    rule: r\n"
        "    due: {clock: business, length: P1D}\n",
        "line 5",
        "caused_tasks.0.team",
        "must be one of case-management",
    ),
    ("version: [\n", "line 2", "", "is not YAML"),
    (HEAD + "teams: &a [x]\nacute_types: *a\n", "line 4", "", "aliases are not read"),
    (HEAD + "version: P10\n", "line 3", "version", "is given twice"),
    ("effective_from: 2031-01-01T00:00:00Z\n", "line 1", "version", "is missing"),
]


@pytest.mark.parametrize(("text", "line", "field", "allowed"), BAD_FILES)
async def test_a_bad_file_is_refused_with_line_field_and_what_is_allowed(
    shared: World, text: str, line: str, field: str, allowed: str
) -> None:
    """Nothing is started; and no value that stands in the file comes back."""
    response = await asked(shared, policy=text)
    assert response.status_code == 422, response.text
    (error,) = response.json()["errors"]
    assert error["pointer"] == "#/policy"
    assert f"line {error['line']}" == line
    assert error.get("field", "") == field
    assert allowed in error["detail"]
    assert "Müller" not in response.text
    assert "blue" not in response.text


BAD_DAYS: Final = [
    ({"from": "yesterday"}, "#/from"),
    ({"from": "2026-02-30"}, "#/from"),
    ({"to": "2026-01-01T00:00:00"}, "#/to"),
    ({"to": "9999-12-31"}, "#/to"),
    ({"from": "2026-03-02", "to": "2026-03-01"}, "#/to"),
    ({"from": "2026-01-01", "to": "2026-04-01"}, "#/to"),
    ({"from": ""}, "#/from"),
    ({"from": "0001-01-01", "to": "0001-01-02"}, "#/from"),
    ({"from": "0001-01-01T00:00:00Z", "to": "0001-01-02T00:00:00Z"}, "#/from"),
    ({"from": "0001-01-01T00:00:00+12:00"}, "#/from"),
    ({"to": "9999-12-31T00:00:00-12:00"}, "#/to"),
    ({"from": "2101-01-01", "to": "2101-01-02"}, "#/from"),
    ({"from": 3}, "#/from"),
]


@pytest.mark.parametrize(("said", "pointer"), BAD_DAYS)
async def test_a_window_that_is_none_is_refused(
    shared: World, said: dict[str, Any], pointer: str
) -> None:
    """No day, the wrong way round, more than ninety days: 422, and which of the two."""
    response = await asked(shared, **said)
    assert response.status_code == 422, response.text
    assert [one["pointer"] for one in response.json()["errors"]] == [pointer]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12", "America/Santiago"])
async def test_no_day_is_too_much_for_a_zone(zone: str) -> None:
    """The first and the last that are taken, wherever the site is; outside of them a fault."""
    for day in ("1970-01-01", "2100-12-31", "2026-09-06"):
        found = days_of(day, day, zone)
        assert 22 <= (found.until - found.since) / (3600 * 1_000_000) <= 25
    for day in ("0001-01-01", "9999-12-31", "1969-12-31", "2101-01-01"):
        with pytest.raises(BadDay):
            days_of(day, day, zone)


async def test_ninety_days_are_taken_also_over_the_end_of_summer_time(shared: World) -> None:
    """The longest window, an hour longer than 90 times 24."""
    response = await asked(shared, **{"from": "2026-09-01", "to": "2026-11-29"})
    assert response.status_code == 202, response.text
    await ended(shared, response.headers["location"])


@pytest.mark.parametrize("token", ["demo-operator", "demo-supervisor"])
async def test_a_file_that_is_none_by_its_size_is_refused(shared: World, token: str) -> None:
    """Before anything reads it: reading YAML is slow."""
    for policy in (HEAD + "#" * 65_536, {"version": "P9" * 40_000}):
        response = await asked(shared, token, policy=policy)
        assert response.status_code == 422
        assert "at most 64 KiB" in response.json()["detail"]


DEEP: Final = "[" * 60 + "]" * 60
STRANGE: Final = [
    rb'{"version": "\ud800", "effective_from": "2031-01-01T00:00:00Z"}',
    rb'"version: \ud800"',
    b'{"version": 340282366920938463463374607431768211456}',
    b'{"version": "P9", "effective_from": ' + DEEP.encode() + b"}",
    b'{"version": "P9", "effective_from": ' + b"[" * 300 + b"]" * 300 + b"}",
    b'"version: P9\\neffective_from: ' + b"[" * 3000 + b'"',
    b'"version: P9\\neffective_from: 2031-13-45"',
    b'"version: P9\\neffective_from: 2031-01-01T00:00:00Z\\nseal_after_days: '
    + b":".join([b"1"] * 5000)
    + b'"',
    b'"version: !!python/object:os.system P9"',
    b'"a: \\u0007"',
    b"null",
    b"[]",
    b"[[]]",
    b'""',
    b"7",
]


@pytest.mark.parametrize("policy", STRANGE, ids=range(len(STRANGE)))
async def test_what_is_no_policy_at_all_is_a_fault_of_the_sender(
    shared: World, policy: bytes
) -> None:
    """Whatever it is: 400 or 422, and nothing of it in the answer or in a traceback."""
    said = orjson.dumps(days())[:-1] + b',"policy":' + policy + b"}"
    async with shared.client() as client:
        response = await client.post(
            "/policy/what-if", content=said, headers={"Content-Type": "application/json"}
        )
    assert response.status_code in (400, 422), response.text
    assert response.json()["reason"] in ("malformed", "unprocessable")


async def test_no_yaml_of_a_caller_is_read_in_the_servers_process(
    shared: World, monkeypatch: Any
) -> None:
    """A page that somebody waits for does not wait for it."""
    import yaml

    def read(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(yaml, "safe_load", read)
    monkeypatch.setattr(yaml, "SafeLoader", read)
    assert (await asked(shared, policy=HEAD + "colour: blue\n")).status_code == 422
    response = await asked(shared)
    assert response.status_code == 202
    assert (await ended(shared, response.headers["location"]))["state"] == "done"


async def test_a_file_that_takes_too_long_is_refused(shared: World, monkeypatch: Any) -> None:
    """Its process is ended with it."""
    from orchestrator.worklist import reading_policy

    monkeypatch.setattr(reading_policy, "PROGRAM", "import time; time.sleep(600)")
    monkeypatch.setattr(reading_policy, "READ_S", 0.2)
    before = _children()
    response = await asked(shared)
    assert response.status_code == 422
    assert "too long to read" in response.json()["detail"]
    assert _children() == before


async def test_an_unknown_member_is_refused(shared: World) -> None:
    """A misspelt one would be lost in silence."""
    response = await asked(shared, unitl="2026-10-06")
    assert response.status_code == 422
    assert [one["pointer"] for one in response.json()["errors"]] == ["#/unitl"]


async def test_a_policy_may_come_as_json_too(shared: World) -> None:
    """As `GET /policy/{version}` gives it, changed and sent back."""
    whole = await shared.get("/policy/P0")
    whole |= {"version": "P9", "effective_from": "2031-01-01T00:00:00Z"}
    response = await asked(shared, policy=whole)
    assert response.status_code == 202, response.text
    job = await ended(shared, response.headers["location"])
    assert job["result"]["tasks"]["same"] == 18
    assert job["result"]["differing"] == 0
    whole["calls"]["answers"] = 7
    response = await asked(shared, policy=[whole])
    assert response.status_code == 422
    assert "line" not in response.json()["errors"][0]


async def test_an_operator_sees_keys_and_rules_alone(shared: World) -> None:
    """Pseudonymous: the rule instead of the sentence, no identifier anywhere."""
    response = await asked(shared, token="demo-operator")
    job = await ended(shared, response.headers["location"], "demo-operator")
    text = orjson.dumps(job).decode()
    assert "MRN" not in text
    assert "Discharged" not in text
    items = job["result"]["items"]
    assert len(items) == 12
    assert {one["was"]["why"] for one in items} == {"core/call-48h", "core/pcp-visit-7d"}
    assert {one["now"]["why"] for one in items} == {"ours/call-24h", None}
    assert all(len(one["patient_key"]) == 32 for one in items)


async def test_another_facilitys_discharges_are_neither_told_nor_counted(shared: World) -> None:
    """Who sees one facility gets the answer of that one."""
    shared.people.known["gen-only"] = principal(
        "gen-only", frozenset({"supervisor"}), frozenset(), frozenset({"GEN"})
    )
    response = await asked(shared, token="gen-only")
    job = await ended(shared, response.headers["location"], "gen-only")
    assert job["result"]["transitions"] == 3
    assert {one["facility"] for one in job["result"]["items"]} == {"GEN"}
    assert sum(job["result"]["tasks"].values()) == 9


async def test_a_job_is_its_owners_alone(shared: World) -> None:
    """Nobody else learns that there is one."""
    response = await asked(shared)
    where = response.headers["location"].removeprefix("/api/v1")
    async with shared.client("demo-operator") as client:
        assert (await client.get(where)).status_code == 404
    await ended(shared, where)


@pytest.mark.parametrize("role", ["demo-rn", "demo-scheduler", "demo-auditor"])
async def test_who_may_not_is_refused(shared: World, role: str) -> None:
    """Supervisors and operators try out policies."""
    assert (await asked(shared, token=role)).status_code == 403


async def test_who_was_shown_is_recorded_before_anybody_can_read_it(shared: World) -> None:
    """One record of asking, one of the answer with the patients it names."""
    before = len(shared.audit())
    response = await asked(shared)
    job = await ended(shared, response.headers["location"])
    found = shared.audit()[before:]
    (told,) = [one for one in found if one["action"] == "read" and one["rows"]]
    assert set(told["patient_keys"]) == {one["patient_key"] for one in job["result"]["items"]}
    assert told["rows"] == 12
    assert [one["actor"] for one in found if one["action"] == "search"] == ["demo-supervisor"]


async def test_it_publishes_nothing(shared: World) -> None:
    """No task, gap, change or journal record follows from it."""
    from orchestrator.stream.sqlite_log import Log

    def ends() -> dict[str, list[int]]:
        with Log.open(shared.folder) as log:
            # The clock goes on by itself, and who asked is recorded.
            topics = set(log.topics()) - {"care.journal.v1", "care.audit.v1"}
            return {topic: log.end_offsets(topic) for topic in sorted(topics)}

    before = ends()
    response = await asked(shared)
    job = await ended(shared, response.headers["location"])
    assert job["result"]["publishes"] == "nothing"
    assert ends() == before


async def test_a_stopped_job_leaves_no_process(shared: World, monkeypatch: Any) -> None:
    """Its process is ended, and the job says that it was stopped."""
    from orchestrator.worklist.log import trial

    # A question whose answer never comes.
    monkeypatch.setattr(trial, "PROGRAM", "import time; time.sleep(600)")
    before = _children()
    response = await asked(shared)
    where = response.headers["location"].removeprefix("/api/v1")
    children = await _some_children(before)
    async with shared.client() as client:
        assert (await client.post(f"{where}/stop")).status_code == 200
    job = await ended(shared, where)
    assert job["state"] == "stopped"
    assert not any(_lives(child) for child in children)


async def test_the_end_of_the_server_is_the_end_of_the_job(
    tmp_path: Path, monkeypatch: Any
) -> None:
    """Nothing goes on deciding for nobody."""
    from orchestrator.worklist.log import trial

    monkeypatch.setattr(trial, "PROGRAM", "import time; time.sleep(600)")
    async with world(tmp_path, patients=0) as made:
        before = _children()
        assert (await asked(made)).status_code == 202
        children = await _some_children(before)
    assert not any(_lives(child) for child in children)


async def test_a_process_that_dies_is_a_failed_job(shared: World, monkeypatch: Any) -> None:
    """And not one that runs for ever."""
    from orchestrator.worklist.log import trial

    monkeypatch.setattr(trial, "PROGRAM", "raise SystemExit(3)")
    response = await asked(shared)
    job = await ended(shared, response.headers["location"])
    assert (job["state"], job["reason"]) == ("failed", "unavailable")


async def _some_children(before: set[int]) -> set[int]:
    end = asyncio.get_running_loop().time() + WAIT_S
    while True:
        if found := _children() - before:
            return found
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.05)


def _children() -> set[int]:
    """The processes that this one has started; other tests' brokers and browsers among them."""
    own = f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children"
    return {int(word) for word in Path(own).read_text().split()}


def _lives(process: int) -> bool:
    return Path(f"/proc/{process}").exists()
