"""No log line tells about a patient, whatever somebody tries to log."""

import ast
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import orjson
import pytest
import structlog

from orchestrator import log

pytestmark = pytest.mark.usefixtures("restored_logging")

ROOT: Final = Path(__file__).resolve().parents[2]

# Recognisable, and found nowhere else.
CANARIES = ("Zzyzx Canary", "MRN-CANARY-77", "1931-02-29", "555-CANARY")


@pytest.fixture
def stream() -> io.StringIO:
    out = io.StringIO()
    log.configure("debug", "json", out)
    return out


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def assert_clean(stream: io.StringIO) -> None:
    text = stream.getvalue()
    assert text, "nothing was logged, so nothing was shown"
    assert [canary for canary in CANARIES if canary in text] == []


def test_a_line_is_one_json_object_with_event_level_and_time(stream: io.StringIO) -> None:
    """Each event is one line that a log collector reads without rules of its own."""
    structlog.get_logger().info("record.handled", topic="care.admission.v1", offset=3)

    (line,) = written(stream)
    assert (line["event"], line["level"]) == ("record.handled", "info")
    assert (line["topic"], line["offset"]) == ("care.admission.v1", 3)
    assert line["timestamp"].endswith("Z")


def test_fields_that_are_not_listed_are_dropped_by_name(stream: io.StringIO) -> None:
    """A field nobody has thought about does not pass; its name says that it was there."""
    structlog.get_logger().info(
        "record.handled", subject=f"GEN|{CANARIES[1]}", name=CANARIES[0], offset=3
    )

    assert_clean(stream)
    assert written(stream)[0]["dropped"] == "name subject"
    assert written(stream)[0]["offset"] == 3


@pytest.mark.parametrize("payload", [{"name": CANARIES[0]}, [CANARIES[1]], CANARIES[2] * 40])
def test_payloads_do_not_pass_under_an_allowed_name(stream: io.StringIO, payload: object) -> None:
    """A listed field holds a number or a short word, never a record."""
    structlog.get_logger().info("record.parked", detail=payload, reason="malformed")

    assert_clean(stream)
    assert written(stream)[0]["reason"] == "malformed"


def test_text_in_place_of_an_event_name_is_not_repeated(stream: io.StringIO) -> None:
    """Who formats a patient into the event loses the text, not the patient."""
    structlog.get_logger().info(f"could not read {CANARIES[0]}")

    assert_clean(stream)
    assert written(stream)[0]["event"] == "log.unnamed"


def fail_about_a_patient() -> None:
    local = {"name": CANARIES[0]}
    try:
        local[CANARIES[1]]
    except KeyError as problem:
        raise ValueError(f"born {CANARIES[2]}") from problem


def test_an_exception_is_told_by_type_and_place_alone(stream: io.StringIO) -> None:
    """A bug's traceback names functions and lines, not values, messages or source code."""
    try:
        fail_about_a_patient()
    except ValueError:
        structlog.get_logger().exception("record.failed", topic="care.patient.v1")

    assert_clean(stream)
    told = written(stream)[0]["exception"]
    assert "ValueError at cli/test_log.py" in told
    assert "fail_about_a_patient; from KeyError" in told


def test_an_exception_with_itself_as_cause_ends(stream: io.StringIO) -> None:
    """A circle of causes is told once."""
    problem = ValueError(CANARIES[0])
    problem.__cause__ = problem
    structlog.get_logger().error("record.failed", exc_info=problem)

    assert_clean(stream)


def test_libraries_are_named_and_their_words_left_out(stream: io.StringIO) -> None:
    """What a library formats into its message, keys and records among it, stays unsaid."""
    logging.getLogger("aiokafka.consumer").warning("cannot parse %s", CANARIES[0])
    try:
        fail_about_a_patient()
    except ValueError:
        logging.getLogger("asyncio").exception("task failed: %r", CANARIES[3])

    assert_clean(stream)
    first, second = written(stream)
    assert (first["event"], first["logger"]) == ("library.logged", "aiokafka.consumer")
    assert first["place"].startswith("cli/test_log.py:")
    assert "fail_about_a_patient" in second["exception"]


def test_what_a_library_repeats_is_counted_and_not_written(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage is told seventy times a second; one line in ten seconds says as much."""
    now = 1000.0
    monkeypatch.setattr(log, "time", SimpleNamespace(monotonic=lambda: now))
    for _ in range(3):
        for _ in range(50):
            logging.getLogger("aiokafka").error("no broker")
        logging.getLogger("aiokafka").error("another place")
        now += log.REPEAT_S

    counts = [line.get("count") for line in written(stream)]
    assert counts == [None, None, 49, None, 49, None]


def test_console_lines_are_as_clean_as_json(stream: io.StringIO) -> None:
    """The form for terminals passes through the same list."""
    out = io.StringIO()
    log.configure("debug", "console", out)
    try:
        fail_about_a_patient()
    except ValueError:
        structlog.get_logger().exception("record.failed", topic="care.patient.v1", name=CANARIES[0])

    assert_clean(out)
    assert "record.failed" in out.getvalue()
    assert stream.getvalue() == ""


def test_level_decides_what_is_written(stream: io.StringIO) -> None:
    """Below the level nothing is written, and no level adds payloads."""
    log.configure("warning", "json", stream)
    structlog.get_logger().info("record.handled")
    structlog.get_logger().warning("record.parked")

    assert [line["event"] for line in written(stream)] == ["record.parked"]


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every ``logger.<level>(...)`` of the product."""
    for package in ("events", "handlers", "orchestrator", "schemas"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and ast.unparse(node.func.value) in ("logger", "structlog.get_logger()")
                ):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def test_every_log_call_names_an_event_and_listed_fields() -> None:
    """Nothing is lost between a call and the list: who needs another field adds it there."""
    found = list(calls())
    assert found, "nobody logs"
    for where, call in found:
        assert call.args, where
        assert isinstance(call.args[0], ast.Constant), where
        assert log.EVENT_NAME.fullmatch(str(call.args[0].value)), where
        assert len(call.args) == 1, where
        fields = {keyword.arg for keyword in call.keywords if keyword.arg is not None}
        assert fields - {"exc_info"} <= log.FIELDS, where
