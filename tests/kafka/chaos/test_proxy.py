"""The proxy does to a connection what its name says, and heals."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.kafka.broker import _free_ports
from tests.kafka.proxy import CUT, HEALTHY, REPLIES_LOST, Proxy, Toxic


class Echo:
    """A server that answers each byte with itself, and counts what arrived."""

    def __init__(self) -> None:
        self.arrived = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(100):
                self.arrived += data
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def proxied() -> AsyncIterator[tuple[Proxy, Echo]]:
    """A proxy before an echo."""
    inner, outer = _free_ports(2)
    echo, proxy = Echo(), Proxy(outer, inner)
    server = await asyncio.start_server(echo.serve, "127.0.0.1", inner)
    await proxy.start()
    try:
        yield proxy, echo
    finally:
        await proxy.stop()
        server.close()


async def _is_silent(reader: asyncio.StreamReader) -> bool:
    try:
        return not await asyncio.wait_for(reader.readexactly(1), 0.2)
    except TimeoutError:
        return True


async def test_what_is_held_arrives_when_the_link_heals() -> None:
    """As after a real partition: late, whole and once."""
    async with proxied() as (proxy, echo):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"a")
        assert await reader.readexactly(1) == b"a"
        proxy.toxic = CUT
        writer.write(b"b")
        assert await _is_silent(reader)
        assert echo.arrived == b"a"
        proxy.toxic = HEALTHY
        assert await reader.readexactly(1) == b"b"
        writer.close()


async def test_lost_replies_leave_the_request_where_it_arrived() -> None:
    """The server did it, and the client never learns."""
    async with proxied() as (proxy, echo):
        proxy.toxic = REPLIES_LOST
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"a")
        assert await _is_silent(reader)
        assert echo.arrived == b"a"
        assert proxy.reset() == 1
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()
        async with asyncio.timeout(60):
            while proxy.connections:  # noqa: ASYNC110 - a test
                await asyncio.sleep(0.01)
        assert (proxy.passed["to-broker"], proxy.lost["to-client"]) == (1, 1)


async def test_a_cut_link_refuses_who_comes_new() -> None:
    """A connection is closed before a byte went through."""
    async with proxied() as (proxy, echo):
        proxy.toxic = CUT
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await reader.read() == b""
        assert echo.arrived == b""
        writer.close()


async def test_a_slow_link_takes_its_time() -> None:
    """Each way its latency."""
    async with proxied() as (proxy, _):
        proxy.toxic = Toxic(latency_s=0.3)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"a")
        assert await _is_silent(reader)
        assert await reader.readexactly(1) == b"a"
        writer.close()
