"""Whatever the bytes: events, ignored or typed rejects, in bounded time, the same every time."""

import json
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from events import canonical
from events.hl7v2 import Hl7Result
from events.hl7v2.escapes import unescaper
from events.reject import REASONS
from tests.events.hl7v2.builders import GEN, RECEIPT, adt, identities, read, segment, siu

OURS = {"timeflags", "unmapped", "stamps"}

TEMPLATES = [
    *[
        adt(
            trigger,
            segment("PV2", {8: "20261020", 9: "20261008"}),
            segment("PD1", {4: "99^Smith^Anna"}),
            segment("MRG", {1: "B2", 3: "ACC0", 5: "V0"}),
            segment("ROL", {2: "AD", 3: "PP", 4: "1234567893^Jones^Bo"}),
            segment("NK1", {2: "Doe^John", 5: "555"}),
            segment("DG1", {3: "I50.9^Heart failure^I10"}),
            segment("IN1", {3: "MCR", 4: "Medicare"}),
            pid={11: "12 Elm^^Albany", 13: "555-1234~556", 15: "en", 18: "ACC1", 30: "N"},
            pv1={7: "1^House^Greg", 10: "MED", 14: "7", 36: "01", 45: "20261006140000-0400"},
        )
        for trigger in ("A01", "A03", "A06", "A08", "A13", "A16", "A31", "A50")
    ],
    *[
        identities(
            trigger,
            segment("PID", {3: "A1~M1", 18: "ACC1"}),
            segment("MRG", {1: "B2~M1", 3: "ACC0", 5: "V0"}),
            segment("PV1", {2: "I", 19: "V1"}),
            segment("PID", {3: "C3"}),
            segment("MRG", {1: "D4"}),
        )
        for trigger in ("A40", "A24", "A37", "A43", "A44", "A45")
    ],
    siu("S12", segment("TQ1", {7: "20261013150000-0400"}), segment("AIP", {3: "1^A^B"})),
]

# Pieces that mean something to a parser of HL7, and some that mean something to others.
PIECES = st.sampled_from(
    [
        "|", "^", "~", "\\", "&", "\r", "\n", "\r\n", '""', "\\F\\", "\\X0D\\", "\\XFF\\",
        "MSH|^~\\&|", "PID|", "PV1|", "MRG|B2", "EVN|A01|", "20261006140000-0400", "20260230",
        "99991231", "2", "é", "😀", "\x00", "\x0b", "\x1c", "\x1b", "\ufeff", "Y", "N", "A1^^^GEN",
        "{{", "%s", "'; --", "\u202e", "\u2028", "|" * 50, "~" * 250, "1" * 300,
    ]
)  # fmt: skip


# The time that a message may take is judged here on the CPU's clock; Hypothesis's own deadline is
# on the wall's, where a busy machine fails.
def judged(raw: bytes, receipt: str | None = RECEIPT) -> Hl7Result:
    """The result, held to all that any result must be."""
    started = time.process_time()
    found = read(raw, receipt)
    between = time.process_time()
    again = read(raw, receipt)
    # The quicker of two: the other may have had to collect the test's own garbage.
    assert min(between - started, time.process_time() - between) < 10
    assert bool(found.events) or bool(found.ignored) or bool(found.rejects)
    for reject in found.rejects:
        assert reject.reason in REASONS - {"handler-failed"}, reject
    for event in found.events:
        said = {name: value for name, value in event.items() if name not in OURS}
        assert canonical.decode(json.dumps(said).encode(), GEN) == said
    assert (found.events, found.ignored) == (again.events, again.ignored)
    return found


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes(raw: bytes) -> None:
    """
    Arbitrary bytes are refused.
    """
    assert judged(raw).rejects


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_behind_a_header(raw: bytes) -> None:
    """
    The same where a good MSH stands before them.
    """
    judged(TEMPLATES[0].split(b"\r")[0] + b"\r" + raw)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(TEMPLATES),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES), min_size=1, max_size=6),
    st.sampled_from([None, RECEIPT]),
)
def test_any_damage_to_a_message(
    raw: bytes, damages: list[tuple[float, int, str]], receipt: str | None
) -> None:
    """
    Text cut out of a good message and other text put in, anywhere, several times.
    """
    text = raw.decode()
    for where, cut, piece in damages:
        at = int(where * len(text))
        text = text[:at] + piece + text[at + cut :]
    judged(text.encode(), receipt)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(TEMPLATES), st.data())
def test_any_change_of_single_bytes(raw: bytes, data: st.DataObject) -> None:
    """
    Bits that fell over on the way.
    """
    body = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 8))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    judged(bytes(body))


@settings(deadline=None)
@given(st.sampled_from(TEMPLATES), st.floats(0, 1))
def test_a_message_cut_short(raw: bytes, where: float) -> None:
    """
    A connection that broke off.
    """
    judged(raw[: int(where * len(raw))])


SAFE = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters='|^~\\&"'),
    min_size=1,
    max_size=20,
)


@settings(deadline=None)
@given(SAFE, SAFE, SAFE)
def test_what_was_put_in_comes_out(family: str, given_name: str, number: str) -> None:
    """
    Any letters of any script, in the fields where they were written.
    """
    found = judged(adt("A31", pid={3: f"{number}^^^GEN", 5: f"{family}^{given_name}"}))
    (event,) = found.events

    assert (f"GEN|{number}", f"{given_name} {family}") == (event["subject"], event["data"]["name"])


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_escaping_and_undoing_gives_the_text_back(text: str) -> None:
    """
    What a sender escapes by the book arrives as it was.
    """
    sent = text.replace("\\", "\\E\\")
    for character, name in (("|", "F"), ("^", "S"), ("&", "T"), ("~", "R")):
        sent = sent.replace(character, f"\\{name}\\")

    assert text == unescaper("^~\\&", "|", "utf-8")(sent)


@settings(deadline=None)
@given(st.sampled_from(TEMPLATES), st.sampled_from(["\r", "\n", "\r\n"]), st.booleans())
def test_transport_changes_nothing(raw: bytes, end: str, framed: bool) -> None:
    """
    Line ends, frames and a byte order mark: the same events with the same ids.
    """
    text = raw.decode().replace("\r", end) + end
    sent = f"\x0b{text}\x1c\r" if framed else "\ufeff" + text

    assert judged(raw).events == judged(sent.encode()).events
