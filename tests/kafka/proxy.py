"""A TCP proxy that a test may make slow, deaf or dead while connections go through it.

The brokers advertise the proxy's address (a listener of their own), so nothing is rewritten on the
way.  What goes wrong is a `Toxic`, read anew for every chunk; taking it away heals the link, and
what was held back arrives then, late, as it does after a real partition.
"""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from typing import Final, Literal

CHUNK: Final = 65_536
Direction = Literal["to-broker", "to-client"]
# SO_LINGER on, zero seconds: closing sends RST, not FIN.
_RESET: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Toxic:
    """
    What happens to bytes on their way.

    Attributes:
        latency_s: Each chunk is that late.
        bytes_per_s: No more than that goes through; 0: no limit.
        held: Directions in which nothing passes; bytes wait, or get lost with the connection.
        refused: New connections are closed at once.
    """

    latency_s: float = 0.0
    bytes_per_s: int = 0
    held: frozenset[Direction] = frozenset()
    refused: bool = False


HEALTHY: Final = Toxic()
CUT: Final = Toxic(held=frozenset({"to-broker", "to-client"}), refused=True)
REPLIES_LOST: Final = Toxic(held=frozenset({"to-client"}))


class Proxy:
    """
    One listening port in front of one broker port.

    Attributes:
        passed: Bytes that went through, by direction.
        lost: Bytes that had come from one end when the connection broke, and never reached the
            other.
    """

    def __init__(self, port: int, broker_port: int) -> None:
        self.port = port
        self._toxic = HEALTHY
        self._changed = asyncio.Event()
        self.passed: dict[Direction, int] = {"to-broker": 0, "to-client": 0}
        self.lost: dict[Direction, int] = {"to-broker": 0, "to-client": 0}
        self._broker_port = broker_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._links: set[asyncio.Task[None]] = set()

    @property
    def toxic(self) -> Toxic:
        """What is wrong just now; assign to change it."""
        return self._toxic

    @toxic.setter
    def toxic(self, toxic: Toxic) -> None:
        self._toxic = toxic
        before, self._changed = self._changed, asyncio.Event()
        before.set()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._links)

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._link, "127.0.0.1", self.port, limit=CHUNK)

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        for link in list(self._links):
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def reset(self) -> int:
        """Break every connection with a TCP reset, bytes in flight too; how many there were."""
        links = self.connections
        for writer in list(self._writers):
            found = writer.get_extra_info("socket")
            if found is not None:
                with contextlib.suppress(OSError):
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        return links

    async def _link(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        writers = {to_client}
        try:
            if self.toxic.refused:
                return
            broker, to_broker = await asyncio.open_connection(
                "127.0.0.1", self._broker_port, limit=CHUNK
            )
            writers.add(to_broker)
            self._writers |= writers
            ways = [
                asyncio.create_task(self._pump(client, to_broker, "to-broker")),
                asyncio.create_task(self._pump(broker, to_client, "to-client")),
            ]
            try:
                # Kafka knows no half-closed connections: one end gone means both.
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # the broker is away; the client finds its connection closed
        finally:
            self._links.discard(task)
            self._writers -= writers
            for writer in writers:
                writer.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Direction
    ) -> None:
        held = 0
        try:
            while chunk := await reader.read(CHUNK):
                held = len(chunk)
                await self._delayed(held, way)
                writer.write(chunk)
                await writer.drain()
                self.passed[way] += held
                held = 0
        except OSError:
            return
        finally:
            self.lost[way] += held

    async def _delayed(self, size: int, way: Direction) -> None:
        if self.toxic is HEALTHY:
            return
        toxic = self.toxic
        length = toxic.latency_s + (size / toxic.bytes_per_s if toxic.bytes_per_s else 0.0)
        if length:
            await asyncio.sleep(length)
        while way in self.toxic.held:
            await self._changed.wait()
