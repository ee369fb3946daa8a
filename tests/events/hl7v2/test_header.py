"""Which messages are read at all: the acknowledgement table of ``interfaces.md`` section 2.3."""

import pytest

from events.hl7v2 import triggers
from tests.events.hl7v2.builders import adt, event, read, reject


@pytest.mark.parametrize(
    ("msh", "reason", "place"),
    [
        ({9: "ADT^A99"}, "unknown-type", "MSH^1^9^1^2"),
        ({9: "ADT^Z01"}, "unknown-type", "MSH^1^9^1^2"),
        ({9: "SIU^A01"}, "unknown-type", "MSH^1^9^1^2"),
        ({9: "ZZZ^Z01"}, "unknown-type", "MSH^1^9^1^1"),
        ({9: ""}, "unknown-type", "MSH^1^9^1^1"),
        ({9: "ORU^R01"}, "unknown-type", "MSH^1^9"),
        ({11: "X"}, "malformed", "MSH^1^11"),
        ({12: "2.9"}, "unsupported-version", "MSH^1^12"),
        ({12: "9.9"}, "unsupported-version", "MSH^1^12"),
        ({12: "1.0"}, "unsupported-version", "MSH^1^12"),
        ({12: ""}, "unsupported-version", "MSH^1^12"),
        ({12: "2.5.1.1.1"}, "unsupported-version", "MSH^1^12"),
        ({10: ""}, "malformed", "MSH^1^10"),
        ({10: '""'}, "malformed", "MSH^1^10"),
        ({10: "9" * 200}, "malformed", "MSH^1^10"),
    ],
)
def test_a_header_that_cannot_be_accepted(msh: dict[int, str], reason: str, place: str) -> None:
    """
    Each fault of MSH has the reason and the place that its acknowledgement names.
    """
    refused = reject(adt("A01", evn={1: ""}, msh=msh))

    assert (reason, place) == (refused.reason, refused.place)


@pytest.mark.parametrize("version", ["2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5^FRA^2.5", "2.8.2"])
def test_versions_from_2_1_to_2_8_are_read(version: str) -> None:
    """
    MSH-12 may have further components.
    """
    assert event(adt("A01", msh={12: version}))["type"] == "care.admission.opened.v1"


@pytest.mark.parametrize(
    ("processing", "lane"),
    [("P", "live"), ("", "live"), ("P^T", "live"), ("T", "test"), ("D", "test"), ("t", "test")],
)
def test_test_messages_go_to_the_test_lane(processing: str, lane: str) -> None:
    """
    T and D are validated and counted, never planned; empty is production (ruling 36).
    """
    assert lane == event(adt("A01", msh={11: processing}))["lane"]


@pytest.mark.parametrize("message_type", ["ORU^R01", "RDE^O11", "MDM^T02", "ORM^O01", "VXU^V04"])
def test_types_that_come_later_say_so(message_type: str) -> None:
    """
    A legal message of another type is refused with a sentence that tells why.
    """
    refused = reject(adt("A01", msh={9: message_type}))

    assert refused.reason == "unknown-type"
    assert f"messages of type {message_type[:3]} are not read yet" == refused.detail


@pytest.mark.parametrize("message_type", ["ACK", "ACK^A01^ACK"])
def test_an_acknowledgement_at_our_door_is_dropped(message_type: str) -> None:
    """
    It is no message to be answered, or two systems would answer each other for ever.
    """
    assert read(adt("A01", msh={9: message_type, 10: ""})).ignored == "ACK"


@pytest.mark.parametrize(("table", "message_type"), [(triggers.ADT, "ADT"), (triggers.SIU, "SIU")])
def test_a_legal_trigger_that_is_not_used_is_acknowledged(
    table: dict[str, triggers.Used | triggers.NotUsed], message_type: str
) -> None:
    """
    Every trigger of the table that is not used is ignored by its name, whatever its body holds.
    """
    unused = [name for name, row in table.items() if isinstance(row, triggers.NotUsed)]
    assert unused
    for trigger in unused:
        found = read(adt("A01", msh={9: f"{message_type}^{trigger}"}, pid={3: ""}, pv1={19: ""}))
        assert (f"{message_type}^{trigger}", [], []) == (found.ignored, found.events, found.rejects)


def test_the_table_covers_what_was_promised() -> None:
    """
    ADT A01 to A55 and A60 to A62, SIU S12 to S26 each have a row.
    """
    adt_triggers = {f"A{n:02}" for n in (*range(1, 56), 60, 61, 62)}
    siu_triggers = {f"S{n}" for n in range(12, 27)}

    assert adt_triggers <= triggers.ADT.keys()
    assert siu_triggers <= triggers.SIU.keys()
    assert {"A09", "A10", "A15", "A17", "A26", "A29", "A41", "A60"} <= {
        name for name, row in triggers.ADT.items() if isinstance(row, triggers.NotUsed)
    }


def test_a_message_of_one_component_takes_its_trigger_from_evn() -> None:
    """
    v2.1 wrote MSH-9 as ADT and the trigger in EVN-1.
    """
    said = event(adt("A03", msh={9: "ADT", 12: "2.1"}))

    assert said["type"] == "care.discharge.recorded.v1"


def test_an_unknown_trigger_does_not_say_what_it_was() -> None:
    """
    The text of a reject names fields, never what stood in them.
    """
    refused = reject(adt("A01", msh={9: "ADT^Q-SECRET"}))

    assert "SECRET" not in str(refused)
