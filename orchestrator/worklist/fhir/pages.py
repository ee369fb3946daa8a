"""Following pages: what a ``next`` link holds, sealed.

The search travels along in it, so that any replica can go on and nothing of a posted search shows
in an address that somebody logs.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import orjson
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from orchestrator.worklist import edge
from orchestrator.worklist.instants import SECOND
from orchestrator.worklist.problems import Problem

# How long a page may be asked for; after it the list has moved on: search again.
GOOD_FOR_S: Final = 15 * 60
PARAMETER: Final = "_page"
_HEADER: Final = {"alg": "dir", "enc": "A256GCM"}


class Place(NamedTuple):
    """Where a following page begins: behind *cursor* of the search that was *said*."""

    path: str  # of the search: one type, or one patient's everything
    said: list[tuple[str, str]]
    posted: bool
    cursor: str


def sealed(key_of: Callable[[str], str], place: Place) -> str:
    """*place* as one word of an address."""
    plain = orjson.dumps([edge.now() // SECOND, *place])
    return jwe.encrypt_compact(_HEADER, plain, _key(key_of))


def opened(key_of: Callable[[str], str], word: str, path: str) -> Place:
    """
    The inverse of `sealed`.

    Raises:
        Problem: ``gone``: too old. ``malformed``: not one of this search.
    """
    try:
        made, *rest = orjson.loads(_plain(key_of, word))
        place = Place(rest[0], [(name, value) for name, value in rest[1]], rest[2], rest[3])
    except (JoseError, ValueError):
        raise Problem("malformed", "The page is not one of this search.") from None
    if place.path != path:
        raise Problem("malformed", "The page is not one of this search.")
    if edge.now() // SECOND - made > GOOD_FOR_S:
        raise Problem("gone")
    return place


def _plain(key_of: Callable[[str], str], word: str) -> Any:
    return jwe.decrypt_compact(word, _key(key_of), algorithms=["dir", "A256GCM"]).plaintext


def _key(key_of: Callable[[str], str]) -> OctKey:
    # 256 bits of the site's secret, alike in all replicas; no identifier has this form.
    word = key_of("fhir-page|1") + key_of("fhir-page|2")
    return OctKey.import_key(bytes.fromhex(word))
