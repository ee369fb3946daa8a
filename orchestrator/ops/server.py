"""Serves an ASGI app in a thread of its own, so that it answers whatever the loop at work does."""

import errno
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final

import structlog
import uvicorn

from orchestrator.ops.http import App

STOP_S: Final = 2.0

logger = structlog.get_logger()


class PortTaken(Exception):
    """The port that was asked for is in use, or may not be used."""

    exit_code: ClassVar[int] = 2


def bound(host: str, port: int | None, usual: int) -> socket.socket:
    """
    A socket to be served.

    Args:
        port: As set; 0: any free one; ``None``: *usual*, and any free one if that is taken,
            since two processes on one machine are no mistake.

    Raises:
        PortTaken: The stated port cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in (usual, 0) if port is None else (port,):
        door = socket.socket(family, socket.SOCK_STREAM)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((host, number))
        except OSError as problem:
            door.close()
            if port is None and number and problem.errno == errno.EADDRINUSE:
                continue
            raise PortTaken(
                f"{host}:{number}: {problem.strerror}; CARE_OPS_PORT names another port, 0 any"
                " free one"
            ) from None
        return door
    raise AssertionError("the loop returns or raises")


@contextmanager
def served(app: App, door: socket.socket) -> Iterator[int]:
    """Serve *app* at *door* for a while; the port it listens on."""
    # From here on nobody is refused, however long the server takes to begin.
    door.listen(128)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", server_header=False, ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [door]}, name="ops-http", daemon=True
    )
    thread.start()
    try:
        yield port_of(door)
    finally:
        server.should_exit = True
        # A scrape at hand may be late; the process does not wait for it for long.
        thread.join(STOP_S)
        door.close()


def at_path(path: Path) -> socket.socket:
    """A socket of this machine's file system, for the process that asks its children."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind(str(path))
    return door


def port_of(door: socket.socket) -> int:
    """The port of a bound socket; 0: it is a path."""
    name = door.getsockname()
    return int(name[1]) if isinstance(name, tuple) else 0
