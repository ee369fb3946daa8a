"""Hostile requests: each is answered below 500, at once, without repeating what it said."""

import asyncio
import base64
import io
import logging
from collections.abc import AsyncIterator, Iterator

import httpx
import orjson
import pytest
import pytest_asyncio
import structlog

from orchestrator import log
from orchestrator.worklist.access.roles import principal
from orchestrator.worklist.api import bodies
from tests.worklist.world import World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

CANARY = "CANARY-7f3a"
DEEP = "[" * 100_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("hostile"), patients=2) as made:
        yield made


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What the product's own logging writes."""
    out = io.StringIO()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    log.configure("info", "json", out)
    yield out
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


async def post(made: World, path: str, content: bytes | str, **headers: str) -> httpx.Response:
    said = {"content-type": "application/json", "Idempotency-Key": "h", **headers}
    async with made.client() as client:
        return await client.post(path, content=content, headers=said)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"note": "a", "note": "CANARY-7f3a"}', "malformed"),
        ('{"note": NaN}', "malformed"),
        ('{"note": "\\ud800"}', "malformed"),
        ('{"note": "a\\u0000"}', "malformed"),
        ('{"note": "CANARY-7f3a"} trailing', "malformed"),
        ("{", "malformed"),
        (b"\xff\xfe{\x00}\x00", "malformed"),
        (DEEP, "malformed"),
        ('{"note": ' + "9" * 5000 + "}", "malformed"),
        ('{"note": 1e999}', "malformed"),
        ('{"Note": "CANARY-7f3a"}', "unprocessable"),
        ('{"note": "a", "__proto__": {"x": 1}}', "unprocessable"),
        ('{"note": "a", "__class__": "CANARY-7f3a"}', "unprocessable"),
        ('{"note": {"$where": "CANARY-7f3a"}}', "unprocessable"),
        ("[]", "unprocessable"),
        ("null", "unprocessable"),
        ('"CANARY-7f3a"', "unprocessable"),
        ("{" + ",".join(f'"k{n}": 1' for n in range(50_000)) + "}", "unprocessable"),
        ('{"note": "' + "x" * 1_100_000 + '"}', "too-large"),
    ],
)
async def test_json_that_means_no_one_thing_is_refused(
    shared: World, content: bytes | str, reason: str
) -> None:
    """Duplicate keys, NaN, lone surrogates, depth, size: refused by name, nothing repeated."""
    task = await shared.call()
    response = await post(shared, f"/tasks/{task['task_id']}/note", content)

    assert response.status_code < 500
    assert response.json()["reason"] == reason
    assert CANARY not in response.text


async def test_nothing_has_no_type(shared: World) -> None:
    """Clients call an empty body what they like; there is nothing to be read of it."""
    task = await shared.call()
    headers = {
        "content-type": "application/octet-stream",
        "Idempotency-Key": "n",
        "If-Match": '"9"',
    }
    async with shared.client() as client:
        response = await client.post(f"/tasks/{task['task_id']}/release", headers=headers)

    assert response.status_code != 415, response.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/xml"}, 415),
        ({"content-type": "application/json; charset=utf-16"}, 415),
        ({"content-type": "multipart/form-data; boundary=x"}, 415),
        ({"content-encoding": "gzip"}, 415),
        ({"accept": "application/xml"}, 406),
        ({"accept": "text/html;q=1, application/json;q=0"}, 406),
        ({"Idempotency-Key": "x" * 129}, 400),
        ({"Idempotency-Key": "a\tb"}, 400),
        ({"Idempotency-Key": " "}, 400),
        ({"If-Match": "*"}, 400),
        ({"If-Match": '"1", "2"'}, 400),
        ({"If-Match": "1"}, 400),
        ({"If-Match": '"99999999999999999999999"'}, 400),
        ({"X-HTTP-Method-Override": "DELETE"}, 200),
        ({"Prefer": "wait=99999999999999999999"}, 200),
    ],
)
async def test_headers_are_read_strictly(
    shared: World, headers: dict[str, str], status: int
) -> None:
    """A header of the wrong form is refused; one that is not ours changes nothing."""
    task = await shared.call()
    response = await post(shared, f"/tasks/{task['task_id']}/note", '{"note": "hello"}', **headers)

    assert response.status_code == status, response.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/tasks/..%2f..%2fetc%2fpasswd", (400, 404)),
        ("GET", "/tasks/%2e%2e", (400, 404)),
        ("GET", "/tasks/" + "x" * 129, (400, 404)),
        ("GET", "/tasks/CANARY-7f3a%00", (400, 404)),
        ("GET", "/tasks/CANARY-7f3a' OR '1'='1", (400, 404)),
        ("GET", "/patients/CANARY-7f3a", (400, 404)),
        ("GET", "/gaps/CANARY-7f3a", (404,)),
        ("GET", "/tasks?owner=' OR 1=1 --CANARY-7f3a", (200,)),
        ("GET", "/tasks?owner=" + "x" * 129, (400,)),
        ("GET", "/tasks?limit=1e9", (400,)),
        ("GET", "/tasks?limit=99999999999999999999", (400,)),
        ("GET", "/changes?after=' OR 1=1", (400,)),
        ("GET", "/patients/" + "0" * 32 + "/timeline?cursor=!", (400,)),
        ("GET", "/patients/" + "0" * 32 + "/timeline?cursor=9999999999999999999999", (400, 404)),
        ("DELETE", "/tasks", (405,)),
        ("TRACE", "/tasks", (405,)),
        ("GET", "/nowhere", (404,)),
        ("GET", "//tasks", (404,)),
        ("GET", "/tasks/", (404,)),
    ],
)
async def test_addresses_lead_nowhere_else(
    shared: World, method: str, path: str, status: tuple[int, ...]
) -> None:
    """No traversal, no SQL, no path but ours; the problem repeats nothing of it."""
    async with shared.client() as client:
        response = await client.request(method, f"http://test/api/v1{path}")

    assert response.status_code in status, response.text
    assert CANARY not in response.text
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json"


