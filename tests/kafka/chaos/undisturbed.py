"""What a run without a fault says of the same journal, and how what was recorded differs from it.

The exported journal is decided on once more, one record at a time, in one process without a
broker.  Published records must be equal byte for byte, the state that the workers left must be the
fold of the journal, and clock records must be true of what was accepted.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

import orjson

from orchestrator.core.instants import read as instant
from orchestrator.stream import export
from orchestrator.stream.kafka.state import PartitionState
from orchestrator.stream.keys import partition_of
from orchestrator.stream.memory_store import MemoryStore
from orchestrator.stream.processor import Processor
from orchestrator.stream.timekeeper import CLOCK_KEY
from orchestrator.stream.topic_layout import is_keyed
from schemas.topics import DEAD_LETTER
from tests.kafka.chaos.accounting import Entry
from tests.kafka.chaos.findings import Finding
from tests.kafka.chaos.recorded import Letter, Recorded, Row
from tests.kafka.chaos.sender import sha
from tests.kafka.world import Said
from tests.simulation.journal import RULES, SETTINGS

VIEW: Final = "care.patient-view.v1"


class Undisturbed(NamedTuple):
    """What follows from a journal when nothing goes wrong."""

    outputs: dict[tuple[str, int], list[Said]]
    letters: list[Letter]
    store: MemoryStore


def undisturbed(lines: list[bytes], site_key: bytes) -> Undisturbed:
    """Decide on an exported journal, record by record."""
    store = MemoryStore()
    processor = Processor(store, RULES, SETTINGS, site_key)
    for record in export.journal(lines):
        store.commit(processor.process(record.partition, [record]))
    outputs: dict[tuple[str, int], list[Said]] = defaultdict(list)
    letters = []
    for out in store.published:
        headers = out.headers or {}
        if out.topic == DEAD_LETTER:
            letters.append(Letter(headers, sha(out.value)))
            continue
        where = (out.partition or 0) if is_keyed(out.topic) else 0
        outputs[out.topic, where].append((out.key, out.value, tuple(sorted(headers.items()))))
    return Undisturbed(dict(outputs), letters, store)


def different(recorded: Recorded, expected: Undisturbed) -> Iterator[Finding]:
    """Published records, after removing repeats, against those of the undisturbed run."""
    for where in sorted(recorded.outputs.keys() | expected.outputs.keys()):
        found = recorded.outputs.get(where, [])
        wanted = expected.outputs.get(where, [])
        if found != wanted and _once(found) != _once(wanted):
            at = next(
                (
                    n
                    for n, pair in enumerate(zip(found, wanted, strict=False))
                    if pair[0] != pair[1]
                ),
                min(len(found), len(wanted)),
            )
            text = f"{len(found)} records, not {len(wanted)}; the first that differs is {at}"
            yield Finding("DIVERGED", f"{where[0]}-{where[1]}", text)
    letters = [letter for letter in recorded.letters if letter.headers.get("stage") == "decide"]
    # All partitions' lie in one log, so their order is that of the commits.
    if sorted(map(_written, letters)) != sorted(map(_written, expected.letters)):
        text = f"{len(letters)} of decide, not {len(expected.letters)}, or others"
        yield Finding("DIVERGED", DEAD_LETTER, text)


def repeats(recorded: Recorded) -> int:
    """
    Published records beyond the first of their kind, for a ``read_committed`` consumer.

    The patient view has no versions and may come to be again what it was: there a repeat is what
    says of its patient what was said last.
    """
    found = 0
    for (topic, _), rows in recorded.outputs.items():
        if topic != VIEW:
            found += len(rows) - len(set(rows))
            continue
        last: dict[str, Said] = {}
        for row in rows:
            found += last.get(row[0]) == row
            last[row[0]] = row
    return found


def _once(said: list[Said]) -> list[Said]:
    return list(dict.fromkeys(said))


def _written(letter: Letter) -> bytes:
    # A record's own headers stand beside ours on Kafka; ours are compared.
    ours = ("reason", "stage", "topic", "partition", "offset", "error")
    return orjson.dumps([letter.headers.get(name) for name in ours]) + letter.sha.encode()


def not_the_fold(recorded: Recorded, expected: Undisturbed) -> Iterator[Finding]:
    """The changelog that workers recover from against the fold of the journal."""
    store = expected.store
    for partition, rows in sorted(recorded.state.items()):
        part = PartitionState()
        part.restore(len(rows) - 1, rows)
        where = f"state-{partition}"
        known = store._heads.keys() | store._open.keys() | store._sealed.keys()
        keys = {key for key in known if partition_of(key, len(recorded.state)) == partition}
        for name, found, wanted in (
            ("heads", part._heads, {k: store._heads[k][1:] for k in keys & store._heads.keys()}),
            ("open cells", _filled(part._open), _filled({k: store._open.get(k, {}) for k in keys})),
            (
                "sealed cells",
                _filled(part._sealed),
                _filled({k: store._sealed.get(k, {}) for k in keys}),
            ),
            ("seen", part._seen, store._seen.get(partition, {})),
            ("meta", part.meta.state, store._meta.get(partition)),
            ("passed over", _passed_over(recorded, partition), []),
        ):
            if found != wanted:
                text = f"{name} are not the fold of the journal"
                yield Finding("DIVERGED", where, text)


def _passed_over(recorded: Recorded, partition: int) -> list[int]:
    """What lies between the state and the group's offset: markers may, records must not."""
    stands, committed = recorded.decided.get(partition, 0), recorded.committed.get(partition, 0)
    rows = recorded.journal.get(partition, [])
    return [row.offset for row in rows if stands <= row.offset < committed]


def _filled(
    cells: dict[str, dict[tuple[str, str], bytes]],
) -> dict[str, dict[tuple[str, str], bytes]]:
    return {key: of for key, of in cells.items() if of}


def untrue_clocks(journal: dict[int, list[Row]], entries: list[Entry]) -> Iterator[Finding]:
    """
    ``clock(T)`` says: everything accepted before T precedes this record.

    Deadlines of T fire there, so an event that was accepted earlier and stands later makes what
    fired a false alarm, or may.
    """
    firsts = {(entry.row.partition, entry.row.offset): entry for entry in entries}
    for partition, rows in sorted(journal.items()):
        now = 0
        for row in rows:
            if row.key == CLOCK_KEY:
                plain = row.plain
                if plain["kind"] == "clock":
                    at = instant(plain["at"])
                    if at > row.stamp:
                        text = "a clock ahead of the broker's own"
                        yield Finding("PREMATURE", f"journal-{partition}@{row.offset}", text)
                    now = max(now, at)
                continue
            entry = firsts.get((partition, row.offset))
            if entry is not None and entry.receipt < now:
                text = (
                    f"accepted {(now - entry.receipt) / 1e6:.3f} s before a clock that precedes it"
                )
                yield Finding("PREMATURE", f"journal-{partition}@{row.offset}", text)


def kinds(journal: dict[int, list[Row]]) -> Counter[str]:
    """How many records of each kind the journal has."""
    return Counter(row.plain["kind"] for rows in journal.values() for row in rows)
