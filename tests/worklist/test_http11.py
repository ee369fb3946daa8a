"""The door itself, over real sockets: heads that never end, heads that are none, two lengths."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
import pytest
import uvicorn
from uvicorn.server import ServerState

from orchestrator.worklist import http11

CANARY = b"CANARY-7f3a"
WAIT_S = 60.0


async def _app(_scope: Any, receive: Any, send: Any) -> None:
    """Answers with the body it got."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    length = str(len(body)).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]}
    )
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def door() -> AsyncIterator[int]:
    config = uvicorn.Config(
        _app, log_config=None, h11_max_incomplete_event_size=http11.HEAD_BYTES, lifespan="off"
    )
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: http11.Guarded(config, state, {}), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def said(sent: bytes, *, end: bool = False) -> bytes:
    """All that the door answers to *sent*, until it closes."""
    async with door() as port, asyncio.timeout(WAIT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        if end:
            writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer


def problem(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert CANARY not in answer
    found: dict[str, Any] = orjson.loads(body)
    assert head.split()[1] == str(found["status"]).encode()
    return found


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\nX: CANARY-7f3a"])
async def test_a_head_that_does_not_end_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Neither silence nor half a head holds a connection."""
    monkeypatch.setattr(http11, "HEAD_S", 0.2)

    assert problem(await said(sent))["reason"] == "request-timeout"


async def test_a_byte_now_and_then_gives_no_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time counts from the first byte to the end of the head, not from byte to byte."""
    monkeypatch.setattr(http11, "HEAD_S", 0.3)
    async with door() as port, asyncio.timeout(WAIT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        with suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"y")
                await writer.drain()
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1000), 0.02)
        writer.close()


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"CANARY-7f3a" * 4000, "headers-too-large"),
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n", "headers-too-large"),
        (b"CANARY-7f3a\r\n\r\n", "malformed"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "malformed"),
        (b"GET / HTTP/1.1\r\nCANARY-7f3a\r\n\r\n", "malformed"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "malformed"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00CANARY-7f3a\r\n\r\n", "malformed"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "malformed"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n", "malformed"),
    ],
)
async def test_what_is_no_request_is_refused_and_not_repeated(sent: bytes, reason: str) -> None:
    """A problem like any other, the connection closed, nothing of it in the answer."""
    assert problem(await said(sent))["reason"] == reason


async def test_two_lengths_are_one_request() -> None:
    """Who smuggles a second request behind a length that disagrees gets one answer."""
    sent = (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"
        b"Connection: close\r\n\r\n0\r\n\r\nGET /CANARY-7f3a HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    answer = await said(sent, end=True)

    assert answer.count(b"HTTP/1.1 ") == 1
    assert CANARY not in answer


async def test_an_honest_request_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one whose body takes longer than its head may: that has its own time."""
    monkeypatch.setattr(http11, "HEAD_S", 0.2)
    async with door() as port, asyncio.timeout(WAIT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12")
            await asyncio.sleep(0.5)
            writer.write(b"345")
            assert b"200" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(5) == b"12345"
        writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nCANARY-7f3a\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;" + b"x" * 70_000,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: CANARY-7f3a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\n12345",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\n12345",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /\x00CANARY-7f3a HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_sent_wrong_ends_the_connection(sent: bytes) -> None:
    """Lengths and chunks that are none: an answer below 500 or none at all, nothing repeated."""
    answer = await said(sent, end=True)

    assert CANARY not in answer
    assert not answer or answer.split()[1][:1] in (b"2", b"4")
    assert answer.count(b"HTTP/1.1 ") <= 1


async def test_requests_in_a_row_are_answered_in_their_order() -> None:
    """A hundred sent at once, before any answer: each its own, none twice."""
    asked = b"".join(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n%s\r\n%03d"
        % (b"Connection: close\r\n" if number == 99 else b"", number)
        for number in range(100)
    )
    answer = await said(asked)

    bodies = [part[:3] for part in answer.split(b"\r\n\r\n")[1:]]
    assert bodies == [b"%03d" % number for number in range(100)]
