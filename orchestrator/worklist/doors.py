"""Where the worklist listens: address, port, TLS."""

import errno
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

USUAL_PORT: Final = 8000


class PortTaken(Exception):
    """The port that was asked for is in use, or may not be used."""

    exit_code: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class Door:
    """Where the worklist listens."""

    host: str
    port: int | None  # ``None``: the usual one, and any free one if that is taken
    under_tls: bool = False
    certificate: Path | None = None
    key: Path | None = None


def bound(door: Door) -> socket.socket:
    """
    The socket to be served.

    Raises:
        PortTaken: The stated port cannot be had.
    """
    family = socket.AF_INET6 if ":" in door.host else socket.AF_INET
    for number in (USUAL_PORT, 0) if door.port is None else (door.port,):
        taken = socket.socket(family, socket.SOCK_STREAM)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((door.host, number))
        except OSError as problem:
            taken.close()
            if door.port is None and number and problem.errno == errno.EADDRINUSE:
                continue  # two on one machine are no mistake
            raise PortTaken(
                f"{door.host}:{number}: {problem.strerror}; CARE_WORKLIST_PORT names another port,"
                " 0 any free one"
            ) from None
        return taken
    raise AssertionError("the loop returns or raises")
