"""People who sign in with a name and a password (mode ``local``); none until one is added."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

import orjson

from orchestrator.worklist import edge
from orchestrator.worklist.access.claims import principal_of
from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.access.store import AccessStore

# OWASP's Password Storage Cheat Sheet for scrypt: 2^17 asks for 128 MiB a guess; a worklist that
# many sign in to at eight in the morning takes its next row, N=2^16, r=8, p=2, with 64 MiB.
_N, _R, _P = 2**16, 8, 2
_MEMORY: Final = 128 * _N * _R * 2
SHORTEST: Final = 12  # NIST SP 800-63B-4 asks for 15 where a password stands alone, 8 at least
LONGEST: Final = 256


def hashed(password: str) -> str:
    """What is kept of a password."""
    salt = edge.pad(16)
    return "$".join(
        ["scrypt", str(_N), str(_R), str(_P), _text(salt), _text(_key(password, salt, _N, _R, _P))]
    )


def is_right(password: str, kept: str) -> bool:
    """Whether *kept* was made of *password*; takes as long either way."""
    _, n, r, p, salt, key = kept.split("$")
    found = _key(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, base64.b64decode(key))


def _key(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    raw = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(raw, salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


# What a password is compared with when there is no such person, so that the time does not tell.
_NOBODYS: Final = f"scrypt${_N}${_R}${_P}${_text(bytes(16))}${_text(bytes(32))}"


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
