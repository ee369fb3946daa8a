"""How R4 writes what is searched for, and how RFC 6902 writes what is to change."""

import hashlib
import sqlite3
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.worklist.access.scopes import allows, narrowed, scopes_of
from orchestrator.worklist.fhir import pages, params
from orchestrator.worklist.fhir.params import BadValue, Match
from orchestrator.worklist.fhir.patching import BadPatch, patched
from orchestrator.worklist.instants import micros
from orchestrator.worklist.model.filters import Where
from orchestrator.worklist.problems import Problem


def holds(match: Match, value: str, column: Any) -> bool:
    """Whether a row with *column* is found by *value*."""
    where = Where()
    match(where, value)
    with sqlite3.connect(":memory:") as db:
        (one,) = db.execute(
            f"SELECT EXISTS (SELECT 1 FROM (SELECT ? AS c) WHERE {where.sql})",
            (column, *where.values),
        ).fetchone()
    db.close()
    return bool(one)


@pytest.mark.parametrize(
    ("value", "instant", "found"),
    [
        ("2026", "2026-12-31T23:59:59Z", True),
        ("2026", "2027-01-01T00:00:00Z", False),
        ("2026-02", "2026-02-28T23:59:59Z", True),
        ("2026-12", "2027-01-01T00:00:00Z", False),
        ("2026-02-03", "2026-02-03T00:00:00Z", True),
        ("2026-02-03T04:05Z", "2026-02-03T04:05:59.9Z", True),
        ("2026-02-03T04:05+01:00", "2026-02-03T03:05:30Z", True),
        ("2026-02-03T04:05:06Z", "2026-02-03T04:05:06.5Z", True),
        ("2026-02-03T04:05:06.5Z", "2026-02-03T04:05:06.59Z", True),
        ("2026-02-03T04:05:06.5Z", "2026-02-03T04:05:06.6Z", False),
        ("eq2026-02-03", "2026-02-04T00:00:00Z", False),
        ("lt2026-02-03", "2026-02-02T23:59:59Z", True),
        ("lt2026-02-03", "2026-02-03T00:00:00Z", False),
        ("le2026-02-03", "2026-02-03T23:59:59Z", True),
        ("gt2026-02-03", "2026-02-03T23:59:59Z", False),
        ("gt2026-02-03", "2026-02-04T00:00:00Z", True),
        ("ge2026-02-03", "2026-02-03T00:00:00Z", True),
        ("2025,2026", "2026-05-01T00:00:00Z", True),
    ],
)
def test_a_date_means_all_that_it_covers(value: str, instant: str, found: bool) -> None:
    """A day is a day long, a minute a minute; prefixes stand before or behind the whole of it."""
    assert holds(params.dates("c"), value, micros(instant)) == found


@pytest.mark.parametrize(
    "value",
    ["", "ne2026", "sa2026", "26", "2026-13", "2026-02-30", "2026-02-03T25:00Z", "9999", "0000",
     "2026-02-03T04:05", "2026-02-03 04:05:00Z", "2026,", "2026-01-01T00:00:00Zx",
     "\uff12\uff10\uff12\uff16"],
)  # fmt: skip
def test_a_date_that_is_none_is_refused(value: str) -> None:
    """A prefix that is not kept, half an instant, another alphabet's digits."""
    with pytest.raises(BadValue):
        params.dates("c")(Where(), value)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("x", True),
        ("urn:s|x", True),
        ("urn:s|", True),
        ("urn:t|x", False),
        ("urn:t|", False),
        ("|x", False),
        ("y,x", True),
        ("y", False),
        ("\\x", True),
    ],
)
def test_a_token_is_a_code_in_a_system(value: str, found: bool) -> None:
    """Without a bar any system; with nothing before it none; with nothing behind it any code."""
    assert holds(params.identifiers("c", "urn:s"), value, "x") == found


