"""Hostile requests at every door: each route of JSON, FHIR and pages answers below 500."""

import gzip
import re
import zlib
from collections.abc import AsyncIterator
from typing import Final

import httpx
import pytest
import pytest_asyncio
from fastapi.routing import APIRoute

from orchestrator.worklist.pages.guard import PageRoute
from tests.worklist.world import World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

CANARY: Final = "CANARY-7f3a"
PARAMETER: Final = re.compile(r"\{[^}]+\}")
STREAMS: Final = ("/stream", "/live/")
BOMB: Final = b'{"note": "' + b"x" * 20_000_000 + b'"}'  # a thousandth of it once packed

WORDS: Final = (
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "%252e%252e%252f",
    "%c0%ae%c0%ae%c0%af",  # dots and a slash in more bytes than they need
    "..%5c..%5c",
    "CANARY-7f3a%00.html",
    "%ff%fe",
    "%0d%0aX-Injected:%20CANARY-7f3a",
    "CANARY-7f3a'%20OR%20'1'='1",
    "%3Cscript%3ECANARY-7f3a",
    "%E2%80%AECANARY-7f3a",
    "%F0%9F%98%80" * 20,
    "x" * 3_000,
    "0" * 32,
    "-1",
    "1e999",
    "9" * 400,
    "__proto__",
    ";CANARY-7f3a=1",
)
QUERIES: Final = (
    "&".join(f"k{n}" for n in range(10_000)),
    "&".join(["cursor=x"] * 5_000),
    "limit=&cursor=&owner=&team=&facility=",
    "_count=1000000000&_sort=CANARY-7f3a&_include=Task:CANARY-7f3a&_revinclude=*",
    "_method=DELETE&_format=CANARY-7f3a",
    "%ff=%fe&%00=%00&=&&&",
    "cursor[$where]=1&cursor[]=1",
    "at=CANARY-7f3a&rows=1,,,2&" + "9" * 500,
    "next=//CANARY-7f3a.example&back=//CANARY-7f3a.example",
    "range=CANARY-7f3a&show=CANARY-7f3a&status=CANARY-7f3a",
)
HEADS: Final[tuple[dict[str, str | bytes], ...]] = (
    {"Cookie": "; ".join(f"c{n}=CANARY-7f3a" for n in range(1_000))},
    {"Cookie": "care_session=CANARY-7f3a; care_session=\x01; care_visitor=" + "x" * 5_000},
    {"Cookie": b"care_session=\xff\xfe\xc0\xae"},
    {"Authorization": b"Bearer \xff\xfe"},
    {"Authorization": "Bearer " + "x" * 20_000},
    {"Authorization": "Basic Og=="},
    {"Authorization": "Bearer\tCANARY-7f3a"},
    {"Accept": "CANARY-7f3a/*;q=x, */*;;;,,,"},
    {"Accept-Encoding": "gzip;q=CANARY-7f3a, br, *;q=0"},
    {"Accept-Language": "x" * 5_000},
    {"If-None-Match": '*, W/"CANARY-7f3a", "'},
    {"If-Modified-Since": "CANARY-7f3a"},
    {"If-Match": "CANARY-7f3a"},
    {"Range": "bytes=0-,5-1,CANARY-7f3a"},
    {"Last-Event-ID": "CANARY-7f3a.999999999999999999999999"},
    {"Prefer": "wait=CANARY-7f3a, return=CANARY-7f3a"},
    {"HX-Request": "true", "HX-Current-URL": "javascript:CANARY-7f3a"},
    {"X-Forwarded-Host": "CANARY-7f3a.example", "X-Forwarded-Proto": "CANARY-7f3a"},
    {"X-HTTP-Method-Override": "DELETE", "X-Original-URL": "/CANARY-7f3a"},
    {"Host": "elsewhere.example"},  # FHIR's links name the host that was asked
    {"Content-Type": "CANARY-7f3a", "Content-Encoding": "CANARY-7f3a"},
    {"Sec-Fetch-Site": "CANARY-7f3a", "Origin": "null"},
)
# Itself, and another server that a client of ours could be made to ask.
CIRCLE: Final = (
    b'{"resourceType": "Task", "contained": [{"resourceType": "Task", "id": "a"}],'
    b' "basedOn": [{"reference": "#a"}, {"reference": "http://169.254.169.254/CANARY-7f3a"}]}'
)
JSON: Final = {"content-type": "application/json"}
FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
MULTI: Final = {"content-type": "multipart/form-data; boundary=x"}
BODIES: Final[tuple[tuple[dict[str, str], bytes], ...]] = (
    ({**JSON, "content-encoding": "gzip"}, gzip.compress(BOMB)),
    ({**JSON, "content-encoding": "deflate"}, zlib.compress(BOMB)),
    (JSON, gzip.compress(BOMB)),
    (JSON, b'\xef\xbb\xbf{"note": "CANARY-7f3a"}'),
    (JSON, '{"note": "CANARY-7f3a"}'.encode("utf-16")),
    (JSON, b'{"note": "\xc0\xae\xe0\x80\xae"}'),
    (JSON, b'{"note":' * 50_000),
    (JSON, b'{"note": "a", "note": "CANARY-7f3a"}'),
    (JSON, b"[" + b"{}," * 100_000 + b"{}]"),
    (JSON, b'{"a": ' + b"9" * 10_000 + b"}"),
    (JSON, b'"' + b"x" * 1_100_000 + b'"'),
    (JSON, b""),
    ({"content-type": "application/fhir+json"}, b'{"resourceType": "CANARY-7f3a", "id": "../x"}'),
    (
        {"content-type": "application/fhir+json"},
        CIRCLE,
    ),
    (
        {"content-type": "application/json-patch+json"},
        b'[{"op": "replace", "path": "/__proto__/~2/-1", "value": {"$where": "CANARY-7f3a"}}]',
    ),
    (FORM, b"&".join(b"k%d=CANARY-7f3a" % n for n in range(10_000))),
    (FORM, b"name=%ff%00&password=" + b"x" * 100_000),
    ({**FORM, "content-encoding": "gzip"}, gzip.compress(BOMB)),
    (MULTI, b"--x\r\nContent-Disposition: form-data; name=CANARY-7f3a\r\n\r\n"),
    (MULTI, b"--x\r\nContent-Disposition: form-data; name=a; filename=../../a\r\n\r\n" * 2_000),
    (MULTI, b"--x\r\n" + b"X" * 100_000),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("doors"), patients=2) as made:
        yield made


