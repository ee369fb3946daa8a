"""Hostile JSON: everything that two readers could read differently is refused, quickly."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.canonical import decode
from events.reject import Reject
from events.strict_json import MAX_DEPTH, read_json
from tests.events.samples import GEN, event, raw

GOOD = raw(event())


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b" ",
        b"nul",
        b"{",
        b'{"a": 1,}',
        b"{'a': 1}",
        b'{"a": 1} x',
        b'{"a": 1}{"a": 1}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'{"a": -1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\xff"}',
        b'{"a": "\x00"}',
        b'{"a": "\\u0000"}',
        b'{"\\u0000": "a"}',
        b'{"a": [["\\u0000"]]}',
        b'{"a": "line\nend"}',
        b'{"a": 01}',
        b'{"a": 1, "a": 2}',
        b'{"a": 1, "\\u0061": 2}',
        b'{"x": [{"a": {"b": 1, "b" : 1}}]}',
        b'{"a" \t: 1,\r\n"a"\n:1}',
        b'{"a": "\\":", "b": 1, "b": 2}',
        b'{"a": ":\\":", "b": 1, "b": ":"}',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 65 + b"1" + b"}" * 65,
        '{"a": 1}'.encode("utf-16"),
        b"/* c */ {}",
    ],
    ids=lambda text: repr(text[:24]),
)
def test_json_that_means_two_things_or_none_is_malformed(bad: bytes) -> None:
    """Of two subjects the last would win here and the first elsewhere: neither is taken."""
    with pytest.raises(Reject) as caught:
        read_json(bad)
    assert caught.value.reason == "malformed"
    assert caught.value.__context__ is None, "a decoder's error holds the whole text"


@pytest.mark.parametrize(
    "good",
    [
        b'{"a": "\\ud83d\\ude00"}',
        b'{"a": "\\\\u0000"}',
        b'{"a": "x\\":y", "b": ":"}',
        b'{"a": ": :", ":": ":"}',
        b'{"__proto__": 1, "constructor": 2, "$where": 3, "__class__": 4}',
        b'{"a": 9007199254740993, "b": 0.1, "c": -0}',
        b'{"A": 1, "a": 2}',
        b'{"": ""}',
        b"[]",
        b'"text"',
    ],
)
def test_json_that_only_looks_odd_is_read(good: bytes) -> None:
    """Keys that other languages trip over, colons in strings, escaped backslashes."""
    assert read_json(good) == json.loads(good)


def test_sixty_four_levels_are_enough_and_allowed() -> None:
    """The limit is the interface's, not some library's."""
    assert read_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


@pytest.mark.parametrize(
    "hostile",
    [
        b"{" + b",".join(b'"%d":1' % n for n in range(100_000)) + b"}",
        b"{" + b'"a":1,' * 170_000 + b'"a":1}',
        b"[" + b"[]," * 300_000 + b"[]]",
        b'{"a":"' + b'\\":' * 300_000 + b'"}',
        b'{"a":"' + b"\\u0000" * 150_000 + b'"}',
        b'"' * 1_000_000,
        b"\\" * 1_000_000,
        b" " * 1_000_000,
    ],
    ids=["keys", "doubled", "lists", "colons", "nul", "quotes", "backslashes", "blanks"],
)
def test_a_hostile_megabyte_costs_no_more_than_its_length(hostile: bytes) -> None:
    """One sender's worst event does not hold up the others.  The bound only tells a cost that grows
    with the square (minutes) from one that does not; how fast it is, is measured in bench/."""
    begin = time.process_time()
    with pytest.raises(Reject):
        decode(hostile[: 1024 * 1024], GEN)
    assert time.process_time() - begin < 20


@settings(deadline=None)
@given(
    st.recursive(
        st.text(max_size=9) | st.integers(-9, 9),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_whatever_json_writes_is_read_as_it_was(value: object) -> None:
    """The strict reader agrees with the standard one wherever nothing is wrong."""
    text = json.dumps(value)
    if "\\u0000" in text.replace("\\\\", "") or "\\ud" in text:
        return
    assert read_json(text.encode()) == value


def test_trailing_bytes_after_an_event_are_malformed() -> None:
    """A second event behind the first must not vanish."""
    with pytest.raises(Reject, match="malformed"):
        decode(GOOD + GOOD, GEN)
