"""People who sign in with a name and a password (mode ``local``); none until one is added."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from orchestrator.worklist import edge
from orchestrator.worklist.access.claims import principal_of
from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.access.store import AccessStore


class Cost(NamedTuple):
    """scrypt's parameters: memory and time of a guess."""

    n: int
    r: int
    p: int


# OWASP's Password Storage Cheat Sheet asks for N=2^17, r=8, p=1, which is 128 MiB a guess; a
# worklist that many sign in to at eight in the morning takes its next row, with 64 MiB.
COST: Final = Cost(2**16, 8, 2)
SHORTEST: Final = 12  # NIST SP 800-63B-4 asks for 15 where a password stands alone, 8 at least
LONGEST: Final = 256


def hashed(password: str, cost: Cost = COST) -> str:
    """What is kept of a password."""
    salt = edge.pad(16)
    return _written(cost, salt, _key(password, salt, cost))


def is_right(password: str, kept: str) -> bool:
    """Whether *kept* was made of *password*; takes as long either way."""
    _, n, r, p, salt, key = kept.split("$")
    found = _key(password, base64.b64decode(salt), Cost(int(n), int(r), int(p)))
    return hmac.compare_digest(found, base64.b64decode(key))


def _key(password: str, salt: bytes, cost: Cost) -> bytes:
    raw = password.encode("utf-8", "surrogatepass")
    most = 2 * 128 * cost.n * cost.r
    return hashlib.scrypt(raw, salt=salt, n=cost.n, r=cost.r, p=cost.p, maxmem=most, dklen=32)


def _written(cost: Cost, salt: bytes, key: bytes) -> str:
    return "$".join(
        ["scrypt", *map(str, cost), *(base64.b64encode(b).decode() for b in (salt, key))]
    )


# What a password is compared with when there is no such person, so that the time does not tell.
_NOBODYS: Final = _written(COST, bytes(16), bytes(32))


def signed_in(store: AccessStore, name: str, password: str) -> bool:
    """Whether *name* may sign in with *password*; slow on purpose, so not in the event loop."""
    found = store.user(name)
    right = is_right(password[:LONGEST], _NOBODYS if found is None else found[0])
    return right and found is not None and not store.is_disabled(name)


def standing(store: AccessStore, name: str) -> Principal | None:
    """Who *name* is now: a role taken away is gone at the next click."""
    found = store.user(name)
    if found is None:
        return None
    claims: Mapping[str, Any] = orjson.loads(found[1])
    return principal_of(name, claims)
