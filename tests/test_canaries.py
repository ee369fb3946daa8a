"""Recognisable patient data through every path: it stays where it belongs.

Not in logs (rendered by the real processors), not in error texts or on standard error, not in
keys, not in the headers of dead letters, and what care teams do not need (names, phones,
addresses, birth dates, notes, reasons of appointments) not in tasks, gaps and changes either.
"""

import io
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import structlog
from prometheus_client import generate_latest

import handlers
from events import decode_record
from events.files import Record
from orchestrator import log as logs
from orchestrator.cli import app as cli
from orchestrator.cli import lag
from orchestrator.core import step
from orchestrator.core.instants import DAY, HOUR, MINUTE, written
from orchestrator.core.plan import plan
from orchestrator.ops.health import of_runtime
from orchestrator.ops.lag import Judge
from orchestrator.ops.look_embedded import EmbeddedLook
from orchestrator.ops.metrics import RuntimeMetrics, registry
from orchestrator.ops.sampler import families
from orchestrator.ops.work import Work
from orchestrator.stream.embedded import Runtime
from orchestrator.stream.outputs import PATIENTS
from orchestrator.stream.publish import publish
from orchestrator.stream.replay import replay
from orchestrator.stream.sqlite_log import Log
from schemas.topics import BACKFILL, DEAD_LETTER, INPUTS, JOURNAL, topic_of
from tests.stream.fakes import FACILITIES, SITE_KEY, START, new_log, opened, product

EXAMPLES: Final = Path(__file__).parent / "schemas" / "data" / "events"

MRN: Final = "MRN7391CANARY"
SUBJECT: Final = f"GEN|{MRN}"
# What no topic but the journal and the dead letters needs, and no log ever.
PERSONAL: Final = {
    "name": "Zzyzxia",
    "phone": "555-0173-9173",
    "address": "17 Canarygasse",
    "birth_date": "1931-02-27",
    "birth_date as HL7 writes it": "19310227",
    "note": "fell over the budgerigar",
    "reason": "shortness of canary",
}
# What the patient view is for; it goes when nothing is open any more.
WHOM_TO_CALL: Final = ("name", "phone", "address", "birth_date")
CANARIES: Final = (MRN, *PERSONAL.values())

PERSON: Final = {
    "name": {"family": PERSONAL["name"], "given": [PERSONAL["name"]]},
    "birth_date": PERSONAL["birth_date"],
    "phones": [PERSONAL["phone"]],
    "address": {"line": PERSONAL["address"]},
    "caregivers": [{"name": PERSONAL["name"], "phone": PERSONAL["phone"]}],
}


def found_in(text: str) -> list[str]:
    """The canaries that stand in *text*, in whatever case."""
    return [canary for canary in CANARIES if canary.casefold() in text.casefold()]


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """All log lines of every level through the real processors."""
    import logging

    root = logging.getLogger()
    kept, level = list(root.handlers), root.level
    out = io.StringIO()
    logs.configure("debug", "json", out)
    yield out
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:] = kept
    root.setLevel(level)
    while opened:
        opened.pop().close()


def event(number: int, type_: str, data: dict[str, Any], **said: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"E{number}",
        "source": "hospital/GEN/adt",
        "type": f"care.{type_}.v1",
        "time": written(START - HOUR),
        "receivedtime": written(START),
        "subject": SUBJECT,
        "facility": "GEN",
        "data": data,
        **said,
    }


def story() -> list[dict[str, Any]]:
    """A stay, a discharge, a visit, calls and notes, each field that may name the patient full."""
    visit = {"visit_number": "V1"}
    call = {**visit, "kind": "CALL_48H", "actor": "n1", "role": "rn"}
    return [
        event(1, "admission.opened", {**visit, "class": "INPATIENT", "reason": PERSONAL["reason"]}),
        event(2, "patient.updated", PERSON),
        event(3, "discharge.recorded", {**visit, "disposition": {"code": "01"}}),
        event(
            4,
            "appointment.booked",
            {
                "appointment_id": "A1",
                "starts_at": written(START + 3 * DAY),
                "provider": {"is_pcp": True},
                "reason": PERSONAL["reason"],
            },
        ),
        event(5, "task.noted", {**call, "note": PERSONAL["note"]}),
        event(6, "task.attempted", {**call, "reached": "voicemail", "note": PERSONAL["note"]}),
        event(7, "task.accepted", {**call, "kind": "NONE", "note": PERSONAL["note"]}),
        event(8, "task.released", {"task_id": "no such", "note": PERSONAL["note"]}),
    ]