@given(st.text(min_size=1, max_size=20))
def test_every_text_can_be_asked_for_by_escaping(text: str) -> None:
    """Whatever an identifier holds, it finds itself and nothing but itself."""
    escaped = "".join(f"\\{char}" if char in "\\,|$" else char for char in text)

    assert holds(params.identifiers("c"), escaped, text)
    assert not holds(params.identifiers("c"), escaped, text + "x")


@given(st.text(max_size=40))
def test_no_text_breaks_a_search(text: str) -> None:
    """It finds, does not find, or is refused; the statement stays the same whatever is asked."""
    matches = (
        params.identifiers("c", "s"),
        params.codes("c", {"a": 1}, "s"),
        params.ways({"a": "c = 1"}, "s"),
        params.references("c", "Task"),
        params.starts("c"),
        params.dates("c"),
        params.days("c"),
    )
    for match in matches:
        try:
            holds(match, text, "x")
        except BadValue:
            continue


@pytest.mark.parametrize(
    ("match", "value"),
    [
        (params.identifiers("c", "s"), "x"),
        (params.ways({"x": "c = 1"}, "s"), "x"),
        (params.references("c", "Task"), "x"),
        (params.starts("c"), " ".join("x" * params.WORDS_MAX)),
        (params.dates("c"), "2026"),
    ],
)
def test_a_search_as_long_as_may_be_is_still_a_statement(match: Match, value: str) -> None:
    """SQLite takes what a hundred parameters can say in all; more alternatives are refused."""
    many, where = params.VALUES_MAX, Where()
    match(where, ",".join([value] * many))
    for _ in range(99):
        match(where, ",".join([value] * 10))
    with sqlite3.connect(":memory:") as db:
        db.execute(f"SELECT 1 FROM (SELECT 1 AS c) WHERE {where.sql}", where.values)
    db.close()

    with pytest.raises(BadValue):
        match(Where(), ",".join([value] * (many + 1)))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("Task/1", True),
        ("1", True),
        ("https://other.example/fhir/Task/1", False),
        ("Flag/1", False),
        ("2,Task/1", True),
    ],
)
def test_a_reference_is_an_id_with_or_without_its_type(value: str, found: bool) -> None:
    """Of the right type."""
    assert holds(params.references("c", "Task"), value, "1") == found


def test_a_reference_may_be_written_out_under_our_own_address() -> None:
    """And only under ours, one by one among several."""
    base = "https://care.example/fhir"
    said = f"{base}/Task/1,Task/2,https://other.example/fhir/Task/3"

    assert params.here(said, base) == "Task/1,Task/2,https://other.example/fhir/Task/3"


def key_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


PLACE = pages.Place("Task", [("code", "x")], False, "behind")


def test_a_page_is_opened_by_whoever_has_the_sites_secret() -> None:
    """By any replica, of the same search alone; it shows nothing of what was asked."""
    word = pages.sealed(key_of, PLACE)

    assert pages.opened(key_of, word, "Task") == PLACE
    assert "code" not in word
    for wrong, path in ((word, "Flag"), (word[:-2], "Task"), (word[::-1], "Task")):
        with pytest.raises(Problem) as refused:
            pages.opened(key_of, wrong, path)
        assert refused.value.status_code == 400
    with pytest.raises(Problem):
        pages.opened(lambda text: key_of(f"another site's {text}"), word, "Task")


@given(st.one_of(st.text(max_size=80), st.text("eyJhbGci.AB-_", max_size=80)))
def test_no_text_breaks_a_page(text: str) -> None:
    """What is no page of ours is 400, never 500."""
    with pytest.raises(Problem) as refused:
        pages.opened(key_of, text, "Task")
    assert refused.value.status_code == 400


DOCUMENT: dict[str, Any] = {"status": "requested", "code": {"coding": [{"code": "A"}]}, "n~/": 1}


