"""What a run stands on: one real broker, a proxy before each of its clients, a disk that may fill.

The broker has a listener for each kind of client, and advertises that client's proxy there.  So one
worker can be cut off while the others, the senders and the checker are not.
"""

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.kafka.broker import Cluster, Node, _free_ports
from tests.kafka.proxy import Proxy

CLIENTS: Final = ("A", "B", "SENDERS")
DISK: Final = "size=4g"
_BALLAST: Final = "ballast"
_MIB: Final = 1024 * 1024


class Disk:
    """The broker's log folder: a file system of its own where mounting is allowed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", DISK, "care-chaos", str(folder)]
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        self.why_not = mounted.stderr.strip() if mounted.returncode else ""

    @property
    def can_fill(self) -> bool:
        """Whether it can be filled without filling the machine's."""
        return not self.why_not

    def fill(self) -> int:
        """Write until not a byte is left; how many bytes it took."""
        taken = 0
        with (self.folder / _BALLAST).open("wb", buffering=0) as ballast:
            block = bytes(_MIB)
            while block:
                try:
                    taken += ballast.write(block)
                except OSError:
                    block = block[: len(block) // 2]
        return taken

    def empty(self) -> None:
        """Make room again."""
        (self.folder / _BALLAST).unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it, with all that is in it."""
        if self.can_fill:
            subprocess.run(["umount", str(self.folder)], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)


class Ground:
    """The broker, its proxies and its disk."""

    def __init__(self, folder: Path) -> None:
        cluster = Cluster(folder / "broker")
        self.node: Node = cluster.nodes[0]
        self.disk = Disk(folder / "disk")
        ports = _free_ports(2 * len(CLIENTS))
        inner = dict(zip(CLIENTS, ports[: len(CLIENTS)], strict=True))
        outer = dict(zip(CLIENTS, ports[len(CLIENTS) :], strict=True))
        self.proxies = {name: Proxy(outer[name], inner[name]) for name in CLIENTS}
        self._settle(inner, outer)

    def _settle(self, inner: dict[str, int], outer: dict[str, int]) -> None:
        """Add to what the tests' broker is set up with; of two settings the later one holds."""
        node = self.node
        own = f"PLAINTEXT://127.0.0.1:{node.port}"
        listeners = [own, *(f"{name}://127.0.0.1:{port}" for name, port in inner.items())]
        advertised = [own, *(f"{name}://127.0.0.1:{port}" for name, port in outer.items())]
        protocols = [f"{name}:PLAINTEXT" for name in ("PLAINTEXT", "CONTROLLER", *CLIENTS)]
        lines = [
            f"listeners={','.join([*listeners, f'CONTROLLER://127.0.0.1:{node.controller_port}'])}",
            f"advertised.listeners={','.join(advertised)}",
            f"listener.security.protocol.map={','.join(protocols)}",
            f"log.dirs={self.disk.folder / 'log'}",
            "log.segment.bytes=134217728",
        ]
        settings = node.folder / "server.properties"
        settings.write_text(settings.read_text() + "\n".join(lines) + "\n", encoding="ascii")
        shutil.copytree(node.folder / "log", self.disk.folder / "log")

    @property
    def direct(self) -> str:
        """Where the checker connects: past every proxy."""
        return f"127.0.0.1:{self.node.port}"

    def of(self, client: str) -> str:
        """Where *client* connects."""
        return f"127.0.0.1:{self.proxies[client].port}"

    async def start(self) -> None:
        """Start broker and proxies."""
        await self.start_broker()
        for proxy in self.proxies.values():
            await proxy.start()

    async def start_broker(self) -> None:
        """Start the broker, again perhaps, and wait until it answers."""
        self.node.start()
        await asyncio.to_thread(self.node.wait)

    async def stop_broker(self, *, kill: bool) -> None:
        """End the broker, orderly or not."""
        await asyncio.to_thread(self.node.stop, kill=kill)

    async def close(self) -> None:
        """Leave nothing behind."""
        for proxy in self.proxies.values():
            await proxy.stop()
        await self.stop_broker(kill=True)
        self.disk.close()

    async def ended(self, limit_s: float) -> bool:
        """Whether the broker's process ends by itself within *limit_s*."""
        assert self.node.process is not None
        try:
            await asyncio.to_thread(self.node.process.wait, limit_s)
        except subprocess.TimeoutExpired:
            return False
        return True
