"""Field access against an independent parser: PyPI ``hl7`` 0.4.5 (BSD), on all of the corpus.

The oracle is asked for raw fields, components and subcomponents; it knows nothing of charsets,
limits or line breaks inside fields, so those messages are left to other tests.
"""

import hl7
import pytest

from events.hl7v2.message import Message, content, encoding_of, header_fields, parse
from events.reject import Reject
from tests.events.hl7v2 import corpus

# Every field that the product reads: segment, field, component, subcomponent.
READ = [
    *[("MSH", field, part, 1) for field in (3, 4, 7, 9, 10, 11, 12, 18) for part in (1, 2)],
    *[("EVN", field, 1, 1) for field in (1, 2, 6)],
    *[("PID", 3, part, sub) for part in (1, 4, 5) for sub in (1, 2)],
    *[("PID", 5, part, 1) for part in (1, 2, 7)],
    *[("PID", field, 1, 1) for field in (7, 15, 18, 29, 30)],
    *[("PID", field, part, 1) for field in (11, 13, 14) for part in range(1, 13)],
    *[("PV1", field, part, 1) for field in (3, 7, 10, 14, 36) for part in (1, 2, 4, 9)],
    *[("PV1", field, 1, 1) for field in (2, 4, 18, 19, 37, 44, 45, 50)],
    *[("PV2", field, 1, 1) for field in (8, 9, 36)],
    *[("PD1", 4, part, 1) for part in (1, 2, 3, 9, 13)],
    *[("MRG", field, part, 1) for field in (1, 3, 5, 6) for part in (1, 4)],
    *[("DG1", 3, part, 1) for part in (1, 2, 3)],
    *[("SCH", field, part, 1) for field in (1, 2, 6, 7, 8, 11, 25) for part in (1, 2, 4)],
    *[("AIS", field, 1, 1) for field in (3, 4, 7)],
    *[("AIP", field, part, 1) for field in (3, 4, 6) for part in (1, 2)],
]


def ours(raw: bytes) -> Message | None:
    try:
        body = content(raw)
        separator, characters = encoding_of(body)
        fields = header_fields(body, separator)
        return parse(body, separator, characters, fields[17] if len(fields) > 17 else "", None)
    except Reject:
        return None


def theirs(message: hl7.Message, name: str, field: int, component: int, sub: int) -> str:
    """The oracle's raw value: first segment, first repetition."""
    try:
        found = message.segment(name)(field)
    except (KeyError, IndexError):
        return ""
    repetition = found[0] if isinstance(found, hl7.Field) and len(found) else found
    if isinstance(repetition, hl7.Repetition):
        if component > len(repetition):
            return ""
        part = repetition[component - 1]
    else:
        part = repetition if component == 1 else ""
    if isinstance(part, hl7.Component):
        return str(part[sub - 1]).strip() if sub <= len(part) else ""
    return str(part).strip() if sub == 1 else ""


def test_fields_are_where_another_parser_finds_them() -> None:
    """
    Every field that the product reads, of every message of the corpus that both can read.
    """
    corpus.need_corpus()
    compared = 0
    for name, raw in corpus.messages():
        message = ours(raw)
        if message is None or not raw.isascii():
            continue
        text = content(raw).decode("ascii")
        lines = [line for line in text.split("\r") if line.strip()]
        if any(line[3:4] not in ("|", "") for line in lines):
            continue  # a line break inside a field, which the oracle takes for a segment
        oracle = hl7.parse("\r".join(lines))
        for segment, field, component, sub in READ:
            expected = theirs(oracle, segment, field, component, sub)
            found = message.first(segment).first(field)
            value = found.text(component, sub)
            if "\\" in expected or expected == '""':
                continue  # escapes and nulls: the oracle gives them as sent
            assert expected == value, (name, segment, field, component, sub)
            compared += 1

    assert compared > 100_000


@pytest.mark.parametrize("sent", ["A\\T\\B", "A\\F\\B", "A\\S\\B", "A\\R\\B", "A\\E\\B", "plain"])
def test_escapes_are_undone_as_by_another_parser(sent: str) -> None:
    """
    The escapes of delimiters, which both know.
    """
    oracle = hl7.parse("MSH|^~\\&|A\rPID|||1")
    message = ours(f"MSH|^~\\&|A\rPID|||{sent}".encode())
    assert message is not None

    assert oracle.unescape(sent) == message.first("PID").text(3)