def bad() -> list[bytes]:
    """For each reason a record full of canaries."""
    spoiled = [
        event(20, "admission.opened", {"class": "INPATIENT", **PERSON}),
        event(21, "admission.opened", {"visit_number": "V1", "class": {"x": PERSON}}),
        event(22, "admission.opened", {"visit_number": "V1"}, time=PERSONAL["birth_date"] + "x"),
        event(23, "admission.opened", {"visit_number": "V1"}, time=PERSONAL["note"]),
        event(24, "admission.opened", {"visit_number": ["V1", PERSONAL["name"]]}),
        event(25, PERSONAL["name"], PERSON),
        event(26, "admission.opened", PERSON, type="care.admission.opened.v9"),
        event(27, "admission.opened", PERSON, subject=MRN),
        event(28, "admission.opened", PERSON, subject={PERSONAL["name"]: MRN}),
        event(29, "patient.merged", {"retired": SUBJECT}),
        event(30, "patient.merged", {"retired": f"MID|{MRN}"}),
        event(31, "appointment.booked", PERSON),
        event(32, "patient.updated", {**PERSON, "phones": PERSONAL["phone"]}),
        event(33, "patient.updated", {**PERSON, "birth_date": PERSONAL["note"]}),
        event(34, "admission.opened", {"visit_number": "V1", PERSONAL["name"]: 1}, lane=MRN),
        event(1, "admission.opened", {"visit_number": "V1", "reason": PERSONAL["note"]}),
    ]
    return [
        *(orjson.dumps(one) for one in spoiled),
        f"{{{' '.join(CANARIES)}".encode(),
        f'{{"{MRN}": 1, "{MRN}": 2}}'.encode(),
        f'"{MRN}"'.encode(),
        b"\xff" + MRN.encode(),
        orjson.dumps({"data": " ".join(CANARIES) * 30_000}),
    ]


MSH: Final = "MSH|^~\\&|ADT1|GEN|CARE|HUB|20261006130000-0400||{}|{}|P|2.5.1"
PID: Final = (
    f"PID|||{MRN}^^^GEN^MR||{PERSONAL['name']}^{PERSONAL['name']}||19310227|F|||"
    f"{PERSONAL['address']}||{PERSONAL['phone']}"
)
PV1: Final = "PV1||I|||||||||||||||||V9^^^GEN^VN" + "|" * 25 + "20261006120000-0400"
MESSAGES: Final = [
    "\r".join([MSH.format("ADT^A01", "M1"), "EVN|A01|20261006130000-0400", PID, PV1]),
    "\r".join([MSH.format("ADT^A01", "M2"), "EVN|A01|20261006130000-0400", PID, "PV1||I"]),
    "\r".join([MSH.format("ADT^A01", "M3"), f"PID|||{MRN}||{PERSONAL['name']}", PV1]),
    "\r".join([MSH.format("ADT^Z99", MRN), PID, PV1]),
    "\r".join([MSH.format("ADT^A01", "M5"), f"PID|||{MRN}^^^GEN|{'~' * 5000}", PV1]),
    "\r".join([MSH.format("SIU^S12", "M6"), f"SCH|{MRN}|A7|||||{PERSONAL['reason']}", PID]),
    f"MSH|{MRN}",
    f"{PID}\r{PV1}",
]


def records() -> list[Record]:
    """Everything as files hold it."""
    made = [Record(f"f:{n}", "canonical", orjson.dumps(one)) for n, one in enumerate(story())]
    made += [Record(f"b:{n}", "canonical", raw) for n, raw in enumerate(bad())]
    made += [Record(f"m:{n}", "hl7v2", text.encode()) for n, text in enumerate(MESSAGES)]
    made.append(Record("x:1", "unknown", MRN.encode()))
    made.append(Record("x:2", "fhir", orjson.dumps({"resourceType": PERSONAL["name"]})))
    return made


