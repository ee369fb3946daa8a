"""Files: every record comes out once, with its place, whatever the file looks like."""

import io
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import files
from events.files import Record, read
from events.hl7_split import split_hl7
from events.json_split import split_json
from tests.events.samples import event, raw

ONE, TWO, THREE = (raw(event(id=f"GEN-{n}")) for n in (1, 2, 3))
A03 = b"MSH|^~\\&|ADT1|GEN|||20261006140300||ADT^A03|1|P|2.5.1\rEVN||20261006140000\rPV1||I"
A08 = A03.replace(b"A03|1", b"A08|2")


def records(folder: Path, content: bytes, name: str = "feed") -> list[Record]:
    file = folder / name
    file.write_bytes(content)
    found = list(read([file]))
    return [Record(where.removeprefix(f"{file}:"), kind, raw) for where, kind, raw in found]


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n", b" \n\t\n"])
def test_ndjson_is_one_event_a_line(tmp_path: Path, end: bytes, bom: bytes) -> None:
    """Blank lines, CRLF and a byte order mark change nothing."""
    found = records(tmp_path, bom + end.join([ONE, TWO, THREE]))
    assert [record.raw for record in found] == [ONE, TWO, THREE]
    assert {record.kind for record in found} == {"canonical"}
    step = end.count(b"\n")
    assert [record.where for record in found] == ["1", str(1 + step), str(1 + 2 * step)]


def test_a_broken_line_is_refused_alone(tmp_path: Path) -> None:
    """One bad row does not hold a night's file, not even if it is the first."""
    for lines in ([b'{"id": "x', ONE, TWO], [ONE, b"junk", TWO], [ONE, TWO, b'{"id":']):
        assert [record.raw for record in records(tmp_path, b"\n".join(lines))] == lines


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_an_object_or_an_array_may_be_spread_over_lines(tmp_path: Path, indent: int | None) -> None:
    """Pretty-printed or not, one event or many, or several one after another."""
    one, two = (json.dumps(json.loads(text), indent=indent).encode() for text in (ONE, TWO))
    assert [record.raw for record in records(tmp_path, one)] == [one]
    many = json.dumps([json.loads(ONE), json.loads(TWO)], indent=indent).encode()
    found = [json.loads(record.raw) for record in records(tmp_path, many)]
    assert found == [json.loads(ONE), json.loads(TWO)]
    assert [record.raw for record in records(tmp_path, one + b"\n" + two)] == [one, two]


def test_an_array_says_on_which_line_each_event_begins(tmp_path: Path) -> None:
    """So that a refused one can be found in an editor."""
    found = records(tmp_path, b"[\n" + ONE + b",\n\n" + TWO + b"\n]\n")
    assert [record.where for record in found] == ["2", "4"]


def test_doubled_keys_survive_the_cutting(tmp_path: Path) -> None:
    """Cutting never parses, so the strict reader still sees them."""
    doubled = b'{"subject": "GEN|1", "subject": "GEN|2"}'
    assert [record.raw for record in records(tmp_path, b"[" + doubled + b"]")] == [doubled]


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\r\n", b"\x0b"])
def test_hl7_messages_may_stand_many_to_a_file(tmp_path: Path, start: bytes, end: bytes) -> None:
    """Segments ended by CR, LF or CRLF."""
    one, two = (message.replace(b"\r", end) for message in (A03, A08))
    found = records(tmp_path, start + one + end + end + two + end)
    assert [(record.kind, record.raw) for record in found] == [("hl7v2", one), ("hl7v2", two)]


def test_hl7_in_mllp_frames_is_the_same(tmp_path: Path) -> None:
    """With or without line ends between the frames; a new frame inside a frame ends the first."""
    frames = (
        b"\x0b" + A03 + b"\r\x1c\r\x0b" + A08 + b"\x1c\r\n\x0b" + A03 + b"\x0b" + A08 + b"\x1c\r"
    )
    assert [record.raw for record in records(tmp_path, frames)] == [A03, A08, A03, A08]


def test_batch_envelopes_are_left_out(tmp_path: Path) -> None:
    """FHS and BHS say nothing about a patient."""
    batch = b"FHS|^~\\&\rBHS|^~\\&\r" + A03 + b"\rBTS|1\rBHS|\r" + A08 + b"\rBTS|1\rFTS|2\r"
    assert [record.raw for record in records(tmp_path, batch)] == [A03, A08]


def test_what_stands_outside_a_message_is_refused_not_lost(tmp_path: Path) -> None:
    """Junk before the first MSH, or a frame without one, comes out as a record."""
    found = records(tmp_path, b"log line 1\r\n" + A03 + b"\r\x1c\r\x0bPID|1\x1c\r")
    assert [record.raw for record in found] == [b"log line 1", A03, b"PID|1"]


@pytest.mark.parametrize(
    "resource", [{"resourceType": "Bundle", "entry": []}, {"id": "1", "resourceType": "Patient"}]
)
def test_fhir_is_recognised(tmp_path: Path, resource: dict[str, object]) -> None:
    """As a resource, pretty-printed or not, and as NDJSON."""
    for text in (json.dumps(resource), json.dumps(resource, indent=2)):
        (found,) = records(tmp_path, text.encode())
        assert found.kind == "fhir"
    lines = json.dumps(resource).encode() + b"\n" + ONE
    assert [record.kind for record in records(tmp_path, lines)] == ["fhir", "canonical"]


def test_a_resource_type_inside_an_event_is_no_fhir(tmp_path: Path) -> None:
    """Only the outermost object says what a record is."""
    wrapped = raw(event(data={"visit_number": "V1", "x": {"resourceType": "Patient"}}))
    assert [record.kind for record in records(tmp_path, wrapped)] == ["canonical"]


