"""``/metrics``, ``/healthz``, ``/readyz`` as an ASGI app, for any server and any process."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from importlib.metadata import version
from typing import Any, Final, NamedTuple

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from orchestrator.ops.health import Asked

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"


class Answer(NamedTuple):
    """What is sent back."""

    status: int
    media: str
    body: bytes


def app(registry: CollectorRegistry, asked: Asked, runtime: str) -> App:
    """
    The operators' door of one process.  It holds no patient data, and asks nobody who they are.

    Args:
        asked: Answers at once, in any thread.
    """

    def answer(path: str) -> Answer:
        if path == "/metrics":
            return Answer(200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(registry))
        if path == "/healthz":
            alive = asked().alive
            return Answer(200 if alive else 503, JSON, _json({"status": _alive(alive=alive)}))
        if path == "/readyz":
            health = asked()
            body = health.body(version("care-orchestrator"), runtime)
            return Answer(200 if health.ready else 503, JSON, _json(body))
        return Answer(404, TEXT, b"not found\n")

    return of(answer)


def of(answer: Callable[[str], Answer]) -> App:
    """An ASGI app of a function from a path to its answer; *answer* runs in a thread."""

    async def serve(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        known = scope["method"] in ("GET", "HEAD")
        refused = Answer(405, TEXT, b"method not allowed\n")
        found = await asyncio.to_thread(answer, scope["path"]) if known else refused
        headers = [
            (b"content-type", found.media.encode()),
            (b"content-length", str(len(found.body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": found.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else found.body
        await send({"type": "http.response.body", "body": body})

    return serve


def _alive(*, alive: bool) -> str:
    return "alive" if alive else "stuck"


def _json(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