def examples() -> list[dict[str, Any]]:
    """Each registered event with the patient's data under every name that could hold it."""
    made = []
    for number, file in enumerate(sorted(EXAMPLES.glob("*.json"))):
        sent = json.loads(file.read_text())[0]["sent"]
        data = sent.get("data", {}) | {
            "note": PERSONAL["note"],
            "padding": [PERSONAL["address"], PERSON],
        }
        made.append(sent | {"id": f"X{number}", "subject": SUBJECT, "data": data})
    return made


def run_all(log: Log, clock: Any) -> Runtime:
    """Send everything, decide, and let the deadlines pass."""
    publish(records(), log, FACILITIES)
    for one in examples():
        log.append(topic_of(one["type"]) or "", None, orjson.dumps(one))
    for raw in bad():
        log.append("care.admission.v1", None, raw)
    log.append(BACKFILL, None, orjson.dumps(event(50, "admission.opened", {"visit_number": "V8"})))
    runtime = Runtime(log, product, FACILITIES, SITE_KEY)
    runtime.status.observers.append(work := Work(clock))
    settle(runtime)
    for _ in range(6):
        clock.advance(DAY)
        settle(runtime)
    assert found_in(shown_of(runtime, work)) == []
    return runtime


def shown_of(runtime: Runtime, work: Work) -> str:
    """All that operators are shown of a runtime: metrics, readiness, lag as text and as JSON."""
    clock = runtime.log.clock
    seen = EmbeddedLook(runtime.log, "care").look()
    # As if nobody had read anything for an hour, so that every row is printed.
    behind = [one._replace(done=0, end=9, next_at=1, hidden=0) for one in seen.readings]
    sample = Judge(MINUTE, MINUTE).judge(behind, seen.at, seen.cluster, seen.bounds, 1)
    metrics = RuntimeMetrics(runtime.status, clock, work)
    parts = [
        generate_latest(registry("embedded", "P0", metrics)).decode(),
        json.dumps(of_runtime(runtime.status, clock, "P0").body("1", "embedded")),
        "\n".join(lag.as_text(sample)),
        json.dumps(lag.as_plain(sample)),
        *(str(family) for family in families(sample)),
    ]
    assert "care_task_changes_total{" in parts[0]
    assert len(parts[2].splitlines()) > len(seen.readings)
    return "\n".join(parts)


def settle(runtime: Runtime) -> None:
    while runtime.turn():
        pass


def assert_kept_in(log: Log, lines: io.StringIO) -> None:
    """No canary in logs, keys, headers, and no personal one in what is published."""
    assert lines.getvalue(), "nothing was logged, so nothing was shown"
    assert found_in(lines.getvalue()) == []
    for topic in log.topics():
        for partition in range(log.partitions_of(topic)):
            for record in log.read(topic, partition, 0, 100_000):
                assert found_in(f"{record.key} {record.headers}") == [], topic
                if topic not in (*INPUTS, JOURNAL, DEAD_LETTER):
                    text = (record.value or b"").decode().replace(MRN, "")
                    for name in WHOM_TO_CALL if topic == PATIENTS else ():
                        text = text.replace(PERSONAL[name], "")
                    assert found_in(text) == [], topic


def test_nothing_that_is_sent_and_decided_leaves_its_place(
    tmp_path: Path, lines: io.StringIO
) -> None:
    """Canonical, HL7 v2, bad input of each reason, refused commands, deadlines."""
    log, clock = new_log(tmp_path)
    runtime = run_all(log, clock)
    assert runtime.health.published > 30
    letters = log.read(DEAD_LETTER, 0, 0, 1000)
    assert {letter.headers["stage"] for letter in letters} == {"publish", "intake", "decide"}
    assert len({letter.headers["reason"] for letter in letters}) >= 8
    assert_kept_in(log, lines)