def forged(cursor: str, *values: object) -> str:
    """A real cursor with other values in it."""
    name = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))[0]
    return base64.urlsafe_b64encode(orjson.dumps([name, *values])).decode().rstrip("=")


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ((2**63, 0, "x"), 400),
        ((2**64 - 1, -(2**63), "x"), 400),
        ((1.5, 0, "x"), 400),
        ((None, None, None), 400),
        ((True, 0, "x"), 400),
        (([], {}, "x"), 400),
        ((0, 0), 400),
        ((0, 0, "x", 0), 400),
        (("' OR 1=1 --", "CANARY-7f3a", 0), 200),
        ((-(2**63), -(2**63), ""), 200),
    ],
)
async def test_a_forged_cursor_opens_nothing(
    shared: World, values: tuple[object, ...], status: int
) -> None:
    """It is a place in a list that its bearer may see anyway; what no row has is refused."""
    shared.people.known["gen"] = principal(
        "gen", frozenset({"rn"}), frozenset({"nurse-outreach", "pharmacy"}), frozenset({"GEN"})
    )
    cursor = (await shared.get("/tasks", "gen", limit=1))["next"]
    async with shared.client("gen") as client:
        response = await client.get(
            "/tasks", params={"cursor": forged(cursor, *values), "limit": 1}
        )

    assert response.status_code == status, response.text
    assert CANARY not in response.text
    if status == 200:
        assert {item["facility"] for item in response.json()["items"]} <= {"GEN"}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("&".join(f"team=t{n}" for n in range(101)), 400),
        ("&".join(["status=requested"] * 101), 400),
        ("owner=" + "%00", 400),
        ("owner=%ff%fe", 200),
        ("facility=%F0%9F%98%80", 200),
        ("due_before=0001-01-01T00:00:00%2B23:59", 200),
        ("due_before=9999-12-31T23:59:59-23:59", 200),
        ("due_before=2026-10-06T24:00:00Z", 400),
        ("limit=%D9%A1", 400),
        ("overdue[]=true", 400),
        ("__proto__=x", 400),
    ],
)
async def test_queries_are_read_strictly(shared: World, query: str, status: int) -> None:
    """Ends of time, countless values, bytes that are no text: refused or harmless."""
    async with shared.client() as client:
        response = await client.get(f"/tasks?{query}")

    assert response.status_code == status, response.text


async def test_a_head_that_is_too_large_is_refused(shared: World) -> None:
    """Also one that came at once: 431, and nothing of it is kept."""
    async with shared.client() as client:
        response = await client.get("/tasks", headers={"X-Padding": CANARY * 3_000})

    assert (response.status_code, response.json()["reason"]) == (431, "headers-too-large")
    assert CANARY not in response.text


async def test_a_body_that_does_not_come_is_not_waited_for(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """408: who sends a byte now and then holds nothing up."""
    monkeypatch.setattr(bodies, "READ_S", 0.1)

    async def slow() -> AsyncIterator[bytes]:
        yield b'{"note": "'
        while True:
            await asyncio.sleep(0.02)
            yield b"x"

    task = await shared.call()
    headers = {"content-type": "application/json", "Idempotency-Key": "slow"}
    async with shared.client() as client:
        response = await client.post(
            f"/tasks/{task['task_id']}/note", content=slow(), headers=headers
        )

    assert (response.status_code, response.json()["reason"]) == (408, "request-timeout")


async def test_who_is_not_known_is_refused_before_their_body_is_read(shared: World) -> None:
    """A parser that is open to anyone is a door: not a byte is asked for."""

    read: list[bytes] = []

    async def asked() -> AsyncIterator[bytes]:
        read.append(b"{}")
        yield read[-1]

    async with shared.client("nobody") as client:
        response = await client.post("/tasks/x/note", content=asked())

    assert (response.status_code, read) == (401, [])


@pytest.mark.parametrize("given", ["a" * 65, "a b", "", "x\ty", "ü"])
async def test_a_request_id_that_is_none_is_not_echoed(shared: World, given: str) -> None:
    """It goes to the audit and back to the caller: only harmless characters do."""
    async with shared.client() as client:
        headers = [(b"X-Request-ID", given.encode())]
        response = await client.get("/me", headers=headers)

    assert response.status_code == 200
    assert response.headers["x-request-id"] != given


async def test_a_bug_of_ours_tells_nothing(
    shared: World, monkeypatch: pytest.MonkeyPatch, logged: io.StringIO
) -> None:
    """500 with a problem: no stack, no value; the log has type and place alone."""

    async def broken(_question: object) -> None:
        raise KeyError(CANARY)

    monkeypatch.setattr(shared.site.reader, "ask", broken)
    async with shared.client() as client:
        response = await client.get("/tasks")

    assert (response.status_code, response.json()["reason"]) == (500, "internal")
    assert CANARY not in response.text
    assert '"http.failed"' in logged.getvalue()
    assert "KeyError" in logged.getvalue()
    assert CANARY not in logged.getvalue()


async def test_no_patient_stands_in_a_metric(shared: World) -> None:
    """Labels are words of the program: routes by their pattern, never by what was asked."""
    from prometheus_client import generate_latest

    from orchestrator.worklist import measures

    task = await shared.call()
    await shared.get(f"/tasks/{task['task_id']}")
    text = generate_latest(measures.REGISTRY).decode()

    assert 'route="/api/v1/tasks/{task_id}"' in text
    assert task["task_id"] not in text
    assert "MRN" not in text
    assert task["patient_key"] not in text
