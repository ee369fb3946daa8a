"""For which parked events a message was sent again: said by us alone.

It closes a patient's gap, so it is sealed with the site key: whoever may write to a public topic
could say it, too.
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import orjson

HEADER: Final = "retries"  # and the member of the event in the journal
MENDED: Final = "mended"  # the kind of a journal record, and the member of what leads to it
MOST: Final = 1_000  # events of one message

# Gives the key of a patient's identifier; of no identifier, what nobody without the key can make.
KeyOf = Callable[[str], str]


def header(names: Sequence[str], subject: str, key_of: KeyOf) -> dict[str, str]:
    """
    The header of a message about *subject* that stands for these events.

    Args:
        names: As `core.facts.parked_name` makes them.
    """
    said = {"names": list(names), "seal": _seal(names, subject, key_of)}
    return {HEADER: orjson.dumps(said).decode()}


def read(headers: Mapping[str, str], subject: str, key_of: KeyOf) -> list[str]:
    """The names that the header says; none where we did not write it."""
    if HEADER not in headers:
        return []
    try:
        said = orjson.loads(headers[HEADER])
    except orjson.JSONDecodeError:
        return []
    if not isinstance(said, dict):
        return []
    names, seal = said.get("names"), said.get("seal")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return []
    if not isinstance(seal, str) or not seal.isascii() or len(names) > MOST:
        return []
    return names if hmac.compare_digest(seal, _seal(names, subject, key_of)) else []


def _seal(names: Sequence[str], subject: str, key_of: KeyOf) -> str:
    # No identifier begins so: control characters are in none.
    return key_of("\0retries\0" + orjson.dumps([subject, *names]).decode())


def mended(subject: str) -> bytes:
    """The value of a record that says nothing else: what was parked of *subject* is settled."""
    return orjson.dumps({MENDED: subject})


def mended_of(value: bytes | None) -> str | None:
    """Whom such a record is about; ``None``: it is another record."""
    try:
        said = orjson.loads(value or b"null")
    except orjson.JSONDecodeError:
        return None
    subject = said.get(MENDED) if isinstance(said, dict) and len(said) == 1 else None
    return subject if isinstance(subject, str) else None
