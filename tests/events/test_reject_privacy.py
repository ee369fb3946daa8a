"""Whatever comes in, there is a verdict, and no verdict repeats what came in."""

import json
import pickle
import traceback
from collections.abc import Iterator
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from events import decode_record
from events.canonical import accept
from events.files import Kind
from events.reject import Reject
from tests.events.samples import EXAMPLES, GEN, raw

CANARY = "CANARY7391"


def spoiled(value: Any) -> Iterator[Any]:
    """Copies of *value* in each of which one member has another type, or is a canary."""
    if isinstance(value, dict):
        for key, inner in value.items():
            for bad in (CANARY, [CANARY], {CANARY: CANARY}, 7391_7391, True, None):
                yield {**value, key: bad}
            yield {k: v for k, v in value.items() if k != key} | {CANARY: inner}
            for deeper in spoiled(inner):
                yield {**value, key: deeper}
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            for deeper in (CANARY, {CANARY: 1}, *spoiled(inner)):
                yield [*value[:at], deeper, *value[at + 1 :]]


def test_no_reject_repeats_a_value() -> None:
    """Every field of every type spoiled in turn: texts, pointers, tracebacks hold no input."""
    seen = set()
    for file in sorted(EXAMPLES.glob("*.json")):
        for bad in spoiled(json.loads(file.read_text())[0]["sent"]):
            try:
                accept(bad, GEN)
            except Reject as reject:
                seen.add(reject.reason)
                shown = [
                    repr(reject.__cause__ or reject.__context__),
                    str(reject),
                    repr(reject),
                    reject.detail,
                    *reject.pointers,
                    *traceback.format_exception(reject),
                ]
                assert not any(CANARY in text or "73917391" in text for text in shown)
    assert {"malformed", "unknown-type", "missing-patient", "missing-visit", "bad-time"} <= seen


def test_a_reject_survives_a_process_boundary() -> None:
    """Workers hand rejects on; what repr shows is the reason and the detail."""
    reject = Reject("malformed", "is not JSON", subject="GEN|MRN123")
    assert "MRN123" not in repr(reject)
    assert isinstance(pickle.loads(pickle.dumps(reject)), Reject)  # noqa: S301 - our own bytes


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(get_args(Kind)))
def test_arbitrary_bytes_are_accepted_or_rejected(noise: bytes, kind: Kind) -> None:
    """Nothing but a verdict ever comes of them, whatever they are taken for."""
    if kind == "hl7v2":
        return  # has its own test beside its parser
    decoded = decode_record(kind, noise, GEN)
    assert len(decoded.events) + len(decoded.rejects) == 1
    assert all(reject.reason != "handler-failed" for reject in decoded.rejects)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_arbitrary_values_in_an_event_are_accepted_or_rejected(draw: st.DataObject) -> None:
    """Whatever stands in any field, there is a verdict, and what is accepted is accepted again."""
    file = draw.draw(st.sampled_from(sorted(EXAMPLES.glob("*.json"))))
    sent = json.loads(file.read_text())[0]["sent"]
    holder = draw.draw(st.sampled_from([sent, sent["data"]]))
    holder[draw.draw(st.sampled_from(sorted(holder)) | st.text())] = draw.draw(JSON)
    decoded = decode_record("canonical", raw(sent), GEN)
    assert len(decoded.events) + len(decoded.rejects) == 1
    assert all(reject.reason != "handler-failed" for reject in decoded.rejects)
    for accepted in decoded.events:
        notes = {"timeflags": None, "extensions": None}  # ours to write, so not read again
        assert {**accept(accepted, GEN), **notes} == {**accepted, **notes}
