"""The three ways of signing in, and what a site has of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal

from orchestrator.worklist import edge
from orchestrator.worklist.access import users
from orchestrator.worklist.access.claims import principal_of
from orchestrator.worklist.access.demo import demo_principal
from orchestrator.worklist.access.guesses import Guesses
from orchestrator.worklist.access.keys import KeysAway
from orchestrator.worklist.access.oidc import Provider
from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.access.sessions import IDLE, LONGEST, Sessions, Standing
from orchestrator.worklist.access.store import AccessStore
from orchestrator.worklist.problems import Problem

Mode = Literal["local", "demo", "oidc"]
COOKIE: Final = "care_session"
WAITING_MOST: Final = 50


class Desk:
    """Where passwords are looked at: two at once, as each takes 64 MiB and a third of a second."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(2)
        self._waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """
        Wait for one's turn.

        Raises:
            Problem: ``busy``: too many wait already.
        """
        if self._waiting >= WAITING_MOST:
            raise Problem("busy")
        self._waiting += 1
        try:
            async with self._free:
                yield
        finally:
            self._waiting -= 1


@dataclass(frozen=True, slots=True)
class Access:
    """
    How people get to pages.

    Attributes:
        secure: Pages come over TLS: browsers send the cookie over nothing else.
        provider: Of ``oidc``; ``None``: nobody signs in at pages.
    """

    mode: Mode
    sessions: Sessions
    secure: bool = False
    provider: Provider | None = None
    guesses: Guesses = field(default_factory=Guesses)
    desk: Desk = field(default_factory=Desk)

    def warm(self) -> None:
        """Ask the provider what it is like before somebody waits for it; blocks."""
        if self.provider is not None:
            with suppress(KeysAway):
                self.provider.metadata()
            self.provider.keys.look_up()

    def cookie(self, name: str = COOKIE) -> str:
        """The name of a cookie of ours; the prefix makes browsers hold it to this host."""
        return f"__Host-{name}" if self.secure else name

    def set_cookie(self, value: str, name: str = COOKIE) -> str:
        """A ``Set-Cookie`` header that lets a browser keep *value* until it is closed."""
        secure = "; Secure" if self.secure else ""
        return f"{self.cookie(name)}={value}; Path=/; HttpOnly; SameSite=Lax{secure}"

    def drop_cookie(self, name: str = COOKIE) -> str:
        """The header that takes it back."""
        return f"{self.set_cookie('', name)}; Max-Age=0"


def access_of(
    store: AccessStore,
    mode: Mode = "local",
    *,
    secret: bytes | None = None,
    secure: bool = False,
    idle: timedelta = IDLE,
    longest: timedelta = LONGEST,
    roles_claim: str = "roles",
    provider: Provider | None = None,
) -> Access:
    """
    Access over *store*.

    Args:
        secret: Of at least 256 bits; without one, sessions do not outlive the process.
    """
    ways: dict[Mode, Standing] = {
        "local": lambda name, _: users.standing(store, name),
        "demo": lambda name, _: demo_principal(name),
        "oidc": _claimed(roles_claim),
    }
    key = edge.pad(32) if secret is None else secret
    sessions = Sessions(store, key, mode, ways[mode], idle=idle, longest=longest)
    return Access(mode, sessions, secure, provider)


def _claimed(roles: str) -> Callable[[str, Mapping[str, Any]], Principal | None]:
    return lambda actor, claims: principal_of(actor, claims, roles=roles)
