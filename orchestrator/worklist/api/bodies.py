"""Reading a request's body: bounded, strict JSON, nothing else."""

import asyncio
from typing import Any, Final

from fastapi import Request
from pydantic import BaseModel, ConfigDict
from starlette.types import Receive, Scope

from events.reject import Reject
from events.strict_json import read_json
from orchestrator.worklist.problems import Problem

LONGEST: Final = 1024 * 1024
READ_S: Final = 30.0


class Body(BaseModel):
    """A body of ours: a member that is not known is refused, so that no misspelt one is lost."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)


class StrictRequest(Request):
    """A request whose body is read at most once, at most *longest*, and means one thing only."""

    def __init__(self, scope: Scope, receive: Receive, longest: int = LONGEST) -> None:
        super().__init__(scope, receive)
        self._longest = longest

    async def body(self) -> bytes:
        if not hasattr(self, "_read"):
            size = 0
            parts: list[bytes] = []
            try:
                async with asyncio.timeout(READ_S):
                    async for part in self.stream():
                        size += len(part)
                        if size > self._longest:
                            raise Problem("too-large")
                        parts.append(part)
            except TimeoutError:
                raise Problem("request-timeout") from None
            self._read = b"".join(parts)
        return self._read

    async def json(self) -> Any:
        try:
            return read_json(await self.body())
        except Reject as refused:
            raise Problem("malformed", f"The body {refused.detail}.") from None


def refuse_other_media(request: Request) -> None:
    """
    Only JSON is read.

    Raises:
        Problem: ``unsupported-media-type``; an empty body needs no type.
    """
    said = request.headers.get("content-type")
    chunked = "transfer-encoding" in request.headers
    if request.headers.get("content-length", "0") == "0" and not chunked:
        return  # whatever its type is called, there is nothing of it
    if said is None:
        raise Problem("unsupported-media-type")
    media, _, more = said.partition(";")
    charset = more.strip().lower().removeprefix("charset=").strip('"')
    if media.strip().lower() != "application/json" or charset not in ("", "utf-8", "utf8"):
        raise Problem("unsupported-media-type")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem("unsupported-media-type")