@pytest.mark.parametrize(
    "content",
    [
        b"\x1f\x8b\x08\x00 gzip",
        b"\x89PNG\r\n\x1a\n",
        b"id,type,time\n1,2,3\n",
        b"<Patient/>",
        "{}".encode("utf-16"),
        b"\x00" * 100,
        b"true",
    ],
)
def test_an_unknown_file_is_one_record(tmp_path: Path, content: bytes) -> None:
    """It is refused once, as malformed, and replay goes on."""
    assert records(tmp_path, content) == [Record("1", "unknown", content)]


@pytest.mark.parametrize("content", [b"", b" \r\n\t\n", b"\xef\xbb\xbf"])
def test_an_empty_file_holds_nothing(tmp_path: Path, content: bytes) -> None:
    """Which is no fault."""
    assert not records(tmp_path, content)


def test_folders_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    """All below them, hidden files passed over, so that two readings agree."""
    for name in ("b/2.json", "b/a/1.json", "a.json", ".hidden/x.json", "b/.DS_Store", "c/3.json"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(ONE)
    os.mkfifo(tmp_path / "pipe")
    found = [record.where for record in read([tmp_path])]
    assert found == [
        f"{tmp_path}/{name}:1" for name in ("a.json", "b/2.json", "b/a/1.json", "c/3.json")
    ]
    assert [record.where for record in read([tmp_path / ".hidden/x.json"])] == [
        f"{tmp_path}/.hidden/x.json:1"
    ]


def test_standard_input_is_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    """As elsewhere on a command line."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(ONE + b"\n" + TWO)))
    assert [(record.where, record.raw) for record in read(["-"])] == [("-:1", ONE), ("-:2", TWO)]


def test_a_path_that_cannot_be_opened_is_told_before_anything_is_read(tmp_path: Path) -> None:
    """Half an answer would look like a whole one."""
    (tmp_path / "good.json").write_bytes(ONE)
    with pytest.raises(FileNotFoundError, match=r"missing\.json"):
        read([tmp_path / "good.json", tmp_path / "missing.json"])


def test_progress_is_told_in_bytes(tmp_path: Path) -> None:
    """Ends at the whole, and knows the whole from the start."""
    content = b"\n".join([ONE] * 10)
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(content)
    told: list[tuple[int, int]] = []
    assert len(list(read([tmp_path], lambda *seen: told.append(seen)))) == 20
    assert told == [(len(content), 2 * len(content)), (2 * len(content), 2 * len(content))]


def test_large_files_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the pieces meet is nowhere special: in a line, in a CRLF, in a message."""
    lines = [raw(event(id=f"GEN-{n}", note="x" * n)) for n in range(60)]
    message = A03.replace(b"\r", b"\r\n")
    for size in (7, 64, 1000):
        monkeypatch.setattr(files, "_CHUNK", size)
        assert [r.raw for r in records(tmp_path, b"\r\n".join(lines))] == lines
        assert [r.raw for r in records(tmp_path, (message + b"\r\n") * 9)] == [message] * 9


def test_a_record_without_end_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cut off beyond what any decoder takes, and refused there."""
    monkeypatch.setattr(files, "LONGEST", 3000)
    monkeypatch.setattr(files, "_CHUNK", 512)
    endless = b'{"id": "' + b"x" * 9000 + b'"}'
    assert [len(r.raw) for r in records(tmp_path, ONE + b"\n" + endless + b"\n" + TWO)] == [
        len(ONE),
        3000,
        len(TWO),
    ]
    long, good = records(tmp_path, b"MSH|" + b"x" * 9000 + b"\rPID|1\r" + A08)
    assert len(long.raw) <= 3000 + 512
    assert good.raw.endswith(A08)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"\x0b", b"\x1c", A03, b"PID|1", b"x"])),
    st.integers(1, 9),
)
def test_hl7_cutting_does_not_depend_on_the_pieces(parts: list[bytes], size: int) -> None:
    """Nor does it lose a byte that is not framing or a line end."""
    text = b"".join(parts)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    whole = list(split_hl7([text], 10**6))
    assert list(split_hl7(pieces, 10**6)) == whole
    ends = b"\r\n\x0b\x1c"
    kept = b"".join(raw for _, raw in whole)
    assert kept.translate(None, ends) == text.translate(None, ends)


@settings(deadline=None)
@given(st.lists(st.sampled_from([b"{", b"}", b"[", b"]", b",", b'"', b"\\", b" ", b"\n", b"a"])))
def test_json_cutting_never_fails(parts: list[bytes]) -> None:
    """And loses nothing but blanks, commas and the brackets of outermost arrays."""
    text = b"".join(parts)
    kept = b"".join(raw for _, raw in split_json(text))
    assert kept.count(b"a") == text.count(b"a")
    assert kept.count(b'"') == text.count(b'"')
    assert kept.count(b"{") == text.count(b"{")


@settings(deadline=None)  # the promise is what comes out; how fast a busy machine is, is none
@given(
    st.lists(
        st.recursive(
            st.integers() | st.text(max_size=9),
            lambda i: st.lists(i, max_size=3) | st.dictionaries(st.text(max_size=9), i, max_size=3),
            max_leaves=8,
        ),
        max_size=5,
    )
)
def test_json_cutting_finds_each_element(values: list[object]) -> None:
    """Whatever brackets and quotes stand in its strings."""
    text = json.dumps(values).encode()
    assert [json.loads(raw) for _, raw in split_json(text)] == values