@pytest.mark.parametrize("where", ["intake", "handlers", "core", "deadline"])
def test_a_bug_of_ours_repeats_nothing_of_what_it_met(
    tmp_path: Path, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Exceptions hold values (``KeyError: 'GEN|MRN…'``): only their type and place are told."""

    def stumbles(*_: object, **__: object) -> Any:
        raise KeyError(" ".join(CANARIES))

    def at_deadline(view: Any, rules: Any, now: int) -> Any:
        return (
            stumbles() if now > START + HOUR and view.patient == SUBJECT else plan(view, rules, now)
        )

    def in_core(view: Any, *rest: Any) -> Any:
        return stumbles() if any(s.visit == "V1" for s in view.stays) else plan(view, *rest)

    patched: dict[str, tuple[Any, str, Any]] = {
        "intake": (sys.modules["orchestrator.stream.intake"], "decode_message", stumbles),
        "handlers": (handlers, "told", stumbles),
        "core": (step, "plan", in_core),
        "deadline": (step, "plan", at_deadline),
    }
    log, clock = new_log(tmp_path)
    monkeypatch.setattr(*patched[where])
    for one in story()[:3]:
        log.append(topic_of(one["type"]) or "", None, orjson.dumps(one))
    runtime = Runtime(log, product, FACILITIES, SITE_KEY)
    settle(runtime)
    clock.advance(3 * DAY)
    for _ in range(10):
        runtime.turn()
    assert "record.failed" in lines.getvalue()
    assert_kept_in(log, lines)


def test_no_reject_repeats_what_it_refused() -> None:
    """Its text, its traceback, what it was raised from."""
    refused = 0
    for record in records():
        for reject in decode_record(record.kind, record.raw, FACILITIES).rejects:
            refused += 1
            shown = [str(reject), repr(reject), reject.detail, reject.place or ""]
            shown += traceback.format_exception(reject)
            assert found_in(" ".join(shown)) == [], record.where
    assert refused >= 20


def test_replays_refusals_name_fields_and_never_values() -> None:
    """Of records, of ids that clash, of commands."""
    answer = replay(records(), facilities=FACILITIES, as_of=written(START + DAY))
    assert len(answer["rejected"]) >= 20
    assert found_in(json.dumps(answer["rejected"])) == []
    published = json.dumps([answer["patients"], answer["operations"]]).replace(MRN, "")
    assert found_in(published) == []


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The same as files, under a name that says nothing."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.ndjson").write_bytes(b"\n".join(map(orjson.dumps, story())))
    for number, raw in enumerate(bad()):
        (folder / f"b{number:02}.json").write_bytes(raw)
    (folder / "c.hl7").write_bytes("\n".join(MESSAGES).encode())
    return folder


def command(folder: Path, *args: str | Path) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CARE_")}
    return subprocess.run(
        [sys.executable, "-c", "from orchestrator.cli import main; main()", *map(str, args)],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command_line_shows_refusals_without_values(tmp_path: Path, files: Path) -> None:
    """`replay` prints patients by their identifier, as asked; of what it refused, only fields."""
    done = command(tmp_path, "replay", files, "--as-of", written(START + DAY))
    assert done.returncode == 0, done.stderr
    assert found_in(done.stderr) == []
    refusals = [line for line in done.stdout.splitlines() if "b0" in line or "c.hl7" in line]
    assert len(refusals) >= 5
    assert found_in("\n".join(refusals)) == []
    assert found_in(done.stdout.replace(MRN, "")) == []


def test_publish_and_topics_read_tell_nothing_on_standard_error(
    tmp_path: Path, files: Path
) -> None:
    """What was refused is listed by file, line and field; a wrong topic by its name."""
    sent = command(tmp_path, "publish", files, "--data-dir", tmp_path / "data")
    assert sent.returncode == 0, sent.stderr
    assert "malformed" in sent.stderr
    assert found_in(sent.stdout + sent.stderr) == []
    read = command(tmp_path, "topics", "read", "care.nothing.v1", "--data-dir", tmp_path / "data")
    assert read.returncode == 2
    assert found_in(read.stdout + read.stderr) == []


def test_a_defect_ends_the_command_without_a_traceback(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`replay` has nobody to park for: it says where the defect is and ends with 1."""

    def stumbles(*_: object, **__: object) -> Any:
        raise KeyError(" ".join(CANARIES))

    monkeypatch.setattr(handlers, "told", stumbles)
    monkeypatch.setattr(sys, "argv", ["care-orchestrator", "replay", str(files)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 1
    shown = capsys.readouterr()
    assert "this is a defect" in shown.err
    assert "KeyError" in shown.err
    assert "Traceback" not in shown.err
    assert found_in(shown.out + shown.err) == []
