"""Files and folders become records: what kind each is, is recognised from its content.

Canonical events (JSON, arrays, NDJSON), HL7 v2 (many to a file, framed or not) and FHIR are told
apart by their first characters, never by a file's name.  Nothing disappears: what is none of these
is one record of kind ``unknown``, which is then refused like any other bad record.
"""

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, Literal, NamedTuple

import orjson

from events.hl7_split import STARTS, split_hl7
from events.json_split import split_json
from events.strict_json import BOM

Kind = Literal["canonical", "hl7v2", "fhir", "unknown"]
OnProgress = Callable[[int, int], None]  # bytes read, bytes in all (0: not known)

STDIN: Final = "-"
# Larger than any event or Bundle that is accepted (``interfaces.md`` 1.2): a record is cut off
# here, so that no file can fill the memory, and refused as too large when decoded.
LONGEST: Final = 16 * 1024 * 1024 + 1

_CHUNK: Final = 1024 * 1024
_KEPT_OF_UNKNOWN: Final = 64 * 1024  # what the dead-letter topic keeps of it (contract section 1)
_BLANKS: Final = b" \t\r\n"
_VT: Final = b"\x0b"


class Record(NamedTuple):
    """One event's bytes and where they stand."""

    where: str  # ``adt.ndjson:17``
    kind: Kind
    raw: bytes


def read(paths: Iterable[str | Path], on_progress: OnProgress | None = None) -> Iterator[Record]:
    """
    Read files, folders (with all below them, in the order of their names) and standard input.

    Hidden files and what is no file (sockets, pipes) are passed over inside folders; named
    outright they are read.

    Args:
        paths: ``-`` is standard input.
        on_progress: Called now and then with bytes read and bytes in all.

    Raises:
        OSError: A path cannot be opened; raised here, before the first record is read.
    """
    files = [file for path in paths for file in _files(path)]
    sizes = {file: _checked_size(file) for file in files}
    total = 0 if STDIN in sizes else sum(sizes[file] for file in files)
    return _records(files, _Progress(on_progress, total))


def records_in(raw: bytes, where: str = "") -> list[Record]:
    """The records of bytes that lie in no file."""
    return list(_of_one(where, iter([raw])))


def _files(path: str | Path) -> Iterator[str]:
    name = os.fspath(path)
    if name == STDIN or not Path(name).is_dir():
        yield name
        return
    for folder, folders, names in os.walk(name, onerror=_fail):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for inner in sorted(names):
            file = os.path.join(folder, inner)  # noqa: PTH118 - as the user wrote it, with ./
            if not inner.startswith(".") and stat.S_ISREG(os.stat(file).st_mode):  # noqa: PTH116
                yield file


def _fail(error: OSError) -> None:
    raise error


def _checked_size(file: str) -> int:
    if file == STDIN:
        return 0
    path = Path(file)
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        return 0  # opening a pipe to see whether it can be opened would eat its content
    with path.open("rb"):
        return status.st_size


class _Progress:
    def __init__(self, on_progress: OnProgress | None, total: int) -> None:
        self._on_progress = on_progress
        self._total = total
        self._done = 0

    def add(self, count: int) -> None:
        self._done += count
        if self._on_progress is not None:
            self._on_progress(self._done, self._total)


def _records(files: list[str], progress: _Progress) -> Iterator[Record]:
    for file in files:
        if file == STDIN:
            yield from _of_one(STDIN, _chunks(sys.stdin.buffer, progress))
        else:
            with Path(file).open("rb") as stream:
                yield from _of_one(file, _chunks(stream, progress))


def _chunks(stream: BinaryIO, progress: _Progress) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk
        progress.add(len(chunk))


def _of_one(file: str, chunks: Iterator[bytes]) -> Iterator[Record]:
    head = next(chunks, b"").removeprefix(BOM)
    rest = _chain(head, chunks)
    start = head.lstrip(_BLANKS + _VT)
    if not start:
        yield from _blank_so_far(file, rest)
    elif start.startswith(STARTS) or b"\nMSH" in head or b"\rMSH" in head or _VT + b"MSH" in head:
        for line, raw in split_hl7(rest, LONGEST):
            yield Record(f"{file}:{line}", "hl7v2", raw)
    elif start[:1] == b"[" or (start[:1] == b"{" and not _is_one_a_line(head)):
        for line, raw in split_json(b"".join(rest)):
            yield Record(f"{file}:{line}", json_kind(raw), raw)
    elif start[:1] == b"{":
        yield from _lines(file, rest)
    else:
        yield Record(f"{file}:1", "unknown", head[:_KEPT_OF_UNKNOWN])


def _chain(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from chunks


def _blank_so_far(file: str, rest: Iterator[bytes]) -> Iterator[Record]:
    for chunk in rest:
        if chunk.strip(_BLANKS + _VT):  # a megabyte of blanks before the first character
            yield Record(f"{file}:1", "unknown", chunk[:_KEPT_OF_UNKNOWN])
            return


def _is_one_a_line(head: bytes) -> bool:
    """
    Whether JSON text holds one object a line, judged by the first of them that is whole.

    The first line may itself be the broken one; one bad row must not hold a night's file.
    """
    lines = head.split(b"\n")
    if len(head) >= _CHUNK and len(lines) > 1:
        lines.pop()  # cut off by us, not by the sender
    return any(line.startswith(b"{") and _is_object(line) for line in lines)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _lines(file: str, chunks: Iterable[bytes]) -> Iterator[Record]:
    number = 1
    pending = bytearray()
    for chunk in chunks:
        *whole, last = chunk.split(b"\n")
        for line in whole:
            pending += line[: LONGEST - len(pending)]
            yield from _line(f"{file}:{number}", bytes(pending))
            pending.clear()
            number += 1
        pending += last[: max(0, LONGEST - len(pending))]
    yield from _line(f"{file}:{number}", bytes(pending))


def _line(where: str, line: bytes) -> Iterator[Record]:
    raw = line.strip()
    if raw.startswith(b"["):
        for _, element in split_json(raw):
            yield Record(where, json_kind(element), element)
    elif raw:
        yield Record(where, json_kind(raw), raw)


def json_kind(raw: bytes) -> Kind:
    """FHIR resources name their ``resourceType``; anything else in JSON is taken for an event."""
    if b'"resourceType"' in raw:
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return "canonical"  # cannot be read as either; decoding says so
        if isinstance(value, dict) and "resourceType" in value:
            return "fhir"
    return "canonical"