@pytest.mark.parametrize(
    ("operation", "after"),
    [
        ({"op": "add", "path": "/x", "value": 1}, {**DOCUMENT, "x": 1}),
        ({"op": "replace", "path": "/status", "value": "y"}, {**DOCUMENT, "status": "y"}),
        ({"op": "remove", "path": "/status"}, {k: v for k, v in DOCUMENT.items() if k != "status"}),
        ({"op": "test", "path": "/code/coding/0/code", "value": "A"}, DOCUMENT),
        ({"op": "test", "path": "/n~0~1", "value": 1}, DOCUMENT),
        (
            {"op": "add", "path": "/code/coding/0", "value": 1},
            {**DOCUMENT, "code": {"coding": [1, {"code": "A"}]}},
        ),
        (
            {"op": "add", "path": "/code/coding/-", "value": 1},
            {**DOCUMENT, "code": {"coding": [{"code": "A"}, 1]}},
        ),
        ({"op": "add", "path": "/note/-", "value": 1}, {**DOCUMENT, "note": [1]}),
        ({"op": "copy", "from": "/status", "path": "/x"}, {**DOCUMENT, "x": "requested"}),
        ({"op": "move", "from": "/n~0~1", "path": "/status"},
         {"status": 1, "code": DOCUMENT["code"]}),
        ({"op": "replace", "path": "", "value": 1}, 1),
    ],
)  # fmt: skip
def test_each_operation_does_what_rfc_6902_says(operation: dict[str, Any], after: Any) -> None:
    """And leaves what it was given as it was."""
    before = repr(DOCUMENT)

    assert patched(DOCUMENT, [operation]) == after
    assert repr(DOCUMENT) == before


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/x"},
        {"op": "replace", "path": "/x", "value": 1},
        {"op": "test", "path": "/n~0~1", "value": True},
        {"op": "test", "path": "/status", "value": "other"},
        {"op": "add", "path": "/code/coding/7", "value": 1},
        {"op": "add", "path": "/code/coding/01", "value": 1},
        {"op": "replace", "path": "/code/coding/-", "value": 1},
        {"op": "move", "from": "/code", "path": "/code/x"},
        {"op": "add", "path": "/status/x", "value": 1},
        {"op": "add", "path": "x", "value": 1},
        {"op": "add", "path": "/x"},
        {"op": "wish", "path": "/x", "value": 1},
        {"path": "/x"},
        "add",
    ],
)
def test_what_leads_nowhere_is_refused_with_its_number(operation: Any) -> None:
    """All of the patch or none of it."""
    with pytest.raises(BadPatch) as refused:
        patched(DOCUMENT, [{"op": "add", "path": "/x-", "value": 1}, operation])

    assert refused.value.pointer == "/1"


@pytest.mark.parametrize(
    ("claim", "letter", "allowed"),
    [
        ("system/Task.rs", "r", True),
        ("system/Task.rs", "u", False),
        ("user/*.cruds", "u", True),
        ("system/Task.write", "u", True),
        ("system/Task.read", "s", True),
        ("system/Task.*", "u", True),
        ("system/Patient.rs", "r", False),
        ("patient/Task.rs", "r", False),
        ("system/Task.sr", "r", False),
        ("system/Task.rs?code=x", "r", False),
        ("openid", "u", True),
        (["system/Task.r"], "r", True),
        (7, "u", True),
    ],
)
def test_a_scope_allows_what_smart_says(claim: Any, letter: str, allowed: bool) -> None:
    """Versions 1 and 2; what has no resource scope narrows nothing."""
    assert allows(scopes_of(claim), "Task", letter) == allowed


def test_scopes_narrow_every_door_and_never_widen() -> None:
    """Permissions of the API are reached by the scopes of what they are about."""
    roles = frozenset({"self", "tasks", "act", "gaps", "patients", "policy"})

    assert narrowed(roles, None) == roles
    assert narrowed(roles, scopes_of("system/Task.rs")) == {"self", "tasks"}
    assert narrowed(roles, scopes_of("system/Task.rus")) == {"self", "tasks", "act"}
    assert narrowed(roles, scopes_of("system/*.cruds")) == roles
    assert narrowed(frozenset({"self"}), scopes_of("system/*.cruds")) == {"self"}
    assert narrowed(roles, scopes_of("patient/*.rs")) == {"self"}
