"""The issuer's public keys: from its address or a file, asked for anew at most once a minute.

A token names its key; it never brings one.  What cannot be fetched leaves the keys as they were:
an issuer that is down for a while signs nobody out.
"""

import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final
from urllib.error import URLError
from urllib.parse import urlsplit

import orjson
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey

from orchestrator.worklist import edge

AGAIN_S: Final = 60.0
# A key that the issuer has taken back is good for so long at most.
STALE_S: Final = 600.0
FETCH_S: Final = 5.0
LONGEST: Final = 1024 * 1024
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

logger = structlog.get_logger()


class KeysAway(Exception):
    """What the issuer tells about itself cannot be had, or cannot be used."""


class KeysDue(Exception):
    """The keys should be looked up before the question is asked again."""


class _Straight(urllib.request.HTTPRedirectHandler):
    """Nobody sends us elsewhere for keys."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER: Final = urllib.request.build_opener(_Straight)


def fetched(place: str) -> dict[str, Any]:
    """
    The JSON object at *place*, a URL or a file; blocks.

    Raises:
        KeysAway: It is not there, or is none.
    """
    try:
        raw = _raw(place)
        found = orjson.loads(raw)
    except (OSError, URLError, ValueError) as problem:
        raise KeysAway(type(problem).__name__) from None
    if not isinstance(found, dict):
        raise KeysAway("form")
    return found


def _raw(place: str) -> bytes:
    if "://" not in place:
        return Path(place).read_bytes()[:LONGEST]
    if not is_safe(place):
        raise KeysAway("scheme")
    answer: IO[bytes]
    with _OPENER.open(place, timeout=FETCH_S) as answer:
        return answer.read(LONGEST)


def is_safe(url: str) -> bool:
    """Whether nobody between us and *url* can answer in its place."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


class Keys:
    """
    The key set.

    Args:
        place: Where it is; asked at each look-up, as a discovery document may say it.
    """

    def __init__(self, place: Callable[[], str]) -> None:
        self._place = place
        self._known: dict[str, Key] = {}
        self._tried: float | None = None
        self._lock = threading.Lock()

    def find(self, kid: str) -> Key | None:
        """
        The key of that name.

        Raises:
            KeysDue: It may be a new one: `look_up`, then ask again.
        """
        age = None if self._tried is None else edge.elapsed() - self._tried
        if age is None or age >= (STALE_S if kid in self._known else AGAIN_S):
            raise KeysDue
        return self._known.get(kid)

    def look_up(self) -> None:
        """Fetch them, unless somebody else just has; blocks."""
        with self._lock:
            if self._tried is not None and edge.elapsed() - self._tried < AGAIN_S:
                return
            self._tried = edge.elapsed()
            try:
                self._known = _public(fetched(self._place()))
            except KeysAway as problem:
                logger.warning("auth.failed", reason=f"keys: {problem}")


def _public(told: dict[str, Any]) -> dict[str, Key]:
    """By name, those that may sign; a shared secret among them is nobody's."""
    rows = told.get("keys")
    if not isinstance(rows, list):
        raise KeysAway("form")
    found: dict[str, Key] = {}
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("kid"), str):
            continue
        if row.get("use", "sig") != "sig":
            continue
        # Its curve says `EdDSA` of a key too, and joserfc has the word under another name.
        said = {name: v for name, v in row.items() if (name, v) != ("alg", "EdDSA")}
        try:
            (key,) = KeySet.import_key_set({"keys": [said]}).keys
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if isinstance(key, RSAKey | ECKey | OKPKey):
            found.setdefault(row["kid"], key)
    return found
