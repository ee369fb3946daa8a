"""The worker tells repeats by (source, id), for thirty days from the first receipt."""

import orjson
import pytest

from events.canonical import decode
from orchestrator.core.instants import DAY, HOUR, read, written
from orchestrator.stream.keys import patient_key
from orchestrator.stream.memory_store import MemoryStore
from orchestrator.stream.rounds import JournalRecord
from tests.stream.fakes import FACILITIES, SITE_KEY, product

FIRST = read("2026-10-06T18:05:00Z")
DISCHARGE = {
    "specversion": "1.0",
    "id": "GEN-1",
    "source": "hospital/GEN/adt",
    "type": "care.discharge.recorded.v1",
    "time": "2026-10-06T18:00:00Z",
    "subject": "GEN|MRN1",
    "facility": "GEN",
    "data": {"visit_number": "V1", "disposition": {"code": "01"}},
}


@pytest.mark.parametrize(
    ("after", "is_repeat"), [(HOUR, True), (29 * DAY, True), (30 * DAY, True), (31 * DAY, False)]
)
def test_a_copy_counts_only_after_thirty_days(after: int, is_repeat: bool) -> None:
    """Whether the clock passed in between or not, and after a restart, too."""
    store = MemoryStore()
    key = patient_key(SITE_KEY, DISCHARGE["subject"])  # type: ignore[arg-type]
    before = 0
    clock = orjson.dumps({"kind": "clock", "at": written(FIRST + after - HOUR // 2)})
    for number, record in enumerate(
        (
            (key, FIRST, _journalled(FIRST)),
            ("clock", FIRST + after - HOUR // 2, clock),
            (key, FIRST + after, _journalled(FIRST + after)),
        )
    ):
        name, stamp, value = record
        before = len(store.published)
        store.commit(product(store).process(0, [JournalRecord(0, number, stamp, name, value)]))

    assert (store.published[before:] == []) is is_repeat


def _journalled(receipt: int) -> bytes:
    event = decode(orjson.dumps(DISCHARGE), FACILITIES, receipt=written(receipt))
    return orjson.dumps({"kind": "event", "event": event, "raw": ""})
