"""``policy diff`` and ``policy what-if``: what a changed file says, and what it would have done."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from orchestrator.core.instants import DAY, HOUR, written
from orchestrator.stream.clock import RealClock
from orchestrator.stream.keys import patient_key
from orchestrator.stream.sqlite_log import Log
from schemas.topics import JOURNAL
from tests.cli.conftest import Run

HEAD: Final = "version: P9\neffective_from: 2031-01-01T00:00:00Z\n"
CHANGED: Final = (
    HEAD
    + """
protocols:
  core:
    - {kind: CALL_48H, team: nurse-outreach, rule: ours/call-24h, outreach: true,
       due: {clock: elapsed, length: PT24H}}
    - {kind: MED_REC, team: pharmacy, rule: core/med-rec, due: {clock: calendar, length: P7D},
       completed_by: [prescriber, pharmacist, rn]}
  ama: []
  handoff: []
  custody: []
"""
)


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A file that a site thinks of using."""
    file = tmp_path / "changed.yaml"
    file.write_text(CHANGED)
    return file


def test_what_a_file_changes_is_said_in_words(run: Run, changed: Path) -> None:
    """Against the rules in force: was and now, as a nurse would say it."""
    told = run("policy", "diff", changed)
    assert told.code == 0
    assert told.out.startswith("was  P0, for every discharge\nnow  P9, for discharges from 2031")
    call = (
        "\n  Discharged home: 48-hour call, due\n"
        "    was  48 hours after discharge, elapsed\n"
        "    now  24 hours after discharge, elapsed\n"
    )
    assert call in told.out


def test_two_files_are_compared_with_each_other(run: Run, changed: Path, tmp_path: Path) -> None:
    """Their newest versions; what is the same is counted."""
    same = tmp_path / "same.yaml"
    same.write_text(CHANGED.replace("P9", "P10"))
    told = run("policy", "diff", changed, same, "--json").json
    assert (told["was"]["version"], told["now"]["version"]) == ("P9", "P10")
    assert told["differences"] == []
    assert told["same"] > 100
    assert "0 differences" in run("policy", "diff", changed, same).out


def test_what_differs_is_told_to_programs_by_field(run: Run, tmp_path: Path) -> None:
    """The path in the file, and the words."""
    file = tmp_path / "hour.yaml"
    file.write_text(HEAD + "weekend_escalation_hour: 7\n")
    told = run("policy", "diff", file, "--json").json
    (one,) = told["differences"]
    assert one["field"] == "weekend_escalation_hour"
    assert one["now"] == "07:00"


def test_a_bad_file_or_a_third_one_is_the_users_mistake(run: Run, tmp_path: Path) -> None:
    """Exit 2, the file, the line, the field, what is allowed."""
    bad = tmp_path / "bad.yaml"
    bad.write_text(HEAD + "weekend_escalation_hour: 31\n")
    told = run("policy", "diff", bad)
    assert told.code == 2
    assert "bad.yaml: line 3: weekend_escalation_hour: " in told.err
    assert run("policy", "diff", bad, bad, bad).code == 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log in which two patients' discharges of yesterday were journalled."""
    now = RealClock().now()
    opened = Log.open(tmp_path / "data", create=True, partitions=12)
    with opened as log, log.transaction() as transaction:
        for event in (*_stay(0, now), *_stay(1, now)):
            key = patient_key(b"k", event["subject"])
            transaction.append(JOURNAL, key, orjson.dumps({"kind": "event", "event": event}))
    return tmp_path / "data"


def _stay(number: int, now: int) -> list[dict[str, Any]]:
    visit = {"visit_number": f"V{number}"}
    return [
        {
            "specversion": "1.0",
            "id": f"{number}-{what}",
            "source": "hospital/GEN/adt",
            "type": f"care.{what}.v1",
            "time": written(now - ago),
            "recordedtime": written(now - ago),
            "receivedtime": written(now - ago),
            "subject": f"GEN|MRN{number}",
            "facility": "GEN",
            "lane": "live",
            "data": {**visit, **data},
        }
        for what, ago, data in (
            ("admission.opened", 3 * DAY, {"class": {"code": "INPATIENT"}}),
            ("discharge.recorded", 20 * HOUR, {"disposition": {"code": "01"}}),
        )
    ]


def _days() -> list[str]:
    today = datetime.now(UTC).date()
    return ["--from", str(today - timedelta(days=3)), "--to", str(today + timedelta(days=1))]


def test_a_file_is_tried_out_on_past_days(run: Run, changed: Path, folder: Path) -> None:
    """Counts, both due times and rules; keys and no identifier; nothing is published."""
    told = run("policy", "what-if", changed, *_days(), "--data-dir", folder)
    assert told.code == 0, told.err
    assert "2 tasks the same, 2 due earlier, 2 gone." in told.out
    assert "core/call-48h" in told.out
    assert "ours/call-24h" in told.out
    assert told.out.endswith("Nothing was published.\n")
    assert "MRN" not in told.out
    found = run("policy", "what-if", changed, *_days(), "--data-dir", folder, "--json").json
    assert found["tasks"]["earlier"] == 2
    assert "MRN" not in orjson.dumps(found).decode()


def test_days_that_are_none_are_a_mistake(run: Run, changed: Path, folder: Path) -> None:
    """Exit 2; so is a folder in which nothing is."""
    told = run("policy", "what-if", changed, "--from", "soon", "--to", "2026-01-01")
    assert told.code == 2
    assert "--from must be a day" in told.err
    nothing = run("policy", "what-if", changed, *_days(), "--data-dir", "nowhere")
    assert nothing.code == 2
    assert "Traceback" not in nothing.err
    assert folder.is_dir()
