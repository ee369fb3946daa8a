"""The state in memory and the state in the changelog are the same state."""

import random
from typing import Any, NamedTuple

import pytest

from orchestrator.stream.kafka.state import BadStateRow, Meta, PartitionState
from orchestrator.stream.memory_store import MemoryStore
from orchestrator.stream.rounds import Round


class Row(NamedTuple):
    key: bytes
    value: bytes | None


def some_round(rng: random.Random, now: int) -> Round:
    """What a processor might write: few keys, so that everything is overwritten some time."""
    keys = [f"{n:032x}" for n in range(8)]
    rnd = Round((0, b'{"now": %d}' % now))
    for key in rng.sample(keys, rng.randrange(1, 5)):
        name = rng.choice(["", "V1", "V\x002", "é"])
        rnd.cells[key, "visit", name] = (rng.randbytes(6), rng.random() < 0.3)
        wake = rng.choice([None, now + rng.randrange(1, 50)])
        rnd.heads[key] = (rng.randbytes(5), wake)
        if rng.random() < 0.2:
            rnd.gone.append(key)
        rnd.seen[key, f"{rng.randrange(6):032x}"] = (rng.randbytes(4), now + rng.randrange(40))
    if rng.random() < 0.5:
        rnd.forget_seen_before = now
    return rnd


def known(store: Any, now: int) -> dict[str, object]:
    """All that a processor can ask."""
    found: dict[str, object] = {}
    for number in range(8):
        key = f"{number:032x}"
        found[f"{key} head"] = store.head(key)
        found[f"{key} cells"] = sorted(store.cells(key))
        found[f"{key} put away"] = sorted(store.put_away(key))
        for name in ("", "V1", "V\x002", "é"):
            found[f"{key} cell {name}"] = store.cell(key, "visit", name)
        for event in range(6):
            found[f"{key} seen {event}"] = store.seen(key, f"{event:032x}")
    part = isinstance(store, PartitionState)
    for until in range(now, now + 60, 7):
        found[f"due {until}"] = sorted(store.due(until) if part else store.due(0, until))
    return found


@pytest.mark.parametrize("seed", range(20))
def test_what_is_read_back_is_what_was_known(seed: int) -> None:
    """After any rounds: live, read back from all rows, read back from compacted ones, and as the
    store of `replay` has it."""
    rng = random.Random(seed)
    live, reference = PartitionState(), MemoryStore()
    log: list[Row] = []
    for number in range(30):
        rnd = some_round(rng, number * 5)
        meta = Meta(number + 1, number, number * 5, rnd.meta[1])
        log += [Row(*row) for row in live.rows(rnd, meta)]
        live.commit(rnd, meta, len(log) - 1)
        reference.commit(rnd)

        again, compacted = PartitionState(), PartitionState()
        again.restore(len(log) - 1, log)
        last = {row.key: place for place, row in enumerate(log)}
        compacted.restore(len(log) - 1, [log[place] for place in sorted(last.values())])

        expected = known(reference, number * 5)
        assert known(live, number * 5) == expected
        assert known(again, number * 5) == expected
        assert known(compacted, number * 5) == expected
        assert again.meta == compacted.meta == live.meta == meta
        assert again.first_wake() == compacted.first_wake() == live.first_wake()
        assert log[-1].value is not None, "a changelog must not end in a tombstone"


@pytest.mark.parametrize(
    "row",
    [
        Row(b"x", b"\x01"),
        Row(b"m", b"\x02[]"),
        Row(b"m", b"\x01[]"),
        Row(b"hkey", b"\x01\x00"),
        Row(b"ckey", b"\x01o"),
        Row(b"m", None),
        Row(b"s\xff\x00x", None),
    ],
)
def test_a_row_of_another_form_is_refused(row: Row) -> None:
    """A newer version's changelog stops an older worker; guessing would lose a patient."""
    with pytest.raises(BadStateRow):
        PartitionState().restore(0, [row])
