"""HTTP/1.1 as uvicorn speaks it, for callers who mean ill.

A head that does not come to its end in `HEAD_S` is not waited for: a thousand connections that say
one byte a minute would otherwise be held for ever.  What cannot be parsed is answered as everything
else is, and says nothing of what it was.
"""

import asyncio
import sys
from typing import Any, Final

import h11
import orjson
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from orchestrator.worklist import edge
from orchestrator.worklist.problems import MEDIA, REASONS

HEAD_S: Final = 10.0
HEAD_BYTES: Final = 32 * 1024
_BY_STATUS: Final = {431: "headers-too-large"}


class Guarded(H11Protocol):
    """One connection."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_between_requests():
            self._wait_for_head()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Called where h11 cannot read on; says its own status, 431 of a head without end."""
        del msg
        fault = sys.exc_info()[1]
        status = getattr(fault, "error_status_hint", 400)
        self._refuse(_BY_STATUS.get(status, "malformed"))

    def _is_between_requests(self) -> bool:
        current: RequestResponseCycle | None = self.cycle
        return current is None or current.response_complete

    def _wait_for_head(self) -> None:
        # From the first byte on: who sends another one each second gets no more time.
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self._head_is_due)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_due(self) -> None:
        self._head_timer = None
        if self._is_between_requests() and not self.transport.is_closing():
            self._refuse("request-timeout")

    def _refuse(self, reason: str) -> None:
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()  # an answer has begun: there is no room for another
            return
        status, title, retry = REASONS[reason]
        request_id = edge.new_id()
        body: dict[str, Any] = {
            "type": f"/problems/{reason}",
            "title": title,
            "status": status,
            "detail": title,
            "instance": f"urn:uuid:{request_id}",
            "reason": reason,
            "retry": retry,
            "errors": [],
            "dead_letter": None,
        }
        content = orjson.dumps(body)
        headers = [
            (b"content-type", MEDIA.encode()),
            (b"content-length", str(len(content)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
        ]
        for event in (
            h11.Response(status_code=status, headers=headers),
            h11.Data(data=content),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
