"""Of two statements about one field the one with the greater stamp holds, however they arrive."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core import registers as reg
from orchestrator.core.facts import Stamp
from orchestrator.core.registers import MATERIAL, NOTHING, STAMPED, Registers
from tests.core.builders import D, stamp

Said = tuple[str, Any, Stamp]

VALUES = st.sampled_from([None, "01", "06", {"npi": "1"}, True])


@st.composite
def statements(draw: st.DrawFn) -> list[Said]:
    """Statements of different events; of one event's copies only the receipt differs."""
    found: list[Said] = []
    for number in range(draw(st.integers(1, 6))):
        recorded = D + draw(st.integers(0, 3))
        sequence = draw(st.sampled_from([-1, 0, 1]))
        source = draw(st.sampled_from(["adt", "hie"]))
        field = draw(st.sampled_from(["disposition", "pcp"]))
        value = draw(VALUES)
        for receipt in draw(st.lists(st.integers(0, 5), min_size=1, max_size=2)):
            made = Stamp(recorded, sequence, source, f"E{number}", D, D + receipt)
            found.append((field, value, made))
    return found


def joined(said: list[Said]) -> Registers:
    registers: Registers = {}
    for field, value, made in said:
        reg.say(registers, field, value, made)
    return registers


def values(registers: Registers) -> dict[str, Any]:
    """What holds, and by which stamp; not since when, which depends on who was heard first."""
    return {field: (held.value, held.stamp) for field, held in registers.items()}


@given(statements(), st.randoms(use_true_random=False))
def test_order_does_not_matter(said: list[Said], random: Any) -> None:
    """Commutative and associative: whoever comes first, the same value holds."""
    shuffled = list(said)
    random.shuffle(shuffled)
    assert values(joined(shuffled)) == values(joined(said))


@given(statements())
def test_repetition_does_not_matter(said: list[Said]) -> None:
    """Idempotent: a statement repeated changes nothing, not even since when."""
    once = joined(said)
    assert joined([*said, *said]) == once


@given(statements())
def test_the_greatest_stamp_holds(said: list[Said]) -> None:
    """The greater (recorded, sequence, source, id), as the contract says."""
    for field, held in joined(said).items():
        assert held.stamp == max(made for name, _, made in said if name == field)


@given(statements())
def test_a_statement_that_changes_nothing_says_so(said: list[Said]) -> None:
    """What is not reported as changed is not stored, so it must not have changed."""
    registers: Registers = {}
    for field, value, made in said:
        before = dict(registers)
        changed = reg.say(registers, field, value, made)
        assert (changed == NOTHING) is (registers == before)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (stamp(D, "E1", recorded=D), stamp(D, "E0", recorded=D + 1)),
        (stamp(D, "E1", sequence=1), stamp(D, "E0", sequence=2)),
        (stamp(D, "E1"), stamp(D, "E0", sequence=0)),  # one that is counted beats one that is not
        (stamp(D, "E9", source="adt"), stamp(D, "E0", source="hie")),
        (stamp(D, "E1"), stamp(D, "E2")),
    ],
)
def test_stamps_are_compared_field_by_field(first: Stamp, second: Stamp) -> None:
    """Recorded time goes before the sender's count, that before the source, that before the id."""
    assert reg.value_of(joined([("x", 1, first), ("x", 2, second)]), "x") == 2
    assert reg.value_of(joined([("x", 2, second), ("x", 1, first)]), "x") == 2


def test_the_same_value_said_again_keeps_since_when_it_is_known() -> None:
    """A nightly A08 does not make an old due date look like a fresh correction."""
    first, again = stamp(D, "E1"), stamp(D + 9, "E2")
    registers = joined([("disposition", "01", first)])
    assert reg.say(registers, "disposition", "01", again) == STAMPED
    assert registers["disposition"].since == D


def test_another_value_is_known_since_its_own_receipt() -> None:
    """Whoever corrects is known from when we heard it."""
    registers = joined([("disposition", "01", stamp(D, "E1"))])
    later = stamp(D + 9, "E2", receipt=D + 20)
    assert reg.say(registers, "disposition", "03", later) == MATERIAL
    assert registers["disposition"].since == D + 20


def test_a_deleted_field_is_not_one_that_was_never_said() -> None:
    """Null deletes; the deletion holds against an older statement that arrives later."""
    deleted = stamp(D + 1, "E2")
    registers = joined([("pcp", None, deleted), ("pcp", {"npi": "1"}, stamp(D, "E1"))])
    assert registers["pcp"].value is None
    assert reg.value_of(registers, "pcp", "nobody") == "nobody"
    assert "attending" not in registers


@given(statements())
def test_storing_and_loading_changes_nothing(said: list[Said]) -> None:
    """What is written to disk comes back equal, through real bytes."""
    registers = joined(said)
    assert reg.load(orjson.loads(orjson.dumps(reg.dump(registers)))) == registers