def routes(made: World, *methods: str) -> list[tuple[str, str, bool]]:
    """Method, path, and whether it is a page; no streams, which do not end."""
    return [
        (method, route.path, isinstance(route, PageRoute))
        for route in made.app.routes
        if isinstance(route, APIRoute) and not any(one in route.path for one in STREAMS)
        for method in sorted((route.methods or set()) & set(methods))
    ]


def judged(response: httpx.Response) -> str | None:
    """What is wrong with an answer."""
    said = f"{response.request.method} {str(response.request.url)[:80]}: {response.status_code}"
    if response.status_code >= 500:
        return f"{said} {response.text[:200]}"
    location = response.headers.get("location", "")
    own = location.startswith("/") and not location.startswith(("//", "/\\"))
    repeats = CANARY in str([one for one in response.headers.items() if one[0] != "location"])
    if "x-injected" in response.headers or repeats or (location and not own):
        return f"{said}: {response.headers}"
    if CANARY in response.text and "html" not in response.headers["content-type"]:
        return f"{said} repeats what it was asked"
    if f"<script>{CANARY}" in response.text:
        return f"{said} runs what it was asked"
    return None


async def test_no_word_in_an_address_breaks_a_door(shared: World) -> None:
    """Traversal, bytes that are no text, injection, great lengths, in each place of each path."""
    wrong = []
    client, browser = shared.client(), shared.browser()
    async with client, browser:
        for _, path, page in routes(shared, "GET"):
            if "{" not in path:
                continue
            for word in WORDS:
                url = "http://test" + PARAMETER.sub(lambda _, w=word: w, path)  # type: ignore[misc]
                wrong.append(judged(await (browser.client if page else client).get(url)))

    assert len(wrong) > 300
    assert [one for one in wrong if one] == []


async def test_no_query_breaks_a_door(shared: World) -> None:
    """Ten thousand parameters, none, forged cursors, other servers' words."""
    wrong = []
    client, browser = shared.client(), shared.browser()
    async with client, browser:
        for _, path, page in routes(shared, "GET"):
            for query in QUERIES:
                url = f"http://test{PARAMETER.sub('x', path)}?{query}"
                wrong.append(judged(await (browser.client if page else client).get(url)))

    assert len(wrong) > 400
    assert [one for one in wrong if one] == []


@pytest.mark.parametrize("path", ["/api/v1/tasks", "/fhir/Task", "/work", "/sign-in", "/nowhere"])
async def test_no_head_breaks_a_door(shared: World, path: str) -> None:
    """A thousand cookies, bytes that are no text, words for proxies that we do not have."""
    wrong = []
    client, browser = shared.client(), shared.browser()
    async with client, browser:
        for said in HEADS:
            headers = [(name, value) for name, value in said.items()]
            for asking in (client, browser.client):
                request = asking.build_request("GET", f"http://test{path}")
                for name, value in headers:
                    raw = value if isinstance(value, bytes) else value.encode("latin-1")
                    kept = [
                        one
                        for one in request.headers.raw
                        if one[0].lower() != name.lower().encode()
                    ]
                    request.headers = httpx.Headers([*kept, (name.encode(), raw)])
                wrong.append(judged(await asking.send(request)))

    assert [one for one in wrong if one] == []


async def test_no_body_breaks_a_door(shared: World) -> None:
    """Bombs, other encodings, depth, repeated names, forms without end, at all that takes one."""
    wrong = []
    client, browser = shared.client(), shared.browser()
    async with client, browser:
        for method, path, page in routes(shared, "POST", "PUT", "PATCH", "DELETE"):
            if path == "/sign-out":
                continue
            for headers, body in BODIES:
                said = {**headers, "Idempotency-Key": "h", "If-Match": '"1"'}
                if page:
                    said |= {"Sec-Fetch-Site": "same-origin", "X-CSRF-Token": browser.csrf}
                asking = browser.client if page else client
                url = "http://test" + PARAMETER.sub("x", path)
                answer = await asking.request(method, url, content=body, headers=said)
                wrong.append(judged(answer))

    assert len(wrong) > 500
    assert [one for one in wrong if one] == []
