"""All HL7 messages of the shared example data, by name (``data/README.md`` cites their sources).

The data lies beside a checkout (``../shared``) or where ``CARE_SHARED`` says.  Elsewhere its tests
are skipped, with a line that says so; where CI is set they fail, because green would mean nothing.
"""

import gzip
import html
import json
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("CARE_SHARED") or ROOT.parent / "shared")
DATA = SHARED / "data"

COLLECTIONS = ("hl7-linuxforhealth.jsonl.gz", "hl7-misc-permissive.jsonl.gz")


def present() -> bool:
    return (DATA / "README.md").is_file()


def need_corpus() -> None:
    """Skip, or fail in CI, where the data is missing."""
    if present():
        return
    said = f"the shared example data is not at {SHARED} (set CARE_SHARED)"
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(said)
    pytest.skip(said)


def pair_names(prefix: str) -> list[str]:
    """The conformance pairs whose name begins so; none where the data is missing."""
    folder = DATA / "fhir-converter" / "expected"
    return sorted(path.stem for path in folder.glob(f"{prefix}*.json"))


def pair(name: str) -> tuple[bytes, list[dict[str, Any]]]:
    """A message and the resources that Microsoft's FHIR-Converter (MIT) expects for it."""
    folder = DATA / "fhir-converter"
    raw = (folder / "hl7" / f"{name}.hl7").read_bytes()
    bundle = json.loads((folder / "expected" / f"{name}.json").read_text("utf-8-sig"))
    return raw, [entry["resource"] for entry in bundle["entry"]]


@lru_cache(maxsize=1)
def messages() -> tuple[tuple[str, bytes], ...]:
    """Name and bytes of every message."""
    return tuple(_messages())


def message(name: str) -> bytes:
    return dict(messages())[name]


def _messages() -> Iterator[tuple[str, bytes]]:
    for path in sorted((DATA / "fhir-converter" / "hl7").glob("*.hl7")):
        yield f"fhir-converter/{path.stem}", path.read_bytes()
    for name in COLLECTIONS:
        with gzip.open(DATA / name) as lines:
            for number, line in enumerate(lines, 1):
                yield f"{name.partition('.')[0]}:{number}", json.loads(line)["raw"].encode()
    yield from _official()
    with gzip.open(DATA / "simhospital" / "messages.out.gz") as stream:
        for number, raw in enumerate(stream.read().split(b"\n\n"), 1):
            if raw.strip():
                yield f"simhospital:{number}", raw


def _official() -> Iterator[tuple[str, bytes]]:
    """The v2-to-FHIR project's messages: in a page, one segment a line, HTML around them."""
    page = (DATA / "v2-to-fhir/input/pagecontent/test_conversions.md").read_text("utf-8")
    for title, block in re.findall(r"^#### (\w+)\n(.*?)</tr>", page, re.MULTILINE | re.DOTALL):
        start = block.find("MSH|")
        if start >= 0:
            text = html.unescape(re.sub(r"<br ?/?>|</?t[rdh][^>]*>", "", block[start:]))
            yield f"v2-to-fhir/{title}", text.strip().encode()
    sample = DATA / "v2-to-fhir/samples/messages/Message.hl7_MDM_T02.txt"
    yield "v2-to-fhir/sample-MDM_T02", sample.read_bytes()
