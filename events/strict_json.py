"""JSON that means one thing only (``interfaces.md`` section 0).

The readers of this world let the last of two equal keys win, and the last of two ``subject`` keys
would pick a patient.  So duplicate keys, ``NaN``, numbers beyond a double, lone surrogates,
``\\u0000`` (which databases refuse later), trailing bytes and nesting beyond 64 are refused here.

orjson refuses most of that itself.  Duplicate keys it cannot see: so the keys it found are counted
and compared with the keys that stand in the bytes; only a difference costs a second, slow look.
"""

import json
import re
from typing import Any, Final, NoReturn

import orjson

from events.reject import Reject

MAX_DEPTH: Final = 64
BOM: Final = b"\xef\xbb\xbf"

# Each key ends so.  Text that looks so inside a string makes the count too high, never too low.
_KEY_END: Final = re.compile(rb'"[ \t\r\n]*:')


def read_json(raw: bytes) -> Any:
    """
    Parse one JSON text, UTF-8 with or without a byte order mark.

    Raises:
        Reject: ``malformed``; says where, never what stands there.
    """
    raw = raw.removeprefix(BOM)
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        # Its reader tells where the record begins; a line of its own counts from there.
        inner = f"line {error.lineno} of it, " if error.lineno > 1 else ""
        where = f"{inner}column {error.colno}"
    else:
        if isinstance(value, (dict, list)):
            _check(value, raw)
        return value
    # Outside the handler: the decoder's error holds the whole text and would travel as context.
    raise Reject("malformed", f"is not JSON ({where})")


def _check(value: Any, raw: bytes) -> None:
    keys = _count_keys(value, 1)
    if keys != len(_KEY_END.findall(raw)):
        json.loads(raw, object_pairs_hook=_unique, parse_int=str, parse_float=str)
    # A ``\\u0000`` may be an escaped backslash and five innocent characters: look at the strings.
    if b"\\u0000" in raw and _holds_nul(value):
        raise Reject("malformed", "holds the character U+0000")


def _count_keys(value: Any, depth: int) -> int:
    if depth > MAX_DEPTH:
        raise Reject("malformed", f"is nested deeper than {MAX_DEPTH}")
    count = 0
    if type(value) is dict:
        count = len(value)
        value = value.values()
    for inner in value:
        kind = type(inner)
        if kind is dict or kind is list:
            count += _count_keys(inner, depth + 1)
    return count


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        _refuse_duplicate()


def _refuse_duplicate() -> NoReturn:
    raise Reject("malformed", "holds a key twice in one object")


def _holds_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any("\0" in key or _holds_nul(inner) for key, inner in value.items())
    if isinstance(value, list):
        return any(map(_holds_nul, value))
    return isinstance(value, str) and "\0" in value
