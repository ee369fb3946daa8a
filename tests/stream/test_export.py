"""Exported lines give back the journal byte for byte, and are readable otherwise."""

from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.instants import SECOND
from orchestrator.stream import export
from orchestrator.stream.export import ExportError
from orchestrator.stream.rounds import JournalRecord
from orchestrator.stream.sqlite_log import Record
from schemas.topics import JOURNAL
from tests.stream.fakes import START, new_log


@given(
    value=st.one_of(
        st.binary(),
        st.text().map(str.encode),
        st.dictionaries(st.text(), st.one_of(st.integers(-(2**53), 2**53), st.text())).map(
            orjson.dumps
        ),
        st.sampled_from([b"null", b'"text"', b"[1]", b'{"a": 1}', b'{"a":1.0,"b":1e400}', b"{}"]),
    ),
    stamp=st.integers(0, 4_000_000_000_000_000),
    offset=st.integers(0, 2**40),
)
def test_a_journal_record_is_read_back_as_it_was(value: bytes, stamp: int, offset: int) -> None:
    """Whatever bytes: the replay of an export must publish the same bytes."""
    record = Record(JOURNAL, 3, offset, stamp, "key", value, {})
    assert list(export.journal([export.line(record)])) == [
        JournalRecord(3, offset, stamp, "key", value)
    ]


def test_a_line_is_readable() -> None:
    """JSON stands as JSON, and times as people write them."""
    record = Record("care.task.v1", 0, 7, START, "k", b'{"status":"requested"}', {"a": "b"})
    assert orjson.loads(export.line(record)) == {
        "topic": "care.task.v1",
        "partition": 0,
        "offset": 7,
        "stamp": "2026-10-06T18:00:00Z",
        "key": "k",
        "value": {"status": "requested"},
        "headers": {"a": "b"},
    }
    tombstone = Record("care.task.v1", 0, 7, START, "k", None, {})
    assert orjson.loads(export.line(tombstone))["value"] is None


@pytest.mark.parametrize(
    "text",
    [b"{", b"[]", b"{}", b'{"topic":"care.task.v1"}', b'{"topic":"care.journal.v1","partition":0}'],
)
def test_a_line_that_is_no_journal_record_is_named_by_its_number(text: bytes) -> None:
    """The wrong file is a sentence with a line, and repeats nothing of it."""
    with pytest.raises(ExportError, match=r"^line 2: "):
        list(export.journal([b"", text]))


def test_partitions_are_merged_in_the_order_of_their_stamps(tmp_path: Path) -> None:
    """Also where one partition is much longer than a batch."""
    log, clock = new_log(tmp_path)
    for n in range(30):
        with log.transaction() as transaction:
            for _ in range(50):
                transaction.append("care.task.v1", None, b"", partition=0)
            transaction.append("care.task.v1", None, b"", partition=n % 3 + 1)
        clock.advance(SECOND)

    found = list(export.records(log, "care.task.v1"))

    assert len(found) == 30 * 51
    assert [r.stamp for r in found] == sorted(r.stamp for r in found)
    for partition in range(4):
        offsets = [r.offset for r in found if r.partition == partition]
        assert offsets == list(range(len(offsets)))


def test_following_goes_on_with_what_comes(tmp_path: Path) -> None:
    """Until it is told to stop."""
    log, _ = new_log(tmp_path)
    log.append("care.task.v1", "00000000", b"1")
    turns = iter([True, False])

    def follow() -> bool:
        log.append("care.task.v1", "00000000", b"2")
        return next(turns)

    found = export.records(log, "care.task.v1", partition=0, follow=follow)
    assert [r.value for r in found] == [b"1", b"2"]


def test_a_gap_in_a_journal_is_found_where_it_must_be_whole() -> None:
    """Offsets may leave out what the log never showed, if the line says so, and nothing else."""
    records = [Record(JOURNAL, 0, offset, START, "k", b"{}", {}) for offset in (0, 1, 4)]
    lines = [export.line(record, after) for record, after in zip(records, (-1, 0, 1), strict=True)]

    assert [record.offset for record in export.journal(lines, whole=True)] == [0, 1, 4]
    assert [b"after" in line for line in lines] == [False, False, True]
    for lacking in (lines[1:], [lines[0], lines[2]], [lines[0], export.line(records[2])]):
        with pytest.raises(ExportError, match="a journal is run whole"):
            list(export.journal(lacking, whole=True))
        assert len(list(export.journal(lacking))) == len(lacking)
